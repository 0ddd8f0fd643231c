"""Searching threads give way; nothing else does."""

import os
import sys
import threading

import pytest

from misocoin.mining.background import NICENESS, BackgroundEngine
from misocoin.pow.engine import SearchResult, StopFlag
from misocoin.pow.portable import PortableEngine
from misocoin.pow.puzzles import HeaderPuzzle, Puzzle
from tests.unit.mining.bench import PATIENCE, Pool, bench

PUZZLE = HeaderPuzzle(bytes(80), 1 << 250)
HARD = HeaderPuzzle(bytes(80), 1)

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has thread priorities")


def niceness() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


class Noting(PortableEngine):
    """Notes how nice the threads are that search."""

    def __init__(self) -> None:
        self.seen: set[int] = set()

    def _scan(self, puzzle: Puzzle, start: int, count: int, stop: StopFlag) -> SearchResult:
        self.seen.add(niceness())
        return super()._scan(puzzle, start, count, stop)


class NotingPool(Pool):
    """Notes how nice the threads are that ask for its entries, under the chain's lock."""

    seen: int | None = None

    def entries(self) -> tuple[()]:
        self.seen = niceness()
        super().entries()
        return ()


def in_a_thread(engine: BackgroundEngine, puzzle: Puzzle = PUZZLE) -> list[SearchResult]:
    """What two searches on a thread of their own find."""
    results: list[SearchResult] = []

    def search() -> None:
        results.append(engine.search(puzzle, 0, 1_000))
        results.append(engine.search(puzzle, 500, 1_000, StopFlag()))

    thread = threading.Thread(target=search)
    thread.start()
    thread.join(PATIENCE)
    return results


def test_it_searches_as_the_other_engine() -> None:
    engine, portable = BackgroundEngine(PortableEngine()), PortableEngine()
    assert engine.name == portable.name
    assert engine.kernel(PUZZLE) == portable.kernel(PUZZLE)
    assert in_a_thread(engine) == [
        portable.search(PUZZLE, 0, 1_000),
        portable.search(PUZZLE, 500, 1_000),
    ]
    assert in_a_thread(engine, HARD)[0] == SearchResult(None, 1_000)
    stopped = StopFlag()
    stopped.set()
    results: list[SearchResult] = []
    thread = threading.Thread(
        target=lambda: results.append(engine.search(HARD, 0, HARD.space, stopped))
    )
    thread.start()
    thread.join(PATIENCE)
    assert results == [SearchResult(None, 0)]


@linux_only
def test_the_searching_thread_steps_back_and_no_other() -> None:
    before = niceness()
    noting = Noting()
    in_a_thread(BackgroundEngine(noting))
    assert noting.seen == {max(before, NICENESS)}
    assert niceness() == before


@linux_only
def test_whoever_holds_the_chains_lock_has_not_stepped_back() -> None:
    noting = Noting()
    before = niceness()
    with bench(engine=noting) as b:
        pool = NotingPool()
        b.miner._pool = pool
        b.miner.set_mining(True)
        for _ in range(3):
            assert b.tip_moved.acquire(timeout=PATIENCE)
        assert pool.seen == before
    assert noting.seen == {max(before, NICENESS)}


def test_a_sandbox_that_forbids_it_does_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbid(_which: int, _who: int, _priority: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "setpriority", forbid)
    assert in_a_thread(BackgroundEngine(PortableEngine()))[0].nonce is not None
