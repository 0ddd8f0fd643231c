from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from misocoin.errors import AmountError
from misocoin.units import sats_from_json, sats_from_text, text_from_sats

amounts = st.integers(0, 10**20 - 1)


@given(amounts)
def test_text_of_an_amount_is_read_as_that_amount(sats):
    assert sats_from_text(text_from_sats(sats)) == sats
    assert sats_from_json(text_from_sats(sats)) == sats


@given(st.integers(-(10**25), 10**25))
def test_text_is_the_exact_decimal(sats):
    text = text_from_sats(sats)
    assert Decimal(text) * 10**8 == sats
    assert text.partition(".")[2].isdigit()
    assert len(text.partition(".")[2]) == 8


@given(st.integers(0, 21_000_000 * 10**8))
def test_a_float_of_any_bitcoin_amount_is_exact(sats):
    """What a JSON reader makes of the decimal: up to 2**53 base units nothing is lost."""
    assert sats_from_json(float(text_from_sats(sats))) == sats


@given(st.from_regex(r"-?[0-9]{1,12}(\.[0-9]{1,12})?", fullmatch=True))
def test_a_decimal_is_read_exactly_or_refused(text):
    exact = Decimal(text) * 10**8
    if exact == exact.to_integral_value() and exact >= 0:
        assert sats_from_text(text) == exact
    else:
        with pytest.raises(AmountError):
            sats_from_text(text)


@given(
    st.text()
    | st.text("0123456789.-+eE _,", max_size=20)
    | st.floats()
    | st.integers()
    | st.none()
    | st.booleans()
    | st.binary()
    | st.lists(st.integers())
)
def test_anything_is_an_amount_or_an_amount_error(value):
    try:
        sats = sats_from_json(value)
    except AmountError as error:
        sats, message = 0, str(error)
    else:
        message = ""
    assert type(sats) is int
    assert sats >= 0
    assert "\n" not in message
