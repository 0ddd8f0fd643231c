"""Fee estimates from what was seen."""

from misocoin.policy.fee_estimate import (
    CONSERVATIVE,
    ECONOMICAL,
    MIN_SAMPLES,
    FeeSample,
    estimate_feerate,
)
from misocoin.policy.feerate import FeeRate


def seen(
    rate: int, blocks: int, count: int = MIN_SAMPLES, *, mined: bool = True
) -> list[FeeSample]:
    return [FeeSample(FeeRate(rate), blocks, mined)] * count


def test_too_little_says_nothing() -> None:
    assert estimate_feerate([], 6, ECONOMICAL) is None
    assert estimate_feerate(seen(1000, 1, MIN_SAMPLES - 1), 6, ECONOMICAL) is None


def test_the_lowest_rate_that_is_in_time() -> None:
    samples = seen(9000, 1) + seen(5000, 3) + seen(1000, 20)
    assert estimate_feerate(samples, 2, ECONOMICAL) == 9000
    assert estimate_feerate(samples, 6, ECONOMICAL) == 5000
    assert estimate_feerate(samples, 20, ECONOMICAL) == 1000


def test_a_cheap_one_by_luck_does_not_count_beyond_a_rate_that_failed() -> None:
    samples = seen(9000, 1) + seen(5000, 30) + seen(1000, 1)
    assert estimate_feerate(samples, 6, ECONOMICAL) == 9000


def test_what_waits_too_long_counts_as_late_and_what_just_came_not_at_all() -> None:
    samples = seen(5000, 1, 30)
    assert estimate_feerate(samples + seen(5000, 10, 30, mined=False), 6, ECONOMICAL) is None
    assert estimate_feerate(samples + seen(5000, 2, 30, mined=False), 6, ECONOMICAL) == 5000


def test_who_cannot_wait_pays_more() -> None:
    samples = seen(9000, 1, 100) + seen(5000, 1, 90) + seen(5000, 9, 10)
    assert estimate_feerate(samples, 2, ECONOMICAL) == 5000
    assert estimate_feerate(samples, 2, CONSERVATIVE) == 9000
