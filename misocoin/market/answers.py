"""What every call shares: reading forms and arguments, answering, refusing."""

import logging
from urllib.parse import parse_qsl

from flask import Response, request
from werkzeug.exceptions import HTTPException

from misocoin.errors import AddressError, AmountError, MisocoinError, StoreError
from misocoin.http.errors import HttpError, Overloaded, RpcError
from misocoin.market.errors import Malformed, MarketError
from misocoin.market.money import COIN_NAMES, OLD_NAMES, Names
from misocoin.market.numbers import whole_number
from misocoin.market.wire import bytes_from_json

log = logging.getLogger(__name__)

MAX_FORM = 16_384
"""Bytes of a form."""

MAX_FIELDS = 20
"""Fields of a form."""

JSON, HTML = "application/json", "text/html"
"""What is answered."""

_OLD_CLIENT = "BitWrkGoClient/"


def text_answer(status: int, message: str) -> Response:
    """One line of text."""
    return Response(f"{message}\n", status, content_type="text/plain; charset=utf-8")


def refusal(error: MisocoinError) -> Response:
    """What the caller is told of an error."""
    if isinstance(error, MarketError):
        return text_answer(error.status, str(error))
    if isinstance(error, AmountError | AddressError):
        return text_answer(400, str(error))
    if isinstance(error, Overloaded):
        return text_answer(503, "as many requests are waiting as may")
    if isinstance(error, HttpError | RpcError):
        return text_answer(503, "the market's node cannot be reached now; try again later")
    if isinstance(error, StoreError):
        log.error("%s", error)
        return text_answer(503, "the market's book cannot be used now; try again later")
    raise error


def http_error(error: HTTPException) -> Response:
    """The same for what Flask refuses."""
    return text_answer(error.code or 500, error.name)


def harden(response: Response) -> Response:
    """Forbid what no page of ours does."""
    response.headers["Content-Security-Policy"] = (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
        "frame-ancestors 'none'; base-uri 'none'"
    )
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers.setdefault("Cache-Control", "no-cache")
    return response


def wanted_type() -> str:
    """JSON or HTML, as the caller accepts; raises NotAcceptable where it accepts neither."""
    accepted = request.headers.get("Accept", "")
    best = request.accept_mimetypes.best_match([HTML, JSON]) if accepted else None
    if best is None:
        raise NotAcceptable("this answers text/html or application/json; say so in Accept")
    return best


class NotAcceptable(MarketError):  # noqa: N818 - HTTP's own term
    """The caller accepts nothing that is answered here."""

    status = 406


def form_fields(data: bytes) -> dict[str, str]:
    """The fields of a url-encoded form, each there once. Raises Malformed."""
    try:
        pairs = parse_qsl(
            data.decode("utf-8"),
            keep_blank_values=True,
            strict_parsing=bool(data),
            encoding="utf-8",
            errors="strict",
            max_num_fields=MAX_FIELDS,
        )
    except (ValueError, UnicodeDecodeError):
        raise Malformed("the form is not url-encoded, or has too many fields") from None
    fields = dict(pairs)
    if len(fields) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise Malformed(f"Duplicate argument: {twice[:40]}")
    return fields


class TooMany(MarketError):  # noqa: N818
    """The caller asks for more than its share."""

    status = 429


def see(path: str, status: int = 303, **fields: str) -> Response:
    """Point to what has come of a request; an underscore in a field's name is a hyphen."""
    headers = {name.replace("_", "-"): text for name, text in fields.items()}
    return Response(status=status, headers={"Location": path, **headers})


def wanted_names() -> Names:
    """The coin's units as the caller knows them."""
    is_old = request.headers.get("User-Agent", "").startswith(_OLD_CLIENT)
    return OLD_NAMES if is_old else COIN_NAMES


def number_argument(name: str, default: int, most: int) -> int:
    """A number in the query string. Raises Malformed."""
    number = whole_number(request.args.get(name, str(default)), most)
    if number is None:
        raise Malformed(f"{name} must be a number up to {most}")
    return number


def json_answer(form: object) -> Response:
    """An answer in JSON."""
    return Response(bytes_from_json(form), content_type=JSON)
