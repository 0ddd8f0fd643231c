"""The one HTTP client: bounded in time and in size, on `requests`.

`requests` bounds the wait for each piece of an answer, so an answer that trickles could take for
ever. Here a call has one deadline for all of it: every socket of the client gives up a read when
the deadline of its thread's call has come.
"""

import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.exceptions import HTTPError
from urllib3.poolmanager import PoolManager

from misocoin.http.errors import HttpError, HttpTimeout, HttpTooLarge

CHALLENGE_FIELD = "Hashcash-Challenge"
"""The field by which a server asks for a stamp, beside status 429."""

STAMP_FIELD = "Hashcash"
"""The field that carries a request's stamp."""

MAX_PAYMENTS = 3
"""How often a request is stamped anew, since a price may rise meanwhile."""

Pay = Callable[[str, bytes], str | None]
"""From a challenge and what is to be stamped to a stamp; None where that asks for too much."""

_CHUNK = 1 << 16


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


class _Deadline(threading.local):
    """When the call that this thread makes must be over, by `monotonic`."""

    at = float("inf")


class _Socket(socket.socket):
    """A socket whose reads and writes end with the deadline."""

    deadline: _Deadline

    def _bound(self) -> float | None:
        """Shorten the timeout to what is left; returns the one to put back."""
        usual = self.gettimeout()
        left = self.deadline.at - monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        if usual is None or left < usual:
            self.settimeout(left)
        return usual

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        usual = self._bound()
        try:
            return super().recv_into(*args, **kwargs)
        finally:
            self.settimeout(usual)

    def sendall(self, *args: Any, **kwargs: Any) -> None:
        usual = self._bound()
        try:
            super().sendall(*args, **kwargs)
        finally:
            self.settimeout(usual)


class _Adapter(HTTPAdapter):
    """Connects with sockets that know the deadline."""

    def __init__(self, deadline: _Deadline, connections: int) -> None:
        self._deadline = deadline
        super().__init__(pool_connections=connections, pool_maxsize=connections)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        deadline = self._deadline

        class Connection(HTTPConnection):
            def _new_conn(self) -> socket.socket:
                plain = super()._new_conn()
                timeout = plain.gettimeout()
                bounded = _Socket(plain.family, plain.type, plain.proto, plain.detach())
                bounded.deadline = deadline
                bounded.settimeout(timeout)
                return bounded

        class Pool(HTTPConnectionPool):
            ConnectionCls = Connection

        super().init_poolmanager(*args, **kwargs)
        manager: PoolManager = self.poolmanager
        manager.pool_classes_by_scheme = {"http": Pool}


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
        self._deadline = _Deadline()
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.mount("http://", _Adapter(self._deadline, connections))
        self._session.adapters.pop("https://").close()

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
        response = self._request(method, url, body, headers, bounds)
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
            response = self._request(method, url, body, stamped, bounds)
        return response

    def _request(
        self,
        method: str,
        url: str,
        body: bytes | None,
        headers: Mapping[str, str] | None,
        bounds: Bounds,
    ) -> HttpResponse:
        self._deadline.at = monotonic() + bounds.total_seconds
        try:
            with self._session.request(
                method,
                url,
                data=body,
                headers={"Accept-Encoding": "identity", **(headers or {})},
                timeout=(
                    min(bounds.connect_seconds, bounds.total_seconds),
                    min(bounds.read_seconds, bounds.total_seconds),
                ),
                allow_redirects=False,
                stream=True,
            ) as response:
                self._session.cookies.clear()
                content = _read(response, bounds.body)
                return HttpResponse(response.status_code, response.headers, content)
        except (requests.Timeout, TimeoutError) as error:
            raise HttpTimeout(f"{_place(url)} took too long to answer") from error
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            if _is_timeout(error):
                raise HttpTimeout(f"{_place(url)} took too long to answer") from error
            raise HttpError(f"{_place(url)} gave no answer: {_reason(error)}") from error
        finally:
            self._deadline.at = float("inf")

    def close(self) -> None:
        """Close all connections."""
        self._session.close()


def stamped_request(method: str, target: str, body: bytes) -> bytes:
    """What a stamp of a request is bound to; `target` is as it stands in the request line."""
    return f"{method} {target}\n".encode() + body


def _read(response: requests.Response, limit: int) -> bytes:
    """Read a body of at most `limit` bytes, compressed ones refused."""
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise HttpError("the answer is compressed, which was not asked for")
    length = response.headers.get("Content-Length", "")
    if length.isdecimal() and int(length) > limit:
        raise HttpTooLarge(f"the answer has {length} bytes, more than {limit}")
    parts, size = [], 0
    while data := response.raw.read1(_CHUNK):
        size += len(data)
        if size > limit:
            raise HttpTooLarge(f"the answer has more than {limit} bytes")
        parts.append(data)
    return b"".join(parts)


def _place(url: str) -> str:
    """Host and port of an address, without what could be secret in it."""
    return url.split("://", 1)[-1].split("/", 1)[0].rsplit("@", 1)[-1]


def _is_timeout(error: BaseException | None) -> bool:
    """Whether a timeout lies under an error, as the libraries wrap each other's."""
    seen = 0
    while error is not None and seen < 10:
        if isinstance(error, TimeoutError) or "timed out" in str(error).lower():
            return True
        error, seen = error.__cause__ or error.__context__, seen + 1
    return False


def _reason(error: BaseException) -> str:
    """The innermost cause in a few words."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error)[:200] or type(error).__name__
