"""The table that `misocoin bench` prints."""

import re

import pytest

from misocoin.__main__ import main as run_command
from misocoin.cli import bench
from misocoin.pow.automatic import unsolvable_puzzle
from misocoin.pow.engine import Engine, SearchResult
from misocoin.pow.engines import engines
from misocoin.pow.measure import measure_rate
from misocoin.pow.puzzles import PuzzleKind


def test_one_engine_by_name(capsys):
    assert bench.main(["--engine", "portable", "--seconds", "0.01"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].split() == ["portable"]
    rows = lines[3:]
    assert len(rows) == len(PuzzleKind)
    for row, kind in zip(rows, PuzzleKind, strict=True):
        assert re.fullmatch(re.escape(kind.value) + r" +[\d.]+ [kMG]", row), row


def test_all_engines_and_what_auto_picks(capsys, monkeypatch):
    monkeypatch.setattr(bench, "_all_engines", engines)  # no OpenCL device is compiled for
    assert run_command(["bench", "--seconds", "0.01"]) == 0
    lines = capsys.readouterr().out.splitlines()
    names = [engine.name for engine in engines()]
    assert lines[2].split() == [*names, "auto", "picks"]
    for row in lines[3:]:
        assert row.split()[-1] in names


def test_an_engine_that_cannot_run_is_one_line(capsys, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyopencl", None)
    assert bench.main(["--engine", "opencl"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("misocoin: engine 'opencl' needs the package pyopencl")
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [["--seconds", "0"], ["--seconds", "nan"], ["--seconds", "x"], ["--engine", "gpu"]],
)
def test_wrong_arguments(arguments, capsys):
    assert bench.main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"misocoin: {arguments[0][1:]}={arguments[1]}: ")
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("rate", "text"),
    [(3.21e9, "3.21 G"), (34.56e6, "34.56 M"), (999e3, "999.00 k"), (12.0, "12")],
)
def test_rates_are_short(rate, text):
    assert bench._rate_text(rate) == text


class SteadyEngine(Engine):
    """Two million nonces a second on a clock of its own."""

    name = "steady"
    now = 0.0

    def kernel(self, puzzle):
        return self.name

    def _scan(self, puzzle, start, count, stop):
        assert puzzle == unsolvable_puzzle(PuzzleKind.HEADER)
        self.now += count / 2e6
        return SearchResult(None, count)


def test_a_rate_is_nonces_by_the_clock_given():
    engine = SteadyEngine()
    rate = measure_rate(engine, PuzzleKind.HEADER, 0.3, lambda: engine.now)
    assert rate == pytest.approx(2e6)
    assert engine.now < 1
