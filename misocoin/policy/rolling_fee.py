"""The mempool's rolling minimum: after an eviction, newcomers must pay more than what was evicted.

The minimum rises to the rate of the evicted plus the incremental rate. Once a block has come, it
halves every 12 hours (6 or 3 while the mempool is under a half or a quarter of its limit), and
falls to nothing below half of the incremental rate. Source: Core's `CTxMemPool::GetMinFee`.
"""

from typing import NamedTuple

from misocoin.policy.feerate import FeeRate

HALF_LIFE = 12 * 3_600
"""Seconds in which the minimum halves."""

UPDATE_INTERVAL = 10
"""Seconds between two steps of the decay, at least."""


class RollingFee(NamedTuple):
    """The minimum as of its last change."""

    rate: float = 0.0
    """Base units per kvB; a fraction, so that short steps of the decay are not lost."""
    updated: int = 0
    """Unix time up to which the decay is in `rate`."""
    is_decaying: bool = False
    """Whether a block has come since the last rise."""

    @property
    def feerate(self) -> FeeRate:
        """The rate in whole base units, to the nearest."""
        return FeeRate(int(self.rate + 0.5))


def raise_rolling_fee(fee: RollingFee, rate: FeeRate | int) -> RollingFee:
    """The minimum after an eviction that asks for `rate` (that of the evicted plus a step)."""
    if rate <= fee.rate:
        return fee
    return RollingFee(float(rate), fee.updated, False)


def start_decay(fee: RollingFee, now: int) -> RollingFee:
    """The minimum after a block: from `now` (unix seconds) on it decays."""
    return RollingFee(fee.rate, now, True)


def decay_rolling_fee(
    fee: RollingFee, now: int, usage: int, max_usage: int, incremental: FeeRate | int
) -> RollingFee:
    """The minimum at `now`, with `usage` of `max_usage` bytes of the mempool taken."""
    if not fee.is_decaying or fee.rate == 0 or now <= fee.updated + UPDATE_INTERVAL:
        return fee
    half_life = HALF_LIFE
    if usage < max_usage // 4:
        half_life //= 4
    elif usage < max_usage // 2:
        half_life //= 2
    rate = fee.rate * 0.5 ** ((now - fee.updated) / half_life)
    return RollingFee(0.0 if rate < incremental / 2 else rate, now, True)


def calculate_min_feerate(fee: RollingFee, incremental: FeeRate | int) -> FeeRate:
    """What the mempool asks of newcomers; never between nothing and the incremental rate."""
    if not fee.is_decaying or fee.rate == 0:
        return fee.feerate
    return FeeRate(max(fee.feerate, incremental))
