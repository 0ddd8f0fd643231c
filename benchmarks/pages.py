"""What the pages cost: their time and size over a long chain, and what they leave of JSON-RPC.

    python benchmarks/pages.py [BLOCKS] [TURNS]

A regtest chain of BLOCKS (10,000; 0 leaves the pages out) with 200 transactions waiting. Time is
between the last byte of a request and the last of its answer on a kept-open connection: the median
and the slowest of 40, the first one beside them, since later ones find what it has made.

Then what JSON-RPC loses: three new daemons side by side, one with `-web=1` and two with `-web=0`,
the second of which tells how far equal daemons are apart. One client asks each for CALLS answers in
turn, TURNS (300) times in an order that turns, so that whatever else the machine does hits all of
them alike. What is compared are microseconds of wall time and of the daemon's processor time a
call, turn by turn: the median of the ratios to the first `-web=0`, and their middle half.
"""

import http.client
import socket
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from benchmarks.rpc import exchange, request_for
from tests.functional.framework.daemon import Daemon

PAYMENTS = 200
ASKED = 40
CALLS = 100


def grow(daemon: Daemon, blocks: int) -> None:
    """Give it the chain and what waits."""
    daemon.rpc.generate(101)
    each = daemon.rpc.get_new_address()
    daemon.rpc.send_many({daemon.rpc.get_new_address(): "0.1" for _ in range(PAYMENTS)})
    for at in range(101, blocks, 500):
        daemon.rpc.generate(min(500, blocks - at))
    for _ in range(PAYMENTS):
        daemon.rpc.send_misocoin(each, "0.01")


def measure(daemon: Daemon, path: str) -> tuple[list[float], int]:
    """Milliseconds of each round, and the page's bytes."""
    connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=120)
    times = []
    for _ in range(ASKED):
        began = time.perf_counter()
        connection.request("GET", path, headers={"Accept": "text/html"})
        answer = connection.getresponse()
        body = answer.read()
        times.append((time.perf_counter() - began) * 1e3)
        if answer.status != 200:
            sys.exit(f"{path}: {answer.status}")
    connection.close()
    return times, len(body)


class Asked(NamedTuple):
    """A daemon that is called."""

    daemon: Daemon
    connection: socket.socket
    wall: list[float]
    """Microseconds a call, of each turn."""
    cpu: list[float]
    """Of them the daemon's processor time."""

    def turn(self, request: bytes) -> None:
        """Call it, and note what that took."""
        wall, cpu = time.perf_counter(), cpu_seconds(self.daemon.pid)
        for _ in range(CALLS):
            exchange(self.connection, request)
        self.wall.append((time.perf_counter() - wall) / CALLS * 1e6)
        self.cpu.append((cpu_seconds(self.daemon.pid) - cpu) / CALLS * 1e6)


def cpu_seconds(pid: int) -> float:
    """Processor time of all threads of a process, as Linux numbers its clocks."""
    return time.clock_gettime(~pid << 3 | 2)


def compare_rpc(folder: Path, turns: int) -> None:
    """Calls with and without pages, in turn."""
    names = ("-web=1", "-web=0", "-web=0, another")
    daemons = [Daemon(folder / f"node{n}", name[:6]).start() for n, name in enumerate(names)]
    print(f"\n{'us a call: wall and processor time':38}{'median':>8}{'to -web=0':>11}  middle half")
    for method in ("uptime", "get_info"):
        asked = [
            Asked(each, socket.create_connection(("127.0.0.1", each.port)), [], [])
            for each in daemons
        ]
        call = {"id": 1, "method": method, "params": []}
        requests = [request_for(each.port, call, ":".join(each.credentials)) for each in daemons]
        order = list(zip(asked, requests, strict=True))
        for _ in range(turns):
            for each, request in order:
                each.turn(request)
            order = [*order[1:], order[0]]
        for name, each in zip(names, asked, strict=True):
            for kind in ("wall", "cpu"):
                print_row(f"{method}, {kind}, {name}", getattr(each, kind), getattr(asked[1], kind))
            each.connection.close()
    for daemon in daemons:
        daemon.stop()


def print_row(name: str, found: list[float], others: list[float]) -> None:
    """A line of the table; the one that is compared with has no ratio."""
    low, ratio, high = statistics.quantiles(
        [a / b for a, b in zip(found, others, strict=True)], n=4
    )
    spread = "" if found is others else f"{ratio:11.3f}  {low:.3f} to {high:.3f}"
    print(f"{name:38}{statistics.median(found):8.1f}{spread}", flush=True)


def show_pages(folder: Path, blocks: int) -> None:
    """Time and size of the pages."""
    shown = Daemon(folder / "shown", "-addressindex").start()
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


def main() -> None:
    """Print the tables."""
    blocks = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    turns = int(sys.argv[2]) if len(sys.argv) > 2 else 300
    with tempfile.TemporaryDirectory() as folder:
        if blocks:
            show_pages(Path(folder), blocks)
        compare_rpc(Path(folder), turns)


if __name__ == "__main__":
    main()
