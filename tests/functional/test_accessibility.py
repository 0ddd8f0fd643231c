"""Every page as axe-core sees it, which checks what the WCAG can have a program check."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from tests.functional.framework.chromium import (
    DESKTOP,
    PHONE,
    Chromium,
    Window,
    open_chromium,
)
from tests.functional.framework.daemon import Daemon
from tests.functional.framework.market import MarketProcess

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
    market = MarketProcess(folder / "market").start()
    sold = [market.url + path for path in ("/", "/trades", "/prices?article=foobar", "/bid")]
    yield Pages(node, [*[node.url + path for path in found], plain, *sold])
    market.stop()
    other.stop()
    node.stop()


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
        assert found == []


def findings(window: Window, axe: str, url: str) -> list[str]:
    """What axe-core has against a page: how grave, which rule, where."""
    window.page.goto(url)
    window.page.evaluate("for (const d of document.querySelectorAll('details')) d.open = true;")
    window.page.evaluate(axe)
    result = window.page.evaluate("axe.run()")
    return [
        f"{url}: {each['impact']}: {each['id']}: "
        + json.dumps([node["target"] for node in each["nodes"][:3]])
        for each in result["violations"]
        if each["impact"] in GRAVE
    ]
