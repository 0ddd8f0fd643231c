"""`misocoin <command>`."""

import subprocess
import sys
from importlib.util import find_spec
from types import SimpleNamespace
from typing import NoReturn

import pytest

from misocoin.__main__ import COMMANDS, main
from misocoin.version import VERSION


@pytest.mark.parametrize("words", [["help"], ["-h"], ["--help"]])
def test_help_lists_every_command(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    assert main(words) == 0
    shown = capsys.readouterr().out
    for name, (_, what) in COMMANDS.items():
        assert f"  {name}" in shown
        assert what in shown


def test_no_command_is_bad_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "Usage: misocoin" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("walet", "did you mean wallet?"),
        ("help walet", "did you mean wallet?"),
        ("wallet sned", "did you mean send?"),
        ("help wallet sned", "did you mean send?"),
        ("xyzzy", "misocoin help lists them"),
        ("wallet xyzzy", "misocoin wallet -help lists them"),
    ],
)
def test_a_mistyped_command_is_told_the_nearest(
    capsys: pytest.CaptureFixture[str], line: str, hint: str
) -> None:
    assert main(line.split()) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert error.endswith(f": no command {line.split()[-1]!r}; {hint}\n")


@pytest.mark.parametrize("word", ["version", "-version", "--version"])
def test_the_version(capsys: pytest.CaptureFixture[str], word: str) -> None:
    assert main([word]) == 0
    assert capsys.readouterr().out == f"Misocoin version {VERSION}\n"


@pytest.mark.parametrize(
    ("line", "usage"),
    [
        ("help wallet", "Usage: misocoin wallet <command>"),
        ("help wallet send", "Usage: misocoin wallet send"),
        ("wallet help send", "Usage: misocoin wallet send"),
        ("help cli", "Usage: misocoin-cli"),
        ("help daemon", "Usage: misocoind"),
        ("help bench", "Usage: misocoin bench"),
    ],
)
def test_help_for_a_command(capsys: pytest.CaptureFixture[str], line: str, usage: str) -> None:
    assert main(line.split()) == 0
    assert capsys.readouterr().out.startswith(usage)


@pytest.mark.parametrize("is_missed_later", [False, True])
def test_a_missing_package_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, is_missed_later: bool
) -> None:
    def missing(*_: object) -> NoReturn:
        raise ModuleNotFoundError("No module named 'coincurve'", name="coincurve")

    module = SimpleNamespace(main=missing)
    find = (lambda _: module) if is_missed_later else missing
    monkeypatch.setattr("misocoin.__main__.import_module", find)
    assert main(["daemon"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("misocoin: the package coincurve is not installed here")
    assert error.count("\n") == 1


def test_a_daemon_starts_without_what_carries_calls() -> None:
    code = "import sys, misocoin.cli.daemon; sys.exit('requests' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_command_runs_with_the_rest_of_the_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cli", "-version"]) == 0
    assert "Misocoin command line tool version" in capsys.readouterr().out


def test_every_command_has_its_module() -> None:
    for module, _ in COMMANDS.values():
        assert find_spec(module) is not None


@pytest.mark.parametrize(
    "line",
    ["daemon", "mine", "work mine", "work do", "hashcash client", "hashcash mint", "market worker"],
)
def test_all_know_the_same_number_of_threads(capsys: pytest.CaptureFixture[str], line: str) -> None:
    assert main([*line.split(), "-threads=1025"]) in (1, 2)
    assert "threads=1025: write a number from 1 to 1024" in capsys.readouterr().err
