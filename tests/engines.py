"""Every engine of this machine, for tests that hold them to one another."""

import functools

import pytest

from misocoin.errors import ConfigError
from misocoin.pow.engine import Engine
from misocoin.pow.engines import engines, select_engine

NATIVE_NAMES = tuple(engine.name for engine in engines() if engine.name != "portable")
"""The kernels of the native module that this processor runs; none where it was not built."""

EVERY_NAME = ("portable", *NATIVE_NAMES, "auto", "opencl")


@functools.cache
def engine_named(name: str) -> Engine:
    """The engine; the test is skipped where it cannot run."""
    try:
        return select_engine(name)
    except ConfigError as error:
        pytest.skip(str(error))
