"""What fee rate gets a transaction into one of the next blocks, told from what was seen. Pure.

Every transaction that was seen to come and to be mined is a sample: its rate, and how many blocks
it took. The estimate for a target is the lowest rate from which on up nearly all samples made it
in time; what still waits, and has waited for longer than that, counts as one that did not.
"""

from collections.abc import Iterable
from typing import NamedTuple

from misocoin.policy.feerate import FeeRate

MAX_TARGET = 1008
"""Blocks: a week's, and the farthest an estimate looks (as Core's)."""

MIN_SAMPLES = 25
"""Transactions of about one rate that it takes to say anything about it."""

ECONOMICAL = 0.85
"""The share that must have made it, for those who can wait a little longer."""

CONSERVATIVE = 0.95
"""The share for those who cannot."""


class FeeSample(NamedTuple):
    """A transaction whose fate is known, or not yet."""

    rate: FeeRate
    blocks: int
    """How many it took, or has waited for."""
    is_mined: bool = True


def estimate_feerate(samples: Iterable[FeeSample], target: int, share: float) -> FeeRate | None:
    """The rate that makes it within `target` blocks, or None where too little was seen."""
    # What waits still may make it in time: it is no sample yet.
    known = sorted(
        [each for each in samples if each.is_mined or each.blocks > target], reverse=True
    )
    best: FeeRate | None = None
    good = count = 0
    for place, sample in enumerate(known):
        count += 1
        good += sample.is_mined and sample.blocks <= target
        is_last_of_rate = place + 1 == len(known) or known[place + 1].rate != sample.rate
        if count < MIN_SAMPLES or not is_last_of_rate:
            continue
        if good < share * count:
            break
        best = sample.rate
        good = count = 0
    return best
