"""Accounts inside a transaction of the database: locked, moved between, written back."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.dml import Insert
from sqlalchemy.sql.schema import Table

from misocoin.market.errors import NotAllowed, NotPaidFor
from misocoin.market.ledger import Balance, Movement, apply_movement
from misocoin.market.moments import Moment
from misocoin.market.money import Currency, Money, text_from_money
from misocoin.market.rows import row_from_movement
from misocoin.market.schema import accounts, movements

_LOCK = select(accounts).where(accounts.c.participant == bindparam("name")).with_for_update()
_CHANGE = (
    update(accounts)
    .where(accounts.c.participant == bindparam("name"))
    .values(
        currency=bindparam("to_currency"),
        available=bindparam("to_available"),
        blocked=bindparam("to_blocked"),
        last_movement=bindparam("to_last"),
    )
)
_ADD_MOVEMENT = insert(movements).returning(movements.c.id)


def insert_if_new(connection: Connection, table: Table, **values: Any) -> bool:
    """Insert a row if there is none with its primary key; True where it was inserted."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement: Insert = dialect.insert(table).values(**values).on_conflict_do_nothing()
    done = connection.execute(statement, execution_options={"preserve_rowcount": True})
    return done.rowcount > 0


class LockedAccounts:
    """Some accounts, locked until the transaction ends; made where they are not there yet."""

    def __init__(self, connection: Connection, names: Iterable[str]) -> None:
        """Names are locked in their order, so that no two transactions wait for each other."""
        self._connection = connection
        self._balances: dict[str, Balance] = {}
        self._currencies: dict[str, Currency] = {}
        self._last: dict[str, int] = {}
        for name in sorted(set(names)):
            row = connection.execute(_LOCK, {"name": name}).first()
            if row is None:
                make_account(connection, name)
                row = connection.execute(_LOCK, {"name": name}).one()
            self._balances[name] = Balance(row.available, row.blocked)
            self._currencies[name] = Currency(row.currency)
            self._last[name] = row.last_movement

    def balance(self, name: str) -> Balance:
        """What an account holds now."""
        return self._balances[name]

    def check_currency(self, name: str, currency: Currency) -> None:
        """Check that an account can hold a currency: its own, or any while it holds nothing.

        Raises NotAllowed.
        """
        if self._currencies[name] is not currency and any(self._balances[name]):
            raise NotAllowed(
                f"the account holds {self._currencies[name].value}, not {currency.value}"
            )

    def check_funds(self, name: str, needed: Money) -> None:
        """Check that an account has so much available. Raises NotPaidFor or NotAllowed."""
        self.check_currency(name, needed.currency)
        if self._balances[name].available < needed.amount:
            available = Money(self._balances[name].available, self._currencies[name])
            raise NotPaidFor(
                f"Insufficient funds: {text_from_money(needed)} needed, "
                f"{text_from_money(available)} available"
            )

    def move(self, entries: Sequence[Movement], now: Moment) -> int:
        """Book movements; the number of the last one, 0 if there is none."""
        touched: set[str] = set()
        number = 0
        for movement in entries:
            changed = apply_movement(self._balances, movement)
            row = row_from_movement(movement)
            row["time"] = now
            row["available_predecessor"] = self._last.get(movement.available_account, 0)
            row["blocked_predecessor"] = self._last.get(movement.blocked_account, 0)
            number = self._connection.execute(_ADD_MOVEMENT, row).scalar_one()
            for name, balance in changed.items():
                self.check_currency(name, movement.currency)
                self._currencies[name] = movement.currency
                self._balances[name] = balance
                self._last[name] = number
                touched.add(name)
        for name in sorted(touched):
            self._connection.execute(
                _CHANGE,
                {
                    "name": name,
                    "to_currency": self._currencies[name].value,
                    "to_available": self._balances[name].available,
                    "to_blocked": self._balances[name].blocked,
                    "to_last": self._last[name],
                },
            )
        return number


def make_account(connection: Connection, name: str) -> None:
    """Open an account that holds nothing, if there is none of that name."""
    insert_if_new(
        connection,
        accounts,
        participant=name,
        currency=Currency.COIN.value,
        available=0,
        blocked=0,
        last_movement=0,
        deposit_address="",
        deposit_info="",
    )
