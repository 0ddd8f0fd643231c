"""The kinds of parameters that Core refuses in words of its own."""

from dataclasses import replace

from misocoin.rpc.amounts import sats_from_number
from misocoin.rpc.json import Json
from misocoin.rpc.params import (
    AMOUNT,
    ARRAY_OR_OBJECT,
    Kind,
    invalid,
)
from misocoin.units import Sats


def _outputs(value: Json, _name: str) -> list[Json] | dict[str, Json]:
    if value is None:
        raise invalid("Invalid parameter, output argument must be non-null")
    return ARRAY_OR_OBJECT.parse(value, "")


COINS: Kind[Sats] = replace(
    AMOUNT,
    from_json=lambda value, _name: sats_from_number(value),
    mismatch="Amount is not a number or string",
)
"""Coins with up to eight decimals, as a number or as text; the value is in base units."""

OUTPUTS: Kind[list[Json] | dict[str, Json]] = replace(ARRAY_OR_OBJECT, types=(), from_json=_outputs)
"""What a transaction pays."""
