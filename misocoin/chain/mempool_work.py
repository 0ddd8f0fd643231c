"""What a call of the mempool has done so far, and what of it goes to disk."""

from collections.abc import Iterable

from misocoin.chain.mempool_entry import MempoolChange, MempoolEntry, RemovalReason, Removed
from misocoin.chain.mempool_graph import Node
from misocoin.primitives.transaction import Transaction
from misocoin.store.records import StoredTransaction


class MempoolWork:
    """What a call has done so far."""

    def __init__(self) -> None:
        self.added: dict[bytes, Node] = {}
        """By txid."""
        self.removed: dict[Node, RemovalReason] = {}

    def remove(self, nodes: Iterable[Node], reason: RemovalReason) -> None:
        """Note a removal, unless the node came in with the same call."""
        for node in nodes:
            if self.added.pop(node.txid, None) is None:
                self.removed[node] = reason

    def change(self) -> MempoolChange:
        """All of it as a value."""
        return MempoolChange(
            tuple([node.entry() for node in self.added.values()]),
            tuple([Removed(node.tx, reason) for node, reason in self.removed.items()]),
        )


def entries_of(nodes: Iterable[Node]) -> tuple[MempoolEntry, ...]:
    """The nodes as values, parents first."""
    return tuple([node.entry() for node in sorted(nodes, key=lambda node: node.sequence)])


def stored_from_node(node: Node) -> StoredTransaction:
    """A node as it is kept on disk."""
    return StoredTransaction(node.txid, node.tx.serialize(), node.time, node.fee_delta)


def parents_first(
    kept: dict[bytes, tuple[Transaction, int]],
) -> list[tuple[Transaction, int]]:
    """Order transactions so that each comes after those it spends, else as given."""
    ordered = []
    state: dict[bytes, bool] = {}  # False: its parents are being looked at, True: it is placed
    for start in kept:
        todo = [start]
        while todo:
            txid = todo[-1]
            if state.get(txid):
                todo.pop()
                continue
            if txid in state:
                state[txid] = True
                ordered.append(kept[txid])
                todo.pop()
                continue
            state[txid] = False
            for txin in kept[txid][0].vin:
                parent = txin.prevout[:32]
                if parent in kept and parent not in state:
                    todo.append(parent)
    return ordered
