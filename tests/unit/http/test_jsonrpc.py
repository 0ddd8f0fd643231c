"""The JSON-RPC client, against answers of all kinds."""

import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest

from misocoin.http.errors import HttpError, HttpRefused, RpcError
from misocoin.http.jsonrpc import JsonRpcClient
from tests.unit.http.conftest import MakeServer
from tests.unit.http.test_client import url
from tests.unit.http.test_server import Environ, Start

Answer = Callable[[Any], bytes]
MakeClient = Callable[..., JsonRpcClient]


@pytest.fixture
def answered_by(serve: MakeServer) -> Iterator[MakeClient]:
    """Make a client whose requests are answered by a function of the JSON that was sent."""
    clients: list[JsonRpcClient] = []

    def make(answer: Answer, status: str = "200 OK") -> JsonRpcClient:
        def application(environ: Environ, start_response: Start) -> list[bytes]:
            body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
            reply = answer(json.loads(body))
            start_response(status, [("Content-Length", str(len(reply)))])
            return [reply]

        client = JsonRpcClient(url(serve(application)), ("me", "secret"))
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.close()


def test_it_sends_parameters_by_place_and_by_name(answered_by: MakeClient) -> None:
    client = answered_by(
        lambda sent: json.dumps({"result": [sent["method"], sent["params"]]}).encode()
    )
    assert client.call("get", 1, "x") == ["get", [1, "x"]]
    assert client.call("get", height=1) == ["get", {"height": 1}]
    assert client.call("get", 1, detail=2) == ["get", {"args": [1], "detail": 2}]
    assert client.call("get") == ["get", []]


def test_amounts_keep_their_digits(answered_by: MakeClient) -> None:
    client = answered_by(lambda _: b'{"result":100000000.00000001,"error":null,"id":1}')
    assert client.call("get") == Decimal("100000000.00000001")


def test_an_error_is_raised(answered_by: MakeClient) -> None:
    client = answered_by(
        lambda _: b'{"result":null,"error":{"code":-5,"message":"none"},"id":1}', "500 Error"
    )
    with pytest.raises(RpcError) as raised:
        client.call("get")
    assert (raised.value.code, raised.value.message) == (-5, "none")


def test_a_batch_is_put_in_order_and_keeps_its_errors(answered_by: MakeClient) -> None:
    def answer(sent: Any) -> bytes:
        replies: list[Any] = [{"id": call["id"], "result": call["params"][0]} for call in sent]
        replies[1] = {"id": sent[1]["id"], "error": {"code": -8, "message": "no"}}
        return json.dumps(replies[::-1]).encode()

    first, second, third = answered_by(answer).batch([("a", [1]), ("b", [2]), ("c", [3])])
    assert (first, third) == (1, 3)
    assert isinstance(second, RpcError)


def test_a_batch_with_a_reply_missing_is_an_error(answered_by: MakeClient) -> None:
    client = answered_by(lambda sent: json.dumps([{"id": sent[0]["id"], "result": 1}]).encode())
    with pytest.raises(HttpError, match="2 calls were answered with 1"):
        client.batch([("a", []), ("b", [])])


def test_a_status_without_json_is_told(answered_by: MakeClient) -> None:
    client = answered_by(lambda _: b"go away\n", "401 Unauthorized")
    with pytest.raises(HttpRefused, match="HTTP status 401: go away") as raised:
        client.call("get")
    assert raised.value.status == 401


@pytest.mark.parametrize("answer", [b"[]", b"5", b"null", b'"x"'])
def test_json_that_is_no_reply_is_an_error(answered_by: MakeClient, answer: bytes) -> None:
    with pytest.raises(HttpError, match="not one of JSON-RPC"):
        answered_by(lambda _: answer).call("get")


@pytest.mark.parametrize("error", [b'"text"', b'{"code":"x"}', b"[1]"])
def test_an_odd_error_is_still_an_error(answered_by: MakeClient, error: bytes) -> None:
    with pytest.raises(RpcError) as raised:
        answered_by(lambda _: b'{"error":' + error + b"}").call("get")
    assert raised.value.code == -1
