"""The command `bench`: how fast this machine searches for proof of work, and what `auto` picks.

    python -m misocoin bench [--seconds 0.3] [--engine NAME]

Rates are of one thread; several threads multiply them by the cores they find.
"""

import argparse
import sys
import time
from collections.abc import Sequence

from misocoin.errors import ConfigError, MisocoinError
from misocoin.pow.automatic import unsolvable_puzzle
from misocoin.pow.engine import Engine
from misocoin.pow.engines import ENGINE_NAMES, engines, missing_native_notice, select_engine
from misocoin.pow.measure import measure_rate
from misocoin.pow.puzzles import PuzzleKind

UNITS = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m misocoin bench", description="Measure the search for proof of work."
    )
    parser.add_argument(
        "--seconds", type=_seconds, default=0.3, help="for each engine and puzzle (0.3)"
    )
    parser.add_argument(
        "--engine", choices=ENGINE_NAMES, help="only this one; without it all there are"
    )
    options = parser.parse_args(arguments)
    try:
        _print_table(options.engine, options.seconds)
    except MisocoinError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, BrokenPipeError):
        return 130
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
    seconds = float(text)
    if not 0 < seconds <= 3600:
        raise argparse.ArgumentTypeError("a time is more than 0 and at most 3600 seconds")
    return seconds
