"""Stamps of version 2: for one request, to one service, at one time, counted once.

A server announces a *challenge*, and the stamp that answers it is the same text with a counter:

    2:16:1795243200:my.server:6f1d2c3b4a596877
    2:16:1795243200:my.server:6f1d2c3b4a596877:00c5a3f2e1b40d96

Its fields are version, bits, time in seconds, service, salt, counter. What must begin with zero
bits is a SHA-256 over another, so that every try hashes a single block, whatever the request:

    seed = hex SHA-256 of challenge ":" request
    digest = SHA-256 of seed counter

So a stamp is worth nothing with another request; the time and the service's name are its own; and
the salt, which a server draws afresh every few minutes, keeps anyone from minting ahead of time.
"""

import re
from hashlib import sha256
from typing import Final, NamedTuple

from misocoin.errors import ParseError
from misocoin.hashcash.errors import StampError, StampFault
from misocoin.pow.engine import Engine, StopFlag
from misocoin.pow.puzzles import HashcashPuzzle
from misocoin.units import UnixTime

MAX_TEXT_SIZE: Final = 200
"""Characters of a challenge or stamp."""

SALT_DIGITS: Final = 16
"""Hexadecimal digits of a salt: 64 bits."""

COUNTER_DIGITS: Final = 16
"""Hexadecimal digits of a counter: 64 bits."""

MAX_BITS: Final = 56
"""The most that may be asked for; 256 times as many counters leave no chance open."""

_SERVICE: Final = re.compile(r"[!-9;-~]{1,100}")
_CHALLENGE: Final = r"2:(\d{1,2}):(\d{1,12}):([!-9;-~]{1,100}):([0-9a-f]{16})"
_CHALLENGE_FORM: Final = re.compile(_CHALLENGE, re.ASCII)
_STAMP_FORM: Final = re.compile(f"({_CHALLENGE}):([0-9a-f]{{16}})", re.ASCII)


class Challenge(NamedTuple):
    """What a server asks for."""

    bits: int
    """Leading zero bits, 0 to 56."""
    time: UnixTime
    """By the server's clock; a client adds the seconds that have passed since it heard of it."""
    service: str
    """The server's name: at most 100 characters of ASCII, no blanks or colons."""
    salt: str
    """16 hexadecimal digits that the server has drawn."""

    @property
    def text(self) -> str:
        """The challenge as it is written."""
        return f"2:{self.bits}:{self.time}:{self.service}:{self.salt}"


class RequestStamp(NamedTuple):
    """The answer to a challenge."""

    challenge: Challenge
    counter: str
    """16 hexadecimal digits."""

    @property
    def text(self) -> str:
        """The stamp as it is written."""
        return f"{self.challenge.text}:{self.counter}"


def check_service(name: str) -> None:
    """Refuse, by ParseError, what cannot be the name of a service."""
    if not _SERVICE.fullmatch(name):
        raise ParseError("a service's name is 1 to 100 ASCII characters without blanks and colons")


def challenge_from_text(text: str) -> Challenge:
    """Take a challenge apart; raises ParseError for anything else."""
    found = _CHALLENGE_FORM.fullmatch(text)
    if found is None or int(found[1]) > MAX_BITS:
        raise ParseError("not a challenge of version 2")
    bits, time, service, salt = found.groups()
    return Challenge(int(bits), UnixTime(int(time)), service, salt)


def request_stamp_from_text(text: str) -> RequestStamp:
    """Take a stamp of version 2 apart; raises ParseError for anything else."""
    found = _STAMP_FORM.fullmatch(text)
    if found is None or int(found[2]) > MAX_BITS:
        raise ParseError("not a stamp of version 2")
    _, bits, time, service, salt, counter = found.groups()
    return RequestStamp(Challenge(int(bits), UnixTime(int(time)), service, salt), counter)


def request_puzzle(challenge: Challenge, request: bytes) -> HashcashPuzzle:
    """What must be searched to stamp a request, given in full."""
    return HashcashPuzzle(_seed(challenge, request), b"", COUNTER_DIGITS, challenge.bits)


def mint_request_stamp(
    challenge: Challenge, request: bytes, engine: Engine, start: int, stop: StopFlag | None = None
) -> RequestStamp | None:
    """Search for the stamp of a request; None where `stop` was set before it was found.

    `start` is a random number below 2**63 from where on counters are tried: without it the same
    request, made twice in a second, would have the same stamp, which counts but once.
    """
    puzzle = request_puzzle(challenge, request)
    nonce = engine.search(puzzle, start, puzzle.space - start, stop).nonce
    return None if nonce is None else RequestStamp(challenge, puzzle.counter(nonce).decode())


def request_digest(stamp: RequestStamp, request: bytes) -> bytes:
    """The digest that must begin with zero bits; 32 bytes, and the stamp's identity."""
    return sha256(_seed(stamp.challenge, request) + stamp.counter.encode()).digest()


def _seed(challenge: Challenge, request: bytes) -> bytes:
    seed = sha256(f"{challenge.text}:".encode())
    seed.update(request)
    return seed.hexdigest().encode()


def check_work(stamp: RequestStamp, request: bytes) -> bytes:
    """Check that a stamp has the bits it claims, with this request; returns `request_digest`.

    Raises StampError. Service, salt, time and price are for whoever knows them (`toll.Toll`).
    """
    digest = request_digest(stamp, request)
    if int.from_bytes(digest[:8], "big") >> (64 - stamp.challenge.bits):
        raise StampError(StampFault.WRONG, "its digest has too few zero bits with this request")
    return digest
