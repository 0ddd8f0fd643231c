"""What the pages cost: their time and size over a long chain, and what they leave of JSON-RPC.

    python benchmarks/pages.py [BLOCKS] [SECONDS]

A regtest chain of BLOCKS (10,000) with 200 transactions waiting. Time is between the last byte of
a request and the last of its answer on a kept-open connection: the median and the slowest of 40,
the first one beside them, since later ones find what it has made. Then calls a second of `uptime`
to two new daemons side by side, one with `-web=1` and one with `-web=0`, in turn.
"""

import http.client
import statistics
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.rpc import calls_a_second, request_for
from tests.functional.framework.daemon import Daemon

PAYMENTS = 200
ROUNDS = 40


def grow(daemon: Daemon, blocks: int) -> None:
    """Give it the chain and what waits."""
    daemon.rpc.generate(101)
    each = daemon.rpc.get_new_address()
    daemon.rpc.send_many({daemon.rpc.get_new_address(): "0.1" for _ in range(PAYMENTS)})
    daemon.rpc.generate(blocks - 101)
    for _ in range(PAYMENTS):
        daemon.rpc.send_misocoin(each, "0.01")


def measure(daemon: Daemon, path: str) -> tuple[list[float], int]:
    """Milliseconds of each round, and the page's bytes."""
    connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=120)
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        connection.request("GET", path, headers={"Accept": "text/html"})
        answer = connection.getresponse()
        body = answer.read()
        times.append((time.perf_counter() - began) * 1e3)
        if answer.status != 200:
            sys.exit(f"{path}: {answer.status}")
    connection.close()
    return times, len(body)


def compare_rpc(folder: Path, seconds: float) -> None:
    """Calls a second with and without pages, in turn."""
    call = {"id": 1, "method": "uptime", "params": []}
    daemons = {name: Daemon(folder / name[1:], name).start() for name in ("-web=1", "-web=0")}
    rates: dict[str, list[float]] = {name: [] for name in daemons}
    for _ in range(9):
        for name, daemon in daemons.items():
            cookie = (daemon.folder / ".cookie").read_text("ascii")
            request = request_for(daemon.port, call, cookie)
            rates[name].append(calls_a_second(daemon.port, request, 1, seconds))
    for daemon in daemons.values():
        daemon.stop()
    print(f"\n{'uptime, calls a second':24}{'median':>10}")
    for name, found in rates.items():
        print(f"{name:24}{statistics.median(found):10.0f}")
    ratio = statistics.median(a / b for a, b in zip(*rates.values(), strict=True))
    print(f"{'-web=1 / -web=0':24}{ratio:10.2f}")


def main() -> None:
    """Print the tables."""
    blocks = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 2
    with tempfile.TemporaryDirectory() as folder:
        shown = Daemon(Path(folder) / "shown", "-addressindex").start()
        try:
            grow(shown, blocks)
            miner = shown.rpc.get_block(1, 2)["tx"][0]["vout"][0]["scriptPubKey"]["address"]
            print(f"{blocks} blocks, {len(shown.rpc.getrawmempool())} transactions wait")
            print(f"{'page':24}{'first':>8}{'median':>8}{'most':>8} ms{'bytes':>10}")
            for path in (
                "/", "/blocks", "/block/50", "/charts", "/forks", "/peers", f"/address/{miner}",
            ):  # fmt: skip
                times, size = measure(shown, path)
                first, rest = times[0], times[1:]
                print(
                    f"{path[:23]:24}{first:8.1f}{statistics.median(rest):8.1f}{max(rest):8.1f}   "
                    f"{size:10,}",
                    flush=True,
                )
        finally:
            shown.close()
        compare_rpc(Path(folder), seconds)


if __name__ == "__main__":
    main()
