"""Work and result of the two articles that sell proof of work, as they travel.

| article | work | result |
|---|---|---|
| `net.misocoin/pow/bitmessage/0` | JSON `{"initialHash": base64 (64 bytes), "target": number}` | \
`{"nonce": number}` |
| `net.misocoin/pow/hashcash/0` | JSON `{"prefix": text, "bits": number, "digest": "sha1" or \
"sha256"}` | the stamp |

A stamp is the prefix and a counter of 1 to 32 printable characters, as the seller likes. Who needs
a counter of a certain form says so: `"width": number` of its digits, and, where they differ from
what is usual, `"alphabet"` (64 characters, base64's) and `"suffix"` (what follows the counter).
"""

import binascii
import json
import re
from base64 import b64decode, b64encode
from typing import Any, NamedTuple

from misocoin.errors import ParseError
from misocoin.market.errors import Malformed
from misocoin.pow.puzzles import BASE64_DIGITS, BitmessagePuzzle, HashcashPuzzle, StampDigest

MAX_WORK = 1 << 14
"""Bytes of a work, or of a result, of these articles."""

MAX_BITS = 64
"""Zero bits of a stamp."""

_COUNTER = re.compile(rb"[!-~]{1,32}")

SoldPuzzle = BitmessagePuzzle | HashcashPuzzle
"""What one of the articles can solve."""


# -- Bitmessage --------------------------------------------------------------------------------


def bitmessage_puzzle_from_work(work: bytes) -> BitmessagePuzzle:
    """Read a work. Raises Malformed."""
    fields = _object_from_json(work, {"initialHash": str, "target": int})
    try:
        return BitmessagePuzzle(b64decode(fields["initialHash"], validate=True), fields["target"])
    except (binascii.Error, ValueError):
        raise Malformed("initialHash is base64") from None
    except ParseError as error:
        raise Malformed(str(error)) from None


def nonce_from_bitmessage_result(result: bytes) -> int:
    """Read a result. Raises Malformed."""
    nonce: int = _object_from_json(result, {"nonce": int})["nonce"]
    if not 0 <= nonce < 1 << 64:
        raise Malformed("a nonce has 64 bits")
    return nonce


# -- hashcash ----------------------------------------------------------------------------------


class StampOrder(NamedTuple):
    """A hashcash stamp that is asked for."""

    prefix: bytes
    """The stamp up to and with the colon before the counter."""
    bits: int
    """Leading zero bits of its digest."""
    digest: StampDigest
    puzzle: HashcashPuzzle | None = None
    """The search itself where the counter has a certain form; None where that is free."""

    def has_form(self, stamp: bytes) -> bool:
        """Whether a text is this stamp, its digest aside."""
        if self.puzzle is None:
            counter = stamp.removeprefix(self.prefix)
            return stamp.startswith(self.prefix) and _COUNTER.fullmatch(counter) is not None
        try:
            nonce_from_stamp(self.puzzle, stamp)
        except Malformed:
            return False
        return True


def stamp_order_from_work(work: bytes) -> StampOrder:
    """Read a work. Raises Malformed."""
    fields = _object_from_json(work, {"prefix": str, "bits": int, "digest": str})
    try:
        prefix, digest = _bytes_from_text(fields["prefix"]), StampDigest(fields["digest"])
    except ValueError:
        raise Malformed("a stamp's digest is sha1 or sha256") from None
    if not 0 <= fields["bits"] <= MAX_BITS:
        raise Malformed(f"a stamp has 0 to {MAX_BITS} bits")
    if "width" not in fields:
        if "alphabet" in fields or "suffix" in fields:
            raise Malformed("alphabet and suffix go with width")
        if not fields["prefix"].isascii() or not fields["prefix"].isprintable():
            raise Malformed("a stamp is printable ASCII where its counter's width is not said")
        return StampOrder(prefix, fields["bits"], digest)
    usual = {"suffix": "", "alphabet": BASE64_DIGITS.decode()}
    form = _checked(usual | fields, {"width": int, "suffix": str, "alphabet": str})
    suffix, alphabet = (_bytes_from_text(form[name]) for name in ("suffix", "alphabet"))
    try:
        puzzle = HashcashPuzzle(prefix, suffix, form["width"], form["bits"], digest, alphabet)
    except ParseError as error:
        raise Malformed(str(error)) from None
    return StampOrder(prefix, form["bits"], digest, puzzle)


def nonce_from_stamp(puzzle: HashcashPuzzle, stamp: bytes) -> int:
    """Read the counter of a stamp that is of a puzzle's form. Raises Malformed."""
    start, end = len(puzzle.prefix), len(stamp) - len(puzzle.suffix)
    if not stamp.startswith(puzzle.prefix) or not stamp.endswith(puzzle.suffix) or end < start:
        raise Malformed("the stamp is not the one that was asked for")
    try:
        return puzzle.nonce_from_counter(stamp[start:end])
    except ParseError as error:
        raise Malformed(str(error)) from None


def _bytes_from_text(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise Malformed("what a stamp is made of is text") from None


# -- from puzzles, for who buys ----------------------------------------------------------------


def article_of(puzzle: SoldPuzzle) -> str:
    """The article that sells a puzzle's solution."""
    kind = "bitmessage" if isinstance(puzzle, BitmessagePuzzle) else "hashcash"
    return f"net.misocoin/pow/{kind}/0"


def work_from_puzzle(puzzle: SoldPuzzle) -> bytes:
    """A work whose results are solutions of this very puzzle."""
    fields: dict[str, Any]
    if isinstance(puzzle, BitmessagePuzzle):
        fields = {
            "initialHash": b64encode(puzzle.initial_hash).decode(),
            "target": puzzle.target,
        }
    else:
        fields = {
            "prefix": puzzle.prefix.decode(),
            "bits": puzzle.bits,
            "digest": puzzle.digest.value,
            "suffix": puzzle.suffix.decode(),
            "width": puzzle.width,
            "alphabet": puzzle.alphabet.decode(),
        }
    return json.dumps(fields, ensure_ascii=False).encode()


def nonce_from_result(puzzle: SoldPuzzle, result: bytes) -> int:
    """What came back for that work, not yet known to win. Raises Malformed."""
    if isinstance(puzzle, BitmessagePuzzle):
        return nonce_from_bitmessage_result(result)
    return nonce_from_stamp(puzzle, result)


# -- JSON --------------------------------------------------------------------------------------


def _object_from_json(data: bytes, types: dict[str, type]) -> dict[str, Any]:
    """Read a JSON object that has these fields, of these types; others are passed over."""
    if len(data) > MAX_WORK:
        raise Malformed(f"what is checked has {MAX_WORK} bytes at most")
    try:
        fields = json.loads(data)
    except (ValueError, RecursionError):
        raise Malformed("not JSON") from None
    if not isinstance(fields, dict):
        raise Malformed("not a JSON object")
    return _checked(fields, types)


def _checked(fields: dict[str, Any], types: dict[str, type]) -> dict[str, Any]:
    for name, kind in types.items():
        if type(fields.get(name)) is not kind:
            raise Malformed(f"{name} is missing or of another type")
    return fields
