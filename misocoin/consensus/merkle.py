"""Merkle roots over transaction ids, and the branches that prove one of them."""

from collections.abc import Sequence

from misocoin.crypto.hashes import sha256d


def calculate_merkle_root(hashes: Sequence[bytes]) -> tuple[bytes, bool]:
    """The root over `hashes` (32 bytes each, wire order) and whether the list is malleable.

    A level of odd length repeats its last hash, so that a list with a repeated tail can have the
    root of a shorter one (CVE-2012-2459). It is reported as malleable where two equal hashes
    meet as a pair that was not made by padding. The root of nothing is 32 zero bytes.
    """
    if not hashes:
        return bytes(32), False
    level = list(hashes)
    malleable = False
    while len(level) > 1:
        malleable = malleable or any(level[i] == level[i + 1] for i in range(0, len(level) - 1, 2))
        if len(level) & 1:
            level.append(level[-1])
        level = [sha256d(level[i] + level[i + 1]) for i in range(0, len(level), 2)]
    return level[0], malleable


def calculate_merkle_branch(hashes: Sequence[bytes], index: int) -> tuple[bytes, ...]:
    """The hashes beside the path from leaf `index` to the root, lowest first."""
    branch = []
    level = list(hashes)
    while len(level) > 1:
        if len(level) & 1:
            level.append(level[-1])
        branch.append(level[index ^ 1])
        level = [sha256d(level[i] + level[i + 1]) for i in range(0, len(level), 2)]
        index >>= 1
    return tuple(branch)


def merkle_root_from_branch(leaf: bytes, branch: Sequence[bytes], index: int) -> bytes:
    """The root that `branch` leads to from `leaf` at position `index`."""
    node = leaf
    for sibling in branch:
        node = sha256d(sibling + node) if index & 1 else sha256d(node + sibling)
        index >>= 1
    return node
