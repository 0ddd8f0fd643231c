"""How many base units a block may create."""

from misocoin.params import Params
from misocoin.units import Height, Sats


def calculate_subsidy(height: Height | int, params: Params) -> Sats:
    """The block subsidy at `height`: halved, rounding down, every `halving_interval` blocks."""
    halvings = height // params.halving_interval
    # A shift by 64 or more would be undefined in the C++ original; there the answer is zero.
    return Sats(params.initial_subsidy >> halvings if halvings < 64 else 0)
