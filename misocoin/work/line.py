"""A connection to the service in the framed dialect, as clients and miners have it: blocking."""

import select
import socket
import ssl
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from misocoin.errors import ParseError
from misocoin.work.errors import WorkAway, WorkRefused
from misocoin.work.framing import Splitter, bytes_from_object, object_from_bytes
from misocoin.work.requests import PROTOCOL, VERSION

CONNECT_SECONDS: Final = 5.0
"""How long a connection and the service's welcome may take."""

IO_SECONDS: Final = 20.0
"""How long the other end may take to read what is sent to it."""

MAX_ANSWER: Final = 1 << 16
"""Bytes of one line from the service."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a service is, and how to get in."""

    host: str
    port: int
    token: str = ""
    tls: ssl.SSLContext | None = None

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class FramedLine:
    """One connection; any thread may send, one receives.

    Raises WorkAway where the service cannot be reached or the connection breaks, and WorkRefused
    where it does not let us in.
    """

    def __init__(self, endpoint: Endpoint, connect_seconds: float = CONNECT_SECONDS) -> None:
        self.endpoint = endpoint
        self._splitter = Splitter(MAX_ANSWER)
        self._splitter.is_lined = True
        self.stamp_terms: dict[str, Any] | None = None
        """Bits and resource of the stamp that the service asks for with each job, if it does."""
        self._using = threading.Lock()  # OpenSSL reads and writes one at a time
        try:
            sock = socket.create_connection((endpoint.host, endpoint.port), connect_seconds)
        except OSError as error:
            raise self._away(error) from None
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if endpoint.tls is not None:
                sock = endpoint.tls.wrap_socket(sock, server_hostname=endpoint.host)
            self._socket = sock
            self._greet(connect_seconds)
            sock.settimeout(IO_SECONDS)
        except OSError as error:
            sock.close()
            raise self._away(error) from None
        except BaseException:
            sock.close()
            raise

    def _away(self, error: OSError) -> WorkAway:
        why = "it takes too long" if isinstance(error, TimeoutError) else error.strerror or error
        return WorkAway(f"no work service at {self.endpoint}: {why}")

    def _greet(self, seconds: float) -> None:
        hello: dict[str, Any] = {"hello": PROTOCOL, "version": VERSION}
        if self.endpoint.token:
            hello["token"] = self.endpoint.token
        self.send(hello)
        welcome = self.receive(seconds)
        if welcome is None:
            raise WorkAway(f"what listens at {self.endpoint} says nothing")
        if isinstance(error := welcome.get("error"), dict):
            raise WorkRefused(str(error.get("code"))[:40], str(error.get("message"))[:200])
        if welcome.get("hello") != PROTOCOL:
            raise WorkAway(f"what listens at {self.endpoint} is no work service")
        terms = welcome.get("stamp")
        self.stamp_terms = terms if isinstance(terms, dict) and not self.endpoint.token else None

    def send(self, *messages: dict[str, Any]) -> None:
        """Send messages, all in one piece."""
        data = b"".join(bytes_from_object(message) + b"\n" for message in messages)
        try:
            with self._using:
                self._socket.sendall(data)
        except OSError as error:
            raise self._away(error) from None

    def receive(self, seconds: float) -> dict[str, Any] | None:
        """Return the next message, or None when none came in that time."""
        deadline = time.monotonic() + seconds
        try:
            while (message := self._splitter.next_message()) is None:
                if not self._is_readable(deadline - time.monotonic()):
                    return None
                with self._using:
                    data = self._socket.recv(1 << 16)
                if not data:
                    raise WorkAway(f"the work service at {self.endpoint} has hung up")
                self._splitter.feed(data)
            return object_from_bytes(message)
        except OSError as error:
            raise self._away(error) from None
        except ParseError as error:
            raise WorkAway(f"what listens at {self.endpoint} says nonsense: {error}") from None

    def _is_readable(self, seconds: float) -> bool:
        if isinstance(self._socket, ssl.SSLSocket) and self._socket.pending():
            return True
        poll = select.poll()
        try:
            poll.register(self._socket, select.POLLIN)
        except ValueError:  # closed by another thread
            return True
        return bool(poll.poll(max(seconds, 0.0) * 1000))

    def close(self) -> None:
        """Hang up; whoever receives comes back."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        with suppress(OSError):
            self._socket.close()
