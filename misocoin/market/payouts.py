"""Coins that go out: withdrawals are paid in batches, each of them exactly once.

A batch is signed, then written into the book together with the coins it spends and the withdrawals
it pays, and only then shown to anybody. So whatever happens, a withdrawal belongs to no payment or
to one; that one may be sent any number of times. Its id is known beforehand, since signatures of
the P2WPKH coins it spends are no part of it.
"""

import logging
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from sqlalchemy import Connection, Row, func, insert, select, update

from misocoin.errors import AddressError, MisocoinError
from misocoin.market.accounts import LockedAccounts
from misocoin.market.database import Database, get_meta, set_meta
from misocoin.market.errors import TooLate
from misocoin.market.ledger import Movement, MovementType, References
from misocoin.market.moments import Moment
from misocoin.market.money import Currency
from misocoin.market.node_wallet import PaymentRefused
from misocoin.market.payments import Batch, Coin, Request, plan_batch
from misocoin.market.rows import WITHDRAWAL, Keys
from misocoin.market.schema import batches, coins, withdrawals
from misocoin.primitives.transaction import OutPoint, Transaction, outpoint, outpoint_index

log = logging.getLogger(__name__)

_WAITING = 1_000


class PayingWallet(Protocol):
    """What is needed of a node's wallet."""

    def new_address(self) -> str:
        """A new address of the wallet, P2WPKH."""

    def script_of(self, address: str) -> bytes:
        """The output script of an address."""

    def sign(self, tx: Transaction) -> Transaction:
        """The transaction, signed by the wallet."""

    def send(self, raw_hex: str) -> None:
        """Hand in a payment; one that the node has already is fine."""

    def fee_rate(self) -> int:
        """Base units per 1,000 virtual bytes that the node asks for at least."""

    def hold(self, points: Iterable[OutPoint]) -> None:
        """Have no other payment of the wallet spend these coins."""


class Payouts:
    """Pays the withdrawals of one market."""

    def __init__(
        self, database: Database, node: PayingWallet, now: Callable[[], Moment], fee_rate: int = 0
    ) -> None:
        """`fee_rate`: base units per 1,000 virtual bytes; 0 for what the node asks for."""
        self._database = database
        self._node = node
        self._now = now
        self._fee_rate = fee_rate
        self._keys = Keys(database.tag)

    def hold(self) -> None:
        """Have the node's wallet spend the market's coins for nobody else."""
        with self._database.read() as connection:
            rows = connection.execute(_OWN_COINS).all()
        self._node.hold([point_from_text(row.outpoint) for row in rows])

    def pay(self) -> int:
        """Send what is in no block yet, then pay who waits; how many withdrawals were paid.

        Raises TooLate where the node's wallet signs another payment than the one it was given;
        then nothing is sent.
        """
        if not self._send_all():
            return 0  # what the node refuses would be refused with its descendants, too
        batch = self._plan()
        if batch is None:
            return 0
        signed = self._node.sign(batch.tx)
        if signed.txid != batch.tx.txid:
            raise TooLate("the wallet signed another transaction than it was given")
        try:
            self._database.write(lambda connection: self._keep(connection, batch, signed))
        except TooLate:
            return 0  # another server was first
        self._send_all()
        log.info("withdrawals paid by %s: %d", signed.txid_hex, len(batch.requests))
        return len(batch.requests)

    # -- sending --------------------------------------------------------------------------

    def _send_all(self) -> bool:
        with self._database.read() as connection:
            unsure = connection.execute(
                select(batches).where(batches.c.height < 0).order_by(batches.c.id)
            ).all()
        return all([self._send(batch) for batch in unsure])

    def _send(self, batch: Row[Any]) -> bool:
        try:
            self._node.send(batch.raw)
        except PaymentRefused as error:
            log.warning("the node refuses payment %s: %s", batch.txid, error.message)
            return False
        if not batch.sent:

            def change(connection: Connection) -> None:
                connection.execute(
                    update(batches).where(batches.c.id == batch.id).values(sent=True)
                )

            self._database.write(change)
        return True

    # -- planning -------------------------------------------------------------------------

    def _plan(self) -> Batch | None:
        with self._database.read() as connection:
            rows = connection.execute(
                select(withdrawals)
                .where(withdrawals.c.batch == 0)
                .order_by(withdrawals.c.id)
                .limit(_WAITING)
            ).all()
            if not rows:
                return None
            held = [_coin_from_row(row) for row in connection.execute(_FREE_COINS)]
        waiting = [Request(row.id, row.amount, self._script(row.address)) for row in rows]
        batch = plan_batch(
            waiting, held, self._fee_rate or self._node.fee_rate(), self._change_script()
        )
        if batch is None:
            log.warning("no coins to pay withdrawals from: %d wait", len(waiting))
        return batch

    def _script(self, address: str) -> bytes:
        try:
            return self._node.script_of(address)
        except AddressError as error:
            raise MisocoinError(f"a withdrawal cannot be paid: {error}") from error

    def _change_script(self) -> bytes:
        with self._database.read() as connection:
            address = get_meta(connection, "change")
        if address is None:
            made = self._node.new_address()

            def change(connection: Connection) -> str:
                found = get_meta(connection, "change")
                if found is None:
                    set_meta(connection, "change", made)
                return found or made

            address = self._database.write(change)
        return self._node.script_of(address)

    # -- the journal ----------------------------------------------------------------------

    def _keep(self, connection: Connection, batch: Batch, signed: Transaction) -> None:
        """Write the payment down, and what it spends and pays. Raises TooLate."""
        number = connection.execute(
            insert(batches).returning(batches.c.id),
            {
                "txid": signed.txid_hex,
                "raw": signed.serialize().hex(),
                "fee": batch.fee,
                "created": self._now(),
                "sent": False,
                "height": -1,
            },
        ).scalar_one()
        points = [text_from_point(coin.point) for coin in batch.coins]
        spent = connection.execute(
            update(coins)
            .where(coins.c.outpoint.in_(points), coins.c.spent_by == 0)
            .values(spent_by=number)
        )
        paid = connection.execute(
            update(withdrawals)
            .where(withdrawals.c.id.in_([each.number for each in batch.requests]))
            .where(withdrawals.c.batch == 0)
            .values(batch=number)
        )
        if spent.rowcount != len(points) or paid.rowcount != len(batch.requests):
            raise TooLate("these withdrawals or coins are taken")
        if batch.change:
            change = signed.vout[-1]
            connection.execute(
                insert(coins),
                {
                    "outpoint": f"{signed.txid_hex}:{len(signed.vout) - 1}",
                    "account": "",
                    "value": change.value,
                    "script": change.script_pubkey.hex(),
                    "height": -1,
                    "block": "",
                    "credited": True,
                    "spent_by": 0,
                },
            )
        if batch.given_back:
            self._give_back(connection, batch)

    def _give_back(self, connection: Connection, batch: Batch) -> None:
        """Put back on an account what its withdrawal leaves, so that change is no dust."""
        last = batch.requests[-1].number
        row = connection.execute(
            update(withdrawals)
            .where(withdrawals.c.id == last)
            .values(amount=withdrawals.c.amount - batch.given_back)
            .returning(withdrawals.c.account)
        ).one()
        about = References(withdrawal=self._keys.key(WITHDRAWAL, last))
        kind, amount = MovementType.WITHDRAWAL_REIMBURSE, batch.given_back
        if row.account:
            entry = Movement(kind, Currency.COIN, row.account, amount, world=-amount, about=about)
        else:  # the operator's fees
            entry = Movement(kind, Currency.COIN, fee=amount, world=-amount, about=about)
        names = [row.account] if row.account else []
        LockedAccounts(connection, names).move([entry], self._now())

    def waiting(self) -> int:
        """How many withdrawals are in no payment yet."""
        with self._database.read() as connection:
            found: int = connection.execute(
                select(func.count()).select_from(withdrawals).where(withdrawals.c.batch == 0)
            ).scalar_one()
        return found


_OWN_COINS = (
    select(coins)
    .where(coins.c.spent_by == 0)
    .where((coins.c.height >= 0) | (coins.c.account == ""))
)

_FREE_COINS = (
    _OWN_COINS.where(coins.c.credited.is_(True))
    .order_by(coins.c.value.desc(), coins.c.outpoint)
    .limit(_WAITING)
)


def text_from_point(point: bytes) -> str:
    """An outpoint as the book has it: txid in display order, colon, index."""
    return f"{point[31::-1].hex()}:{outpoint_index(point)}"


def point_from_text(text: str) -> OutPoint:
    """The outpoint of the book's text for it."""
    txid, _, index = text.partition(":")
    return outpoint(bytes.fromhex(txid)[::-1], int(index))


def _coin_from_row(row: Row[Any]) -> Coin:
    return Coin(point_from_text(row.outpoint), row.value, bytes.fromhex(row.script))
