import pytest

from misocoin.errors import AmountError
from misocoin.units import COIN, DECIMALS, sats_from_json, sats_from_text, text_from_sats


def test_a_coin_is_a_hundred_million_base_units():
    assert COIN == 100_000_000
    assert DECIMALS == 8


@pytest.mark.parametrize(
    ("text", "sats"),
    [
        ("0", 0),
        ("1", 100_000_000),
        ("1.5", 150_000_000),
        ("0.00000001", 1),
        ("0.10000000", 10_000_000),
        ("20999999.9769", 2_099_999_997_690_000),
        ("126000000", 12_600_000_000_000_000),
        ("007", 700_000_000),
        ("  2 \n", 200_000_000),
        ("1.1000000000000", 110_000_000),
        ("-0", 0),
        ("999999999999.99999999", 99_999_999_999_999_999_999),
    ],
)
def test_text_becomes_base_units(text, sats):
    assert sats_from_text(text) == sats


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("-1", "is negative"),
        ("-0.00000001", "is negative"),
        ("1.000000001", "has more than 8 decimals"),
        ("0.123456789", "has more than 8 decimals"),
        ("", "is not an amount"),
        (".5", "is not an amount"),
        ("5.", "is not an amount"),
        ("+1", "is not an amount"),
        ("1e8", "is not an amount"),
        ("1,5", "is not an amount"),
        ("1 000", "is not an amount"),
        ("0x10", "is not an amount"),
        ("١", "is not an amount"),
        ("nan", "is not an amount"),
        ("--1", "is not an amount"),
        ("1\n2", "is not an amount"),
        ("1000000000000", "is too large"),
        ("x" * 1000, "is not an amount"),
    ],
)
def test_other_text_is_refused_in_one_short_line(text, message):
    with pytest.raises(AmountError, match=message) as caught:
        sats_from_text(text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 130


@pytest.mark.parametrize(
    ("value", "sats"),
    [
        ("0.1", 10_000_000),
        (0.1, 10_000_000),
        (1e-8, 1),
        (3, 300_000_000),
        (0, 0),
        (20999999.9769, 2_099_999_997_690_000),
        (0.3, 30_000_000),
        (1.1, 110_000_000),
        (-0.0, 0),
    ],
)
def test_json_values_are_taken_as_their_sender_wrote_them(value, sats):
    assert sats_from_json(value) == sats


@pytest.mark.parametrize(
    "value",
    [
        *(None, True, False, [], {}, b"1"),
        *(float("nan"), float("inf"), -float("inf"), 1e300, 1e-9, -1, -0.5),
        0.1 + 0.2,  # 0.30000000000000004
        *(10**12, -(10**12)),
        pytest.param(10**5000, id="5001 digits"),
    ],
)
def test_other_json_values_are_refused(value):
    with pytest.raises(AmountError):
        sats_from_json(value)


@pytest.mark.parametrize(
    ("sats", "text"),
    [
        (0, "0.00000000"),
        (1, "0.00000001"),
        (150_000_000, "1.50000000"),
        (-1, "-0.00000001"),
        (-250_000_000, "-2.50000000"),
        (12_600_000_000_000_000, "126000000.00000000"),
    ],
)
def test_base_units_are_written_with_eight_decimals(sats, text):
    assert text_from_sats(sats) == text
