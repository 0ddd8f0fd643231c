"""Packages: transactions that are handed in, or tried, together.

A package is a child with its parents (Core's `submitpackage`): the child may pay for parents that
the mempool's rolling minimum would keep out alone. The relay minimum each must pay by itself,
but for those of version 3 (BIP431).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from misocoin.chain.mempool_entry import MempoolEntry
from misocoin.errors import ValidationError
from misocoin.primitives.transaction import OutPoint, Transaction

MAX_PACKAGE_COUNT = 25
"""Transactions in a package."""

MAX_PACKAGE_WEIGHT = 404_000
"""Weight units of a package of several transactions."""


@dataclass(frozen=True, slots=True)
class PackageResult:
    """What became of a package."""

    message: str
    """`success`, or what failed."""
    outcomes: dict[bytes, MempoolEntry | ValidationError] = field(default_factory=dict)
    """By witness id; of one that was there already, its entry. Empty where none was looked at."""
    added: frozenset[bytes] = frozenset()
    """Witness ids of those that came in."""
    together: tuple[MempoolEntry, ...] = ()
    """Those that were judged by their common fee rate."""
    replaced: tuple[bytes, ...] = ()
    """Ids of those that went out for them."""


def check_package(txs: Sequence[Transaction]) -> None:
    """Check what can be seen in a package alone; raises ValidationError with Core's words.

    Parents come before children, nothing comes twice, no two spend one coin.
    """
    if len(txs) > MAX_PACKAGE_COUNT:
        raise ValidationError("package-too-many-transactions")
    if len(txs) > 1 and sum([tx.weight for tx in txs]) > MAX_PACKAGE_WEIGHT:
        raise ValidationError("package-too-large")
    later = {tx.txid for tx in txs}
    if len(later) != len(txs):
        raise ValidationError("package-contains-duplicates")
    for tx in txs:
        if any(txin.prevout[:32] in later for txin in tx.vin):
            raise ValidationError("package-not-sorted")
        later.discard(tx.txid)
    spent: set[OutPoint] = set()
    for tx in txs:
        points = {txin.prevout for txin in tx.vin}
        if not tx.vin or points & spent:
            raise ValidationError("conflict-in-package")
        spent |= points


def check_child_with_parents(txs: Sequence[Transaction]) -> None:
    """Check that the last one spends each of the others, and they not each other.

    Raises ValidationError.
    """
    if len(txs) == 1:
        return
    *parents, child = txs
    spent = {txin.prevout[:32] for txin in child.vin}
    ids = {tx.txid for tx in parents}
    depend = any(txin.prevout[:32] in ids for tx in parents for txin in tx.vin)
    if not ids <= spent or depend:
        raise ValidationError("package-not-child-with-parents")
