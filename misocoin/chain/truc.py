"""Transactions of version 3: topologically restricted until confirmation (BIP431).

Whoever makes one gives up long chains of unconfirmed transactions: one parent or one child, and a
small child. In return nobody can pin it by what builds on it, and a better child takes the place
of another.
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from misocoin.chain.mempool_graph import MempoolGraph, Node
from misocoin.primitives.transaction import Transaction

TRUC_VERSION = 3

TRUC_MAX_VSIZE = 10_000
"""Virtual bytes of one."""

TRUC_CHILD_MAX_VSIZE = 1_000
"""Virtual bytes of one that spends an unconfirmed output."""

TRUC_VIOLATION = "TRUC-violation"
"""What one that keeps not to this is refused for."""


class Violation(NamedTuple):
    """What is broken, in Core's words."""

    detail: str
    sibling: Node | None = None
    """The only other child of the same parent, whose place the newcomer may take."""


def find_violation(
    tx: Transaction, vsize: int, ancestors: Collection[Node], conflicts: Collection[Node]
) -> Violation | None:
    """What of BIP431 a newcomer would break, whose ancestors in the mempool are these."""
    name = _name(tx)
    is_truc = tx.version == TRUC_VERSION
    for other in sorted(ancestors, key=lambda node: node.txid):
        if (other.tx.version == TRUC_VERSION) is not is_truc:
            return Violation(_mixture(tx, other.tx))
    if not is_truc:
        return None
    if vsize > TRUC_MAX_VSIZE:
        return Violation(
            f"version=3 tx {name} is too big: {vsize} > {TRUC_MAX_VSIZE} virtual bytes"
        )
    if len(ancestors) > 1:
        return Violation(f"tx {name} would have too many ancestors")
    for parent in ancestors:
        if vsize > TRUC_CHILD_MAX_VSIZE:
            return Violation(_too_big_child(tx, vsize))
        if parent.children and not parent.children & set(conflicts):
            (sibling, *others) = parent.children
            may_go = not others and parent.descendant_count == 2 and sibling.ancestor_count == 2
            return Violation(
                f"tx {_name(parent.tx)} would exceed descendant count limit",
                sibling if may_go else None,
            )
    return None


def find_package_violation(
    txs: Sequence[Transaction],
    place: int,
    vsize: int,
    ancestors: Collection[Node],
    graph: MempoolGraph,
) -> str:
    """What of BIP431 the transaction at `place` of a package would break; empty for nothing.

    `ancestors` are those it has in the mempool.
    """
    tx = txs[place]
    name = _name(tx)
    by_id = {other.txid: other for other in txs}
    spent = {txin.prevout[:32] for txin in tx.vin}
    parents = [other for other in txs if other.txid in spent]
    if tx.version != TRUC_VERSION:
        mixed = next((other for other in parents if other.version == TRUC_VERSION), None)
        return "" if mixed is None else _mixture(tx, mixed)
    if vsize > TRUC_MAX_VSIZE:
        return f"version=3 tx {name} is too big: {vsize} > {TRUC_MAX_VSIZE} virtual bytes"
    if len(ancestors) + len(parents) > 1:
        return f"tx {name} would have too many ancestors"
    above = parents[0] if parents else next((node.tx for node in ancestors), None)
    if above is None:
        return ""
    if vsize > TRUC_CHILD_MAX_VSIZE:
        return _too_big_child(tx, vsize)
    if above.version != TRUC_VERSION:
        return _mixture(tx, above)
    for other in txs:
        if other is tx:
            continue
        for txin in other.vin:
            if txin.prevout[:32] == above.txid:
                return f"tx {_name(above)} would exceed descendant count limit"
            if txin.prevout[:32] == tx.txid:
                return f"tx {_name(other)} would have too many ancestors"
    if above.txid not in by_id and graph.nodes[above.txid].children:
        return f"tx {_name(above)} would exceed descendant count limit"
    return ""


def _name(tx: Transaction) -> str:
    return f"{tx.txid_hex} (wtxid={tx.wtxid[::-1].hex()})"


def _mixture(tx: Transaction, other: Transaction) -> str:
    if tx.version == TRUC_VERSION:
        return f"version=3 tx {_name(tx)} cannot spend from non-version=3 tx {_name(other)}"
    return f"non-version=3 tx {_name(tx)} cannot spend from version=3 tx {_name(other)}"


def _too_big_child(tx: Transaction, vsize: int) -> str:
    return (
        f"version=3 child tx {_name(tx)} is too big: {vsize} > {TRUC_CHILD_MAX_VSIZE} virtual bytes"
    )
