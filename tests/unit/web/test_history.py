"""The numbers behind the charts."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from misocoin.params import bitcoin, miso, regtest
from misocoin.web.history import (
    branch,
    charts,
    expected_counts,
    hash_rates,
    histogram,
    intervals,
    supply,
    supply_at,
)
from tests.builders import grow, memory_chain

REGTEST = regtest()
BITCOIN = bitcoin()
MISO = miso()


@pytest.mark.parametrize(
    ("height", "coins"), [(0, 0), (1, 50), (149, 149 * 50), (150, 149 * 50 + 25), (300, 11212.5)]
)
def test_coins_of_regtest(height: int, coins: float) -> None:
    assert supply_at(height, REGTEST) == coins * 10**8


def test_coins_in_the_end() -> None:
    assert supply_at(10**9, BITCOIN) == 2_099_999_997_690_000 - 50 * 10**8
    assert 125_990_000 < supply_at(10**9, MISO) / 10**8 < 126_000_000
    planned = supply(MISO, 0)
    assert planned[0] == (0, 0)
    assert [point.y for point in planned] == sorted(point.y for point in planned)


@given(st.lists(st.integers(0, 10**6), max_size=200))
def test_a_histogram_counts_what_is_near_the_mean(values: list[int]) -> None:
    bars, mean = histogram(values)
    if not sum(values):
        assert not bars
        return
    assert mean == pytest.approx(sum(values) / len(values))
    near = [value for value in values if value < bars[-1].high * (1 - 1e-9)]
    assert len(near) <= sum(bar.y for bar in bars) <= len(values)


def test_what_chance_would_give() -> None:
    points = expected_counts(1000, 30, 5, 24)
    assert sum(point.y for point in points) == pytest.approx(1000 * (1 - math.exp(-4)))


def test_charts_of_a_chain() -> None:
    with memory_chain(REGTEST) as chain:
        assert [chart.title for chart in charts(chain.tip, REGTEST, "BTC", lambda _node: (1, 0))]
        for block in grow(chain.tip, REGTEST, 40):
            chain.submit_block(block)
        nodes = branch(chain.tip)
        assert [node.height for node in nodes] == list(range(1, 41))
        assert [node.height for node in branch(chain.tip, 5)] == [36, 37, 38, 39, 40]
        assert len(intervals(nodes)) == 39
        for point in hash_rates(nodes):
            seconds = nodes[int(point.x) - 1].header.time - nodes[int(point.x) - 31].header.time
            assert point.y == pytest.approx(2 * 30 / seconds)
        made = charts(chain.tip, REGTEST, "BTC", lambda node: (2, node.height))
        assert made[4].lines[0].points[-1] == (40, 40 / 10**8)
