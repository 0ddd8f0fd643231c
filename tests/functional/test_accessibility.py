"""Every page as axe-core sees it, which checks what the WCAG can have a program check."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.functional.framework.chromium import (
    DESKTOP,
    PHONE,
    Chromium,
    Window,
    open_chromium,
)
from tests.functional.framework.daemon import Daemon, reserved_port
from tests.functional.framework.market import MarketProcess
from tests.functional.framework.market_client import ClientProcess, FakeWorker
from tests.functional.framework.stranger import Stranger
from tests.functional.framework.work import WorkService

pytestmark = pytest.mark.tools

GRAVE = {"serious", "critical"}
"""What no page may have."""

OWN_PAGES = ("/wallet", "/send", "/receive", "/history", "/names", "/keys", "/machine")


class Pages(NamedTuple):
    """What is checked."""

    node: Daemon
    """The one that has to be logged in to."""
    urls: list[str]


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The checker's script."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed")
    folder = tmp_path_factory.mktemp("axe")
    command = [npm, "install", "--no-audit", "--no-fund", "--prefix", str(folder), "axe-core"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    script = folder / "node_modules" / "axe-core" / "axe.min.js"
    if not script.is_file():
        pytest.skip(f"axe-core cannot be had: {done.stderr.strip()[-300:]}")
    return script.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    with open_chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    """Pages of each kind, with something on them."""
    folder = tmp_path_factory.mktemp("nodes")
    node = Daemon(folder / "one", "-addressindex", "-txindex").start()
    other = Daemon(folder / "other", f"-nodes=127.0.0.1:{node.port}").start()
    node.rpc.generate(140)
    node.rpc.send_misocoin("22" * 20, "1.5")
    node.rpc.generate(2)
    stale = node.rpc.getbestblockhash()
    node.rpc.invalidateblock(stale)
    node.rpc.generate(2)
    node.rpc.reconsiderblock(stale)
    node.rpc.send_misocoin("22" * 20, "2.5")
    block = node.rpc.get_block(141, 1)
    miner = node.rpc.get_block(1, 2)["tx"][0]["vout"][0]
    found = [
        "/",
        "/blocks",
        "/block/140",
        f"/block/{stale}",
        f"/tx/{block['tx'][0]}",
        f"/tx/{block['tx'][1]}",
        f"/tx/{node.rpc.getrawmempool()[0]}",
        f"/address/{'22' * 20}",
        f"/address/{miner['scriptPubKey']['address']}",
        "/charts",
        "/forks",
        "/peers",
        "/search?q=nothing",
        "/login",
        *OWN_PAGES,
    ]
    plain = f"{other.url}/address/{'22' * 20}"
    with ExitStack() as ends:
        ends.callback(node.stop)
        ends.callback(other.stop)
        yield Pages(node, [*[node.url + path for path in found], plain, *services(folder, ends)])


def services(folder: Path, ends: ExitStack) -> list[str]:
    """Pages of the work service, the market and its client, with something on them."""
    watch = ends.enter_context(reserved_port())
    (folder / "work").mkdir()
    service = WorkService(folder / "work", f"-watchport={watch}")
    ends.callback(service.stop)
    miner = ends.enter_context(service.framed())
    miner.send(id=1, method="get_work", wait=60, rate=5e6)
    market = MarketProcess(folder / "market").start()
    ends.callback(market.stop)
    sale = Stranger(market.url, quirk=False).sell("snafu", "BTC 0", bytes.upper)
    buyer = Stranger(market.url)
    buyer.buy("snafu", "BTC 0", b"work")
    sale.finish()
    client = ClientProcess(folder / "client", market.url).start()
    ends.callback(client.close)
    client.post("/buy/foobar", b"a work", Prefer="respond-async")
    worker = FakeWorker(client, "snafu", bytes.upper, "the worker")
    ends.callback(worker.close)
    sold = ("", "trades", "prices", "prices?article=snafu", "bid", f"account/{buyer.address}")
    owned = ("", "ui/trades", "ui/workers", "ui/account")
    return [
        f"http://127.0.0.1:{watch}/",
        *[f"{market.url}/{path}" for path in (*sold, f"tx/{sale.trade}")],
        *[f"{client.url}/{path}" for path in owned],
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_no_page_has_a_grave_finding(
    chromium: Chromium, axe: str, pages: Pages, size: tuple[int, int], scheme: str
) -> None:
    with chromium.window(size, scheme) as window:
        window.page.goto(f"{pages.node.url}/login")
        window.page.get_by_label("Login code").fill(pages.node.rpc.login_code()["code"])
        window.page.get_by_role("button", name="Log in with the code").click()
        found = [each for url in pages.urls for each in findings(window, axe, url)]
        window.page.goto(f"{pages.node.url}/send")
        window.page.get_by_label("Pay to").fill("22" * 20)
        window.page.get_by_label("Amount in BTC").fill("1")
        window.page.get_by_role("button", name="Look at it").click()
        found += findings(window, axe)
        assert found == []


def findings(window: Window, axe: str, url: str = "") -> list[str]:
    """What axe-core has against a page, or the one that is open: how grave, which rule, where."""
    if url:
        window.page.goto(url)
    assert window.page.locator("link[href*='miso.css']").count() == 1, "it has a look of its own"
    assert window.page.locator(".brand svg").count() == 1
    window.page.evaluate("for (const d of document.querySelectorAll('details')) d.open = true;")
    window.page.evaluate(axe)
    result = window.page.evaluate("axe.run()")
    return [
        f"{window.page.url}: {each['impact']}: {each['id']}: "
        + json.dumps([node["target"] for node in each["nodes"][:3]])
        for each in result["violations"]
        if each["impact"] in GRAVE
    ]
