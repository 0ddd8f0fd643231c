import pytest

from misocoin.consensus.subsidy import calculate_subsidy
from misocoin.params import bitcoin, miso, regtest

COIN = 100_000_000


@pytest.mark.parametrize(
    ("params", "height", "subsidy"),
    [
        (bitcoin(), 0, 50 * COIN),
        (bitcoin(), 209_999, 50 * COIN),
        (bitcoin(), 210_000, 25 * COIN),
        (bitcoin(), 420_000, 1_250_000_000),
        (bitcoin(), 630_000, 625_000_000),
        (bitcoin(), 840_000, 312_500_000),
        (bitcoin(), 2_310_000, 2_441_406),  # 2,441,406.25
        (bitcoin(), 6_929_999, 1),
        (bitcoin(), 6_930_000, 0),
        (bitcoin(), 64 * 210_000, 0),
        (bitcoin(), 200 * 210_000, 0),
        (miso(), 1, 15 * COIN),
        (miso(), 4_199_999, 15 * COIN),
        (miso(), 4_200_000, 750_000_000),
        (miso(), 8_400_000, 375_000_000),
        (miso(), 30 * 4_200_000, 1),
        (miso(), 31 * 4_200_000, 0),
        (regtest(), 149, 50 * COIN),
        (regtest(), 150, 25 * COIN),
        (regtest(), 300, 1_250_000_000),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_subsidy(params, height, subsidy):
    assert calculate_subsidy(height, params) == subsidy


@pytest.mark.parametrize(
    ("params", "supply"),
    [
        (bitcoin(), 2_099_999_997_690_000),
        (miso(), 12_599_999_949_600_000),
        (regtest(), 1_499_999_998_350),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_total_supply(params, supply):
    interval = params.halving_interval
    total = sum(interval * calculate_subsidy(era * interval, params) for era in range(100))
    assert total == supply <= params.max_money
