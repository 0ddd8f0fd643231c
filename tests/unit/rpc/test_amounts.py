"""Amounts as Core reads them; the answers are those of a bitcoind."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from misocoin.http.errors import RpcError
from misocoin.rpc.amounts import sats_from_number
from misocoin.units import text_from_sats


@pytest.mark.parametrize(
    ("value", "sats"),
    [
        (1, 10**8),
        (0.1, 10**7),
        (1e-8, 1),
        ("1e-8", 1),
        ("1e1", 10**9),
        ("1.0000000000000000000000000000000000000", 10**8),
        ("-0", 0),
        (-0.0, 0),
        ("0.00000000000", 0),
        ("1000000000000000000000000000e-20", 10**15),
        (21_000_000, 21 * 10**14),
    ],
)
def test_an_amount(value: Any, sats: int) -> None:
    assert sats_from_number(value) == sats


@pytest.mark.parametrize(
    ("value", "words"),
    [
        *((value, "Amount out of range") for value in (-1, "-1", 1e9, "9999999999.99999999")),
        *((value, "Invalid amount") for value in (1e-9, 1e10, 1e100, 10**20, 10**400)),
        *((value, "Invalid amount") for value in ("", " 1", "01", ".5", "5.", "+1", "0x1", "1,0")),
        *((value, "Invalid amount") for value in ("0e999", "0e-9999", "1e-9999999", "1e18")),
        *((value, "Amount is not a number or string") for value in (None, True, [1], {})),
    ],
)
def test_what_is_no_amount(value: Any, words: str) -> None:
    with pytest.raises(RpcError) as caught:
        sats_from_number(value)
    assert (caught.value.code, caught.value.message) == (-3, words)


@given(st.integers(0, 21 * 10**14))
def test_what_is_shown_is_read(sats: int) -> None:
    assert sats_from_number(text_from_sats(sats)) == sats


@given(
    st.text() | st.floats() | st.integers() | st.none() | st.from_regex(r"-?[0-9.]+(e[+-]?[0-9]+)?")
)
def test_any_value_is_read_or_refused(value: Any) -> None:
    try:
        assert sats_from_number(value) >= 0
    except RpcError as error:
        assert error.code == -3  # noqa: PT017 - an amount is an answer, too
