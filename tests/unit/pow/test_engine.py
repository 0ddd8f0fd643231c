"""What holds for every engine: ranges, the stop flag, and that no unconfirmed nonce comes out."""

import threading
import time

import pytest

from misocoin.pow.automatic import unsolvable_puzzle
from misocoin.pow.engine import Engine, KernelFault, SearchResult, StopFlag
from misocoin.pow.puzzles import BitmessagePuzzle, HashcashPuzzle, HeaderPuzzle, PuzzleKind
from tests.engines import EVERY_NAME, engine_named

by_engine = pytest.mark.parametrize("name", EVERY_NAME)
EASY = HeaderPuzzle(bytes(80), (1 << 256) - 1)


class LyingEngine(Engine):
    """Claims the first nonce of every range."""

    name = "liar"

    def kernel(self, puzzle):
        return self.name

    def _scan(self, puzzle, start, count, stop):
        return SearchResult(start, 1)


def test_what_hashlib_does_not_confirm_is_a_fault():
    with pytest.raises(KernelFault, match="liar claims nonce 7"):
        LyingEngine().search(HeaderPuzzle(bytes(80), 0), 7, 1)
    assert LyingEngine().search(EASY, 7, 1) == SearchResult(7, 1)


@by_engine
def test_a_range_ends_with_the_space(name):
    engine = engine_named(name)
    nothing = HashcashPuzzle(b"", b"", 2, 256)
    assert engine.search(nothing, 250, 1000) == SearchResult(None, 6)
    assert engine.search(nothing, 256, 1000) == SearchResult(None, 0)
    assert engine.search(EASY, EASY.space - 1, 1000) == SearchResult(EASY.space - 1, 1)
    everything = BitmessagePuzzle(bytes(64), (1 << 64) - 1)
    assert engine.search(everything, 0, everything.space) == SearchResult(0, 1)


@by_engine
@pytest.mark.parametrize(("start", "count"), [(-1, 1), (0, -1), ((1 << 32) + 1, 1)])
def test_a_range_outside_the_space_is_refused(name, start, count):
    with pytest.raises(ValueError, match="not in a space"):
        engine_named(name).search(EASY, start, count)


@by_engine
@pytest.mark.parametrize("kind", PuzzleKind)
def test_a_flag_set_before_means_nothing_is_tried(name, kind):
    stop = StopFlag()
    stop.set()
    engine = engine_named(name)
    assert engine.search(unsolvable_puzzle(kind), 0, 1 << 32, stop) == SearchResult(None, 0)


@by_engine
@pytest.mark.parametrize("kind", PuzzleKind)
def test_a_stop_is_obeyed_within_50_ms(name, kind):
    engine = engine_named(name)
    puzzle = unsolvable_puzzle(kind)
    engine.search(puzzle, 0, 1 << 12)  # compiled, measured
    assert min(_seconds_to_stop(engine, puzzle) for _ in range(5)) < 0.05


def _seconds_to_stop(engine, puzzle):
    stop = StopFlag()
    is_running = threading.Event()
    results = []

    def search():
        is_running.set()
        results.append(engine.search(puzzle, 0, 1 << 48, stop))

    thread = threading.Thread(target=search)
    thread.start()
    is_running.wait(60)
    thread.join(0.03)
    began = time.perf_counter()
    stop.set()
    thread.join(60)
    seconds = time.perf_counter() - began
    (result,) = results
    assert result.nonce is None
    assert 0 < result.tried < 1 << 48
    return seconds


@pytest.mark.parametrize("name", [name for name in EVERY_NAME if name != "opencl"])
def test_a_very_long_text_behind_the_counter_stops_too(name):
    engine = engine_named(name)
    puzzle = HashcashPuzzle(b"", bytes(1 << 20), 8, 256)
    assert engine.kernel(puzzle) == "portable"
    assert min(_seconds_to_stop(engine, puzzle) for _ in range(5)) < 0.05


def test_a_child_flag_is_set_with_its_parent_but_not_the_other_way_round():
    parent = StopFlag()
    first, second = parent.child(), parent.child()
    first.set()
    assert (parent.is_set(), first.is_set(), second.is_set()) == (False, True, False)
    parent.set()
    assert second.is_set()
    assert parent.child().is_set()
