"""A node by its REST paths: what is asked, what is read, and what is not put up with."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from misocoin.errors import ParseError
from misocoin.http.client import Bounds, HttpClient
from misocoin.primitives.transaction import TxOut
from misocoin.testing.daemon import reserved_port
from misocoin.wallet.light import rest_node
from misocoin.wallet.light.errors import NodeFailed, NotServed, Refused
from misocoin.wallet.light.ports import NodePort
from misocoin.wallet.light.rest_node import (
    RestNode,
    filters_from_bytes,
    spent_outputs_from_bytes,
    txids_hex_from_json,
)
from tests.builders import KEY_SCRIPT, make_block, spend
from tests.fakes.light import FakeNode
from tests.unit.peers.rig import Rig, answer, bad_server


def json_bytes(value: object) -> bytes:
    return json.dumps(value).encode()


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    made = Rig()
    made.mine(105)
    chain = made.chain
    coin = chain.get_block(chain.at_height(1)).transactions[0]
    payment = spend([coin.outpoint(0)], [TxOut(coin.vout[0].value - 1000, KEY_SCRIPT)])
    chain.submit_block(make_block(chain.tip, chain.params, [payment], fees=1000))
    yield made
    made.close()


@pytest.fixture(scope="module")
def http() -> Iterator[HttpClient]:
    client = HttpClient()
    yield client
    client.close()


@pytest.mark.parametrize("method", ["headers", "filter_headers", "filters"])
def test_ranges(rig: Rig, http: HttpClient, method: str):
    node: NodePort = RestNode(rig.address.text, http)
    fake = FakeNode(rig.chain)
    start = rig.chain.at_height(7).hash
    asked, expected = getattr(node, method)(start, 50), getattr(fake, method)(start, 50)
    assert list(asked) == list(expected)
    assert list(getattr(node, method)(rig.chain.tip.hash, 50)) == list(
        getattr(fake, method)(rig.chain.tip.hash, 50)
    )
    assert list(getattr(node, method)(b"\xab" * 32, 5)) == []


def test_blocks_and_what_they_spend(rig: Rig, http: HttpClient):
    node = RestNode(rig.address.text, http)
    tip = rig.chain.tip.hash
    assert node.block(tip) == rig.chain.get_block(rig.chain.tip)
    assert [list(each) for each in node.spent_outputs(tip)] == [
        list(each) for each in FakeNode(rig.chain).spent_outputs(tip)
    ]
    for method in (node.block, node.spent_outputs):
        with pytest.raises(NotServed, match="404"):
            method(b"\xab" * 32)


def test_a_node_that_serves_one_filter_at_a_time(rig: Rig, http: HttpClient):
    """As bitcoind does: after one refusal it is asked no more for many."""
    heads = []

    def serve(head: bytes, sock: socket.socket) -> None:
        path = head.split(b" ")[1].decode()
        heads.append(path)
        if path.startswith("/rest/blockfilters/"):
            answer(sock, b"", "404 Not Found")
        else:
            found = http.get(f"http://{rig.address.text}{path}")
            answer(sock, found.body)

    with bad_server(serve) as address:
        node = RestNode(address.text, http)
        for height in (3, 4):
            block_hash = rig.chain.at_height(height).hash
            filters = FakeNode(rig.chain).filters(block_hash, 1)
            assert list(node.filters(block_hash, 100)) == list(filters)
    kinds = [head.split("/")[2] for head in heads]
    assert kinds == ["blockfilters", "blockfilter", "blockfilter"]


def stall(_head: bytes, sock: socket.socket) -> None:
    """Say nothing until the other side has enough of it."""
    sock.recv(1)


def trickle(_head: bytes, sock: socket.socket) -> None:
    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 800\r\n\r\n")
    for _ in range(800):
        sock.sendall(b"x")
        time.sleep(0.1)


def pour(_head: bytes, sock: socket.socket) -> None:
    """An answer without an end."""
    sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        sock.sendall(bytes(65536))


def cut_off(_head: bytes, sock: socket.socket) -> None:
    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 800\r\n\r\nxx")
    sock.shutdown(socket.SHUT_RDWR)


def rubbish(_head: bytes, sock: socket.socket) -> None:
    answer(sock, b"\x01" * 81)


def fail(_head: bytes, sock: socket.socket) -> None:
    answer(sock, b"out of order", "500 Internal Server Error")


@pytest.mark.parametrize("serve", [stall, trickle, pour, cut_off, rubbish, fail])
@pytest.mark.parametrize("method", ["headers", "filter_headers", "filters", "block"])
def test_bad_answers_fail_in_time(http: HttpClient, monkeypatch, serve, method: str):
    bounds = Bounds(connect_seconds=0.2, read_seconds=0.2, total_seconds=0.2, body=1_000_000)
    monkeypatch.setattr(rest_node, "SHORT", bounds)
    monkeypatch.setattr(rest_node, "LONG", bounds)
    with bad_server(serve) as address:
        node = RestNode(address.text, http)
        given = (bytes(32),) if method == "block" else (bytes(32), 10)
        began = time.monotonic()
        with pytest.raises(NodeFailed):
            getattr(node, method)(*given)
        assert time.monotonic() - began < 60  # the trickle would take 80


@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden"])
def test_one_that_takes_calls_by_password_alone_is_told_so(http: HttpClient, status: str):
    with bad_server(lambda _head, sock: answer(sock, b"", status)) as address:
        node = RestNode(address.text, http)
        with pytest.raises(Refused, match="only by name and password, as a bitcoind"):
            node.submit(spend([bytes(36)], [1]))
        assert node.fee_rate(6) is None


def test_nobody_listens(http: HttpClient):
    with reserved_port() as port, pytest.raises(NodeFailed):
        RestNode(f"127.0.0.1:{port}", http).headers(bytes(32), 1)


@given(st.binary(max_size=300))
def test_any_bytes_are_filters_or_refused(data: bytes):
    try:
        filters = filters_from_bytes(data)
    except ParseError:
        return
    assert sum(34 + len(each.data) for each in filters) <= len(data)


@given(st.binary(max_size=300))
def test_any_bytes_are_spent_outputs_or_refused(data: bytes):
    try:
        spent = spent_outputs_from_bytes(data)
    except ParseError:
        return
    assert len(spent) < 300


@given(st.one_of(st.binary(max_size=100), st.lists(st.text(max_size=70)).map(json_bytes)))
def test_any_bytes_are_transaction_ids_or_refused(data: bytes):
    try:
        ids = txids_hex_from_json(data)
    except ParseError:
        return
    assert all(len(bytes.fromhex(each)) == 32 for each in ids)


def test_transaction_ids():
    assert txids_hex_from_json(json_bytes(["ab" * 32])) == ["ab" * 32]
    for bad in ([["ab" * 32]], ["AB" * 32], [5], {"ab" * 32: 1}, ["ab" * 32 + "/.."]):
        with pytest.raises(ParseError):
            txids_hex_from_json(json_bytes(bad))
    with pytest.raises(ParseError):
        txids_hex_from_json(b"[" * 100_000)


def test_what_a_node_says_cannot_drive_a_terminal(http: HttpClient):
    rude = "\x1b[2Jgone\r\n" + "x" * 1000
    reply = {"id": 1, "result": None, "error": {"code": -26, "message": rude}}

    def serve(head: bytes, sock: socket.socket) -> None:
        if head.startswith(b"POST"):
            sock.settimeout(0.2)
            with suppress(OSError):
                sock.recv(65536)
            answer(sock, json_bytes(reply))
        else:
            answer(sock, rude.encode(), "404 Not Found")

    tx = spend([bytes(36)], [1])
    with bad_server(serve) as address:
        node = RestNode(address.text, http)
        for act in (lambda: node.submit(tx), lambda: node.block(bytes(32))):
            with pytest.raises((Refused, NotServed)) as caught:
                act()
            assert str(caught.value).isprintable()
            assert "[2Jgone x" in str(caught.value)
            assert len(str(caught.value)) < 300
