"""The engines of the native module: loops in C for the instruction sets of this processor."""

from collections.abc import Mapping
from types import MappingProxyType, ModuleType
from typing import Final

from misocoin.pow.engine import Engine, SearchResult, StopFlag
from misocoin.pow.portable import PortableEngine
from misocoin.pow.puzzles import (
    BitmessagePuzzle,
    HashcashPuzzle,
    HeaderPuzzle,
    Puzzle,
    PuzzleKind,
    StampDigest,
)

PLAIN_C: Final = "c"
"""The kernel that has every kind of puzzle, on every processor."""

MAX_SUFFIX: Final = 1 << 16
"""Bytes after a counter from which on the portable engine is used: its longer steps still stop."""

_PIECE: Final = 1 << 62
"""Nonces handed to C at once, so that their count fits 64 bits."""

_KINDS: Final = (
    (PuzzleKind.HEADER, PuzzleKind.ROLLED_HEADER),
    (PuzzleKind.BITMESSAGE,),
    (PuzzleKind.HASHCASH_SHA1,),
    (PuzzleKind.HASHCASH_SHA256,),
)
"""What each of the flags means that the module gives for a kernel."""


def load_native() -> ModuleType | None:
    """Return the native module, or None where it was not built or is of an older version."""
    try:
        from misocoin import _native
    except ImportError:
        return None
    return _native if hasattr(_native, "pow_kernels") else None


def native_kernels() -> Mapping[str, frozenset[PuzzleKind]]:
    """Return each kernel this processor runs, and what it can search; empty without the module."""
    native = load_native()
    if native is None:
        return MappingProxyType({})
    return MappingProxyType(
        {
            name: frozenset(
                kind for able, kinds in zip(flags, _KINDS, strict=True) for kind in kinds if able
            )
            for name, flags in native.pow_kernels().items()
        }
    )


class NativeEngine(Engine):
    """Searches with one kernel, and in plain C what that kernel has no loop for."""

    def __init__(self, name: str) -> None:
        """Take the name of a kernel; KeyError for one that cannot run here."""
        native = load_native()
        if native is None:
            raise KeyError(name)
        self._native = native
        self._name = name
        self._abilities = native_kernels()[name]
        self._portable = PortableEngine()

    @property
    def name(self) -> str:
        """The name that selects this engine."""
        return self._name

    def kernel(self, puzzle: Puzzle) -> str:
        """Return this engine's kernel, or what stands in for it with such a puzzle."""
        if isinstance(puzzle, HashcashPuzzle) and len(puzzle.suffix) > MAX_SUFFIX:
            return self._portable.name
        return self._name if puzzle.kind in self._abilities else PLAIN_C

    def _scan(self, puzzle: Puzzle, start: int, count: int, stop: StopFlag) -> SearchResult:
        kernel = self.kernel(puzzle)
        if kernel == self._portable.name:
            return self._portable.search(puzzle, start, count, stop)
        tried = 0
        while tried < count:
            piece = min(count - tried, _PIECE)
            nonce, done = self._call(kernel, puzzle, start + tried, piece, stop)
            tried += done
            if nonce is not None or done < piece:
                return SearchResult(nonce, tried)
        return SearchResult(None, tried)

    def _call(
        self, kernel: str, puzzle: Puzzle, start: int, count: int, stop: StopFlag
    ) -> tuple[int | None, int]:
        result: tuple[int | None, int]
        match puzzle:
            case HeaderPuzzle(header, target, versions):
                limit = target.to_bytes(32, "little")
                result = self._native.search_headers(
                    kernel, header, limit, versions, start, count, stop.byte
                )
            case BitmessagePuzzle(initial_hash, target):
                result = self._native.search_bitmessage(
                    kernel, initial_hash, target, start, count, stop.byte
                )
            case HashcashPuzzle(prefix, suffix, width, bits, digest, alphabet):
                is_sha1 = digest is StampDigest.SHA1
                result = self._native.search_hashcash(
                    kernel, is_sha1, prefix, suffix, alphabet, width, bits, start, count, stop.byte
                )
        return result
