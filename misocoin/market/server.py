"""The market's server: builds the parts, serves them, and sees to what is due."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from time import time_ns

from misocoin.errors import MisocoinError
from misocoin.http.client import Bounds
from misocoin.http.jsonrpc import JsonRpcClient
from misocoin.http.server import HttpServer
from misocoin.http.sockets import Limits
from misocoin.market.app import Parts, make_app
from misocoin.market.bank import Bank, ChainPort
from misocoin.market.book import Book, Rules
from misocoin.market.chain_deposits import ChainDeposits
from misocoin.market.database import Database
from misocoin.market.moments import Moment
from misocoin.market.node_wallet import CookieClient, NodeWallet
from misocoin.market.payouts import Payouts
from misocoin.market.queries import Queries
from misocoin.market.rate import RateLimit
from misocoin.market.relay import Relay, RelayLimits
from misocoin.market.watch import ALONE, AMONG_OTHERS, Watch

log = logging.getLogger(__name__)

DEFAULT_PORT = 8080
"""Where the market listens, as the original did."""

DUE_SECONDS = 0.25
"""How often bids and trades are looked through for those whose time is up."""

COIN_SECONDS = 0.5
"""How often the node is asked for new blocks, and withdrawals are paid."""

TIDY_SECONDS = 60.0
"""How often old nonces and parcels are thrown away."""


def now() -> Moment:
    """The time by the system's clock."""
    return Moment(time_ns() // 1000)


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """The node behind a market."""

    url: str
    credentials: tuple[str, str] | None = None
    """Name and password; without them the cookie counts."""
    cookie: Path | None = None
    confirmations: int = 6
    """Blocks, its own included, after which a deposit is credited."""
    fee_rate: int = 0
    """Base units per 1,000 virtual bytes of a payment; 0 for what the node asks for."""

    def connect(self) -> NodeWallet:
        """A client of the node."""
        bounds = Bounds(connect_seconds=5, read_seconds=30, total_seconds=60)
        if self.credentials is None and self.cookie is not None:
            return NodeWallet(CookieClient(self.url, self.cookie, bounds))
        return NodeWallet(JsonRpcClient(self.url, self.credentials, bounds=bounds))


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
    node: NodeSettings | None = None
    """Where coins come in and go out; None for a market without coins."""


class MarketServer:
    """A market on a port. Raises ConfigError, StoreError or ListenError where it cannot start."""

    def __init__(self, settings: Settings, clock: Callable[[], Moment] = now) -> None:
        rate = settings.changes_per_second
        self.database = Database(settings.store)
        watch = Watch(ALONE if self.database.is_own else AMONG_OTHERS)
        self.book = Book(self.database, settings.rules, clock, watch)
        self.relay = Relay(self.database, self.book, clock, watch, settings.relay)
        node = settings.node
        self._coins = None if node is None else _Coins(node, self.database, clock)
        chain = None if self._coins is None else self._coins.port
        self.bank = Bank(self.database, self.book, settings.rules, clock, chain)
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
        chores: list[tuple[str, Callable[[], object], float]] = [
            ("market-due", self.book.expire_due, DUE_SECONDS),
            ("market-tidy", self._tidy, TIDY_SECONDS),
        ]
        if self._coins is not None:
            chores.append(("market-coins", self._coins.move, COIN_SECONDS))
        self._keepers = [
            Thread(target=self._keep, args=(work, seconds), name=name, daemon=True)
            for name, work, seconds in chores
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
        if self._coins is not None:
            self._coins.close()
        self.database.close()

    def _tidy(self) -> None:
        self.book.forget_old()
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


class _Coins:
    """The market's dealings with its node."""

    def __init__(
        self, settings: NodeSettings, database: Database, clock: Callable[[], Moment]
    ) -> None:
        self._node = settings.connect()
        self._deposits = ChainDeposits(database, self._node, clock, settings.confirmations)
        self._payouts = Payouts(database, self._node, clock, settings.fee_rate)
        self.port = ChainPort(self._new_address, self._node.script_of)

    def _new_address(self) -> str:
        self._deposits.begin()
        return self._node.new_address()

    def move(self) -> None:
        """Take in what came, and pay who waits."""
        while self._deposits.follow():
            pass
        self._payouts.hold()
        self._payouts.pay()

    def close(self) -> None:
        """Close the connections to the node."""
        self._node.close()


def _limits() -> Limits:
    return Limits(waiting=512, connections=800)
