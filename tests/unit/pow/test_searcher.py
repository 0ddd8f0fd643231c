"""The threads behind a miner: what they ask for, what they report, how they end."""

import threading
import time

import pytest

from misocoin.pow.engine import Engine, SearchResult
from misocoin.pow.engines import select_engine
from misocoin.pow.puzzles import HashcashPuzzle, HeaderPuzzle
from misocoin.pow.searcher import Searcher, Work

BY_THREADS = pytest.mark.parametrize("threads", [1, 2, 5])
EASY = 1 << 244
UNSOLVABLE = 0


class Owner:
    """Hands out one piece of work after the other and keeps what is found."""

    def __init__(self, target=EASY, wanted=10):
        self.target = target
        self.wanted = wanted
        self.found = []
        self.asked = 0
        self.is_done = threading.Event()
        self.was_asked = threading.Event()

    def source(self):
        self.asked += 1
        self.was_asked.set()
        if len(self.found) >= self.wanted:
            return None
        header = self.asked.to_bytes(4, "little") + bytes(76)
        return Work(HeaderPuzzle(header, self.target), self.asked)

    def take(self, work, nonce):
        assert work.puzzle.is_solution(nonce)
        self.found.append(work.context)
        if len(self.found) >= self.wanted:
            self.is_done.set()


@pytest.fixture
def start():
    searchers = []

    def start_searcher(source, found, **options):
        searcher = Searcher(options.pop("engine", select_engine()), source, found, **options)
        searchers.append(searcher)
        searcher.start()
        return searcher

    yield start_searcher
    for searcher in searchers:
        searcher.close()


@BY_THREADS
def test_each_piece_of_work_is_solved_once_and_in_turn(start, threads):
    owner = Owner()
    searcher = start(owner.source, owner.take, threads=threads)
    assert owner.is_done.wait(60)
    assert owner.found == list(range(1, 11))
    assert searcher.tried >= 10
    assert searcher.rate() > 0
    assert searcher.threads == threads


def wait_until(condition):
    """Wait for what another thread is about to do."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        threading.Event().wait(0.001)


@BY_THREADS
def test_refresh_drops_the_work_in_hand(start, threads):
    owner = Owner(UNSOLVABLE)
    searcher = start(owner.source, owner.take, threads=threads)
    wait_until(lambda: searcher.is_searching)
    for round_ in range(2, 6):
        searcher.refresh()
        wait_until(lambda seen=round_: owner.asked >= seen and searcher.is_searching)
    assert owner.found == []


def test_without_work_nothing_is_asked_again_before_refresh(start):
    owner = Owner(wanted=0)
    searcher = start(owner.source, owner.take, threads=2)
    assert owner.was_asked.wait(60)
    threading.Event().wait(0.05)
    assert owner.asked == 1
    assert not searcher.is_searching
    owner.wanted = 3
    searcher.refresh()
    assert owner.is_done.wait(60)


def test_a_refresh_while_the_source_thinks_asks_it_again(start):
    thinking, may_answer = threading.Event(), threading.Event()
    answers = []

    def source():
        answers.append(len(answers) + 1)
        if len(answers) == 1:
            thinking.set()
            may_answer.wait(60)
        return Work(HeaderPuzzle(bytes(80), UNSOLVABLE), len(answers))

    searcher = start(source, lambda work, nonce: None)
    assert thinking.wait(60)
    searcher.refresh()
    may_answer.set()
    wait_until(lambda: len(answers) == 2 and searcher.is_searching)


@BY_THREADS
def test_a_space_searched_through_asks_for_more(start, threads):
    asked = []
    is_enough = threading.Event()

    def source():
        asked.append(len(asked))
        if len(asked) > 3:
            is_enough.set()
            return None
        return Work(HashcashPuzzle(b"%d" % len(asked), b"", 4, 256), None)

    searcher = start(source, lambda work, nonce: None, threads=threads)
    assert is_enough.wait(60)
    assert searcher.tried == 3 * 65536


def test_found_may_refresh_and_close(start):
    calls = []
    is_over = threading.Event()

    def found(work, nonce):
        calls.append(nonce)
        searcher.refresh()
        if len(calls) == 2:
            searcher.close()
            is_over.set()

    owner = Owner()
    searcher = Searcher(select_engine(), owner.source, found)
    searcher.start()
    assert is_over.wait(60)
    assert len(calls) == 2


@pytest.mark.parametrize("culprit", ["source", "found", "engine"])
@BY_THREADS
def test_an_error_ends_the_searcher_and_is_kept(start, caplog, culprit, threads):
    class BrokenEngine(Engine):
        name = "broken"

        def kernel(self, puzzle):
            return self.name

        def _scan(self, puzzle, start, count, stop):
            raise OSError("no more")

    def fail(*_):
        raise OSError("no more")

    owner = Owner(wanted=1000)
    searcher = start(
        fail if culprit == "source" else owner.source,
        fail if culprit == "found" else owner.take,
        engine=BrokenEngine() if culprit == "engine" else select_engine(),
        threads=threads,
    )
    wait_until(lambda: searcher.failure is not None)
    assert str(searcher.failure) == "no more"
    searcher.close()
    assert "has ended" in caplog.text


def test_close_ends_a_running_search(start):
    owner = Owner(UNSOLVABLE)
    searcher = start(owner.source, owner.take, threads=2)
    wait_until(lambda: searcher.is_searching)
    searcher.close()
    assert not searcher.is_searching


def test_a_searcher_without_threads_is_refused():
    with pytest.raises(ValueError, match="at least one thread"):
        Searcher(select_engine(), lambda: None, lambda work, nonce: None, threads=0)


def test_close_before_start_is_fine():
    Searcher(select_engine(), lambda: None, lambda work, nonce: None).close()


class CountingEngine(Engine):
    """Answers what a list says, in turn."""

    name = "counting"

    def __init__(self, results):
        self._results = iter(results)

    def kernel(self, puzzle):
        return self.name

    def _scan(self, puzzle, start, count, stop):
        return next(self._results)


def test_a_solution_that_comes_with_a_refresh_is_reported_all_the_same(start):
    is_found = threading.Event()
    owner = Owner(wanted=1)

    class LateEngine(CountingEngine):
        def _scan(self, puzzle, start, count, stop):
            searcher.refresh()  # between the search and its answer
            return super()._scan(puzzle, start, count, stop)

    searcher = Searcher(
        LateEngine([SearchResult(0, 1)]), owner.source, lambda work, nonce: is_found.set()
    )
    owner.target = (1 << 256) - 1
    owner.wanted = 1
    try:
        searcher.start()
        assert is_found.wait(60)
    finally:
        searcher.close()
