"""Take a picture of every page: light and dark, phone and desktop.

    PYTHONPATH=. python docs/screenshots.py FOLDER

A node of chain miso and three beside it live for a while, with payments at several fee rates and
branches that lose. Their clocks are turned on from block to block, so that the blocks lie as far
apart as they should. Beside them a work service has miners, a market trades, and a young node shows
pages with little on them.
"""

import random
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from misocoin.cli.progress import Progress
from misocoin.config import daemon_config
from misocoin.http.jsonrpc import JsonRpcClient
from misocoin.mining.miner import generate_blocks
from misocoin.node import Node
from misocoin.testing.daemon import Rpc, reserved_port, wait_until
from tests.functional.framework.chromium import DESKTOP, PHONE, Chromium, open_chromium
from tests.functional.framework.market import MarketProcess
from tests.functional.framework.market_client import ClientProcess
from tests.functional.framework.stranger import Stranger
from tests.functional.framework.work import (
    Program,
    WorkService,
    base64_text,
    random_hash,
    target_for,
)

BLOCKS = 190
"""Mined before the picture, 110 of them before there is money to spend."""

SPACING = 30
"""Seconds between blocks, on average."""

PAYEES = ("22" * 20, "33" * 20, "44" * 20, "55" * 20)
"""Who is paid, by the hash of his key."""

FEE_RATES = ("0.00001", "0.00002", "0.00005", "0.0002", "0.0011")
"""Coins per 1,000 virtual bytes."""


NAMES = ("Tea house", "Anna", "Boat club", "Rent")
"""What they are called."""


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
def lively_nodes(folder: Path, *options: str) -> Iterator[Place]:
    """The node whose pages are shown, with a chain behind it and other nodes beside it."""
    with ExitStack() as ends:
        one = Place(folder / "one", "-addressindex", "-txindex", *options)
        ends.callback(one.stop)
        live(one)
        for number in range(3):
            other = Place(folder / f"other{number}", f"-nodes=127.0.0.1:{one.port}")
            ends.callback(other.stop)
            chains = [one.node.chain, other.node.chain]
            wait_until(
                lambda chains=chains: len({chain.tip.hash for chain in chains}) == 1, "it is level"
            )
        yield one


class Services(NamedTuple):
    """A work service and a market."""

    work: str
    """The address of its watch port."""
    market: str
    client: str
    """The address of a market's client."""


@contextmanager
def busy_services(folder: Path) -> Iterator[Services]:
    """Services with something to show."""
    with ExitStack() as ends:
        port = ends.enter_context(reserved_port())
        (folder / "work").mkdir()
        service = WorkService(folder / "work", f"-watchport={port}")
        ends.callback(service.stop)
        for _ in range(2):
            ends.callback(Program(folder, "mine", f"localhost:{service.port}").close)
        client = ends.enter_context(service.framed())
        for number in range(6):
            hard = 1 << (23 if number < 5 else 40)
            initial_hash = base64_text(random_hash(random.Random(number)))  # noqa: S311
            client.send(
                id=number, method="do_pow", target=target_for(hard), initialHash=initial_hash
            )
        for number in range(5):
            client.answer_to(number, "done")
        market = MarketProcess(folder / "market").start()
        ends.callback(market.close)
        for article in ("foobar", "snafu", "snafu"):
            sale = Stranger(market.url, quirk=False).sell(article, "BTC 0", bytes.upper)
            Stranger(market.url).buy(article, "BTC 0", b"work")
            sale.finish()
        own = ClientProcess(folder / "client", market.url).start()
        ends.callback(own.close)
        own.post("/buy/foobar", b"a work", Prefer="respond-async")
        yield Services(f"http://localhost:{port}", market.url, own.url)


def live(one: Place) -> None:
    """Give the chain some history."""
    chance = random.Random(1)  # noqa: S311 - the same pictures each time
    waits = [1 + round(chance.expovariate(1 / SPACING)) for _ in range(BLOCKS)]
    now = int(time.time()) - sum(waits) - 12

    def mine(blocks: int) -> None:
        nonlocal now
        for _ in range(blocks):
            now += waits.pop()
            one.node.clock.set_mock(now)
            one.mine()

    def pay(payments: int) -> None:
        for _ in range(payments):
            amount = f"{chance.lognormvariate(0, 1):.4f}"
            one.rpc.send_misocoin(chance.choice(PAYEES), amount, chance.choice(FEE_RATES))

    for payee, name in zip(PAYEES, NAMES, strict=True):
        one.rpc.set_label(payee, name)
    mine(110)
    while len(waits) > 20:
        pay(chance.randrange(6))
        mine(1)
    for lost, kept in ((1, 2), (3, 4)):  # branches that lose
        mine(lost)
        stale = one.rpc.getblockhash(one.rpc.getblockcount() - lost + 1)
        one.rpc.invalidateblock(stale)
        mine(kept)
        one.rpc.reconsiderblock(stale)
    while waits:
        pay(chance.randrange(6))
        mine(1)
    pay(14)
    one.node.clock.set_mock(None)


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
        **{
            path[1:]: path
            for path in ("/wallet", "/send", "/receive", "/history", "/names", "/keys", "/machine")
        },
    }


def photograph(
    chromium: Chromium, node: Place, young: Place, services: Services, folder: Path
) -> None:
    """Take the pictures."""
    for size_name, size in (("desktop", DESKTOP), ("phone", PHONE)):
        for scheme in ("light", "dark"):
            with chromium.window(size, scheme) as window:
                page = window.page

                def take(name: str, size: str = size_name, scheme: str = scheme) -> None:
                    page.wait_for_timeout(400)  # noqa: B023
                    path = folder / f"{name}-{size}-{scheme}.png"
                    page.screenshot(path=path, full_page=True)  # noqa: B023

                for name, url in (
                    *((f"young-{path or 'overview'}", f"{young.url}/{path}")
                      for path in ("", "charts", "forks", "peers")),
                    ("work", services.work),
                    *((f"market-{path or 'book'}", f"{services.market}/{path}")
                      for path in ("", "trades", "prices?article=snafu", "bid")),
                    *((f"client-{path or 'activities'}", f"{services.client}/ui/{path}")
                      for path in ("trades", "workers", "account")),
                    ("client-activities", services.client),
                    ("login", f"{node.url}/login"),
                ):  # fmt: skip
                    page.goto(url)
                    take(name.partition("?")[0])
                page.get_by_label("Login code").fill(node.rpc.login_code()["code"])
                page.get_by_role("button", name="Log in with the code").click()
                for name, path in pages(node).items():
                    page.goto(node.url + path)
                    take(name)
                page.goto(f"{node.url}/send")
                page.get_by_label("Pay to").fill(NAMES[0])
                page.get_by_label("Amount in MISO").fill("12.5")
                page.get_by_label("Note, for yourself").fill("Two pots of tea")
                page.get_by_role("button", name="Look at it").click()
                take("review")


def main() -> None:
    """Take the pictures."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as ends:
        place = Path(ends.enter_context(tempfile.TemporaryDirectory()))
        services = ends.enter_context(busy_services(place))
        young = Place(place / "young")
        ends.callback(young.stop)
        for _ in range(3):
            young.mine()
        node = ends.enter_context(
            lively_nodes(place, f"-workstatus={services.work}", f"-marketclient={services.market}")
        )
        photograph(ends.enter_context(open_chromium()), node, young, services, folder)


if __name__ == "__main__":
    main()
