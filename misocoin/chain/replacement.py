"""When a transaction may replace those that spend the same coins (BIP125, for all of them).

Numbers are those of BIP125's rules. Rule 1, that the replaced must have asked for it, is left
out, as in Core since version 28: a miner takes what pays more, whatever it signals.
"""

from collections.abc import Collection, Sequence
from typing import Protocol

from misocoin.chain.mempool_graph import MempoolGraph, Node, ancestors_of, descendants_of
from misocoin.errors import RejectCode, UnderpaidError, ValidationError
from misocoin.policy.feerate import (
    FeeRate,
    calculate_fee,
    core_text_from_feerate,
    feerate_from_fee,
)
from misocoin.primitives.transaction import Transaction
from misocoin.units import core_text_from_sats

MAX_REPLACED = 100
"""Transactions that one may push out, descendants included (rule 5)."""


class Eviction:
    """What would leave the mempool with the direct conflicts of a newcomer."""

    def __init__(self, conflicts: Collection[Node], sibling: Node | None = None) -> None:
        """`sibling` spends no coin of the newcomer, but takes its place below its parent."""
        self.conflicts = {*conflicts} if sibling is None else {*conflicts, sibling}
        """Those that spend a coin of the newcomer, and the sibling."""
        self.evicts_sibling = sibling is not None
        self.count = sum([node.descendant_count for node in self.conflicts])
        """All that would go, at most (shared descendants count again, as in Core)."""
        # Empty where they are too many.
        self.nodes = descendants_of(self.conflicts) if self.count <= MAX_REPLACED else set()
        """All that would go."""

    @property
    def fee(self) -> int:
        """What all of them count as paying."""
        return sum([node.modified_fee for node in self.nodes])


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
    how = " (including sibling eviction)" if eviction.evicts_sibling else ""
    rate = feerate_from_fee(fee, vsize)
    for node in sorted(eviction.conflicts, key=lambda node: node.txid):
        if rate <= node.feerate:  # rule 6
            raise UnderpaidError(
                f"insufficient fee{how}",
                f"rejecting replacement {tx.txid_hex}; new feerate "
                f"{core_text_from_feerate(rate)} <= old feerate "
                f"{core_text_from_feerate(node.feerate)}",
                RejectCode.INSUFFICIENT_FEE,
            )
    problem = _too_many(tx, eviction)
    if problem:
        raise ValidationError(
            f"too many potential replacements{how}", problem, RejectCode.NONSTANDARD
        )
    known = {txin.prevout[:32] for node in eviction.conflicts for txin in node.tx.vin}
    for index, txin in enumerate(tx.vin):  # rule 2
        if txin.prevout[:32] in graph.nodes and txin.prevout[:32] not in known:
            raise ValidationError(
                f"replacement-adds-unconfirmed{how}",
                f"replacement {tx.txid_hex} adds unconfirmed input, idx {index}",
                RejectCode.NONSTANDARD,
            )
    problem = _too_cheap(tx, fee, vsize, eviction, incremental)
    if problem:
        raise UnderpaidError(f"insufficient fee{how}", problem, RejectCode.INSUFFICIENT_FEE)


def _too_many(tx: Transaction, eviction: Eviction) -> str:
    if eviction.count <= MAX_REPLACED:  # rule 5
        return ""
    return (
        f"rejecting replacement {tx.txid_hex}; too many potential replacements "
        f"({eviction.count} > {MAX_REPLACED})"
    )


def _too_cheap(
    tx: Transaction, fee: int, vsize: int, eviction: Eviction, incremental: FeeRate
) -> str:
    text = core_text_from_sats
    replaced = eviction.fee
    if fee < replaced:  # rule 3
        return (
            f"rejecting replacement {tx.txid_hex}, less fees than conflicting txs; "
            f"{text(fee)} < {text(replaced)}"
        )
    due = calculate_fee(incremental, vsize)
    if fee - replaced < due:  # rule 4
        return (
            f"rejecting replacement {tx.txid_hex}, not enough additional fees to relay; "
            f"{text(fee - replaced)} < {text(due)}"
        )
    return ""


# -- a parent and its child together ------------------------------------------------------------


class Newcomer(Protocol):
    """What is checked and not in the graph yet: `mempool_rules.Candidate`."""

    @property
    def node(self) -> Node:
        """The transaction as it would stand."""

    @property
    def ancestors(self) -> set[Node]:
        """Of those in the mempool."""

    @property
    def eviction(self) -> Eviction:
        """What it would replace."""


def check_package_replacement(newcomers: Sequence[Newcomer], incremental: FeeRate) -> Eviction:
    """Check that a parent and its child may together replace what they conflict with.

    Returns what would go; raises ValidationError (Core's package RBF, for 1-parent-1-child).
    """
    if len(newcomers) != 2:
        raise _failed("package must be 1-parent-1-child")
    if any(each.ancestors for each in newcomers):
        raise _failed("new transaction cannot have mempool ancestors")
    parent, child = [each.node for each in newcomers]
    eviction = Eviction([node for each in newcomers for node in each.eviction.conflicts])
    problem = _too_many(child.tx, eviction)
    if problem:
        raise _failed("too many potential replacements", problem)
    fee, vsize = parent.modified_fee + child.modified_fee, parent.vsize + child.vsize
    problem = _too_cheap(child.tx, fee, vsize, eviction, incremental)
    if problem:
        raise _failed("insufficient anti-DoS fees", problem)
    rate, alone = feerate_from_fee(fee, vsize), parent.feerate
    if rate <= alone:
        raise _failed(
            "package feerate is less than or equal to parent feerate",
            f"package feerate {core_text_from_feerate(rate)} <= parent feerate is "
            f"{core_text_from_feerate(alone)}",
        )
    for node in sorted(eviction.conflicts, key=lambda node: node.txid):
        problem = _uncalculable(node)
        if problem:
            raise _failed(problem)
    staying = {other for node in eviction.nodes for other in ancestors_of(node.parents)}
    before = _chunks([*staying, *eviction.nodes])
    after = [*_chunks(staying - eviction.nodes), (fee, vsize)]
    if not _is_better(after, before):
        raise _failed("insufficient feerate: does not improve feerate diagram")
    return eviction


def _failed(why: str, detail: str = "") -> ValidationError:
    return ValidationError(f"package RBF failed: {why}", detail, RejectCode.NONSTANDARD)


def _uncalculable(node: Node) -> str:
    """Why the order in which miners would take a conflict and its kin is not simply known."""
    name = node.tx.txid_hex
    if node.descendant_count > 2:
        return f"{name} has {node.descendant_count - 1} descendants, max 1 allowed"
    if node.ancestor_count > 2:
        return f"{name} has {node.ancestor_count - 1} ancestors, max 1 allowed"
    if node.descendant_count == 2:
        (child,) = node.children
        if node.ancestor_count > 1:
            return f"{name} has both ancestor and descendant, exceeding cluster limit of 2"
        if len(child.parents) > 1:
            return f"{name} is not the only parent of child {child.tx.txid_hex}"
    elif node.ancestor_count == 2:
        (parent,) = node.parents
        if len(parent.children) > 1:
            return f"{name} is not the only child of parent {parent.tx.txid_hex}"
    return ""


def _chunks(nodes: Collection[Node]) -> list[tuple[int, int]]:
    """Fee and size of what a miner takes together, of single nodes and of pairs."""
    inside, found = set(nodes), []
    for node in inside:
        if node.parents & inside:
            continue
        own = (node.modified_fee, node.vsize)
        below = [(child.modified_fee, child.vsize) for child in node.children if child in inside]
        if below and below[0][0] * own[1] > own[0] * below[0][1]:
            found.append((own[0] + below[0][0], own[1] + below[0][1]))
        else:
            found += [own, *below]
    return found


def _is_better(one: Collection[tuple[int, int]], other: Collection[tuple[int, int]]) -> bool:
    """Whether for every size the best of `one` pay no less, and for some size more."""
    diagrams = [_diagram(one), _diagram(other)]
    sizes = sorted({size for diagram in diagrams for size, _ in diagram})
    signs = {_compare(diagrams[0], diagrams[1], size) for size in sizes}
    return 1 in signs and -1 not in signs


def _diagram(chunks: Collection[tuple[int, int]]) -> list[tuple[int, int]]:
    """Size and fee, summed up, from the best-paying chunk on."""
    points = [(0, 0)]
    for fee, size in sorted(chunks, key=lambda chunk: chunk[0] / chunk[1], reverse=True):
        points.append((points[-1][0] + size, points[-1][1] + fee))
    return points


def _compare(one: list[tuple[int, int]], other: list[tuple[int, int]], size: int) -> int:
    """1, 0 or -1 as `one` pays more than `other` at that size, the same, or less."""
    (fee, of), (fee2, of2) = _fee_at(one, size), _fee_at(other, size)
    difference = fee * of2 - fee2 * of
    return (difference > 0) - (difference < 0)


def _fee_at(points: list[tuple[int, int]], size: int) -> tuple[int, int]:
    """The fee at a size as a fraction: on the line between two points, or after the last."""
    for (low, fee), (high, more) in zip(points, points[1:], strict=False):
        if size <= high:
            return fee * (high - low) + (more - fee) * (size - low), high - low
    return points[-1][1], 1
