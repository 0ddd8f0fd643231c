"""The pages, and calls that only an application in the test's own process can show."""

import re

import pytest

from misocoin.errors import StoreError
from misocoin.market.app import Parts, make_app
from misocoin.market.moments import Moment
from misocoin.market.queries import Queries
from misocoin.market.rate import RateLimit
from misocoin.market.relay import Relay, RelayLimits
from tests.unit.market.builders import BUYER, SELLER
from tests.unit.market.rig import Rig


@pytest.fixture
def rig():
    rig = Rig(any_worker_host=True)
    rig.give(BUYER, "MISO 1")
    yield rig
    rig.close()


def client_of(rig: Rig, **more):
    relay = Relay(rig.database, rig.book, rig.now, rig.watch, RelayLimits())
    parts = Parts(
        rig.book, rig.bank, Queries(rig.database, rig.now), relay, rig.watch, rig.now, **more
    )
    return make_app(parts).test_client()


def page(client, path: str) -> str:
    answer = client.get(path, headers={"Accept": "text/html"})
    assert answer.status_code == 200, answer.text
    assert "script" not in answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "<script" not in answer.text
    assert not re.search(r"(src|href)=\"(https?:)?//", answer.text), "nothing from outside"
    assert answer.text.count("<h1") == 1
    return answer.text


def test_every_page(rig):
    client = client_of(rig)
    assert "Nobody bids now" in page(client, "/")
    sell = rig.sell(SELLER, "mMISO 2")
    rig.sell(SELLER, "mMISO 1")
    trade = rig.trade_of(rig.buy(BUYER, "mMISO 1"))
    front = page(client, "/")
    assert "mMISO 2" in front
    assert SELLER.address in front
    assert trade.key in front
    assert "ESTABLISHING" in page(client, "/trades")
    assert SELLER.address in page(client, f"/bid/{sell}")
    assert "ESTABLISHING" in page(client, f"/tx/{trade.key}")
    account = page(client, f"/account/{BUYER.address}")
    assert "mMISO 998.97" in account
    assert "DEPOSIT" in account
    entry = rig.bank.account(BUYER.address).last_movement
    assert "BID" in page(client, f"/ledger/{entry}")
    assert "uid" in page(client, "/deposit")
    for path in ("/bid", "/rel"):
        assert 'name="signature"' in page(client, path)
    for name, kind in (
        ("miso.css", "text/css"),
        ("market.css", "text/css"),
        ("logo.svg", "image/svg+xml"),
    ):
        assert f"/static/{name}?v=" in front
        assert client.get(f"/static/{name}").mimetype == kind


def test_the_plot_of_prices(rig):
    client = client_of(rig)
    assert "No trade in this time" in page(client, "/prices?article=foobar")
    for price in (1, 3, 2):
        rig.sell(SELLER, f"mMISO {price}")
        rig.buy(BUYER, f"mMISO {price}")
        rig.time = Moment(rig.time + 1_200_000_000)
    shown = page(client, "/prices?article=foobar&span=hour")
    assert shown.count('<circle class="point"') == 3
    assert ">mMISO</text>" in shown
    assert "mMISO 3, 1 trades" in shown
    assert "/prices?article=foobar" in page(client, "/prices")
    assert "<svg" in page(client, "/prices?article=foobar&span=nonsense")


def test_what_participants_wrote_is_only_text(rig):
    client = client_of(rig)
    rig.sell(SELLER, "MISO 0")
    trade = rig.trade_of(rig.buy(BUYER, "MISO 0"))
    rig.say(SELLER, trade.key, workerurl="http://h/<script>alert(1)</script>\"'")
    shown = page(client, f"/tx/{trade.key}")
    assert "&lt;script&gt;" in shown
    assert "&lt;b&gt;" in page(client, "/prices?article=<b>")
    assert (
        b"\\u003cscript"
        in client.get(f"/tx/{trade.key}", headers={"Accept": "application/json"}).data
    )


def test_changes_are_counted_by_caller(rig):
    client = client_of(rig, rate=RateLimit(0.001, 2), proxied=True)
    here, there = ({"X-Forwarded-For": f"198.51.100.{n}"} for n in (1, 2))
    answers = [client.post("/bid", headers=here).status_code for _ in range(3)]
    assert answers == [400, 400, 429]
    assert client.post("/bid", headers=there).status_code == 400
    spoofed = {"X-Forwarded-For": "203.0.113.9, 198.51.100.1"}
    assert client.post("/bid", headers=spoofed).status_code == 429
    assert client.get("/myip", headers=spoofed).data == b"198.51.100.1"
    assert client.get("/nonce", headers=here).status_code == 200


def test_a_broken_store_is_told_in_one_line(rig, monkeypatch):
    client = client_of(rig)

    def broken(*_arguments):
        raise StoreError("disk full at /secret/place")

    monkeypatch.setattr(rig.book, "get_bid", broken)
    answer = client.get("/bid/x", headers={"Accept": "application/json"})
    assert answer.status_code == 503
    assert "secret" not in answer.text
