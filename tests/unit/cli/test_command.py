"""Commands with commands of their own: words, options anywhere, errors and exit codes."""

import sys
from collections.abc import Mapping
from typing import Any

import pytest

from misocoin.cli.command import Command, run_group
from misocoin.errors import NotFoundError
from misocoin.options import Kind, Option, flag_from_text, integer_between


def _send(options: Mapping[str, Any], words: tuple[str, ...]) -> int:
    line = (options["fee"], options["all"], options["node"], *words)
    sys.stdout.write(" ".join(map(str, line)))
    sys.stdout.write("\n")
    return 0


def _fail(_options: Mapping[str, Any], _words: tuple[str, ...]) -> int:
    raise NotFoundError("no such\nname")


def _interrupted(_options: Mapping[str, Any], _words: tuple[str, ...]) -> int:
    raise KeyboardInterrupt


GROUP = (
    Command(
        "send",
        "Send coins.",
        _send,
        (
            Option("fee", "Fees", "rate", integer_between(1, 9), 3),
            Option("all", "Fees", "everything", flag_from_text, False, Kind.FLAG),
            Option("node", "Net", "which", default=(), kind=Kind.LIST),
        ),
        "<from> <amount> [<to>]",
        2,
        3,
    ),
    Command("fail", "Fail.", _fail),
    Command("wait", "Wait.", _interrupted),
)


@pytest.mark.parametrize(
    ("line", "printed"),
    [
        ("send rob 10", "3 False () rob 10"),
        ("send rob 10 amy -fee 5 -all", "5 True () rob 10 amy"),
        ("send -fee=5 rob --all 10", "5 True () rob 10"),
        ("send rob -node a,b -node=c 10", "3 False ('a', 'b', 'c') rob 10"),
        ("send -all -- rob -fee", "3 True () rob -fee"),
        ("send rob 10 -all -noall", "3 False () rob 10"),
    ],
)
def test_options_stand_anywhere(
    line: str, printed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_group("m", GROUP, line.split()) == 0
    assert capsys.readouterr().out.strip() == printed


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("", 2, "m: which command?"),
        ("sned", 2, "m: no command 'sned'"),
        ("send rob", 2, "m: usage: m send [options] <from> <amount> [<to>]"),
        ("send rob 1 amy joe", 2, "m: usage: m send"),
        ("send rob 10 -fee", 2, "m: -fee needs a value: write -fee=<value>"),
        ("send rob 10 -fee 10", 2, "m: -fee=10: write a number from 1 to 9"),
        ("send rob 10 -fe=2", 2, "m: unknown option -fe; did you mean -fee?"),
        ("fail", 1, "m: no such name"),
        ("wait", 130, ""),
    ],
)
def test_errors_are_one_line_and_a_code(
    line: str, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_group("m", GROUP, line.split()) == code
    error = capsys.readouterr().err.strip()
    assert error.rsplit("\n", 1)[-1].startswith(said)


def test_an_option_may_come_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MISOCOIN_FEE", "7")
    assert run_group("m", GROUP, ["send", "rob", "1"]) == 0
    assert run_group("m", GROUP, ["send", "rob", "1", "-fee=8"]) == 0
    assert capsys.readouterr().out.splitlines() == ["7 False () rob 1", "8 False () rob 1"]


@pytest.mark.parametrize("word", ["-h", "-help", "--help"])
def test_help_goes_to_standard_output(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_group("m", GROUP, [word]) == 0
    assert "  send  Send coins.\n  fail  Fail.\n" in capsys.readouterr().out
    assert run_group("m", GROUP, ["send", word]) == 0
    assert "-fee=<value>" in capsys.readouterr().out


def test_a_long_name_stands_apart_from_its_summary(capsys: pytest.CaptureFixture[str]) -> None:
    group = (Command("send", "Send coins.", _send), Command("x" * 17, "Cross it out.", _fail))
    run_group("m", group, ["help"])
    assert f"  send{' ' * 15}Send coins.\n  {'x' * 17}  Cross it out.\n" in capsys.readouterr().out
