"""Commands with commands of their own: `misocoin wallet send …`, `misocoin work serve …`.

A group is a tuple of `Command`; `run_group` finds the one that is named, reads its options from
the command line and the environment (`MISOCOIN_NAME`), and turns what it raises into one line on
standard error. Exit codes: 0, 1 for an error, 2 where the call itself is wrong, 130 after Ctrl-C.
"""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from misocoin.cli.output import run_printing
from misocoin.errors import ConfigError, MisocoinError
from misocoin.options import (
    Kind,
    Option,
    Words,
    flag_from_text,
    help_text,
    resolve,
    values_from_arguments,
    values_from_environment,
)
from misocoin.spelling import suggestion

HELP = Option("help", "General", "print this and exit", flag_from_text, False, Kind.FLAG)
"""Every command has it; `-h` says the same."""


class UsageError(MisocoinError):
    """A command was called in a way that cannot be right."""


@dataclass(frozen=True, slots=True)
class Command:
    """One command of a group."""

    name: str
    summary: str
    """What it does, in one sentence."""
    run: Callable[[Mapping[str, Any], tuple[str, ...]], int]
    """Takes the value of every option and the words; returns the exit code."""
    options: tuple[Option, ...] = ()
    words: str = ""
    """The words it takes, as usage shows them: `<name> <amount>`."""
    fewest: int = 0
    """How many words it takes at least."""
    most: int | None = 0
    """How many words it takes at most; None where there is no limit."""


def run_group(program: str, commands: Sequence[Command], arguments: Sequence[str]) -> int:
    """Run the command that the first word names; returns the exit code.

    `program` is what stands before the command in usage and errors: `misocoin wallet`.
    """
    return run_printing(program, lambda: _run_told(program, commands, arguments))


def _run_told(program: str, commands: Sequence[Command], arguments: Sequence[str]) -> int:
    try:
        return _run(program, commands, arguments)
    except (ConfigError, UsageError) as error:
        return _complain(program, error, 2)
    except MisocoinError as error:
        return _complain(program, error, 1)
    except KeyboardInterrupt:
        return 130


def _complain(program: str, error: MisocoinError, code: int) -> int:
    print(f"{program}: {' '.join(str(error).split())}", file=sys.stderr)
    return code


def _run(program: str, commands: Sequence[Command], arguments: Sequence[str]) -> int:
    name, rest = (arguments[0], arguments[1:]) if arguments else ("", ())
    if name == "help" and rest:
        name, rest = rest[0], ("-help",)
    if name in {"-h", "-help", "--help", "help"}:
        print(_overview(program, commands), end="")
        return 0
    command = next((command for command in commands if command.name == name), None)
    if command is None:
        names = [command.name for command in commands]
        if name:
            hint = suggestion(name, names, f"{program} -help lists them")
            raise UsageError(f"no command {name[:40]!r}{hint}")
        print(_overview(program, commands), end="", file=sys.stderr)
        raise UsageError("which command?")
    table = (*command.options, HELP)
    words = ["-help" if word == "-h" else word for word in rest]
    line = values_from_arguments(words, table, Words.SPACED)
    values = resolve(table, ("-", line.values), ("MISOCOIN_", _environment(table)))
    if values["help"]:
        print(
            f"Usage: {_usage(program, command)}\n\n{command.summary}\n\n{help_text(table)}", end=""
        )
        return 0
    count = len(line.words)
    if count < command.fewest or (command.most is not None and count > command.most):
        raise UsageError(f"usage: {_usage(program, command)}")
    return command.run(values, line.words)


def _environment(table: Sequence[Option]) -> dict[str, list[str]]:
    return values_from_environment(os.environ, [option for option in table if option is not HELP])


def _usage(program: str, command: Command) -> str:
    return " ".join(filter(None, (program, command.name, "[options]", command.words)))


def _overview(program: str, commands: Sequence[Command]) -> str:
    lines = [f"Usage: {program} <command> [options]", ""]
    width = max(len(command.name) for command in commands) + 2
    lines += [f"  {command.name:{width}}{command.summary}" for command in commands]
    lines += ["", f"{program} <command> -help tells a command's options."]
    return "\n".join(lines) + "\n"
