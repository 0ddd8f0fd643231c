"""How pages write things."""

import pytest

from misocoin.face.words import (
    ago_text,
    coins_text,
    count_text,
    duration_text,
    rate_text,
    time_text,
)


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0, "0"),
        (1, "0.00000001"),
        (150_000_000, "1.5"),
        (123_456_700_000_000, "1,234,567"),
        (-1_000, "-0.00001"),
        (123_456_789, "1.23456789"),
    ],
)
def test_coins(amount: int, text: str) -> None:
    assert coins_text(amount) == text


@pytest.mark.parametrize(
    ("rate", "text"), [(1, "1"), (1.5, "1.5"), (0.0004, "0"), (1234.5678, "1,234.568"), (0, "0")]
)
def test_fee_rates(rate: float, text: str) -> None:
    assert rate_text(rate) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.42, "0.4 s"),
        (59.6, "1 min"),
        (65, "1 min 5 s"),
        (3600, "1 h"),
        (3605, "1 h"),
        (93_784, "1 d 2 h"),
        (-5, "-5 s"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


def test_moments() -> None:
    assert time_text(1512254915) == "2017-12-02 22:48:35"
    assert time_text(1e20) == "1e+20"
    assert ago_text(100, 165) == "1 min 5 s ago"
    assert ago_text(165, 160) == "in 5 s"
    assert ago_text(100, 100.2) == "now"
    assert count_text(1234567) == "1,234,567"
