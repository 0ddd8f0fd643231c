"""Proofs that a block holds transactions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from misocoin.consensus.merkle import calculate_merkle_root
from misocoin.consensus.partial_merkle import (
    MerkleBlock,
    PartialMerkleTree,
    build_partial_merkle_tree,
    check_partial_merkle_tree,
    merkle_block_from_bytes,
)
from misocoin.errors import ParseError
from misocoin.params import regtest

HEADER = regtest().genesis.header


def ids(count: int) -> list[bytes]:
    return [number.to_bytes(32, "big") for number in range(1, count + 1)]


def test_a_tree_of_one_is_its_transaction() -> None:
    tree = build_partial_merkle_tree(ids(1), frozenset(ids(1)))
    assert tree == PartialMerkleTree(1, tuple(ids(1)), (True,))
    assert tree.serialize() == b"\x01\0\0\0\x01" + ids(1)[0] + b"\x01\x01"


@given(st.integers(1, 70), st.data())
def test_what_is_asked_for_is_proven_and_nothing_else(count: int, data: st.DataObject) -> None:
    txids = ids(count)
    wanted = data.draw(st.sets(st.sampled_from(txids), min_size=1))
    tree = build_partial_merkle_tree(txids, frozenset(wanted))
    read = merkle_block_from_bytes(MerkleBlock(HEADER, tree).serialize())
    assert read.header == HEADER
    proven = check_partial_merkle_tree(read.tree)
    assert proven.root == calculate_merkle_root(txids)[0]
    assert proven.txids == tuple(txid for txid in txids if txid in wanted)
    assert [txids[place] for place in proven.places] == list(proven.txids)


@given(st.integers(1, 40), st.data())
def test_a_changed_proof_leads_elsewhere_or_nowhere(count: int, data: st.DataObject) -> None:
    txids = ids(count)
    wanted = data.draw(st.sampled_from(txids))
    raw = bytearray(
        MerkleBlock(HEADER, build_partial_merkle_tree(txids, frozenset({wanted}))).serialize()
    )
    place = data.draw(st.integers(80, len(raw) - 1))
    raw[place] ^= 1 << data.draw(st.integers(0, 7))
    try:
        proven = check_partial_merkle_tree(merkle_block_from_bytes(bytes(raw)).tree)
    except ParseError:
        return
    right = calculate_merkle_root(txids)[0]
    assert proven.root != right or set(proven.txids) <= {*txids}


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for start in (b"", HEADER.serialize()):
        try:
            check_partial_merkle_tree(merkle_block_from_bytes(start + data).tree)
        except ParseError:
            continue


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        (PartialMerkleTree(0, (), ()), "no block holds"),
        (PartialMerkleTree(20_000, (), ()), "no block holds"),
        (PartialMerkleTree(1, tuple(ids(2)), (True,)), "more hashes"),
        (PartialMerkleTree(2, tuple(ids(1)), (True, True)), "too few bits"),
        (PartialMerkleTree(2, tuple(ids(1)), (True, True, True)), "too few hashes"),
        (PartialMerkleTree(2, (*ids(1), *ids(1)), (True, True, True)), "are the same"),
        (PartialMerkleTree(1, tuple(ids(1)), (True,) * 9), "bits left"),
        (PartialMerkleTree(2, tuple(ids(2)), (False, True)), "hashes left"),
    ],
)
def test_broken_proofs(tree: PartialMerkleTree, words: str) -> None:
    with pytest.raises(ParseError, match=words):
        check_partial_merkle_tree(tree)
