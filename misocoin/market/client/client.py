"""The market's client: builds the parts, serves them, and takes up what was open."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from time import monotonic

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from misocoin.errors import MisocoinError, StoreError
from misocoin.http.client import HttpClient
from misocoin.http.errors import HttpError
from misocoin.http.server import PERMIT, HttpServer, is_loopback
from misocoin.http.sockets import Limits
from misocoin.market.answers import http_error, text_answer
from misocoin.market.articles import ArticleRegistry
from misocoin.market.client.activities import Activities
from misocoin.market.client.app import Parts, make_app
from misocoin.market.client.calls import MarketCalls
from misocoin.market.client.checking import Checking
from misocoin.market.client.doors import MAX_BODY, Call, Doors
from misocoin.market.client.files import ContentStore
from misocoin.market.client.identity import load_identity
from misocoin.market.client.journal import Journal
from misocoin.market.client.lots import Rules
from misocoin.market.client.pages import Pages
from misocoin.market.client.purchases import Purchases
from misocoin.market.client.workers import SellRules, Workers
from misocoin.market.errors import MarketError
from misocoin.market.moments import Moment
from misocoin.market.server import now

log = logging.getLogger(__name__)

DEFAULT_PORT = 8081
"""Where programs of this machine find the client, as the original's."""

FOLDER = ".misocoin-market"
"""Name of the client's folder in the user's home."""

_ADDRESS_SECONDS = 900.0
_LONGEST_WAIT = 30.0
_PURCHASES = 320
_STOP_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Settings:
    """What the owner decides."""

    market: str = "http://localhost:8080"
    """Address of the server."""
    folder: Path = field(default_factory=lambda: Path.home() / FOLDER)
    host: str = "localhost"
    port: int = DEFAULT_PORT
    store_size: int = 1 << 30
    """Bytes of works and results on disk."""
    buying: Rules = field(default_factory=Rules)
    selling: SellRules = field(default_factory=SellRules)
    articles: ArticleRegistry | None = None
    """How results are checked; None: as the market says."""
    ext_port: int | None = None
    """Where buyers reach us straight; None: through the market's relay alone."""
    ext_address: str = "auto"
    """Our address as buyers see it; `auto`: as the market sees it."""


class MarketClient:
    """A client on its port. Raises StoreError or ListenError where it cannot start."""

    def __init__(self, settings: Settings, clock: Callable[[], Moment] = now) -> None:
        folder = settings.folder
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"the folder {folder} cannot be used: {error.strerror}") from None
        self._settings = settings
        self._http = HttpClient(connections=32)
        self.identity = load_identity(folder)
        self.calls = MarketCalls(settings.market, self.identity, self._http)
        self._journal = Journal(folder / "client.sqlite")
        files = ContentStore(folder / "files", settings.store_size)
        self.activities = Activities(self._journal, clock)
        self._doors = Doors()
        self._address = _OwnAddress(settings, self.calls)
        self._workers = Workers(
            self.calls,
            self._http,
            self._journal,
            self.activities,
            self._doors,
            settings.selling,
            self._base_url,
            clock,
        )
        self._purchases = Purchases(
            self.calls,
            self._http,
            self._journal,
            files,
            self.activities,
            self._workers,
            Checking(self.calls, settings.articles),
            settings.buying,
            clock,
        )
        pages = Pages(self.calls, self.activities, self._purchases, self._workers, clock)
        parts = Parts(
            self.calls,
            self.activities,
            self._purchases,
            self._workers,
            files,
            pages,
            is_local=settings.host == "localhost" or is_loopback(settings.host),
        )
        limits = Limits(chunked=True, waiting=_PURCHASES, connections=2 * _PURCHASES)
        self._server = HttpServer(settings.host, settings.port, make_app(parts).wsgi_app, limits)
        self._ext: HttpServer | None = None
        if settings.ext_port is not None:
            host = "localhost" if settings.ext_address == "localhost" else "0.0.0.0"  # noqa: S104
            app = make_doors_app(self._doors)
            self._ext = HttpServer(host, settings.ext_port, app.wsgi_app, limits)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port that it listens on."""
        return self._server.address

    def _base_url(self) -> str:
        if self._ext is None:
            return ""
        return f"http://{self._address.get()}:{self._ext.address[1]}"

    def start(self) -> None:
        """Listen, and go on with what was open."""
        for server in filter(None, (self._ext, self._server)):
            server.listen()
            server.start()
        self._workers.resume()
        self._purchases.resume()

    def stop(self) -> None:
        """Leave all as it is, to be taken up at the next start."""
        threads = self._purchases.stop() | self._workers.stop()
        self._server.stop()
        if self._ext is not None:
            self._ext.stop()
        deadline = monotonic() + _STOP_SECONDS
        for thread in threads:
            thread.join(max(0.0, deadline - monotonic()))
        # Who still waits for the market's answer ends with the process; nothing is lost by that.
        if not any(thread.is_alive() for thread in threads):
            self._journal.close()
            self._http.close()


class _OwnAddress:
    """The address of this machine as buyers see it."""

    def __init__(self, settings: Settings, calls: MarketCalls) -> None:
        self._fixed = "" if settings.ext_address == "auto" else settings.ext_address
        self._calls = calls
        self._lock = Lock()
        self._known, self._until = "", 0.0

    def get(self) -> str:
        """The address. Raises HttpError while the market cannot be asked."""
        if self._fixed:
            return "127.0.0.1" if self._fixed == "localhost" else self._fixed
        with self._lock:
            if monotonic() > self._until:
                answer = self._calls.relay("/myip")
                if answer.status != 200:
                    raise HttpError("the market does not tell our address")
                self._known = answer.body[:60].decode("ascii", "replace").strip()
                self._until = monotonic() + _ADDRESS_SECONDS
            return f"[{self._known}]" if ":" in self._known else self._known


def make_doors_app(doors: Doors) -> Flask:
    """The WSGI application that buyers reach."""
    app = Flask("misocoin.market.doors", static_folder=None)

    def view(path: str, slot: str = "") -> Response:
        if (request.content_length or 0) > MAX_BODY:
            return text_answer(413, f"a work has {MAX_BODY} bytes at most")
        wait = request.args.get("wait", "0")
        seconds = min(float(wait), _LONGEST_WAIT) if wait.isascii() and wait.isdecimal() else 0.0
        body = request.get_data(cache=False)
        call = Call(request.method, slot, dict(request.headers), body, seconds)
        door = doors.find(path)
        with request.environ[PERMIT]():
            reply = door.answer(call)
        return Response(reply.body, reply.status, content_type=reply.content_type)

    for rule in ("/<path>", "/<path>/<slot>"):
        app.add_url_rule(
            rule, rule, view, methods=["GET", "POST", "OPTIONS"], provide_automatic_options=False
        )
    app.register_error_handler(MisocoinError, _refused)
    app.register_error_handler(HTTPException, http_error)
    return app


def _refused(error: MisocoinError) -> Response:
    return text_answer(error.status if isinstance(error, MarketError) else 503, str(error))
