"""The one WSGI application of the port: JSON-RPC first, everything else through Flask.

A call of JSON-RPC is answered before Flask sees it, since Flask's routing costs several times as
much as most calls. Flask itself is imported by `warm_up`, or with the first request that needs it.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from ipaddress import ip_address, ip_network
from threading import Lock
from time import sleep
from typing import TYPE_CHECKING, Any

from misocoin.http.errors import Overloaded
from misocoin.http.guard import Guard
from misocoin.http.server import PERMIT, Application, is_loopback
from misocoin.rpc.auth import Authenticator
from misocoin.rpc.envelope import CONTENT_TYPE, Answer
from misocoin.rpc.service import UNAUTHORIZED, RpcService

if TYPE_CHECKING:
    from flask import Flask

log = logging.getLogger(__name__)

RPC_PATHS = frozenset({"/", "/jsonrpc"})
"""Where JSON-RPC is asked with POST."""

WALLET_PATHS = "/wallet/"
"""What stands before a wallet's name in the path of its calls, as in Core."""

PEER_PATHS = "/peer/"
"""Where other nodes' messages come."""

MAX_OPEN_BODY = 9_000_000
"""Bytes of a body that came without credentials: the hex of the largest block, and room."""

_STATUS_LINES = {
    200: "200 OK",
    204: "204 No Content",
    400: "400 Bad Request",
    401: "401 Unauthorized",
    403: "403 Forbidden",
    404: "404 Not Found",
    405: "405 Method Not Allowed",
    408: "408 Request Timeout",
    413: "413 Request Entity Too Large",
    500: "500 Internal Server Error",
    503: "503 Service Unavailable",
}

StartResponse = Callable[..., Any]


class Front:
    """A WSGI application over an `RpcService`."""

    def __init__(
        self,
        service: RpcService,
        authenticator: Authenticator,
        guard: Guard,
        allowed: Sequence[str] | None = None,
        wrong_password_seconds: float = 0.25,
    ) -> None:
        """`guard` keeps the pages of other sites out.

        `allowed` are the networks that may call beside this machine; None for all. Other nodes'
        messages (`/peer/`) are no calls and may come from everywhere.
        """
        self._service = service
        self._authenticator = authenticator
        self._guard = guard
        self._allowed = None if allowed is None else tuple(ip_network(each) for each in allowed)
        self._wrong_password_seconds = wrong_password_seconds
        self._extend: Callable[[Flask], None] | None = None
        self._flask: Application | None = None
        self._flask_lock = Lock()

    def extend(self, extend: Callable[["Flask"], None]) -> None:
        """Have Flask's application, when it is made, get more routes by this function."""
        self._extend = extend

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request (PEP 3333)."""
        refused = self._guard.refusal(environ.get("HTTP_HOST"), environ.get("HTTP_ORIGIN"))
        if refused is not None:
            return _plain(start_response, 403, refused)
        if self._allowed is not None and not self._may_call(environ):
            return _plain(start_response, 403, "this address may not call; see -rpcallowip")
        path = environ["PATH_INFO"]
        if path.startswith(WALLET_PATHS) and environ["REQUEST_METHOD"] == "POST":
            return self._rpc(environ, start_response, path.removeprefix(WALLET_PATHS))
        if path not in RPC_PATHS:
            return self._page(environ, start_response)
        if environ["REQUEST_METHOD"] == "POST":
            return self._rpc(environ, start_response)
        if path == "/":
            return self._page(environ, start_response)
        return _plain(start_response, 405, "JSONRPC server handles only POST requests")

    def _may_call(self, environ: dict[str, Any]) -> bool:
        if environ["PATH_INFO"].startswith(PEER_PATHS):
            return True
        caller = environ.get("REMOTE_ADDR", "")
        if is_loopback(caller):
            return True
        try:
            address = ip_address(caller.removeprefix("::ffff:"))
        except ValueError:
            return False
        return any(address in network for network in self._allowed or ())

    def _rpc(
        self, environ: dict[str, Any], start_response: StartResponse, wallet: str | None = None
    ) -> Iterable[bytes]:
        header = environ.get("HTTP_AUTHORIZATION")
        permit = environ[PERMIT]
        user = None if header is None else self._authenticator.user(header)
        if header is not None and user is None:
            log.warning("wrong password from %s", environ.get("REMOTE_ADDR"))
            with suppress(Overloaded), permit():
                # Makes guessing slow; the permit bounds how many wait.
                sleep(self._wrong_password_seconds)
            return _send(start_response, UNAUTHORIZED)
        length = int(environ.get("CONTENT_LENGTH") or 0)
        if user is None and length > MAX_OPEN_BODY:
            return _plain(
                start_response, 413, f"without credentials a body has {MAX_OPEN_BODY} bytes at most"
            )
        try:
            body = environ["wsgi.input"].read(length)
        except TimeoutError:
            return _plain(start_response, 408, "the request took too long to come")
        except Overloaded:
            return _plain(start_response, 503, "Work queue depth exceeded")
        return _send(start_response, self._service.handle(body, user, permit, wallet))

    def _page(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        warmup = self._service.warmup
        if warmup is not None:
            return _plain(start_response, 503, f"Service temporarily unavailable: {warmup}")
        return self._pages()(environ, start_response)

    def warm_up(self) -> None:
        """Make what the first page would have to wait for."""
        self._pages()

    def _pages(self) -> Application:
        if self._flask is None:
            with self._flask_lock:
                if self._flask is None:
                    from misocoin.rpc.pages import make_flask

                    self._flask = make_flask(self._extend).wsgi_app
        return self._flask


def _send(start_response: StartResponse, answer: Answer) -> list[bytes]:
    if answer.status == 401:
        return _plain(
            start_response,
            401,
            "this needs the cookie of the daemon, or its -rpcuser and -rpcpassword",
            ("WWW-Authenticate", 'Basic realm="jsonrpc"'),
        )
    if answer.status == 403:
        return _plain(start_response, 403, "this user may not call that; see -rpcwhitelist")
    headers = [("Content-Type", CONTENT_TYPE)] if answer.body else []
    if answer.status != 204:
        headers.append(("Content-Length", str(len(answer.body))))
    start_response(_STATUS_LINES[answer.status], headers)
    return [answer.body]


def _plain(
    start_response: StartResponse, status: int, message: str, *headers: tuple[str, str]
) -> list[bytes]:
    body = f"{message}\n".encode()
    fields = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))]
    start_response(_STATUS_LINES[status], [*fields, *headers])
    return [body]
