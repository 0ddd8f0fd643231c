"""When a transaction may replace those that spend the same coins (BIP125, for all of them).

Numbers are those of BIP125's rules. Rule 1, that the replaced must have asked for it, is left
out, as in Core since version 28: a miner takes what pays more, whatever it signals.
"""

from collections.abc import Collection

from misocoin.chain.mempool_graph import MempoolGraph, Node, ancestors_of, descendants_of
from misocoin.errors import RejectCode, ValidationError
from misocoin.policy.feerate import FeeRate, calculate_fee, feerate_from_fee, text_from_feerate
from misocoin.primitives.transaction import Transaction

MAX_REPLACED = 100
"""Transactions that one may push out, descendants included (rule 5)."""


class Eviction:
    """What would leave the mempool with the direct conflicts of a newcomer."""

    def __init__(self, conflicts: Collection[Node]) -> None:
        self.conflicts = conflicts
        """Those that spend a coin of the newcomer."""
        self.count = sum([node.descendant_count for node in conflicts])
        """All that would go, at most (shared descendants count again, as in Core)."""
        self.nodes: set[Node] = set()
        """All that would go; empty where they are too many."""
        self._relief: dict[Node, tuple[int, int]] = {}
        if self.count <= MAX_REPLACED:
            self.nodes = descendants_of(conflicts)
            for node in self.nodes:
                for ancestor in ancestors_of(node.parents):
                    count, vsize = self._relief.get(ancestor, (0, 0))
                    self._relief[ancestor] = (count + 1, vsize + node.vsize)

    def relief(self, ancestor: Node) -> tuple[int, int]:
        """How many descendants `ancestor` would lose, and how many virtual bytes of them."""
        return self._relief.get(ancestor, (0, 0))


def check_replacement(
    tx: Transaction,
    fee: int,
    vsize: int,
    eviction: Eviction,
    graph: MempoolGraph,
    incremental: FeeRate,
) -> None:
    """Check that `tx` may take the place of its conflicts; raises ValidationError.

    `fee` is modified, in base units.
    """
    rate = feerate_from_fee(fee, vsize)
    for node in sorted(eviction.conflicts, key=lambda node: node.sequence):
        if rate <= node.feerate:  # rule 6
            raise _too_cheap(
                tx,
                f"new feerate {text_from_feerate(rate)} <= old feerate "
                f"{text_from_feerate(node.feerate)}",
            )
    if eviction.count > MAX_REPLACED:  # rule 5
        raise ValidationError(
            "too many potential replacements",
            f"rejecting replacement {tx.txid_hex}; too many potential replacements "
            f"({eviction.count} > {MAX_REPLACED})",
            RejectCode.NONSTANDARD,
        )
    known = {txin.prevout[:32] for node in eviction.conflicts for txin in node.tx.vin}
    for index, txin in enumerate(tx.vin):  # rule 2
        if txin.prevout[:32] in graph.nodes and txin.prevout[:32] not in known:
            raise ValidationError(
                "replacement-adds-unconfirmed",
                f"replacement {tx.txid_hex} adds unconfirmed input, idx {index}",
                RejectCode.NONSTANDARD,
            )
    replaced = sum([node.modified_fee for node in eviction.nodes])
    if fee < replaced:  # rule 3
        raise _too_cheap(tx, f"less fees than conflicting txs; {fee} < {replaced} base units")
    due = calculate_fee(incremental, vsize)
    if fee - replaced < due:  # rule 4
        raise _too_cheap(tx, f"not enough additional fees to relay; {fee - replaced} < {due}")


def _too_cheap(tx: Transaction, why: str) -> ValidationError:
    return ValidationError(
        "insufficient fee",
        f"rejecting replacement {tx.txid_hex}; {why}",
        RejectCode.INSUFFICIENT_FEE,
    )
