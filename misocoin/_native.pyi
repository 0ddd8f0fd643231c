"""The optional native module; its functions are documented in `native/`."""

from collections.abc import Iterable

class _Library: ...

def make_library(addresses: tuple[int, ...], /) -> _Library: ...
def find_invalid(
    library: _Library, jobs: Iterable[tuple[int, bytes, bytes, bytes]], /
) -> list[int]: ...
