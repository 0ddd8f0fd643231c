"""Proof of work from strangers who ask for much: a WSGI application before the node's own.

Calls that come with credentials pass. Calls without, and what other nodes send to `/peer/`, are
free while their rate is low, and answered with 429 and a challenge (`hashcash.http`) while it is
not.
"""

from collections.abc import Callable, Iterable, Mapping
from io import BytesIO
from secrets import token_bytes
from types import MappingProxyType
from typing import Any, Final

from misocoin.hashcash.clock import Clock
from misocoin.hashcash.errors import StampError
from misocoin.hashcash.http import MAX_PAID_BITS, HttpToll
from misocoin.hashcash.price import Tariff, cost_of
from misocoin.hashcash.requests import STAMP_ERROR, BadRequest, refusal, request_from_line
from misocoin.hashcash.toll import Toll
from misocoin.http.client import CHALLENGE_FIELD, stamped_request
from misocoin.http.errors import Overloaded
from misocoin.http.server import Application, is_loopback, numeric_host
from misocoin.rpc.front import MAX_OPEN_BODY, RPC_PATHS, WALLET_PATHS

COSTS: Final = MappingProxyType(
    {
        "send_raw_tx": 4,
        "sendrawtransaction": 4,
        "testmempoolaccept": 4,
        "submit_block": 8,
        "submitblock": 8,
        "submitpackage": 8,
    }
)
"""How many calls those count for that cost the node more than others."""


PRESSED_BITS: Final = 16
"""What prices under load start from."""

EXTRA_BITS: Final = 4
"""By how much the cost of a call may raise a price that our own programs still pay."""

TOTAL_SHARES: Final = 20
"""How many addresses may ask for as much as each of them may before all of them pay."""


class TollBooth:
    """Takes the toll of a node's requests."""

    def __init__(
        self,
        application: Application,
        toll: HttpToll,
        is_free_for_loopback: bool,
        costs: Mapping[str, int] = COSTS,
    ) -> None:
        """`is_free_for_loopback` lets programs of this machine pass."""
        self._application = application
        self._toll = toll
        self._is_free_for_loopback = is_free_for_loopback
        self._costs = costs

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Answer a request (PEP 3333)."""
        length = int(environ.get("CONTENT_LENGTH") or 0)
        path = environ["PATH_INFO"]
        is_call = path in RPC_PATHS or path.startswith(WALLET_PATHS)
        # Passwords are the application's to check, and calls that are too long it refuses unread.
        is_settled = is_call and ("HTTP_AUTHORIZATION" in environ or length > MAX_OPEN_BODY)
        if is_settled or not self._is_charged(environ):
            return self._application(environ, start_response)
        stamp = environ.get("HTTP_HASHCASH")
        body = b""
        if is_call or stamp is not None:
            try:
                body = environ["wsgi.input"].read(length)
            except TimeoutError:
                return _text(start_response, "408 Request Timeout", "it took too long to come")
            except Overloaded:
                return _text(start_response, "503 Service Unavailable", "too much is going on")
            environ["wsgi.input"] = BytesIO(body)
        refused = self._toll.ask(
            environ.get("REMOTE_ADDR", ""),
            stamp,
            stamped_request("POST", _target(environ), body),
            self._cost(body) if is_call else 1,
        )
        if refused is None:
            return self._application(environ, start_response)
        return _refuse(start_response, body if is_call else None, *refused)

    def _is_charged(self, environ: Mapping[str, Any]) -> bool:
        if environ["REQUEST_METHOD"] != "POST":
            return False
        return not (self._is_free_for_loopback and is_loopback(environ.get("REMOTE_ADDR")))

    def _cost(self, body: bytes) -> int:
        try:
            return cost_of(request_from_line(body).methods, self._costs)
        except BadRequest:
            return 1


def _target(environ: Mapping[str, Any]) -> str:
    """What stood in the request line."""
    target: str = environ.get("REQUEST_URI") or environ["PATH_INFO"]
    return target


def _refuse(
    start_response: Callable[..., Any], call: bytes | None, error: StampError, challenge: str
) -> list[bytes]:
    """Ask for a stamp; a call gets an error with its id."""
    field = (CHALLENGE_FIELD, challenge)
    status, message = "429 Too Many Requests", f"proof of work is asked for ({error})"
    if call is None:
        return _text(start_response, status, message, field)
    data = {"stamp": error.fault.value, "challenge": challenge}
    body = refusal(call, STAMP_ERROR, message, data)
    start_response(
        status,
        [("Content-Type", "application/json"), ("Content-Length", str(len(body))), field],
    )
    return [body]


def _text(
    start_response: Callable[..., Any], status: str, message: str, *more: tuple[str, str]
) -> list[bytes]:
    body = f"{message}\n".encode()
    fields = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))]
    start_response(status, [*fields, *more])
    return [body]


def toll_for(
    is_wanted: bool | None, rate: int, chain: str, places: Iterable[tuple[str, int]]
) -> HttpToll | None:
    """Make the toll of a node that listens in these places; None where there is to be none.

    Without a wish there is one as soon as others can reach one of the places. `rate` is the calls
    a second from one address that stay free.
    """
    is_public = any(not is_loopback(numeric_host(host)) for host, _ in places)
    if not (is_public if is_wanted is None else is_wanted):
        return None
    tariff = Tariff(
        quiet_bits=0,
        pressed_bits=PRESSED_BITS,
        max_bits=MAX_PAID_BITS - EXTRA_BITS,
        address_rate=float(rate),
        total_rate=float(rate * TOTAL_SHARES),
        costs=COSTS,
    )
    return HttpToll(Toll(f"misocoin-{chain}", token_bytes(32), tariff), Clock())
