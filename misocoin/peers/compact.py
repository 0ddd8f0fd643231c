"""Compact blocks (BIP152, version 2): made, and put together again from known transactions."""

from collections.abc import Iterable
from typing import NamedTuple

from misocoin.consensus.merkle import calculate_merkle_root
from misocoin.crypto.hashes import sha256
from misocoin.crypto.siphash import siphash24
from misocoin.peers.messages import SHORT_ID_SIZE, CompactBlock
from misocoin.primitives.block import Block, BlockHeader
from misocoin.primitives.transaction import Transaction


def short_id_key(header: BlockHeader, nonce: int) -> bytes:
    """The SipHash key of a block's short ids: 16 bytes of SHA-256 of header and nonce."""
    return sha256(header.serialize() + nonce.to_bytes(8, "little"))[:16]


def short_id(key: bytes, wtxid: bytes) -> bytes:
    """The six low bytes of SipHash-2-4 of a witness id, little-endian."""
    return siphash24(key, wtxid).to_bytes(8, "little")[:SHORT_ID_SIZE]


def compact_from_block(block: Block, nonce: int) -> CompactBlock:
    """A block in compact form, its coinbase prefilled."""
    key = short_id_key(block.header, nonce)
    ids = tuple([short_id(key, tx.wtxid) for tx in block.transactions[1:]])
    return CompactBlock(block.header, nonce, ids, ((0, block.transactions[0]),))


class PartialBlock(NamedTuple):
    """A block with some of its transactions still missing."""

    header: BlockHeader
    transactions: tuple[Transaction | None, ...]

    @property
    def missing(self) -> tuple[int, ...]:
        """Where transactions are missing."""
        return tuple([i for i, tx in enumerate(self.transactions) if tx is None])

    def fill(self, transactions: Iterable[Transaction]) -> "PartialBlock":
        """Put transactions where some are missing, in order; leftovers are dropped."""
        coming = iter(transactions)
        return self._replace(
            transactions=tuple(
                [tx if tx is not None else next(coming, None) for tx in self.transactions]
            )
        )

    def complete(self) -> Block | None:
        """The whole block, if nothing is missing and the merkle root is the header's.

        Another root means that two transactions share a short id (or that somebody lied).
        """
        whole = tuple([tx for tx in self.transactions if tx is not None])
        if len(whole) != len(self.transactions):
            return None
        root, is_malleable = calculate_merkle_root([tx.txid for tx in whole])
        if root != self.header.merkle_root or is_malleable:
            return None
        return Block(self.header, whole)


def partial_from_compact(
    compact: CompactBlock, known: Iterable[Transaction]
) -> PartialBlock | None:
    """Find a compact block's transactions among `known`.

    None where two of its short ids are equal: then only the whole block helps. Where two known
    transactions share a wanted short id, neither is taken.
    """
    if len(set(compact.short_ids)) != len(compact.short_ids):
        return None
    key = short_id_key(compact.header, compact.nonce)
    wanted = dict.fromkeys(compact.short_ids)
    found: dict[bytes, Transaction | None] = {}
    hashed, size = siphash24, SHORT_ID_SIZE
    for tx in known:
        name = hashed(key, tx.wtxid).to_bytes(8, "little")[:size]
        if name in wanted:
            found[name] = None if name in found else tx
    prefilled = dict(compact.prefilled)
    total = len(compact.short_ids) + len(prefilled)
    names = iter(compact.short_ids)
    transactions = [
        prefilled[index] if index in prefilled else found.get(next(names)) for index in range(total)
    ]
    return PartialBlock(compact.header, tuple(transactions))
