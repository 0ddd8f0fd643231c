"""What the wallet remembers: its own transactions, and how far it has followed the chain.

All of it follows from the keys and the chain, but for the times and for payments that are in no
block: a lost or damaged file may be deleted, the wallet then reads the chain again.
"""

import os
import sqlite3
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import (
    URL,
    Column,
    Connection,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    create_engine,
    event,
)
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import StaticPool

from misocoin.errors import StoreError
from misocoin.primitives.transaction import OutPoint
from misocoin.wallet.ledger import OwnOutput

SCHEMA_VERSION = 1
"""Rises with every change to the tables; stands in the file as SQLite's `user_version`."""

_metadata = MetaData()

_transactions = Table(
    "wallet_transactions",
    _metadata,
    Column("id", Integer, primary_key=True, comment="order of arrival"),
    Column("txid", LargeBinary(32), nullable=False, unique=True, comment="wire order"),
    Column("data", LargeBinary, nullable=False, comment="as on the wire"),
    Column("height", Integer, nullable=False, comment="-1 in no block"),
    Column("block_hash", LargeBinary(32), comment="wire order"),
    Column("time", Integer, nullable=False, comment="unix time it was first seen or mined"),
)

_outputs = Table(
    "wallet_outputs",
    _metadata,
    Column("outpoint", LargeBinary(36), primary_key=True),
    Column("value", Integer, nullable=False, comment="base units"),
    Column("script", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

_spends = Table(
    "wallet_spends",
    _metadata,
    Column("txid", LargeBinary(32), primary_key=True, comment="who spends; no coinbase is here"),
    Column("outpoint", LargeBinary(36), primary_key=True, comment="what; also other people's"),
    sqlite_with_rowid=False,
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
    """As on the wire."""
    height: int
    """Of its block, or -1."""
    block_hash: bytes | None
    time: int
    """Unix time."""


class StoredSpend(NamedTuple):
    """What a transaction of the wallet spends."""

    txid: bytes
    point: OutPoint


@dataclass(slots=True)
class WalletRows:
    """What is written together, and what is read at the start."""

    transactions: Sequence[StoredWalletTx] = ()
    """In order of arrival."""
    outputs: Sequence[OwnOutput] = ()
    spends: Sequence[StoredSpend] = ()
    meta: dict[str, bytes] = field(default_factory=dict)


class WalletStore:
    """A small database at `path`, or in memory for None.

    Raises StoreError where it cannot be used, is damaged, or was made by another version.
    """

    def __init__(self, path: Path | None) -> None:
        if path is not None:
            _make_private(path)
        where = URL.create("sqlite", database=None if path is None else str(path))
        self._path = path
        self._engine = create_engine(
            where, poolclass=StaticPool, connect_args={"check_same_thread": False}
        )
        event.listen(self._engine, "connect", _prepare_connection)
        try:
            with self._transaction() as connection:
                self._check_version(connection)
                _metadata.create_all(connection)
        except BaseException:
            self.close()
            raise

    def _check_version(self, connection: Connection) -> None:
        version = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
        if version not in (0, SCHEMA_VERSION):
            raise StoreError(f"{self._path} was made by another version of this program")
        connection.exec_driver_sql(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def close(self) -> None:
        """Close the database."""
        self._engine.dispose()

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        """A connection; what is done with it is committed at the end, or undone by an error."""
        try:
            with self._engine.begin() as connection:
                yield connection
        except (SQLAlchemyError, sqlite3.Error) as error:
            cause = getattr(error, "orig", None) or error
            what = "the wallet's history" if self._path is None else self._path
            raise StoreError(f"{what} cannot be used: {cause}") from error

    def load(self) -> WalletRows:
        """All there is."""
        with self._transaction() as connection:

            def rows(query: str) -> Sequence[Sequence[Any]]:
                return connection.exec_driver_sql(query).fetchall()

            return WalletRows(
                [
                    StoredWalletTx._make(row)
                    for row in rows(
                        "SELECT txid, data, height, block_hash, time "
                        "FROM wallet_transactions ORDER BY id"
                    )
                ],
                [
                    OwnOutput._make(row)
                    for row in rows("SELECT outpoint, value, script FROM wallet_outputs")
                ],
                [
                    StoredSpend._make(row)
                    for row in rows("SELECT txid, outpoint FROM wallet_spends")
                ],
                {key: value for key, value in rows("SELECT key, value FROM wallet_meta")},
            )

    def save(self, rows: WalletRows) -> None:
        """Add or change all of `rows`, in one commit."""
        with self._transaction() as connection:
            for query, values in (
                (
                    "INSERT INTO wallet_transactions (txid, data, height, block_hash, time) "
                    "VALUES (?, ?, ?, ?, ?) ON CONFLICT (txid) DO UPDATE SET data = excluded.data, "
                    "height = excluded.height, block_hash = excluded.block_hash",
                    rows.transactions,
                ),
                ("INSERT OR REPLACE INTO wallet_outputs VALUES (?, ?, ?)", rows.outputs),
                ("INSERT OR REPLACE INTO wallet_spends VALUES (?, ?)", rows.spends),
                ("INSERT OR REPLACE INTO wallet_meta VALUES (?, ?)", tuple(rows.meta.items())),
            ):
                if values:
                    connection.exec_driver_sql(query, [tuple(value) for value in values])


def _make_private(path: Path) -> None:
    """Have the file there before SQLite makes it, for its owner alone: histories are private."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, stat.S_IRUSR | stat.S_IWUSR))
    except OSError as error:
        raise StoreError(f"{path} cannot be used: {error.strerror}") from error


def _prepare_connection(connection: sqlite3.Connection, _record: object) -> None:
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
    except sqlite3.Error:
        connection.close()  # nobody else knows of it
        raise
