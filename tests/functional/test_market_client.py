"""The market's client as a process: it buys and sells, also from strangers and to them."""

import hashlib
import json
import queue
import secrets
import threading
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.functional.framework.daemon import wait_until
from tests.functional.framework.market import MarketProcess
from tests.functional.framework.market_client import ClientProcess, FakeWorker, WorkerProcess
from tests.functional.framework.stranger import Stranger

STRAIGHT = ("-extport=0", "-extaddr=localhost")
BITMESSAGE = "net.misocoin/pow/bitmessage/0"

MakeClient = Callable[..., ClientProcess]


@pytest.fixture(scope="module")
def market(tmp_path_factory) -> Iterator[MarketProcess]:
    process = MarketProcess(tmp_path_factory.mktemp("market"))
    yield process.start()
    process.close()


@pytest.fixture
def make_client(tmp_path: Path, market: MarketProcess) -> Iterator[MakeClient]:
    made: list[ClientProcess] = []

    def make(*options: str, url: str = "") -> ClientProcess:
        client = ClientProcess(tmp_path / f"c{len(made)}", url or market.url, *options)
        made.append(client)
        return client.start()

    yield make
    for client in made:
        client.close()


class Later:
    """A call in a thread that no failing test waits for."""

    def __init__(self, call: Callable[..., Any], *arguments: Any) -> None:
        self._answers: queue.Queue[Any] = queue.Queue()
        run = lambda: self._answers.put(call(*arguments))  # noqa: E731
        threading.Thread(target=run, daemon=True).start()

    def result(self, seconds: float) -> Any:
        return self._answers.get(timeout=seconds)


def shout(work: bytes) -> bytes:
    return work.upper()


def pow_work(number: int) -> bytes:
    seed = hashlib.sha512(str(number).encode()).digest()
    return json.dumps({"initialHash": b64encode(seed).decode(), "target": 1 << 49}).encode()


def is_solved(work: bytes, result: bytes) -> bool:
    """By the rule of Bitmessage, not by our code."""
    nonce = json.loads(result)["nonce"].to_bytes(8, "big")
    initial = b64decode(json.loads(work)["initialHash"])
    trial = hashlib.sha512(hashlib.sha512(nonce + initial).digest()).digest()[:8]
    return int.from_bytes(trial, "big") <= json.loads(work)["target"]


def wait_for_offers(market: MarketProcess, article: str, versions: list[int]) -> None:
    """Wait until somebody bids for or offers an article, by these versions."""

    def is_there() -> bool:
        book = Stranger(market.url).get("/query/book")
        return any((each["Article"], each["Versions"]) == (article, versions) for each in book)

    wait_until(is_there, "somebody bids")


@pytest.mark.parametrize(
    ("options", "version"),
    [((), 2), (STRAIGHT, 2), ((*STRAIGHT, "-trades=1"), 1)],
    ids=["relay", "straight", "version-1"],
)
def test_a_work_is_bought_and_sold(make_client, market, options, version):
    buyer, seller = make_client(), make_client(*options)
    worker = FakeWorker(seller, "foobar", shout)
    seller.permit("SELL", "foobar", "MISO 0", 1)
    work = secrets.token_hex(100_000).encode()
    assert buyer.buy("foobar", work, "?price=MISO+0") == work.upper()
    assert worker.works == [work]
    trade = buyer.json("/activities")[-1]["Info"]["TxId"]
    told = buyer.json(f"/tx/{trade}")
    assert told.get("Version", 1) == version
    assert (told["Phase"], told["State"]) == ("FINISHED", 1)
    buyer.stop()
    seller.stop()
    worker.close()


def test_a_stranger_buys_from_ours_who_offers_first(make_client, market):
    seller = make_client(*STRAIGHT)
    worker = FakeWorker(seller, "snafu", shout)
    seller.permit("SELL", "snafu", "MISO 0", 1)
    wait_for_offers(market, "snafu", [1, 2])
    stranger = Stranger(market.url)
    assert stranger.buy("snafu", "BTC 0", b"a stranger's work") == b"A STRANGER'S WORK"
    worker.close()


def test_a_stranger_buys_in_chunks(make_client, market):
    seller = make_client(*STRAIGHT, "-trades=1")
    worker = FakeWorker(seller, "snafu", lambda work: hashlib.sha256(work).digest())
    seller.permit("SELL", "snafu", "MISO 0", 2)
    common, own = secrets.token_bytes(200_000), secrets.token_bytes(20_000)
    for work in (common, common + own):
        stranger = Stranger(market.url)
        trade = stranger.trade_of(stranger.bid("BUY", "snafu", "BTC 0"))
        found, sent = stranger.fetch_in_chunks(trade, work)
        assert found == hashlib.sha256(work).digest()
    # Of the second work most was there already.
    assert 20_000 <= sent < 120_000
    worker.close()


@pytest.mark.parametrize("options", [(), ("-trades=1",)], ids=["both", "version-1"])
def test_ours_buys_from_a_stranger(make_client, market, options):
    buyer, stranger = make_client(*options), Stranger(market.url, quirk=True)
    sale = stranger.sell("fnord", "BTC 0", shout)
    assert buyer.buy("fnord", b"our work", "?price=MISO+0") == b"OUR WORK"
    sale.finish()


def test_ours_asks_before_a_stranger_offers(make_client, market):
    buyer, stranger = make_client(), Stranger(market.url, quirk=True)
    bought = Later(buyer.buy, "fnord", b"early work", "?price=MISO+0")
    wait_for_offers(market, "fnord", [1, 2])
    sale = stranger.sell("fnord", "BTC 0", shout)
    assert bought.result(60) == b"EARLY WORK"
    sale.finish()


def test_shipped_workers(make_client, tmp_path):
    buyer, seller = make_client(), make_client()
    worker = WorkerProcess(tmp_path / "worker", seller, "bitmessage", "hashcash")
    stamp = "net.misocoin/pow/hashcash/0"
    for article in (BITMESSAGE, stamp):
        seller.permit("SELL", article, "MISO 0", 1)
        buyer.permit("BUY", article, "MISO 0")
    work = pow_work(1)
    assert is_solved(work, buyer.buy(BITMESSAGE, work))
    order = {"prefix": "1:16:261121:you@example.org::cLkZPzJR:", "bits": 16, "digest": "sha1"}
    found = buyer.buy(stamp, json.dumps(order).encode())
    assert found.startswith(order["prefix"].encode())
    assert hashlib.sha1(found).digest()[:2] == b"\0\0"
    worker.stop()
    assert seller.json("/workers") == [] or all(w["Unregistered"] for w in seller.json("/workers"))


# -- the owner's word --------------------------------------------------------------------------


def test_a_purchase_waits_for_permission(make_client, market):
    buyer, stranger = make_client("-trades=1"), Stranger(market.url)
    bought = Later(buyer.post, "/buy/foobar", b"work")
    (waiting,) = wait_until(lambda: buyer.json("/activities"), "it is an activity")
    assert (waiting["Info"]["Accepted"], waiting["Info"]["Alive"]) == (False, True)
    refused = buyer.form("/ui/permit", key=waiting["Key"], price="nonsense")
    assert refused.status == 400
    assert b"not an amount of money" in refused.body
    assert buyer.form("/ui/forbid", key=waiting["Key"]).status == 303
    answer = bought.result(60)
    assert (answer.status, answer.body.count(b"\n")) == (500, 1)
    assert b"forbids" in answer.body
    sale = stranger.sell("foobar", "BTC 0", shout)
    bought = Later(buyer.buy, "foobar", b"more work")
    key = wait_until(
        lambda: [a["Key"] for a in buyer.json("/activities") if a["Info"]["Alive"]], "it waits"
    )[0]
    assert buyer.form("/ui/permit", key=key, price="MISO 0").status == 303
    assert bought.result(60) == b"MORE WORK"
    sale.finish()


def test_mandates_run_out_and_can_be_revoked(make_client):
    client = make_client()
    client.permit("BUY", "foobar", "mMISO 2", 3)
    client.form("/", action="permit", type="SELL", articleid="snafu", price="uMISO 5",
                usevaliduntil="on", validminutes="10")  # fmt: skip
    first, second = client.json("/mandates")
    assert first["Info"] == {
        "Type": 0, "Article": "foobar", "Price": "mMISO 2", "UseTradesLeft": True,
        "TradesLeft": 3, "UseUntil": False, "Until": None,
    }  # fmt: skip
    assert (second["Info"]["Type"], second["Info"]["UseUntil"]) == (1, True)
    client.kill()
    client.start()
    assert client.json("/mandates") == [first, second]
    assert client.get(f"/revokemandate?key={first['Key']}").status == 303
    assert client.json("/mandates") == [second]
    assert client.get("/revokemandate?key=nothing").status == 404
    assert client.form("/", action="permit", type="BUY", articleid="x", price="1").status == 400


def test_what_met_nobody_can_be_taken_back(make_client, market):
    client, stranger = make_client(), Stranger(market.url)
    asked = client.post("/buy/foobar?price=MISO+0", b"no more", Prefer="respond-async")
    path = asked.headers["Location"]
    key = path.rpartition("/")[2]
    wait_for_offers(market, "foobar", [1, 2])
    bid = wait_until(lambda: client.json("/activities")[0]["Info"]["BidId"], "it has a bid")
    page = client.get("/", Accept="text/html").body.decode()
    assert f'name="key" value="{key}"' in page
    assert client.form("/ui/cancel", key=key).status == 303
    told = wait_until(lambda: (t := client.json(path))["State"] != "OPEN" and t, "it has ended")
    assert (told["State"], told["Error"]) == ("FAILED", "cancelled by the owner of this client")
    assert stranger.get(f"/bid/{bid}")["State"] == 3
    assert client.form("/cancel", key=key).status == 404
    # A worker that takes its leave takes its offer along.
    worker = FakeWorker(client, "snafu", shout)
    client.permit("SELL", "snafu", "MISO 0", 1)
    offer = wait_until(lambda: client.json("/activities")[0]["Info"]["BidId"], "it is offered")
    assert client.form("/unregisterworker", id="w").status == 200
    wait_until(lambda: stranger.get(f"/bid/{offer}")["State"] == 3, "the offer is gone")
    worker.close()


def test_what_is_traded_goes_on(make_client):
    buyer, seller = make_client(), make_client()
    began, go = threading.Event(), threading.Event()

    def slow(work: bytes) -> bytes:
        began.set()
        go.wait(60)
        return work.upper()

    worker = FakeWorker(seller, "foobar", slow)
    seller.permit("SELL", "foobar", "MISO 0", 1)
    bought = Later(buyer.buy, "foobar", b"wanted", "?price=MISO+0")
    assert began.wait(60)
    (activity,) = buyer.json("/activities")
    refused = buyer.form("/cancel", key=activity["Key"])
    assert (refused.status, refused.body) == (409, b"a trade has come of it already\n")
    go.set()
    assert bought.result(60) == b"WANTED"
    worker.close()


def test_own_workers_come_first_and_cost_nothing(make_client):
    client = make_client()
    worker = FakeWorker(client, "foobar", shout)
    wait_until(lambda: client.json("/activities"), "its sale waits")
    assert client.buy("foobar", b"at home") == b"AT HOME"
    (told,) = client.json("/workers")
    assert told["Info"]["Method"] == "http-push"
    worker.close()


# -- trouble -----------------------------------------------------------------------------------


def test_a_liar_and_a_dunce_are_passed_over(make_client, market):
    liar, dunce, honest = make_client(*STRAIGHT), make_client(*STRAIGHT), make_client(*STRAIGHT)

    def refuse(_work: bytes) -> bytes:
        raise ValueError("no idea")

    workers = [
        FakeWorker(liar, BITMESSAGE, lambda _work: b'{"nonce": 1}'),
        FakeWorker(dunce, BITMESSAGE, refuse),
    ]
    for each in (liar, dunce):
        each.permit("SELL", BITMESSAGE, "MISO 0", 1)
    wait_until(lambda: len(Stranger(market.url).get("/query/book")) > 0, "they offer")
    buyer = make_client()
    work = pow_work(2)
    bought = Later(buyer.buy, BITMESSAGE, work, "?price=MISO+0")
    wait_until(lambda: all(worker.works for worker in workers), "both had their chance")
    solver = WorkerProcess(buyer.folder / "worker", honest, "bitmessage")
    honest.permit("SELL", BITMESSAGE, "MISO 0", 1)
    assert is_solved(work, bought.result(60))
    solver.close()
    for worker in workers:
        worker.close()


@pytest.mark.parametrize(
    "killed",
    [
        "seller",
        pytest.param("buyer", marks=pytest.mark.long),
        pytest.param("market", marks=pytest.mark.long),
    ],
)
def test_a_purchase_outlives_kills(tmp_path, make_client, killed):
    market = MarketProcess(tmp_path / "own")
    market.start()
    # However long a start takes here, nobody is given up.
    buyer = make_client("-silence=600", url=market.url)
    seller = make_client(url=market.url)
    go, began = threading.Event(), threading.Event()

    def slow(work: bytes) -> bytes:
        began.set()
        go.wait(60)
        return work.upper()

    worker = FakeWorker(seller, "foobar", slow)
    seller.permit("SELL", "foobar", "MISO 0", 1)
    try:
        buyer.permit("BUY", "foobar", "MISO 0", 1)
        asked = buyer.post("/buy/foobar", b"lasting", Prefer="respond-async")
        assert asked.status == 202
        assert began.wait(60)
        victim = {"buyer": buyer, "seller": seller, "market": market}[killed]
        victim.kill()
        victim.start()
        if killed == "seller":
            worker.register()
        go.set()
        path = asked.headers["Location"]
        told = wait_until(lambda: (t := buyer.json(path))["State"] != "OPEN" and t, "it is done")
        assert (told["State"], told["Failures"]) == ("DONE", 0)
        assert buyer.get(f"/file/{told['Result']}").body == b"LASTING"
        assert len(worker.works) == (2 if killed == "seller" else 1)
    finally:
        go.set()
        worker.close()
        market.close()


def test_a_seller_who_dies_behind_the_relay_is_missed(make_client):
    buyer, victim, other = make_client("-silence=6"), make_client(), make_client()
    began, never = threading.Event(), threading.Event()

    def hang(_work: bytes) -> bytes:
        began.set()
        never.wait(60)
        return b""

    workers = [FakeWorker(victim, "foobar", hang)]
    victim.permit("SELL", "foobar", "MISO 0", 1)
    bought = Later(buyer.buy, "foobar", b"urgent", "?price=MISO+0")
    assert began.wait(60)
    victim.kill()
    workers.append(FakeWorker(other, "foobar", shout))
    other.permit("SELL", "foobar", "MISO 0", 1)
    assert bought.result(60) == b"URGENT"
    never.set()
    for worker in workers:
        worker.close()


def test_several_sellers_must_agree(make_client):
    sellers = [make_client("-agree=2") for _ in range(3)]
    answers = [shout, shout, lambda _work: b"another result"]
    workers = [FakeWorker(s, "foobar", a) for s, a in zip(sellers, answers, strict=True)]
    for each in sellers:
        each.permit("SELL", "foobar", "MISO 0", 1)
    buyer = make_client()
    found = buyer.buy("foobar", b"counted", "?price=MISO+0&sellers=3&agree=2")
    assert found == b"COUNTED"
    for worker in workers:
        worker.close()


# -- the door is shut --------------------------------------------------------------------------


def test_what_is_refused(make_client):
    client = make_client()
    for path, fields, status in (
        ("/buy/foobar", {"Origin": "http://evil.example"}, 403),
        ("/ui/mandate", {"Origin": "null"}, 403),
        ("/ui/mandate", {"Sec-Fetch-Site": "cross-site"}, 403),
        ("/buy/foobar", {"Host": "rebound.example"}, 403),
        ("/buy/foobar?price=nonsense", {}, 400),
        ("/buy/foobar?sellers=3", {}, 400),
        ("/registerworker", {}, 400),
        ("/ui/permit", {}, 400),
        ("/nothing", {}, 404),
        ("/withdraw", {}, 400),
    ):
        answer = client.post(path, b"", **fields)
        assert answer.status == status, path
    revoke = client.get("/revokemandate?key=1", **{"Sec-Fetch-Site": "cross-site"})
    assert revoke.status == 403
    assert client.get("/file/" + "0" * 64).status == 404
    assert client.get("/file/../client.sqlite").status == 404
    assert client.get("/id").body == b"BitWrk Go Client"
    assert client.get("/version").body == b"0.7.0"
    key = client.folder / "privatekey.wif"
    assert key.stat().st_mode & 0o777 == 0o600
    assert client.folder.stat().st_mode & 0o077 == 0


def test_a_rebound_name_is_refused_where_workers_of_others_come_in(make_client):
    client = make_client("-host=0.0.0.0")
    rebound = {"Host": "rebound.example"}
    assert client.post("/buy/foobar", b"", **rebound).status == 403
    assert client.get("/ui/account", **rebound).status == 403
    assert client.get("/ui/account").status == 200


def test_work_that_no_market_trades(make_client):
    answer = make_client().post("/buy/unheard/of?price=MISO+0", b"work")
    assert answer.status == 500
    assert b"not traded here" in answer.body


def test_work_that_is_none_of_its_article_is_bought_from_nobody(make_client):
    answer = make_client().post(f"/buy/{BITMESSAGE}?price=MISO+0", b"{}")
    assert (answer.status, answer.body) == (500, b"initialHash is missing or of another type\n")
