"""How long the chains of unconfirmed transactions may become, as in Core up to version 30."""

from collections.abc import Collection, Sequence
from dataclasses import replace

from misocoin.chain.mempool_graph import MempoolGraph, Node, ancestors_of
from misocoin.chain.truc import TRUC_VERSION
from misocoin.errors import RejectCode, ValidationError
from misocoin.policy.settings import MempoolLimits
from misocoin.primitives.transaction import Transaction

CARVE_OUT_VSIZE = 10_000
"""Virtual bytes up to which one more child is taken than the descendant limits permit, if its
only ancestor is the parent: so that each of two parties can bump a fee (CPFP carve-out).
"""


def check_chain_limits(
    tx: Transaction,
    vsize: int,
    graph: MempoolGraph,
    conflicts: Collection[Node],
    limits: MempoolLimits,
    *,
    has_carve_outs: bool = True,
) -> set[Node]:
    """Check a newcomer of `vsize`; returns its ancestors, raises ValidationError.

    Without carve-outs the limits are the same for all. With them, what a single conflict would
    take with it makes room.
    """
    if has_carve_outs and len(conflicts) == 1:
        (conflict,) = conflicts
        limits = replace(
            limits,
            descendant_count=limits.descendant_count + 1,
            descendant_vsize=limits.descendant_vsize + conflict.descendant_vsize,
        )
    parents = graph.parents_of(tx)
    problem = _exceeded(1, vsize, parents, limits)
    if problem and has_carve_outs and vsize <= CARVE_OUT_VSIZE and tx.version != TRUC_VERSION:
        carved = replace(
            limits,
            ancestor_count=2,
            descendant_count=limits.descendant_count + 1,
            descendant_vsize=limits.descendant_vsize + CARVE_OUT_VSIZE,
        )
        if not _exceeded(1, vsize, parents, carved):
            problem = ""
    if problem:
        raise ValidationError("too-long-mempool-chain", problem, RejectCode.NONSTANDARD)
    return ancestors_of(parents)


def check_package_limits(
    txs: Sequence[Transaction], vsize: int, graph: MempoolGraph, limits: MempoolLimits
) -> None:
    """Check newcomers of `vsize` together, as if each built on all the others' ancestors.

    Raises ValidationError.
    """
    count = len(txs)
    problem = ""
    if count > limits.ancestor_count:
        problem = f"package count {count} exceeds ancestor count limit " + _limit(
            limits.ancestor_count
        )
    elif count > limits.descendant_count:
        problem = f"package count {count} exceeds descendant count limit " + _limit(
            limits.descendant_count
        )
    elif vsize > limits.ancestor_vsize:
        problem = f"package size {vsize} exceeds ancestor size limit " + _limit(
            limits.ancestor_vsize
        )
    elif vsize > limits.descendant_vsize:
        problem = f"package size {vsize} exceeds descendant size limit " + _limit(
            limits.descendant_vsize
        )
    else:
        parents = {node for tx in txs for node in graph.parents_of(tx)}
        problem = _exceeded(count, vsize, parents, limits)
        if problem:
            problem = f"possibly {problem}"
    if problem:
        raise ValidationError("package-mempool-limits", problem, RejectCode.NONSTANDARD)


def _limit(number: int) -> str:
    return f"[limit: {number}]"


def _exceeded(count: int, vsize: int, parents: Collection[Node], limits: MempoolLimits) -> str:
    """What limit `count` newcomers of `vsize` would break first; empty for none.

    The order in which ancestors are visited is Core's: it shows in the words.
    """
    if len(parents) + count > limits.ancestor_count:
        return f"too many unconfirmed parents {_limit(limits.ancestor_count)}"
    staged, visited, total = set(parents), set[Node](), vsize
    while staged:
        node = min(staged, key=lambda node: node.txid)
        staged.discard(node)
        visited.add(node)
        total += node.vsize
        name = node.tx.txid_hex
        if node.descendant_vsize + vsize > limits.descendant_vsize:
            limit = _limit(limits.descendant_vsize)
            return f"exceeds descendant size limit for tx {name} {limit}"
        if node.descendant_count + count > limits.descendant_count:
            return f"too many descendants for tx {name} {_limit(limits.descendant_count)}"
        if total > limits.ancestor_vsize:
            return f"exceeds ancestor size limit {_limit(limits.ancestor_vsize)}"
        staged |= node.parents - visited
        if len(staged) + len(visited) + count > limits.ancestor_count:
            return f"too many unconfirmed ancestors {_limit(limits.ancestor_count)}"
    return ""
