"""How long callers wait for an answer while the node mines.

    python benchmarks/responsiveness.py [SECONDS]

One daemon on chain miso, asked over a kept-open connection with pauses of random length, as people
and wallets do: first at rest, then with one thread that mines, then with one for each core. It has
mined for a while when the first answers are timed, as the very first blocks of a chain come many a
second. Aim: 50 ms at the 99th percentile while one thread mines.
"""

import os
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from misocoin.http.jsonrpc import JsonRpcClient
from tests.functional.framework.daemon import Daemon

AIM_MS = 50
PAUSE = 0.02
"""The longest pause between two calls, seconds."""

CALLS: tuple[tuple[str, tuple[Any, ...]], ...] = (
    ("uptime", ()),
    ("get_info", ()),
    ("get_block", (5, 2)),
    ("get_balance", ()),
)


def waits(client: JsonRpcClient, seconds: float) -> dict[str, list[float]]:
    """Milliseconds until each call was answered, by method."""
    taken: dict[str, list[float]] = {name: [] for name, _ in CALLS}
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for name, params in CALLS:
            time.sleep(random.uniform(0, PAUSE))
            began = time.perf_counter()
            client.call(name, *params)
            taken[name].append(1000 * (time.perf_counter() - began))
    return taken


def show(what: str, taken: dict[str, list[float]]) -> float:
    """Print a line for each method and for all; the 99th percentile of all."""
    everything = [ms for each in taken.values() for ms in each]
    for name, each in [*taken.items(), ("all", everything)]:
        hundredths = statistics.quantiles(each, n=100)
        median, p95, p99 = hundredths[49], hundredths[94], hundredths[98]
        longest = max(each)
        print(
            f"{what:28} {name:12} {len(each):6} {median:8.2f} {p95:8.2f} {p99:8.2f} {longest:8.2f}",
            flush=True,
        )
    return p99


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 20
    cores = os.cpu_count() or 1
    with tempfile.TemporaryDirectory() as folder:
        daemon = Daemon(Path(folder) / "node", "-mine=0", chain="miso").start()
        client = daemon.client()
        try:
            client.call("set_mining", True, 1)
            time.sleep(10)
            head = f"{'ms until the answer':28} {'':12} {'calls':>6} {'median':>8}"
            print(f"{head} {'95 %':>8} {'99 %':>8} {'longest':>8}")
            client.call("set_mining", False)
            show("at rest", waits(client, seconds))
            client.call("set_mining", True, 1)
            p99 = show("one thread mines", waits(client, seconds))
            info = client.call("get_mining_info")
            client.call("set_mining", True, cores)
            show(f"{cores} threads on {cores} cores mine", waits(client, seconds))
        finally:
            client.close()
            daemon.close()
    print(
        f"\n{info['kernel']}, {info['rolled_versions']} versions rolled, "
        f"{info['hashes_per_second'] / 1e6:.1f} MH/s with one thread; "
        f"aim of {AIM_MS} ms {'met' if p99 < AIM_MS else 'missed'}"
    )


if __name__ == "__main__":
    main()
