"""Payment requests as text: `misocoin:ADDRESS?amount=1.5&label=tea`, in the manner of BIP21."""

from typing import Final, NamedTuple
from urllib.parse import parse_qsl, quote, urlencode

from misocoin.errors import ParseError
from misocoin.units import Sats, sats_from_text, text_from_sats

SCHEME: Final = "misocoin:"

MAX_URI: Final = 2_000
"""Characters of a request."""

MAX_LABEL: Final = 200
"""Characters of each text in it."""

_MOST_PARAMETERS = 20


class PaymentRequest(NamedTuple):
    """What somebody asks for."""

    address: str
    amount: Sats | None = None
    """Base units; None leaves it to the payer."""
    label: str = ""
    """Who asks."""
    message: str = ""
    """What for."""


def uri_from_request(request: PaymentRequest) -> str:
    """Write a request."""
    fields = {
        "amount": "" if request.amount is None else _short(request.amount),
        "label": request.label,
        "message": request.message,
    }
    query = urlencode({name: text for name, text in fields.items() if text}, quote_via=quote)
    return f"{SCHEME}{request.address}{'?' if query else ''}{query}"


def is_payment_uri(text: str) -> bool:
    """Whether a text means to be a request."""
    return text[: len(SCHEME)].lower() == SCHEME


def request_from_uri(text: str) -> PaymentRequest:
    """Read a request; whether its address is one is not looked at. Raises ParseError.

    What begins with `req-` must be understood by who pays, as BIP21 has it; nothing is, here.
    """
    if not is_payment_uri(text) or len(text) > MAX_URI:
        raise ParseError(f"a payment request is {SCHEME}… with at most {MAX_URI} letters")
    address, _, query = text[len(SCHEME) :].partition("?")
    try:
        pairs = parse_qsl(query, True, True, errors="strict", max_num_fields=_MOST_PARAMETERS)
    except ValueError:
        raise ParseError("the payment request cannot be read") from None
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise ParseError("the payment request says something twice")
    unknown = next((name for name in fields if name.startswith("req-")), None)
    if unknown is not None:
        raise ParseError(f"the payment request demands {unknown[:40]!r}, which is unknown here")
    amount = fields.get("amount")
    return PaymentRequest(
        address,
        None if amount is None else sats_from_text(amount),
        _line(fields.get("label", "")),
        _line(fields.get("message", "")),
    )


def _short(amount: int) -> str:
    return text_from_sats(amount).rstrip("0").rstrip(".")


def _line(text: str) -> str:
    return "".join(letter for letter in text if letter.isprintable())[:MAX_LABEL]
