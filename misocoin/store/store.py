"""The chain's store: one SQL database through SQLAlchemy Core, SQLite in the data folder.

One connection writes, under a lock; readers take their own from a pool. What is said to be
written is committed when the call returns. Hashes and outpoints are in wire order.
"""

import sqlite3
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL, Connection, create_engine, event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import StaticPool

from misocoin.consensus.coins import Coin
from misocoin.errors import StoreError
from misocoin.primitives.transaction import OutPoint
from misocoin.store import schema
from misocoin.store.records import (
    BlockStatus,
    Changes,
    HistoryRow,
    HistoryTotals,
    StoredFilter,
    StoredHeader,
    StoredTransaction,
)

BATCH = 500
"""Keys in one `IN (...)`; SQLite's own limit is far above."""

CACHE_KIB = 65_536
"""Memory of SQLite's page cache, per connection that writes."""


class Store:
    """Opens (and makes) the database at `path`, or one in memory for None.

    Raises StoreError where the file cannot be used, is damaged, or belongs to another network or
    version of the schema.
    """

    def __init__(self, path: Path | None, genesis_hash: bytes) -> None:
        self._memory = path is None
        self._place = "the database" if path is None else str(path)
        self._lock = threading.RLock()
        if path is None:
            self._engine = create_engine(
                "sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False}
            )
        else:
            where = URL.create("sqlite", database=str(path))  # any name, also one with "?" in it
            self._engine = create_engine(
                where, connect_args={"check_same_thread": False}, pool_size=8
            )
        event.listen(self._engine, "connect", _prepare_connection)
        with _store_errors():
            self._writer = self._engine.connect()
        try:
            with self._write() as connection:
                schema.metadata.create_all(connection)
            self._check_identity(genesis_hash)
        except BaseException:
            self.close()
            raise

    def _check_identity(self, genesis_hash: bytes) -> None:
        version = schema.SCHEMA_VERSION.to_bytes(4, "little")
        for key, value, what in (
            ("schema", version, "was made by another version of this program"),
            ("genesis", genesis_hash, "belongs to another chain"),
        ):
            found = self.get_meta(key)
            if found is None:
                self.set_meta(key, value)
            elif found != value:
                raise StoreError(f"{self._place} {what}")

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            self._writer.close()
            self._engine.dispose()

    @contextmanager
    def _write(self) -> Iterator[Connection]:
        """The writing connection, committed at the end or rolled back on an error."""
        with self._lock, _store_errors():
            try:
                yield self._writer
                self._writer.commit()
            except BaseException:
                self._writer.rollback()
                raise

    @contextmanager
    def _read(self) -> Iterator[Connection]:
        if self._memory:
            with self._lock, _store_errors():
                yield self._writer
        else:
            with _store_errors(), self._engine.connect() as connection:
                yield connection

    # -- meta ---------------------------------------------------------------------------------

    def get_meta(self, key: str) -> bytes | None:
        """The value under `key`; None where there is none."""
        with self._read() as connection:
            row = connection.exec_driver_sql(
                "SELECT value FROM meta WHERE key = ?", (key,)
            ).fetchone()
        return None if row is None else bytes(row[0])

    def set_meta(self, key: str, value: bytes) -> None:
        """Set the value under `key`."""
        with self._write() as connection:
            _set_meta(connection, key, value)

    def delete_meta(self, key: str) -> None:
        """Forget the value under `key`, if there is one."""
        with self._write() as connection:
            connection.exec_driver_sql("DELETE FROM meta WHERE key = ?", (key,))

    def size(self) -> int:
        """Bytes of the database."""
        with self._read() as connection:
            pages, size = (
                connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
                for name in ("page_count", "page_size")
            )
        return int(pages) * int(size)

    # -- headers and blocks -------------------------------------------------------------------

    def load_headers(self) -> Iterator[StoredHeader]:
        """All headers but genesis, in order of arrival, so parents before children."""
        with self._read() as connection:
            rows = connection.exec_driver_sql(
                "SELECT hash, header, status, tx_count FROM headers ORDER BY id"
            )
            for block_hash, header, status, tx_count in rows:
                yield StoredHeader(block_hash, header, BlockStatus(status), tx_count)

    def apply(self, changes: "Changes") -> None:
        """Write all of `changes` in one transaction."""
        with self._write() as connection:
            for query, rows in changes.statements():
                if rows:
                    connection.exec_driver_sql(query, rows)

    def get_block(self, block_hash: bytes) -> bytes | None:
        """The body of a block as on the wire; None where it is not stored."""
        return self._blob("SELECT data FROM blocks WHERE hash = ?", block_hash)

    def get_undo(self, block_hash: bytes) -> bytes | None:
        """The undo data of a block that was connected once; None where it never was."""
        return self._blob("SELECT data FROM undo WHERE hash = ?", block_hash)

    def _blob(self, query: str, key: bytes) -> bytes | None:
        with self._read() as connection:
            row = connection.exec_driver_sql(query, (key,)).fetchone()
        return None if row is None else bytes(row[0])

    def find_transaction(self, txid: bytes) -> bytes | None:
        """Hash of the block that holds `txid`, as far as the index of transactions knows.

        The block may have left the active chain since.
        """
        return self._blob("SELECT block_hash FROM transactions WHERE txid = ?", txid)

    def get_filters(self, block_hashes: Sequence[bytes]) -> list[StoredFilter]:
        """The filters of those of the blocks that have one, in any order."""
        found: list[StoredFilter] = []
        with self._read() as connection:
            for start in range(0, len(block_hashes), BATCH):
                batch = tuple(block_hashes[start : start + BATCH])
                rows = connection.exec_driver_sql(
                    "SELECT hash, data, header FROM filters "  # noqa: S608 - only question marks
                    f"WHERE hash IN ({','.join('?' * len(batch))})",
                    batch,
                )
                found += [StoredFilter(bytes(h), bytes(d), bytes(f)) for h, d, f in rows]
        return found

    def find_spend(self, point: OutPoint) -> tuple[bytes, bytes] | None:
        """Id and block of what spends an output, as far as the index of spends knows.

        The block may have left the active chain since.
        """
        with self._read() as connection:
            row = connection.exec_driver_sql(
                "SELECT txid, block_hash FROM spends WHERE outpoint = ?", (point,)
            ).fetchone()
        return None if row is None else (bytes(row[0]), bytes(row[1]))

    def get_history(self, script_id: bytes, count: int, skip: int) -> list[HistoryRow]:
        """Rows of the index of addresses, the latest first; `skip` of them are passed over."""
        with self._read() as connection:
            rows = connection.exec_driver_sql(
                "SELECT script, height, place, txid, received, spent FROM history "
                "WHERE script = ? ORDER BY height DESC, place DESC LIMIT ? OFFSET ?",
                (script_id, count, skip),
            )
            return [HistoryRow(*row) for row in rows]

    def get_history_totals(self, script_id: bytes) -> HistoryTotals:
        """Number and sums of a script's rows."""
        with self._read() as connection:
            row = connection.exec_driver_sql(
                "SELECT COUNT(*), COALESCE(SUM(received), 0), COALESCE(SUM(spent), 0) "
                "FROM history WHERE script = ?",
                (script_id,),
            ).one()
        return HistoryTotals(*row)

    def clear_history(self, key: str) -> None:
        """Empty the index of addresses, and forget the value under `key` with it."""
        with self._write() as connection:
            connection.exec_driver_sql("DELETE FROM history")
            connection.exec_driver_sql("DELETE FROM meta WHERE key = ?", (key,))

    # -- coins --------------------------------------------------------------------------------

    def get_coins(self, points: Collection[OutPoint]) -> dict[OutPoint, Coin]:
        """The coins among `points` that are unspent as of the flushed tip."""
        found: dict[OutPoint, Coin] = {}
        keys = list(points)
        with self._lock, _store_errors():
            for start in range(0, len(keys), BATCH):
                batch = tuple(keys[start : start + BATCH])
                rows = self._writer.exec_driver_sql(
                    "SELECT outpoint, value, script, height, coinbase FROM coins "  # noqa: S608 - only question marks are put in
                    f"WHERE outpoint IN ({','.join('?' * len(batch))})",
                    batch,
                )
                for point, value, script, height, coinbase in rows:
                    found[point] = Coin(value, script, height, coinbase == 1)
        return found

    def find_coins(self, script: bytes) -> dict[OutPoint, Coin]:
        """The coins as of the flushed tip that an output script locks; reads the whole table."""
        return self._find_coins("script = ?", script)

    def find_coins_of(self, txid: bytes) -> dict[OutPoint, Coin]:
        """The outputs of `txid` that are unspent as of the flushed tip."""
        return self._find_coins("outpoint BETWEEN ? AND ?", txid, txid + b"\xff\xff\xff\xff")

    def _find_coins(self, condition: str, *values: bytes) -> dict[OutPoint, Coin]:
        with self._lock, _store_errors():
            rows = self._writer.exec_driver_sql(
                "SELECT outpoint, value, script, height, coinbase FROM coins "  # noqa: S608 - conditions are our own
                f"WHERE {condition}",
                values,
            ).fetchall()
        return {
            OutPoint(point): Coin(value, script, height, coinbase == 1)
            for point, value, script, height, coinbase in rows
        }

    def iterate_coins(self) -> Iterator[tuple[OutPoint, Coin]]:
        """All coins as of the flushed tip, by outpoint."""
        with self._read() as connection:
            rows = connection.exec_driver_sql(
                "SELECT outpoint, value, script, height, coinbase FROM coins ORDER BY outpoint"
            )
            for point, value, script, height, coinbase in rows:
                yield OutPoint(point), Coin(value, script, height, coinbase == 1)

    def flush_coins(
        self, tip: bytes, gone: Collection[OutPoint], new: Mapping[OutPoint, Coin]
    ) -> None:
        """Apply changes to the coins and the tip they stand for, in one transaction."""
        with self._write() as connection:
            if gone:
                connection.exec_driver_sql(
                    "DELETE FROM coins WHERE outpoint = ?", [(point,) for point in sorted(gone)]
                )
            if new:
                connection.exec_driver_sql(
                    "INSERT INTO coins (outpoint, value, script, height, coinbase) "
                    "VALUES (?, ?, ?, ?, ?)",
                    sorted([(point, *coin) for point, coin in new.items()]),
                )
            _set_meta(connection, "coins_tip", tip)

    # -- mempool ------------------------------------------------------------------------------

    def save_mempool(self, added: Sequence[StoredTransaction], removed: Sequence[bytes]) -> None:
        """Forget the transactions of the ids in `removed`, then keep `added`; all in one."""
        self.apply(Changes(pool_removed=list(removed), pool_added=list(added)))

    def load_mempool(self) -> list[StoredTransaction]:
        """The kept transactions, in order of arrival."""
        with self._read() as connection:
            rows = connection.exec_driver_sql(
                "SELECT txid, data, time, fee_delta FROM mempool ORDER BY id"
            ).fetchall()
        return [StoredTransaction(bytes(row[0]), bytes(row[1]), row[2], row[3]) for row in rows]


def _set_meta(connection: Connection, key: str, value: bytes) -> None:
    connection.exec_driver_sql(
        "INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (key, value)
    )


def _prepare_connection(connection: sqlite3.Connection, _record: object) -> None:
    # FULL: what was acknowledged survives a power cut, too; it costs 0.3 ms a commit.
    try:
        for pragma in (
            "journal_mode = WAL",
            "synchronous = FULL",
            f"cache_size = -{CACHE_KIB}",
            "temp_store = MEMORY",
            "busy_timeout = 10000",
        ):
            connection.execute(f"PRAGMA {pragma}")
    except sqlite3.Error:
        connection.close()  # nobody else knows of it
        raise


@contextmanager
def _store_errors() -> Iterator[None]:
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error) as error:
        cause = getattr(error, "orig", None) or error
        raise StoreError(f"the chain's database cannot be used: {cause}") from error
