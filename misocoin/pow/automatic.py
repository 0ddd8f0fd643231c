"""The engine that picks the fastest of several for each kind of puzzle, by trying them."""

import threading
import time
from collections.abc import Sequence
from typing import Final

from misocoin.pow.engine import Engine, SearchResult, StopFlag
from misocoin.pow.puzzles import (
    ROLLED_VERSIONS,
    BitmessagePuzzle,
    HashcashPuzzle,
    HeaderPuzzle,
    Puzzle,
    PuzzleKind,
    StampDigest,
)

TRIAL_SECONDS: Final = 0.001
"""How long one trial of one engine takes at least."""

TRIALS: Final = 4
"""Trials of each engine, in turn; the fastest counts, as others may be using the processor."""


def unsolvable_puzzle(kind: PuzzleKind) -> Puzzle:
    """Return a puzzle of this kind that no nonce solves, for measuring."""
    prefix = b"1:256:261121:you@example.org::0:"  # with its counter and padding just one block
    match kind:
        case PuzzleKind.HEADER:
            return HeaderPuzzle(bytes(80), 0)
        case PuzzleKind.ROLLED_HEADER:
            return HeaderPuzzle(bytes(80), 0, ROLLED_VERSIONS)
        case PuzzleKind.BITMESSAGE:
            return BitmessagePuzzle(bytes(64), 0)
        case PuzzleKind.HASHCASH_SHA1:
            return HashcashPuzzle(prefix, b"", 12, 160, StampDigest.SHA1)
        case PuzzleKind.HASHCASH_SHA256:
            return HashcashPuzzle(prefix, b"", 12, 256)


class AutomaticEngine(Engine):
    """Tries each engine for a few milliseconds when a kind of puzzle first comes, and keeps to it.

    Which is fastest is the processor's secret: SHA instructions and wide vectors overtake each
    other from one generation to the next.
    """

    def __init__(self, candidates: Sequence[Engine]) -> None:
        """Take the engines to choose from, at least one."""
        self._candidates = tuple(candidates)
        self._chosen: dict[PuzzleKind, Engine] = {}
        self._choosing = threading.Lock()

    @property
    def name(self) -> str:
        """The name that selects this engine."""
        return "auto"

    def kernel(self, puzzle: Puzzle) -> str:
        """Return the kernel of the engine chosen for such a puzzle."""
        return self.chosen(puzzle.kind).kernel(puzzle)

    def chosen(self, kind: PuzzleKind) -> Engine:
        """Return the fastest engine for this kind, finding out at the first call."""
        with self._choosing:
            if kind not in self._chosen:
                self._chosen[kind] = fastest_engine(self._candidates, kind)
            return self._chosen[kind]

    def _scan(self, puzzle: Puzzle, start: int, count: int, stop: StopFlag) -> SearchResult:
        return self.chosen(puzzle.kind).search(puzzle, start, count, stop)


def fastest_engine(candidates: Sequence[Engine], kind: PuzzleKind) -> Engine:
    """Return the engine with the highest rate among several trials of each.

    Where two share a kernel (plain C, say) the first stays.
    """
    puzzle = unsolvable_puzzle(kind)
    distinct = list({engine.kernel(puzzle): engine for engine in reversed(candidates)}.values())
    if len(distinct) == 1:
        return distinct[0]
    counts = [_count_for_trial(engine, puzzle) for engine in distinct]
    best = [0.0] * len(distinct)
    for _ in range(TRIALS):
        for i, engine in enumerate(distinct):
            best[i] = max(best[i], counts[i] / _seconds(engine, puzzle, counts[i]))
    return distinct[best.index(max(best))]


def _count_for_trial(engine: Engine, puzzle: Puzzle) -> int:
    count = 256
    while _seconds(engine, puzzle, count) < TRIAL_SECONDS:
        count *= 2
    return count


def _seconds(engine: Engine, puzzle: Puzzle, count: int) -> float:
    began = time.perf_counter()
    engine.search(puzzle, 0, count)
    return max(time.perf_counter() - began, 1e-9)
