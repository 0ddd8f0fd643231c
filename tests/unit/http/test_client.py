"""The bounded HTTP client, against servers that behave and servers that do not."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from misocoin.http.client import Bounds, HttpClient
from misocoin.http.errors import HttpError, HttpTimeout, HttpTooLarge
from misocoin.testing.daemon import reserved_port
from tests.unit.http.conftest import MakeServer
from tests.unit.http.test_server import Environ, Start, echo

QUICK = Bounds(connect_seconds=5, read_seconds=5, total_seconds=0.4, body=1000)


@pytest.fixture
def client() -> Iterator[HttpClient]:
    made = HttpClient(QUICK)
    yield made
    made.close()


Talk = Callable[[socket.socket], None]


@pytest.fixture
def bad_server() -> Iterator[Callable[[Talk], str]]:
    """Serve raw bytes: `bad_server(talk)` gives the address of a server that talks so."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(60)
    threads: list[threading.Thread] = []

    def start(talk: Talk) -> str:
        def serve() -> None:
            sock, _ = listener.accept()
            with sock, suppress(OSError):
                sock.recv(65536)
                talk(sock)

        thread = threading.Thread(target=serve)
        thread.start()
        threads.append(thread)
        return f"http://127.0.0.1:{listener.getsockname()[1]}/"

    yield start
    for thread in threads:
        thread.join()
    listener.close()


def url(server: object) -> str:
    host, port = server.address  # type: ignore[attr-defined]
    return f"http://{host}:{port}/"


def trickle(first: bytes, piece: bytes) -> Talk:
    """Send a beginning and then a piece at a time, until the client has enough."""

    def talk(sock: socket.socket) -> None:
        sock.sendall(first)
        if not piece:
            sock.recv(1)
            return
        gone = threading.Event()
        for _ in range(200):
            sock.sendall(piece)
            gone.wait(0.02)

    return talk


def test_it_gets_and_posts(client: HttpClient, serve: MakeServer) -> None:
    address = url(serve(echo))
    assert client.get(address).body == b""
    answer = client.post(address, b"hello", {"Content-Type": "text/plain"})
    assert (answer.status, answer.body) == (200, b"hello")
    assert answer.headers["content-length"] == "5"


def test_it_keeps_its_connection(client: HttpClient, serve: MakeServer) -> None:
    ports: set[str] = set()

    def noting(environ: Environ, start_response: Start) -> list[bytes]:
        ports.add(environ["REMOTE_PORT"])
        return list(echo(environ, start_response))

    address = url(serve(noting))
    for _ in range(5):
        client.post(address, b"x")
    assert len(ports) == 1


def test_an_error_status_is_an_answer(client: HttpClient, serve: MakeServer) -> None:
    def missing(_environ: Environ, start_response: Start) -> list[bytes]:
        start_response("404 Not Found", [("Content-Length", "4")])
        return [b"none"]

    assert client.get(url(serve(missing)))[::2] == (404, b"none")


def test_it_follows_no_redirect(client: HttpClient, serve: MakeServer) -> None:
    def moved(_environ: Environ, start_response: Start) -> list[bytes]:
        start_response("302 Found", [("Location", "/other"), ("Content-Length", "0")])
        return [b""]

    assert client.get(url(serve(moved))).status == 302


def test_it_takes_nothing_from_the_environment(
    client: HttpClient, serve: MakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    assert client.get(url(serve(echo))).status == 200


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n400\r\n",
    ],
)
def test_an_answer_that_is_too_long_is_given_up(
    client: HttpClient, bad_server: Callable[[Talk], str], head: bytes
) -> None:
    with pytest.raises(HttpTooLarge):
        client.get(bad_server(lambda sock: sock.sendall(head + b"x" * 1024 + b"\r\n" * 10)))


@pytest.mark.parametrize(
    ("first", "piece"),
    [
        (b"", b""),
        (b"HTTP/1.1 200 OK\r\n", b"X-Header: y\r\n"),
        (b"HTTP/1.1 200 OK\r\nX-Long: ", b"y"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n", b"x"),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", b"x"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;ext=", b"x"),
    ],
)
def test_an_answer_that_trickles_is_given_up_in_time(
    client: HttpClient, bad_server: Callable[[Talk], str], first: bytes, piece: bytes
) -> None:
    with pytest.raises(HttpTimeout, match="took too long"):
        client.get(bad_server(trickle(first, piece)))


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\x00\xff garbage\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 " + b"2" * 70_000,
    ],
)
def test_what_is_no_answer_is_an_error(
    client: HttpClient, bad_server: Callable[[Talk], str], answer: bytes
) -> None:
    with pytest.raises(HttpError, match=r"127\.0\.0\.1|compressed"):
        client.get(bad_server(lambda sock: sock.sendall(answer)))


def test_nobody_there_is_an_error_that_says_where(client: HttpClient) -> None:
    with reserved_port() as port:
        complaint = f"127.0.0.1:{port} gave no answer: Connection refused"
        with pytest.raises(HttpError, match=complaint):
            client.get(f"http://127.0.0.1:{port}/")


@pytest.mark.parametrize("address", ["https://127.0.0.1/", "file:///etc/passwd", "nonsense", ""])
def test_an_address_of_another_kind_is_an_error(client: HttpClient, address: str) -> None:
    with pytest.raises(HttpError):
        client.get(address)


def test_a_password_in_an_address_is_not_repeated(client: HttpClient) -> None:
    with pytest.raises(HttpError) as raised:
        client.get("http://me:hunter2@127.0.0.1:1/")
    assert "hunter2" not in str(raised.value)


def test_the_next_call_has_a_deadline_of_its_own(
    client: HttpClient, serve: MakeServer, bad_server: Callable[[Talk], str]
) -> None:
    address = url(serve(echo))
    with pytest.raises(HttpTimeout):
        client.get(bad_server(trickle(b"", b"")))
    assert client.post(address, b"x").body == b"x"
