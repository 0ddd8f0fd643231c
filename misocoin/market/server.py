"""The market's server: builds the parts, serves them, and sees to what is due."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from time import time_ns

from misocoin.errors import MisocoinError
from misocoin.http.server import HttpServer
from misocoin.http.sockets import Limits
from misocoin.market.app import Parts, make_app
from misocoin.market.bank import Bank
from misocoin.market.book import Book, Rules
from misocoin.market.database import Database
from misocoin.market.moments import Moment
from misocoin.market.queries import Queries
from misocoin.market.rate import RateLimit
from misocoin.market.relay import Relay, RelayLimits
from misocoin.market.watch import Watch

log = logging.getLogger(__name__)

DEFAULT_PORT = 8080
"""Where the market listens, as the original did."""

DUE_SECONDS = 0.25
"""How often bids and trades are looked through for those whose time is up."""

TIDY_SECONDS = 60.0
"""How often old nonces and parcels are thrown away."""


def now() -> Moment:
    """The time by the system's clock."""
    return Moment(time_ns() // 1000)


@dataclass(frozen=True, slots=True)
class Settings:
    """What an operator decides."""

    host: str = "localhost"
    port: int = DEFAULT_PORT
    store: str | Path = ""
    """Where the book is (see `Database`)."""
    rules: Rules = field(default_factory=Rules)
    motd: str = ""
    relay: RelayLimits = field(default_factory=RelayLimits)
    changes_per_second: float = 20
    """Changes a second from one address of another machine; ten seconds' worth at once."""
    proxied: bool = False


class MarketServer:
    """A market on a port. Raises ConfigError, StoreError or ListenError where it cannot start."""

    def __init__(self, settings: Settings, clock: Callable[[], Moment] = now) -> None:
        rate = settings.changes_per_second
        self.database = Database(settings.store)
        watch = Watch()
        self.book = Book(self.database, settings.rules, clock, watch)
        self.bank = Bank(self.database, self.book, settings.rules, clock)
        self.relay = Relay(self.database, self.book, clock, watch, settings.relay)
        parts = Parts(
            book=self.book,
            bank=self.bank,
            queries=Queries(self.database, clock),
            relay=self.relay,
            watch=watch,
            now=clock,
            motd=settings.motd,
            rate=RateLimit(rate, rate * 10) if rate else None,
            proxied=settings.proxied,
        )
        self._http = HttpServer(settings.host, settings.port, make_app(parts).wsgi_app, _limits())
        self._stopping = Event()
        self._keepers = [
            Thread(target=self._keep, args=(work, seconds), name=name, daemon=True)
            for name, work, seconds in (
                ("market-due", self.book.expire_due, DUE_SECONDS),
                ("market-tidy", self._tidy, TIDY_SECONDS),
            )
        ]

    @property
    def address(self) -> tuple[str, int]:
        """Host and port, after `start`."""
        return self._http.address

    def start(self) -> None:
        """Listen, and begin to serve."""
        self._http.listen()
        for keeper in self._keepers:
            keeper.start()
        self._http.start()

    def stop(self) -> None:
        """Let what is being served end, and close the book."""
        self._stopping.set()
        self._http.stop()
        for keeper in self._keepers:
            if keeper.is_alive():
                keeper.join(5)
        self.database.close()

    def _tidy(self) -> None:
        self.book.forget_nonces()
        self.relay.forget_old()

    def _keep(self, work: Callable[[], object], seconds: float) -> None:
        """Do some work again and again until the server stops."""
        troubled = False
        while not self._stopping.wait(seconds):
            try:
                work()
                troubled = False
            except MisocoinError as error:
                if not troubled:
                    log.warning("%s; it will be tried again", error)
                troubled = True
            except Exception:
                log.exception("what was due failed")


def _limits() -> Limits:
    return Limits(waiting=512, connections=800)
