"""How many nonces a second each engine searches, for each kind of puzzle, beside plain hashlib.

    python benchmarks/engine.py [SECONDS]

Rates are per second of processor time and core, in millions; in brackets the ratio to a hashlib
loop measured in the same turn. Every engine has its turn in each of five rounds of SECONDS (0.3)
each; shown are medians.
"""

import statistics
import sys
import time
from collections.abc import Callable
from hashlib import sha1, sha256, sha512

from misocoin.pow.engine import Engine
from misocoin.pow.engines import engines, select_engine
from misocoin.pow.puzzles import BitmessagePuzzle, HashcashPuzzle, HeaderPuzzle, Puzzle, StampDigest

ROUNDS = 5
PUZZLES: dict[str, Puzzle] = {
    "block header, SHA-256 twice": HeaderPuzzle(bytes(range(80)), 0),
    "the same, 8 versions rolled": HeaderPuzzle(bytes(range(80)), 0, 8),
    "Bitmessage, SHA-512 twice": BitmessagePuzzle(bytes(range(64)), 0),
    "hashcash, SHA-256": HashcashPuzzle(b"1:20:misocoin:", b"", 8, 256),
    "hashcash, SHA-1": HashcashPuzzle(b"1:20:misocoin:", b"", 8, 160, StampDigest.SHA1),
}


def bare_header(count: int) -> None:
    head = bytes(76)
    for nonce in range(count):
        sha256(sha256(head + nonce.to_bytes(4, "little")).digest()).digest()


def bare_bitmessage(count: int) -> None:
    tail = bytes(64)
    for nonce in range(count):
        sha512(sha512(nonce.to_bytes(8, "big") + tail).digest()).digest()


def bare_hashcash(count: int) -> None:
    for nonce in range(count):
        sha256(b"1:20:misocoin:%08x" % nonce).digest()


def bare_stamp(count: int) -> None:
    for nonce in range(count):
        sha1(b"1:20:misocoin:%08x" % nonce, usedforsecurity=False).digest()


BARE: dict[str, Callable[[int], None]] = {
    "block header, SHA-256 twice": bare_header,
    "the same, 8 versions rolled": bare_header,
    "Bitmessage, SHA-512 twice": bare_bitmessage,
    "hashcash, SHA-256": bare_hashcash,
    "hashcash, SHA-1": bare_stamp,
}


def bare_rate(loop: Callable[[int], None], seconds: float) -> float:
    count = int(seconds * 500_000)
    began = time.thread_time()
    loop(count)
    return count / (time.thread_time() - began)


def engine_rate(engine: Engine, puzzle: Puzzle, seconds: float) -> float:
    tried, start, count = 0, 0, 1 << 14
    began = time.thread_time()
    while (spent := time.thread_time() - began) < seconds:
        result = engine.search(puzzle, start, count)
        tried += result.tried
        start = (start + count) % (1 << 31)
        count = min(count * 2, 1 << 22)
    return tried / spent


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 0.3
    contenders = engines()
    auto = select_engine()
    for title, puzzle in PUZZLES.items():
        for engine in contenders:
            engine_rate(engine, puzzle, 0.02)
        bare, rates = [], {engine.name: [] for engine in contenders}
        for _ in range(ROUNDS):
            bare.append(bare_rate(BARE[title], seconds))
            for engine in contenders:
                rates[engine.name].append(engine_rate(engine, puzzle, seconds))
        print(f"{title}: hashlib {statistics.median(bare) / 1e6:.2f} M/s")
        for name, found in rates.items():
            ratio = statistics.median(rate / base for rate, base in zip(found, bare, strict=True))
            chosen = "  <- auto" if auto.kernel(puzzle) == name else ""
            print(f"    {name:10}{statistics.median(found) / 1e6:8.2f} M/s {ratio:6.1f}x{chosen}")


if __name__ == "__main__":
    main()
