"""First sync between two daemons, and how fast a block crosses a line of six.

    python benchmarks/sync.py [FILE.blk] [RUNS]

Sync: one daemon holds the chain in FILE (default ../shared/chains/regtest-182.blk, 80,000
signatures); another fetches it over loopback. Beside it the same blocks are validated from disk
(`-loadblock`) by a third, in turn; the ratio of the two wall times is what the network costs.

Relay: six daemons in a line, 2,000 payments in all their mempools; the first mines them, and the
time until each of the others has connected the block is taken from their logs. Then single
payments, from the first one's answer to the last one's log.
"""

import atexit
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from misocoin.crypto.hashes import hash160  # noqa: E402
from misocoin.crypto.keys import PrivateKey  # noqa: E402
from misocoin.http.client import Bounds  # noqa: E402
from misocoin.http.jsonrpc import JsonRpcClient  # noqa: E402
from misocoin.params import regtest  # noqa: E402
from misocoin.primitives.transaction import Transaction, TxIn, TxOut, outpoint  # noqa: E402
from misocoin.script.address import address_from_script  # noqa: E402
from misocoin.script.signing import KeyRing, sign_transaction  # noqa: E402
from misocoin.script.templates import p2wpkh_script  # noqa: E402

DEFAULT_FILE = ROOT.parent / "shared" / "chains" / "regtest-182.blk"
PAYMENTS = 2000
HOPS = 5
KEY = PrivateKey(bytes(31) + b"\x09")
SCRIPT = p2wpkh_script(hash160(KEY.public_key))


class Daemon:
    """A process whose log lines are stamped as they come."""

    def __init__(self, folder: Path, port: int, *options: str) -> None:
        self.port, self.folder = port, folder
        self.lines: list[tuple[float, str]] = []
        self.is_over = False
        self._grown = threading.Condition()
        self._process = subprocess.Popen(
            [
                sys.executable, str(ROOT / "misocoind.py"), "-chain=regtest", f"-port={port}",
                f"-datadir={folder}", "-gossip=0", *options,
            ],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        atexit.register(self._process.kill)
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

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()


def measure_sync(path: Path, runs: int, base: Path) -> None:
    """Print the first table."""
    source = Daemon(base / "source", 4801, f"-loadblock={path}")
    source.wait_for("imported")
    disk, net = [], []
    blocks = transactions = 0
    for run in range(runs):
        loader = Daemon(base / f"disk{run}", 4802, f"-loadblock={path}")
        _, line = loader.wait_for("imported")
        found = re.search(r"(\d+) transactions in ([\d.]+) s .*the tip is (\d+)", line)
        transactions, blocks = int(found[1]), int(found[3])
        disk.append(float(found[2]))
        loader.stop()
        taker = Daemon(base / f"net{run}", 4803, "-nodes=127.0.0.1:4801")
        begun, _ = taker.wait_for("linked with")
        ended, line = taker.wait_for(rf"synced \d+ blocks in .* up to {blocks},")
        net.append(ended - begun)
        taker.stop()
    source.stop()
    wall = statistics.median(net)
    print(f"first sync of {blocks} blocks, {transactions} transactions; medians of {runs} runs")
    print(f"{'from disk (-loadblock)':34}{statistics.median(disk):9.2f} s")
    print(f"{'from another node, on loopback':34}{wall:9.2f} s")
    ratio = statistics.median(n / d for n, d in zip(net, disk, strict=True))
    print(f"{'network / disk':34}{ratio:9.2f}   (aim: at most 1.3)")
    print(f"{'blocks a second':34}{blocks / wall:9.0f}")
    print(f"{'transactions a second':34}{transactions / wall:9.0f}")


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
    line: list[Daemon] = []
    for i in range(HOPS + 1):
        known = [f"-nodes=127.0.0.1:{4810 + i - 1}"] if i else []
        line.append(Daemon(base / f"line{i}", 4810 + i, "-par=1", "-loglevel=info", *known))
    for daemon in line[1:]:
        daemon.wait_for("linked with")
    clients = [daemon.rpc() for daemon in line]
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
    for client in clients:
        client.close()
    for daemon in line:
        daemon.stop()


def main() -> None:
    """Print the tables."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_FILE
    runs = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    print(f"{os.cpu_count()} cores, all daemons on one machine")
    with tempfile.TemporaryDirectory() as folder:
        if path.exists():
            measure_sync(path, runs, Path(folder))
        else:
            print(f"{path} is missing: no first sync is measured")
        measure_relay(runs, Path(folder))


if __name__ == "__main__":
    main()
