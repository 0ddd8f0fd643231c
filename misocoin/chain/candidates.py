"""Which blocks the active chain could end in.

A candidate is a block whose body is stored, as are those of all its ancestors, and that is not
known to be invalid. The one with the most work is best; of equal work, the one that came first.
"""

from collections import deque
from collections.abc import Callable, Iterable

from misocoin.consensus.tree import HeaderNode


class Candidates:
    """Candidates among the blocks given to `link`; `is_failed` knows the invalid ones.

    Not thread-safe: ChainState's lock covers it.
    """

    def __init__(self, genesis: HeaderNode, is_failed: Callable[[HeaderNode], bool]) -> None:
        self._is_failed = is_failed
        self._arrival: dict[bytes, int] = {genesis.hash: 0}  # of blocks with all bodies below
        self._next_arrival = 1
        self._first_arrival = 0
        self._waiting: dict[bytes, list[HeaderNode]] = {}  # parent's hash -> bodies without it
        self._nodes: set[HeaderNode] = {genesis}

    def link(self, node: HeaderNode) -> None:
        """Note that the body of `node` is stored; it may complete branches that waited for it."""
        parent = node.parent
        if parent is not None and not self.is_linked(parent):
            self._waiting.setdefault(parent.hash, []).append(node)
            return
        ready = deque([node])
        while ready:  # level by level: of those on one block, the body that waited longest first
            linked = ready.popleft()
            self._arrival[linked.hash] = self._next_arrival
            self._next_arrival += 1
            if not self._is_failed(linked):
                self._nodes.add(linked)
            ready += self._waiting.pop(linked.hash, [])

    def is_linked(self, node: HeaderNode) -> bool:
        """Whether the bodies of `node` and of all its ancestors are stored."""
        return node.hash in self._arrival

    def prefer(self, node: HeaderNode) -> None:
        """Let `node`, which is linked, be the first of those with as much work."""
        self._first_arrival -= 1
        self._arrival[node.hash] = self._first_arrival

    def best(self, tip: HeaderNode) -> HeaderNode:
        """The best candidate, or `tip` (which is linked) where none is better."""
        best = tip
        arrival = self._arrival
        for node in self._nodes:
            if node.chain_work > best.chain_work or (
                node.chain_work == best.chain_work and arrival[node.hash] < arrival[best.hash]
            ):
                best = node
        return best

    def discard(self, node: HeaderNode) -> None:
        """Forget a block that turned out to be invalid."""
        self._nodes.discard(node)

    def refill(self, nodes: Iterable[HeaderNode], work: int) -> None:
        """Take in again what was forgotten: linked blocks, not invalid, with at least that work."""
        self._nodes.update(
            node
            for node in nodes
            if node.chain_work >= work and self.is_linked(node) and not self._is_failed(node)
        )

    def prune(self, work: int) -> None:
        """Forget all with less work, as they can not be the best any more."""
        self._nodes = {node for node in self._nodes if node.chain_work >= work}
