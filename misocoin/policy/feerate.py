"""Fee rates: base units per 1,000 virtual bytes, as integers."""

from typing import NewType

from misocoin.units import COIN, Sats

FeeRate = NewType("FeeRate", int)
"""Base units per 1,000 virtual bytes (Core's `CFeeRate`)."""

KILO_VBYTE = 1_000
"""Virtual bytes that a fee rate counts in."""

NO_FEE_RATE = FeeRate(0)


def calculate_fee(rate: FeeRate | int, vsize: int) -> Sats:
    """The fee that `vsize` virtual bytes owe at `rate`, rounded up to a whole base unit."""
    return Sats(-(-rate * vsize // KILO_VBYTE))


def feerate_from_fee(fee: Sats | int, vsize: int) -> FeeRate:
    """The rate at which `fee` pays for `vsize` virtual bytes, rounded towards zero.

    Nothing weighs nothing: a `vsize` of 0 has the rate 0.
    """
    if vsize <= 0:
        return NO_FEE_RATE
    rate = abs(fee) * KILO_VBYTE // vsize
    return FeeRate(rate if fee >= 0 else -rate)


def core_text_from_feerate(rate: FeeRate | int) -> str:
    """A rate as Core's refusals write it: 1500 becomes `0.00001500 BTC/kvB`."""
    whole, fraction = divmod(abs(rate), COIN)
    return f"{'-' if rate < 0 else ''}{whole}.{fraction:08d} BTC/kvB"


def text_from_feerate(rate: FeeRate | int) -> str:
    """Base units per virtual byte, for messages: 1500 becomes `1.500 sat/vB`."""
    sign = "-" if rate < 0 else ""
    whole, fraction = divmod(abs(rate), KILO_VBYTE)
    return f"{sign}{whole}.{fraction:03d} sat/vB"
