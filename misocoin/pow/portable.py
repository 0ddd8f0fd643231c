"""The engine that needs nothing but hashlib: the same answers as the native ones, slower."""

import time
from collections.abc import Callable
from hashlib import sha1, sha256, sha512
from itertools import product
from struct import Struct
from typing import Final

from misocoin.pow.engine import Engine, SearchResult, StopFlag
from misocoin.pow.puzzles import (
    BitmessagePuzzle,
    HashcashPuzzle,
    HeaderPuzzle,
    Puzzle,
    StampDigest,
)

CHUNK: Final = 1 << 10
"""Nonces between two looks at the stop flag: about a millisecond."""

_BLOCK: Final = 64
_LOW_DIGITS: Final = 2
"""Counter digits that are written once into a table, at most 4,096 texts of them."""

Scan = Callable[[int, int], int | None]
"""Looks at the nonces from its first argument to before its second; the lowest winner or None."""


class PortableEngine(Engine):
    """Searches with hashlib, in the interpreter."""

    @property
    def name(self) -> str:
        """The name that selects this engine."""
        return "portable"

    def kernel(self, puzzle: Puzzle) -> str:
        """Return `portable` for every puzzle."""
        return self.name

    def _scan(self, puzzle: Puzzle, start: int, count: int, stop: StopFlag) -> SearchResult:
        scan = _scan_of(puzzle)
        chunk = CHUNK
        if isinstance(puzzle, HashcashPuzzle):  # a long text behind the counter takes its time
            chunk = max(1, CHUNK * 256 // (256 + len(puzzle.suffix)))
        nonce, end = start, start + count
        while nonce < end and not stop.is_set():
            until = min(nonce + chunk, end)
            found = scan(nonce, until)
            if found is not None:
                return SearchResult(found, found - start + 1)
            nonce = until
            time.sleep(0)  # lets go of the interpreter's lock: others should not wait 5 ms for it
        return SearchResult(None, nonce - start)


def _scan_of(puzzle: Puzzle) -> Scan:
    match puzzle:
        case HeaderPuzzle(versions=1):
            return _header_scan(puzzle)
        case HeaderPuzzle():
            return _rolled_scan(puzzle)
        case BitmessagePuzzle():
            return _bitmessage_scan(puzzle)
        case HashcashPuzzle():
            return _hashcash_scan(puzzle)


def _header_scan(puzzle: HeaderPuzzle) -> Scan:
    midstate = sha256(puzzle.header[:_BLOCK])
    tail = puzzle.header[_BLOCK:76]
    target, top = puzzle.target, puzzle.target >> 248
    pack = Struct("<I").pack

    def scan(nonce: int, until: int) -> int | None:
        copy = midstate.copy
        for candidate in range(nonce, until):
            first = copy()
            first.update(tail + pack(candidate))
            digest = sha256(first.digest()).digest()
            if digest[31] <= top and int.from_bytes(digest, "little") <= target:
                return candidate
        return None

    return scan


def _rolled_scan(puzzle: HeaderPuzzle) -> Scan:
    versions = puzzle.versions
    midstates = [sha256(puzzle.rolled(index)[:_BLOCK]) for index in range(versions)]
    tail = puzzle.header[_BLOCK:76]
    target, top = puzzle.target, puzzle.target >> 248
    pack = Struct("<I").pack

    def scan(nonce: int, until: int) -> int | None:
        while nonce < until:
            header_nonce, index = divmod(nonce, versions)
            end = tail + pack(header_nonce)
            for midstate in midstates[index : index + until - nonce]:
                first = midstate.copy()
                first.update(end)
                digest = sha256(first.digest()).digest()
                if digest[31] <= top and int.from_bytes(digest, "little") <= target:
                    return nonce
                nonce += 1
        return None

    return scan


def _bitmessage_scan(puzzle: BitmessagePuzzle) -> Scan:
    initial_hash = puzzle.initial_hash
    target, top = puzzle.target, puzzle.target >> 56
    pack = Struct(">Q").pack

    def scan(nonce: int, until: int) -> int | None:
        for candidate in range(nonce, until):
            digest = sha512(sha512(pack(candidate) + initial_hash).digest()).digest()
            if digest[0] <= top and int.from_bytes(digest[:8], "big") <= target:
                return candidate
        return None

    return scan


def _hashcash_scan(puzzle: HashcashPuzzle) -> Scan:
    hashed = sha1 if puzzle.digest is StampDigest.SHA1 else sha256
    prefix_state = hashed(puzzle.prefix, usedforsecurity=False)
    limit = (1 << (puzzle.digest.bits - puzzle.bits)) - 1
    top = limit >> (puzzle.digest.bits - 8)
    suffix = puzzle.suffix
    low_width = min(puzzle.width, _LOW_DIGITS)
    low = [bytes(digits) for digits in product(puzzle.alphabet, repeat=low_width)]

    def scan(nonce: int, until: int) -> int | None:
        while nonce < until:
            base, first = nonce - nonce % len(low), nonce % len(low)
            midstate = prefix_state.copy()
            midstate.update(puzzle.counter(base)[:-low_width])
            copy = midstate.copy
            last = min(until - base, len(low))
            for value in range(first, last):
                message = copy()
                message.update(low[value] + suffix)
                digest = message.digest()
                if digest[0] <= top and int.from_bytes(digest, "big") <= limit:
                    return base + value
            nonce = base + last
        return None

    return scan
