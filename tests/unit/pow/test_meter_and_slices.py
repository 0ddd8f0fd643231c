"""The rate over the last while, and slices of about equal time."""

import pytest

from misocoin.pow.meter import RateMeter
from misocoin.pow.slices import FIRST_SLICE, SliceDealer, next_slice_size


def test_a_rate_is_nonces_by_time_of_all_threads():
    meter = RateMeter(window=10)
    assert meter.rate(0.0) == 0.0
    meter.add(1000, 0.0, 1.0)
    meter.add(3000, 0.0, 1.0)
    assert meter.rate(1.0) == pytest.approx(4000)
    assert meter.rate(2.0) == pytest.approx(2000)  # nothing came since
    assert meter.total == 4000


def test_what_lies_before_the_window_does_not_count():
    meter = RateMeter(window=10)
    meter.add(1_000_000, 0.0, 5.0)
    meter.add(100, 5.0, 25.0)  # half of it within the window
    assert meter.rate(25.0) == pytest.approx(5)
    assert meter.rate(36.0) == 0.0
    assert meter.total == 1_000_100


def test_slices_are_neighbours_until_the_space_ends():
    dealer = SliceDealer(10)
    assert [dealer.take(4) for _ in range(4)] == [(0, 4), (4, 4), (8, 2), (10, 0)]
    assert dealer.is_empty


def test_a_slice_comes_to_take_a_quarter_of_a_second():
    size = FIRST_SLICE
    for _ in range(12):
        size = next_slice_size(size, size, size / 20e6)
    assert size == 5_000_000
    assert next_slice_size(size, size, size / 1e6) == 250_000
    assert next_slice_size(100_000, 100_000, 0.0) == 800_000
    assert next_slice_size(FIRST_SLICE, 10, 1.0) == FIRST_SLICE
