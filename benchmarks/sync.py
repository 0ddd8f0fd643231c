"""First sync, ours and a real bitcoind's, and how fast a block crosses a line of six of ours.

    [BITCOIND=/path/to/bitcoind] python benchmarks/sync.py [FILE.blk] [RUNS]

Sync: daemons that hold the chain in FILE (default ../shared/chains/regtest-182.blk, 80,000
signatures) give it over loopback to new ones: ours to ours, a bitcoind by REST to ours, a bitcoind
by P2P to a bitcoind. The time is from the call that names the peer to the last block's connection.
Beside it ours validates the same blocks from disk (`-loadblock`). All in turn.

Relay: six of our daemons in a line, 2,000 payments in all their mempools; the first mines them, and
the time until each of the others has connected the block is taken from their logs. Then single
payments, from the first one's answer to the last one's log.
"""

import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import NamedTuple

from misocoin.crypto.hashes import hash160
from misocoin.crypto.keys import PrivateKey
from misocoin.http.client import Bounds
from misocoin.http.jsonrpc import JsonRpcClient
from misocoin.params import regtest
from misocoin.primitives.transaction import Transaction, TxIn, TxOut, outpoint
from misocoin.script.address import address_from_script
from misocoin.script.signing import KeyRing, sign_transaction
from misocoin.script.templates import p2wpkh_script
from tests.functional.framework import daemon as framework
from tests.functional.framework.bitcoind import AS_IN_EARNEST, Bitcoind, named_bitcoind
from tests.functional.framework.daemon import ROOT, reserved_port, wait_until

DEFAULT_FILE = ROOT.parent / "shared" / "chains" / "regtest-182.blk"
PAYMENTS = 2000
HOPS = 5
KEY = PrivateKey(bytes(31) + b"\x09")
SCRIPT = p2wpkh_script(hash160(KEY.public_key))


class Taken(NamedTuple):
    """One first sync."""

    wall: float
    """Seconds by the clock."""
    cpu: float
    """Seconds of the taker's processor time, its start included."""


Daemon = framework.Daemon | Bitcoind


def processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def client_of(daemon: Daemon) -> JsonRpcClient:
    return daemon.client if isinstance(daemon, Bitcoind) else daemon.rpc.client


def from_peer(taker: Daemon, peer: str, height: int) -> Taken:
    """Start it, name it the peer, wait for the last block."""
    with closing(taker):
        client = client_of(taker.start())
        began = time.perf_counter()
        # Which bitcoind does at once; what is added waits for the turn of a thread, up to 2 s.
        client.call("addnode", peer, "onetry")
        client.call("waitforblockheight", height, 300_000)
        wall = time.perf_counter() - began
        if client.call("getblockcount") != height:
            sys.exit(f"no sync: {taker.log}")
        return Taken(wall, processor_seconds(taker.pid))


def from_disk(taker: framework.Daemon) -> Taken:
    with closing(taker):
        line = taker.start().log.wait_for(r"imported .* in ([\d.]+) s", 300)
        return Taken(float(line[1]), processor_seconds(taker.pid))


def measure_sync(path: Path, runs: int, base: Path) -> None:
    """Print the first table."""
    program = named_bitcoind()
    file = f"-loadblock={path}"
    numbers = iter(range(1_000))

    def ours(*options: str) -> framework.Daemon:
        return framework.Daemon(base / f"ours{next(numbers)}", "-gossip=0", *options)

    def theirs(*options: str) -> Bitcoind:
        assert program is not None
        # Old blocks would have it in its first sync for ever, where it gives nobody any.
        options = (*AS_IN_EARNEST, "-txindex=0", "-maxtipage=1000000000", *options)
        return Bitcoind(program, base / f"bitcoind{next(numbers)}", *options)

    with ExitStack() as held:
        source = held.enter_context(closing(ours(file))).start()
        found = source.log.wait_for(r"with (\d+) transactions in .*the tip is (\d+)", 300)
        transactions, height = int(found[1]), int(found[2])
        ways: dict[str, Callable[[], Taken]] = {
            "misocoin, from disk": lambda: from_disk(ours(file)),
            "misocoin, from misocoin": lambda: from_peer(
                ours(), f"127.0.0.1:{source.port}", height
            ),
        }
        if program is not None:
            port = held.enter_context(reserved_port())
            listen = ("-listen=1", f"-bind=127.0.0.1:{port}")
            rival = held.enter_context(closing(theirs(file, *listen))).start()
            wait_until(lambda: rival.call("getblockcount") == height, "the chain is loaded", 300)
            ways["misocoin, from bitcoind by REST"] = lambda: from_peer(
                ours(), rival.address, height
            )
            ways["bitcoind, from bitcoind by P2P"] = lambda: from_peer(
                theirs(), f"127.0.0.1:{port}", height
            )
        taken: dict[str, list[Taken]] = {name: [] for name in ways}
        for _ in range(runs):
            for name, way in ways.items():
                taken[name].append(way())
    print(f"first sync of {height} blocks, {transactions} transactions; medians of {runs} runs")
    print(f"{'':34}{'wall s':>8}{'CPU s':>8}{'tx/s':>9}{'/ from disk':>13}{'/ bitcoind':>12}")
    for name, each in taken.items():
        wall = statistics.median(one.wall for one in each)
        cpu = statistics.median(one.cpu for one in each)
        cells = f"{wall:8.2f}{cpu:8.2f}{transactions / wall:9,.0f}"
        for rival_name, width in (
            ("misocoin, from disk", 13),
            ("bitcoind, from bitcoind by P2P", 12),
        ):
            if rival_name in taken:
                cells += f"{ratio_of(each, taken[rival_name]):{width}.2f}"
        print(f"{name:34}{cells}")
    if program is None:
        print("bitcoind: not measured (name one in BITCOIND)")


def ratio_of(ones: Sequence[Taken], others: Sequence[Taken]) -> float:
    return statistics.median(a.wall / b.wall for a, b in zip(ones, others, strict=True))


# -- relay -------------------------------------------------------------------------------------


class Hop:
    """A daemon whose log lines are stamped as they come."""

    def __init__(self, folder: Path, port: int, *options: str) -> None:
        self.port, self.folder = port, folder
        self.lines: list[tuple[float, str]] = []
        self.is_over = False
        self._grown = threading.Condition()
        self._process = subprocess.Popen(
            [
                sys.executable, str(ROOT / "misocoind.py"), "-chain=regtest", f"-port={port}",
                f"-datadir={folder}", "-gossip=0", "-par=1", "-loglevel=info", *options,
            ],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self._process.stdout:
            with self._grown:
                self.lines.append((time.perf_counter(), line))
                self._grown.notify_all()
        self.is_over = True

    def wait_for(self, pattern: str, timeout: float = 100, start: int = 0) -> tuple[float, str]:
        """The first line with the pattern, and when it came."""
        deadline = time.monotonic() + timeout
        with self._grown:
            while True:
                for at, line in self.lines[start:]:
                    if re.search(pattern, line):
                        return at, line
                start = len(self.lines)
                self._grown.wait(1)
                if self.is_over or time.monotonic() > deadline:
                    sys.exit(f"no {pattern!r} from {self.port}: {self.lines[-5:]}")

    def rpc(self) -> JsonRpcClient:
        user, _, password = (self.folder / ".cookie").read_text("ascii").partition(":")
        return JsonRpcClient(
            f"http://127.0.0.1:{self.port}",
            (user, password),
            bounds=Bounds(read_seconds=300, total_seconds=300),
        )

    def close(self) -> None:
        self._process.terminate()
        self._process.wait()


def payments(client: JsonRpcClient) -> list[str]:
    """Make 2,000 payments that do not build on each other; raw hex."""
    params = regtest()
    address = address_from_script(SCRIPT, params)
    # One coinbase pays for all of them.
    (first,) = client.call("generate", 1, address)
    client.call("generate", 100)
    coinbase = client.call("get_block", first, 2)["tx"][0]
    value = round(coinbase["vout"][0]["value"] * 100_000_000)
    ring = KeyRing.build([KEY])
    point = outpoint(bytes.fromhex(coinbase["txid"])[::-1], 0)
    share = (value - 1_000_000) // PAYMENTS
    fan = Transaction.build(2, [TxIn(point)], [TxOut(share, SCRIPT)] * PAYMENTS)
    fan = sign_transaction(fan, [TxOut(value, SCRIPT)], ring)
    client.call("send_raw_tx", fan.serialize().hex())
    client.call("generate", 1)
    made = []
    for n in range(PAYMENTS):
        tx = Transaction.build(2, [TxIn(fan.outpoint(n))], [TxOut(share - 1000, SCRIPT)])
        made.append(sign_transaction(tx, [fan.vout[n]], ring).serialize().hex())
    return made


def quantile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def measure_relay(rounds: int, base: Path) -> None:
    """Print the second table."""
    with ExitStack() as held:
        ports = [held.enter_context(reserved_port()) for _ in range(HOPS + 1)]
        line = []
        for i, port in enumerate(ports):
            known = [f"-nodes=127.0.0.1:{ports[i - 1]}"] if i else []
            line.append(held.enter_context(closing(Hop(base / f"line{i}", port, *known))))
        line[0].wait_for("listening on")
        for daemon in line[1:]:
            daemon.wait_for("linked with")
        clients = [held.enter_context(closing(daemon.rpc())) for daemon in line]
        measure_line(rounds, line, clients)


def measure_line(rounds: int, line: Sequence[Hop], clients: Sequence[JsonRpcClient]) -> None:
    first = clients[0]
    hops: list[list[float]] = [[] for _ in range(HOPS)]
    for _ in range(rounds):
        raw = payments(first)
        for tx in raw:
            first.call("send_raw_tx", tx)
        while any(c.call("get_info")["mempool_transactions"] < PAYMENTS for c in clients):
            time.sleep(0.2)
        time.sleep(1)
        (block,) = first.call("generate", 1)
        begun, _ = line[0].wait_for(block)
        for hop, daemon in enumerate(line[1:]):
            hops[hop].append(daemon.wait_for(block)[0] - begun)
    print(f"\na block of {PAYMENTS} known transactions along a line, ms; {rounds} blocks")
    print(f"{'hop':>6}{'median':>10}{'95 %':>10}")
    for hop, times in enumerate(hops, 1):
        print(f"{hop:>6}{statistics.median(times) * 1e3:10.0f}{quantile(times, 0.95) * 1e3:10.0f}")
    each = [times / HOPS for times in hops[-1]]
    print(
        f"for each hop, ms: median {statistics.median(each) * 1e3:.0f}, "
        f"95 % {quantile(each, 0.95) * 1e3:.0f}   (aim: 100)"
    )
    delays = []
    for _ in range(20):
        txid = first.call("send_misocoin", address_from_script(SCRIPT, regtest()), 0.01)
        begun, _ = line[0].wait_for(txid)
        delays.append(line[-1].wait_for(txid)[0] - begun)
    print(
        f"\na payment across {HOPS} hops, ms: median {statistics.median(delays) * 1e3:.0f}, ",
        end="",
    )
    print(f"95 % {quantile(delays, 0.95) * 1e3:.0f}")


def main() -> None:
    """Print the tables."""
    path = Path(sys.argv[1]).absolute() if len(sys.argv) > 1 else DEFAULT_FILE
    runs = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    print(f"{os.cpu_count()} cores, all daemons on one machine")
    with tempfile.TemporaryDirectory() as folder:
        if path.exists():
            measure_sync(path, runs, Path(folder))
        else:
            print(f"{path} is missing: no first sync is measured")
        measure_relay(runs, Path(folder))


if __name__ == "__main__":
    main()
