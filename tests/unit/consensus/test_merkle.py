import pytest

from misocoin.consensus.merkle import (
    calculate_merkle_branch,
    calculate_merkle_root,
    merkle_root_from_branch,
)
from misocoin.crypto.hashes import sha256d

# Bitcoin's block 100,000.
BLOCK_100000 = [
    bytes.fromhex(txid)[::-1]
    for txid in (
        "8c14f0db3df150123e6f3dbbf30f8b955a8249b62ac1d1ff16284aefa3d06d87",
        "fff2525b8931402dd09222c50775608f75787bd2b87e56995a7bdd30f79702c4",
        "6359f0868171b1d194cbee1af2f16ea598ae8fad666d9b012c8ed2b79a236ec4",
        "e9a66845e05d5abc0ad04ec80f774a7e585c6e8db975962d069a522137b80c1d",
    )
]
ROOT_100000 = bytes.fromhex("f3e94742aca4b5ef85488dc37c06c3282295ffec960994b2c0d5ac2a25a95766")[
    ::-1
]

A, B, C, D, E, F = (bytes([letter]) * 32 for letter in b"abcdef")


def test_the_root_of_block_100000():
    assert calculate_merkle_root(BLOCK_100000) == (ROOT_100000, False)


def test_the_root_of_nothing_and_of_one():
    assert calculate_merkle_root([]) == (bytes(32), False)
    assert calculate_merkle_root([A]) == (A, False)


def test_a_level_of_odd_length_repeats_its_last():
    ab, cc = sha256d(A + B), sha256d(C + C)
    assert calculate_merkle_root([A, B, C]) == (sha256d(ab + cc), False)
    ee = sha256d(E + E)
    assert calculate_merkle_root([A, B, C, D, E]) == (
        sha256d(sha256d(ab + sha256d(C + D)) + sha256d(ee + ee)),
        False,
    )


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ([A, B, C], [A, B, C, C]),
        ([A, B, C, D, E], [A, B, C, D, E, E]),
        ([A, B, C, D, E, F], [A, B, C, D, E, F, E, F]),
        ([A, B, C, D, E], [A, B, C, D, E, E, E, E]),
    ],
)
def test_a_repeated_tail_has_the_same_root_and_is_noticed(short, long):
    """CVE-2012-2459."""
    root, malleable = calculate_merkle_root(short)
    assert not malleable
    assert calculate_merkle_root(long) == (root, True)


def test_equal_hashes_apart_are_no_malleability():
    assert calculate_merkle_root([A, B, A, C])[1] is False
    assert calculate_merkle_root([B, A, A, C])[1] is False


def test_equal_hashes_as_a_pair_are():
    assert calculate_merkle_root([A, A, B, C])[1] is True
    assert calculate_merkle_root([A, B, A, B, C])[1] is True


def test_a_branch_of_block_100000():
    branch = calculate_merkle_branch(BLOCK_100000, 2)
    assert branch == (BLOCK_100000[3], sha256d(BLOCK_100000[0] + BLOCK_100000[1]))
    assert merkle_root_from_branch(BLOCK_100000[2], branch, 2) == ROOT_100000
    assert merkle_root_from_branch(BLOCK_100000[1], branch, 2) != ROOT_100000
    assert merkle_root_from_branch(BLOCK_100000[2], branch, 3) != ROOT_100000


def test_a_branch_beside_a_repeated_leaf():
    branch = calculate_merkle_branch([A, B, C], 2)
    assert branch == (C, sha256d(A + B))
    assert merkle_root_from_branch(C, branch, 2) == calculate_merkle_root([A, B, C])[0]
    assert calculate_merkle_branch([A, B, C], 0) == (B, sha256d(C + C))


def test_the_branch_of_a_lonely_leaf_is_empty():
    assert calculate_merkle_branch([A], 0) == ()
    assert merkle_root_from_branch(A, (), 0) == A
