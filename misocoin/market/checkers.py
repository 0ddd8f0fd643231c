"""Results that can be checked: proof of work, of two kinds (see `pow_work`).

A checker decides a dispute about a trade of version 2, and a buyer's client accepts nothing it
refuses.
"""

from collections.abc import Callable, Mapping
from hashlib import sha1, sha256
from types import MappingProxyType

from misocoin.market.errors import Malformed
from misocoin.market.pow_work import (
    bitmessage_puzzle_from_work,
    nonce_from_bitmessage_result,
    stamp_order_from_work,
)
from misocoin.pow.puzzles import StampDigest


def is_bitmessage_result(work: bytes, result: bytes) -> bool:
    """Whether the nonce solves the puzzle. Raises Malformed where the work is none."""
    puzzle = bitmessage_puzzle_from_work(work)
    try:
        return puzzle.is_solution(nonce_from_bitmessage_result(result))
    except Malformed:
        return False


def is_hashcash_result(work: bytes, result: bytes) -> bool:
    """Whether the stamp is the one asked for. Raises Malformed where the work is none."""
    order = stamp_order_from_work(work)
    if not order.has_form(result):
        return False
    hashed = sha1 if order.digest is StampDigest.SHA1 else sha256
    digest = hashed(result, usedforsecurity=False).digest()
    return len(digest) * 8 - int.from_bytes(digest, "big").bit_length() >= order.bits


Checker = Callable[[bytes, bytes], bool]
"""From work and result to whether it is right; raises Malformed where the work is none."""

CHECKERS: Mapping[str, Checker] = MappingProxyType(
    {"bitmessage": is_bitmessage_result, "hashcash": is_hashcash_result}
)
"""By the names that the registry of articles uses."""
