import pytest

from misocoin.market.numbers import whole_number


@pytest.mark.parametrize(
    ("text", "number"),
    [("0", 0), ("007", 7), ("32", 32), ("33", None), ("", None), ("-1", None), ("+1", None),
     ("1.0", None), ("1e1", None), ("٣", None), ("²", None), (" 1", None), ("1_0", None),
     ("0" * 17 + "5", 5), ("0" * 18 + "5", None), ("0" * 12 + "999", None), ("9" * 5000, None)],
)  # fmt: skip
def test_whole_numbers(text, number):
    assert whole_number(text, 32) == number
