"""Results that can be checked: proof of work, of two kinds.

Work and result are what travels between buyer and seller. A checker decides a dispute about a
trade of version 2, and a buyer's client accepts nothing it refuses.

| checker | work | result |
|---|---|---|
| `bitmessage` | JSON `{"initialHash": base64 (64 bytes), "target": number}` | `{"nonce": number}` |
| `hashcash` | JSON `{"prefix": text, "bits": number, "digest": "sha1" or "sha256"}` | the stamp |

A stamp is the prefix and a counter of 1 to 32 printable characters.
"""

import binascii
import json
import re
from base64 import b64decode
from collections.abc import Callable, Mapping
from hashlib import sha1, sha256
from types import MappingProxyType
from typing import Any, NamedTuple

from misocoin.errors import ParseError
from misocoin.market.errors import Malformed
from misocoin.pow.puzzles import BitmessagePuzzle

MAX_CHECKED = 10_000
"""Bytes of a work or a result that can be checked."""

_COUNTER = re.compile(r"[!-~]{1,32}", re.ASCII)


def bitmessage_puzzle_from_work(work: bytes) -> BitmessagePuzzle:
    """Read the work of `net.misocoin/pow/bitmessage/0`. Raises Malformed."""
    fields = _object_from_json(work, {"initialHash": str, "target": int})
    try:
        return BitmessagePuzzle(b64decode(fields["initialHash"], validate=True), fields["target"])
    except (binascii.Error, ValueError):
        raise Malformed("initialHash is base64") from None
    except ParseError as error:
        raise Malformed(str(error)) from None


def nonce_from_bitmessage_result(result: bytes) -> int:
    """Read its result. Raises Malformed."""
    nonce: int = _object_from_json(result, {"nonce": int})["nonce"]
    if not 0 <= nonce < 1 << 64:
        raise Malformed("a nonce has 64 bits")
    return nonce


def is_bitmessage_result(work: bytes, result: bytes) -> bool:
    """Whether the nonce solves the puzzle. Raises Malformed where the work is none."""
    puzzle = bitmessage_puzzle_from_work(work)
    try:
        return puzzle.is_solution(nonce_from_bitmessage_result(result))
    except Malformed:
        return False


class StampOrder(NamedTuple):
    """A hashcash stamp that is asked for."""

    prefix: str
    """The stamp up to and with the colon before the counter."""
    bits: int
    """Leading zero bits of its digest."""
    digest: str
    """`sha1`, which hashcash prescribes, or `sha256`."""


def stamp_order_from_work(work: bytes) -> StampOrder:
    """Read the work of `net.misocoin/pow/hashcash/0`. Raises Malformed."""
    fields = _object_from_json(work, {"prefix": str, "bits": int, "digest": str})
    order = StampOrder(fields["prefix"], fields["bits"], fields["digest"])
    if not order.prefix.isascii() or not order.prefix.isprintable():
        raise Malformed("a stamp is printable ASCII")
    if order.digest not in ("sha1", "sha256") or not 0 <= order.bits <= 64:
        raise Malformed("a stamp is of sha1 or sha256 and has 0 to 64 bits")
    return order


def is_hashcash_result(work: bytes, result: bytes) -> bool:
    """Whether the stamp is the one asked for. Raises Malformed where the work is none."""
    order = stamp_order_from_work(work)
    prefix = order.prefix.encode("ascii")
    counter = result.removeprefix(prefix).decode("latin-1")
    if not result.startswith(prefix) or _COUNTER.fullmatch(counter) is None:
        return False
    hashed = sha1 if order.digest == "sha1" else sha256
    digest = hashed(result, usedforsecurity=False).digest()
    return len(digest) * 8 - int.from_bytes(digest, "big").bit_length() >= order.bits


Checker = Callable[[bytes, bytes], bool]
"""From work and result to whether it is right; raises Malformed where the work is none."""

CHECKERS: Mapping[str, Checker] = MappingProxyType(
    {"bitmessage": is_bitmessage_result, "hashcash": is_hashcash_result}
)
"""By the names that the registry of articles uses."""


def _object_from_json(data: bytes, types: Mapping[str, type]) -> dict[str, Any]:
    """Read a JSON object that has these fields, of these types; others are passed over."""
    if len(data) > MAX_CHECKED:
        raise Malformed(f"what is checked has {MAX_CHECKED} bytes at most")
    try:
        fields = json.loads(data)
    except (ValueError, RecursionError):
        raise Malformed("not JSON") from None
    if not isinstance(fields, dict):
        raise Malformed("not a JSON object")
    for name, kind in types.items():
        if type(fields.get(name)) is not kind:
            raise Malformed(f"{name} is missing or of another type")
    return fields
