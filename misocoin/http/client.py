"""The one HTTP client: bounded in time and in size.

What carries a call is `transport`, which is imported with the first one: a program that calls
nobody starts a good deal sooner without the libraries under it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from misocoin.http.transport import Transport

CHALLENGE_FIELD = "Hashcash-Challenge"
"""The field by which a server asks for a stamp, beside status 429."""

STAMP_FIELD = "Hashcash"
"""The field that carries a request's stamp."""

MAX_PAYMENTS = 3
"""How often a request is stamped anew, since a price may rise meanwhile."""

Pay = Callable[[str, bytes], str | None]
"""From a challenge and what is to be stamped to a stamp; None where that asks for too much."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a call may take."""

    connect_seconds: float = 5
    read_seconds: float = 30
    """The longest silence of the server."""
    total_seconds: float = 60
    """From the call to the last byte of the answer."""
    body: int = 1 << 25
    """Bytes of an answer's body."""


class HttpResponse(NamedTuple):
    """A whole answer."""

    status: int
    headers: Mapping[str, str]
    """By name, in any case."""
    body: bytes


class HttpClient:
    """Makes HTTP calls, keeping connections for the next ones. Threads may share it.

    It follows no redirect, sends no cookie, and takes nothing (proxy, password) from the
    environment.
    """

    def __init__(
        self, bounds: Bounds | None = None, connections: int = 10, pay: Pay | None = None
    ) -> None:
        """`connections` are kept open to each of as many hosts; `pay` answers challenges."""
        self._bounds = bounds or Bounds()
        self._pay = pay
        self._connections = connections
        self._carrier: Transport | None = None
        self._lock = Lock()

    def get(
        self, url: str, headers: Mapping[str, str] | None = None, bounds: Bounds | None = None
    ) -> HttpResponse:
        """Ask for a document; see `request`."""
        return self.request("GET", url, None, headers, bounds)

    def post(
        self,
        url: str,
        body: bytes,
        headers: Mapping[str, str] | None = None,
        bounds: Bounds | None = None,
    ) -> HttpResponse:
        """Send a document; see `request`."""
        return self.request("POST", url, body, headers, bounds)

    def request(
        self,
        method: str,
        url: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        bounds: Bounds | None = None,
    ) -> HttpResponse:
        """Make one call and return its whole answer, of whatever status.

        Raises HttpTimeout, HttpTooLarge or HttpError. `bounds` replace the client's own, and hold
        for each try where the server asks for a stamp.
        """
        bounds = bounds or self._bounds
        transport = self._transport()
        response = transport.request(method, url, body, headers, bounds)
        for _ in range(MAX_PAYMENTS):
            challenge = response.headers.get(CHALLENGE_FIELD)
            if response.status != 429 or challenge is None or self._pay is None:
                break
            parts = urlsplit(url)
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            stamp = self._pay(challenge, stamped_request(method, target, body or b""))
            if stamp is None:
                break
            stamped = {**(headers or {}), STAMP_FIELD: stamp}
            response = transport.request(method, url, body, stamped, bounds)
        return response

    def _transport(self) -> "Transport":
        if self._carrier is None:
            with self._lock:
                if self._carrier is None:
                    from misocoin.http.transport import Transport

                    self._carrier = Transport(self._connections)
        return self._carrier

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            if self._carrier is not None:
                self._carrier.close()


def stamped_request(method: str, target: str, body: bytes) -> bytes:
    """What a stamp of a request is bound to; `target` is as it stands in the request line."""
    return f"{method} {target}\n".encode() + body
