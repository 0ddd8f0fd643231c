"""The market as a post office for sellers without open ports: sealed parcels, kept for a while.

Such a seller says every few seconds that it is there, and its buyer asks when it did so last:
nobody else would notice that it died at work.
"""

from collections.abc import Callable
from typing import NamedTuple

from sqlalchemy import Connection, delete, func, select, update

from misocoin.market.accounts import insert_if_new
from misocoin.market.book import Book
from misocoin.market.database import Database
from misocoin.market.documents import check_signed, upload_document
from misocoin.market.errors import Malformed, NotAllowed, TooLarge, TooLate
from misocoin.market.moments import MINUTE, SECOND, Moment
from misocoin.market.parcels import ALIVE_SLOT, Slot
from misocoin.market.receipts import sha256_hex
from misocoin.market.rows import TRADE, Keys
from misocoin.market.schema import relay, trades
from misocoin.market.trade import RELAY_URL, Role, Trade, TradeState
from misocoin.market.watch import Watch

KEEP_TIME = 45 * MINUTE
"""Microseconds that a parcel is kept, or longer while its trade goes on."""

_MAX_COUNT = 1 << 62


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
        trade = self._relayed(key)
        sender = trade.buyer if slot.sender is Role.BUYER else trade.seller
        check_signed(sender, signature, upload_document(sha256_hex(data), slot.value, key))
        now, number = self._now(), self._keys.number(TRADE, key)

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

    def _relayed(self, key: str) -> Trade:
        """A trade that goes on and through here. Raises a MarketError."""
        trade = self._book.get_trade(key)
        if trade.version == 1 or trade.worker_url != RELAY_URL:
            raise NotAllowed("this transaction does not go through the relay")
        if trade.state is TradeState.RETIRED or trade.timeout <= self._now():
            raise TooLate("Transaction no longer active")
        return trade

    def beat(self, key: str, count: bytes, signature: str) -> None:
        """Take a seller's sign of life: a decimal number, larger than the one before.

        Raises a MarketError.
        """
        if not 0 < len(count) < 20 or not count.isdigit() or int(count) >= _MAX_COUNT:
            raise Malformed("a sign of life is a decimal number of up to 62 bits")
        trade, number, now = self._relayed(key), self._keys.number(TRADE, key), self._now()
        document = upload_document(sha256_hex(count), ALIVE_SLOT, key)
        check_signed(trade.seller, signature, document)

        def change(connection: Connection) -> None:
            sign = {"data": count, "size": len(count), "created": now}
            if insert_if_new(connection, relay, trade=number, slot=ALIVE_SLOT, **sign):
                return
            where = (relay.c.trade == number, relay.c.slot == ALIVE_SLOT)
            before = connection.execute(select(relay.c.data).where(*where).with_for_update())
            if int(before.scalar_one()) >= int(count):
                raise TooLate("a later sign of life was here before")
            connection.execute(update(relay).where(*where).values(**sign))

        self._database.write(change)

    def silence(self, key: str) -> int | None:
        """Seconds since a seller's last sign of life; None where there was none."""
        number = self._keys.number(TRADE, key)
        with self._database.read() as connection:
            last = connection.execute(
                select(relay.c.created).where(relay.c.trade == number, relay.c.slot == ALIVE_SLOT)
            ).scalar()
        return None if last is None else max(0, self._now() - last) // SECOND

    def get(
        self, key: str, slot_name: str, seconds: float, is_off: Callable[[], bool] = lambda: False
    ) -> bytes | None:
        """A parcel, once it is there; None where it does not come in time, or `is_off` is true."""
        slot = _slot_from_name(slot_name)
        number = self._keys.number(TRADE, key)

        def look() -> bytes | None:
            with self._database.read() as connection:
                return self._find(connection, number, slot)

        found = self._watch.wait_for(f"{key}/{slot.value}", lambda: look() or is_off(), seconds)
        return found if isinstance(found, bytes) else None

    def _find(self, connection: Connection, number: int, slot: Slot) -> bytes | None:
        data = connection.execute(
            select(relay.c.data).where(relay.c.trade == number, relay.c.slot == slot.value)
        ).scalar()
        return None if data is None else bytes(data)

    def forget_old(self) -> None:
        """Throw away parcels whose trade is over."""
        before = self._now() - KEEP_TIME
        active = select(trades.c.id).where(trades.c.state == int(TradeState.ACTIVE))

        def change(connection: Connection) -> None:
            connection.execute(
                delete(relay).where(relay.c.created < before, relay.c.trade.not_in(active))
            )

        self._database.write(change)


def _slot_from_name(name: str) -> Slot:
    try:
        return Slot(name)
    except ValueError:
        raise Malformed("a parcel is work, result or receipt") from None
