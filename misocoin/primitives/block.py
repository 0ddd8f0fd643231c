"""Block headers and blocks in Bitcoin's serialisation. Hashes are 32 bytes in wire order."""

from collections.abc import Iterable
from struct import Struct
from typing import NamedTuple

from misocoin.codec import compact_size
from misocoin.crypto.hashes import sha256d
from misocoin.errors import ParseError
from misocoin.primitives.transaction import Transaction, read_count, read_transaction

HEADER_SIZE = 80
"""Bytes of a serialised header."""

NULL_HASH = bytes(32)
"""The hash that stands before genesis."""

_HEADER = Struct("<i32s32sIII")


class BlockHeader(NamedTuple):
    """The 80 bytes whose double SHA-256 is the proof of work, and that hash."""

    version: int
    """Signed 32 bits."""
    prev_hash: bytes
    merkle_root: bytes
    time: int
    """Unix time, unsigned 32 bits."""
    bits: int
    """The target in compact form."""
    nonce: int
    hash: bytes
    """Double SHA-256 of the 80 bytes."""

    @classmethod
    def build(
        cls,
        version: int,
        prev_hash: bytes,
        merkle_root: bytes,
        time: int,
        bits: int,
        nonce: int,
    ) -> "BlockHeader":
        """Make a header from its six fields."""
        raw = _HEADER.pack(version, prev_hash, merkle_root, time, bits, nonce)
        return cls(version, prev_hash, merkle_root, time, bits, nonce, sha256d(raw))

    @property
    def hash_hex(self) -> str:
        """The block's id as people see it: display order, hex."""
        return self.hash[::-1].hex()

    def serialize(self) -> bytes:
        """The 80 bytes."""
        return _HEADER.pack(*self[:6])


class Block(NamedTuple):
    """A header and its transactions, the coinbase first."""

    header: BlockHeader
    transactions: tuple[Transaction, ...]

    @property
    def hash(self) -> bytes:
        """The header's hash."""
        return self.header.hash

    @property
    def size(self) -> int:
        """Bytes with witness."""
        count = len(self.transactions)
        return HEADER_SIZE + len(compact_size(count)) + sum(tx.size for tx in self.transactions)

    @property
    def stripped_size(self) -> int:
        """Bytes without witness."""
        count = len(self.transactions)
        own = HEADER_SIZE + len(compact_size(count))
        return own + sum(tx.stripped_size for tx in self.transactions)

    @property
    def weight(self) -> int:
        """Weight units (BIP141)."""
        return 3 * self.stripped_size + self.size

    def serialize(self, *, witness: bool = True) -> bytes:
        """The bytes on the wire."""
        parts = [self.header.serialize(), compact_size(len(self.transactions))]
        parts += [tx.serialize(witness=witness) for tx in self.transactions]
        return b"".join(parts)


def header_from_bytes(data: bytes, at: int = 0) -> BlockHeader:
    """Parse the 80 bytes at offset `at`; raises ParseError where they are not all there."""
    raw = data[at : at + HEADER_SIZE]
    if len(raw) != HEADER_SIZE:
        raise ParseError(f"a block header is {HEADER_SIZE} bytes, not {len(raw)}")
    version, prev_hash, merkle_root, time, bits, nonce = _HEADER.unpack(raw)
    return BlockHeader(version, prev_hash, merkle_root, time, bits, nonce, sha256d(raw))


def block_from_bytes(data: bytes) -> Block:
    """Parse one whole block; raises ParseError for anything else, leftovers included."""
    block, at = read_block(data)
    if at != len(data):
        raise ParseError(f"{len(data) - at} bytes after the block")
    return block


def read_block(data: bytes) -> tuple[Block, int]:
    """Parse the block that the bytes begin with; returns it and the offset behind it.

    Raises ParseError.
    """
    header = header_from_bytes(data)
    try:
        count, at = read_count(data, HEADER_SIZE)
    except IndexError as error:
        raise ParseError("block: unexpected end") from error
    transactions = []
    for _ in range(count):
        tx, at = read_transaction(data, at)
        transactions.append(tx)
    return Block(header, tuple(transactions)), at


def headers_from_bytes(data: bytes) -> tuple[BlockHeader, ...]:
    """Parse headers that stand one behind the other (the form of REST's `headers`).

    Raises ParseError where the last one is cut off.
    """
    return tuple(header_from_bytes(data, at) for at in range(0, len(data), HEADER_SIZE))


def serialize_headers(headers: Iterable[BlockHeader]) -> bytes:
    """Headers one behind the other."""
    return b"".join(header.serialize() for header in headers)
