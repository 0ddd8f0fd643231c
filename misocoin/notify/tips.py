"""Which of the blocks that were connected at once Core would have called the tip. Pure."""

from collections.abc import Iterator, Sequence

from misocoin.consensus.tree import HeaderNode


def tips_on_the_way(old: HeaderNode, connected: Sequence[HeaderNode]) -> Iterator[HeaderNode]:
    """The blocks that were the tip for a moment, the last one among them, from the tip `old` on.

    Core connects as many blocks as it takes for more work than before, and tells of each such step.
    """
    for node in connected:
        if node.chain_work > old.chain_work or node is connected[-1]:
            yield node
