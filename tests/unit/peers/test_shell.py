"""The shell over real sockets: two managers, and servers that answer as no node should."""

import socket
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from misocoin.http.client import HttpClient
from misocoin.params import regtest
from misocoin.peers.hello import Hello, bytes_from_hello, hello_from_bytes
from misocoin.peers.messages import Address, GetBlocks, serialize_message
from tests.unit.peers.rig import Rig, answer, bad_server, wait_for
from tests.unit.peers.test_messages import ALL


@pytest.fixture
def rig() -> Iterator[Rig]:
    made = Rig()
    yield made
    made.close()


def hello(work: int = 1 << 100) -> bytes:
    genesis = regtest().genesis.hash
    said = Hello(genesis, genesis, 9, work, int(time.time()), 77, session="s" * 32)
    return bytes_from_hello(said)


def test_two_managers(rig: Rig) -> None:
    rig.mine(30)
    other = Rig((rig.address,))
    try:
        wait_for(lambda: other.chain.tip.hash == rig.chain.tip.hash)
        for sender, receiver in ((rig, other), (other, rig)):
            sender.mine()
            tip = sender.chain.tip.hash
            wait_for(lambda receiver=receiver, tip=tip: receiver.chain.tip.hash == tip)
        assert [peer.score for peer in other.manager.peers()] == [0]
    finally:
        other.close()
    wait_for(lambda: rig.manager.peers() == ())


def check_well(rig: Rig) -> None:
    """The node still syncs with an honest one."""
    honest = Rig()
    try:
        honest.mine(3)
        rig.manager.add_node(honest.address)
        wait_for(lambda: rig.chain.tip.hash == honest.chain.tip.hash)
    finally:
        honest.close()


def link_with(rig: Rig, serve) -> list[str]:
    """Let the node dial a server that serves so, until it is banned or given up."""
    with bad_server(serve) as address:
        rig.manager.add_node(address)
        wait_for(lambda: rig.manager.peers() or rig.manager.banned())
        wait_for(lambda: not rig.manager.peers())
        rig.manager.remove_node(address) if not rig.manager.banned() else None
        return [ban.target for ban in rig.manager.banned()]


def is_for(head: bytes, what: bytes) -> bool:
    return what in head.split(b"\r\n", 1)[0]


def rest(head: bytes, sock: socket.socket) -> None:
    """Answer pulls and pushes emptily, polls never."""
    if is_for(head, b"/poll"):
        waits(sock)
    else:
        answer(sock, b"")


def waits(sock: socket.socket) -> None:
    """Say nothing until the other end is gone."""
    with suppress(OSError):
        sock.settimeout(60)
        sock.recv(1)


def test_garbage_is_banned(rig: Rig) -> None:
    def serve(head: bytes, sock: socket.socket) -> None:
        if is_for(head, b"/peer/hello"):
            answer(sock, hello())
        elif is_for(head, b"/rest/headers"):
            answer(sock, b"no header at all")
        else:
            rest(head, sock)

    assert len(link_with(rig, serve)) == 1
    check_well(rig)


def test_garbage_in_a_poll_is_banned(rig: Rig) -> None:
    def serve(head: bytes, sock: socket.socket) -> None:
        if is_for(head, b"/peer/hello"):
            answer(sock, hello())
        elif is_for(head, b"/poll"):
            answer(sock, b"\x01\xff\xff\xff\xff")
        else:
            rest(head, sock)

    assert len(link_with(rig, serve)) == 1


def test_an_endless_answer_is_banned(rig: Rig) -> None:
    sent = [0]

    def serve(head: bytes, sock: socket.socket) -> None:
        if is_for(head, b"/peer/hello"):
            answer(sock, hello())
        elif is_for(head, b"/rest/headers"):
            sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            while True:
                sent[0] += sock.send(bytes(65536))
        else:
            rest(head, sock)

    assert len(link_with(rig, serve)) == 1
    # What a request for headers may bring, and what lies in the sockets' buffers.
    assert sent[0] < 20 << 20
    check_well(rig)


def test_a_trickle_is_given_up(rig: Rig) -> None:
    def serve(head: bytes, sock: socket.socket) -> None:
        if is_for(head, b"/peer/hello"):
            answer(sock, hello())
        elif is_for(head, b"/rest/headers"):
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 8000\r\n\r\n")
            for _ in range(8000):
                sock.sendall(b"x")
                time.sleep(0.05)
        else:
            rest(head, sock)

    begun = time.monotonic()
    assert link_with(rig, serve) == []
    assert time.monotonic() - begun < 60  # it would take 400
    check_well(rig)


def test_silence_is_given_up(rig: Rig) -> None:
    def serve(head: bytes, sock: socket.socket) -> None:
        if is_for(head, b"/peer/hello"):
            answer(sock, hello())
        else:
            waits(sock)

    assert link_with(rig, serve) == []
    check_well(rig)


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"x" * 100_000, hello().replace(b'"time"', b'"emit"')]
)
def test_a_bad_handshake_makes_no_link(rig: Rig, body: bytes) -> None:
    asked = []

    def serve(head: bytes, sock: socket.socket) -> None:
        asked.append(head)
        answer(sock, body)

    with bad_server(serve) as address:
        rig.manager.add_node(address)
        wait_for(lambda: len(asked) > 1)  # it tries again, after a pause
        assert rig.manager.peers() == ()
        rig.manager.remove_node(address)
    check_well(rig)


def test_another_chain_makes_no_link(rig: Rig) -> None:
    asked = []
    other = hello().replace(regtest().genesis.hash[::-1].hex().encode(), b"ab" * 32)

    def serve(head: bytes, sock: socket.socket) -> None:
        asked.append(head)
        answer(sock, other)

    with bad_server(serve) as address:
        rig.manager.add_node(address)
        wait_for(lambda: len(asked) > 1)
        assert rig.manager.peers() == ()


def test_garbage_pushed_to_us_is_punished(rig: Rig) -> None:
    client = HttpClient()
    url = f"http://{rig.address.text}/peer"
    said = hello().replace(b'"port":0', b'"port":4999')
    try:
        assert client.post(f"{url}/hello", b"nonsense").status == 400
        assert client.post(f"{url}/hello", b"x" * 10_000).status == 400
        assert client.get(f"{url}/{'0' * 32}/poll").status == 404
        greeted = client.post(f"{url}/hello", said)
        assert greeted.status == 200
        import json

        session = json.loads(greeted.body)["session"]
        assert client.post(f"{url}/{session}/pull", serialize_message(ALL[0])).status == 400
        wait_for(lambda: rig.manager.peers() == ())
        assert [ban.target for ban in rig.manager.banned()] == ["127.0.0.1:4999"]
        assert client.post(f"{url}/{session}/messages", b"").status == 404
        assert client.post(f"{url}/hello", said).status == 409
    finally:
        client.close()
    check_well(rig)


@pytest.mark.parametrize("path", ["pull", "messages"])
@pytest.mark.parametrize("sent", [0, 9, 20])
def test_one_that_dies_while_it_speaks_is_not_banned(rig: Rig, path: str, sent: int) -> None:
    """Nobody is to blame for a power cut: the link is over, and a new one may be made."""
    client = HttpClient()
    said = hello().replace(b'"port":0', b'"port":4999')
    frame = serialize_message(GetBlocks((bytes(32),)))
    try:
        session = hello_from_bytes(
            client.post(f"http://{rig.address.text}/peer/hello", said).body
        ).session
        head = f"POST /peer/{session}/{path} HTTP/1.1\r\nHost: {rig.address.text}\r\n"
        with socket.create_connection((rig.address.host, rig.address.port), 5) as sock:
            sock.sendall(f"{head}Content-Length: {len(frame)}\r\n\r\n".encode() + frame[:sent])
        wait_for(lambda: not rig.manager.peers())
        assert not rig.manager.banned()
    finally:
        client.close()


def test_a_source_that_dies_while_it_answers_is_not_banned(rig: Rig) -> None:
    def serve(head: bytes, sock: socket.socket) -> None:
        if is_for(head, b"/peer/hello"):
            answer(sock, hello())
        elif is_for(head, b"/poll"):
            waits(sock)
        else:
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 800\r\n\r\n" + bytes(80))
            sock.shutdown(socket.SHUT_RDWR)

    assert link_with(rig, serve) == []


def test_a_thousand_connections(rig: Rig) -> None:
    """Sockets that only connect, or send half a request, keep nobody out for long."""
    sockets = []
    try:
        for n in range(1000):
            with suppress(OSError):
                sock = socket.create_connection((rig.address.host, rig.address.port), 2)
                if n % 2:
                    sock.sendall(b"POST /peer/hello HTTP/1.1\r\nHost: x")
                sockets.append(sock)
        assert len(rig.manager.peers()) == 0
    finally:
        for sock in sockets:
            sock.close()
    check_well(rig)
    other = Rig((rig.address,))
    try:
        wait_for(lambda: other.chain.tip.hash == rig.chain.tip.hash)
    finally:
        other.close()


def test_a_node_with_rest_alone_is_a_source(rig: Rig) -> None:
    """As Bitcoin Core with -rest: no /peer/ paths, everything is pulled."""
    source = Rig()
    source.mine(12)
    client = HttpClient()

    def serve(head: bytes, sock: socket.socket) -> None:
        path = head.split(b" ", 2)[1].decode()
        if path.startswith("/rest/"):
            got = client.get(f"http://{source.address.text}{path}")
            answer(sock, got.body, f"{got.status} x")
        else:
            answer(sock, b"", "404 Not Found")

    try:
        with bad_server(serve) as address:
            rig.manager.add_node(address)
            wait_for(lambda: rig.chain.tip.hash == source.chain.tip.hash)
            (peer,) = rig.manager.peers()
            assert peer.is_rest_only
            source.mine(2)
            wait_for(lambda: rig.chain.tip.hash == source.chain.tip.hash)
            assert not rig.manager.banned()
            rig.manager.remove_node(address)
    finally:
        client.close()
        source.close()


def test_an_address_that_nobody_answers(rig: Rig) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        rig.manager.add_node(Address("127.0.0.1", sock.getsockname()[1]))
        check_well(rig)
