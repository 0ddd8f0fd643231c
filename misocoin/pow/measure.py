"""How fast an engine is with a kind of puzzle, on one thread."""

from collections.abc import Callable
from typing import Final

from misocoin.pow.automatic import unsolvable_puzzle
from misocoin.pow.engine import Engine
from misocoin.pow.puzzles import PuzzleKind

FIRST_COUNT: Final = 256
"""Nonces of the first run, from which the others' length is found."""


def measure_rate(
    engine: Engine, kind: PuzzleKind, seconds: float, clock: Callable[[], float], rounds: int = 3
) -> float:
    """Return nonces per second of `clock`, the best of some rounds that share the time given.

    The best, as whatever else runs on the machine only ever takes away. `clock` may count the
    thread's own processor time (`time.thread_time`) or go by the wall (`time.perf_counter`).
    """
    puzzle = unsolvable_puzzle(kind)
    share = seconds / rounds
    count, elapsed = FIRST_COUNT, 0.0
    while elapsed < share / 8:
        count *= 4 if elapsed < share / 64 else 2
        elapsed = _elapsed(engine, kind, count, clock)
    count = min(max(1, int(count * share / elapsed)), puzzle.space)
    return max(count / _elapsed(engine, kind, count, clock) for _ in range(rounds))


def _elapsed(engine: Engine, kind: PuzzleKind, count: int, clock: Callable[[], float]) -> float:
    began = clock()
    engine.search(unsolvable_puzzle(kind), 0, count)
    return max(clock() - began, 1e-9)
