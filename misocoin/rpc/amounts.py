"""Amounts in calls, as Core reads them."""

import re

from misocoin.http.errors import RpcError
from misocoin.rpc.errors import RpcCode
from misocoin.rpc.json import Json
from misocoin.units import COIN, DECIMALS, Sats

MAX_MONEY = 126_000_000 * COIN
"""Base units; no network has more."""

_NUMBER = re.compile(r"(-?)(0|[1-9]\d*)(?:\.(\d+))?(?:[eE]([+-]?\d{1,9}))?", re.ASCII)
_DIGITS = 18
"""Decimal digits of a fixed-point number, at most."""


def sats_from_number(value: Json, highest: int = MAX_MONEY) -> Sats:
    """Read an amount of coins, a JSON number or the text of one; raises RpcError in Core's words.

    Any number that is whole in base units will do: `1e-8`, and zeros behind the eighth decimal.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise RpcError(RpcCode.TYPE_ERROR, "Amount is not a number or string")
    # Python refuses to write out very long integers.
    is_long = isinstance(value, int) and abs(value) >= 10**_DIGITS
    found = None if is_long else _NUMBER.fullmatch(value if isinstance(value, str) else repr(value))
    if found is None:
        raise RpcError(RpcCode.TYPE_ERROR, "Invalid amount")
    sign, whole, fraction, exponent = found[1], found[2], found[3] or "", int(found[4] or 0)
    digits = (whole + fraction).lstrip("0")
    mantissa = digits.rstrip("0")
    zeros = len(digits) - len(mantissa) if digits else len(fraction)
    shift = exponent + zeros - len(fraction) + DECIMALS
    if not 0 <= shift < _DIGITS or len(mantissa) + bool(mantissa) * shift > _DIGITS:
        raise RpcError(RpcCode.TYPE_ERROR, "Invalid amount")
    sats = int(mantissa or 0) * 10**shift
    if (sign and sats) or sats > highest:
        raise RpcError(RpcCode.TYPE_ERROR, "Amount out of range")
    return Sats(sats)
