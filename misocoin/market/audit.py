"""Proves the books right, or says where they are not.

It reads the whole ledger once and holds it against everything else: each movement sums to zero, no
account was ever below zero, each account holds what its movements leave and has put up what its
live bids and trades need; the world outside is short of exactly the coins held, and the chain has
each of those unspent. Nothing is changed.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

from sqlalchemy import Connection, func, select

from misocoin.market.bids import BidState
from misocoin.market.database import Database
from misocoin.market.ledger import Balance, Totals, apply_movement
from misocoin.market.money import Currency, Money, text_from_money
from misocoin.market.rows import Keys
from misocoin.market.schema import (
    accounts,
    batches,
    bids,
    coins,
    deposits,
    movements,
    trades,
    withdrawals,
)
from misocoin.market.trade import TradeState

_PAGE = 10_000


class CoinReader(Protocol):
    """What is needed of a node."""

    def value_of_unspent(self, point_hex: str, *, with_mempool: bool) -> int | None:
        """What an output holds; None where it is spent or unknown."""


class Audit(NamedTuple):
    """What was found."""

    movements: int
    accounts: int
    totals: dict[Currency, Totals]
    """Sums of the ledger by currency; the four of each are zero together."""
    coins: int
    """Base units of the coins that back the accounts."""
    on_chain: int | None
    """How many of them the node was asked about; None where there is no node."""
    faults: tuple[str, ...]
    """What is wrong, one line each."""

    @property
    def is_right(self) -> bool:
        """Whether the books are right."""
        return not self.faults


def audit(database: Database, node: CoinReader | None) -> Audit:
    """Check one state of the whole book."""
    with database.snapshot() as connection:
        auditor = _Auditor(connection, Keys(database.tag))
        auditor.check_movements()
        auditor.check_accounts()
        auditor.check_blocked()
        held = auditor.check_coins()
    asked = None if node is None else auditor.check_chain(node, database)
    return Audit(
        auditor.count,
        len(auditor.balances),
        auditor.totals,
        held,
        asked,
        tuple(auditor.faults),
    )


class _Auditor:
    """One walk through the book."""

    def __init__(self, connection: Connection, keys: Keys) -> None:
        self._connection = connection
        self._keys = keys
        self.count = 0
        self.faults: list[str] = []
        self.totals: dict[Currency, Totals] = {}
        self.balances: dict[str, Balance] = {}
        self._last: dict[str, int] = {}
        self._coins: list[tuple[str, int]] = []

    def _fault(self, text: str) -> None:
        if len(self.faults) < 100:
            self.faults.append(text)

    def _rows(self) -> Iterator[Any]:
        last = 0
        while True:
            page = self._connection.execute(
                select(movements).where(movements.c.id > last).order_by(movements.c.id).limit(_PAGE)
            ).all()
            if not page:
                return
            yield from page
            last = page[-1].id

    def check_movements(self) -> None:
        """Book everything again, from nothing."""
        for row in self._rows():
            self.count += 1
            record = self._keys.movement(row)
            movement = record.movement
            try:
                self.balances |= apply_movement(self.balances, movement)
            except ValueError as error:
                self._fault(f"ledger entry {record.key}: {error}")
            for account, predecessor in (
                (movement.available_account, row.available_predecessor),
                (movement.blocked_account, row.blocked_predecessor),
            ):
                if account and self._last.get(account, 0) != predecessor:
                    self._fault(f"ledger entry {record.key} does not follow the one before it")
            for account in (movement.available_account, movement.blocked_account):
                if account:
                    self._last[account] = row.id
            old = self.totals.get(movement.currency, Totals())
            self.totals[movement.currency] = Totals(
                old.available + movement.available,
                old.blocked + movement.blocked,
                old.fee + movement.fee,
                old.world + movement.world,
            )
        for currency, totals in self.totals.items():
            if sum(totals) != 0:
                self._fault(f"the ledger's sums of {currency.value} are not zero together")

    def check_accounts(self) -> None:
        """Hold the accounts against the ledger."""
        for row in self._connection.execute(select(accounts)):
            expected = self.balances.get(row.participant, Balance())
            if (row.available, row.blocked) != expected:
                self._fault(
                    f"account {row.participant} holds {row.available} and {row.blocked}, "
                    f"by the ledger {expected.available} and {expected.blocked}"
                )
            if row.last_movement != self._last.get(row.participant, 0):
                self._fault(f"account {row.participant} does not end at its last ledger entry")

    def check_blocked(self) -> None:
        """Hold what is put up against live bids and trades."""
        needed: defaultdict[str, int] = defaultdict(int)
        live = select(bids).where(bids.c.state == int(BidState.PLACED))
        for row in self._connection.execute(live):
            needed[row.participant] += self._keys.bid(row).reserved
        active = select(trades).where(trades.c.state == int(TradeState.ACTIVE))
        for row in self._connection.execute(active):
            needed[row.buyer] += row.price + row.fee + row.bond
            needed[row.seller] += row.bond
        for account in {*needed, *self.balances}:
            blocked = self.balances.get(account, Balance()).blocked
            if blocked != needed[account]:
                self._fault(
                    f"account {account} has put up {blocked}, its bids and trades need "
                    f"{needed[account]}"
                )

    def check_coins(self) -> int:
        """Hold the coins against what the world is short of; returns what they are worth."""
        for row in self._connection.execute(
            select(coins).where(coins.c.credited.is_(True), coins.c.spent_by == 0)
        ):
            self._coins.append((row.outpoint, row.value))
            if row.height < 0 and row.account:
                self._fault(f"the credited deposit {row.outpoint} is in no block any more")
        held = sum(value for _, value in self._coins)
        waiting = self._sum(select(func.sum(withdrawals.c.amount)).where(withdrawals.c.batch == 0))
        injected = self._sum(
            select(func.sum(deposits.c.amount)).where(deposits.c.currency == Currency.COIN.value)
        )
        owed = -self.totals.get(Currency.COIN, Totals()).world
        if held != owed + waiting - injected:
            self._fault(
                f"the coins held are {_text(held)}; the books owe {_text(owed)}, "
                f"{_text(waiting)} of withdrawals wait, {_text(injected)} came without coins"
            )
        self._check_batches()
        return held

    def _sum(self, query: Any) -> int:
        return int(self._connection.execute(query).scalar() or 0)

    def _check_batches(self) -> None:
        """See that each payment spends what it pays, changes hands and costs."""
        spent = self._sums(
            select(coins.c.spent_by, func.sum(coins.c.value)).group_by(coins.c.spent_by)
        )
        paid = self._sums(
            select(withdrawals.c.batch, func.sum(withdrawals.c.amount)).group_by(
                withdrawals.c.batch
            )
        )
        change: defaultdict[str, int] = defaultdict(int)
        for row in self._connection.execute(select(coins).where(coins.c.account == "")):
            change[row.outpoint.partition(":")[0]] += row.value
        for row in self._connection.execute(select(batches)):
            given = paid.get(row.id, 0) + change[row.txid]
            if spent.get(row.id, 0) != given:
                self._fault(f"payment {row.txid} spends {spent.get(row.id, 0)} and gives {given}")

    def _sums(self, query: Any) -> dict[int, int]:
        return {number: int(total) for number, total in self._connection.execute(query)}

    def check_chain(self, node: CoinReader, database: Database) -> int:
        """Ask the node about every coin that it can know of."""
        for point, value in self._coins:
            found = node.value_of_unspent(point, with_mempool=True)
            if found != value and not _has_moved_on(database, point):
                told = "is spent or unknown" if found is None else f"holds {found}"
                self._fault(f"coin {point} of {_text(value)} {told} on the chain")
        return len(self._coins)


def _has_moved_on(database: Database, point: str) -> bool:
    """Whether a coin was spent since the book was read, or its payment is not sent yet."""
    with database.read() as connection:
        spent_by = connection.execute(
            select(coins.c.spent_by).where(coins.c.outpoint == point)
        ).scalar()
        unsent = connection.execute(
            select(batches.c.id).where(
                batches.c.txid == point.partition(":")[0], batches.c.sent.is_(False)
            )
        ).first()
    return bool(spent_by) or unsent is not None


def _text(amount: int) -> str:
    return text_from_money(Money(amount))
