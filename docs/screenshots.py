"""Take a picture of every page: light and dark, phone and desktop.

    PYTHONPATH=. python docs/screenshots.py FOLDER

A node of chain miso and three beside it live for a while, with payments at several fee rates and
branches that lose. Their clocks are turned on from block to block, so that the blocks lie as far
apart as they should.
"""

import random
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from misocoin.cli.progress import Progress
from misocoin.config import daemon_config
from misocoin.http.jsonrpc import JsonRpcClient
from misocoin.mining.miner import generate_blocks
from misocoin.node import Node
from misocoin.testing.daemon import Rpc, wait_until
from tests.functional.framework.chromium import DESKTOP, PHONE, Chromium, open_chromium

BLOCKS = 190
"""Mined before the picture, 110 of them before there is money to spend."""

SPACING = 30
"""Seconds between blocks, on average."""

PAYEES = ("22" * 20, "33" * 20, "44" * 20, "55" * 20)
"""Who is paid, by the hash of his key."""

FEE_RATES = ("0.00001", "0.00002", "0.00005", "0.0002", "0.0011")
"""Coins per 1,000 virtual bytes."""


class Place:
    """A node of the picture."""

    def __init__(self, folder: Path, *options: str) -> None:
        words = ["-chain=miso", "-mine=0", "-port=0", f"-datadir={folder}", *options]
        self.node = Node(daemon_config(words, {})[0], Progress)
        self.node.start()
        self.port = self.node.server.address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        user, _, password = (folder / ".cookie").read_text("ascii").partition(":")
        self._client = JsonRpcClient(self.url, (user, password))
        self.rpc = Rpc(self._client)

    def mine(self) -> None:
        """Find a block at once."""
        node = self.node
        pool, script, options = node.pool.mempool, node.wallet.script, node.template_options
        generate_blocks(node.chain, pool, node.engine, script, 1, options)

    def stop(self) -> None:
        """End it."""
        self._client.close()
        self.node.stop()


@contextmanager
def lively_nodes(folder: Path) -> Iterator[Place]:
    """The node whose pages are shown, with a chain behind it and another node beside it."""
    one = Place(folder / "one", "-addressindex", "-txindex")
    others = [
        Place(folder / f"other{number}", f"-nodes=127.0.0.1:{one.port}") for number in range(3)
    ]
    try:
        live(one, others)
        yield one
    finally:
        for each in (*others, one):
            each.stop()


def live(one: Place, others: Sequence[Place]) -> None:
    """Give the chain some history."""
    chance = random.Random(1)  # noqa: S311 - the same pictures each time
    waits = [1 + round(chance.expovariate(1 / SPACING)) for _ in range(BLOCKS)]
    now = int(time.time()) - sum(waits) - 12

    def mine(blocks: int) -> None:
        nonlocal now
        for _ in range(blocks):
            now += waits.pop()
            for each in (one, *others):
                each.node.clock.set_mock(now)
            one.mine()

    def pay(payments: int) -> None:
        for _ in range(payments):
            amount = f"{chance.lognormvariate(0, 1):.4f}"
            one.rpc.send_misocoin(chance.choice(PAYEES), amount, chance.choice(FEE_RATES))

    def meet() -> None:
        wait_until(
            lambda: len({each.node.chain.tip.hash for each in (one, *others)}) == 1,
            "all nodes are level",
        )

    mine(110)
    while len(waits) > 20:
        pay(chance.randrange(6))
        mine(1)
    meet()
    for lost, kept in ((1, 2), (3, 4)):  # branches that lose
        mine(lost)
        stale = one.rpc.getblockhash(one.rpc.getblockcount() - lost + 1)
        one.rpc.invalidateblock(stale)
        mine(kept)
        one.rpc.reconsiderblock(stale)
    while waits:
        pay(chance.randrange(6))
        mine(1)
    meet()
    pay(14)
    for each in (one, *others):
        each.node.clock.set_mock(None)


def pages(node: Place) -> dict[str, str]:
    """Every page's path by the name of its picture."""
    tip = node.rpc.getblockcount()
    hashes = [node.rpc.getblockhash(height) for height in range(tip, tip - 30, -1)]
    block = max((node.rpc.get_block(each, 1) for each in hashes), key=lambda each: len(each["tx"]))
    return {
        "overview": "/",
        "blocks": "/blocks",
        "block": f"/block/{block['hash']}",
        "transaction": f"/tx/{block['tx'][-1]}",
        "address": f"/address/{PAYEES[0]}",
        "charts": "/charts",
        "forks": "/forks",
        "peers": "/peers",
        "nothing": "/search?q=nothing",
        "login": "/login",
        **{
            path[1:]: path
            for path in ("/wallet", "/send", "/receive", "/history", "/names", "/keys", "/machine")
        },
    }


def photograph(chromium: Chromium, node: Place, folder: Path) -> None:
    """Take the pictures."""
    for size_name, size in (("desktop", DESKTOP), ("phone", PHONE)):
        for scheme in ("light", "dark"):
            with chromium.window(size, scheme) as window:
                window.page.goto(f"{node.url}/login")
                window.page.get_by_label("Login code").fill(node.rpc.login_code()["code"])
                window.page.get_by_role("button", name="Log in with the code").click()
                for name, path in pages(node).items():
                    window.page.goto(node.url + path)
                    window.page.wait_for_timeout(400)
                    window.page.screenshot(
                        path=folder / f"{name}-{size_name}-{scheme}.png", full_page=True
                    )


def main() -> None:
    """Take the pictures."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as place,
        lively_nodes(Path(place)) as node,
        open_chromium() as chromium,
    ):
        photograph(chromium, node, folder)


if __name__ == "__main__":
    main()
