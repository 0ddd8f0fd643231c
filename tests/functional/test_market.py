"""The market over real HTTP, as a stranger sees it who has only read how it is spoken to."""

import secrets
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.functional.framework.market import MarketProcess
from tests.functional.framework.stranger import Refused, Stranger, escaped

MakeMarket = Callable[..., MarketProcess]
ZERO = {"Available": "BTC 0", "Blocked": "BTC 0"}


@pytest.fixture(scope="module")
def operator() -> Stranger:
    return Stranger("http://nowhere")


@pytest.fixture(scope="module")
def market(tmp_path_factory, operator) -> Iterator[MarketProcess]:
    process = MarketProcess(tmp_path_factory.mktemp("market"), f"-trusted={operator.address}")
    yield process.start()
    process.stop()


@pytest.fixture
def buyer(market) -> Stranger:
    return Stranger(market.url)


@pytest.fixture
def seller(market) -> Stranger:
    return Stranger(market.url, quirk=False)


def give(operator: Stranger, market: MarketProcess, who: Stranger, amount: str) -> None:
    """Have the operator book a deposit."""
    operator.host = market.url.removeprefix("http://")
    form = {
        "account": who.address, "amount": amount, "nonce": operator.nonce(), "ref": "",
        "type": "0", "uid": secrets.token_hex(8),
    }  # fmt: skip
    text = "&".join(f"{name}={escaped(value)}" for name, value in form.items())
    operator.post("/deposit", {**form, "signature": operator.sign(text)}, (302,))


def account(who: Stranger) -> dict[str, str]:
    told = who.get(f"/account/{who.address}")
    return {name: told[name] for name in ("Available", "Blocked")}


def test_a_stranger_buys_from_a_stranger(market, operator, buyer, seller):
    give(operator, market, buyer, "mBTC 10")
    sale = seller.sell("foobar", "mBTC1", lambda work: b"RESULT:" + work[::-1])
    work = secrets.token_bytes(100_000)
    assert buyer.buy("foobar", "mBTC2", work) == b"RESULT:" + work[::-1]
    sale.finish()
    assert account(buyer) == {"Available": "mBTC 8.97", "Blocked": "BTC 0"}
    assert account(seller) == {"Available": "mBTC 1", "Blocked": "BTC 0"}
    trade = buyer.get(f"/tx/{sale.trade}")
    assert (trade["State"], trade["Phase"], trade["Revision"]) == (1, "FINISHED", 6)
    assert (trade["Price"], trade["Fee"]) == ("mBTC 1", "uBTC 30")


def test_free_work_needs_no_money(buyer, seller):
    sale = seller.sell("snafu", "BTC 0", bytes.upper)
    assert buyer.buy("snafu", "BTC 0", b"work") == b"WORK"
    sale.finish()
    assert account(buyer) == ZERO


def test_a_bid_reads_as_the_original_told_it(buyer):
    key = buyer.bid("SELL", "fnord", "mBTC 1")
    bid = buyer.get(f"/bid/{key}")
    assert list(bid) == [
        "Type", "State", "Article", "Price", "Fee", "Participant", "Document", "Signature",
        "Created", "Expires", "Matched", "Transaction",
    ]  # fmt: skip
    assert (bid["Type"], bid["State"], bid["Price"], bid["Fee"]) == (1, 1, "mBTC 1", "uBTC 30")
    answer = buyer.call("GET", f"/bid/{key}")
    assert answer.headers["ETag"] == answer.headers["X-ETag"] == '"sPLACED-c16"'
    again = buyer.call("GET", f"/bid/{key}", headers={"If-None-Match": '"sPLACED-c16"'})
    assert (again.status, again.body) == (304, b"")


def test_new_clients_are_told_misocoin(market):
    somebody = Stranger(market.url, agent="somebody/1")
    bid = somebody.get(f"/bid/{somebody.bid('SELL', 'fnord', 'mMISO 2')}")
    assert (bid["Price"], bid["Fee"]) == ("mMISO 2", "uMISO 60")


def test_what_is_accepted_decides_what_is_answered(buyer):
    key = buyer.bid("SELL", "fnord", "mBTC 1")
    for path in (f"/bid/{key}", f"/account/{buyer.address}"):
        assert buyer.call("GET", path, accept=None).status == 406
        assert buyer.call("GET", path, accept="image/png").status == 406
        for accept in ("*/*", "text/html", "text/html, application/json;q=0.5"):
            page = buyer.call("GET", path, accept=accept)
            assert page.status == 200
            assert page.headers["Content-Type"].startswith("text/html")
            assert "script" not in page.headers["Content-Security-Policy"]
            assert b"<script" not in page.body
    assert buyer.call("DELETE", f"/bid/{key}").status == 405
    assert buyer.call("POST", f"/tx/{key}", {}, accept=None).status == 406


def test_a_changed_trade_is_told_at_once_to_who_waits(market, buyer, seller):
    seller.bid("SELL", "snafu", "BTC 0")
    trade = buyer.trade_of(buyer.bid("BUY", "snafu", "BTC 0"))
    tag = buyer.call("GET", f"/tx/{trade}").headers["ETag"]
    threading.Timer(0.3, seller.say, (trade,), {"workerurl": "http://127.0.0.1:9/"}).start()
    answer = buyer.call("GET", f"/tx/{trade}?wait=20", headers={"If-None-Match": tag})
    assert answer.status == 200
    assert answer.json["Phase"] == "SELLER_ESTABLISHED"


# -- what is refused ---------------------------------------------------------------------------


def refused(call: Callable[[], object], status: int, complaint: str) -> None:
    with pytest.raises(Refused) as caught:
        call()
    assert caught.value.status == status, caught.value.text
    assert complaint in caught.value.text
    assert len(caught.value.text.splitlines()) == 1


def test_bad_bids(market, operator, buyer, seller):
    give(operator, market, buyer, "mBTC 1")
    before = account(buyer)

    def bid(**changes: str) -> object:
        form = {**buyer.bid_form("BUY", "fnord", "mBTC 0.1"), **changes}
        return buyer.post("/bid", form)

    refused(lambda: bid(signature=seller.sign("no")), 403, "signature")
    refused(lambda: bid(price="mBTC 0.2"), 403, "signature")
    refused(lambda: bid(nonce="00" * 16), 403, "signature")
    refused(lambda: bid(price="1 BTC"), 400, "amount of money")
    refused(lambda: bid(type="buy"), 400, "BUY or SELL")
    refused(lambda: bid(extra="1"), 400, "Unexpected argument")
    refused(lambda: buyer.bid("BUY", "unheard/of", "BTC 0"), 404, "not traded here")
    refused(lambda: buyer.bid("BUY", "fnord", "BTC 1"), 402, "Insufficient funds")
    form = buyer.bid_form("SELL", "fnord", "mBTC 1")
    twice = [*form.items(), ("price", "mBTC 2")]
    refused(lambda: buyer.post("/bid", twice), 400, "Duplicate argument: price")
    buyer.post("/bid", form)
    refused(lambda: buyer.post("/bid", form), 409, "nonce")
    assert account(buyer) == before


def test_bad_messages(buyer, seller):
    seller.bid("SELL", "snafu", "BTC 0")
    trade = buyer.trade_of(buyer.bid("BUY", "snafu", "BTC 0"))
    somebody = Stranger(f"http://{buyer.host}")
    before = buyer.get(f"/tx/{trade}")
    refused(lambda: somebody.say(trade, acceptresult="on"), 403, "only buyer and seller")
    refused(lambda: seller.say(trade, acceptresult="on"), 403, "for the buyer to say")
    refused(lambda: seller.say(trade, workerurl="http://192.0.2.1/"), 403, "own address")
    refused(lambda: seller.say(trade, workerurl="ftp://127.0.0.1/"), 400, "http://")
    refused(lambda: seller.say(trade, buyersecret="00" * 32), 409, "phase ESTABLISHING")
    refused(lambda: buyer.say(trade, workhash="00" * 32), 400, "arguments workhash")
    refused(lambda: buyer.say("t1-00", acceptresult="on"), 404, "no such transaction")
    form = [*buyer.message_form(trade, acceptresult="on").items(), ("acceptresult", "on")]
    refused(lambda: buyer.post(f"/tx/{trade}", form), 400, "Duplicate argument")
    assert buyer.get(f"/tx/{trade}") == before
    buyer.say(trade, acceptresult="on")
    refused(lambda: buyer.say(trade, acceptresult="on"), 409, "no longer active")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"\xff\xfe", 400),
        (b"a=%ff", 400),
        (b"&".join(b"a%d=1" % n for n in range(30)), 400),
        (b"x" * 20_000, 413),
        (b"", 400),
    ],
)
def test_bytes_that_are_no_form(buyer, body, status):
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    for path in ("/bid", "/deposit", "/rel", "/withdrawal", f"/account/{buyer.address}"):
        answer = buyer.call("POST", path, body, headers=headers)
        assert answer.status == status, (path, answer.body)


def test_things_that_are_not_there(buyer):
    for path in ("/bid/x", "/tx/x", "/deposit/x", "/ledger/x", "/account/x", "/rel/a/trusts/b",
                 "/withdrawal/x", "/nothing", "/relay/x"):  # fmt: skip
        answer = buyer.call("GET", path)
        assert answer.status == 404, path
        assert answer.body.count(b"\n") == 1


def test_queries(market, operator, buyer, seller):
    give(operator, market, buyer, "mBTC 10")
    seller.bid("SELL", "net.bitwrk/gorays/0", "mBTC 1")
    seller.bid("SELL", "net.bitwrk/gorays/0", "mBTC 2")
    buyer.bid("BUY", "net.bitwrk/gorays/0", "mBTC 1")
    (price,) = buyer.get("/query/prices?article=net.bitwrk/gorays/0&period=1h&resolution=1h")
    assert (price["sum"], price["min"], price["max"], price["count"]) == ("1", "1", "1", 1)
    ((_, mean),) = buyer.get(
        "/query/prices?article=net.bitwrk/gorays/0&period=1h&resolution=1h&unit=uBTC&format=flot"
    )
    assert mean == 1000
    entry = next(e for e in buyer.get("/query/book") if e["Article"] == "net.bitwrk/gorays/0")
    assert (entry["Type"], entry["Count"], entry["Best"]) == ("SELL", 1, "mMISO 2")
    ledger = buyer.get("/query/ledger?limit=1000")
    assert buyer.get(f"/ledger/{ledger[-1]['Key']}") == ledger[-1]
    accounts = buyer.call("GET", "/query/accounts").body.decode().split()
    assert buyer.address in accounts
    assert buyer.get("/query/trades?limit=1")[0]["Article"] == "net.bitwrk/gorays/0"
    for path in ("prices?period=10y", "prices?begin=2020-01-01T00:00:00Z"):
        assert buyer.call("GET", f"/query/{path}").status == 403
    for path in ("prices?period=x", "prices?unit=x", "ledger?limit=9999", "ledger?begin=x",
                 "accounts?limit=-1", "trades?limit=x", "ledger?limit=000000000000000009999",
                 "ledger?limit=" + "9" * 5000, "prices?period=999999y&resolution=999999y",
                 "trades?limit=%D9%A3"):  # fmt: skip
        assert buyer.call("GET", f"/query/{path}").status == 400, path


def test_small_things(market, buyer):
    assert buyer.call("GET", "/myip").body == b"127.0.0.1"
    assert set(buyer.get("/motd")) == {"Text", "Warning"}
    assert buyer.get("/info")["TradeVersions"] == [1, 2]


def test_relations(market, operator, seller):
    refused(lambda: seller.bid("SELL", "foobar~trusted", "BTC 0"), 403, "trusted sellers")
    operator.host = seller.host
    form = {
        "enabled": "true", "nonce": operator.nonce(), "source": operator.address,
        "target": seller.address, "type": "trusts",
    }  # fmt: skip
    text = "&".join(f"{name}={escaped(value)}" for name, value in form.items())
    operator.post("/rel", {**form, "signature": operator.sign(text)}, (302,))
    told = seller.get(f"/rel/{operator.address}/trusts/{seller.address}")
    assert (told["Enabled"], told["Document"]) == (True, text)
    seller.bid("SELL", "foobar~trusted", "BTC 0")


def test_the_book_is_there_after_a_kill(tmp_path: Path):
    process = MarketProcess(tmp_path / "killed").start()
    try:
        who = Stranger(process.url)
        key = who.bid("SELL", "foobar", "BTC 0")
        process.kill()
        process.start()
        who.host = process.url.removeprefix("http://")
        assert who.get(f"/bid/{key}")["State"] == 1
        buyer = Stranger(process.url)
        assert buyer.trade_of(buyer.bid("BUY", "foobar", "BTC 0"))
        process.stop()
    finally:
        process.close()
