"""The market client's pages in a real browser: permission, mandates, workers, trades, account."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.functional.framework.chromium import PHONE, Chromium, open_chromium, playwright
from tests.functional.framework.market import MarketProcess
from tests.functional.framework.market_client import ClientProcess, FakeWorker

expect = playwright.expect


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    with open_chromium() as browser:
        yield browser


@pytest.fixture
def client(tmp_path: Path) -> Iterator[ClientProcess]:
    market = MarketProcess(tmp_path / "market").start()
    process = ClientProcess(tmp_path / "client", market.url).start()
    yield process
    process.close()
    market.close()


def test_the_owner_decides_in_a_browser(chromium: Chromium, client: ClientProcess) -> None:
    with chromium.window() as window:
        page = window.page
        page.goto(client.url)
        expect(page.get_by_text("Nothing waits.")).to_be_visible()
        # A purchase appears by itself, and is forbidden.
        asked = client.post("/buy/foobar", b"a work", Prefer="respond-async")
        expect(page.get_by_text("foobar", exact=True)).to_be_visible()
        page.get_by_role("button", name="Forbid").click()
        expect(page.get_by_text("the owner of this client forbids it")).to_be_visible()
        assert client.json(asked.headers["Location"])["State"] == "FAILED"
        # A mandate is given, and taken back.
        page.get_by_label("Article").fill("foobar")
        page.get_by_label("Price").fill("MISO 0")
        page.get_by_role("button", name="Give").click()
        expect(page.get_by_role("cell", name="10", exact=True)).to_be_visible()
        assert len(client.json("/mandates")) == 1
        page.get_by_role("button", name="Revoke").click()
        expect(page.get_by_text("Every trade waits for your word.")).to_be_visible()
        assert client.json("/mandates") == []
        # A worker comes; its sale is permitted once.
        worker = FakeWorker(client, "snafu", bytes.upper, "the worker")
        expect(page.get_by_text("Sell", exact=True)).to_be_visible()
        page.get_by_label("for at least").fill("MISO 0")
        page.get_by_role("button", name="Permit once").click()
        expect(page.get_by_text("PLACED")).to_be_visible()
        page.get_by_role("link", name="Workers").click()
        expect(page.get_by_role("cell", name="the worker")).to_be_visible()
        expect(page.get_by_text("On offer")).to_be_visible()
        page.get_by_role("button", name="Let go").click()
        page.get_by_role("link", name="Trades").click()
        expect(page.get_by_text("forbids it")).to_be_visible()
        worker.close()
        window.check_clean()


def test_account_and_refusals_on_a_phone(chromium: Chromium, client: ClientProcess) -> None:
    with chromium.window(PHONE) as window:
        page = window.page
        page.goto(f"{client.url}/ui/account")
        expect(page.get_by_text(client.address)).to_be_visible()
        expect(page.get_by_text("MISO 0").first).to_be_visible()
        page.get_by_label("To address").fill("nowhere")
        page.get_by_label("Amount").fill("many")
        page.get_by_role("button", name="Withdraw").click()
        expect(page.get_by_text("is not an amount of money")).to_be_visible()
        page.get_by_role("link", name="Back").click()
        expect(page.get_by_role("heading", name="Account")).to_be_visible()
        for path in ("/", "/ui/trades", "/ui/workers", "/ui/account"):
            page.goto(client.url + path)
            assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0], path
