"""What carries the HTTP client's calls: `requests`, with an end to each call.

`requests` bounds the wait for each piece of an answer, so an answer that trickles could take for
ever. Here a call has one deadline for all of it: every socket of the client gives up a read when
the deadline of its thread's call has come.
"""

import socket
import threading
from collections.abc import Mapping
from time import monotonic
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.exceptions import HTTPError
from urllib3.poolmanager import PoolManager

from misocoin.http.client import Bounds, HttpResponse
from misocoin.http.errors import HttpError, HttpTimeout, HttpTooLarge

_CHUNK = 1 << 16


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


class Transport:
    """A session that keeps connections for the next calls. Threads may share it."""

    def __init__(self, connections: int) -> None:
        """`connections` are kept open to each of as many hosts."""
        self._deadline = _Deadline()
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.mount("http://", _Adapter(self._deadline, connections))
        self._session.adapters.pop("https://").close()

    def request(
        self,
        method: str,
        url: str,
        body: bytes | None,
        headers: Mapping[str, str] | None,
        bounds: Bounds,
    ) -> HttpResponse:
        """Make one call; raises HttpTimeout, HttpTooLarge or HttpError."""
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
