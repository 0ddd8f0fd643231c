"""The tree of headers: work, ancestors, medians, and which tip is best.

A node never changes once made; what the node software learns about its block (stored, valid,
failed) is kept beside it by whoever owns the tree.
"""

from collections.abc import Iterator

from misocoin.consensus.block_rules import MEDIAN_TIME_SPAN, HeaderContext, check_header_context
from misocoin.consensus.difficulty import calculate_next_bits, reference_height, work_from_bits
from misocoin.errors import ValidationError
from misocoin.params import Params
from misocoin.primitives.block import BlockHeader


class HeaderNode:
    """A header where it stands: height, total work, and links towards genesis."""

    __slots__ = ("chain_work", "hash", "header", "height", "median_time_past", "parent", "skip")

    def __init__(self, header: BlockHeader, parent: "HeaderNode | None") -> None:
        self.header = header
        self.hash = header.hash
        self.parent = parent
        self.height: int = 0 if parent is None else parent.height + 1
        work = work_from_bits(header.bits)
        self.chain_work: int = work if parent is None else parent.chain_work + work
        """Expected hashes from genesis up to and including this block."""
        self.skip: HeaderNode | None = (
            None if parent is None else parent.ancestor(self.height & (self.height - 1))
        )
        self.median_time_past: int = self._median_time_past()
        """Median time of this block and the ten before it (BIP113)."""

    def __repr__(self) -> str:
        return f"<HeaderNode {self.height} {self.header.hash_hex[:16]}>"

    def _median_time_past(self) -> int:
        times: list[int] = []
        node: HeaderNode | None = self
        while node is not None and len(times) < MEDIAN_TIME_SPAN:
            times.append(node.header.time)
            node = node.parent
        times.sort()
        return times[len(times) // 2]

    def ancestor(self, height: int) -> "HeaderNode":
        """The block at `height` on this branch, this one included; O(log**2 height) steps.

        Raises ValueError where there is none.
        """
        if not 0 <= height <= self.height:
            raise ValueError(f"no ancestor at {height} of a block at {self.height}")
        node = self
        while node.height != height:
            if node.skip is not None and node.skip.height >= height:
                node = node.skip
            elif node.parent is not None:
                node = node.parent
        return node

    def is_ancestor_of(self, other: "HeaderNode") -> bool:
        """Whether `other` builds on this block (or is it)."""
        return other.height >= self.height and other.ancestor(self.height) is self

    def back_to(self, ancestor: "HeaderNode") -> Iterator["HeaderNode"]:
        """The blocks from this one down to `ancestor`, which is left out."""
        node = self
        while node is not ancestor:
            yield node
            if node.parent is None:
                return
            node = node.parent


def fork_point(one: HeaderNode, other: HeaderNode) -> HeaderNode:
    """The last common block of two branches; ValueError where they are not of one tree."""
    height = min(one.height, other.height)
    one, other = one.ancestor(height), other.ancestor(height)
    while one is not other:
        if one.skip is not None and other.skip is not None and one.skip is not other.skip:
            one, other = one.skip, other.skip
        elif one.parent is not None and other.parent is not None:
            one, other = one.parent, other.parent
        else:
            raise ValueError("the blocks are of different trees")
    return one


def next_bits(parent: HeaderNode, params: Params) -> int:
    """The bits that a child of `parent` must carry."""
    reference = parent.ancestor(reference_height(parent.height, params))
    return calculate_next_bits(
        parent.height, parent.header.bits, parent.header.time, reference.header.time, params
    )


def header_context(parent: HeaderNode, params: Params) -> HeaderContext:
    """What `check_header_context` needs for a child of `parent`."""
    return HeaderContext(
        parent.height + 1,
        next_bits(parent, params),
        parent.median_time_past,
        parent.header.time,
    )


class HeaderTree:
    """All known headers of one network, rooted in its genesis."""

    def __init__(self, params: Params) -> None:
        self.params = params
        self.genesis = HeaderNode(params.genesis.header, None)
        self._nodes = {self.genesis.hash: self.genesis}
        self._leaves = {self.genesis: None}  # a set that keeps its order

    def __len__(self) -> int:
        return len(self._nodes)

    def __iter__(self) -> Iterator[HeaderNode]:
        """All nodes, parents before children, in order of arrival."""
        return iter(self._nodes.values())

    def get(self, block_hash: bytes) -> HeaderNode | None:
        """The node of that hash (wire order)."""
        return self._nodes.get(block_hash)

    def add(self, header: BlockHeader, now: int | None) -> HeaderNode:
        """Put a header whose proof of work was checked into the tree, after its context check.

        `now=None` skips the context check, for headers that passed it before. Raises
        ValidationError: `prev-blk-not-found` where the parent is unknown, else as
        `check_header_context`. A known header is returned as it stands.
        """
        known = self._nodes.get(header.hash)
        if known is not None:
            return known
        parent = self._nodes.get(header.prev_hash)
        if parent is None:
            raise ValidationError("prev-blk-not-found", header.prev_hash[::-1].hex())
        if now is not None:
            check_header_context(header, header_context(parent, self.params), now, self.params)
        node = HeaderNode(header, parent)
        self._nodes[node.hash] = node
        self._leaves.pop(parent, None)
        self._leaves[node] = None
        return node

    @property
    def leaves(self) -> tuple[HeaderNode, ...]:
        """The ends of all branches, in order of arrival."""
        return tuple(self._leaves)

    def descendants(self, node: HeaderNode) -> set[HeaderNode]:
        """A block and all that build on it; the cost is theirs, and a step for each branch."""
        found = {node}
        for leaf in self._leaves:
            if node.is_ancestor_of(leaf):
                for other in leaf.back_to(node):
                    if other in found:
                        break
                    found.add(other)
        return found
