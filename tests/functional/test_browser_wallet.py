"""The wallet in a real browser: a payment from one to another, and a page that would steal."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.functional.framework.chromium import (
    PHONE,
    Chromium,
    Window,
    open_chromium,
    playwright,
)
from tests.functional.framework.daemon import Daemon, wait_until

expect = playwright.expect
OWN_PAGES = ("/wallet", "/send", "/receive", "/history", "/names", "/keys", "/machine")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    with open_chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Daemon, Daemon]]:
    """Two that are linked; the first has coins."""
    folder = tmp_path_factory.mktemp("wallets")
    payer = Daemon(folder / "payer").start()
    payer.rpc.generate(102)
    payee = Daemon(folder / "payee", f"-nodes=127.0.0.1:{payer.port}").start()
    wait_until(lambda: payee.rpc.get_info()["height"] == 102, "the second node follows")
    yield payer, payee
    payee.stop()
    payer.stop()


def log_in(window: Window, node: Daemon) -> None:
    """Come in by a code, as the page asks for it."""
    page = window.page
    page.goto(f"{node.url}/wallet")
    page.get_by_label("Login code").fill(node.rpc.login_code()["code"])
    page.get_by_role("button", name="Log in with the code").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Wallet")


def test_a_payment_from_one_wallet_to_another(
    chromium: Chromium, nodes: tuple[Daemon, Daemon]
) -> None:
    payer, payee = nodes
    with chromium.window() as here, chromium.window(PHONE, "dark") as there:
        log_in(here, payer)
        log_in(there, payee)
        there.page.goto(f"{payee.url}/receive")
        there.page.get_by_label("Amount in BTC").fill("1.25")
        there.page.get_by_role("button", name="Put it into the request").click()
        expect(there.page.locator("#request")).to_contain_text("amount=1.25")
        request = there.page.locator("#request").inner_text()
        there.page.goto(f"{payee.url}/wallet")
        expect(there.page.locator("#liveness")).to_have_text("live")

        here.page.goto(f"{payer.url}/send")
        here.page.get_by_label("Pay to").fill(request)
        here.page.get_by_role("button", name="Look at it").click()
        expect(here.page.locator("#review-amount")).to_contain_text("1.25")
        assert payer.rpc.getrawmempool() == []
        here.page.locator("#confirm").click()
        expect(here.page.locator("#sent")).to_contain_text(payer.rpc.getrawmempool()[0])

        balance = there.page.locator("[data-live=balance]")
        expect(balance).to_contain_text("Pending1.25 BTC")
        payer.rpc.generate(1)
        expect(balance).to_contain_text("Available1.25 BTC")
        here.check_clean()
        there.check_clean()


def test_no_page_of_the_wallet_complains_or_is_too_wide_for_a_phone(
    chromium: Chromium, nodes: tuple[Daemon, Daemon]
) -> None:
    with chromium.window(PHONE) as window:
        log_in(window, nodes[0])
        for path in OWN_PAGES:
            window.page.goto(nodes[0].url + path)
            expect(window.page.get_by_role("heading", level=1)).to_be_visible()
            width = window.page.evaluate("document.documentElement.scrollWidth")
            assert width <= PHONE[0], path
        window.check_clean()


def test_a_page_of_another_origin_cannot_act_for_who_is_logged_in(
    chromium: Chromium, nodes: tuple[Daemon, Daemon]
) -> None:
    """Another port is the same site, so that cookies go along: what stops it is asked for."""
    payer, _ = nodes
    thief = payer.rpc.get_new_address()
    before = payer.rpc.get_balances()
    forms = {
        f"{payer.url}/send": {"to": thief, "amount": "5", "fee": "normal"},
        f"{payer.url}/names": {"address": thief, "label": "stolen", "from": "receive"},
    }
    with chromium.window() as window:
        log_in(window, payer)
        for target, fields in forms.items():
            with a_page_that_sends(target, fields) as trap:
                with window.page.expect_response(target) as answer:
                    window.page.goto(trap)
                sent = answer.value.request
                assert sent.method == "POST"
                assert "cookie" in sent.all_headers()
                assert answer.value.status == 403
        window.page.goto(f"{payer.url}/wallet")
        expect(window.page.get_by_role("heading", level=1)).to_contain_text("Wallet")
    assert payer.rpc.get_balances() == before
    assert payer.rpc.getrawmempool() == []
    assert "stolen" not in str(payer.rpc.list_addresses())


@contextmanager
def a_page_that_sends(target: str, fields: dict[str, str]) -> Iterator[str]:
    """The address of a page elsewhere that sends a form as soon as it is opened."""
    inputs = "".join(f'<input name="{name}" value="{text}">' for name, text in fields.items())
    form = f'<form action="{target}" method="post">{inputs}</form>'
    body = f"<!doctype html>{form}<script>document.forms[0].submit()</script>".encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_given: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    server.server_close()
    thread.join()
