"""Partial merkle trees: proof that a block's merkle root covers some of its transactions (BIP37).

A merkle block is a header and such a tree, as Core's `gettxoutproof` answers. The tree is walked
depth first: a bit says whether something to prove lies below a node, a hash stands for a node with
nothing below it, and for each leaf.
"""

from collections.abc import Sequence
from typing import NamedTuple

from misocoin.codec import Reader, compact_size
from misocoin.consensus.tx_rules import MAX_BLOCK_WEIGHT, WITNESS_SCALE_FACTOR
from misocoin.crypto.hashes import sha256d
from misocoin.errors import ParseError
from misocoin.primitives.block import HEADER_SIZE, BlockHeader, header_from_bytes

MIN_TRANSACTION_WEIGHT = 60 * WITNESS_SCALE_FACTOR
"""No transaction weighs less, so that a block holds so many at most."""


class PartialMerkleTree(NamedTuple):
    """A proof as it goes over the wire."""

    tx_count: int
    """Transactions of the block."""
    hashes: tuple[bytes, ...]
    """32 bytes each, depth first."""
    bits: tuple[bool, ...]
    """One for each node that is visited, depth first."""

    def serialize(self) -> bytes:
        """Count, hashes, and the bits, eight in a byte, the first one lowest."""
        packed = bytearray((len(self.bits) + 7) // 8)
        for place, bit in enumerate(self.bits):
            packed[place // 8] |= bit << place % 8
        return b"".join(
            (
                self.tx_count.to_bytes(4, "little"),
                compact_size(len(self.hashes)),
                *self.hashes,
                compact_size(len(packed)),
                packed,
            )
        )


class Proven(NamedTuple):
    """What a partial merkle tree shows."""

    root: bytes
    """The merkle root that it leads to."""
    txids: tuple[bytes, ...]
    """The transactions it proves, in the block's order."""
    places: tuple[int, ...]
    """Their places in the block."""


class MerkleBlock(NamedTuple):
    """A header and what is proven of its block."""

    header: BlockHeader
    tree: PartialMerkleTree

    def serialize(self) -> bytes:
        """The form of the message `merkleblock`."""
        return self.header.serialize() + self.tree.serialize()


def _width(count: int, height: int) -> int:
    """Nodes at a height above the leaves."""
    return (count + (1 << height) - 1) >> height


def _top(count: int) -> int:
    return (count - 1).bit_length()


def build_partial_merkle_tree(
    txids: Sequence[bytes], wanted: frozenset[bytes]
) -> PartialMerkleTree:
    """The proof for those of a block's `txids` that are in `wanted`; raises ValueError for none."""
    if not txids:
        raise ValueError("a block without transactions proves nothing")
    levels = [list(txids)]
    marks = [[txid in wanted for txid in txids]]
    while len(levels[-1]) > 1:
        row, marked = levels[-1], marks[-1]
        if len(row) & 1:
            row, marked = [*row, row[-1]], [*marked, False]
        levels.append([sha256d(row[i] + row[i + 1]) for i in range(0, len(row), 2)])
        marks.append([marked[i] or marked[i + 1] for i in range(0, len(row), 2)])
    hashes: list[bytes] = []
    bits: list[bool] = []
    todo = [(len(levels) - 1, 0)]
    while todo:
        height, place = todo.pop()
        has_match = marks[height][place]
        bits.append(has_match)
        if height == 0 or not has_match:
            hashes.append(levels[height][place])
            continue
        if 2 * place + 1 < len(levels[height - 1]):
            todo.append((height - 1, 2 * place + 1))
        todo.append((height - 1, 2 * place))
    return PartialMerkleTree(len(txids), tuple(hashes), tuple(bits))


def check_partial_merkle_tree(tree: PartialMerkleTree) -> Proven:
    """What a tree proves; raises ParseError for one that is not exactly a proof.

    The same node must not come twice as left and right (CVE-2012-2459). Whoever knows how many
    transactions the block has must compare `tx_count`: another one makes inner nodes look like ids.
    """
    count = tree.tx_count
    if not 0 < count <= MAX_BLOCK_WEIGHT // MIN_TRANSACTION_WEIGHT:
        raise ParseError(f"no block holds {count} transactions")
    if len(tree.hashes) > count or len(tree.bits) < len(tree.hashes):
        raise ParseError("more hashes than a proof has")
    reading = _Reading(tree)
    root = reading.node(_top(count), 0)
    if (reading.bits_used + 7) // 8 != (len(tree.bits) + 7) // 8:
        raise ParseError("bits left over")
    if reading.hashes_used != len(tree.hashes):
        raise ParseError("hashes left over")
    return Proven(root, tuple(reading.txids), tuple(reading.places))


class _Reading:
    """Walks a tree; it is 17 levels deep at most."""

    def __init__(self, tree: PartialMerkleTree) -> None:
        self._tree = tree
        self.bits_used = 0
        self.hashes_used = 0
        self.txids: list[bytes] = []
        self.places: list[int] = []

    def node(self, height: int, place: int) -> bytes:
        tree = self._tree
        if self.bits_used >= len(tree.bits):
            raise ParseError("too few bits")
        has_match = tree.bits[self.bits_used]
        self.bits_used += 1
        if height == 0 or not has_match:
            if self.hashes_used >= len(tree.hashes):
                raise ParseError("too few hashes")
            found = tree.hashes[self.hashes_used]
            self.hashes_used += 1
            if height == 0 and has_match:
                self.txids.append(found)
                self.places.append(place)
            return found
        left = right = self.node(height - 1, 2 * place)
        if 2 * place + 1 < _width(tree.tx_count, height - 1):
            right = self.node(height - 1, 2 * place + 1)
            if left == right:
                raise ParseError("two nodes beside each other are the same")
        return sha256d(left + right)


def merkle_block_from_bytes(data: bytes) -> MerkleBlock:
    """Read a merkle block; raises ParseError for anything else, leftovers included."""
    header = header_from_bytes(data)
    reader = Reader(data, HEADER_SIZE)
    count = reader.uint(4)
    hashes = tuple([reader.take(32) for _ in range(_bounded(reader, 32))])
    packed = reader.take(_bounded(reader, 1))
    reader.expect_end()
    bits = tuple([bool(byte >> place & 1) for byte in packed for place in range(8)])
    return MerkleBlock(header, PartialMerkleTree(count, hashes, bits))


def _bounded(reader: Reader, size: int) -> int:
    count = reader.compact_size()
    if count * size > reader.remaining:
        raise ParseError("unexpected end of a merkle block")
    return count
