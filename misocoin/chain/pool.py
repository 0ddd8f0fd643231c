"""The mempool in its place: under the chain's lock, following its blocks, telling its changes."""

import logging
from collections.abc import Sequence
from itertools import count

from misocoin.chain.events import (
    BlockConnected,
    BlockDisconnected,
    Event,
    TipChanged,
    TransactionAdded,
    TransactionRemoved,
)
from misocoin.chain.mempool import Mempool
from misocoin.chain.mempool_entry import MempoolChange, MempoolEntry, RemovalReason
from misocoin.chain.package import (
    PackageResult,
    Refusal,
    check_child_with_parents,
    check_package,
)
from misocoin.chain.state import ChainState
from misocoin.consensus.tx_rules import MAX_BLOCK_WEIGHT, WITNESS_SCALE_FACTOR
from misocoin.errors import MissingInputsError, ValidationError
from misocoin.policy.feerate import FeeRate
from misocoin.primitives.block import Block
from misocoin.primitives.transaction import Transaction

log = logging.getLogger(__name__)

_PAYS_TOO_LITTLE = frozenset({"mempool min fee not met", "mempool full"})
"""What a transaction is refused for that its child may make good."""


class TransactionPool:
    """Drives `mempool` along `chain`; its `handle` is to be subscribed to the chain's events."""

    def __init__(self, chain: ChainState, mempool: Mempool) -> None:
        self._chain = chain
        self.mempool = mempool
        self._disconnected: list[Block] = []
        self._connected: list[Block] = []

    def load(self) -> int:
        """Take in what was kept from before; returns how many transactions are there."""
        with self._chain.lock:
            self._publish(self.mempool.load(self._chain.now()))
            return len(self.mempool)

    def submit(self, tx: Transaction, max_feerate: FeeRate | None = None) -> MempoolEntry:
        """Take a transaction in; when this returns it is on disk.

        Raises ValidationError with Core's reject string (`max-fee-exceeded` where it pays more
        than `max_feerate`), or MissingInputsError.
        """
        with self._chain.lock:
            change = self.mempool.accept(tx, self._chain.now(), max_feerate)
            self._publish(change)
            return change.added[-1]

    def try_package(
        self, txs: Sequence[Transaction], max_feerate: FeeRate | None = None
    ) -> list[MempoolEntry | Refusal | None]:
        """Tell for each whether it could come in, after those before it; None: not tried."""
        found: list[MempoolEntry | Refusal | None]
        try:
            if len(txs) > 1:
                check_package(txs)
        except ValidationError as error:
            return [Refusal(error, is_of_package=True) for _ in txs]
        with self._chain.lock:
            results = self.mempool.check_in_turn(txs, self._chain.now(), max_feerate)
        if isinstance(results[-1], ValidationError) and len(txs) > 1:
            # As in Core: the verdict on the others would be another without this one.
            refusal = Refusal(results[-1])
            found = [None] * len(txs)
            found[len(results) - 1] = refusal
            return found
        return [Refusal(each) if isinstance(each, ValidationError) else each for each in results]

    def submit_package(
        self, txs: Sequence[Transaction], max_feerate: FeeRate | None = None
    ) -> PackageResult:
        """Take a child and its parents in, each alone or else by their common fee rate.

        Raises ValidationError where they are no such package; what became of each tells the
        result. When this returns, what came in is on disk.
        """
        check_child_with_parents(txs)
        check_package(txs)
        with self._chain.lock:
            return self._submit_package(txs, max_feerate)

    def _submit_package(
        self, txs: Sequence[Transaction], max_feerate: FeeRate | None
    ) -> PackageResult:
        changes: list[MempoolChange] = []
        try:
            return self._submit_each_or_all(txs, max_feerate, changes)
        finally:
            # Also when the disk fails on the way: what came in before that has come in.
            for change in changes:
                self._publish(change)

    def _submit_each_or_all(
        self, txs: Sequence[Transaction], max_feerate: FeeRate | None, changes: list[MempoolChange]
    ) -> PackageResult:
        outcomes: dict[bytes, MempoolEntry | Refusal] = {}
        waiting: list[Transaction] = []
        for tx in txs:
            known = self.mempool.get(tx.txid)
            if known is not None:
                outcomes[tx.wtxid] = known
                continue
            try:
                change = self.mempool.accept(tx, self._chain.now(), max_feerate)
            except ValidationError as error:
                outcomes[tx.wtxid] = Refusal(error)
                needs_parents = isinstance(error, MissingInputsError) and bool(waiting)
                if error.reason in _PAYS_TOO_LITTLE or needs_parents:
                    waiting.append(tx)
            else:
                changes.append(change)
                outcomes[tx.wtxid] = change.added[-1]
        together: tuple[MempoolEntry, ...] = ()
        if len(waiting) > 1:
            try:
                change = self.mempool.accept_together(waiting, self._chain.now(), max_feerate)
            except ValidationError as error:
                outcomes.update({tx.wtxid: Refusal(error) for tx in waiting})
            else:
                changes.append(change)
                together = change.added
                outcomes.update({entry.tx.wtxid: entry for entry in together})
        return PackageResult(
            outcomes,
            frozenset([entry.tx.wtxid for change in changes for entry in change.added]),
            together,
            tuple([removed.tx.txid for change in changes for removed in change.removed]),
        )

    def fee_rate(self) -> FeeRate:
        """A rate at which a transaction should be in the next block or the one after it.

        The minimum while all that waits fits one block, else what the last to fit pays and a
        tenth more. To be called under the chain's lock.
        """
        least = self.mempool.min_feerate(self._chain.now())
        if self.mempool.info(self._chain.now()).vsize * WITNESS_SCALE_FACTOR < MAX_BLOCK_WEIGHT:
            return least
        room = MAX_BLOCK_WEIGHT
        rates = sorted(
            ((entry.ancestor_feerate, entry.tx.weight) for entry in self.mempool.entries()),
            reverse=True,
        )
        for rate, weight in rates:
            room -= weight
            if room < 0:
                return FeeRate(max(least, rate * 11 // 10))
        return least

    def handle(self, event: Event) -> None:
        """Follow the chain; called under its lock."""
        match event:
            case BlockConnected(_, block):
                self._note_connected(block)
            case BlockDisconnected(_, block):
                # A branch that fails half-way is taken back: the mempool never hears of it.
                if self._connected and self._connected[-1].hash == block.hash:
                    self._connected.pop()
                else:
                    self._disconnected.insert(0, block)
            case TipChanged():
                gone, come = self._disconnected, self._connected
                self._disconnected, self._connected = [], []
                if gone or come:
                    self._publish(self.mempool.chain_changed(gone, come, self._chain.now()))

    def _note_connected(self, block: Block) -> None:
        gone = self._disconnected
        if gone and not self._connected and gone[0].hash == block.hash:
            gone.pop(0)  # back again
        elif gone or len(self.mempool):
            # An empty mempool has nothing to follow: a first sync keeps no blocks here.
            self._connected.append(block)

    def _publish(self, change: MempoolChange) -> None:
        events = self._chain.events
        for removed, number in zip(change.removed, count(change.first_sequence), strict=False):
            if removed.reason is not RemovalReason.BLOCK:
                log.debug("%s left the mempool: %s", removed.tx.txid_hex, removed.reason.value)
                events.publish(TransactionRemoved(removed.tx, removed.reason.value, number))
        first_added = change.first_sequence + len(change.removed)
        for entry, number in zip(change.added, count(first_added), strict=False):
            shown = entry.tx.txid_hex
            log.debug("%s came into the mempool, %d vB for %d", shown, entry.vsize, entry.fee)
            events.publish(TransactionAdded(entry.tx, entry.fee, number))
