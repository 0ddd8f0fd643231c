"""Version 2 of a trade over real HTTP: the relay, held answers, proofs."""

import threading
from types import SimpleNamespace
from urllib.parse import urlencode

import pytest

from misocoin.http.client import HttpClient, HttpResponse
from misocoin.market.documents import upload_document
from misocoin.market.errors import MarketError, NotAllowed, TooLarge, TooLate
from misocoin.market.receipts import sha256_hex
from misocoin.market.trade import Phase, Trade
from misocoin.market.wire import account_from_json, bid_from_json, trade_from_json
from tests.functional.framework.market import MarketProcess
from tests.functional.framework.stranger import Stranger
from tests.functional.test_market import give
from tests.unit.market.builders import BUYER, SELLER, Participant
from tests.unit.market.test_version_2 import delivered, matched

JSON = {"Accept": "application/json"}
FORM = {**JSON, "Content-Type": "application/x-www-form-urlencoded"}
ERRORS = {error("").status: error for error in (NotAllowed, TooLate, TooLarge)}


class Remote:
    """What the unit tests' sides ask of a book, asked of a server."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.http = HttpClient()
        self.relay = SimpleNamespace(put=self.put, get=self.get)
        self.book = SimpleNamespace(prove=self.prove)

    def ask(self, method: str, path: str, body: bytes | None = None, **fields: str) -> HttpResponse:
        answer = self.http.request(method, self.url + path, body, {**JSON, **fields})
        if answer.status >= 400:
            raise ERRORS.get(answer.status, MarketError)(answer.body.decode())
        return answer

    def post(self, path: str, form: dict[str, str]) -> HttpResponse:
        return self.ask("POST", path, urlencode(form).encode(), **FORM)

    def bid(self, who: Participant, **fields: str) -> str:
        nonce = self.ask("GET", "/nonce").body.decode()
        return self.post("/bid", who.bid_form(nonce=nonce, **fields)).headers["X-Bid-Key"]

    def trade_of(self, bid: str) -> Trade:
        told = bid_from_json(self.ask("GET", f"/bid/{bid}").body, bid)
        assert told.transaction is not None
        return self.trade(told.transaction)

    def trade(self, key: str) -> Trade:
        return trade_from_json(self.ask("GET", f"/tx/{key}").body, key)

    def say(self, who: Participant, trade: str, **arguments: str) -> Trade:
        self.post(f"/tx/{trade}", who.message_form(trade, **arguments))
        return self.trade(trade)

    def put(self, key: str, slot: str, data: bytes, signature: str) -> None:
        assert self.ask("POST", f"/relay/{key}/{slot}", data, **{"X-Signature": signature})

    def get(self, key: str, slot: str, seconds: float) -> bytes | None:
        answer = self.ask("GET", f"/relay/{key}/{slot}?wait={seconds:.0f}")
        return answer.body if answer.status == 200 else None

    def prove(self, key: str, proof: bytes, address: str, signature: str) -> Trade:
        fields = {"X-Address": address, "X-Signature": signature}
        self.ask("POST", f"/tx/{key}/proof", proof, **fields)
        return self.trade(key)

    def holds(self, who: Participant) -> tuple[int, int]:
        account = account_from_json(self.ask("GET", f"/account/{who.address}").body)
        return account.available, account.blocked


@pytest.fixture(scope="module")
def remote(tmp_path_factory):
    operator = Stranger("http://nowhere")
    process = MarketProcess(
        tmp_path_factory.mktemp("market"), f"-trusted={operator.address}", "-maxparcel=1"
    )
    process.start()
    for who in (BUYER, SELLER):
        give(operator, process, who, "MISO 1")
    remote = Remote(process.url)
    yield remote
    remote.http.close()
    process.stop()


def test_a_purchase_over_the_relay(remote):
    before = remote.holds(BUYER)[0], remote.holds(SELLER)[0]
    buyer, _ = delivered(remote, b"work" * 100_000, b"result")
    assert buyer.read_result() == b"result"
    assert buyer.say(acceptresult="on").phase is Phase.FINISHED
    assert remote.holds(BUYER) == (before[0] - 103_000, 0)
    assert remote.holds(SELLER) == (before[1] + 100_000, 0)


def test_a_proof_over_http(remote):
    before = remote.holds(BUYER)[0]
    buyer, _ = delivered(remote, b"work", b"result", key=bytes(32))
    assert buyer.prove().phase is Phase.REFUTED
    assert remote.holds(BUYER) == (before + 200_000, 0)


def test_a_parcel_is_handed_out_as_soon_as_it_comes(remote):
    buyer, seller = matched(remote)
    seller.say(workerurl="relay")
    key = seller.trade.key
    assert remote.get(key, "work", 0) is None
    threading.Timer(0.2, buyer.send_work, (b"some work",)).start()
    assert remote.get(key, "work", 20) is not None
    assert b"some work" in seller.get("work")


def test_what_the_relay_refuses_over_http(remote):
    buyer, seller = matched(remote)
    seller.say(workerurl="relay")
    key = buyer.trade.key

    def put(data: bytes, signed: bytes) -> None:
        signature = BUYER.sign(upload_document(sha256_hex(signed), "work", key))
        remote.put(key, "work", data, signature)

    with pytest.raises(NotAllowed, match="signature"):
        put(b"1", b"2")
    large = bytes((1 << 20) + 1)
    with pytest.raises(TooLarge):
        put(large, large)
    put(b"1", b"1")
    with pytest.raises(TooLate, match="another parcel"):
        put(b"2", b"2")
