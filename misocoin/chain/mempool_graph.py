"""The mempool's transactions as a graph, with the sums that fees and limits ask for.

Each node carries the totals of its ancestors and of its descendants, itself included. They are
kept up to date as nodes come and go, never computed anew for the whole. Nothing here knows the
rules; a node may only be added after its parents and before its children.
"""

from collections.abc import Collection, Iterable, Iterator

from misocoin.chain.lazy_heap import LazyHeap
from misocoin.chain.mempool_entry import MempoolEntry
from misocoin.policy.feerate import FeeRate, feerate_from_fee
from misocoin.primitives.transaction import OutPoint, Transaction

_NODE_USAGE = 2_000
_INPUT_USAGE = 350
_OUTPUT_USAGE = 150


def estimate_usage(tx: Transaction) -> int:
    """Bytes of memory that a transaction takes up in the mempool.

    Its bytes and what Python keeps around them, per node, input and output: measured with CPython
    3.11 and rounded up by a tenth.
    """
    return tx.size + _NODE_USAGE + _INPUT_USAGE * len(tx.vin) + _OUTPUT_USAGE * len(tx.vout)


class Node:
    """A transaction in the graph. Only the graph writes to it."""

    __slots__ = (
        "ancestor_count",
        "ancestor_fee",
        "ancestor_sigop_cost",
        "ancestor_vsize",
        "children",
        "descendant_count",
        "descendant_fee",
        "descendant_vsize",
        "fee",
        "fee_delta",
        "has_relative_locks",
        "height",
        "parents",
        "sequence",
        "sigop_cost",
        "spends_coinbase",
        "time",
        "tx",
        "usage",
        "view",
        "vsize",
    )

    def __init__(
        self,
        tx: Transaction,
        *,
        fee: int,
        fee_delta: int,
        vsize: int,
        sigop_cost: int,
        time: int,
        height: int,
        spends_coinbase: bool,
        has_relative_locks: bool,
    ) -> None:
        """Facts as `MempoolEntry` names them.

        `spends_coinbase` and `has_relative_locks` say what to look at again after a reorg.
        """
        self.tx = tx
        self.fee = fee
        self.fee_delta = fee_delta
        self.vsize = vsize
        self.sigop_cost = sigop_cost
        self.time = time
        self.height = height
        self.spends_coinbase = spends_coinbase
        self.has_relative_locks = has_relative_locks
        self.usage = estimate_usage(tx)
        self.sequence = 0
        self.parents: set[Node] = set()
        self.children: set[Node] = set()
        self.view: MempoolEntry | None = None
        self.reset_sums()

    def reset_sums(self) -> None:
        """The totals of a node that stands alone."""
        self.ancestor_count = self.descendant_count = 1
        self.ancestor_vsize = self.descendant_vsize = self.vsize
        self.ancestor_fee = self.descendant_fee = self.modified_fee
        self.ancestor_sigop_cost = self.sigop_cost

    @property
    def txid(self) -> bytes:
        """The transaction's id, wire order."""
        return self.tx.txid

    @property
    def modified_fee(self) -> int:
        """Fee and delta, base units."""
        return self.fee + self.fee_delta

    @property
    def feerate(self) -> FeeRate:
        """The transaction's own rate, modified."""
        return feerate_from_fee(self.fee + self.fee_delta, self.vsize)

    def entry(self) -> MempoolEntry:
        """The node as a value; made once and kept until something in it changes."""
        view = self.view
        if view is None:
            view = self.view = MempoolEntry(
                self.tx,
                self.fee,
                self.fee_delta,
                self.vsize,
                self.sigop_cost,
                self.time,
                self.height,
                self.sequence,
                tuple([node.tx.txid for node in self.parents]),
                tuple([node.tx.txid for node in self.children]),
                self.ancestor_count,
                self.ancestor_vsize,
                self.ancestor_fee,
                self.ancestor_sigop_cost,
                self.descendant_count,
                self.descendant_vsize,
                self.descendant_fee,
            )
        return view


def ancestors_of(parents: Iterable[Node]) -> set[Node]:
    """The nodes in `parents` and all their ancestors."""
    found = set(parents)
    todo = list(found)
    while todo:
        for node in todo.pop().parents:
            if node not in found:
                found.add(node)
                todo.append(node)
    return found


def descendants_of(nodes: Iterable[Node]) -> set[Node]:
    """The nodes given and all their descendants."""
    found = set(nodes)
    todo = list(found)
    while todo:
        for node in todo.pop().children:
            if node not in found:
                found.add(node)
                todo.append(node)
    return found


class MempoolGraph:
    """All transactions by id, by witness id and by the coins they spend."""

    def __init__(self) -> None:
        self.nodes: dict[bytes, Node] = {}
        """By txid, in order of arrival: parents before children."""
        self.by_wtxid: dict[bytes, Node] = {}
        self.spenders: dict[OutPoint, Node] = {}
        """By each outpoint that a transaction here spends."""
        self.vsize = 0
        """Virtual bytes of all."""
        self.usage = 0
        """Bytes of memory of all, estimated."""
        self.total_fee = 0
        """Base units, without deltas."""
        self._sequence = 0
        self._worst: LazyHeap[tuple[float, int], Node] = LazyHeap()
        self._oldest: LazyHeap[tuple[int, int], Node] = LazyHeap()

    def __len__(self) -> int:
        return len(self.nodes)

    def parents_of(self, tx: Transaction) -> set[Node]:
        """The nodes whose outputs `tx` spends."""
        nodes = self.nodes
        return {nodes[txin.prevout[:32]] for txin in tx.vin if txin.prevout[:32] in nodes}

    def children_of(self, tx: Transaction) -> set[Node]:
        """The nodes that spend outputs of `tx`, which need not be here itself."""
        spenders = self.spenders
        points = (tx.outpoint(index) for index in range(len(tx.vout)))
        return {spenders[point] for point in points if point in spenders}

    def add(self, node: Node, ancestors: Collection[Node]) -> None:
        """Add a node without children whose ancestors are these, its parents among them.

        A node that was removed may be added again.
        """
        self._sequence += 1
        node.sequence = self._sequence
        node.reset_sums()
        tx = node.tx
        self.nodes[tx.txid] = node
        self.by_wtxid[tx.wtxid] = node
        for txin in tx.vin:
            self.spenders[txin.prevout] = node
        self.vsize += node.vsize
        self.usage += node.usage
        self.total_fee += node.fee
        node.parents = self.parents_of(tx)
        for parent in node.parents:
            parent.children.add(node)
        vsize, fee = node.vsize, node.modified_fee
        for ancestor in ancestors:
            node.ancestor_count += 1
            node.ancestor_vsize += ancestor.vsize
            node.ancestor_fee += ancestor.modified_fee
            node.ancestor_sigop_cost += ancestor.sigop_cost
            ancestor.descendant_count += 1
            ancestor.descendant_vsize += vsize
            ancestor.descendant_fee += fee
            self._rank(ancestor)
        self._rank(node)
        self._oldest.put(node, (node.time, node.sequence))

    def remove_confirmed(self, nodes: Collection[Node]) -> None:
        """Remove nodes together with all their ancestors, as a block does; children stay."""
        gone = set(nodes)
        orphaned: set[Node] = set()
        for node in gone:
            self._forget(node)
            for child in node.children:
                if child not in gone:
                    child.parents.discard(node)
                    orphaned.add(child)
            node.children.clear()
            node.parents.clear()
        for node in descendants_of(orphaned):
            self._sum_ancestors(node)

    def remove_with_descendants(self, nodes: Iterable[Node]) -> list[Node]:
        """Remove nodes and all that build on them; returns all removed, parents first."""
        gone = descendants_of(nodes)
        for node in gone:
            for ancestor in ancestors_of(node.parents):
                if ancestor not in gone:
                    ancestor.descendant_count -= 1
                    ancestor.descendant_vsize -= node.vsize
                    ancestor.descendant_fee -= node.modified_fee
                    self._rank(ancestor)
        for node in gone:
            for parent in node.parents:
                if parent not in gone:
                    parent.children.discard(node)
        for node in gone:
            self._forget(node)
            node.parents.clear()
            node.children.clear()
        return sorted(gone, key=lambda node: node.sequence)

    def set_fee_delta(self, node: Node, fee_delta: int) -> None:
        """Change what a node counts as paying on top of its fee."""
        change = fee_delta - node.fee_delta
        node.fee_delta = fee_delta
        for ancestor in ancestors_of((node,)):
            ancestor.descendant_fee += change
            self._rank(ancestor)
        for descendant in descendants_of((node,)):
            descendant.ancestor_fee += change
            descendant.view = None
        self._rank(node)

    def worst(self) -> Node | None:
        """The node to evict first, with its descendants; of equals the one that came last.

        Nodes are ranked by their own rate, or by that of the descendants with them if it is
        higher: a child that pays well keeps its parent.
        """
        top = self._worst.peek()
        return None if top is None else top[1]

    def oldest(self) -> Node | None:
        """The node that arrived first."""
        top = self._oldest.peek()
        return None if top is None else top[1]

    def __iter__(self) -> Iterator[Node]:
        """All nodes, parents before children."""
        return iter(self.nodes.values())

    def _rank(self, node: Node) -> None:
        # The quotients are correctly rounded, so their order is that of the exact fractions, but
        # for rates that differ by less than one part in 2**53.
        node.view = None
        score = max(
            node.modified_fee / node.vsize,
            node.descendant_fee / node.descendant_vsize,
        )
        self._worst.put(node, (score, -node.sequence))

    def _sum_ancestors(self, node: Node) -> None:
        above = ancestors_of(node.parents)
        node.ancestor_count = 1 + len(above)
        node.ancestor_vsize = node.vsize + sum([other.vsize for other in above])
        node.ancestor_fee = node.modified_fee + sum([other.modified_fee for other in above])
        node.ancestor_sigop_cost = node.sigop_cost + sum([other.sigop_cost for other in above])
        node.view = None

    def _forget(self, node: Node) -> None:
        tx = node.tx
        del self.nodes[tx.txid]
        del self.by_wtxid[tx.wtxid]
        for txin in tx.vin:
            del self.spenders[txin.prevout]
        self.vsize -= node.vsize
        self.usage -= node.usage
        self.total_fee -= node.fee
        self._worst.discard(node)
        self._oldest.discard(node)
