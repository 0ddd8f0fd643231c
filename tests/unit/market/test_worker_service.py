"""A worker at the service of a client: what happens while it says that it is there."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

import pytest

from misocoin.http.client import HttpClient
from misocoin.market.workers import service as service_module
from misocoin.market.workers.service import WorkerService
from misocoin.pow.engine import StopFlag

DEADLINE = 60.0


class Shouter:
    article = "net.test/shout/0"

    def do(self, work: bytes, _stop: StopFlag) -> bytes:
        return work.upper()

    def close(self) -> None:
        pass


class Client:
    """Hears what a worker tells; `act` is called with a worker's address before it is answered."""

    def __init__(self) -> None:
        self.act: Callable[[str], None] = lambda _url: None
        self.registered = threading.Semaphore(0)
        self.has_left = threading.Event()
        client = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                if self.path == "/registerworker":
                    client.act(form["pushurl"][0])
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()
                if self.path == "/registerworker":
                    client.registered.release()
                else:
                    client.has_left.set()

            def log_message(self, *_arguments: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    monkeypatch.setattr(service_module, "AGAIN_SECONDS", 3_600.0)
    made = Client()
    thread = threading.Thread(target=made.server.serve_forever, daemon=True)
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


def test_a_work_that_is_done_before_the_client_has_answered(client: Client) -> None:
    def push(url: str) -> None:
        client.act = lambda _url: None
        http = HttpClient()
        assert http.post(url, b"work").body == b"WORK"
        http.close()

    client.act = push
    service = WorkerService(Shouter(), client.url)
    service.start()
    for _ in range(2):  # it is idle again, and says so
        assert client.registered.acquire(timeout=DEADLINE)
    service.stop()
    assert client.has_left.is_set()


def test_a_stop_that_is_asked_for_before_the_client_has_answered(client: Client) -> None:
    service = WorkerService(Shouter(), client.url)
    stopping = threading.Thread(target=service.stop)

    def stop(_url: str) -> None:
        stopping.start()
        assert service._stopping.wait(DEADLINE)
        assert service._idle.wait(DEADLINE)

    client.act = stop
    service.start()
    assert client.registered.acquire(timeout=DEADLINE)
    stopping.join(DEADLINE)
    assert client.has_left.is_set()
    assert not service._thread.is_alive()
