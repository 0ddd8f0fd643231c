"""What has gone over a link: bytes by kind of message, and when last.

Counted are the bodies of the HTTP messages, and of a request without one its path; HTTP's own
lines are not. The two ends of a link count the same, but for what the dialling one pulls by REST:
such a call names no link, so its other end does not know whose it is.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from threading import Lock

from misocoin.peers.messages import frame_sizes

HELLO = "version"
"""What Bitcoin's peers call the handshake."""

OTHER = "*other*"
"""What Core calls messages of kinds it does not know."""


@dataclass(frozen=True, slots=True)
class TrafficInfo:
    """Figures of a link; the kinds have the names of Bitcoin's peer protocol."""

    bytes_sent: int
    """In all."""
    bytes_received: int
    sent: Mapping[str, int]
    """Bytes by kind."""
    received: Mapping[str, int]
    last_sent: int
    """Unix time; 0 for never."""
    last_received: int


NO_TRAFFIC = TrafficInfo(0, 0, {}, {}, 0, 0)
"""Of a link over which nothing has gone yet."""


class Traffic:
    """Counts; threads may share it."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        """`now` is unix time."""
        self._now = now
        self._lock = Lock()
        self._sent: Counter[str] = Counter()
        self._received: Counter[str] = Counter()
        self._last_sent = self._last_received = 0

    def sent(self, body: bytes) -> None:
        """A row of frames has gone out; an empty one is only a sign of life."""
        self._count_sent(frame_sizes(body))

    def received(self, body: bytes) -> None:
        """A row of frames has come in, sound or not."""
        self._count_received(frame_sizes(body))

    def sent_as(self, kind: str, size: int) -> None:
        """Something that is no frame has gone out."""
        self._count_sent(((kind, size),))

    def received_as(self, kind: str, size: int) -> None:
        """Something that is no frame has come in."""
        self._count_received(((kind, size),))

    def _count_sent(self, sizes: Iterable[tuple[str, int]]) -> None:
        with self._lock:
            self._last_sent = int(self._now())
            for kind, size in sizes:
                self._sent[kind] += size

    def _count_received(self, sizes: Iterable[tuple[str, int]]) -> None:
        with self._lock:
            self._last_received = int(self._now())
            for kind, size in sizes:
                self._received[kind] += size

    def info(self) -> TrafficInfo:
        """The figures as they stand."""
        with self._lock:
            return TrafficInfo(
                self._sent.total(),
                self._received.total(),
                dict(self._sent),
                dict(self._received),
                self._last_sent,
                self._last_received,
            )
