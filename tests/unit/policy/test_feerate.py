import pytest

from misocoin.policy.feerate import (
    FeeRate,
    calculate_fee,
    feerate_from_fee,
    text_from_feerate,
)


@pytest.mark.parametrize(
    ("rate", "vsize", "fee"),
    [
        (1_000, 1_000, 1_000),
        (1_000, 141, 141),
        (1_000, 0, 0),
        (1, 1, 1),  # never nothing for something
        (1, 1_000, 1),
        (1, 1_001, 2),
        (1_999, 100, 200),
        (0, 5_000, 0),
        (-1_000, 5, -5),
        (10**14, 100_000, 10**16),
    ],
)
def test_a_fee_is_rounded_up(rate: int, vsize: int, fee: int) -> None:
    assert calculate_fee(FeeRate(rate), vsize) == fee


@pytest.mark.parametrize(
    ("fee", "vsize", "rate"),
    [
        (141, 141, 1_000),
        (999, 1_000, 999),
        (1, 1_001, 0),
        (-7, 2, -3_500),
        (-1, 3, -333),
        (5, 0, 0),
    ],
)
def test_a_rate_is_rounded_towards_zero(fee: int, vsize: int, rate: int) -> None:
    assert feerate_from_fee(fee, vsize) == rate


@pytest.mark.parametrize(
    ("rate", "text"),
    [
        (1_000, "1.000 sat/vB"),
        (1_500, "1.500 sat/vB"),
        (1, "0.001 sat/vB"),
        (-1_001, "-1.001 sat/vB"),
    ],
)
def test_text(rate: int, text: str) -> None:
    assert text_from_feerate(rate) == text
