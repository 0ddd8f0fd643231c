"""Bitcoin Core's ZeroMQ notifications, byte for byte (its `doc/zmq.md`). Pure.

    topic       body                         sent for
    hashblock   the block's hash             each new tip
    rawblock    the block                    each new tip
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


def bodies_of(
    event: Event, wanted: Container[Topic], block_bytes: Callable[[HeaderNode], bytes]
) -> Iterator[Body]:
    """The messages of an event on the wanted topics, in Core's order.

    `block_bytes` finds a block's serialisation.
    """
    match event:
        case BlockConnected(node, block) | BlockDisconnected(node, block):
            for tx in block.transactions:
                yield from _transaction(tx, wanted)
            if Topic.SEQUENCE in wanted:
                label = b"C" if isinstance(event, BlockConnected) else b"D"
                yield Body(Topic.SEQUENCE, node.hash[::-1] + label)
        case TipChanged(_, new):
            if Topic.HASHBLOCK in wanted:
                yield Body(Topic.HASHBLOCK, new.hash[::-1])
            if Topic.RAWBLOCK in wanted:
                yield Body(Topic.RAWBLOCK, block_bytes(new))
        case TransactionAdded(tx, _, number):
            yield from _transaction(tx, wanted)
            if Topic.SEQUENCE in wanted:
                yield Body(Topic.SEQUENCE, tx.txid[::-1] + b"A" + number.to_bytes(8, "little"))
        case TransactionRemoved(tx, _, number):
            if Topic.SEQUENCE in wanted:
                yield Body(Topic.SEQUENCE, tx.txid[::-1] + b"R" + number.to_bytes(8, "little"))


def _transaction(tx: Transaction, wanted: Container[Topic]) -> Iterator[Body]:
    if Topic.HASHTX in wanted:
        yield Body(Topic.HASHTX, tx.txid[::-1])
    if Topic.RAWTX in wanted:
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
