"""What can be read of the chain, without changing it.

Header nodes are immutable and a block's body never changes, so that most of this needs no lock;
what asks for coins takes it.
"""

import threading
from collections.abc import Callable, Collection, Iterator

from misocoin.chain.coins import CoinCache
from misocoin.chain.lookup import LookupIndexes
from misocoin.consensus.coins import Coin
from misocoin.consensus.connect import undo_from_bytes
from misocoin.consensus.tree import HeaderNode, HeaderTree
from misocoin.errors import NoDataError, NotFoundError, ParseError, StoreError
from misocoin.params import Params
from misocoin.primitives.block import Block, block_from_bytes
from misocoin.primitives.transaction import OutPoint
from misocoin.store.records import BlockStatus
from misocoin.store.store import Store


class ChainReader:
    """The reading half of `ChainState`."""

    def __init__(self, params: Params, store: Store, lookup: LookupIndexes) -> None:
        self.params = params
        self.lock = threading.RLock()
        self.tree = HeaderTree(params)
        self.lookup = lookup
        self._store = store
        self._coins = CoinCache(store)
        genesis = self.tree.genesis
        self._tip = genesis
        self._best_header = genesis
        self._status: dict[bytes, BlockStatus] = {
            genesis.hash: BlockStatus.DATA | BlockStatus.CONNECTED
        }
        self._tx_count: dict[bytes, int] = {genesis.hash: 1}
        self._tip_changed = threading.Condition()
        self._is_closing = False

    @property
    def tip(self) -> HeaderNode:
        """The active chain's last block."""
        return self._tip

    @property
    def best_header(self) -> HeaderNode:
        """The header with the most work that is not known to be invalid."""
        return self._best_header

    @property
    def height(self) -> int:
        """The active chain's height."""
        return self._tip.height

    def is_active(self, node: HeaderNode) -> bool:
        """Whether `node` is part of the active chain."""
        return node.is_ancestor_of(self._tip)

    def status(self, node: HeaderNode) -> BlockStatus:
        """What is known about the block beyond its header."""
        return self._status.get(node.hash, BlockStatus.NONE)

    def _is_failed(self, node: HeaderNode) -> bool:
        return bool(self.status(node) & BlockStatus.FAILED)

    def tx_count(self, node: HeaderNode) -> int:
        """How many transactions the block holds; 0 while its body is unknown."""
        return self._tx_count.get(node.hash, 0)

    def knows(self, block_hash: bytes) -> bool:
        """Whether a header of that hash (wire order) is in the tree."""
        return self.tree.get(block_hash) is not None

    def find(self, block_hash: bytes) -> HeaderNode:
        """The node of a known header; raises NotFoundError."""
        node = self.tree.get(block_hash)
        if node is None:
            raise NotFoundError("Block not found")
        return node

    def at_height(self, height: int) -> HeaderNode:
        """The active chain's block at `height`; raises NotFoundError beyond the tip."""
        tip = self._tip
        if not 0 <= height <= tip.height:
            raise NotFoundError(f"Block height {height} out of range: the tip is at {tip.height}")
        return tip.ancestor(height)

    def get_block_bytes(self, node: HeaderNode) -> bytes:
        """The block as on the wire; raises NoDataError where only its header is known."""
        if node.parent is None:
            return self.params.genesis.serialize()
        data = self._store.get_block(node.hash)
        if data is None:
            raise NoDataError("Block not available (not fully downloaded)")
        return data

    def get_block(self, node: HeaderNode) -> Block:
        """The block; raises NoDataError where only its header is known.

        Raises StoreError where the stored bytes are not of that block.
        """
        try:
            block = block_from_bytes(self.get_block_bytes(node))
        except ParseError as error:
            raise StoreError(f"{block_name(node)} is damaged on disk: {error}") from error
        if block.hash != node.hash:
            raise StoreError(f"{block_name(node)} is damaged on disk: its header is another")
        return block

    def get_undo(self, node: HeaderNode) -> tuple[tuple[Coin, ...], ...]:
        """The coins a block's transactions spent, its coinbase left out.

        Raises NoDataError for a block that was never part of the active chain, StoreError
        where the stored bytes are damaged.
        """
        if node.parent is None:
            return ()
        data = self._store.get_undo(node.hash)
        if data is None:
            raise NoDataError("Undo data not available")
        try:
            return undo_from_bytes(data)
        except ParseError as error:
            raise StoreError(f"the undo data of {block_name(node)} is damaged: {error}") from error

    def get_coins(self, points: Collection[OutPoint]) -> dict[OutPoint, Coin]:
        """The unspent coins among `points` as of the tip."""
        with self.lock:
            return self._coins.get_many(points)

    def coins_of(self, script: bytes) -> dict[OutPoint, Coin]:
        """The unspent coins that an output script locks, as of the tip.

        Looks through all coins: there is no index by script.
        """
        with self.lock:
            return self._coins.find_by_script(script)

    def iterate_coins(self) -> Iterator[tuple[OutPoint, Coin]]:
        """All coins as of the last flush, by outpoint."""
        return self._store.iterate_coins()

    def size_on_disk(self) -> int:
        """Bytes of the store."""
        return self._store.size()

    def median_time_past_at(self, height: int) -> int:
        """Median time past of the active block at `height`, at most the tip's."""
        return self._tip.ancestor(height).median_time_past

    def find_transaction_block(self, txid: bytes) -> HeaderNode | None:
        """The active chain's block that holds `txid`, if that can be told.

        It can with the index of transactions, else while one of its outputs is unspent.
        """
        with self.lock:
            block_hash = self.lookup.find_block(txid)
            node = None if block_hash is None else self.tree.get(block_hash)
            if node is not None and self.is_active(node):
                return node
            for coin in self._coins.find_by_txid(txid).values():
                return self._tip.ancestor(coin.height)
            return None

    def find_spend(self, point: OutPoint) -> tuple[bytes, HeaderNode] | None:
        """Id and block of what spends an output on the active chain; needs the index of spends."""
        with self.lock:
            spend = self.lookup.find_spend(point)
            node = None if spend is None else self.tree.get(spend.block_hash)
            if spend is None or node is None or not self.is_active(node):
                return None
            return spend.txid, node

    # -- waiting ------------------------------------------------------------------------------

    def wait_for_tip(self, other_than: bytes, timeout: float) -> HeaderNode:
        """Wait up to `timeout` seconds until the tip's hash is another one; returns the tip."""
        return self.wait_until(lambda tip: tip.hash != other_than, timeout)

    def wait_until(
        self, condition: Callable[[HeaderNode], bool], timeout: float | None
    ) -> HeaderNode:
        """Wait until a tip meets the condition; returns the tip, which may not, when time is up.

        `timeout` is in seconds, None for no end; `stop_waiting` ends it in any case.
        """
        with self._tip_changed:
            self._tip_changed.wait_for(lambda: self._is_closing or condition(self._tip), timeout)
        return self._tip

    @property
    def is_closing(self) -> bool:
        """Whether nobody may wait any more."""
        return self._is_closing

    def stop_waiting(self) -> None:
        """Let everybody go on who waits, and nobody wait any more, since the node stops."""
        with self._tip_changed:
            self._is_closing = True
            self._tip_changed.notify_all()


def block_name(node: HeaderNode) -> str:
    """What errors and logs call a block."""
    return f"block {node.height} ({node.header.hash_hex})"
