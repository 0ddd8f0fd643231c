"""What a light wallet remembers, in one SQLite file.

That is the best chain's headers, the wallet's transactions with their proofs, how far the chain
was searched for each script, the journal of payments, and the nodes. Hashes are in wire order.

What is said to be written is committed, and survives a power cut. Other
processes may use the file at the same time; each write is one short transaction.
"""

import os
import sqlite3
import stat
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from misocoin.consensus.difficulty import work_from_bits
from misocoin.consensus.header_window import HeaderWindow, window_size
from misocoin.errors import StoreError
from misocoin.filters.basic import (
    NULL_FILTER_HEADER,
    basic_filter_from_block,
    calculate_filter_header,
)
from misocoin.params import Params
from misocoin.primitives.block import BlockHeader, header_from_bytes
from misocoin.primitives.transaction import (
    OutPoint,
    TxOut,
    outpoint_index,
    transaction_from_bytes,
)

SCHEMA_VERSION = 1
"""Rises with every change to the tables; stands in the file as SQLite's `user_version`."""

_TABLES = (
    # The best chain alone; the filter header is null until nodes were asked for it.
    """CREATE TABLE headers (
        height INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, header BLOB NOT NULL,
        time INTEGER NOT NULL, work BLOB NOT NULL, filter_header BLOB
    )""",
    # Through which height the chain was searched for a script.
    """CREATE TABLE scripts (script BLOB PRIMARY KEY, searched INTEGER NOT NULL) WITHOUT ROWID""",
    # Transactions of the wallet's with the proof that a block holds them; the height is null
    # where that block has left the best chain.
    """CREATE TABLE transactions (
        id INTEGER PRIMARY KEY, txid BLOB NOT NULL UNIQUE, data BLOB NOT NULL, height INTEGER,
        position INTEGER NOT NULL, branch BLOB NOT NULL, time INTEGER NOT NULL
    )""",
    """CREATE TABLE payments (
        id INTEGER PRIMARY KEY, txid BLOB NOT NULL UNIQUE, data BLOB NOT NULL,
        time INTEGER NOT NULL, expires INTEGER NOT NULL, note TEXT NOT NULL,
        state TEXT NOT NULL, detail TEXT NOT NULL
    )""",
    """CREATE TABLE nodes (
        address TEXT PRIMARY KEY, time INTEGER NOT NULL, height INTEGER NOT NULL,
        state TEXT NOT NULL, lie TEXT NOT NULL, lied INTEGER NOT NULL
    ) WITHOUT ROWID""",
)

_ADD_HEADER = "INSERT INTO headers (height, hash, header, time, work) VALUES (?, ?, ?, ?, ?)"

BIRTH_MARGIN = 2 * 3600
"""Seconds that a block's time may be off from the time a key was made."""


class ProvenTx(NamedTuple):
    """A transaction and the proof that the block at `height` holds it."""

    txid: bytes
    data: bytes
    """As on the wire."""
    height: int | None
    """None where that block is no longer part of the best chain."""
    position: int
    """Of the transaction in its block."""
    branch: tuple[bytes, ...]
    """The hashes beside its path to the merkle root, lowest first."""
    time: int
    """Of the block, unix time."""


class JournalEntry(NamedTuple):
    """A payment as it was written down before it was sent."""

    txid: bytes
    data: bytes
    """The signed transaction as on the wire."""
    time: int
    """Unix time it was made."""
    expires: int
    """Unix time after which it is not sent again."""
    note: str
    """For the owner's own records."""
    state: str
    """A `PaymentState`, as of the last sync."""
    detail: str
    """What a node said against it, or what it lost its coins to."""


class NodeRecord(NamedTuple):
    """What is known of a node."""

    address: str
    time: int
    """Unix time it was last asked."""
    height: int
    """Of its best block; -1 where it never told."""
    state: str
    """One line for people."""
    lie: str
    """What was wrong with the last answer that could not be true; empty: none ever."""
    lied: int
    """Unix time of that."""


class LightStore:
    """Opens (and makes) the file at `path`, or one in memory for None.

    Raises StoreError where it cannot be used, is damaged, or belongs to another chain or version.
    """

    def __init__(self, path: Path | None, params: Params) -> None:
        self._place = "the light wallet's database" if path is None else str(path)
        self._params = params
        self._is_writing = False
        if path is not None:
            _make_private(path)
        with self._errors():
            self._db = sqlite3.connect(
                ":memory:" if path is None else path, isolation_level=None, timeout=30
            )
        try:
            self._prepare()
        except BaseException:
            self.close()
            raise

    def _prepare(self) -> None:
        with self._errors():
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
        with self.write():
            (version,) = self._one("PRAGMA user_version")
            if version == 0:
                self._create()
            elif version != SCHEMA_VERSION:
                raise StoreError(f"{self._place} was made by another version of this program")
        if self.header_at(0).hash != self._params.genesis.hash:
            raise StoreError(f"{self._place} belongs to another chain")

    def _create(self) -> None:
        for statement in _TABLES:
            self._db.execute(statement)
        genesis = self._params.genesis
        self.append_headers([genesis.header], 0, 0)
        data = basic_filter_from_block(genesis, ())
        self.set_filter_headers(0, [calculate_filter_header(data, NULL_FILTER_HEADER)])
        self._db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StoreError(f"{self._place} cannot be used: {error}") from error

    @contextmanager
    def write(self) -> Iterator[None]:
        """What is written inside is committed together at the end, or undone by an error."""
        if self._is_writing:
            yield  # the one around it commits
            return
        with self._errors():
            self._db.execute("BEGIN IMMEDIATE")
            self._is_writing = True
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # a full disk may have rolled it back already
                    self._db.execute("ROLLBACK")
                raise
            finally:
                self._is_writing = False

    def _rows(self, query: str, *values: object) -> list[tuple[object, ...]]:
        with self._errors():
            return self._db.execute(query, values).fetchall()

    def _one(self, query: str, *values: object) -> tuple[object, ...]:
        rows = self._rows(query, *values)
        if not rows:
            raise StoreError(f"{self._place} is damaged: something is missing in it")
        return rows[0]

    # -- headers ------------------------------------------------------------------------------

    @property
    def height(self) -> int:
        """Of the best chain's last header."""
        return _integer(self._one("SELECT max(height) FROM headers")[0])

    def hash_at(self, height: int) -> bytes | None:
        """The hash of the best chain's block at `height`; None beyond its end."""
        rows = self._rows("SELECT hash FROM headers WHERE height = ?", height)
        return _bytes(rows[0][0]) if rows else None

    def height_of(self, block_hash: bytes) -> int | None:
        """The height of a block of the best chain; None for any other."""
        rows = self._rows("SELECT height FROM headers WHERE hash = ?", block_hash)
        return _integer(rows[0][0]) if rows else None

    def header_at(self, height: int) -> BlockHeader:
        """The best chain's header at a height that it has."""
        (data,) = self._one("SELECT header FROM headers WHERE height = ?", height)
        return header_from_bytes(_bytes(data))

    def header_bytes(self, height: int, count: int) -> bytes:
        """At most `count` headers of the best chain from `height` on, 80 bytes each."""
        query = "SELECT header FROM headers WHERE height >= ? ORDER BY height LIMIT ?"
        return b"".join([_bytes(row[0]) for row in self._rows(query, height, count)])

    def work_at(self, height: int) -> int:
        """Expected hashes from genesis up to the block at a height that the chain has."""
        (work,) = self._one("SELECT work FROM headers WHERE height = ?", height)
        return int.from_bytes(_bytes(work), "big")

    def height_before(self, time: int) -> int:
        """A height such that what happened from `time` on is in blocks above it."""
        query = "SELECT min(height) FROM headers WHERE height > 0 AND time >= ?"
        (first,) = self._one(query, time - BIRTH_MARGIN)
        return self.height if first is None else _integer(first) - 1

    def window(self, height: int) -> HeaderWindow:
        """The branch up to `height`, to judge the headers after it."""
        rows = self._rows(
            "SELECT header FROM headers WHERE height <= ? ORDER BY height DESC LIMIT ?",
            height,
            window_size(self._params),
        )
        last = [header_from_bytes(_bytes(row[0])) for row in reversed(rows)]
        return HeaderWindow(self._params, last, height, self.work_at(height))

    def append_headers(self, headers: Iterable[BlockHeader], height: int, work: int) -> None:
        """Add checked headers from `height` on; `work` is that of the chain below them."""
        rows = []
        for at, header in enumerate(headers, height):
            work += work_from_bits(header.bits)
            raw = header.serialize()
            rows.append((at, header.hash, raw, header.time, work.to_bytes(32, "big")))
        with self.write():
            self._db.executemany(_ADD_HEADER, rows)

    def cut_headers(self, height: int) -> None:
        """Forget the blocks above `height`: transactions in them are in no block any more."""
        with self.write():
            self._db.execute("DELETE FROM headers WHERE height > ?", (height,))
            self._db.execute("UPDATE transactions SET height = NULL WHERE height > ?", (height,))
            self._cut_search(height)

    # -- filters ------------------------------------------------------------------------------

    @property
    def filter_height(self) -> int:
        """Through which height the headers of filters are known."""
        (height,) = self._one("SELECT max(height) FROM headers WHERE filter_header IS NOT NULL")
        return _integer(height)

    def filter_headers(self, height: int, count: int) -> list[bytes]:
        """At most `count` known headers of filters, from `height` on."""
        rows = self._rows(
            "SELECT filter_header FROM headers WHERE height >= ? AND filter_header IS NOT NULL "
            "ORDER BY height LIMIT ?",
            height,
            count,
        )
        return [_bytes(row[0]) for row in rows]

    def set_filter_headers(self, height: int, headers: Sequence[bytes]) -> None:
        """Keep what was agreed on, from `height` on."""
        rows = [(header, at) for at, header in enumerate(headers, height)]
        with self.write():
            self._db.executemany("UPDATE headers SET filter_header = ? WHERE height = ?", rows)

    def cut_filter_headers(self, height: int) -> None:
        """Forget those above `height`, and that blocks above it were searched."""
        with self.write():
            self._db.execute("UPDATE headers SET filter_header = NULL WHERE height > ?", (height,))
            self._cut_search(height)

    # -- the search ---------------------------------------------------------------------------

    def searched(self) -> dict[bytes, int]:
        """Through which height the chain was searched for each script."""
        return {_bytes(s): _integer(at) for s, at in self._rows("SELECT * FROM scripts")}

    def set_searched(self, scripts: Collection[bytes], height: int) -> None:
        """Note that the chain was searched for these scripts through `height`."""
        with self.write():
            self._db.executemany(
                "INSERT OR REPLACE INTO scripts (script, searched) VALUES (?, ?)",
                [(script, height) for script in scripts],
            )

    def _cut_search(self, height: int) -> None:
        self._db.execute("UPDATE scripts SET searched = ? WHERE searched > ?", (height, height))

    # -- transactions -------------------------------------------------------------------------

    def transactions(self) -> list[ProvenTx]:
        """All of them, by their blocks; those that have lost theirs last."""
        rows = self._rows(
            "SELECT txid, data, height, position, branch, time FROM transactions "
            "ORDER BY height IS NULL, height, position, id"
        )
        return [
            ProvenTx(
                _bytes(txid),
                _bytes(data),
                None if height is None else _integer(height),
                _integer(position),
                _branch_from_bytes(_bytes(branch)),
                _integer(time),
            )
            for txid, data, height, position, branch, time in rows
        ]

    def put_transactions(self, found: Iterable[ProvenTx]) -> None:
        """Add transactions, or what is known of them now."""
        with self.write():
            self._db.executemany(
                "INSERT INTO transactions (txid, data, height, position, branch, time) "
                "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (txid) DO UPDATE SET data = excluded.data, "
                "height = excluded.height, position = excluded.position, "
                "branch = excluded.branch, time = excluded.time",
                [(*tx[:4], b"".join(tx.branch), tx.time) for tx in found],
            )

    # -- payments -----------------------------------------------------------------------------

    def payments(self) -> list[JournalEntry]:
        """The journal, oldest first."""
        rows = self._rows(
            "SELECT txid, data, time, expires, note, state, detail FROM payments ORDER BY id"
        )
        return [JournalEntry(*row) for row in rows]  # type: ignore[arg-type]

    def add_payment(self, entry: JournalEntry) -> None:
        """Write a payment down; one that was given up before is to be sent again."""
        with self.write():
            self._db.execute(
                "INSERT INTO payments (txid, data, time, expires, note, state, detail) "
                "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (txid) DO UPDATE SET "
                "data = excluded.data, expires = excluded.expires, note = excluded.note, "
                "state = excluded.state, detail = excluded.detail",
                entry,
            )

    def set_payment_state(self, txid: bytes, state: str, detail: str) -> None:
        """Note what became of a payment."""
        with self.write():
            self._db.execute(
                "UPDATE payments SET state = ?, detail = ? WHERE txid = ?", (state, detail, txid)
            )

    def known_transactions(self) -> dict[bytes, bytes]:
        """Every transaction that is here, proven or only written down: its bytes, by its id."""
        written = {entry.txid: entry.data for entry in self.payments()}
        return written | {each.txid: each.data for each in self.transactions()}

    # -- nodes --------------------------------------------------------------------------------

    def nodes(self) -> list[NodeRecord]:
        """Every node that has ever answered."""
        rows = self._rows(
            "SELECT address, time, height, state, lie, lied FROM nodes ORDER BY address"
        )
        return [NodeRecord(*row) for row in rows]  # type: ignore[arg-type]

    def put_node(self, record: NodeRecord) -> None:
        """Keep what is known of a node; an earlier lie stays where there is no new one."""
        with self.write():
            self._db.execute(
                "INSERT INTO nodes (address, time, height, state, lie, lied) "
                "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (address) DO UPDATE SET "
                "time = excluded.time, height = excluded.height, state = excluded.state, "
                "lie = CASE excluded.lie WHEN '' THEN lie ELSE excluded.lie END, "
                "lied = CASE excluded.lie WHEN '' THEN lied ELSE excluded.lied END",
                record,
            )

    def forget_node(self, address: str) -> bool:
        """Keep nothing of a node; tells whether there was anything."""
        with self.write(), self._errors():
            done = self._db.execute("DELETE FROM nodes WHERE address = ?", (address,))
            return done.rowcount > 0


def output_at(point: OutPoint, known: Mapping[bytes, bytes]) -> TxOut | None:
    """What an outpoint stands for, where its transaction is `known` by its id."""
    data = known.get(point[:32])
    outputs = () if data is None else transaction_from_bytes(data).vout
    place = outpoint_index(point)
    return outputs[place] if place < len(outputs) else None


def _integer(value: object) -> int:
    if not isinstance(value, int):
        raise StoreError("the light wallet's database is damaged: a number is missing in it")
    return value


def _bytes(value: object) -> bytes:
    if not isinstance(value, bytes):
        raise StoreError("the light wallet's database is damaged: bytes are missing in it")
    return value


def _branch_from_bytes(data: bytes) -> tuple[bytes, ...]:
    return tuple(data[at : at + 32] for at in range(0, len(data), 32))


def _make_private(path: Path) -> None:
    """Have the file there before SQLite makes it, for its owner alone: histories are private."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, stat.S_IRUSR | stat.S_IWUSR))
    except OSError as error:
        raise StoreError(f"{path} cannot be used: {error.strerror}") from error
