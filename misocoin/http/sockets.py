"""The two ends of a server's connection: bytes gathered until a request is whole, bytes sent.

A worker thread is precious, so nothing slow may hold one: the request is gathered by the one
thread that watches all idle sockets, and a worker sees it when it is whole. Only a body too large
to be kept there, and an answer that the client does not take, make a worker wait for its peer; it
does so on a waiting permit (`Permits`), under a deadline that a minimal rate sets.
"""

import re
import socket
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from time import monotonic

Permit = Callable[[], AbstractContextManager[None]]
"""Gives the right to wait for somebody else; raises Overloaded where too many do."""

_CHUNK = 1 << 16
_JOIN = 1 << 16
_LONGEST_LINE = 1 << 12
_CHUNK_SIZE = re.compile(rb"([0-9a-fA-F]{1,8})[ \t]*(?:;[^\r\n]*)?\r\n")

# The three fields that say how much of a body follows the head.
_BODY_FIELDS = re.compile(
    rb"\r\n(content-length|transfer-encoding|expect)[ \t]*:[ \t]*([^\r\n]*)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much, how long and how many."""

    chunked: bool = False
    """Whether bodies may come in chunks, their length unknown (RFC 9112)."""
    chunked_body: int = 1 << 25
    """Bytes of such a body; it is taken whole before anybody looks at the credentials."""
    head: int = 1 << 14
    """Bytes of request line and header fields."""
    body: int = 1 << 25
    """Bytes of a request's body."""
    gathered_body: int = 1 << 20
    """Bytes of a body that is read before a worker is given to it."""
    gather_seconds: float = 20
    """From the first byte of a request to the last one gathered."""
    idle_seconds: float = 60
    """How long a connection may keep silent between requests."""
    slow_seconds: float = 30
    """What a long body or answer may take besides its length at `slow_rate`."""
    slow_rate: int = 20_000
    """Bytes a second that a peer must take or send in the mean."""
    linger_seconds: float = 0.01
    """How long a worker stays with a connection for its next request."""
    connections: int = 400
    """Open connections; a newer one is turned away."""
    connections_per_address: int = 100
    """Open connections from one address that is not this machine."""
    workers: int = 16
    """Requests that are served at once."""
    waiting: int = 256
    """Requests that may wait for something besides those (long polls, slow peers)."""
    backlog: int = 256
    """Whole requests that may wait for a worker."""


class RequestReader:
    """What came on a socket and was not read yet; the socket has a short timeout.

    It has the methods of a file that cheroot asks for, and `gather`.
    """

    def __init__(self, sock: socket.socket, limits: Limits, permit: Permit) -> None:
        self._socket = sock
        self._limits = limits
        self._permit = permit
        self._buffer = b""
        self._needed: int | None = None
        self._length = 0
        self._since = 0.0
        self._ended = False
        self.closed = False
        self.has_failed = False
        """Whether the rest of a body did not come."""
        self.bytes_read = 0

    def gather(self) -> bool:
        """Take what has arrived; True when a worker should see it.

        That is a request with its body, one whose body must be read by a worker, an end of the
        stream, or anything broken. Raises TimeoutError where nothing comes within the socket's
        timeout, and where the request takes too long.
        """
        if not self._buffer:
            self._since = monotonic()
        elif monotonic() - self._since > self._limits.gather_seconds:
            raise TimeoutError("timed out")
        self._receive()
        return self.has_data()

    def has_data(self) -> bool:
        """Whether a worker would find something to do here."""
        if self._ended:
            return True
        if self._needed is None:
            self._needed = self._measure()
        return self._needed is not None and len(self._buffer) >= self._needed

    def _measure(self) -> int | None:
        """How many bytes a worker needs to begin; None while the head is not whole."""
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return 0 if len(self._buffer) > self._limits.head else None
        self._length = 0
        for field in _BODY_FIELDS.finditer(self._buffer, 0, end):
            text = field[2].strip()
            if field[1].lower() != b"content-length":
                return end + 4
            self._length = int(text) if text.isdigit() and len(text) < 10 else 0
        return end + 4 + (self._length if self._length <= self._limits.gathered_body else 0)

    def next_request(self) -> bool:
        """Turn to what follows the request that was just served; True if it is whole."""
        self._needed = None
        self._since = monotonic()
        return bool(self._buffer) and self.has_data()

    @property
    def has_ended(self) -> bool:
        """Whether the peer will send nothing more."""
        return self._ended and not self._buffer

    def _receive(self) -> bool:
        try:
            data = self._socket.recv(_CHUNK)
        except ConnectionError:
            data = b""
        self._ended = not data
        self._buffer += data
        self.bytes_read += len(data)
        return bool(data)

    def readline(self, size: int = -1) -> bytes:
        """Read up to and with a line feed, at most `size` bytes, of what is here.

        Only a request's head is read by lines, and no worker comes before its end is here.
        """
        end = self._buffer.find(b"\n") + 1 or len(self._buffer)
        return self._take(min(end, size) if size >= 0 else end)

    def read(self, size: int) -> bytes:
        """Read `size` bytes, fewer only where the stream ends before.

        Raises TimeoutError when the peer sends a body too slowly.
        """
        size = max(size, 0)
        if len(self._buffer) >= size:
            return self._take(size)
        parts = [self._take(len(self._buffer))]
        left = size - len(parts[0])
        self.has_failed = True
        with self._permit():
            while left and self._receive_in_time():
                parts.append(self._take(left))
                left -= len(parts[-1])
        self.has_failed = left > 0
        return b"".join(parts)

    def read_chunks(self) -> bytes | None:
        """Read a whole body in chunks, with its trailers; None where it is too long or malformed.

        Raises TimeoutError when the peer takes longer than for a body of the greatest length.
        """
        self._length = most = min(self._limits.body, self._limits.chunked_body)
        self.has_failed = True
        body = bytearray()
        with self._permit():
            while size := self._chunk_size():
                if len(body) + size > most:
                    return None
                while len(self._buffer) < size + 2 and self._receive_in_time():
                    pass
                body += self._take(size)
                if self._take(2) != b"\r\n":
                    return None
            if size is None:
                return None
            while (line := self._line()) != b"\r\n":
                if not line:
                    return None
        self.has_failed = False
        return bytes(body)

    def _chunk_size(self) -> int | None:
        """The number that a chunk begins with; None where there is none."""
        found = _CHUNK_SIZE.match(self._line())
        return int(found[1], 16) if found else None

    def _line(self) -> bytes:
        """The next line, once it is here; cut short where it is too long or never ends."""
        while (end := self._buffer.find(b"\n") + 1) == 0:
            if len(self._buffer) > _LONGEST_LINE or not self._receive_in_time():
                return b""
        return self._take(end) if end <= _LONGEST_LINE else b""

    def _take(self, size: int) -> bytes:
        data = self._buffer[:size]
        self._buffer = self._buffer[size:]
        return data

    def _receive_in_time(self) -> bool:
        limit = self._limits.slow_seconds + self._length / self._limits.slow_rate
        left = self._since + limit - monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self._socket.settimeout(left)
        try:
            return self._receive()
        finally:
            self._socket.settimeout(self._limits.linger_seconds)

    def close(self) -> None:
        """Forget what came."""
        self.closed = True
        self._buffer = b""


class ResponseWriter:
    """Sends answers on a socket with a short timeout; a held head goes out with its body."""

    def __init__(self, sock: socket.socket, limits: Limits, permit: Permit) -> None:
        self._socket = sock
        self._limits = limits
        self._permit = permit
        self._held = b""
        self._holds = False
        self.bytes_written = 0

    def hold(self) -> None:
        """Keep the next bytes written until more follow, or `flush`."""
        self._holds = True

    def write(self, data: bytes) -> int:
        """Send all of it; raises OSError where the peer does not take it in time."""
        if self._holds:
            self._holds = False
            self._held += data
        elif self._held:
            held, self._held = self._held, b""
            if len(data) <= _JOIN:
                self._send(held + data)
            else:
                self._send(held)
                self._send(data)
        else:
            self._send(data)
        self.bytes_written += len(data)
        return len(data)

    def flush(self) -> None:
        """Send what is held."""
        if self._held:
            held, self._held = self._held, b""
            self._send(held)

    def _send(self, data: bytes) -> None:
        try:
            sent = self._socket.send(data)
        except TimeoutError:
            sent = 0
        if sent < len(data):
            with self._permit():
                self._send_slowly(memoryview(data)[sent:])

    def _send_slowly(self, rest: memoryview) -> None:
        deadline = monotonic() + self._limits.slow_seconds + len(rest) / self._limits.slow_rate
        try:
            while rest:
                left = deadline - monotonic()
                if left <= 0:
                    raise TimeoutError("timed out")
                self._socket.settimeout(min(left, self._limits.slow_seconds))
                rest = rest[self._socket.send(rest) :]
        finally:
            self._socket.settimeout(self._limits.linger_seconds)
