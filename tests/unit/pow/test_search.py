"""One puzzle to its end with several threads."""

import threading

import pytest

from misocoin.pow.engine import Engine, KernelFault, SearchResult, StopFlag
from misocoin.pow.engines import select_engine
from misocoin.pow.puzzles import HashcashPuzzle, HeaderPuzzle
from misocoin.pow.search import search_threads

BY_THREADS = pytest.mark.parametrize("threads", [1, 2, 5])


@BY_THREADS
def test_a_solution_is_found_and_the_others_stop(threads):
    puzzle = HeaderPuzzle(bytes(80), 1 << 240)
    result = search_threads(select_engine(), puzzle, threads)
    assert result.nonce is not None
    assert puzzle.is_solution(result.nonce)
    assert result.tried >= 1


@BY_THREADS
def test_a_space_without_a_solution_is_searched_through_once(threads):
    puzzle = HashcashPuzzle(b"", b"", 4, 256)
    assert search_threads(select_engine(), puzzle, threads) == SearchResult(None, 65536)


@BY_THREADS
def test_a_stop_from_outside(threads):
    stop = StopFlag()
    results = []
    thread = threading.Thread(
        target=lambda: results.append(
            search_threads(select_engine(), HeaderPuzzle(bytes(80), 0), threads, stop)
        )
    )
    thread.start()
    thread.join(0.05)
    stop.set()
    thread.join(60)
    (result,) = results
    assert result.nonce is None


class FaultyEngine(Engine):
    """Breaks in one thread while the others go on until they are stopped."""

    name = "faulty"

    def __init__(self):
        self._first = threading.Lock()

    def kernel(self, puzzle):
        return self.name

    def _scan(self, puzzle, start, count, stop):
        if self._first.acquire(blocking=False):
            raise KernelFault("broken")
        waited = threading.Event()
        while not stop.is_set():
            waited.wait(0.001)
        return SearchResult(None, 0)


def test_a_fault_ends_the_whole_search():
    with pytest.raises(KernelFault, match="broken"):
        search_threads(FaultyEngine(), HeaderPuzzle(bytes(80), 0), 3)
