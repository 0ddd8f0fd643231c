"""What the wallet remembers: its own transactions, and how far it has followed the chain."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import (
    Column,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    create_engine,
)
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import StaticPool

from misocoin.errors import StoreError

UNCONFIRMED = -1
"""Height of a transaction that is in no block of the active chain."""

_metadata = MetaData()

_transactions = Table(
    "wallet_transactions",
    _metadata,
    Column("id", Integer, primary_key=True, comment="order of arrival"),
    Column("txid", LargeBinary(32), nullable=False, unique=True, comment="wire order"),
    Column("data", LargeBinary, nullable=False, comment="as on the wire"),
    Column("height", Integer, nullable=False),
    Column("block_hash", LargeBinary(32), comment="wire order"),
    Column("time", Integer, nullable=False, comment="unix time it was first seen or mined"),
)

_meta = Table(
    "wallet_meta",
    _metadata,
    Column("key", String(40), primary_key=True),
    Column("value", LargeBinary, nullable=False),
)


class StoredWalletTx(NamedTuple):
    """A transaction that pays to or from the wallet."""

    txid: bytes
    data: bytes
    height: int
    """Of its block, or UNCONFIRMED."""
    block_hash: bytes | None
    time: int
    """Unix time."""


class WalletStore:
    """A small database at `path`, or in memory for None. Errors are StoreError."""

    def __init__(self, path: Path | None) -> None:
        where = "sqlite://" if path is None else f"sqlite:///{path}"
        with _store_errors():
            self._engine = create_engine(
                where, poolclass=StaticPool, connect_args={"check_same_thread": False}
            )
            self._connection = self._engine.connect()
            self._connection.exec_driver_sql("PRAGMA journal_mode = WAL")
            self._connection.exec_driver_sql("PRAGMA synchronous = FULL")
            _metadata.create_all(self._connection)
            self._connection.commit()

    def close(self) -> None:
        """Close the database."""
        self._connection.close()
        self._engine.dispose()

    def load(self) -> list[StoredWalletTx]:
        """All transactions, in order of arrival."""
        with _store_errors():
            rows = self._connection.execute(_transactions.select().order_by(_transactions.c.id))
            return [
                StoredWalletTx(row.txid, row.data, row.height, row.block_hash, row.time)
                for row in rows
            ]

    def get_meta(self, key: str) -> bytes | None:
        """The value under `key`."""
        with _store_errors():
            row = self._connection.execute(_meta.select().where(_meta.c.key == key)).one_or_none()
        return None if row is None else row.value

    def save(self, transactions: Iterable[StoredWalletTx], meta: dict[str, bytes]) -> None:
        """Add or change transactions and values, all in one commit."""
        with _store_errors():
            for entry in transactions:
                values = entry._asdict()
                self._connection.execute(
                    insert(_transactions)
                    .values(values)
                    .on_conflict_do_update(index_elements=["txid"], set_=values)
                )
            for key, value in meta.items():
                self._connection.execute(
                    insert(_meta)
                    .values(key=key, value=value)
                    .on_conflict_do_update(index_elements=["key"], set_={"value": value})
                )
            self._connection.commit()


@contextmanager
def _store_errors() -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        cause = getattr(error, "orig", None) or error
        raise StoreError(f"the wallet's database cannot be used: {cause}") from error
