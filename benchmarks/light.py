"""A light wallet's first sync beside a full node's, from the same node over loopback.

    [BITCOIND=/path/to/bitcoind] python benchmarks/light.py [BLOCKS] [RUNS]

One daemon mines BLOCKS blocks on regtest (10,000 by default) and pays every hundredth to the
wallet's key. In each run a new wallet syncs from it, with one node and with two that it compares,
then with a real bitcoind alone, and a new daemon takes the whole chain. Beside it: what the phases
of the light sync cost, and how many bytes each keeps.
"""

import statistics
import sys
import tempfile
import time
from contextlib import ExitStack, closing
from pathlib import Path

from misocoin.crypto.hashes import hash160
from misocoin.crypto.keys import PrivateKey
from misocoin.http.client import HttpClient
from misocoin.params import regtest
from misocoin.script.address import address_from_script
from misocoin.script.templates import p2wpkh_script
from misocoin.wallet.light.headers import follow
from misocoin.wallet.light.ports import Watched
from misocoin.wallet.light.rest_node import RestNode
from misocoin.wallet.light.store import LightStore
from misocoin.wallet.light.sync import sync
from tests.functional.framework.bitcoind import AS_IN_EARNEST, Bitcoind, named_bitcoind
from tests.functional.framework.daemon import Daemon, wait_until
from tests.functional.framework.network import address, height

SCRIPT = p2wpkh_script(hash160(PrivateKey(bytes(31) + b"\x09").public_key))
STRANGER = "22" * 20
PAID = 100
"""One block in so many pays the wallet."""


class Keys:
    """One key of ours, and the lookahead of an account beside it."""

    def __init__(self) -> None:
        lookahead = [p2wpkh_script(bytes([n, 1]) * 10) for n in range(40)]
        self.watched = {script: Watched("bench") for script in (SCRIPT, *lookahead)}

    def note_used(self, scripts: object) -> None:
        """There is no account behind it."""


def mine(daemon: Daemon, blocks: int) -> None:
    """Mine on, every hundredth block to the wallet."""
    own = address_from_script(SCRIPT, regtest())
    for start in range(0, blocks, PAID):
        daemon.rpc.generate(1, own)
        daemon.rpc.generate(min(PAID, blocks - start) - 1, STRANGER)


def hand_over(daemon: Daemon, bitcoind: Bitcoind, blocks: int) -> None:
    """Give bitcoind the chain, and wait for its filters."""
    client = daemon.rpc.client
    for number in range(1, blocks + 1):
        raw = client.call("getblock", client.call("getblockhash", number), 0)
        bitcoind.call("submitblock", raw)
    name = "basic block filter index"
    wait_until(lambda: bitcoind.call("getindexinfo")[name]["synced"], "it has filters", 600)


def light_sync(path: Path, nodes: list[str], blocks: int) -> tuple[float, float, int]:
    """Seconds in all and for the headers alone, and bytes kept."""
    params = regtest()
    with closing(HttpClient()) as http, closing(LightStore(path, params)) as store:
        peers = [RestNode(each, http) for each in nodes]
        began = time.perf_counter()
        follow(peers[0], store, int(time.time()) + 7200)
        headers = time.perf_counter() - began
        report = sync(params, store, Keys(), peers, int(time.time()) + 7200)
        whole = time.perf_counter() - began
        if not report.is_complete or report.height != blocks or report.problems:
            sys.exit(f"the sync is not complete: {report}")
        if len(report.found) != (blocks + PAID - 1) // PAID:
            sys.exit(f"{len(report.found)} payments were found")
    return whole, headers, path.stat().st_size


def full_sync(folder: Path, source: Daemon, blocks: int) -> tuple[float, int]:
    """Seconds from the link to the tip, and bytes kept."""
    daemon = Daemon(folder, f"-nodes={address(source)}", "-gossip=0")
    daemon.start()
    began = time.perf_counter()
    wait_until(lambda: height(daemon) == blocks, "it has the chain", 600)
    seconds = time.perf_counter() - began
    daemon.stop()
    return seconds, (folder / "chain.sqlite").stat().st_size


def main() -> None:
    """Print the table."""
    blocks = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    runs = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    program = named_bitcoind()
    rows: dict[str, list[tuple[float, int]]] = {}
    with tempfile.TemporaryDirectory() as text, ExitStack() as held:
        base = Path(text)
        source, other = (
            held.enter_context(closing(Daemon(base / name, "-gossip=0"))).start()
            for name in ("one", "two")
        )
        mine(source, blocks)
        other.rpc.add_node(address(source))
        wait_until(lambda: height(other) == blocks, "the second node has the chain", 600)
        bitcoind = None
        if program is not None:
            options = (*AS_IN_EARNEST, "-blockfilterindex")
            bitcoind = held.enter_context(closing(Bitcoind(program, base / "bitcoind", *options)))
            hand_over(source, bitcoind.start(), blocks)
        for run in range(runs):
            one = light_sync(base / f"one{run}.sqlite", [address(source)], blocks)
            both = [address(source), address(other)]
            two = light_sync(base / f"two{run}.sqlite", both, blocks)
            measured = [
                ("headers alone, all rules checked", one[1], 0),
                ("light wallet, one node", one[0], one[2]),
                ("light wallet, two nodes compared", two[0], two[2]),
            ]
            if bitcoind is not None:
                real = light_sync(base / f"real{run}.sqlite", [bitcoind.address], blocks)
                measured.append(("light wallet, one bitcoind", real[0], real[2]))
            measured.append(("full node", *full_sync(base / f"full{run}", source, blocks)))
            for name, seconds, size in measured:
                rows.setdefault(name, []).append((seconds, size))
    print(f"first sync of {blocks} blocks on loopback; medians of {runs} runs")
    print(f"{'':36}{'seconds':>10}{'blocks/s':>10}{'kept, MB':>10}")
    medians = {name: statistics.median(s for s, _ in given) for name, given in rows.items()}
    for name, given in rows.items():
        size = f"{statistics.median(s for _, s in given) / 1e6:.1f}" if given[0][1] else ""
        print(f"{name:36}{medians[name]:10.2f}{blocks / medians[name]:10.0f}{size:>10}")
    ratio = medians["full node"] / medians["light wallet, one node"]
    print(f"{'full node / light wallet':36}{ratio:10.1f}")
    if program is None:
        print("bitcoind: not measured (name one in BITCOIND)")


if __name__ == "__main__":
    main()
