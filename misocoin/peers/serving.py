"""Answers to what peers ask for: reads of the chain and the pool, each bounded."""

from collections.abc import Callable, Iterator
from typing import Protocol

from misocoin.consensus.tree import HeaderNode, fork_point
from misocoin.errors import NotFoundError, ParseError
from misocoin.peers.compact import compact_from_block
from misocoin.peers.limits import MAX_HEADERS
from misocoin.peers.messages import (
    Address,
    Addresses,
    BlockBody,
    BlockTransactions,
    GetAddresses,
    GetBlocks,
    GetBlockTransactions,
    GetCompact,
    GetHeaders,
    GetTransactions,
    Headers,
    Message,
    NotFound,
    Request,
    Transactions,
)
from misocoin.primitives.block import Block, block_from_bytes, header_from_bytes
from misocoin.primitives.transaction import Transaction

CHUNK = 100_000
"""Bytes of transactions in one message, about."""

RECENT = 8
"""Parsed blocks kept at hand."""


class BlockSource(Protocol):
    """What is read of the chain."""

    @property
    def tip(self) -> HeaderNode:
        """The active chain's last block."""

    def get(self, block_hash: bytes) -> HeaderNode | None:
        """The node of a known header."""

    def get_block_bytes(self, node: HeaderNode) -> bytes:
        """The block as on the wire; raises NotFoundError where it is not stored."""


class Responder:
    """Answers requests. Any number of threads may ask at once."""

    def __init__(
        self,
        chain: BlockSource,
        find_transaction: Callable[[bytes], Transaction | None],
        addresses: Callable[[bool], tuple[Address, ...]],
        new_nonce: Callable[[], int],
    ) -> None:
        """Read from these.

        `find_transaction` looks a witness id or id up in the pool, `addresses` gives a sample
        (with private ones, if its argument says so), `new_nonce` 64 random bits.
        """
        self._chain = chain
        self._find_transaction = find_transaction
        self._addresses = addresses
        self._new_nonce = new_nonce
        self._recent: dict[bytes, Block] = {}

    def answer(self, request: Request, *, is_local: bool = False) -> Iterator[Message]:
        """The messages that answer a request, made one by one as they are taken."""
        match request:
            case GetHeaders(locator):
                yield self._headers(locator)
            case GetBlocks(hashes):
                yield from self._blocks(hashes)
            case GetCompact(block_hash):
                block = self._block(block_hash)
                if block is None:
                    yield NotFound((block_hash,))
                else:
                    yield compact_from_block(block, self._new_nonce())
            case GetBlockTransactions(block_hash, indexes):
                yield self._block_transactions(block_hash, indexes)
            case GetTransactions(ids):
                yield from self._transactions(ids)
            case GetAddresses():
                yield Addresses(self._addresses(is_local))

    def _headers(self, locator: tuple[bytes, ...]) -> Headers:
        tip = self._chain.tip
        start = tip.ancestor(0)
        for block_hash in locator:
            node = self._chain.get(block_hash)
            if node is not None:
                # The fork point serves a locator that starts on a branch we left.
                start = node if node.is_ancestor_of(tip) else fork_point(node, tip)
                break
        last = tip.ancestor(min(tip.height, start.height + MAX_HEADERS))
        return Headers(tuple([node.header for node in last.back_to(start)][::-1]))

    def _blocks(self, hashes: tuple[bytes, ...]) -> Iterator[Message]:
        missing = []
        for block_hash in hashes:
            node = self._chain.get(block_hash)
            try:
                data = None if node is None else self._chain.get_block_bytes(node)
            except NotFoundError:
                data = None
            recent = self._recent.get(block_hash)
            if data is None and recent is not None:
                data = recent.serialize()  # passed on, and still being validated
            if data is None:
                missing.append(block_hash)
            else:
                yield BlockBody(header_from_bytes(data), data)
        if missing:
            yield NotFound(tuple(missing))

    def _block(self, block_hash: bytes) -> Block | None:
        recent = self._recent.get(block_hash)
        if recent is not None:
            return recent
        node = self._chain.get(block_hash)
        if node is None:
            return None
        try:
            block = block_from_bytes(self._chain.get_block_bytes(node))
        except (NotFoundError, ParseError):
            return None
        self.remember(block)  # several peers ask for one new block
        return block

    def remember(self, block: Block) -> None:
        """Keep a block at hand that peers will ask for, perhaps before it is stored."""
        self._recent = dict([*list(self._recent.items())[1 - RECENT :], (block.hash, block)])

    def _block_transactions(self, block_hash: bytes, indexes: tuple[int, ...]) -> Message:
        block = self._block(block_hash)
        if block is None or (indexes and indexes[-1] >= len(block.transactions)):
            return NotFound((block_hash,))
        return BlockTransactions(block_hash, tuple([block.transactions[i] for i in indexes]))

    def _transactions(self, ids: tuple[bytes, ...]) -> Iterator[Message]:
        missing = []
        found = []
        size = 0
        for wanted in ids:
            tx = self._find_transaction(wanted)
            if tx is None:
                missing.append(wanted)
                continue
            found.append(tx)
            size += tx.size
            if size >= CHUNK:
                yield Transactions(tuple(found))
                found, size = [], 0
        if found:
            yield Transactions(tuple(found))
        if missing:
            yield NotFound(tuple(missing))
