"""All indexes of a chain as one: each is told of every block that comes and goes."""

from collections.abc import Callable, Iterator, Sequence

from misocoin.chain.address_index import ADDRESSINDEX, AddressIndex, ChainPort
from misocoin.chain.filter_index import FilterIndex
from misocoin.chain.lookup import LookupIndexes
from misocoin.consensus.coins import Coin
from misocoin.consensus.tree import HeaderNode
from misocoin.primitives.block import Block
from misocoin.store.records import Changes
from misocoin.store.store import Store

FILTERINDEX = "basic block filter index"
"""Core's name of the index of filters."""


class Indexes:
    """Those of the indexes in `store` that are asked for."""

    def __init__(
        self,
        store: Store,
        genesis: Block,
        *,
        transactions: bool,
        spends: bool,
        filters: bool,
        addresses: bool,
    ) -> None:
        self.lookup = LookupIndexes(store, transactions=transactions, spends=spends)
        self.filters = FilterIndex(store, genesis) if filters else None
        self.addresses = AddressIndex(store) if addresses else None
        self._store = store

    def load(
        self, chain: ChainPort, known: int | None, progress: Callable[[int, int], None]
    ) -> None:
        """Bring them to the tip; filters catch up later, beside everything else.

        Blocks above height `known` may have been disconnected since they were noted; None: there
        was no chain. `progress(height, of)` is called for each block that is read. Raises
        StoreError or NotFoundError where blocks cannot be read.
        """
        self.lookup.load(lambda: _active_blocks(chain, 0, progress))
        if known is not None:
            self.lookup.renew(_active_blocks(chain, known, progress))
        if self.addresses is not None:
            self.addresses.load(chain, progress)
        else:
            AddressIndex(self._store).drop()  # blocks will come that it does not hear of

    def add(
        self, node: HeaderNode, block: Block, spent: Sequence[Sequence[Coin]], changes: Changes
    ) -> None:
        """Put what a block tells among the changes that connect it."""
        self.lookup.note(block, changes)
        if self.filters is not None:
            self.filters.add(node, block, spent, changes)
        if self.addresses is not None:
            self.addresses.add(node, block, spent, changes)

    def remove(
        self, node: HeaderNode, block: Block, spent: Sequence[Sequence[Coin]], changes: Changes
    ) -> None:
        """Put what has to go among the changes that disconnect a block."""
        if self.addresses is not None:
            self.addresses.remove(node, block, spent, changes)

    def heights(self, tip: HeaderNode) -> dict[str, int]:
        """The indexes there are, by Core's names, and the height up to which each has come."""
        found = dict.fromkeys(self.lookup.names, tip.height)
        if self.filters is not None:
            found[FILTERINDEX] = self.filters.reached(tip)
        if self.addresses is not None:
            found[ADDRESSINDEX] = tip.height
        return found


def _active_blocks(
    chain: ChainPort, above: int, progress: Callable[[int, int], None]
) -> Iterator[Block]:
    tip = chain.tip
    for height in range(above + 1, tip.height + 1):
        yield chain.get_block(tip.ancestor(height))
        progress(height, tip.height)
