"""`python -m misocoin <command>`."""

from importlib.util import find_spec

import pytest

from misocoin.__main__ import COMMANDS, main


@pytest.mark.parametrize("words", [["help"], ["-h"], ["--help"]])
def test_help_lists_every_command(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    assert main(words) == 0
    shown = capsys.readouterr().out
    for name, (_, what) in COMMANDS.items():
        assert f"  {name}" in shown
        assert what in shown


@pytest.mark.parametrize("words", [[], ["nosuch"]])
def test_no_command_is_bad_usage(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    assert main(words) == 2
    assert "Usage: python -m misocoin" in capsys.readouterr().err


def test_an_unknown_command_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["walet"]) == 2
    assert capsys.readouterr().err.endswith("misocoin: no command 'walet'\n")


def test_a_missing_package_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(_module: str) -> None:
        raise ModuleNotFoundError("No module named 'coincurve'", name="coincurve")

    monkeypatch.setattr("misocoin.__main__.import_module", missing)
    assert main(["daemon"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("misocoin: the package coincurve is not installed here")
    assert error.count("\n") == 1


def test_a_command_runs_with_the_rest_of_the_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cli", "-version"]) == 0
    assert "Misocoin command line tool version" in capsys.readouterr().out


def test_every_command_has_its_module() -> None:
    for module, _ in COMMANDS.values():
        assert find_spec(module) is not None
