"""Messages that wait to be taken, within bounds, as bodies of at most `MAX_BODY` bytes."""

from collections import deque
from threading import Condition

from misocoin.peers.limits import MAX_BODY


class Outbox:
    """A bounded queue of frames between the thread that makes them and the one that sends them."""

    def __init__(self, most_bytes: int, most_messages: int) -> None:
        self._most_bytes = most_bytes
        self._most_messages = most_messages
        self._frames: deque[bytes] = deque()
        self._size = 0
        self._changed = Condition()
        self._closed = False

    def put(self, frame: bytes) -> bool:
        """Add a frame; False if there is no room for it any more."""
        with self._changed:
            if (
                self._closed
                or self._size + len(frame) > self._most_bytes
                or len(self._frames) >= self._most_messages
            ):
                return False
            self._frames.append(frame)
            self._size += len(frame)
            self._changed.notify()
        return True

    def take(self, timeout: float) -> bytes | None:
        """Wait for frames and take as many as fit a body; empty after `timeout`, None if closed."""
        with self._changed:
            if not self._frames and not self._closed:
                self._changed.wait(timeout)
            if self._closed:
                return None
            parts: list[bytes] = []
            size = 0
            while self._frames and (not parts or size + len(self._frames[0]) <= MAX_BODY):
                frame = self._frames.popleft()
                parts.append(frame)
                size += len(frame)
            self._size -= size
            return b"".join(parts)

    def close(self) -> None:
        """Forget what waits and let the taker go."""
        with self._changed:
            self._closed = True
            self._frames.clear()
            self._size = 0
            self._changed.notify_all()
