"""What is asked of the service: a puzzle as JSON fields, and the answer to it.

The fields of each algorithm, besides `algorithm` itself:

    bitmessage      target        integer, 1 to 2**64 - 1: the largest trial value that wins
                    initialHash   base64 of 64 bytes
    sha256d-header  header        80 bytes in hex; the nonce in it does not matter
                    target        64 hex digits, most significant first
                    versions      how many versions to roll through (BIP320), 1 unless said
    hashcash        prefix        text before the counter
                    bits          leading zero bits
                    digest        "sha1" (as hashcash version 1) or "sha256"
                    suffix        text after the counter, empty unless said
                    width         digits of the counter, 10 unless said
                    alphabet      the counter's digits, base64's unless said
"""

import json
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Mapping
from enum import Enum
from hashlib import sha256
from typing import Any, Final

from misocoin.errors import ParseError
from misocoin.pow.puzzles import (
    BASE64_DIGITS,
    BitmessagePuzzle,
    HashcashPuzzle,
    HeaderPuzzle,
    Puzzle,
    StampDigest,
)

MAX_TEXT: Final = 1024
"""Bytes of a hashcash prefix or suffix."""

COUNTER_WIDTH: Final = 10
"""Base64 digits of a hashcash counter, if not said otherwise: 2**60 values."""

Fields = Mapping[str, Any]
"""A JSON object."""


class Algorithm(Enum):
    """What kinds of puzzle the service takes; the value is the name in messages."""

    BITMESSAGE = "bitmessage"
    HEADER = "sha256d-header"
    HASHCASH = "hashcash"


def algorithm_of(puzzle: Puzzle) -> Algorithm:
    """Return the name of a puzzle's kind."""
    match puzzle:
        case BitmessagePuzzle():
            return Algorithm.BITMESSAGE
        case HeaderPuzzle():
            return Algorithm.HEADER
        case HashcashPuzzle():
            return Algorithm.HASHCASH


def integer_field(
    fields: Fields, name: str, low: int, high: int, default: int | None = None
) -> int:
    """Return a whole number from `low` to `high`; ParseError where it is anything else."""
    value = fields.get(name, default)
    if type(value) is not int:
        raise ParseError(f"{name} is not a whole number" if name in fields else f"no {name}")
    if not low <= value <= high:
        raise ParseError(f"{name} is not from {low} to {high}")
    return value


def text_field(fields: Fields, name: str, longest: int, default: str | None = None) -> str:
    """Return a text of at most so many bytes in UTF-8; ParseError where it is anything else."""
    value = fields.get(name, default)
    if type(value) is not str:
        raise ParseError(f"{name} is not a text" if name in fields else f"no {name}")
    # A lone surrogate, which JSON can spell, has no bytes; the replacement is one byte long.
    if len(value) > longest or len(value.encode("utf-8", "replace")) > longest:
        raise ParseError(f"{name} is longer than {longest} bytes")
    return value


def _bytes_field(fields: Fields, name: str, default: str | None = None) -> bytes:
    try:
        return text_field(fields, name, MAX_TEXT, default).encode()
    except UnicodeEncodeError:
        raise ParseError(f"{name} is not a text") from None


def puzzle_from_fields(fields: Fields) -> Puzzle:
    """Read a puzzle; `algorithm` is bitmessage unless said. ParseError says what is wrong."""
    name = text_field(fields, "algorithm", 40, Algorithm.BITMESSAGE.value)
    try:
        algorithm = Algorithm(name)
    except ValueError:
        names = ", ".join(known.value for known in Algorithm)
        raise ParseError(f"no algorithm {name!r}: there are {names}") from None
    match algorithm:
        case Algorithm.BITMESSAGE:
            target = integer_field(fields, "target", 1, (1 << 64) - 1)
            return BitmessagePuzzle(initial_hash_from_text(fields.get("initialHash")), target)
        case Algorithm.HEADER:
            return HeaderPuzzle(
                _hex_field(fields, "header", 80),
                int.from_bytes(_hex_field(fields, "target", 32), "big"),
                integer_field(fields, "versions", 1, 1 << 16, 1),
            )
        case Algorithm.HASHCASH:
            digest = text_field(fields, "digest", 10, StampDigest.SHA1.value)
            if digest not in {known.value for known in StampDigest}:
                raise ParseError(f"no digest {digest!r}")
            alphabet = _bytes_field(fields, "alphabet", BASE64_DIGITS.decode())
            if not alphabet.isascii():
                raise ParseError("alphabet is not ASCII")
            return HashcashPuzzle(
                _bytes_field(fields, "prefix"),
                _bytes_field(fields, "suffix", ""),
                integer_field(fields, "width", 1, 64, COUNTER_WIDTH),
                integer_field(fields, "bits", 0, 256),
                StampDigest(digest),
                alphabet,
            )


def initial_hash_from_text(text: object) -> bytes:
    """Read the base64 of 64 bytes; ParseError for anything else."""
    if type(text) is not str or len(text) > 100:
        raise ParseError("initialHash is not the base64 of 64 bytes")
    try:
        initial_hash = b64decode(text.encode("ascii"), validate=True)
    except (Base64Error, ValueError):
        raise ParseError("initialHash is not base64") from None
    if len(initial_hash) != 64:
        raise ParseError(f"initialHash has {len(initial_hash)} bytes, not 64")
    return initial_hash


def _hex_field(fields: Fields, name: str, size: int) -> bytes:
    text = text_field(fields, name, 2 * size)
    try:
        data = bytes.fromhex(text) if len(text) == 2 * size else b""
    except ValueError:
        data = b""
    if len(data) != size:
        raise ParseError(f"{name} is not {2 * size} hex digits")
    return data


def fields_from_puzzle(puzzle: Puzzle) -> dict[str, Any]:
    """Return all fields of a puzzle, defaults included, in a fixed order."""
    fields: dict[str, Any] = {"algorithm": algorithm_of(puzzle).value}
    match puzzle:
        case BitmessagePuzzle():
            fields["target"] = puzzle.target
            fields["initialHash"] = b64encode(puzzle.initial_hash).decode()
        case HeaderPuzzle():
            fields["header"] = puzzle.header.hex()
            fields["target"] = puzzle.target.to_bytes(32, "big").hex()
            fields["versions"] = puzzle.versions
        case HashcashPuzzle():
            fields["prefix"] = puzzle.prefix.decode()
            fields["bits"] = puzzle.bits
            fields["digest"] = puzzle.digest.value
            fields["suffix"] = puzzle.suffix.decode()
            fields["width"] = puzzle.width
            fields["alphabet"] = puzzle.alphabet.decode()
    return fields


def answer_fields(puzzle: Puzzle, nonce: int) -> dict[str, Any]:
    """Return what a client gets for a winning nonce: the nonce and what it makes."""
    match puzzle:
        case BitmessagePuzzle():
            return {"nonce": nonce, "trialValue": puzzle.trial_value(nonce)}
        case HeaderPuzzle():
            header = puzzle.message(nonce)
            digest = sha256(sha256(header).digest()).digest()
            return {"nonce": nonce, "header": header.hex(), "hash": digest[::-1].hex()}
        case HashcashPuzzle():
            return {"nonce": nonce, "stamp": puzzle.message(nonce).decode()}


def job_id_of(puzzle: Puzzle) -> str:
    """Return the job's id: 32 hex digits that follow from the puzzle alone.

    So a puzzle handed in twice is one job, and whoever lost a connection hands it in again.
    """
    text = json.dumps(fields_from_puzzle(puzzle), separators=(",", ":"))
    return sha256(text.encode()).hexdigest()[:32]


def check_job_id(text: str) -> str:
    """Return the text if it has the form of a job's id; ParseError if not."""
    if len(text) != 32 or not set(text) <= set("0123456789abcdef"):
        raise ParseError("job is not 32 hex digits")
    return text
