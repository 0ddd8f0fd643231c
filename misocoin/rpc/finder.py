"""Finding transactions: in the mempool, in a block that is named, or in the chain."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from threading import Lock
from typing import NamedTuple

from misocoin.chain.mempool import Mempool
from misocoin.chain.state import ChainState
from misocoin.consensus.tree import HeaderNode
from misocoin.primitives.block import Block
from misocoin.primitives.transaction import Transaction

FindOwn = Callable[[bytes], tuple[Transaction, bytes | None] | None]
"""From a txid to the wallet's transaction and the hash of its block, if it is the wallet's."""

KEPT_BYTES = 4 << 20
"""Blocks that are kept parsed, by their size on the wire; in memory they take five times that."""


class Found(NamedTuple):
    """A transaction and where it is."""

    tx: Transaction
    node: HeaderNode | None = None
    """Its block; None while it waits."""
    place: int = 0
    """Its place in the block, where that is known."""


class _Parsed(NamedTuple):
    block: Block
    places: Mapping[bytes, int]


class TransactionFinder:
    """Looks transactions up. Any number of threads may ask at once."""

    def __init__(self, chain: ChainState, mempool: Mempool, find_own: FindOwn) -> None:
        self._chain = chain
        self._mempool = mempool
        self._find_own = find_own
        self._lock = Lock()
        self._kept: OrderedDict[bytes, _Parsed] = OrderedDict()
        self._size = 0

    def find(self, txid: bytes, *, with_own: bool = False) -> Found | None:
        """A transaction of the mempool, or of the chain where its block can be told.

        That is with the index of transactions, or while an output of it is unspent; `with_own`
        the wallet's are found, too.
        """
        chain = self._chain
        with chain.lock:
            waiting = self._mempool.get(txid)
            if waiting is not None:
                return Found(waiting.tx)
            node = chain.find_transaction_block(txid)
        if node is not None:
            return self.find_in(node, txid)
        own = self._find_own(txid) if with_own else None
        if own is None:
            return None
        tx, block_hash = own
        return Found(tx, None if block_hash is None else chain.find(block_hash))

    def find_in(self, node: HeaderNode, txid: bytes) -> Found | None:
        """A transaction of a block; raises NotFoundError where its body is unknown."""
        parsed = self._parsed(node)
        place = parsed.places.get(txid)
        return None if place is None else Found(parsed.block.transactions[place], node, place)

    def _parsed(self, node: HeaderNode) -> _Parsed:
        with self._lock:
            known = self._kept.get(node.hash)
            if known is not None:
                self._kept.move_to_end(node.hash)
                return known
        block = self._chain.get_block(node)
        parsed = _Parsed(block, {tx.txid: place for place, tx in enumerate(block.transactions)})
        with self._lock:
            if node.hash not in self._kept:
                self._kept[node.hash] = parsed
                self._size += block.size
                while self._size > KEPT_BYTES and len(self._kept) > 1:
                    self._size -= self._kept.popitem(last=False)[1].block.size
        return parsed
