"""The rolling minimum, with literal numbers: 12 hours are 43,200 seconds."""

import pytest

from misocoin.policy.rolling_fee import (
    RollingFee,
    calculate_min_feerate,
    decay_rolling_fee,
    raise_rolling_fee,
    start_decay,
)

FULL = {"usage": 1_000, "max_usage": 1_000, "incremental": 1_000}


def test_an_eviction_raises_and_never_lowers_it() -> None:
    fee = raise_rolling_fee(RollingFee(), 5_000)
    assert (fee.rate, fee.is_decaying) == (5_000, False)
    assert raise_rolling_fee(fee, 4_000) == fee
    assert raise_rolling_fee(fee, 6_000).rate == 6_000


def test_it_stands_until_a_block_has_come() -> None:
    fee = raise_rolling_fee(RollingFee(), 5_000)
    assert decay_rolling_fee(fee, 10**9, **FULL) == fee
    assert calculate_min_feerate(fee, 1_000) == 5_000
    decaying = start_decay(fee, 100)
    assert decay_rolling_fee(decaying, 100 + 43_200, **FULL).rate == pytest.approx(2_500)


@pytest.mark.parametrize(
    ("usage", "seconds"),
    [(1_000, 43_200), (500, 43_200), (499, 21_600), (250, 21_600), (249, 10_800), (0, 10_800)],
)
def test_it_halves_faster_where_there_is_room(usage: int, seconds: int) -> None:
    fee = RollingFee(8_000.0, 0, True)
    later = decay_rolling_fee(fee, seconds, usage, 1_000, 1_000)
    assert later.rate == pytest.approx(4_000)
    assert later.updated == seconds


def test_steps_of_ten_seconds_or_less_are_saved_up() -> None:
    fee = RollingFee(8_000.0, 100, True)
    assert decay_rolling_fee(fee, 110, **FULL) == fee
    assert decay_rolling_fee(fee, 111, **FULL).rate < 8_000
    assert decay_rolling_fee(fee, 50, **FULL) == fee  # a clock set back


def test_many_small_steps_decay_like_a_large_one() -> None:
    fee = RollingFee(8_000.0, 0, True)
    stepped = fee
    for now in range(0, 43_200, 11):
        stepped = decay_rolling_fee(stepped, now, **FULL)
    stepped = decay_rolling_fee(stepped, 43_200, **FULL)
    assert stepped.rate == pytest.approx(4_000, rel=1e-3)


def test_below_half_a_step_it_is_gone() -> None:
    fee = RollingFee(1_000.0, 0, True)
    almost = decay_rolling_fee(fee, 43_000, **FULL)
    assert 500 < almost.rate < 510
    assert calculate_min_feerate(almost, 1_000) == 1_000
    gone = decay_rolling_fee(fee, 43_300, **FULL)
    assert gone.rate == 0
    assert calculate_min_feerate(gone, 1_000) == 0


def test_the_rate_is_whole() -> None:
    assert calculate_min_feerate(RollingFee(1_500.5, 0, False), 1_000) == 1_501
    assert calculate_min_feerate(RollingFee(1_500.4, 0, True), 1_000) == 1_500
