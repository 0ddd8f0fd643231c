"""The market's database: SQLite in a file by default, or PostgreSQL for several servers.

All that changes the book runs through `Database.write`: one transaction, which is begun anew where
the engine found it in another's way. SQLite lets one writer in at a time; on PostgreSQL rows are
locked (`SELECT ... FOR UPDATE`), pools before bids, trades by number, accounts by name.
"""

import logging
import secrets
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, select
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.pool import StaticPool

from misocoin.errors import ConfigError, StoreError
from misocoin.market import schema
from misocoin.packages import package_missing

log = logging.getLogger(__name__)

T = TypeVar("T")

TRIES = 20
"""How often a transaction is tried that others keep getting in the way of."""

_IN_THE_WAY = frozenset({"40001", "40P01"})  # serialization failure, deadlock
_TAG_BYTES = 5


class Database:
    """Opens (and makes) the book at `where`.

    That is the path of a file, `postgresql://…`, or empty for one in memory. Raises ConfigError
    or StoreError.
    """

    def __init__(self, where: str | Path = "", connections: int = 16) -> None:
        self._place = _shown(str(where))
        self._is_sqlite = not str(where).startswith(("postgresql:", "postgres:"))
        # SQLite's own way to wait for another writer is to sleep and try again.
        self._turn = Lock()
        self._in_memory = not str(where)
        if self._is_sqlite:
            self._engine = _sqlite_engine(str(where), connections)
        else:
            self._engine = _postgres_engine(str(where), connections)
        try:
            self.tag, secret = self.write(self._prepare)
        except BaseException:
            self.close()
            raise
        self.secret = bytes.fromhex(secret)

    secret: bytes
    """What this book's nonces are known by."""
    tag: str
    """Some letters and digits that tell this book's keys from those of any other."""

    def _prepare(self, connection: Connection) -> tuple[str, str]:
        if not self._is_sqlite:
            # Two servers that start at once would both make the tables.
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(5000042)")
        schema.metadata.create_all(connection)
        version = str(schema.SCHEMA_VERSION)
        found = get_meta(connection, "schema")
        if found is None:
            set_meta(connection, "schema", version)
            set_meta(connection, "tag", secrets.token_hex(_TAG_BYTES))
            set_meta(connection, "secret", secrets.token_hex(32))
        elif found != version:
            raise StoreError(f"{self._place} was made by another version of this program")
        return get_meta(connection, "tag") or "", get_meta(connection, "secret") or ""

    @property
    def is_own(self) -> bool:
        """Whether this process is likely to be the only one on the book."""
        return self._is_sqlite

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def write(self, change: Callable[[Connection], T]) -> T:
        """Run a change in a transaction of its own; what it raises undoes it.

        Where the engine gives up a transaction for another's sake, `change` runs again.
        """
        for tries in range(1, TRIES + 1):
            try:
                return self._try(change)
            except DBAPIError as error:
                state = getattr(error.orig, "sqlstate", None)
                if state not in _IN_THE_WAY or tries == TRIES:
                    raise self._unusable(error) from error
            except (SQLAlchemyError, sqlite3.Error) as error:
                raise self._unusable(error) from error
        raise AssertionError("the loop ends before")

    def _try(self, change: Callable[[Connection], T]) -> T:
        if not self._is_sqlite:
            with self._engine.begin() as connection:
                return change(connection)
        with self._turn, self._engine.connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            try:
                result = change(connection)
                connection.exec_driver_sql("COMMIT")
            except BaseException:
                with suppress(SQLAlchemyError):  # the engine may have done it already
                    connection.exec_driver_sql("ROLLBACK")
                raise
            return result

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection that sees what is committed."""
        if self._in_memory:
            with self._turn, self._errors(), self._engine.connect() as connection:
                yield connection
        else:
            with self._errors(), self._engine.connect() as connection:
                yield connection

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """A connection that sees one state of the book, whatever others write meanwhile."""
        with self.read() as connection:
            if self._is_sqlite:
                connection.exec_driver_sql("BEGIN")
                try:
                    yield connection
                finally:
                    connection.exec_driver_sql("ROLLBACK")
            else:
                yield connection.execution_options(isolation_level="REPEATABLE READ")

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, sqlite3.Error) as error:
            raise self._unusable(error) from error

    def _unusable(self, error: Exception) -> StoreError:
        cause = getattr(error, "orig", None) or error
        return StoreError(f"the market's book {self._place} cannot be used: {cause}")


def get_meta(connection: Connection, key: str) -> str | None:
    """The text under `key`."""
    value: str | None = connection.execute(
        select(schema.meta.c.value).where(schema.meta.c.key == key)
    ).scalar()
    return value


def set_meta(connection: Connection, key: str, value: str) -> None:
    """Set the text under `key`."""
    meta = schema.meta
    done = connection.execute(meta.update().where(meta.c.key == key).values(value=value))
    if not done.rowcount:
        connection.execute(meta.insert().values(key=key, value=value))


def _shown(where: str) -> str:
    """The place, without a password."""
    if "://" not in where:
        return where or "in memory"
    try:
        return make_url(where).render_as_string(hide_password=True)
    except ArgumentError:
        return "of that address"


def _sqlite_engine(where: str, connections: int) -> Engine:
    if where:
        engine = create_engine(
            URL.create("sqlite", database=where),
            connect_args={"check_same_thread": False},
            pool_size=connections,
            max_overflow=-1,
            isolation_level="AUTOCOMMIT",
        )
    else:
        engine = create_engine(
            "sqlite://",
            poolclass=StaticPool,
            connect_args={"check_same_thread": False},
            isolation_level="AUTOCOMMIT",
        )
    event.listen(engine, "connect", _prepare_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    try:
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "busy_timeout = 20000"):
            connection.execute(f"PRAGMA {pragma}")
    except sqlite3.Error:
        connection.close()  # nobody else knows of it
        raise


def _postgres_engine(where: str, connections: int) -> Engine:
    try:
        url = make_url(where).set(drivername="postgresql+psycopg")
        return create_engine(
            url,
            pool_size=connections,
            max_overflow=connections,
            isolation_level="READ COMMITTED",
            pool_pre_ping=True,
        )
    except ArgumentError:
        raise ConfigError(
            "-store: that is no database's address: write postgresql://user@host/database"
        ) from None
    except ImportError:
        raise package_missing("PostgreSQL", "psycopg[binary]") from None
