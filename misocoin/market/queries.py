"""What anybody may ask of the book: prices over time, open bids, the ledger."""

from collections.abc import Callable
from typing import Any, NamedTuple

from sqlalchemy import and_, func, or_, select

from misocoin.market.bids import Bid, BidState, BidType, Versions
from misocoin.market.database import Database
from misocoin.market.moments import Moment
from misocoin.market.rows import Keys
from misocoin.market.schema import accounts, bids, movements, trades
from misocoin.market.trade import Trade
from misocoin.market.wire import MovementRecord

BEGINNING = Moment(0)
"""Before everything."""

MAX_ROWS = 1_023
"""Rows of one answer."""

MAX_BUCKETS = 10_000
"""Steps of one answer about prices."""


class PriceStep(NamedTuple):
    """Trades that were matched within a step of time."""

    begin: Moment
    end: Moment
    sum: int
    """Base units, of all their prices."""
    least: int
    most: int
    trades: int
    """How many they were."""


class OpenInterest(NamedTuple):
    """Live bids of one side in one pool."""

    article: str
    currency: str
    versions: Versions
    type: BidType
    bids: int
    """How many they are."""
    best: int
    """The price that the next counterpart gets, in base units."""


class Queries:
    """Reads one book. Threads may share it."""

    def __init__(self, database: Database, now: Callable[[], Moment]) -> None:
        self._database = database
        self._now = now
        self._keys = Keys(database.tag)

    def accounts(self, limit: int, *, wanting_address: bool = False) -> list[str]:
        """Participants, by name."""
        query = select(accounts.c.participant).order_by(accounts.c.participant).limit(limit)
        if wanting_address:
            query = query.where(accounts.c.deposit_address == "", accounts.c.deposit_info == "")
        with self._database.read() as connection:
            return list(connection.execute(query).scalars())

    def ledger(self, limit: int, begin: Moment = BEGINNING) -> list[MovementRecord]:
        """Entries of the ledger from a time on."""
        query = (
            select(movements).where(movements.c.time >= begin).order_by(movements.c.id).limit(limit)
        )
        with self._database.read() as connection:
            return [self._keys.movement(row) for row in connection.execute(query)]

    def ledger_of(
        self, participant: str, limit: int, before: int = 1 << 62
    ) -> list[MovementRecord]:
        """The latest entries that concern an account, those below a number; latest first."""
        query = (
            select(movements)
            .where(
                or_(
                    movements.c.available_account == participant,
                    movements.c.blocked_account == participant,
                ),
                movements.c.id < before,
            )
            .order_by(movements.c.id.desc())
            .limit(limit)
        )
        with self._database.read() as connection:
            return [self._keys.movement(row) for row in connection.execute(query)]

    def prices(
        self, article: str, currency: str, begin: Moment, end: Moment, step: int
    ) -> list[PriceStep]:
        """Prices of an article's trades by steps of so many microseconds; empty ones left out."""
        number = (trades.c.matched - begin) // step
        query = (
            select(
                number.label("number"),
                func.sum(trades.c.price).label("total"),
                func.min(trades.c.price).label("least"),
                func.max(trades.c.price).label("most"),
                func.count().label("many"),
            )
            .where(
                trades.c.article == article,
                trades.c.currency == currency,
                trades.c.matched >= begin,
                trades.c.matched < end,
            )
            .group_by(number)
            .order_by(number)
            .limit(MAX_BUCKETS)
        )
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return [
            PriceStep(
                Moment(begin + int(row.number) * step),
                Moment(begin + (int(row.number) + 1) * step),
                int(row.total),
                row.least,
                row.most,
                row.many,
            )
            for row in rows
        ]

    def traded_articles(self) -> list[str]:
        """Articles that were traded, by name."""
        query = select(trades.c.article).distinct().order_by(trades.c.article).limit(MAX_ROWS)
        with self._database.read() as connection:
            return list(connection.execute(query).scalars())

    def latest_trades(
        self,
        limit: int,
        *,
        article: str | None = None,
        participant: str | None = None,
        begin: Moment = BEGINNING,
    ) -> list[Trade]:
        """The latest trades, latest first."""
        conditions: list[Any] = [trades.c.matched >= begin]
        if article is not None:
            conditions.append(trades.c.article == article)
        if participant is not None:
            conditions.append(or_(trades.c.buyer == participant, trades.c.seller == participant))
        query = select(trades).where(and_(*conditions)).order_by(trades.c.id.desc()).limit(limit)
        with self._database.read() as connection:
            return [self._keys.trade(row) for row in connection.execute(query)]

    def open_bids(self, limit: int, article: str | None = None) -> list[Bid]:
        """Live bids, the latest first."""
        conditions: list[Any] = [
            bids.c.state == int(BidState.PLACED),
            bids.c.expires > self._now(),
        ]
        if article is not None:
            conditions.append(bids.c.article == article)
        query = select(bids).where(*conditions).order_by(bids.c.id.desc()).limit(limit)
        with self._database.read() as connection:
            return [self._keys.bid(row) for row in connection.execute(query)]

    def open_interest(self) -> list[OpenInterest]:
        """How many live bids there are in each pool, and the best price of either side."""
        query = (
            select(
                bids.c.article,
                bids.c.currency,
                bids.c.version,
                bids.c.type,
                func.count().label("many"),
                func.min(bids.c.price).label("least"),
                func.max(bids.c.price).label("most"),
            )
            .where(bids.c.state == int(BidState.PLACED), bids.c.expires > self._now())
            .group_by(bids.c.article, bids.c.currency, bids.c.version, bids.c.type)
            .order_by(bids.c.article, bids.c.currency, bids.c.version, bids.c.type)
            .limit(MAX_ROWS)
        )
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return [
            OpenInterest(
                row.article,
                row.currency,
                Versions(row.version),
                BidType(row.type),
                row.many,
                row.most if row.type == BidType.BUY else row.least,
            )
            for row in rows
        ]
