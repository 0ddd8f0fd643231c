"""The graph by itself: sums that stay right, and a node that can come back."""

import pytest

from misocoin.chain.mempool_graph import (
    MempoolGraph,
    Node,
    ancestors_of,
    descendants_of,
    estimate_usage,
)
from misocoin.primitives.transaction import Transaction, outpoint
from tests.fakes.chain import spend


def node_of(tx: Transaction, *, fee: int = 100, sigop_cost: int = 4) -> Node:
    return Node(
        tx,
        fee=fee,
        fee_delta=0,
        vsize=tx.vsize,
        sigop_cost=sigop_cost,
        time=0,
        height=0,
        spends_coinbase=False,
        has_relative_locks=False,
    )


class Diamond:
    """`top`, two that spend it, and `bottom` that spends both."""

    def __init__(self) -> None:
        top = spend([outpoint(b"\x07" * 32, 0)], [1_000, 1_000])
        left, right = (spend([top.outpoint(i)], [900]) for i in range(2))
        bottom = spend([left.outpoint(0), right.outpoint(0)], [1_000, 600])
        self.graph = MempoolGraph()
        self.nodes = [node_of(tx, fee=10**i) for i, tx in enumerate((top, left, right, bottom))]
        for node in self.nodes:
            self.add(node)

    def add(self, node: Node) -> None:
        self.graph.add(node, ancestors_of(self.graph.parents_of(node.tx)))


def test_sums() -> None:
    diamond = Diamond()
    top, left, right, bottom = diamond.nodes
    assert bottom.ancestor_count == top.descendant_count == 4
    assert bottom.ancestor_fee == top.descendant_fee == 1_111
    assert bottom.ancestor_vsize == top.descendant_vsize == diamond.graph.vsize
    assert (left.ancestor_sigop_cost, bottom.ancestor_sigop_cost) == (8, 16)
    assert ancestors_of(bottom.parents) == {top, left, right}
    assert descendants_of([left]) == {left, bottom}
    assert diamond.graph.total_fee == 1_111
    assert [node.sequence for node in diamond.graph] == [1, 2, 3, 4]


def test_removal_with_descendants() -> None:
    diamond = Diamond()
    top, left, right, bottom = diamond.nodes
    graph = diamond.graph
    before = [node.entry() for node in diamond.nodes]
    assert graph.remove_with_descendants([left]) == [left, bottom]
    assert (top.descendant_count, top.descendant_fee) == (2, 101)
    assert top.descendant_vsize == top.vsize + right.vsize == graph.vsize
    assert (right.descendant_count, right.descendant_fee) == (1, 100)
    assert top.entry().children == (right.txid,)
    assert graph.usage == top.usage + right.usage
    assert graph.total_fee == 101
    diamond.add(left)
    diamond.add(bottom)
    after = [node.entry() for node in diamond.nodes]
    for old, new in zip(before, after, strict=True):
        assert set(new.parents) == set(old.parents)
        assert set(new.children) == set(old.children)
        assert new._replace(parents=(), children=(), sequence=0) == old._replace(
            parents=(), children=(), sequence=0
        )


def test_confirmation() -> None:
    diamond = Diamond()
    top, left, right, bottom = diamond.nodes
    diamond.graph.remove_confirmed([top, left])
    assert (bottom.ancestor_count, bottom.ancestor_fee) == (2, 1_100)
    assert bottom.ancestor_vsize == bottom.vsize + right.vsize == diamond.graph.vsize
    assert bottom.ancestor_sigop_cost == 8
    assert (right.ancestor_count, right.descendant_count) == (1, 2)
    assert bottom.entry().parents == (right.txid,)
    diamond.graph.remove_confirmed([right, bottom])
    assert (len(diamond.graph), diamond.graph.vsize, diamond.graph.usage) == (0, 0, 0)
    assert diamond.graph.worst() is diamond.graph.oldest() is None


def test_an_entry_is_made_once() -> None:
    diamond = Diamond()
    top, left, *_ = diamond.nodes
    entry = top.entry()
    assert top.entry() is entry
    diamond.graph.set_fee_delta(left, 5)
    assert top.entry().descendant_fee == entry.descendant_fee + 5
    assert left.entry().fee_delta == 5


@pytest.mark.parametrize(("inputs", "outputs"), [(1, 1), (10, 1), (1, 100)])
def test_usage_grows_with_everything(inputs: int, outputs: int) -> None:
    points = [outpoint(b"\x07" * 32, i) for i in range(inputs)]
    tx = spend(points, [1] * outputs)
    assert estimate_usage(tx) == tx.size + 2_000 + 350 * inputs + 150 * outputs
