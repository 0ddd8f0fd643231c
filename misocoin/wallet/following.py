"""Following the chain: what happens there becomes the wallet's history.

Blocks and transactions come as events, under the chain's lock, which is the wallet's lock as well.
What is known of the chain is committed before the event returns; after a crash `load` reads the
blocks that were missed. All of it follows from the keys and the chain: a lost history is read
again.
"""

import json
import logging
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Protocol

from misocoin.chain.events import (
    BlockConnected,
    BlockDisconnected,
    Event,
    TipChanged,
    TransactionAdded,
    TransactionRemoved,
)
from misocoin.consensus.tree import HeaderNode, HeaderTree, fork_point
from misocoin.errors import ParseError, StoreError
from misocoin.params import Params
from misocoin.primitives.block import Block
from misocoin.primitives.transaction import OutPoint, Transaction, transaction_from_bytes
from misocoin.wallet.keychain import Keychain
from misocoin.wallet.ledger import (
    ABANDONED,
    UNCONFIRMED,
    Effects,
    Ledger,
    OwnOutput,
    TxState,
    WalletTx,
)
from misocoin.wallet.store import StoredSpend, StoredWalletTx, WalletRows, WalletStore

log = logging.getLogger(__name__)

SAVE_INTERVAL = 100
"""Blocks without a transaction of ours after which the place in the chain is noted."""

CATCH_UP_INTERVAL = 1_000
"""Blocks after which it is noted while the chain is searched; a search cut short goes on there."""

RESCAN_BATCH = 50
"""Blocks that a search of a running node reads before it lets others have the chain."""

Progress = Callable[[int, int], None]
"""Told how far a search is: the height that is done, and the last one."""


class ChainPort(Protocol):
    """What the wallet needs of the chain."""

    params: Params
    tree: HeaderTree

    @property
    def lock(self) -> AbstractContextManager[object]:
        """Covers chain and wallet."""

    @property
    def tip(self) -> HeaderNode:
        """The end of the active chain."""

    def get_block(self, node: HeaderNode) -> Block:
        """A block of the active chain."""

    def now(self) -> int:
        """Unix time."""


class Follower:
    """The history of the keys in `keychain`, kept in `store`."""

    def __init__(self, chain: ChainPort, store: WalletStore, keychain: Keychain) -> None:
        self._chain = chain
        self._store = store
        self._keychain = keychain
        self.ledger = Ledger(keychain.scripts.__contains__)
        self._followed = chain.tree.genesis  # the last block that the ledger has heard of
        # The mempool lets go of mined transactions when the tip has moved, and of those of a branch
        # that failed half-way never: what it has decides what becomes of them.
        self._pooled: set[bytes] = set()
        self._unsaved: dict[bytes, None] = {}  # ids of transactions, in order of arrival
        self._unsaved_blocks = 0
        self._complete_for = keychain.digest  # the keys of which nothing in the chain was missed
        self.locks: dict[OutPoint, bool] = {}
        """Coins that the owner holds back; whether that outlasts a restart."""

    # -- at the start -------------------------------------------------------------------------

    def load(self, progress: Progress) -> None:
        """Read the history, then catch up with the chain; under the chain's lock.

        Where the keys are not those whose history was kept, the chain is searched from genesis on.
        Raises StoreError.
        """
        rows = self._store.load()
        genesis = self._chain.tree.genesis
        if rows.meta.get("genesis", genesis.hash) != genesis.hash:
            raise StoreError("the wallet's history belongs to another chain")
        self.locks = dict.fromkeys(_points_from_bytes(rows.meta.get("locks", b"")), True)
        same_keys = rows.meta.get("keys") == self._keychain.digest
        if same_keys:
            self._restore_indexes(rows.meta.get("indexes", b"[]"))
        last = self._chain.tree.get(rows.meta.get("tip", b"")) if same_keys else None
        self._followed = genesis if last is None else fork_point(last, self._chain.tip)
        effects = self._stored_effects(rows) if same_keys else self._parsed_effects(rows)
        self._restore(rows, effects)
        self._catch_up(progress)

    def _restore_indexes(self, data: bytes) -> None:
        """Know all addresses again that were seen used."""
        try:
            indexes = json.loads(data)
            self._keychain.raise_indexes([(int(each[0]), int(each[1])) for each in indexes])
        except (ValueError, TypeError, IndexError, KeyError):
            log.warning("the wallet's place in its addresses is damaged; the chain tells it again")

    def _stored_effects(self, rows: WalletRows) -> dict[bytes, Effects]:
        outputs: dict[bytes, list[OwnOutput]] = {}
        spends: dict[bytes, list[OutPoint]] = {}
        scripts = self._keychain.scripts
        for output in rows.outputs:
            if output.script_pubkey in scripts:  # others are of keys that were here before
                outputs.setdefault(output.point[:32], []).append(output)
        for txid, point in rows.spends:
            spends.setdefault(txid, []).append(point)
        return {
            row.txid: Effects(tuple(outputs.get(row.txid, ())), tuple(spends.get(row.txid, ())))
            for row in rows.transactions
        }

    def _parsed_effects(self, rows: WalletRows) -> dict[bytes, Effects]:
        effects = {}
        for row in rows.transactions:
            try:
                tx = transaction_from_bytes(row.data)
            except ParseError as error:
                raise StoreError(
                    "the wallet's history is damaged; without its file the chain is read again"
                ) from error
            effects[row.txid] = self.ledger.effects_of(tx)
        return effects

    def _restore(self, rows: WalletRows, effects: dict[bytes, Effects]) -> None:
        """Fill the ledger; what stands above the block that is gone on from is in no block."""
        own = {output.point for each in effects.values() for output in each.outputs}
        for row in rows.transactions:
            what = effects[row.txid]
            if not what.outputs and own.isdisjoint(what.spends):
                continue  # of a key that is no longer here
            confirmed = UNCONFIRMED < row.height <= self._followed.height
            state = TxState.CONFIRMED if confirmed else TxState.DROPPED
            loose = ABANDONED if row.height == ABANDONED else UNCONFIRMED
            place = (row.height, row.block_hash) if confirmed else (loose, None)
            self.ledger.put(WalletTx(row.txid, row.data, state, *place, row.time), what)
            if row.height != place[0]:
                self._unsaved[row.txid] = None
        self._settle()

    def _catch_up(self, progress: Progress) -> None:
        tip = self._chain.tip
        for height in range(self._followed.height + 1, tip.height + 1):
            node = tip.ancestor(height)
            self._connect(self._chain.get_block(node), node)
            if self._unsaved_blocks >= CATCH_UP_INTERVAL:
                self.save()
            progress(height, tip.height)
        self._settle()
        self.save()

    # -- events -------------------------------------------------------------------------------

    def handle(self, event: Event) -> None:
        """Take notice of what happened on the chain; called under the chain's lock."""
        match event:
            case BlockConnected(node, block):
                self._connect(block, node)
                if self._unsaved or self._unsaved_blocks >= SAVE_INTERVAL:
                    self.try_to_save()
            case BlockDisconnected(node, block):
                self._disconnect(block, node)
                self.try_to_save()
            case TransactionAdded(tx):
                if self.ledger.is_relevant(tx):
                    self.note_pooled([tx])
            case TransactionRemoved(tx):
                self._pooled.discard(tx.txid)
                if self._is_pooled(tx.txid):
                    self.ledger.set_state(tx.txid, TxState.DROPPED)
                    self._settle()
            case TipChanged():
                self._pooled = set(filter(self._is_pooled, self._pooled))
                self._settle()

    def note_pooled(self, transactions: Iterable[Transaction]) -> None:
        """Take notice of what is in the mempool already, parents first; under the chain's lock."""
        for tx in transactions:
            if self.ledger.is_relevant(tx):
                self._note(tx, TxState.POOLED, self._chain.now())
                self._pooled.add(tx.txid)
        self._settle()
        self.try_to_save()

    def _note(
        self,
        tx: Transaction,
        state: TxState,
        time: int,
        height: int = UNCONFIRMED,
        block_hash: bytes | None = None,
    ) -> None:
        entry = self.ledger.note(tx, state, time, height, block_hash)
        for output in self.ledger.effects(entry.txid).outputs:
            self._keychain.note_seen(output.script_pubkey)
        self._unsaved[tx.txid] = None

    def _connect(self, block: Block, node: HeaderNode) -> None:
        self._read(block, node)
        self._followed = node
        self._unsaved_blocks += 1

    def _read(self, block: Block, node: HeaderNode) -> None:
        # A block's time may lie ahead, but nobody has seen it before now.
        time = min(block.header.time, self._chain.now())
        for tx in block.transactions:
            if self.ledger.is_relevant(tx):
                self._note(tx, TxState.CONFIRMED, time, node.height, node.hash)

    def _disconnect(self, block: Block, node: HeaderNode) -> None:
        for tx in block.transactions:
            state = TxState.POOLED if tx.txid in self._pooled else TxState.DROPPED
            if self.ledger.set_state(tx.txid, state):
                self._unsaved[tx.txid] = None
        if node.parent is not None:
            self._followed = node.parent

    def _is_pooled(self, txid: bytes) -> bool:
        entry = self.ledger.get(txid)
        return entry is not None and entry.state is TxState.POOLED

    def _settle(self) -> None:
        """Decide what becomes of payments that are in no block and no mempool; say what is lost."""
        for txid in self.ledger.settle():
            entry = self.ledger.get(txid)
            if entry is not None and entry.state is TxState.DROPPED:
                rivals = self.ledger.rivals(txid)
                if rivals:
                    log.warning(
                        "payment %s will not be mined: %s spends the same coins",
                        txid[::-1].hex(),
                        rivals[0][::-1].hex(),
                    )

    # -- searching again ----------------------------------------------------------------------

    def rescan(
        self,
        start: int,
        progress: Progress,
        should_stop: Callable[[], bool],
        stop: int | None = None,
    ) -> int:
        """Read the chain again from height `start` to `stop` or its end; the last height read.

        Takes the chain's lock for a batch of blocks at a time. Raises StoreError.
        """
        height = start
        while not should_stop():
            with self._chain.lock:
                tip = self._chain.tip
                last = tip.height if stop is None else min(stop, tip.height)
                end = min(height + RESCAN_BATCH, last + 1)
                for each in range(height, end):
                    node = tip.ancestor(each)
                    self._read(self._chain.get_block(node), node)
                height = end
                if height > last:
                    if start <= 1 and stop is None:
                        self._complete_for = self._keychain.digest
                    self._settle()
                    self.save()
                    break
            progress(height - 1, tip.height)
        progress(height - 1, height - 1)
        return height - 1

    @property
    def is_complete(self) -> bool:
        """Whether nothing in the chain was missed for any of the keys."""
        return self._complete_for == self._keychain.digest

    def trust_keys(self) -> None:
        """Take the keys of now as searched for: a new one has no past."""
        self._complete_for = self._keychain.digest

    # -- payments -----------------------------------------------------------------------------

    def waiting(self) -> list[Transaction]:
        """The payments to send again, in the order in which they were made."""
        return [entry.tx for entry in self.ledger.loose() if entry.state is TxState.WAITING]

    def abandon(self, txid: bytes) -> bool:
        """Give a waiting payment up, so that its coins are free; tells whether it waited."""
        entry = self.ledger.get(txid)
        if entry is None or entry.state is not TxState.WAITING:
            return False
        self.ledger.set_state(txid, TxState.DROPPED, ABANDONED)
        self._unsaved[txid] = None
        self._settle()
        self.try_to_save()
        return True

    # -- on disk ------------------------------------------------------------------------------

    def try_to_save(self) -> None:
        """Save; what cannot be written now is kept to be written with the next change."""
        try:
            self.save()
        except StoreError as error:
            log.warning("%s; it will be written with the next change", error)

    def save(self) -> None:
        """Write what has changed, together with the block and the keys that it stands for."""
        ledger = self.ledger
        entries = [entry for entry in map(ledger.get, self._unsaved) if entry is not None]
        effects = [(entry.txid, ledger.effects(entry.txid)) for entry in entries]
        indexes = [account.next_indexes for account in self._keychain.file.accounts]
        self._store.save(
            WalletRows(
                [StoredWalletTx(e.txid, e.data, e.height, e.block_hash, e.time) for e in entries],
                [output for _, each in effects for output in each.outputs],
                [StoredSpend(txid, point) for txid, each in effects for point in each.spends],
                {
                    "genesis": self._chain.tree.genesis.hash,
                    "tip": self._followed.hash,
                    "keys": self._complete_for,
                    "indexes": json.dumps(indexes).encode(),
                    "locks": b"".join([point for point, lasts in self.locks.items() if lasts]),
                },
            )
        )
        self._unsaved.clear()
        self._unsaved_blocks = 0

    def close(self) -> None:
        """Note the place in the chain and close the history; under the chain's lock."""
        try:
            self.save()
        finally:
            self._store.close()


def _points_from_bytes(data: bytes) -> list[OutPoint]:
    return [OutPoint(data[at : at + 36]) for at in range(0, len(data) - 35, 36)]
