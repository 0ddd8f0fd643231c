"""Blocks as JSON, in four levels of detail, with the costly part of the last ones kept.

A block's transactions never change, so what was written once serves everybody who asks again:
explorers and indexers ask for the same new block several times, and anybody may ask.
"""

from collections import OrderedDict
from threading import Lock
from typing import NamedTuple

import orjson

from misocoin.chain.state import ChainState
from misocoin.consensus.coins import Coin
from misocoin.consensus.tree import HeaderNode
from misocoin.errors import NotFoundError
from misocoin.rpc.forms import BlockBody, block_json, hash_hex, tx_json
from misocoin.rpc.json import Json, bytes_from_json

KEPT_BYTES = 64 << 20
"""Memory for what was written."""


class _Written(NamedTuple):
    """What is the same about a block whenever it is asked for."""

    body: BlockBody
    transactions: bytes
    """JSON of the array."""


class BlockForms:
    """Writes blocks. Any number of threads may ask at once."""

    def __init__(self, chain: ChainState, kept_bytes: int = KEPT_BYTES) -> None:
        self._chain = chain
        self._kept_bytes = kept_bytes
        self._lock = Lock()
        self._kept: OrderedDict[tuple[bytes, int], _Written] = OrderedDict()
        self._size = 0

    @property
    def kept_bytes(self) -> int:
        """Memory that is taken up now."""
        return self._size

    def form(self, node: HeaderNode, detail: int) -> Json:
        """A block at a level of detail.

        0: its bytes in hex; 1: with its transactions' ids; 2: with whole transactions and their
        fees; 3: with the coins they spend, too. Raises NotFoundError where its body is unknown.
        """
        chain = self._chain
        if detail == 0:
            return chain.get_block_bytes(node).hex()
        written = self._written(node, detail)
        transactions = orjson.Fragment(written.transactions)
        return block_json(written.body, node, chain.tip, chain.params, transactions)

    def _written(self, node: HeaderNode, detail: int) -> _Written:
        key = (node.hash, detail)
        with self._lock:
            known = self._kept.get(key)
            if known is not None:
                self._kept.move_to_end(key)
                return known
        written, is_final = self._write(node, detail)
        size = len(written.transactions)
        with self._lock:
            if is_final and key not in self._kept and size <= self._kept_bytes // 4:
                self._kept[key] = written
                self._size += size
                while self._size > self._kept_bytes:
                    self._size -= len(self._kept.popitem(last=False)[1].transactions)
        return written

    def _write(self, node: HeaderNode, detail: int) -> tuple[_Written, bool]:
        """What is to be kept, and whether nothing can be added to it later."""
        block = self._chain.get_block(node)
        transactions = block.transactions
        body = BlockBody(len(transactions), block.stripped_size, block.size)
        if detail == 1:
            ids = [hash_hex(tx.txid) for tx in transactions]
            return _Written(body, bytes_from_json(ids)), True
        is_final = True
        undo: tuple[tuple[Coin, ...], ...]
        try:
            undo = ((), *self._chain.get_undo(node))
        except NotFoundError:  # it was never connected, so what it spends is not known
            undo = ((),) * len(transactions)
            is_final = False
        params = self._chain.params
        parts = [
            bytes_from_json(tx_json(tx, params, spent, with_prevouts=detail == 3))
            for tx, spent in zip(transactions, undo, strict=True)
        ]
        return _Written(body, b"[" + b",".join(parts) + b"]"), is_final
