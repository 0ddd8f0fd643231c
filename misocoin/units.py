"""The units of the chain, and the only place where decimal text meets integers.

Inside, an amount is an integer count of base units (1 MISO = 100,000,000 of them, as 1 BTC is
100,000,000 satoshi). Decimal text exists at the edge alone and never passes through a float.
"""

import re
from decimal import Decimal, InvalidOperation
from typing import NewType

from misocoin.errors import AmountError

Sats = NewType("Sats", int)
"""An amount in base units; may be negative where it is a difference."""

Height = NewType("Height", int)
"""A block's distance from genesis; genesis has 0."""

UnixTime = NewType("UnixTime", int)
"""Seconds since 1970-01-01 UTC."""

COIN = 100_000_000
"""Base units in one coin (Bitcoin's `COIN`)."""

DECIMALS = 8
"""Digits behind the point of an amount in coins."""

_WHOLE_DIGITS = 12
_FARTHEST_DIGIT = 30
_AMOUNT = re.compile(rf"(-?)(\d{{1,{_WHOLE_DIGITS}}})(?:\.(\d+))?", re.ASCII)


def sats_from_text(text: str) -> Sats:
    """Read a decimal amount in coins (`"1.5"`) as base units.

    Raises AmountError for anything that is not plain decimal notation, for a negative amount and
    for more than eight decimals (trailing zeros beyond the eighth are accepted).
    """
    match = _AMOUNT.fullmatch(text.strip())
    if match is None:
        if text.isascii() and text.strip().isdecimal():
            raise AmountError("the amount is too large")
        raise AmountError(f"{text[:40]!r} is not an amount: write a decimal number such as 1.5")
    sign, whole, fraction = match.group(1), match.group(2), match.group(3) or ""
    if len(fraction.rstrip("0")) > DECIMALS:
        raise AmountError(f"{text[:40]!r} has more than {DECIMALS} decimals")
    sats = int(whole) * COIN + int(fraction[:DECIMALS].ljust(DECIMALS, "0"))
    if sign and sats:
        raise AmountError(f"{text[:40]!r} is negative")
    return Sats(sats)


def sats_from_json(value: object) -> Sats:
    """Read an amount that came in JSON: a number of coins or its decimal text.

    A float is taken by its shortest decimal form, which is what its sender wrote (`0.1` is
    10,000,000 base units). Raises AmountError as `sats_from_text` does, and for other types.
    """
    if isinstance(value, str):
        return sats_from_text(value)
    if isinstance(value, int) and not isinstance(value, bool):
        if abs(value) >= 10**_WHOLE_DIGITS:  # Python refuses to write out very long integers
            raise AmountError("the amount is too large")
        return sats_from_text(str(value))
    if isinstance(value, float):
        return sats_from_text(_plain_notation(repr(value)))
    raise AmountError(f"an amount is a number or a decimal text, not {type(value).__name__}")


def _plain_notation(number: str) -> str:
    """Write a JSON number without an exponent.

    What is no amount by its size alone stays as it is: written out, `1e-999999999` is a gigabyte.
    """
    try:
        value = Decimal(number)
    except InvalidOperation:
        return number
    if not value:
        return "0"
    return format(value, "f") if abs(value.adjusted()) <= _FARTHEST_DIGIT else number


def text_from_sats(sats: int) -> str:
    """Write base units as coins with all eight decimals: `150000000` becomes `"1.50000000"`."""
    sign = "-" if sats < 0 else ""
    whole, fraction = divmod(abs(sats), COIN)
    return f"{sign}{whole}.{fraction:0{DECIMALS}d}"


def core_text_from_sats(sats: int) -> str:
    """Write base units as Core's refusals do, with two decimals at least: 1500 is `0.000015`."""
    whole, fraction = divmod(abs(sats), COIN)
    digits = f"{fraction:08d}".rstrip("0").ljust(2, "0")
    return f"{'-' if sats < 0 else ''}{whole}.{digits}"
