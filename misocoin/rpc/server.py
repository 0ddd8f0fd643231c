"""The node's port: cookie, HTTP server and RPC service, started and stopped together."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from misocoin.errors import StoreError
from misocoin.http.server import HttpServer, is_loopback, numeric_host
from misocoin.http.sockets import Limits
from misocoin.rpc.auth import Authenticator, delete_cookie, new_cookie, write_cookie
from misocoin.rpc.declare import Method
from misocoin.rpc.front import Front
from misocoin.rpc.registry import Registry
from misocoin.rpc.service import RpcService

if TYPE_CHECKING:
    from flask import Flask


class NodeServer:
    """What a node shows to the outside.

    It listens from `start` on and says that the node is starting; from `open` on it answers.
    """

    def __init__(
        self,
        host: str,
        port: int,
        cookie_file: Path,
        early: Iterable[Method] = (),
        credentials: tuple[str, str] | None = None,
        limits: Limits | None = None,
    ) -> None:
        """`early` methods answer at once; `credentials` are a user's own name and password."""
        self._cookie_file = cookie_file
        self._cookie = new_cookie()
        own = [":".join(credentials)] if credentials else []
        self._service = RpcService(Registry(early))
        self._front = Front(
            self._service, Authenticator(self._cookie, *own), is_loopback(numeric_host(host))
        )
        self._http = HttpServer(host, port, self._front, limits)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port that it listens on; the port is known for sure after `start`."""
        return self._http.address

    def start(self) -> None:
        """Listen, leave the cookie, and answer that the node is starting.

        Raises ListenError where the port cannot be had, StoreError where the cookie cannot be
        written; nothing is left running then.
        """
        self._http.listen()
        try:
            write_cookie(self._cookie_file, self._cookie)
        except StoreError:
            self._http.stop()
            raise
        self._http.start()

    def set_warmup(self, message: str) -> None:
        """Say what the node is busy with; callers get it with error -28."""
        self._service.set_warmup(message)

    def open(self, registry: Registry, extend: "Callable[[Flask], None] | None" = None) -> None:
        """Answer calls of these methods from now on.

        `extend` adds routes (REST, peers, pages) to Flask's application when it is first needed.
        """
        if extend is not None:
            self._front.extend(extend)
        self._service.open(registry)

    def stop(self, timeout: float = 5.0) -> None:
        """Let the requests being served end, close the port, remove the cookie."""
        self._http.stop(timeout)
        delete_cookie(self._cookie_file, self._cookie)
