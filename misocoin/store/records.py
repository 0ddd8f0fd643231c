"""What the store keeps, as values: rows, and changes that belong together.

Hashes are in wire order.
"""

from dataclasses import dataclass, field
from enum import IntFlag
from typing import NamedTuple


class BlockStatus(IntFlag):
    """What is known about a block beyond its header."""

    NONE = 0
    DATA = 1
    """The body is stored."""
    CONNECTED = 2
    """It was connected once: scripts and amounts hold, undo data is stored."""
    FAILED = 4
    """It breaks a rule, or somebody said to treat it so."""
    REFUSED = 8
    """Beside FAILED: somebody said so, of it or of a block under it; others may rightly follow it.
    """


class StoredHeader(NamedTuple):
    """A row of the header tree."""

    hash: bytes
    """As it was when the header was stored."""
    header: bytes
    """80 bytes."""
    status: BlockStatus
    tx_count: int
    """0 while the body is unknown."""


class StoredTransaction(NamedTuple):
    """A transaction of the mempool as it is kept on disk."""

    txid: bytes
    data: bytes
    """As on the wire."""
    time: int
    """Unix time of arrival."""
    fee_delta: int
    """Base units."""


class StoredFilter(NamedTuple):
    """A block's filter."""

    block_hash: bytes
    data: bytes
    """As BIP158 encodes it."""
    header: bytes
    """32 bytes, wire order."""


class HistoryKey(NamedTuple):
    """Where a row of the index of addresses stands."""

    script_id: bytes
    """The beginning of the output script's SHA-256."""
    height: int
    place: int
    """Of the transaction in its block; the coinbase is 0."""


class HistoryRow(NamedTuple):
    """What a transaction did to an output script."""

    script_id: bytes
    height: int
    place: int
    txid: bytes
    received: int
    """Base units that its outputs paid to the script."""
    spent: int
    """Base units that its inputs took from there."""

    @property
    def key(self) -> HistoryKey:
        """Where it stands."""
        return HistoryKey(self.script_id, self.height, self.place)


class HistoryTotals(NamedTuple):
    """All that happened to an output script, added up."""

    transactions: int
    received: int
    """Base units."""
    spent: int
    """Base units."""


@dataclass(slots=True)
class Changes:
    """Writes to be made together, so that they are all there after a crash, or none is."""

    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    """(hash, 80 bytes), parents before children."""
    bodies: list[tuple[bytes, bytes]] = field(default_factory=list)
    """(hash, the block as on the wire)."""
    undo: list[tuple[bytes, bytes]] = field(default_factory=list)
    """(hash, undo data)."""
    statuses: dict[bytes, tuple[BlockStatus, int]] = field(default_factory=dict)
    """Block hash -> (what is known, number of transactions)."""
    transactions: list[tuple[bytes, bytes]] = field(default_factory=list)
    """(txid, hash of its block), for the index of transactions."""
    spends: list[tuple[bytes, bytes, bytes]] = field(default_factory=list)
    """(outpoint, txid that spends it, hash of its block), for the index of spends."""
    filters: list[StoredFilter] = field(default_factory=list)
    history_removed: list[HistoryKey] = field(default_factory=list)
    """Rows that leave the index of addresses, before those of `history` come."""
    history: list[HistoryRow] = field(default_factory=list)
    pool_removed: list[bytes] = field(default_factory=list)
    """Ids of transactions that left the mempool."""
    pool_added: list[StoredTransaction] = field(default_factory=list)
    meta: dict[str, bytes] = field(default_factory=dict)

    def statements(self) -> tuple[tuple[str, list[tuple[object, ...]]], ...]:
        """The SQL and its rows, in the order in which they must run."""
        return (
            (
                "INSERT OR IGNORE INTO headers (hash, header, status, tx_count) "
                "VALUES (?, ?, 0, 0)",
                list(self.headers),
            ),
            ("INSERT OR REPLACE INTO blocks (hash, data) VALUES (?, ?)", list(self.bodies)),
            ("INSERT OR REPLACE INTO undo (hash, data) VALUES (?, ?)", list(self.undo)),
            (
                "UPDATE headers SET status = ?, tx_count = ? WHERE hash = ?",
                [(int(s), count, key) for key, (s, count) in self.statuses.items()],
            ),
            (
                "INSERT OR REPLACE INTO transactions (txid, block_hash) VALUES (?, ?)",
                list(self.transactions),
            ),
            (
                "INSERT OR REPLACE INTO filters (hash, data, header) VALUES (?, ?, ?)",
                [tuple(row) for row in self.filters],
            ),
            (
                "INSERT OR REPLACE INTO spends (outpoint, txid, block_hash) VALUES (?, ?, ?)",
                list(self.spends),
            ),
            (
                "DELETE FROM history WHERE script = ? AND height = ? AND place = ?",
                list(self.history_removed),
            ),
            (
                "INSERT OR REPLACE INTO history (script, height, place, txid, received, spent) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                list(self.history),
            ),
            ("DELETE FROM mempool WHERE txid = ?", [(txid,) for txid in self.pool_removed]),
            (
                "INSERT OR REPLACE INTO mempool (txid, data, time, fee_delta) VALUES (?, ?, ?, ?)",
                [tuple(entry) for entry in self.pool_added],
            ),
            (
                "INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)",
                list(self.meta.items()),
            ),
        )
