"""The stamps of the original pair of proxies, inside a request of JSON-RPC.

A request gets the member `nonce`, ten letters and digits, such that the SHA-256 of its canonical
JSON begins with zero bits (16 of them in the original), and the hex of that digest as member `pow`.
Both are written behind the request's own members and nothing else is touched but some escapes, so
that taking them out gives back the client's bytes. The original reads members in any order.
"""

import string
from hashlib import sha256
from hmac import compare_digest
from typing import Any, Final, NamedTuple

from misocoin.errors import ParseError
from misocoin.hashcash.canonical import (
    canonical_json,
    members_of,
    value_from_json,
    without_wide_escapes,
)
from misocoin.hashcash.errors import StampError, StampFault
from misocoin.pow.engine import Engine, StopFlag
from misocoin.pow.puzzles import HashcashPuzzle

DEFAULT_BITS: Final = 16
"""The original's four zero digits."""

NONCE_DIGITS: Final = (string.ascii_uppercase + string.ascii_lowercase + string.digits).encode()
"""What a nonce is written with."""

NONCE_SIZE: Final = 10
"""Digits of a nonce."""

_NONCE: Final = "nonce"
_POW: Final = "pow"


class Stamped(NamedTuple):
    """A request whose stamp is good."""

    request: bytes
    """The line without its stamp."""
    digest: bytes
    """The stamp's identity, 32 bytes."""
    bits: int
    """Zero bits that its digest begins with."""


def stamp_puzzle(line: bytes, bits: int = DEFAULT_BITS) -> HashcashPuzzle:
    """What must be searched to stamp a request; raises ParseError for what is not an object."""
    request = _object(_spelt_out(line).encode("latin-1"))
    request.pop(_POW, None)
    request[_NONCE] = ""
    parts = [canonical_json({name: request[name]})[1:-1] for name in sorted(request)]
    before = sorted(request).index(_NONCE) + 1
    prefix = b"{" + b",".join(parts[:before])
    suffix = b"".join(b"," + part for part in parts[before:]) + b"}"
    return HashcashPuzzle(prefix[:-1], b'"' + suffix, NONCE_SIZE, bits, alphabet=NONCE_DIGITS)


def with_stamp(line: bytes, puzzle: HashcashPuzzle, nonce: int) -> bytes:
    """Write the solution of its `stamp_puzzle` into a request; blanks and line end stay."""
    text = _spelt_out(line)
    members = members_of(text)
    end = members[-1].end if members else text.index("{") + 1
    comma = "," if members else ""
    digest = sha256(puzzle.message(nonce)).hexdigest()
    added = f'{comma}"nonce":"{puzzle.counter(nonce).decode()}","pow":"{digest}"'
    return (text[:end] + added + text[end:]).encode("latin-1")


def mint(
    line: bytes, engine: Engine, start: int, bits: int = DEFAULT_BITS, stop: StopFlag | None = None
) -> bytes | None:
    """Stamp a request; None where `stop` was set. Raises ParseError for what is not an object.

    `start` is a random number below 62**9, from where on nonces are tried.
    """
    puzzle = stamp_puzzle(line, bits)
    nonce = engine.search(puzzle, start, puzzle.space - start, stop).nonce
    return None if nonce is None else with_stamp(line, puzzle, nonce)


def check(line: bytes, bits: int = DEFAULT_BITS) -> Stamped:
    """Check a stamped request and take its stamp off.

    Raises ParseError for what is not an object, StampError for a stamp that is missing, wrong or
    too cheap. As in the original, any change of the request will do for a nonce.
    """
    request = _object(line)
    if _POW not in request:
        raise StampError(StampFault.MISSING)
    claimed = request.pop(_POW)
    digest = sha256(canonical_json(request)).digest()
    if not isinstance(claimed, str) or not compare_digest(
        claimed.encode("utf-8", "replace"), digest.hex().encode()
    ):
        raise StampError(StampFault.WRONG, "pow is not the digest of this request")
    found = 256 - int.from_bytes(digest, "big").bit_length()
    if found < bits:
        raise StampError(StampFault.CHEAP, f"it has {found} zero bits, not {bits}")
    return Stamped(_without(line, _NONCE, _POW), digest, found)


def _object(line: bytes) -> dict[str, Any]:
    value = value_from_json(line)
    if not isinstance(value, dict):
        raise ParseError("not a JSON object")
    return value


def _spelt_out(line: bytes) -> str:
    """The text to be stamped: the original would die of escapes of characters above U+00FF."""
    return without_wide_escapes(line.decode("latin-1"))


def _without(line: bytes, *names: str) -> bytes:
    """Cut the last member of each name out of an object, with one of the commas beside it."""
    text = line.decode("latin-1")
    for name in names:
        members = members_of(text)
        place = max((i for i, member in enumerate(members) if member.name == name), default=-1)
        if place > 0:
            text = text[: members[place - 1].end] + text[members[place].end :]
        elif place == 0:
            end = members[1].start if len(members) > 1 else members[0].end
            text = text[: members[0].start] + text[end:]
    return text.encode("latin-1")
