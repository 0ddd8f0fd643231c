"""The node's port: cookie, HTTP server and RPC service, started and stopped together."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from misocoin.errors import StoreError
from misocoin.hashcash.http import HttpToll
from misocoin.http.errors import ListenError
from misocoin.http.guard import Guard
from misocoin.http.server import Application, HttpServer, is_loopback, numeric_host
from misocoin.http.sockets import Limits
from misocoin.rpc.auth import (
    EVERYTHING,
    Authenticator,
    Whitelists,
    delete_cookie,
    new_cookie,
    write_cookie,
)
from misocoin.rpc.declare import Method
from misocoin.rpc.front import MAX_OPEN_BODY, Front
from misocoin.rpc.registry import Registry
from misocoin.rpc.service import RpcService
from misocoin.rpc.toll import TollBooth

if TYPE_CHECKING:
    from flask import Flask


@dataclass(frozen=True, slots=True)
class AccessRules:
    """Who may call, as the owner chose."""

    credentials: tuple[str, str] | None = None
    """The owner's own name and password, beside the cookie."""
    hashed: tuple[str, ...] = ()
    """Users by the hash of their password (`auth.Authenticator`)."""
    allowed: tuple[str, ...] | None = None
    """Networks that may call beside this machine; None for everybody."""
    toll: HttpToll | None = None
    """What strangers pay while they ask for much; None where all is free."""
    names: tuple[str, ...] = ()
    """What browsers may call the node, besides its address and its machine's name."""
    is_free_for_loopback: bool = True
    """Whether this machine's own programs never pay."""
    whitelists: Whitelists = EVERYTHING
    """Which methods users may call."""
    cookie_mode: int = 0o600
    """Who may read the cookie's files."""


class NodeServer:
    """What a node shows to the outside.

    It listens from `start` on and says that the node is starting; from `open` on it answers.
    """

    def __init__(
        self,
        places: Sequence[tuple[str, int]],
        cookie_files: Sequence[Path],
        early: Iterable[Method] = (),
        access: AccessRules = AccessRules(),  # noqa: B008 - an immutable value
        limits: Limits | None = None,
    ) -> None:
        """It listens in all these places alike; `early` methods answer at once.

        `cookie_files` are where the password of this run is left.
        """
        self._cookie_files = tuple(cookie_files)
        self._cookie = new_cookie()
        own = [":".join(access.credentials)] if access.credentials else []
        self._cookie_mode = access.cookie_mode
        self._whitelists = access.whitelists
        self._service = RpcService(Registry(early), access.whitelists)
        self._authenticator = Authenticator(self._cookie, *own, hashed=access.hashed)
        is_local = all(is_loopback(numeric_host(host)) for host, _ in places)
        self.guard = Guard(is_local, access.names, option="-webhost")
        """Knows which requests a page of another site has made."""
        self._front = Front(
            self._service,
            self._authenticator,
            self.guard,
            access.allowed,
        )
        application: Application = self._front
        if access.toll is not None:
            application = TollBooth(self._front, access.toll, access.is_free_for_loopback)
        limits = limits or Limits(chunked=True, chunked_body=MAX_OPEN_BODY)
        self._http = [HttpServer(host, port, application, limits) for host, port in places]

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the first place; the port is known for sure after `start`."""
        return self._http[0].address

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Host and port of every place."""
        return [http.address for http in self._http]

    def is_password(self, name: str, password: str) -> bool:
        """Whether somebody with this name and password may do everything here."""
        is_known = self._authenticator.is_password(name, password)
        return is_known and self._whitelists.has_all(name)

    def active_calls(self) -> list[tuple[str, float]]:
        """The methods that are running in this moment, and for how many seconds."""
        return self._service.active_calls()

    def traffic(self) -> tuple[int, int]:
        """Bytes received and sent since the start, in every place."""
        each = [http.traffic() for http in self._http]
        return sum(received for received, _ in each), sum(sent for _, sent in each)

    def start(self) -> None:
        """Listen, leave the cookie, and answer that the node is starting.

        Raises ListenError where a port cannot be had, StoreError where the cookie cannot be
        written; nothing is left running then.
        """
        try:
            for http in self._http:
                http.listen()
            for path in self._cookie_files:
                write_cookie(path, self._cookie, self._cookie_mode)
        except (StoreError, ListenError):
            self._close(0)
            raise
        for http in self._http:
            http.start()

    def _close(self, timeout: float) -> None:
        for http in self._http:
            http.stop(timeout)
        for path in self._cookie_files:
            delete_cookie(path, self._cookie)

    def set_warmup(self, message: str) -> None:
        """Say what the node is busy with; callers get it with error -28."""
        self._service.set_warmup(message)

    def open(
        self,
        registry: Registry,
        extend: "Callable[[Flask], None] | None" = None,
        is_wallet: Callable[[str], bool] | None = None,
    ) -> None:
        """Answer calls of these methods from now on.

        `extend` adds routes (REST, peers, pages) to Flask's application when it is first needed;
        `is_wallet` knows the wallets that may be named in a call's path.
        """
        if extend is not None:
            self._front.extend(extend)
        self._service.open(registry, is_wallet)

    def warm_up(self) -> None:
        """Make what the first request for a page would have to wait for, after `open`."""
        self._front.warm_up()

    def stop(self, timeout: float = 5.0) -> None:
        """Let the requests being served end, close the ports, remove the cookie."""
        self._close(timeout)
