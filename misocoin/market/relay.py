"""The market as a post office for sellers without open ports: sealed parcels, kept for a while."""

from collections.abc import Callable
from typing import NamedTuple

from sqlalchemy import Connection, delete, func, select

from misocoin.market.accounts import insert_if_new
from misocoin.market.book import Book
from misocoin.market.database import Database
from misocoin.market.documents import check_signed, upload_document
from misocoin.market.errors import Malformed, NotAllowed, TooLarge, TooLate
from misocoin.market.moments import MINUTE, Moment
from misocoin.market.parcels import Slot
from misocoin.market.receipts import sha256_hex
from misocoin.market.rows import TRADE, Keys
from misocoin.market.schema import relay
from misocoin.market.trade import RELAY_URL, Role, TradeState
from misocoin.market.watch import Watch

KEEP_TIME = 45 * MINUTE
"""Microseconds that a parcel is kept: longer than a trade lasts."""


class RelayLimits(NamedTuple):
    """How much the relay takes."""

    parcel: int = 1 << 24
    """Bytes of one parcel."""
    total: int = 1 << 28
    """Bytes of all that are kept."""


class Relay:
    """Parcels of one market. Threads may share it."""

    def __init__(
        self,
        database: Database,
        book: Book,
        now: Callable[[], Moment],
        watch: Watch,
        limits: RelayLimits,
    ) -> None:
        self._database = database
        self._book = book
        self._now = now
        self._watch = watch
        self.limits = limits
        self._keys = Keys(database.tag)

    def put(self, key: str, slot_name: str, data: bytes, signature: str) -> None:
        """Take a parcel for the other side of a trade; the same one again changes nothing.

        Raises a MarketError.
        """
        slot = _slot_from_name(slot_name)
        if len(data) > self.limits.parcel:
            raise TooLarge(f"a parcel has {self.limits.parcel} bytes at most")
        trade = self._book.get_trade(key)
        if trade.version == 1 or trade.worker_url != RELAY_URL:
            raise NotAllowed("this transaction does not go through the relay")
        sender = trade.buyer if slot.sender is Role.BUYER else trade.seller
        check_signed(sender, signature, upload_document(sha256_hex(data), slot.value, key))
        now = self._now()
        if trade.state is TradeState.RETIRED or trade.timeout <= now:
            raise TooLate("Transaction no longer active")
        number = self._keys.number(TRADE, key)

        def change(connection: Connection) -> None:
            kept = connection.execute(select(func.coalesce(func.sum(relay.c.size), 0))).scalar_one()
            if int(kept) + len(data) > self.limits.total:
                raise TooLarge("the relay is full; try again later")
            parcel = {"data": data, "size": len(data), "created": now}
            if not insert_if_new(connection, relay, trade=number, slot=slot.value, **parcel):
                before = self._find(connection, number, slot)
                if before != data:
                    raise TooLate("there is another parcel already")

        self._database.write(change)
        self._watch.wake([f"{key}/{slot.value}"])

    def get(self, key: str, slot_name: str, seconds: float) -> bytes | None:
        """A parcel, once it is there; None where it does not come within the time."""
        slot = _slot_from_name(slot_name)
        number = self._keys.number(TRADE, key)

        def look() -> bytes | None:
            with self._database.read() as connection:
                return self._find(connection, number, slot)

        return self._watch.wait_for(f"{key}/{slot.value}", look, seconds)

    def _find(self, connection: Connection, number: int, slot: Slot) -> bytes | None:
        data = connection.execute(
            select(relay.c.data).where(relay.c.trade == number, relay.c.slot == slot.value)
        ).scalar()
        return None if data is None else bytes(data)

    def forget_old(self) -> None:
        """Throw away parcels whose trade is over."""
        before = self._now() - KEEP_TIME

        def change(connection: Connection) -> None:
            connection.execute(delete(relay).where(relay.c.created < before))

        self._database.write(change)


def _slot_from_name(name: str) -> Slot:
    try:
        return Slot(name)
    except ValueError:
        raise Malformed("a parcel is work, result or receipt") from None
