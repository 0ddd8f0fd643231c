"""What can be read of the mempool, without changing it."""

from collections.abc import Collection

from misocoin.chain.mempool_entry import MempoolEntry
from misocoin.chain.mempool_graph import MempoolGraph, ancestors_of, descendants_of
from misocoin.chain.mempool_ports import ChainView
from misocoin.chain.mempool_rules import find_coins, pool_coin
from misocoin.chain.mempool_work import entries_of
from misocoin.consensus.coins import Coin
from misocoin.primitives.transaction import OutPoint, Transaction


class MempoolView:
    """The reading half of `Mempool`."""

    def __init__(self, chain: ChainView) -> None:
        self._chain = chain
        self._graph = MempoolGraph()

    def __len__(self) -> int:
        return len(self._graph)

    def __contains__(self, txid: bytes) -> bool:
        return txid in self._graph.nodes

    def get(self, txid: bytes) -> MempoolEntry | None:
        """The entry of that id."""
        node = self._graph.nodes.get(txid)
        return None if node is None else node.entry()

    def get_by_wtxid(self, wtxid: bytes) -> MempoolEntry | None:
        """The entry of that witness id."""
        node = self._graph.by_wtxid.get(wtxid)
        return None if node is None else node.entry()

    def entries(self) -> tuple[MempoolEntry, ...]:
        """All entries, parents before children: a snapshot that never changes."""
        return tuple([node.entry() for node in self._graph])

    def txids(self) -> tuple[bytes, ...]:
        """All ids, parents before children."""
        return tuple(self._graph.nodes)

    def ancestors(self, txid: bytes) -> tuple[MempoolEntry, ...]:
        """The entries that `txid` builds on, parents first, itself left out."""
        node = self._graph.nodes.get(txid)
        return () if node is None else entries_of(ancestors_of(node.parents))

    def descendants(self, txid: bytes) -> tuple[MempoolEntry, ...]:
        """The entries that build on `txid`, parents first, itself left out."""
        node = self._graph.nodes.get(txid)
        return () if node is None else entries_of(descendants_of(node.children))

    def spender(self, point: OutPoint) -> MempoolEntry | None:
        """The entry that spends `point`."""
        node = self._graph.spenders.get(point)
        return None if node is None else node.entry()

    def get_coin(self, point: OutPoint) -> Coin | None:
        """An output of the mempool that nothing in it spends; its height is POOL_COIN_HEIGHT."""
        return None if point in self._graph.spenders else pool_coin(point, self._graph)

    def get_output(self, point: OutPoint) -> Coin | None:
        """An output of the mempool, spent there or not."""
        return pool_coin(point, self._graph)

    def get_coins(self, points: Collection[OutPoint]) -> dict[OutPoint, Coin]:
        """The coins among `points`, confirmed or not, that nothing in the mempool spends."""
        graph = self._graph
        free = [point for point in points if point not in graph.spenders]
        found = dict(self._chain.get_coins(free))
        for point in free:
            coin = pool_coin(point, graph)
            if coin is not None:
                found[point] = coin
        return found

    def spent_coins(self, tx: Transaction) -> list[Coin]:
        """What a transaction spends, in order of its inputs; fewer where some is not known."""
        found = find_coins(tx, self._graph, self._chain)
        return [found[txin.prevout] for txin in tx.vin if txin.prevout in found]
