"""The command `bench`: how fast this machine searches for proof of work, and what `auto` picks.

    misocoin bench [-seconds=0.3] [-engine=NAME]

Rates are of one thread; several threads multiply them by the cores they find.
"""

import math
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from misocoin.cli.command import Command, run_group
from misocoin.errors import ConfigError
from misocoin.options import Option, choice_of
from misocoin.pow.automatic import unsolvable_puzzle
from misocoin.pow.engine import Engine
from misocoin.pow.engines import ENGINE_NAMES, engines, missing_native_notice, select_engine
from misocoin.pow.measure import measure_rate
from misocoin.pow.puzzles import PuzzleKind

UNITS = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; returns the exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    return run_group("misocoin", (COMMAND,), ("bench", *words))


def _bench(values: Mapping[str, Any], _words: tuple[str, ...]) -> int:
    _print_table(values["engine"], values["seconds"])
    return 0


def _print_table(name: str | None, seconds: float) -> None:
    notice = missing_native_notice()
    if notice is not None:
        print(notice, file=sys.stderr)
    measured = _all_engines() if name is None else (select_engine(name),)
    automatic = select_engine("auto")
    titles = [engine.name for engine in measured]
    if name is None:
        titles.append("auto picks")
    print("Hashes a second on one thread (a Bitmessage or header hash is two digests)\n")
    print(f"{'':32}" + "".join(f"{title:>12}" for title in titles), flush=True)
    for kind in PuzzleKind:
        print(f"{kind.value:32}", end="", flush=True)
        for engine in measured:
            rate = measure_rate(engine, kind, seconds, time.perf_counter)
            print(f"{_rate_text(rate):>12}", end="", flush=True)
        chosen = automatic.kernel(unsolvable_puzzle(kind)) if name is None else ""
        print(f"{chosen:>12}" if chosen else "", flush=True)


def _all_engines() -> tuple[Engine, ...]:
    try:
        return (*engines(), select_engine("opencl"))
    except ConfigError:
        return engines()


def _rate_text(rate: float) -> str:
    for size, unit in UNITS:
        if rate >= size:
            return f"{rate / size:.2f} {unit}"
    return f"{rate:.0f}"


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= 3600:
        raise ValueError("write a number of seconds, more than 0 and at most 3600")
    return seconds


COMMAND = Command(
    "bench",
    "Measure the search for proof of work.",
    _bench,
    (
        Option(
            "seconds", "Search", "For each engine and puzzle.", _seconds, 0.3, placeholder="s"
        ),
        Option(
            "engine", "Search", f"Only this one: {', '.join(ENGINE_NAMES)}. Without it all are "
            "measured.", choice_of(*ENGINE_NAMES), placeholder="name",
        ),
    ),
)  # fmt: skip
