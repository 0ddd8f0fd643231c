"""Amounts as the market's texts write them: `MISO 1.5`, `mMISO 998.97`, `EUR 3`.

The grammar is BitWrk's. The coin's units stand where Bitcoin's stood, and Bitcoin's names are read
as the coin's, since the original client knows no others; it is answered in them, too (`OLD_NAMES`).
"""

import re
from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import NamedTuple

from misocoin.errors import AmountError

_FORM = re.compile(r"([A-Za-z€$£]+) ?(-?)([0-9]{1,19})(?:\.([0-9]{1,19}))?")

MAX_AMOUNT = 1 << 62
"""Base units of one amount, so that sums of two stay within 64 bits."""


class Currency(Enum):
    """What accounts are kept in; the value is its name in the store."""

    COIN = "MISO"
    """The chain's coin, in base units (1 MISO = 100,000,000)."""
    EUR = "EUR"
    """National currencies have 1,000,000,000 sub-units each; money in them comes by injection."""
    USD = "USD"
    BRL = "BRL"
    GBP = "GBP"


Names = tuple[tuple[str, int], ...]
"""The units of one currency and their size, the largest first."""

COIN_NAMES: Names = (
    ("MISO", 100_000_000),
    ("mMISO", 100_000),
    ("uMISO", 100),
    ("satoshi", 1),
)
"""How the coin is written."""

OLD_NAMES: Names = (("BTC", 100_000_000), ("mBTC", 100_000), ("uBTC", 100), ("satoshi", 1))
"""How the coin is written to BitWrk's own client."""

_SUB_UNITS = 1_000_000_000
_NATIONAL: Mapping[str, Currency] = MappingProxyType(
    {
        "EUR": Currency.EUR,
        "€": Currency.EUR,
        "USD": Currency.USD,
        "$": Currency.USD,
        "BRL": Currency.BRL,
        "R$": Currency.BRL,
        "GBP": Currency.GBP,
        "£": Currency.GBP,
    }
)
_UNITS: Mapping[str, tuple[Currency, int]] = MappingProxyType(
    {name: (Currency.COIN, size) for name, size in (*OLD_NAMES, *COIN_NAMES)}
    | {name: (currency, _SUB_UNITS) for name, currency in _NATIONAL.items()}
)


class Money(NamedTuple):
    """An amount of one currency."""

    amount: int
    """Base units of the currency; may be negative where it is a difference."""
    currency: Currency = Currency.COIN


def money_from_text(text: str) -> Money:
    """Read an amount. Raises AmountError for another form, unit or more digits than there are."""
    match = _FORM.fullmatch(text)
    if match is None:
        raise AmountError(f"{text[:40]!r} is not an amount of money: write it like 'mMISO 1.5'")
    unit, sign, whole, fraction = match.groups(default="")
    currency, size = unit_from_name(unit)
    digits = len(fraction)
    amount, rest = divmod(int(whole + fraction) * size, 10**digits)
    if rest:
        raise AmountError(f"{text[:40]!r} is finer than the smallest unit")
    if amount > MAX_AMOUNT:
        raise AmountError(f"{text[:40]!r} is too much")
    return Money(-amount if sign else amount, currency)


def unit_from_name(name: str) -> tuple[Currency, int]:
    """The currency and the size of a unit; raises AmountError for a name that is none."""
    try:
        return _UNITS[name]
    except KeyError:
        raise AmountError(f"{name[:20]!r} is not a unit of money: MISO, mMISO, uMISO …") from None


def text_from_money(money: Money, coin_names: Names = COIN_NAMES) -> str:
    """Write an amount in the largest unit of which it has at least one; zero in the largest."""
    name, size = unit_of(money, coin_names)
    return f"{name} {decimal_text(money.amount, size)}"


def unit_of(money: Money, coin_names: Names = COIN_NAMES) -> tuple[str, int]:
    """The unit that an amount is written in, and its size."""
    amount, currency = money
    names = coin_names if currency is Currency.COIN else ((currency.value, _SUB_UNITS),)
    return next(
        (unit for unit in names if abs(amount) >= unit[1]), names[-1] if amount else names[0]
    )


def decimal_text(amount: int, size: int) -> str:
    """Write base units in units of `size` (a power of ten) without trailing zeros."""
    whole, rest = divmod(abs(amount), size)
    decimals = len(str(size)) - 1
    fraction = f".{rest:0{decimals}}".rstrip("0") if rest else ""
    return f"{'-' if amount < 0 else ''}{whole}{fraction}"
