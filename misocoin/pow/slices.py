"""Dealing a puzzle's nonces out to several threads in slices of about equal time."""

from typing import Final

MAX_THREADS: Final = 1_024
"""Threads that a search may be asked to use; more would only cost memory."""

FIRST_SLICE: Final = 1 << 12
"""Nonces in a thread's first slice, before its speed is known."""

SLICE_SECONDS: Final = 0.25
"""How long a slice should take: rarely enough to cost nothing, often enough to see the rate."""

MAX_GROWTH: Final = 8
"""By how much one slice may exceed the one before it."""


class SliceDealer:
    """Hands out neighbouring ranges of nonces until the space is used up; not thread-safe."""

    def __init__(self, space: int, start: int = 0) -> None:
        self._space = space
        self._next = start

    @property
    def is_empty(self) -> bool:
        """Whether every nonce has been handed out."""
        return self._next >= self._space

    def take(self, size: int) -> tuple[int, int]:
        """Return start and count of the next slice of at most `size` nonces; count 0 at the end."""
        start = self._next
        count = min(size, self._space - start)
        self._next += count
        return start, count


def next_slice_size(size: int, tried: int, seconds: float) -> int:
    """Return how large the next slice should be after one of `size` that took so long."""
    if seconds <= 0.0:
        return size * MAX_GROWTH
    fitting = int(tried / seconds * SLICE_SECONDS)
    return max(FIRST_SLICE, min(fitting, size * MAX_GROWTH))
