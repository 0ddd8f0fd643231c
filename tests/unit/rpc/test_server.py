"""The node's port over real sockets: statuses, headers, credentials, Flask behind it."""

import base64
import hmac
import socket
import threading
from collections.abc import Iterator
from contextlib import nullcontext
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING
from wsgiref.util import setup_testing_defaults

import pytest

from misocoin.errors import StoreError
from misocoin.http.client import HttpClient, HttpResponse
from misocoin.http.errors import ListenError
from misocoin.http.guard import Guard
from misocoin.http.server import PERMIT
from misocoin.rpc.auth import Authenticator
from misocoin.rpc.front import Front
from misocoin.rpc.server import AccessRules, NodeServer
from misocoin.rpc.service import RpcService
from misocoin.testing.daemon import wait_until
from tests.unit.rpc.sample import sample_registry

if TYPE_CHECKING:
    from flask import Flask

ADD = b'{"method":"add","params":[1],"id":1}'
HASH = hmac.digest(b"5a17", b"geheim", "sha256").hex()
PAY = b'{"method":"pay","params":["x","0"],"id":1}'


def add_route(app: "Flask") -> None:
    app.add_url_rule("/rest/<name>", "rest", lambda name: f"rest {name}")


class Node:
    """A server and a client of it."""

    def __init__(self, folder: Path) -> None:
        self.cookie = folder / ".cookie"
        self.server = NodeServer(
            [("localhost", 0), ("localhost", 0)],
            [self.cookie, folder / "regtest" / ".cookie"],
            access=AccessRules(("me", "secret"), ("you:5a17$" + HASH,)),
        )
        self.client = HttpClient()

    def start(self) -> None:
        self.server.start()
        self.server.open(sample_registry(), add_route)

    def url(self, path: str) -> str:
        host, port = self.server.address
        return f"http://{host}:{port}{path}"

    def post(self, body: bytes, credentials: str = "", **headers: str) -> HttpResponse:
        fields = {name.replace("_", "-"): text for name, text in headers.items()}
        if credentials:
            token = base64.b64encode(credentials.encode()).decode()
            fields["Authorization"] = f"Basic {token}"
        return self.client.post(self.url("/"), body, fields)

    def stop(self) -> None:
        self.client.close()
        self.server.stop()


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    made = Node(tmp_path)
    made.start()
    yield made
    made.stop()


@pytest.mark.parametrize("path", ["/", "/jsonrpc"])
@pytest.mark.parametrize("kind", ["text/plain", "application/json", "application/json-rpc", None])
def test_it_answers_whatever_the_content_type(node: Node, path: str, kind: str | None) -> None:
    headers = {"Content-Type": kind} if kind else {}
    answer = node.client.post(node.url(path), ADD, headers)
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.body == b'{"result":11,"error":null,"id":1}\n'


def test_errors_have_core_s_statuses(node: Node) -> None:
    assert node.post(b'{"method":"nosuch"}').status == 404
    assert node.post(b'{"method":"add","params":["x"]}').status == 500
    assert node.post(b'{"method":5}').status == 400
    assert node.post(b"").status == 500
    assert node.post(b'{"jsonrpc":"2.0","method":"nosuch","id":1}').status == 200


def test_a_notification_is_answered_with_an_empty_204(node: Node) -> None:
    answer = node.post(b'{"jsonrpc":"2.0","method":"add","params":[1]}')
    assert (answer.status, answer.body) == (204, b"")
    # The connection goes on.
    assert node.post(ADD).status == 200


def test_the_cookie_and_the_password_open_the_wallet(node: Node) -> None:
    assert node.post(PAY).status == 401
    assert node.post(PAY, node.cookie.read_text()).status == 200
    assert node.post(PAY, "me:secret").status == 200


def test_a_wrong_password_is_refused_even_for_open_methods(node: Node) -> None:
    answer = node.post(ADD, "me:wrong")
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"] == 'Basic realm="jsonrpc"'
    assert node.post(ADD).status == 200


def test_other_methods_than_post_are_refused(node: Node) -> None:
    answer = node.client.get(node.url("/jsonrpc"))
    assert answer.status == 405
    assert answer.body == b"JSONRPC server handles only POST requests\n"


def test_pages_come_through_flask(node: Node) -> None:
    assert b"This is a Misocoin node" in node.client.get(node.url("/")).body
    assert node.client.get(node.url("/rest/x")).body == b"rest x"
    assert node.client.get(node.url("/nothing")).status == 404


def test_without_credentials_a_body_is_bounded_more_tightly(node: Node) -> None:
    body = ADD + b" " * 9_000_000
    assert node.post(body).status == 413
    assert node.post(body, "me:secret").status == 200


def test_pages_of_other_sites_are_refused(node: Node) -> None:
    assert node.post(ADD, Origin="http://evil.example").status == 403
    assert node.post(ADD, Host="evil.example").status == 403
    assert node.client.get(node.url("/rest/x"), {"Host": "evil.example"}).status == 403


def test_it_says_that_it_starts_and_leaves_nothing_behind(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    node = Node(tmp_path)
    node.server.start()
    node.server.set_warmup("Loading blocks")
    assert b'"code":-28,"message":"Loading blocks"' in node.post(ADD).body
    page = node.client.get(node.url("/rest/x"))
    assert page.status == 503
    assert page.body == b"Service temporarily unavailable: Loading blocks\n"
    node.stop()
    assert not node.cookie.exists()
    wait_until(lambda: set(threading.enumerate()) <= before, "no thread is left")


def test_a_port_in_use_leaves_the_other_s_cookie_alone(node: Node) -> None:
    cookie = node.cookie.read_text()
    with pytest.raises(ListenError):
        NodeServer([node.server.address], [node.cookie]).start()
    assert node.cookie.read_text() == cookie


def test_a_cookie_that_cannot_be_written_frees_the_port(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    server = NodeServer([("localhost", 0)], [tmp_path / "file" / ".cookie"])
    before = set(threading.enumerate())
    with pytest.raises(StoreError):
        server.start()
    wait_until(lambda: set(threading.enumerate()) <= before, "no thread is left")


def test_a_password_known_by_its_hash_alone(node: Node) -> None:
    assert node.post(PAY, "you:geheim").status == 200
    for wrong in ("you:secret", "me:geheim", "you:", ":geheim"):
        assert node.post(PAY, wrong).status == 401


def test_every_place_answers_alike_and_every_cookie_opens(node: Node, tmp_path: Path) -> None:
    first, second = node.server.addresses
    assert first != second
    copy = tmp_path / "regtest" / ".cookie"
    assert copy.read_text() == node.cookie.read_text()
    answer = node.client.post(f"http://127.0.0.1:{second[1]}/", ADD)
    assert answer.body == node.post(ADD).body


@pytest.mark.parametrize(
    ("caller", "path", "status"),
    [
        ("10.1.2.3", "/", "200 OK"),
        ("::ffff:10.1.2.3", "/", "200 OK"),
        ("127.0.0.1", "/", "200 OK"),
        ("::1", "/", "200 OK"),
        ("192.0.2.1", "/", "403 Forbidden"),
        ("192.0.2.1", "/rest/x", "403 Forbidden"),
        ("192.0.2.1", "/peer/x", "404 NOT FOUND"),
        ("2001:db8::1", "/", "403 Forbidden"),
        ("nonsense", "/", "403 Forbidden"),
    ],
)
def test_calls_come_from_allowed_networks_alone(caller: str, path: str, status: str) -> None:
    service = RpcService(sample_registry())
    service.open(sample_registry())
    front = Front(service, Authenticator(), Guard(is_local=False), ("10.0.0.0/8",))
    environ: dict[str, object] = {}
    setup_testing_defaults(environ)
    environ |= {
        "PATH_INFO": path,
        "REQUEST_METHOD": "POST" if path == "/" else "GET",
        "REMOTE_ADDR": caller,
        "CONTENT_LENGTH": str(len(ADD)),
        "wsgi.input": BytesIO(ADD),
        PERMIT: nullcontext,
    }
    statuses: list[str] = []
    b"".join(front(environ, lambda line, _fields: statuses.append(line)))
    assert statuses == [status]


def test_traffic_and_calls_under_way_are_counted(node: Node) -> None:
    assert node.server.traffic() == (0, 0)
    answer = node.post(ADD)
    received, sent = node.server.traffic()
    assert received > len(ADD)
    assert sent > len(answer.body)
    node.client.close()
    assert node.server.active_calls() == []


def test_a_call_may_come_in_chunks(node: Node) -> None:
    body = b'{"method":"add","params":[1],"id":1}'
    with socket.create_connection(node.server.address, timeout=60) as sock:
        sock.sendall(
            b"POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n5\r\n%s\r\n1f\r\n%s\r\n0\r\n\r\n"
            % (body[:5], body[5:])
        )
        with sock.makefile("rb") as answer:
            assert answer.read().endswith(b'{"result":11,"error":null,"id":1}\n')
