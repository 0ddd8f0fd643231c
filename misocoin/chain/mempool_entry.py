"""The values of the mempool: an entry as readers see it, and what a call has changed."""

from enum import Enum
from typing import NamedTuple

from misocoin.policy.feerate import FeeRate, feerate_from_fee
from misocoin.primitives.transaction import Transaction


class RemovalReason(Enum):
    """Why a transaction left the mempool; the values are Core's words."""

    BLOCK = "block"
    """A block holds it."""
    CONFLICT = "conflict"
    """A block holds another that spends the same coin."""
    REPLACED = "replaced"
    """One that pays more took its place (BIP125)."""
    SIZELIMIT = "sizelimit"
    """The mempool was full and this paid least."""
    EXPIRY = "expiry"
    """It waited too long."""
    REORG = "reorg"
    """The chain changed under it: a coin is gone or immature, or a lock time is not met."""


class MempoolEntry(NamedTuple):
    """A transaction of the mempool and where it stands among the others.

    Ancestors are the transactions of the mempool that it builds on, directly or not; descendants
    those that build on it. All counts and sums include the transaction itself. Fees are in base
    units, `modified` where the deltas of `prioritise` are in them.
    """

    tx: Transaction
    fee: int
    """What it pays."""
    fee_delta: int
    """What its priority was raised by."""
    vsize: int
    """Virtual bytes, or 20 for each unit of sigop cost / 4 where that is more."""
    sigop_cost: int
    """Signature operations as BIP141 counts them."""
    time: int
    """Unix time of arrival."""
    height: int
    """Of the chain's tip at arrival."""
    sequence: int
    """Rises with every arrival; orders parents before children."""
    parents: tuple[bytes, ...]
    """Ids of those whose outputs it spends."""
    children: tuple[bytes, ...]
    """Ids of those that spend its outputs."""
    ancestor_count: int
    ancestor_vsize: int
    ancestor_fee: int
    """Modified."""
    ancestor_sigop_cost: int
    descendant_count: int
    descendant_vsize: int
    descendant_fee: int
    """Modified."""

    @property
    def txid(self) -> bytes:
        """The transaction's id, wire order."""
        return self.tx.txid

    @property
    def modified_fee(self) -> int:
        """What it counts as paying when fees are compared."""
        return self.fee + self.fee_delta

    @property
    def feerate(self) -> FeeRate:
        """The transaction's own rate, modified."""
        return feerate_from_fee(self.modified_fee, self.vsize)

    @property
    def ancestor_feerate(self) -> FeeRate:
        """The rate of the transaction together with its ancestors, modified."""
        return feerate_from_fee(self.ancestor_fee, self.ancestor_vsize)


class Removed(NamedTuple):
    """A transaction that left the mempool."""

    tx: Transaction
    reason: RemovalReason


class MempoolChange(NamedTuple):
    """What a call has changed, in the order in which it happened."""

    added: tuple[MempoolEntry, ...] = ()
    """Parents before children."""
    removed: tuple[Removed, ...] = ()
    """They went before any of `added` came."""
    first_sequence: int = 0
    """Number of the first one removed or added; the others count on from it."""


class MempoolInfo(NamedTuple):
    """The mempool at a glance."""

    transactions: int
    """How many."""
    vsize: int
    """Virtual bytes of all transactions."""
    usage: int
    """Bytes of memory, estimated."""
    max_usage: int
    total_fee: int
    """Base units, without deltas."""
    min_feerate: FeeRate
    """What a newcomer must pay now: the relay minimum or the rolling one, whichever is more."""
    min_relay_feerate: FeeRate
    incremental_feerate: FeeRate
    sequence: int
    """Rises with every change of the mempool."""
