"""Which engines there are, what a name selects, and what users are told."""

import platform
import shutil
import sys
from pathlib import Path

import pytest

import misocoin
from misocoin.errors import ConfigError
from misocoin.pow import native
from misocoin.pow.automatic import AutomaticEngine, unsolvable_puzzle
from misocoin.pow.engine import Engine, SearchResult
from misocoin.pow.engines import ENGINE_NAMES, engines, missing_native_notice, select_engine
from misocoin.pow.puzzles import PuzzleKind
from tests.engines import NATIVE_NAMES

needs_native = pytest.mark.skipif(not NATIVE_NAMES, reason="the native module is not built")


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no compiler")
def test_where_a_compiler_is_the_native_module_is_in_use():
    assert native.load_native() is not None
    assert "c" in native.native_kernels()
    assert missing_native_notice() is None


@needs_native
@pytest.mark.skipif(
    platform.machine() != "x86_64" or not Path("/proc/cpuinfo").exists(),
    reason="the processor's abilities are not told here",
)
def test_the_kernels_are_those_of_the_processor():
    text = Path("/proc/cpuinfo").read_text()
    flags = set(next(line for line in text.splitlines() if line.startswith("flags")).split())
    expected = {"c"}
    expected |= {"avx2"} if "avx2" in flags else set()
    expected |= {"avx512"} if {"avx512f", "avx512bw"} <= flags else set()
    expected |= {"sha-ni"} if {"sha_ni", "avx"} <= flags else set()
    assert set(native.native_kernels()) == expected


@pytest.mark.parametrize("name", ["portable", *NATIVE_NAMES])
def test_an_engine_is_selected_by_its_name(name):
    engine = select_engine(name)
    assert engine.name == name
    assert engine.kernel(unsolvable_puzzle(PuzzleKind.HEADER)) == name


@needs_native
def test_what_a_kernel_has_no_loop_for_is_searched_in_plain_c():
    if "sha-ni" not in NATIVE_NAMES:
        pytest.skip("the processor has no SHA instructions")
    assert select_engine("sha-ni").kernel(unsolvable_puzzle(PuzzleKind.BITMESSAGE)) == "c"


def test_every_engine_can_be_selected():
    assert {engine.name for engine in engines()} <= set(ENGINE_NAMES)


def test_an_unknown_name_is_refused():
    with pytest.raises(ConfigError, match="unknown engine 'gpu': choose one of auto, portable"):
        select_engine("gpu")


def test_without_the_native_module_hashlib_serves_and_the_user_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "misocoin._native", None)  # an import of it fails
    monkeypatch.delattr(misocoin, "_native", raising=False)
    assert [engine.name for engine in engines()] == ["portable"]
    assert select_engine("auto").name == "portable"
    with pytest.raises(ConfigError, match="cannot run here: this machine has portable"):
        select_engine("avx2")
    notice = missing_native_notice()
    assert notice is not None
    assert "hashlib" in notice
    assert "\n" not in notice


def test_a_native_module_of_an_older_version_is_not_used(monkeypatch):
    monkeypatch.setattr(misocoin, "_native", type(sys)("misocoin._native"), raising=False)
    assert [engine.name for engine in engines()] == ["portable"]


def test_opencl_without_its_package_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyopencl", None)
    with pytest.raises(ConfigError, match=r"pip install 'pyopencl\[pocl\]'"):
        select_engine("opencl")


# -- auto -------------------------------------------------------------------------------------


class PacedEngine(Engine):
    """Takes so long for each nonce, on a clock of its own."""

    def __init__(self, name, pace, clock):
        self._name = name
        self._pace = pace
        self._clock = clock
        self.searches = 0

    @property
    def name(self):
        return self._name

    def kernel(self, puzzle):
        return self._name

    def _scan(self, puzzle, start, count, stop):
        self.searches += 1
        self._clock.now += self._pace[puzzle.kind] * count
        return SearchResult(None, count)


class Clock:
    def __init__(self):
        self.now = 0.0

    def perf_counter(self):
        return self.now


def test_auto_takes_the_fastest_for_each_kind_and_asks_once(monkeypatch):
    clock = Clock()
    monkeypatch.setattr("misocoin.pow.automatic.time", clock)
    slow = dict.fromkeys(PuzzleKind, 1e-6)
    quick = dict.fromkeys(PuzzleKind, 1e-7)
    mixed = {**slow, PuzzleKind.BITMESSAGE: 1e-8}
    candidates = [
        PacedEngine(name, pace, clock)
        for name, pace in (("slow", slow), ("quick", quick), ("mixed", mixed))
    ]
    engine = AutomaticEngine(candidates)
    assert engine.name == "auto"
    assert engine.kernel(unsolvable_puzzle(PuzzleKind.HEADER)) == "quick"
    assert engine.kernel(unsolvable_puzzle(PuzzleKind.BITMESSAGE)) == "mixed"
    before = [candidate.searches for candidate in candidates]
    engine.search(unsolvable_puzzle(PuzzleKind.HEADER), 0, 10)
    after = [candidate.searches for candidate in candidates]
    assert [b - a for a, b in zip(before, after, strict=True)] == [0, 1, 0]


@needs_native
def test_auto_picks_a_native_kernel_for_every_kind():
    engine = select_engine("auto")
    for kind in PuzzleKind:
        assert engine.kernel(unsolvable_puzzle(kind)) in NATIVE_NAMES
