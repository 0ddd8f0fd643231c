"""The pages in a real browser: what moves, what is found, what a phone and a keyboard see."""

from collections.abc import Iterator

import pytest

from tests.functional.conftest import MakeDaemon
from tests.functional.framework.chromium import (
    PHONE,
    Chromium,
    Window,
    open_chromium,
    playwright,
)
from tests.functional.framework.daemon import Daemon

expect = playwright.expect


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    with open_chromium() as browser:
        yield browser


@pytest.fixture
def window(chromium: Chromium) -> Iterator[Window]:
    """A window in which all must go well."""
    with chromium.window() as window:
        yield window
        window.check_clean()


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    daemon = Daemon(tmp_path_factory.mktemp("browser") / "node", "-addressindex").start()
    daemon.rpc.generate(103)
    daemon.rpc.send_misocoin("22" * 20, "1.5")
    daemon.rpc.generate(1)
    daemon.rpc.send_misocoin("22" * 20, "2.5")
    yield daemon
    daemon.stop()


def paths(node: Daemon) -> tuple[str, ...]:
    """A page of each kind."""
    block = node.rpc.get_block(104, 1)
    return (
        "/",
        "/blocks",
        f"/block/{block['hash']}",
        f"/tx/{block['tx'][1]}",
        f"/tx/{node.rpc.getrawmempool()[0]}",
        f"/address/{'22' * 20}",
        "/charts",
        "/forks",
        "/peers",
    )


def test_a_block_and_a_payment_arrive_live(node: Daemon, window: Window) -> None:
    page = window.page
    page.goto(node.url)
    expect(page.get_by_role("status")).to_have_text("live")
    page.evaluate("window.isOld = true")
    height = node.rpc.get_info()["height"]
    (block,) = node.rpc.generate(1)
    expect(page.locator(f"#block-{block}")).to_be_visible()
    expect(page.locator("[data-live=glance]")).to_contain_text(f"Height{height + 1}")
    expect(page.locator("[data-live=bands]")).to_contain_text("Nothing waits")
    node.rpc.send_misocoin("22" * 20, "2.5")
    expect(page.locator("[data-live=next]")).to_contain_text("1 transaction wait")
    assert page.evaluate("window.isOld"), "the page was loaded anew"
    assert page.title() == f"Block {height + 1} · Misocoin"


def test_a_reorg_shows_in_the_fork_view(make_daemon: MakeDaemon, window: Window) -> None:
    one, other = make_daemon().start(), make_daemon().start()
    one.rpc.generate(3)
    loser = one.rpc.getbestblockhash()
    page = window.page
    page.goto(f"{one.url}/forks")
    expect(page.locator("[data-live=branches]")).to_contain_text("None")
    other.rpc.generate(5)
    one.rpc.add_node(f"127.0.0.1:{other.port}")
    expect(page.locator(f"#branch-{loser}")).to_contain_text("was active until a reorg")
    assert page.locator(".tree rect.stale").count() == 3
    assert page.locator(".tree rect.active").count() == 6
    page.locator(".tree a", has=page.locator("rect.stale")).last.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("stale")


def test_search_by_keyboard(node: Daemon, window: Window) -> None:
    page = window.page
    page.goto(node.url)
    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_text("Skip to the content")
    box = page.get_by_role("search").get_by_role("textbox")
    for text, heading in (
        ("7", "Block 7"),
        (node.rpc.getblockhash(8), "Block 8"),
        (node.rpc.get_block(9, 1)["tx"][0], "Transaction"),
        ("22" * 20, "Address"),
    ):
        box.fill(text)
        box.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_contain_text(heading)


def test_no_page_complains_or_calls_out_or_is_too_wide_for_a_phone(
    node: Daemon, chromium: Chromium
) -> None:
    with chromium.window(PHONE, "dark") as window:
        for path in paths(node):
            window.page.goto(node.url + path)
            expect(window.page.get_by_role("heading", level=1)).to_be_visible()
            for details in window.page.locator("details").all():
                details.evaluate("each => { each.open = true; }")
            width = window.page.evaluate("document.documentElement.scrollWidth")
            assert width <= PHONE[0], path
        window.check_clean()


def test_the_keyboard_reaches_everything_and_is_seen(node: Daemon, window: Window) -> None:
    """Tab goes through the page in the order in which it is read, and shows where it is."""
    page = window.page
    page.goto(f"{node.url}/blocks")
    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_text("Skip to the content")
    expect(page.locator(":focus")).to_be_in_viewport()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.locator("main :focus").count() == 1, "the skip link leads past the navigation"
    page.goto(f"{node.url}/blocks")
    order = page.evaluate(
        "[...document.querySelectorAll('a[href], button, input:not([type=hidden])')]"
        ".map((each, number) => { each.dataset.place = number; return number; })"
    )
    seen = []
    for _ in order[:20]:
        page.keyboard.press("Tab")
        seen.append(int(page.locator(":focus").get_attribute("data-place") or -1))
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none", seen
    assert seen == order[:20]


def test_a_refresh_leaves_the_focus_and_what_is_marked(node: Daemon, window: Window) -> None:
    page = window.page
    page.goto(node.url)
    expect(page.get_by_role("status")).to_have_text("live")
    link = page.locator("[data-live=blocks] tbody a").nth(3)
    link.focus()
    kept = link.get_attribute("href")
    (block,) = node.rpc.generate(1)
    expect(page.locator(f"#block-{block}")).to_be_visible()
    assert page.locator(":focus").get_attribute("href") == kept


def test_less_motion_and_paper(node: Daemon, window: Window) -> None:
    page = window.page
    page.emulate_media(reduced_motion="reduce")
    page.goto(node.url)
    page.evaluate("document.querySelector('#blocks-title').classList.add('fresh')")
    name = page.evaluate("getComputedStyle(document.querySelector('#blocks-title')).animationName")
    assert name == "none"
    page.emulate_media(media="print")
    expect(page.get_by_role("search")).to_be_hidden()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
