"""The machine room of a real node: the miner, peers and bans, messages, the owner's services."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.functional.conftest import MakeDaemon, ReservePort
from tests.functional.framework.browser import Browser, text_of
from tests.functional.framework.daemon import Daemon, wait_until
from tests.functional.framework.market import MarketProcess
from tests.functional.framework.stranger import Stranger
from tests.functional.framework.work import WorkService


@pytest.fixture(scope="module")
def owner(lasting_daemon: Daemon) -> Iterator[Browser]:
    browser = Browser(lasting_daemon).log_in()
    yield browser
    browser.http.close()


def test_strangers_see_nothing_of_it(owner: Browser) -> None:
    stranger = Browser(owner.daemon)
    assert stranger.get("/machine", allow_redirects=False).headers["Location"].startswith("/login")
    assert stranger.get("/machine.json").status_code == 401


def test_the_miner_is_switched(owner: Browser) -> None:
    assert "Miner off" in text_of(owner.get("/machine").text)
    assert "Miner on" in text_of(owner.post("/machine/mining", {"on": "1", "threads": "2"}).text)
    info = owner.daemon.rpc.get_mining_info()
    assert info["mining"]
    assert info["threads"] == 2
    owner.post("/machine/mining", {"on": "0", "threads": "1"})
    assert not owner.daemon.rpc.get_mining_info()["mining"]
    for threads in ("0", "x", "9999", ""):
        answer = owner.post("/machine/mining", {"on": "1", "threads": threads})
        assert answer.status_code == 400
        assert 'role="alert"' in answer.text
    assert not owner.daemon.rpc.get_mining_info()["mining"]
    assert owner.get("/machine.json").json()["rates"]


def test_who_is_kept_out(owner: Browser) -> None:
    owner.post("/machine/ban", {"target": "192.0.2.7", "hours": "24"})
    (ban,) = owner.daemon.rpc.list_banned()
    assert ban["target"] == "192.0.2.7"
    assert "192.0.2.7" in text_of(owner.get("/machine").text)
    owner.post("/machine/unban", {"target": "192.0.2.7"})
    assert owner.daemon.rpc.list_banned() == []
    wrong = owner.post("/machine/ban", {"target": "host:99999999", "hours": "24"})
    assert wrong.status_code == 400
    assert 'value="host:99999999"' in wrong.text
    assert owner.post("/machine/unban", {"target": "192.0.2.7"}).status_code == 400


def test_links_are_ended(owner: Browser, make_daemon: MakeDaemon) -> None:
    node = owner.daemon
    other = make_daemon(f"-nodes=localhost:{node.port}").start()
    other_owner = Browser(other).log_in()

    def links() -> Any:  # the other side may have dialled, too
        return [
            each for each in other_owner.get("/machine.json").json()["peers"] if each["is_manual"]
        ]

    wait_until(links, "a link")
    (peer,) = links()
    page = other_owner.post("/machine/disconnect", {"peer": str(peer["id"])})
    assert page.status_code == 200
    wait_until(lambda: not links(), "no link")
    assert other_owner.post("/machine/disconnect", {"peer": str(peer["id"])}).status_code == 400


def test_messages_without_secrets(owner: Browser) -> None:
    code = owner.daemon.rpc.login_code()["code"]
    Browser(owner.daemon).post("/login", {"name": "me<b>", "password": "nosuchpassword"})
    page = owner.get("/machine").text
    assert "warning: wrong login from 127.0.0.1" in page
    assert "nosuchpassword" not in page
    assert code not in page
    assert owner.http.cookies[f"misocoin-{owner.daemon.port}"] not in page


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("mining", {"on": "1", "threads": "1"}),
        ("ban", {"target": "192.0.2.8", "hours": "1"}),
        ("unban", {"target": "192.0.2.9"}),
        ("disconnect", {"peer": "1"}),
    ],
)
def test_forms_need_the_sessions_token(owner: Browser, path: str, fields: dict[str, str]) -> None:
    rpc = owner.daemon.rpc
    rpc.ban("192.0.2.9", 3600)
    before = rpc.list_banned()
    other = Browser(owner.daemon).log_in()
    for wrong in ({"csrf": other.csrf}, {"csrf": ""}):
        answer = owner.post(f"/machine/{path}", {**fields, **wrong})
        assert answer.status_code == 403
        assert "not made by this session" in answer.text
    stranger = Browser(owner.daemon)
    assert stranger.post(f"/machine/{path}", {**fields, "csrf": owner.csrf}).status_code == 403
    assert rpc.list_banned() == before
    assert not rpc.get_mining_info()["mining"]
    rpc.ban("192.0.2.9", 0)


def test_the_owners_services(
    make_daemon: MakeDaemon, tmp_path_factory: pytest.TempPathFactory, reserve_port: ReservePort
) -> None:
    watch_port = reserve_port()
    service = WorkService(tmp_path_factory.mktemp("work"), f"-watchport={watch_port}")
    market = MarketProcess(tmp_path_factory.mktemp("market") / "market").start()
    try:
        daemon = make_daemon(
            f"-workstatus=http://localhost:{watch_port}/", f"-marketclient={market.url}"
        ).start()
        owner = Browser(daemon).log_in()
        view = owner.get("/machine.json").json()["services"]
        assert view["work"]["error"] == ""
        assert view["work"]["miners"] == 0
        assert view["market"] == {"url": market.url, "error": "", "trades": []}
        shown = text_of(owner.get("/machine").text)
        assert "Workers 0" in shown
        assert "No trade yet" in shown
        sale = Stranger(market.url, quirk=False).sell("snafu", "BTC 0", bytes.upper)
        assert Stranger(market.url).buy("snafu", "BTC 0", b"work") == b"WORK"
        sale.finish()
        with service.framed() as miner:
            miner.send(id=1, method="get_work", wait=30, rate=5e6)

            def services() -> Any:
                return owner.get("/machine.json").json()["services"]

            wait_until(lambda: services()["work"]["workers"], "the worker shows")
            wait_until(lambda: services()["market"]["trades"], "the trade shows")
            (worker,) = services()["work"]["workers"]
            assert (worker["name"], worker["solved"]) == ("127.0.0.1", 0)
            (trade,) = services()["market"]["trades"]
            assert (trade["article"], trade["phase"]) == ("snafu", "FINISHED")
            shown = text_of(owner.get("/machine").text)
            assert "127.0.0.1 #" in shown
            assert "snafu BTC 0 finished" in shown.replace("MISO", "BTC")
    finally:
        service.stop()
        market.stop()


def test_services_that_are_away(make_daemon: MakeDaemon, reserve_port: ReservePort) -> None:
    url = f"http://localhost:{reserve_port()}"
    daemon = make_daemon(f"-workstatus={url}", f"-marketclient=http://localhost:{reserve_port()}")
    owner = Browser(daemon.start()).log_in()
    assert f"{url} does not answer as it should" in text_of(owner.get("/machine").text)
