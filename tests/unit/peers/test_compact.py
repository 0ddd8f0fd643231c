"""Compact blocks: SipHash by its vectors, short ids, and putting blocks together."""

import pytest

from misocoin.crypto.siphash import siphash24, siphash24_portable
from misocoin.params import regtest
from misocoin.peers.compact import (
    compact_from_block,
    partial_from_compact,
    short_id,
    short_id_key,
)
from misocoin.peers.messages import CompactBlock
from misocoin.primitives.block import Block, BlockHeader
from misocoin.primitives.transaction import OutPoint, Transaction, TxIn, TxOut

KEY = bytes(range(16))


@pytest.mark.parametrize("siphash", [siphash24, siphash24_portable])
@pytest.mark.parametrize(
    ("length", "digest"),
    # From the reference implementation's vectors_sip64 (key 00..0f, data 00, 01, ...).
    [
        (0, "310e0edd47db6f72"),
        (1, "fd67dc93c539f874"),
        (7, "37d1018bf50002ab"),
        (8, "6224939a79f5f593"),
        (15, "e545be4961ca29a1"),
        (63, "724506eb4c328a95"),
    ],
)
def test_siphash_vectors(siphash, length: int, digest: str) -> None:
    assert siphash(KEY, bytes(range(length))).to_bytes(8, "little").hex() == digest


def make_block(count: int) -> Block:
    transactions = tuple(
        [
            Transaction.build(1, [TxIn(OutPoint(bytes([n]) * 36))], [TxOut(n, b"\x51")])
            for n in range(1, count + 1)
        ]
    )
    from misocoin.consensus.merkle import calculate_merkle_root

    root, _ = calculate_merkle_root([tx.txid for tx in transactions])
    header = BlockHeader.build(4, regtest().genesis.hash, root, 5, 0x207FFFFF, 1)
    return Block(header, transactions)


BLOCK = make_block(9)


def test_the_short_id_of_bip152() -> None:
    key = short_id_key(BLOCK.header, 3)
    wtxid = BLOCK.transactions[1].wtxid
    assert short_id(key, wtxid) == siphash24(key, wtxid).to_bytes(8, "little")[:6]
    assert compact_from_block(BLOCK, 3).short_ids[0] == short_id(key, wtxid)
    assert compact_from_block(BLOCK, 4).short_ids != compact_from_block(BLOCK, 3).short_ids


def test_all_known() -> None:
    partial = partial_from_compact(compact_from_block(BLOCK, 3), BLOCK.transactions[::-1])
    assert partial is not None
    assert partial.missing == ()
    assert partial.complete() == BLOCK


def test_some_missing() -> None:
    known = [tx for i, tx in enumerate(BLOCK.transactions) if i not in (2, 5)]
    partial = partial_from_compact(compact_from_block(BLOCK, 3), known)
    assert partial is not None
    assert partial.missing == (2, 5)
    assert partial.complete() is None
    filled = partial.fill([BLOCK.transactions[2], BLOCK.transactions[5]])
    assert filled.complete() == BLOCK
    wrong = partial.fill([BLOCK.transactions[5], BLOCK.transactions[2]])
    assert wrong.complete() is None


def test_equal_short_ids_need_the_whole_block() -> None:
    compact = compact_from_block(BLOCK, 3)
    doubled = compact._replace(short_ids=(compact.short_ids[0], *compact.short_ids[:-1]))
    assert partial_from_compact(doubled, ()) is None


def test_two_candidates_for_one_short_id_count_as_missing() -> None:
    compact = compact_from_block(BLOCK, 3)
    twice = (*BLOCK.transactions, BLOCK.transactions[4])
    partial = partial_from_compact(compact, twice)
    assert partial is not None
    assert partial.missing == (4,)


def test_prefilled_ones_stand_where_they_belong() -> None:
    key = short_id_key(BLOCK.header, 3)
    ids = tuple([short_id(key, tx.wtxid) for i, tx in enumerate(BLOCK.transactions) if i % 2])
    prefilled = tuple([(i, tx) for i, tx in enumerate(BLOCK.transactions) if i % 2 == 0])
    compact = CompactBlock(BLOCK.header, 3, ids, prefilled)
    partial = partial_from_compact(compact, BLOCK.transactions)
    assert partial is not None
    assert partial.complete() == BLOCK
