"""Two indexes one may ask for: which block holds a transaction, and what spends an output.

Both are written with the block that is connected, and made from the chain at the start where they
were not kept until then. What a block wrote stays when it is disconnected: whoever looks something
up has to see whether the block is active, and a new spend of an output overwrites the old one.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

from misocoin.primitives.block import Block
from misocoin.primitives.transaction import OutPoint
from misocoin.store.records import Changes
from misocoin.store.store import Store

BATCH = 50_000
"""Rows that are written together while an index is made."""

TXINDEX = "txindex"
TXOSPENDERINDEX = "txospenderindex"
"""Core's names of the indexes."""


class Spend(NamedTuple):
    """Who spends an output."""

    txid: bytes
    block_hash: bytes
    """Wire order, as all hashes here."""


class LookupIndexes:
    """The indexes that are kept in `store`."""

    def __init__(self, store: Store, *, transactions: bool, spends: bool) -> None:
        self._store = store
        self.transactions = transactions
        """Whether transactions are indexed."""
        self.spends = spends
        """Whether spends are."""

    @property
    def names(self) -> tuple[str, ...]:
        """Those that are kept."""
        kept = ((TXINDEX, self.transactions), (TXOSPENDERINDEX, self.spends))
        return tuple(name for name, is_kept in kept if is_kept)

    def note(self, block: Block, changes: Changes) -> None:
        """Put what a block tells among the changes that connect it."""
        self._note(block, changes, self.names)

    def _note(self, block: Block, changes: Changes, names: tuple[str, ...]) -> None:
        block_hash = block.hash
        if TXINDEX in names:
            changes.transactions += [(tx.txid, block_hash) for tx in block.transactions]
        if TXOSPENDERINDEX in names:
            changes.spends += [
                (txin.prevout, tx.txid, block_hash)
                for tx in block.transactions[1:]
                for txin in tx.vin
            ]

    def find_block(self, txid: bytes) -> bytes | None:
        """Hash of the block that held `txid` last, as far as is known."""
        return self._store.find_transaction(txid)

    def find_spend(self, point: OutPoint) -> Spend | None:
        """What spent an output last, as far as is known."""
        row = self._store.find_spend(point)
        return None if row is None else Spend(*row)

    def load(self, blocks: Callable[[], Iterator[Block]]) -> None:
        """Make those of the indexes that are not complete; `blocks` are the active chain's."""
        for name in (TXINDEX, TXOSPENDERINDEX):
            if name not in self.names:
                self._store.delete_meta(name)  # blocks will come that it does not hear of
        missing = tuple(name for name in self.names if self._store.get_meta(name) is None)
        if not missing:
            return
        self._store.apply(
            replace(self._written(blocks(), missing), meta=dict.fromkeys(missing, b"\x01"))
        )

    def renew(self, blocks: Iterable[Block]) -> None:
        """Note blocks again that were disconnected, and others connected in their place."""
        self._store.apply(self._written(blocks, self.names))

    def _written(self, blocks: Iterable[Block], names: tuple[str, ...]) -> Changes:
        """Write what blocks tell, but for the last changes, which are returned."""
        changes = Changes()
        for block in blocks:
            self._note(block, changes, names)
            if len(changes.transactions) + len(changes.spends) > BATCH:
                self._store.apply(changes)
                changes = Changes()
        return changes
