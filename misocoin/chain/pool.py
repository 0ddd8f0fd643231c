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
from misocoin.chain.mempool_rules import check_max_feerate
from misocoin.chain.package import (
    PackageResult,
    check_child_with_parents,
    check_package,
)
from misocoin.chain.package_rules import PackageError
from misocoin.chain.state import ChainState
from misocoin.consensus.tx_rules import MAX_BLOCK_WEIGHT, WITNESS_SCALE_FACTOR
from misocoin.errors import MissingInputsError, UnderpaidError, ValidationError
from misocoin.policy.feerate import FeeRate
from misocoin.primitives.block import Block
from misocoin.primitives.transaction import Transaction

log = logging.getLogger(__name__)

_FAILED = "transaction failed"
"""That some of a package did not come in."""


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
    ) -> list[MempoolEntry | ValidationError | None]:
        """Tell for each whether it could come in, after those before it; None: not tried.

        What is wrong with all of them together is a PackageError, the same for each.
        """
        mempool, now = self.mempool, self._chain.now()
        found: Sequence[MempoolEntry]
        try:
            if len(txs) > 1:
                check_package(txs)
            with self._chain.lock:
                found = (
                    [mempool.check(txs[0], now)]
                    if len(txs) == 1
                    else mempool.check_together(txs, now)
                )
        except PackageError as error:
            if not error.culprits:
                return [error for _ in txs]
            return [error.culprits.get(tx.wtxid) for tx in txs]
        except ValidationError as error:
            whole = error if len(txs) == 1 else PackageError(error.reason, error.detail)
            return [whole for _ in txs]
        results: list[MempoolEntry | ValidationError | None] = []
        for entry in found:
            try:
                check_max_feerate(entry, max_feerate)
            except ValidationError as error:
                results.append(error)
                return results + [None] * (len(txs) - len(results))
            results.append(entry)
        return results

    def submit_package(
        self, txs: Sequence[Transaction], max_feerate: FeeRate | None = None
    ) -> PackageResult:
        """Take a child and its parents in, each alone or else by their common fee rate.

        Raises ValidationError where they are no child and its parents; what became of each tells
        the result. When this returns, what came in is on disk.
        """
        check_child_with_parents(txs)
        try:
            check_package(txs)
        except ValidationError as error:
            return PackageResult(str(error))
        with self._chain.lock:
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
        outcomes: dict[bytes, MempoolEntry | ValidationError] = {}
        waiting: list[Transaction] = []
        message = "success"
        for tx in txs:
            known = self.mempool.get(tx.txid)
            if known is not None:
                outcomes[tx.wtxid] = known
                continue
            try:
                change = self.mempool.accept_of_package(tx, self._chain.now(), max_feerate)
            except ValidationError as error:
                outcomes[tx.wtxid] = error
                waiting.append(tx)
                if not isinstance(error, UnderpaidError | MissingInputsError):
                    message = _FAILED  # and no other can make good for it
            else:
                changes.append(change)
                outcomes[tx.wtxid] = change.added[-1]
        together: tuple[MempoolEntry, ...] = ()
        if len(waiting) == 1:
            message = _FAILED
        elif waiting and message != _FAILED:
            try:
                change = self.mempool.accept_together(waiting, self._chain.now(), max_feerate)
            except PackageError as error:
                message = str(error)
                outcomes.update(error.culprits)
            except ValidationError as error:  # there is no room for them
                message = _FAILED
                outcomes.update({tx.wtxid: error for tx in waiting})
            else:
                changes.append(change)
                together = change.added
                outcomes.update({entry.tx.wtxid: entry for entry in together})
        removed = [each for change in changes for each in change.removed]
        return PackageResult(
            message,
            outcomes,
            frozenset([entry.tx.wtxid for change in changes for entry in change.added]),
            together,
            tuple([each.tx.txid for each in removed if each.reason is RemovalReason.REPLACED]),
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
