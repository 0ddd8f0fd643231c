"""How fast each kernel searches each puzzle, beside hashlib and, where there are any, rivals.

    python benchmarks/engine.py [--seconds 1] [--rounds 9] [--no-opencl]

Rates are hashes per second of the processor's time spent in the searching thread, so that other
work on the machine takes less away; the OpenCL device's are by the wall clock. A "hash" of a header
or of Bitmessage is two digests. All contenders take turns in every round; shown are the medians of
the rounds and the ratio to the naive hashlib loop, which says what any script would get.

Then the engine that `auto` picks runs in one thread and in one for each core, in turn and by the
wall clock: what a second core adds.

Rivals, one thread each, by their own account: `hashcash -s` where it is on the PATH, and any miner
whose command line is in MISOCOIN_RIVAL_MINER, for example

    MISOCOIN_RIVAL_MINER="minerd -a sha256d --benchmark -t 1"

It runs for --seconds times --rounds and must print its rate as "12.3 Mhash/s" or "12.3 MH/s".
"""

import argparse
import hashlib
import os
import re
import shlex
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from misocoin.errors import ConfigError
from misocoin.pow.automatic import unsolvable_puzzle
from misocoin.pow.engine import Engine
from misocoin.pow.engines import engines, missing_native_notice, select_engine
from misocoin.pow.opencl import OpenClEngine
from misocoin.pow.puzzles import PuzzleKind

Search = Callable[[int], None]
"""Tries so many nonces."""

AIMS = {
    (PuzzleKind.HEADER, "best"): 30,
    (PuzzleKind.ROLLED_HEADER, "best"): 36,
    (PuzzleKind.BITMESSAGE, "best"): 9,
    (PuzzleKind.HASHCASH_SHA256, "best"): 15,
    (PuzzleKind.HEADER, "avx2"): 14,
    (PuzzleKind.HEADER, "portable"): 1,
    (PuzzleKind.BITMESSAGE, "portable"): 1,
    (PuzzleKind.HASHCASH_SHA256, "portable"): 1,
}
"""Ratios to hashlib that the engine is to reach on a core with SHA instructions."""


def naive_headers(count: int) -> None:
    header = bytes(76)
    for nonce in range(count):
        message = header + nonce.to_bytes(4, "little")
        digest = hashlib.sha256(hashlib.sha256(message).digest()).digest()
        if int.from_bytes(digest, "little") <= 0:
            raise SystemExit("solved the unsolvable")


def naive_bitmessage(count: int) -> None:
    initial_hash = bytes(64)
    for nonce in range(count):
        message = nonce.to_bytes(8, "big") + initial_hash
        digest = hashlib.sha512(hashlib.sha512(message).digest()).digest()
        if int.from_bytes(digest[:8], "big") <= 0:
            raise SystemExit("solved the unsolvable")


def naive_hashcash(digest: Callable[[bytes], "hashlib._Hash"]) -> Search:
    prefix = unsolvable_puzzle(PuzzleKind.HASHCASH_SHA256).message(0)[:-12]

    def search(count: int) -> None:
        for nonce in range(count):
            if not any(digest(prefix + b"%012x" % nonce).digest()[:8]):
                raise SystemExit("solved the unsolvable")

    return search


NAIVE: dict[PuzzleKind, Search] = {
    PuzzleKind.HEADER: naive_headers,
    PuzzleKind.ROLLED_HEADER: naive_headers,
    PuzzleKind.BITMESSAGE: naive_bitmessage,
    PuzzleKind.HASHCASH_SHA1: naive_hashcash(hashlib.sha1),
    PuzzleKind.HASHCASH_SHA256: naive_hashcash(hashlib.sha256),
}


def searching(engine: Engine, kind: PuzzleKind) -> Search:
    puzzle = unsolvable_puzzle(kind)
    return lambda count: engine.search(puzzle, 0, count) and None


def timed(search: Search, count: int, clock: Callable[[], float]) -> float:
    began = clock()
    search(count)
    return max(clock() - began, 1e-9)


def count_for(search: Search, seconds: float, clock: Callable[[], float]) -> int:
    count = 1024
    while (elapsed := timed(search, count, clock)) < seconds / 8:
        count *= 4
    return max(1, int(count * seconds / elapsed))


def clock_of(engine: Engine | None) -> Callable[[], float]:
    return time.perf_counter if isinstance(engine, OpenClEngine) else time.thread_time


def measure(contenders: list[Engine], kind: PuzzleKind, seconds: float, rounds: int) -> list[float]:
    """Median rates: of hashlib first, then of the contenders."""
    runs = [(NAIVE[kind], clock_of(None))]
    runs += [(searching(engine, kind), clock_of(engine)) for engine in contenders]
    counts = [count_for(search, seconds / rounds, clock) for search, clock in runs]
    rates: list[list[float]] = [[] for _ in runs]
    for _ in range(rounds):
        for (search, clock), count, taken in zip(runs, counts, rates, strict=True):
            taken.append(count / timed(search, count, clock))
    return [statistics.median(taken) for taken in rates]


def measure_threads(
    engine: Engine, kind: PuzzleKind, threads: int, seconds: float, rounds: int
) -> tuple[float, float]:
    """Median rates by the wall clock, of one thread and of so many."""
    search = searching(engine, kind)
    count = count_for(search, seconds / rounds, time.perf_counter)
    rates: dict[int, list[float]] = {1: [], threads: []}
    with ThreadPoolExecutor(threads) as crew:
        for _ in range(rounds):
            for number, taken in rates.items():
                began = time.perf_counter()
                list(crew.map(search, [count] * number))
                taken.append(number * count / (time.perf_counter() - began))
    return statistics.median(rates[1]), statistics.median(rates[threads])


def rival_miner(seconds: float) -> str:
    command = os.environ.get("MISOCOIN_RIVAL_MINER")
    if not command:
        return "no MISOCOIN_RIVAL_MINER is given"
    try:
        output = subprocess.run(
            shlex.split(command), capture_output=True, text=True, timeout=seconds
        ).stdout
    except subprocess.TimeoutExpired as expired:  # benchmarks of miners do not end by themselves
        parts = (expired.stdout or b"") + (expired.stderr or b"")
        output = parts.decode(errors="replace")
    found = re.findall(r"([\d.]+)\s*([kMG])(?:hash|H)/s", output)
    if not found:
        return f"{command}: printed no rate"
    factor = {"k": 1e3, "M": 1e6, "G": 1e9}
    rate = statistics.median(float(number) * factor[unit] for number, unit in found)
    return f"{command}: {rate / 1e6:.2f} M/s of double SHA-256"


def rival_hashcash() -> str:
    if shutil.which("hashcash") is None:
        return "no hashcash is on the PATH"
    result = subprocess.run(["hashcash", "-s"], capture_output=True, text=True)
    found = re.search(r"speed:\s*(\d+)", result.stdout + result.stderr)
    if found is None:
        return "hashcash -s: printed no rate"
    return f"hashcash -s: {int(found[1]) / 1e6:.2f} M/s of SHA-1"


def processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return "unknown processor"
    return next(
        (line.split(":")[1].strip() for line in text.splitlines() if line.startswith("model name")),
        "unknown processor",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=1.0, help="for each kernel and puzzle")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--no-opencl", action="store_true", help="leave the OpenCL device alone")
    options = parser.parse_args()
    contenders = list(engines())
    print(f"{processor()}, {missing_native_notice() or 'native module built'}")
    if not options.no_opencl:
        try:
            device = select_engine("opencl")
        except ConfigError as error:
            print(error)
        else:
            contenders.append(device)
            if isinstance(device, OpenClEngine):
                print(f"OpenCL device: {device.device}, by the wall clock")
    print(f"Median of {options.rounds} rounds; million hashes a second, and times hashlib\n")
    names = [engine.name for engine in contenders]
    print(f"{'':32}{'hashlib':>9}" + "".join(f"{name:>17}" for name in names))
    missed = []
    automatic = select_engine("auto")
    for kind in PuzzleKind:
        base, *rates = measure(contenders, kind, options.seconds, options.rounds)
        cells = [f"{rate / 1e6:9.2f} {rate / base:6.1f}x" for rate in rates]
        chosen = automatic.kernel(unsolvable_puzzle(kind))
        print(f"{kind.value:32}{base / 1e6:9.2f}{''.join(cells)}   auto: {chosen}", flush=True)
        ratios = {name: rate / base for name, rate in zip(names, rates, strict=True)}
        ratios["best"] = max(ratio for name, ratio in ratios.items() if name != "opencl")
        for (aimed_kind, name), aim in AIMS.items():
            if aimed_kind is kind and ratios.get(name, aim) < aim:
                missed.append(f"{kind.value}, {name}: {ratios[name]:.1f}x of {aim}x")
    print()
    cores = os.cpu_count() or 1
    for kind in PuzzleKind if cores > 1 else ():
        one, all_cores = measure_threads(automatic, kind, cores, options.seconds, options.rounds)
        print(
            f"{kind.value:32}{one / 1e6:9.2f} with 1 thread, {all_cores / 1e6:.2f} with {cores} "
            f"({all_cores / one:.2f}x)",
            flush=True,
        )
    print()
    for rival in (rival_miner(options.seconds * options.rounds), rival_hashcash()):
        print(f"Rival: {rival}")
    print("\nEvery aim is met." if not missed else "\nBelow the aim: " + "; ".join(missed))


if __name__ == "__main__":
    main()
