"""Payment requests: read what was written, refuse what is none."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from misocoin.errors import AmountError, ParseError
from misocoin.units import Sats
from misocoin.web.payment_uri import (
    PaymentRequest,
    is_payment_uri,
    request_from_uri,
    uri_from_request,
)


def test_as_bip21_writes_them() -> None:
    asked = PaymentRequest("miso1qxyz", Sats(2_030_000_000), "Luke-Jr", "Donation for xyz")
    text = "misocoin:miso1qxyz?amount=20.3&label=Luke-Jr&message=Donation%20for%20xyz"
    assert uri_from_request(asked) == text
    assert request_from_uri(text) == asked
    assert request_from_uri("MISOCOIN:miso1qxyz") == PaymentRequest("miso1qxyz")
    assert request_from_uri("misocoin:m?somethingyoudontknow=50").amount is None


@pytest.mark.parametrize(
    "text",
    [
        "bitcoin:x",
        "misocoin:x?req-somethingyoudontknow=50",
        "misocoin:x?amount=1&amount=2",
        "misocoin:x?amount",
        "misocoin:x?label=%ff",
        "misocoin:" + "x" * 3000,
        "misocoin:x?" + "&".join(f"a{n}=1" for n in range(30)),
    ],
)
def test_what_cannot_be_paid(text: str) -> None:
    with pytest.raises(ParseError):
        request_from_uri(text)


@pytest.mark.parametrize("amount", ["", "-1", "1e8", "0.000000001"])
def test_amounts_are_plain_decimals(amount: str) -> None:
    with pytest.raises(AmountError):
        request_from_uri(f"misocoin:x?amount={amount}")


@given(
    st.builds(
        PaymentRequest,
        st.from_regex(r"[0-9a-zA-Z]{1,90}", fullmatch=True),
        st.none() | st.integers(0, 21 * 10**14).map(Sats),
        st.text(max_size=60).filter(str.isprintable),
        st.text(max_size=60).filter(str.isprintable),
    )
)
def test_what_was_written_is_read(asked: PaymentRequest) -> None:
    assert request_from_uri(uri_from_request(asked)) == asked


@given(st.text().map("misocoin:".__add__) | st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(ParseError):
        asked = request_from_uri(text)
        assert is_payment_uri(text)
        assert (asked.label + asked.message).isprintable()
