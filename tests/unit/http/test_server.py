"""The bounded HTTP server, with clients that behave and clients that do not."""

import socket
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from queue import Queue
from typing import Any

import pytest

from misocoin.http.errors import ListenError, Overloaded
from misocoin.http.server import HUNG_UP, PERMIT, HttpServer, is_loopback
from misocoin.testing.daemon import wait_until
from tests.unit.http.conftest import MakeServer

Environ = dict[str, Any]
Start = Callable[..., Any]


def echo(environ: Environ, start_response: Start) -> Iterable[bytes]:
    """Answer with what was sent."""
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


class Gate:
    """An application that holds requests until it is opened."""

    def __init__(self, waits_on_permit: bool) -> None:
        self.arrived = threading.Semaphore(0)
        self.opened = threading.Event()
        self._waits = waits_on_permit

    def __call__(self, environ: Environ, start_response: Start) -> Iterable[bytes]:
        with ExitStack() as stack:
            if environ["PATH_INFO"] == "/hold":
                try:
                    if self._waits:
                        stack.enter_context(environ[PERMIT]())
                except Overloaded:
                    start_response("503 Busy", [("Content-Length", "0")])
                    return [b""]
                self.arrived.release()
                self.opened.wait(60)
        start_response("200 OK", [("Content-Length", "2")])
        return [b"ok"]


def connect(server: HttpServer) -> socket.socket:
    sock = socket.create_connection(server.address, timeout=60)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def request(path: str = "/", body: bytes = b"", *headers: str) -> bytes:
    fields = "".join(f"{header}\r\n" for header in headers)
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n{fields}\r\n"
    return head.encode() + body


def read_answer(sock: socket.socket) -> tuple[int, bytes]:
    """Read one whole answer: status and body."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = sock.recv(65536)
        assert piece, f"ended after {data!r}"
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    fields = {
        line.split(b":", 1)[0].lower(): line.split(b":", 1)[1].strip()
        for line in head.split(b"\r\n")[1:]
    }
    while len(body) < int(fields.get(b"content-length", 0)):
        piece = sock.recv(65536)
        assert piece
        body += piece
    return int(head.split(b" ", 2)[1]), body


def is_closed(sock: socket.socket) -> bool:
    """Whether the server ends the connection without a word."""
    try:
        return sock.recv(1) == b""
    except ConnectionError:
        return True


def test_it_answers_many_requests_on_one_connection(serve: MakeServer) -> None:
    server = serve(echo)
    with connect(server) as sock:
        for number in range(50):
            sock.sendall(request(body=b"%d" % number))
            assert read_answer(sock) == (200, b"%d" % number)


def test_requests_sent_at_once_are_answered_in_order(serve: MakeServer) -> None:
    server = serve(echo)
    with connect(server) as sock:
        sock.sendall(b"".join(request(body=b"%d" % number) for number in range(10)))
        expected = [b"%d" % number for number in range(10)]
        data = b""
        while data.count(b"HTTP/1.1 200") < 10 or not data.endswith(b"9"):
            data += sock.recv(65536)
        assert [part[-1:] for part in data.split(b"HTTP/1.1")[1:]] == expected


def test_a_request_in_pieces_is_put_together(serve: MakeServer) -> None:
    server = serve(echo)
    whole = request(body=b"piecemeal")
    with connect(server) as sock:
        for index in range(len(whole)):
            sock.sendall(whole[index : index + 1])
        assert read_answer(sock) == (200, b"piecemeal")


@pytest.mark.parametrize("size", [0, 1, 65536, (1 << 20) - 1, (1 << 20) + 1, 5_000_000])
def test_bodies_of_all_sizes_come_and_go_whole(serve: MakeServer, size: int) -> None:
    server = serve(echo)
    body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    with connect(server) as sock:
        sock.sendall(request(body=body))
        assert read_answer(sock) == (200, body)


def test_a_body_over_the_limit_is_refused_and_the_client_hears_it(serve: MakeServer) -> None:
    server = serve(echo, body=1000)
    with connect(server) as sock:
        # More than fits into the sockets' buffers: the client is still sending when refused.
        sock.sendall(request(body=b"x" * 20_000_000))
        status, text = read_answer(sock)
    assert status == 413
    assert b"exceeds the maximum" in text


def test_a_head_over_the_limit_is_refused(serve: MakeServer) -> None:
    server = serve(echo, head=2000)
    with connect(server) as sock:
        sock.sendall(request("/", b"", "X: " + "y" * 3000))
        assert read_answer(sock)[0] == 413
    with connect(server) as sock:
        sock.sendall(b"GET /" + b"y" * 3000)
        assert read_answer(sock)[0] == 414


def test_a_body_without_a_length_is_refused(serve: MakeServer) -> None:
    server = serve(echo)
    with connect(server) as sock:
        sock.sendall(
            b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"5\r\nhello\r\n0\r\n\r\n"
        )
        assert read_answer(sock)[0] == 411


CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


def test_a_body_in_chunks_where_they_are_allowed(serve: MakeServer) -> None:
    server = serve(echo, chunked=True)
    with connect(server) as sock:
        for _ in range(2):
            sock.sendall(CHUNKED + b"5;name=value\r\nhel")
            sock.sendall(b"lo\r\n00B\r\n, all of it\r\n0\r\nTrailer: x\r\n\r\n")
            assert read_answer(sock) == (200, b"hello, all of it")
        sock.sendall(request("/", b"plain"))
        assert read_answer(sock) == (200, b"plain")


@pytest.mark.parametrize(
    "body",
    [
        b"x\r\n",
        b"-5\r\nhello\r\n0\r\n\r\n",
        b"5\r\nhello!\r\n0\r\n\r\n",
        b"ffffffff\r\n",
        b"3e8\r\n" + b"y" * 1000 + b"\r\n1\r\n",
        b"5" * 5000,
        b"0\r\n" + b"y" * 5000,
    ],
)
def test_chunks_that_are_none_or_too_many(serve: MakeServer, body: bytes) -> None:
    server = serve(echo, chunked=True, chunked_body=1000)
    with connect(server) as sock:
        sock.sendall(CHUNKED + body)
        assert read_answer(sock)[0] == 400


def test_a_client_may_ask_before_it_sends_a_body(serve: MakeServer) -> None:
    server = serve(echo)
    whole = request("/", b"hello", "Expect: 100-continue")
    with connect(server) as sock:
        sock.sendall(whole[:-5])
        assert sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(b"hello")
        assert read_answer(sock) == (200, b"hello")


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n",
        b"\r\n\r\n\r\n\r\n",
        b"POST / HTTP/9.9\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: many\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: +2\r\n\r\nok",
        b"POST / HTTP/1.1\r\nContent-Length: 0_2\r\n\r\nok",
        b"POST / HTTP/1.1\r\nContent-Length : 2\r\n\r\nok",
        b"POST / HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 1\r\n\r\nok",
        b"GET http://elsewhere/ HTTP/1.1\r\n\r\n",
        b"post / HTTP/1.1\r\n\r\n",
        b"\xff\xfe\x00\r\n\r\n",
        b"POST / HTTP/1.1\nHost: x\n\n\r\n\r\n",
    ],
)
def test_garbage_ends_in_an_error_and_the_server_lives_on(
    serve: MakeServer, garbage: bytes
) -> None:
    server = serve(echo)
    with connect(server) as sock:
        sock.sendall(garbage)
        sock.shutdown(socket.SHUT_WR)
        data = b""
        while not data.startswith(b"HTTP/1.1 4") and not data.startswith(b"HTTP/1.1 5"):
            piece = sock.recv(65536)
            if not piece:
                break
            data += piece
        assert b"200 OK" not in data
    with connect(server) as sock:
        sock.sendall(request(body=b"still here"))
        assert read_answer(sock) == (200, b"still here")


def test_silent_connections_hold_no_worker(serve: MakeServer) -> None:
    server = serve(echo, workers=1)
    with ExitStack() as stack:
        for _ in range(30):
            stack.enter_context(connect(server))
        half = stack.enter_context(connect(server))
        half.sendall(request(body=b"begun")[:-3])
        sock = stack.enter_context(connect(server))
        sock.sendall(request(body=b"served"))
        assert read_answer(sock) == (200, b"served")
        half.sendall(b"gun")
        assert read_answer(half) == (200, b"begun")


def test_a_silent_connection_is_closed_in_time(serve: MakeServer) -> None:
    server = serve(echo, idle_seconds=1)
    with connect(server) as sock:
        assert is_closed(sock)


def test_a_request_that_trickles_is_cut_off(serve: MakeServer) -> None:
    server = serve(echo, gather_seconds=0.3)
    with connect(server) as sock:
        stop = threading.Event()

        def trickle() -> None:
            while not stop.wait(0.05):
                try:
                    sock.sendall(b"X")
                except OSError:
                    return

        sock.sendall(b"POST / HTTP/1.1\r\nX-Slow: ")
        thread = threading.Thread(target=trickle)
        thread.start()
        try:
            assert is_closed(sock)
        finally:
            stop.set()
            thread.join()


def test_a_long_body_that_stops_coming_is_cut_off(serve: MakeServer) -> None:
    seen: list[type[BaseException]] = []

    def reading(environ: Environ, start_response: Start) -> Iterable[bytes]:
        try:
            return echo(environ, start_response)
        except TimeoutError as error:
            seen.append(type(error))
            start_response("408 Request Timeout", [("Content-Length", "0")])
            return [b""]

    server = serve(reading, gathered_body=10, slow_seconds=0.2, slow_rate=1_000_000)
    with connect(server) as sock:
        sock.sendall(request(body=b"x" * 1000)[:-1])
        assert read_answer(sock)[0] == 408
    assert seen == [TimeoutError]


def test_an_answer_that_nobody_takes_is_given_up(serve: MakeServer) -> None:
    ended = threading.Event()

    class Body:
        def __iter__(self) -> Iterable[bytes]:  # type: ignore[misc]
            yield b"x" * 100_000_000

        def close(self) -> None:
            ended.set()

    def large(environ: Environ, start_response: Start) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Length", "100000000")])
        return Body()  # type: ignore[return-value]

    server = serve(large, workers=1, slow_seconds=0.2, slow_rate=1_000_000_000)
    with connect(server) as sock:
        sock.sendall(request())
        assert ended.wait(60)


def test_long_polls_leave_the_workers_free(serve: MakeServer) -> None:
    gate = Gate(waits_on_permit=True)
    server = serve(gate, workers=2, waiting=10)
    with ExitStack() as stack:
        polls = [stack.enter_context(connect(server)) for _ in range(10)]
        for poll in polls:
            poll.sendall(request("/hold"))
        for _ in polls:
            assert gate.arrived.acquire(timeout=60)
        with connect(server) as sock:
            sock.sendall(request())
            assert read_answer(sock) == (200, b"ok")
            # The eleventh is one too many.
            sock.sendall(request("/hold"))
            assert read_answer(sock)[0] == 503
        gate.opened.set()
        assert [read_answer(poll) for poll in polls] == [(200, b"ok")] * 10


def test_who_waits_can_see_that_the_caller_has_hung_up(serve: MakeServer) -> None:
    seen: Queue[bool] = Queue()
    looked = threading.Event()

    def application(environ: Environ, start_response: Start) -> Iterable[bytes]:
        has_hung_up = environ[HUNG_UP]
        with environ[PERMIT]():
            seen.put(has_hung_up())
            looked.set()
            deadline = time.monotonic() + 60
            while not has_hung_up() and time.monotonic() < deadline:
                time.sleep(0.01)  # it can be asked only
            seen.put(has_hung_up())
        start_response("200 OK", [("Content-Length", "0")])
        return [b""]

    with connect(serve(application)) as sock:
        sock.sendall(request())
        assert looked.wait(60)
        assert seen.get(timeout=60) is False
    assert seen.get(timeout=60) is True


def test_more_work_than_may_wait_is_turned_away(serve: MakeServer) -> None:
    gate = Gate(waits_on_permit=False)
    server = serve(gate, workers=1, backlog=2)
    with ExitStack() as stack:
        held = stack.enter_context(connect(server))
        held.sendall(request("/hold"))
        assert gate.arrived.acquire(timeout=60)
        others = [stack.enter_context(connect(server)) for _ in range(4)]
        for other in others:
            other.sendall(request())
        # Two may wait; the other two are told so at once, while the worker is held.
        refused = [sock for sock in others if _has_answer(sock, 0.5)]
        assert [read_answer(sock)[0] for sock in refused] == [503, 503]
        gate.opened.set()
        served = [sock for sock in others if sock not in refused]
        assert [read_answer(sock) for sock in served] == [(200, b"ok")] * 2
        assert read_answer(held) == (200, b"ok")


def _has_answer(sock: socket.socket, seconds: float) -> bool:
    sock.settimeout(seconds)
    try:
        return bool(sock.recv(1, socket.MSG_PEEK))
    except TimeoutError:
        return False
    finally:
        sock.settimeout(60)


def test_more_connections_than_allowed_are_turned_away(serve: MakeServer) -> None:
    server = serve(echo, connections=3)
    with ExitStack() as stack:
        first = [stack.enter_context(connect(server)) for _ in range(3)]
        for sock in first:
            sock.sendall(request(body=b"a"))
            assert read_answer(sock) == (200, b"a")
        with connect(server) as sock:
            assert read_answer(sock)[0] == 503
        first[0].close()
        # The place is free as soon as the server has seen the end.
        for _ in range(100):
            with connect(server) as sock:
                sock.sendall(request(body=b"b"))
                if read_answer(sock) == (200, b"b"):
                    return
        pytest.fail("the place was not given to another")


def test_a_failing_application_is_an_error_500_and_not_the_end(serve: MakeServer) -> None:
    def failing(environ: Environ, start_response: Start) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/bad":
            raise ZeroDivisionError
        return echo(environ, start_response)

    server = serve(failing, workers=1)
    for _ in range(3):
        with connect(server) as sock:
            sock.sendall(request("/bad"))
            assert read_answer(sock) == (500, b"internal error\n")
    with connect(server) as sock:
        sock.sendall(request(body=b"alive"))
        assert read_answer(sock) == (200, b"alive")


def test_it_stops_at_once_and_leaves_no_thread(serve: MakeServer) -> None:
    before = set(threading.enumerate())
    gate = Gate(waits_on_permit=True)
    server = serve(gate)
    with connect(server) as idle, connect(server) as busy:
        idle.sendall(request())
        assert read_answer(idle) == (200, b"ok")
        busy.sendall(request("/hold"))
        assert gate.arrived.acquire(timeout=60)
        timer = threading.Timer(0.1, gate.opened.set)
        timer.start()
        server.stop()
        # What was being served is still answered, the other connection is closed.
        assert read_answer(busy) == (200, b"ok")
        assert is_closed(idle)
        timer.join()
    wait_until(lambda: set(threading.enumerate()) <= before, "no thread is left")
    with pytest.raises(OSError, match="refused"):
        connect(server)


def test_a_port_in_use_is_an_error_with_a_hint(serve: MakeServer) -> None:
    taken = serve(echo)
    with pytest.raises(ListenError, match="the port is in use"):
        HttpServer("localhost", taken.address[1], echo).listen()


def test_a_host_that_is_not_here_is_an_error() -> None:
    with pytest.raises(ListenError, match=r"cannot listen on 203\.0\.113\.7:4000"):
        HttpServer("203.0.113.7", 4000, echo).listen()


def test_stopping_before_the_start_is_nothing() -> None:
    HttpServer("localhost", 0, echo).stop()


@pytest.mark.parametrize(
    ("address", "answer"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("10.0.0.1", False),
        ("::", False),
        (None, False),
    ],
)
def test_this_machine_is_known_by_its_addresses(address: str | None, answer: bool) -> None:
    assert is_loopback(address) is answer
