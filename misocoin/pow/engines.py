"""Which engines there are on this machine, and the one that a name selects."""

from typing import Final

from misocoin.errors import ConfigError
from misocoin.pow.automatic import AutomaticEngine
from misocoin.pow.engine import Engine
from misocoin.pow.native import NativeEngine, native_kernels
from misocoin.pow.portable import PortableEngine

ENGINE_NAMES: Final = ("auto", "portable", "c", "avx2", "avx512", "sha-ni", "armv8", "opencl")
"""What `-engine=` understands; which of them this machine can run, `engines` says."""


def engines() -> tuple[Engine, ...]:
    """Return every engine of this processor, the portable one first; OpenCL's is not among them."""
    return (PortableEngine(), *(NativeEngine(name) for name in native_kernels()))


def select_engine(name: str = "auto") -> Engine:
    """Return the engine of that name; `auto` is the processor's fastest for each kind of puzzle.

    Raises ConfigError for a name that is unknown or whose engine cannot run here.
    """
    if name not in ENGINE_NAMES:
        raise ConfigError(f"unknown engine {name!r}: choose one of {', '.join(ENGINE_NAMES)}")
    here = engines()
    if name == "auto":
        return here[0] if len(here) == 1 else AutomaticEngine(here[1:])
    if name == "opencl":
        from misocoin.pow.opencl import OpenClEngine

        return OpenClEngine()
    for engine in here:
        if engine.name == name:
            return engine
    names = ", ".join(engine.name for engine in here)
    raise ConfigError(f"engine {name!r} cannot run here: this machine has {names}")


def missing_native_notice() -> str | None:
    """Return one line for the user where the native module is missing, or None."""
    if native_kernels():
        return None
    return (
        "The native module is not built: proof of work is searched with hashlib, some thirty "
        "times slower. With a C compiler at hand, install Misocoin again (in a checkout: "
        "`make clean run`)."
    )
