"""JSON at the node's door: what it accepts, and amounts that keep their digits.

orjson reads and writes. It turns a fraction into a float, which holds 15 digits for sure; an
amount may have 17, so a request in which a number has more than that is read again by the
standard library, with the digits kept (`ExactFloat`).
"""

import json
import re
from typing import Any

import orjson

from misocoin.units import text_from_sats

Json = Any
"""A JSON value as Python has it, with `orjson.Fragment` for text that is JSON already."""

MAX_DEPTH = 512
"""Arrays and objects inside each other, at most (Core's bound)."""

# A number whose digits may be too many for a float.
_LONG_NUMBER = re.compile(rb"\d[\d.]{15}")


class ExactFloat(float):
    """A float that remembers how it was written."""

    _text: str

    def __new__(cls, text: str) -> "ExactFloat":
        """Read a JSON number."""
        value = super().__new__(cls, text)
        value._text = text
        return value

    def __repr__(self) -> str:
        """Return the digits as they were written."""
        return self._text


def json_from_bytes(data: bytes, *, is_exact: bool = False) -> Json:
    """Read JSON; raises ValueError for what is not, and for what is nested too deep.

    `is_exact` has every fraction, and every integer beyond 64 bits, keep its digits.
    """
    value = orjson.loads(data)
    if is_exact or (b"." in data and _LONG_NUMBER.search(data)):
        try:
            value = json.loads(data, parse_float=ExactFloat, parse_int=_integer)
        except RecursionError:
            raise ValueError("nested too deep") from None
    if data.count(b"[") + data.count(b"{") > MAX_DEPTH and _is_deeper(value, MAX_DEPTH):
        raise ValueError("nested too deep")
    return value


def _is_deeper(value: Json, depth: int) -> bool:
    level = [value]
    for _ in range(depth + 1):
        level = [
            item
            for each in level
            for item in (each.values() if isinstance(each, dict) else each)
            if isinstance(item, dict | list)
        ]
        if not level:
            return False
    return True


def _integer(text: str) -> int | float:
    """Read a whole number as orjson does: beyond 64 bits it is a float."""
    value = int(text) if len(text) <= 20 else 1 << 64
    return value if -(1 << 63) <= value < 1 << 64 else ExactFloat(text)


def bytes_from_json(value: Json) -> bytes:
    """Write JSON on one line; raises TypeError for what is none."""
    return orjson.dumps(value, default=_fragment)


def _fragment(value: object) -> orjson.Fragment:
    if isinstance(value, ExactFloat):
        return orjson.Fragment(repr(value))
    raise TypeError(f"{type(value).__name__} is not JSON")


def real(value: float) -> orjson.Fragment:
    """Show a number that may have a fraction as Core does: 16 digits, no ".0" at a whole one."""
    return orjson.Fragment(f"{value:.16g}")


def amount(sats: int) -> orjson.Fragment:
    """Show base units as a JSON number of coins with eight decimals."""
    return orjson.Fragment(text_from_sats(sats))
