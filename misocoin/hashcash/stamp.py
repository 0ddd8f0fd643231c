"""Hashcash stamps of version 1, as mail and the `hashcash` program use them.

    1:20:261121:you@example.org::cLkZPzJRmWyBHhGr:0000Bq

A stamp is one line of seven fields: version, claimed bits, date, resource, extension, random text,
counter. The SHA-1 of the whole line begins with as many zero bits as it claims, or more (Adam
Back, "Hashcash - A Denial of Service Counter-Measure", 2002; format of hashcash(1)).
"""

import re
from datetime import UTC, datetime
from hashlib import sha1
from typing import Final, NamedTuple

from misocoin.errors import ParseError
from misocoin.hashcash.errors import StampError, StampFault
from misocoin.pow.engine import Engine, StopFlag
from misocoin.pow.puzzles import BASE64_DIGITS, HashcashPuzzle, StampDigest
from misocoin.pow.search import search_threads
from misocoin.units import UnixTime

MAX_STAMP_SIZE: Final = 1024
"""Characters of a stamp; the `hashcash` program makes none so long."""

MAX_MINT_BITS: Final = 52
"""The counter has at most ten digits of 6 bits; 8 bits more than claimed leave no chance open."""

DEFAULT_PERIOD: Final = 28 * 86_400
"""Seconds that a stamp is good for, unless said otherwise: hashcash(1)'s 28 days."""

DEFAULT_GRACE: Final = 2 * 86_400
"""Seconds by which clocks may differ: hashcash(1)'s two days."""

RAND_SIZE: Final = 12
"""Random bytes of a new stamp; 16 digits of base64."""

_FORM: Final = re.compile(
    r"1:(\d{1,3}):(\d{6}|\d{10}|\d{12}):([^:\s]+):([^:\s]*):([0-9A-Za-z+/=]*):([0-9A-Za-z+/=]+)",
    re.ASCII,
)
_FIELD: Final = re.compile(r"[!-9;-~]*")
_DATE_FORMS: Final = {6: "%y%m%d", 10: "%y%m%d%H%M", 12: "%y%m%d%H%M%S"}


class Stamp(NamedTuple):
    """A stamp of version 1, taken apart."""

    bits: int
    """The zero bits it claims."""
    date: str
    """`YYMMDD`, `YYMMDDhhmm` or `YYMMDDhhmmss`, in UTC."""
    resource: str
    """What it was minted for: an address of mail, the name of a service."""
    extension: str
    """Usually empty; `name=value` pairs with `;` between."""
    rand: str
    """Random text that tells the stamps of one minter from those of others."""
    counter: str
    """What the search found."""

    @property
    def text(self) -> str:
        """The stamp as it is written."""
        return ":".join(("1", str(self.bits), *self[1:]))

    @property
    def time(self) -> UnixTime:
        """The start of the second, minute or day that it is dated."""
        return _time_from_date(self.date)


def stamp_from_text(text: str) -> Stamp:
    """Take a stamp of version 1 apart; raises ParseError for anything else."""
    found = _FORM.fullmatch(text) if len(text) <= MAX_STAMP_SIZE else None
    if found is None or not text.isascii():
        raise ParseError("not a hashcash stamp of version 1")
    bits, date, resource, extension, rand, counter = found.groups()
    _time_from_date(date)
    return Stamp(int(bits), date, resource, extension, rand, counter)


def _time_from_date(date: str) -> UnixTime:
    try:
        # Two-digit years from 69 on would be read as those of the last century.
        moment = datetime.strptime(f"20{date}", f"%Y{_DATE_FORMS[len(date)][2:]}")
    except (KeyError, ValueError):
        raise ParseError(f"a stamp's date is YYMMDD[hhmm[ss]], not {date[:12]!r}") from None
    return UnixTime(int(moment.replace(tzinfo=UTC).timestamp()))


def date_from_time(time: UnixTime, width: int = 6) -> str:
    """Write a time as a stamp's date of 6, 10 or 12 digits; ParseError for another width."""
    if width not in _DATE_FORMS:
        raise ParseError("a stamp's date has 6, 10 or 12 digits")
    return datetime.fromtimestamp(time, UTC).strftime(_DATE_FORMS[width])


def zero_bits(stamp: Stamp) -> int:
    """Count the zero bits that the stamp's SHA-1 begins with."""
    digest = sha1(stamp.text.encode(), usedforsecurity=False).digest()
    return 160 - int.from_bytes(digest, "big").bit_length()


def check_stamp(
    stamp: Stamp,
    resource: str | None,
    bits: int,
    now: UnixTime,
    period: int = DEFAULT_PERIOD,
    grace: int = DEFAULT_GRACE,
) -> None:
    """Check all of a stamp but that it was not spent before; raises StampError.

    Resources are compared as hashcash(1) does, without regard to case; None takes any. A stamp is
    good from `grace` seconds before its date to `period + grace` seconds after it.
    """
    if resource is not None and stamp.resource.lower() != resource.lower():
        raise StampError(StampFault.FOREIGN, f"it is for {stamp.resource[:80]!r}")
    if stamp.bits < bits:
        raise StampError(StampFault.CHEAP, f"it claims {stamp.bits} bits, not {bits}")
    if (found := zero_bits(stamp)) < stamp.bits:
        raise StampError(StampFault.WRONG, f"it claims {stamp.bits} bits and has {found}")
    if now > stamp.time + period + grace:
        raise StampError(StampFault.STALE, "it has expired")
    if now < stamp.time - grace:
        raise StampError(StampFault.STALE, "its date is in the future")


def stamp_puzzle(
    resource: str, bits: int, date: str, rand: str, extension: str = ""
) -> HashcashPuzzle:
    """What must be searched for a stamp; raises ParseError for what cannot stand in one."""
    if not 0 <= bits <= MAX_MINT_BITS:
        raise ParseError(f"a stamp has 0 to {MAX_MINT_BITS} bits")
    if not resource or not _FIELD.fullmatch(resource):
        raise ParseError("a stamp's resource is ASCII text without blanks and colons")
    if not _FIELD.fullmatch(extension):
        raise ParseError("a stamp's extension is ASCII text without blanks and colons")
    prefix = Stamp(bits, date, resource, extension, rand, "").text
    width = max(4, -(-(bits + 8) // 6))
    if len(prefix) + width > MAX_STAMP_SIZE:
        raise ParseError(f"a stamp has at most {MAX_STAMP_SIZE} characters")
    return HashcashPuzzle(prefix.encode(), b"", width, bits, StampDigest.SHA1, BASE64_DIGITS)


def mint_stamp(
    puzzle: HashcashPuzzle, engine: Engine, threads: int = 1, stop: StopFlag | None = None
) -> Stamp | None:
    """Search for the counter of a `stamp_puzzle`; None where `stop` was set before it was found."""
    nonce = search_threads(engine, puzzle, threads, stop).nonce
    return None if nonce is None else stamp_from_text(puzzle.message(nonce).decode())
