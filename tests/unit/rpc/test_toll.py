"""Proof of work over HTTP: 429, a challenge, and the same request with a stamp."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from misocoin.hashcash.challenge import challenge_from_text
from misocoin.hashcash.http import HttpToll, make_payer
from misocoin.hashcash.price import Tariff
from misocoin.hashcash.toll import Toll
from misocoin.http.client import HttpClient, stamped_request
from misocoin.http.errors import RpcError
from misocoin.http.jsonrpc import JsonRpcClient
from misocoin.http.server import HttpServer
from misocoin.rpc.toll import TollBooth, toll_for

NOW = 1_795_243_200.0
TARIFF = Tariff(0, 8, 14, address_rate=0.3, costs={"dear": 8})


class Place:
    """A server with a toll, and clients that pay or do not."""

    def __init__(self, is_free_for_loopback: bool = False) -> None:
        self.now = NOW
        self.bodies: list[bytes] = []
        toll = HttpToll(Toll("here", b"secret", TARIFF), lambda: self.now)
        booth = TollBooth(self._application, toll, is_free_for_loopback, TARIFF.costs)
        self._server = HttpServer("localhost", 0, booth)
        self._server.listen()
        self._server.start()
        self.url = f"http://127.0.0.1:{self._server.address[1]}"
        self.asked: list[str] = []
        pay = make_payer()

        def noted(challenge: str, request: bytes) -> str | None:
            self.asked.append(challenge)
            return pay(challenge, request)

        self.poor, self.rich = HttpClient(), HttpClient(pay=noted)

    def _application(self, environ: Any, start_response: Callable[..., Any]) -> list[bytes]:
        self.bodies.append(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
        body = b'{"result": 7, "error": null}'
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]

    def press(self) -> None:
        """Ask for as much as is free."""
        while self.poor.post(self.url, call("a")).status == 200:
            pass
        self.bodies.clear()

    def close(self) -> None:
        self.poor.close()
        self.rich.close()
        self._server.stop()


def call(method: str, number: int = 5) -> bytes:
    return json.dumps({"id": number, "method": method, "params": []}).encode()


@pytest.fixture
def place() -> Iterator[Place]:
    made = Place()
    yield made
    made.close()


def test_who_does_not_pay_is_asked_to(place: Place) -> None:
    place.press()
    answer = place.poor.post(place.url, call("a"))
    assert answer.status == 429
    error = json.loads(answer.body)
    assert error["id"] == 5
    assert error["error"]["code"] == -32029
    assert error["error"]["data"]["challenge"] == answer.headers["Hashcash-Challenge"]
    challenge = challenge_from_text(answer.headers["hashcash-challenge"])
    assert (challenge.service, challenge.time) == ("here", NOW)
    assert challenge.bits == 9
    assert place.bodies == []
    with pytest.raises(RpcError, match="proof of work is asked for"):
        JsonRpcClient(place.url, http=place.poor).call("a")


def test_our_client_pays_by_itself(place: Place) -> None:
    place.press()
    assert JsonRpcClient(place.url, http=place.rich).call("a") == 7
    assert place.rich.post(place.url + "/peer/x?y=1", b"bytes").status == 200
    assert len(place.asked) == 2
    assert place.bodies[1] == b"bytes"


def test_dear_methods_and_batches_cost_more(place: Place) -> None:
    place.press()
    both = b"[%s,%s]" % (call("a"), call("a"))
    for body, more in ((call("a"), 0), (call("dear"), 3), (both, 1)):
        answer = place.poor.post(place.url, body)
        assert challenge_from_text(answer.headers["Hashcash-Challenge"]).bits == 9 + more
    assert place.rich.post(place.url, call("dear")).status == 200


def test_a_stamp_counts_once_for_its_own_request(place: Place) -> None:
    place.press()
    challenge = place.poor.post(place.url, call("a")).headers["Hashcash-Challenge"]
    stamp = make_payer()(challenge, stamped_request("POST", "/", call("a")))
    assert stamp is not None
    given = {"Hashcash": stamp}

    def fault(path: str, body: bytes) -> str:
        answer = place.poor.post(place.url + path, body, given)
        assert answer.status == 429
        return str(json.loads(answer.body)["error"]["data"]["stamp"])

    assert fault("/wallet/x", call("a")) == "wrong"
    assert fault("/", call("a", 6)) == "wrong"
    assert place.poor.post(place.url, call("a"), given).status == 200
    assert fault("/", call("a")) == "spent"
    given = {"Hashcash": "nonsense"}
    assert fault("/", call("a")) == "malformed"


def test_it_is_free_again_when_it_is_quiet(place: Place) -> None:
    place.press()
    place.now += 60
    assert place.poor.post(place.url, call("a")).status == 200


def test_reading_and_those_with_a_password_are_free(place: Place) -> None:
    place.press()
    known = {"Authorization": "Basic whatever"}
    assert place.poor.post(place.url, call("a"), known).status == 200
    assert place.poor.post(place.url + "/wallet/x", call("a"), known).status == 200
    assert place.poor.post(place.url + "/peer/hello", b"", known).status == 429
    assert place.poor.get(place.url, {"Content-Length": "0"}).status == 200


def test_this_machine_can_be_free() -> None:
    place = Place(is_free_for_loopback=True)
    for _ in range(50):
        assert place.poor.post(place.url, call("a")).status == 200
    place.close()


def test_no_client_pays_any_price() -> None:
    pay = make_payer(max_bits=8)
    assert pay("2:9:1795243200:here:6f1d2c3b4a596877", b"") is None
    assert pay("nonsense", b"") is None
    assert pay("2:8:1795243200:here:6f1d2c3b4a596877", b"") is not None


@pytest.mark.parametrize(
    ("wish", "host", "is_there"),
    [
        (None, "localhost", False),
        (None, "127.0.0.1", False),
        (None, "::1", False),
        (None, "0.0.0.0", True),
        (True, "localhost", True),
        (False, "0.0.0.0", False),
    ],
)
def test_where_a_node_has_a_toll(wish: bool | None, host: str, is_there: bool) -> None:
    toll = toll_for(wish, 10, "regtest", [("localhost", 1), (host, 2)])
    assert (toll is not None) == is_there
