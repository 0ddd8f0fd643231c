"""Which engines there are on this machine, and the one that a name selects."""

from typing import Final

from misocoin.errors import ConfigError
from misocoin.pow.engine import Engine
from misocoin.pow.portable import PortableEngine

ENGINE_NAMES: Final = ("auto", "portable", "c", "avx2", "avx512", "sha-ni", "armv8", "opencl")
"""What `-engine=` understands; which of them this machine can run, `engines` says."""


def engines() -> tuple[Engine, ...]:
    """Return every engine this machine can run, the portable one first."""
    return (PortableEngine(),)


def select_engine(name: str = "auto") -> Engine:
    """Return the engine of that name; `auto` is the fastest for each puzzle.

    Raises ConfigError for a name that is unknown or whose engine cannot run here.
    """
    if name not in ENGINE_NAMES:
        raise ConfigError(f"unknown engine {name!r}: choose one of {', '.join(ENGINE_NAMES)}")
    here = engines()
    if name == "auto":
        return here[-1]
    for engine in here:
        if engine.name == name:
            return engine
    names = ", ".join(engine.name for engine in here)
    raise ConfigError(f"engine {name!r} cannot run here: this machine has {names}")
