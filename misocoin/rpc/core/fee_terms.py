"""How a payment's fee is asked for in Core's wallet methods, refused in its words."""

from collections.abc import Iterable

from misocoin.http.errors import RpcError
from misocoin.policy.feerate import FeeRate
from misocoin.rpc.amounts import sats_from_number
from misocoin.rpc.errors import RpcCode
from misocoin.rpc.json import Json
from misocoin.rpc.params import invalid, json_type, wrong_type
from misocoin.units import COIN

MAX_TARGET = 1_008
"""Blocks of the farthest confirmation target."""

_MODES = frozenset({"unset", "economical", "conservative"})


def fee_rate_from_json(value: Json) -> FeeRate:
    """Read base units per virtual byte, with up to three decimals. Raises RpcError."""
    # As Core does: an amount with three decimals instead of eight.
    sats = sats_from_number(value, 21_000_000 * COIN * 100_000)
    if sats % (COIN // 1000):
        raise RpcError(RpcCode.TYPE_ERROR, "Invalid amount")
    return FeeRate(sats // (COIN // 1000))


def check_fee_terms(conf_target: Json, estimate_mode: Json, fee_rate: Json) -> FeeRate | None:
    """The fee rate that a caller asks for; None where it is left to the node. Raises RpcError."""
    if fee_rate is not None:
        if conf_target is not None:
            raise invalid(
                "Cannot specify both conf_target and fee_rate. Please provide either a "
                "confirmation target in blocks for automatic fee estimation, or an explicit fee "
                "rate."
            )
        if estimate_mode is not None and str(estimate_mode).lower() != "unset":
            raise invalid("Cannot specify both estimate_mode and fee_rate")
        return fee_rate_from_json(fee_rate)
    if estimate_mode is not None and not isinstance(estimate_mode, str):
        raise wrong_type(estimate_mode, "string")
    if estimate_mode is not None and estimate_mode.lower() not in _MODES:
        raise invalid(
            'Invalid estimate_mode parameter, must be one of: "unset", "economical", "conservative"'
        )
    if conf_target is not None:
        if isinstance(conf_target, bool) or not isinstance(conf_target, int):
            raise wrong_type(conf_target, "number")
        if not 1 <= conf_target <= MAX_TARGET:
            raise invalid(f"Invalid conf_target, must be between 1 and {MAX_TARGET}")
    return None


def places_from_json(given: Iterable[Json], names: list[str]) -> frozenset[int]:
    """Read which outputs pay the fee, by their places or addresses. Raises RpcError."""
    places: set[int] = set()
    start = "Invalid parameter 'subtract fee from output', "
    for each in given:
        if isinstance(each, str):
            if each not in names:
                raise invalid(f"{start}destination {each} not found in tx outputs")
            place = names.index(each)
        elif isinstance(each, int) and not isinstance(each, bool):
            place = each
        else:
            raise invalid(f"{start}invalid value type: {json_type(each)}")
        if place in places:
            raise invalid(f"{start}duplicated position: {place}")
        if place < 0:
            raise invalid(f"{start}negative position: {place}")
        if place >= len(names):
            raise invalid(f"{start}position too large: {place}")
        places.add(place)
    return frozenset(places)
