"""The index of addresses: which transactions of the active chain paid an output script or spent it.

It is kept by script, so that scripts without an address are in it, too. A row is what one
transaction did to one script, and is part of the commit that connects or disconnects its block;
the hash of the block that the rows stand for is written with them. So after a crash, or where the
index was off for a while, `load` walks from that block to the tip, and any chain is caught up by
the same walk from genesis.
"""

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import NamedTuple, Protocol

from misocoin.consensus.coins import Coin
from misocoin.consensus.tree import HeaderNode, HeaderTree, fork_point
from misocoin.primitives.block import Block
from misocoin.script.opcodes import OP_RETURN
from misocoin.store.records import Changes, HistoryRow, HistoryTotals
from misocoin.store.store import Store

ADDRESSINDEX = "addressindex"
"""The index's name, and the key of the block that it stands for."""

BATCH = 50_000
"""Rows that are written together while the index is made."""

SCRIPT_ID_BYTES = 16
"""Of a script's SHA-256 are kept: nobody finds another script with the same 128 bits."""


class ChainPort(Protocol):
    """What `load` asks of the chain."""

    @property
    def tree(self) -> HeaderTree:
        """All headers."""

    @property
    def tip(self) -> HeaderNode:
        """The active chain's last block."""

    def get_block(self, node: HeaderNode) -> Block:
        """A stored block."""

    def get_undo(self, node: HeaderNode) -> tuple[tuple[Coin, ...], ...]:
        """What a block that was connected spent."""


class ScriptHistory(NamedTuple):
    """What happened to a script, a page of it."""

    totals: HistoryTotals
    rows: list[HistoryRow]
    """The latest first."""


class AddressIndex:
    """The index in `store`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def read(self, script: bytes, count: int, skip: int = 0) -> ScriptHistory:
        """At most `count` of the rows of an output script, after the latest `skip` ones."""
        script_id = id_from_script(script)
        totals = self._store.get_history_totals(script_id)
        return ScriptHistory(totals, self._store.get_history(script_id, count, skip))

    def add(
        self, node: HeaderNode, block: Block, spent: Sequence[Sequence[Coin]], changes: Changes
    ) -> None:
        """Put a block's rows among the changes that connect it."""
        changes.history += rows_from_block(node.height, block, spent)
        changes.meta[ADDRESSINDEX] = node.hash

    def remove(
        self, node: HeaderNode, block: Block, spent: Sequence[Sequence[Coin]], changes: Changes
    ) -> None:
        """Put the removal of a block's rows among the changes that disconnect it."""
        if node.parent is not None:
            rows = rows_from_block(node.height, block, spent)
            changes.history_removed += [row.key for row in rows]
            changes.meta[ADDRESSINDEX] = node.parent.hash

    def load(self, chain: ChainPort, progress: Callable[[int, int], None]) -> None:
        """Bring the index to the tip, from whatever block it stands for.

        Raises StoreError or NotFoundError where blocks cannot be read.
        """
        tip = chain.tip
        stand = self._stand(chain.tree)
        fork = fork_point(stand, tip)
        changes = Changes()
        for node in stand.back_to(fork):
            self.remove(node, chain.get_block(node), chain.get_undo(node), changes)
            changes = self._write_if_full(changes)
        self._store.apply(changes)  # removals must be over before the same keys come anew
        changes = Changes()
        for height in range(fork.height + 1, tip.height + 1):
            node = tip.ancestor(height)
            self.add(node, chain.get_block(node), chain.get_undo(node), changes)
            changes = self._write_if_full(changes)
            progress(height, tip.height)
        self._store.apply(changes)

    def _stand(self, tree: HeaderTree) -> HeaderNode:
        block_hash = self._store.get_meta(ADDRESSINDEX)
        node = None if block_hash is None else tree.get(block_hash)
        if node is None:
            self.drop()
            return tree.genesis
        return node

    def _write_if_full(self, changes: Changes) -> Changes:
        if len(changes.history) + len(changes.history_removed) < BATCH:
            return changes
        self._store.apply(changes)
        return Changes()

    def drop(self) -> None:
        """Forget everything, where there is anything."""
        if self._store.get_meta(ADDRESSINDEX) is not None:
            self._store.clear_history(ADDRESSINDEX)


def id_from_script(script: bytes) -> bytes:
    """What an output script is called in the index."""
    return sha256(script).digest()[:SCRIPT_ID_BYTES]


def rows_from_block(height: int, block: Block, spent: Sequence[Sequence[Coin]]) -> list[HistoryRow]:
    """The rows of a block; `spent` are the coins of each of its transactions but the coinbase."""
    rows: list[HistoryRow] = []
    coins_of: Sequence[Sequence[Coin]] = ((), *spent)
    for place, (tx, coins) in enumerate(zip(block.transactions, coins_of, strict=True)):
        received: dict[bytes, int] = {}
        for out in tx.vout:
            script = out.script_pubkey
            if script[:1] != _DATA:
                received[script] = received.get(script, 0) + out.value
        sent: dict[bytes, int] = {}
        for coin in coins:
            sent[coin.script_pubkey] = sent.get(coin.script_pubkey, 0) + coin.value
        txid = tx.txid
        rows += [
            HistoryRow(
                id_from_script(script),
                height,
                place,
                txid,
                received.get(script, 0),
                sent.get(script, 0),
            )
            for script in received.keys() | sent.keys()
        ]
    rows.sort()  # neighbours in the table are written one after the other
    return rows


_DATA = bytes((OP_RETURN,))
