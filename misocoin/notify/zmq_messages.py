"""Bitcoin Core's ZeroMQ notifications, byte for byte (its `doc/zmq.md`). Pure.

    topic       body                         sent for
    hashblock   the block's hash             each new tip, but where blocks were only taken off
    rawblock    the block                    the same
    hashtx      the transaction's id         one that enters the mempool, and each one of a block
                                             that is connected or taken off
    rawtx       the transaction              the same
    sequence    hash, `C` or `D`             a block connected, taken off
                id, `A` or `R`, number       one that enters the mempool, or leaves it otherwise
                                             than by a block; the number (8 bytes, little-endian)
                                             counts all comings and goings of the mempool

Hashes are in display order. A message has three parts: topic, body, and the topic's own count of
messages (4 bytes, little-endian).
"""

from collections.abc import Callable, Container, Iterator
from enum import Enum
from typing import NamedTuple

from misocoin.chain.events import (
    BlockConnected,
    BlockDisconnected,
    Event,
    TipChanged,
    TransactionAdded,
    TransactionRemoved,
)
from misocoin.consensus.tree import HeaderNode
from misocoin.notify.tips import tips_on_the_way
from misocoin.primitives.block import Block
from misocoin.primitives.transaction import Transaction


class Topic(Enum):
    """What can be subscribed to."""

    HASHBLOCK = "hashblock"
    HASHTX = "hashtx"
    RAWBLOCK = "rawblock"
    RAWTX = "rawtx"
    SEQUENCE = "sequence"


class Body(NamedTuple):
    """A message before it is counted."""

    topic: Topic
    data: bytes


class MessageMaker:
    """Makes the messages of events, in Core's order.

    Core tells of a block that is connected only when the mempool has followed it: what conflicts
    with it, or comes back from blocks that were taken off, goes before.
    """

    def __init__(
        self, wanted: Container[Topic], block_bytes: Callable[[HeaderNode], bytes]
    ) -> None:
        """On the wanted topics; `block_bytes` finds a block's serialisation."""
        self._wanted = wanted
        self._block_bytes = block_bytes
        self._connected: list[BlockConnected] = []

    def of(self, event: Event) -> Iterator[Body]:
        """The messages that are due with this event."""
        wanted = self._wanted
        match event:
            case BlockConnected():
                self._connected.append(event)
            case BlockDisconnected(node, block):
                yield from self._told(node.parent or node)
                yield from self._block(node, block, b"D")
            case TipChanged(old, _):
                yield from self._told(old)
            case TransactionAdded(tx, _, number):
                yield from self._transaction(tx)
                if Topic.SEQUENCE in wanted:
                    yield Body(Topic.SEQUENCE, tx.txid[::-1] + b"A" + number.to_bytes(8, "little"))
            case TransactionRemoved(tx, _, number):
                if Topic.SEQUENCE in wanted:
                    yield Body(Topic.SEQUENCE, tx.txid[::-1] + b"R" + number.to_bytes(8, "little"))

    def _told(self, old: HeaderNode) -> Iterator[Body]:
        """Of the blocks that have been connected since that tip."""
        connected, self._connected = self._connected, []
        tips = set(tips_on_the_way(old, [each.node for each in connected]))
        for node, block in ((each.node, each.block) for each in connected):
            yield from self._block(node, block, b"C")
            if node in tips and Topic.HASHBLOCK in self._wanted:
                yield Body(Topic.HASHBLOCK, node.hash[::-1])
            if node in tips and Topic.RAWBLOCK in self._wanted:
                yield Body(Topic.RAWBLOCK, self._block_bytes(node))

    def _block(self, node: HeaderNode, block: Block, label: bytes) -> Iterator[Body]:
        for tx in block.transactions:
            yield from self._transaction(tx)
        if Topic.SEQUENCE in self._wanted:
            yield Body(Topic.SEQUENCE, node.hash[::-1] + label)

    def _transaction(self, tx: Transaction) -> Iterator[Body]:
        if Topic.HASHTX in self._wanted:
            yield Body(Topic.HASHTX, tx.txid[::-1])
        if Topic.RAWTX in self._wanted:
            yield Body(Topic.RAWTX, tx.serialize())


class MessageCounter:
    """Counts the messages of one topic; at 2**32 it begins again."""

    def __init__(self, topic: Topic) -> None:
        self._topic = topic.value.encode()
        self._count = 0

    def message(self, data: bytes) -> tuple[bytes, bytes, bytes]:
        """The three parts of the next message."""
        number = self._count.to_bytes(4, "little")
        self._count = (self._count + 1) & 0xFFFFFFFF
        return self._topic, data, number
