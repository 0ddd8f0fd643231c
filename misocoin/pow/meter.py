"""How fast a search goes: nonces per second over the last while."""

from collections import deque
from typing import Final

WINDOW: Final = 30.0
"""Seconds that a rate looks back."""


class RateMeter:
    """Counts nonces and says how many were tried per second; not safe for threads by itself."""

    def __init__(self, window: float = WINDOW) -> None:
        self._window = window
        self._samples: deque[tuple[float, float, int]] = deque()
        self.total = 0
        """Every nonce counted since the meter exists."""

    def add(self, tried: int, began: float, ended: float) -> None:
        """Count nonces tried between two readings of a monotonic clock, in seconds."""
        self.total += tried
        self._samples.append((began, ended, tried))
        self._forget(ended)

    def rate(self, now: float) -> float:
        """Return nonces per second, all threads together, over the window before `now`."""
        self._forget(now)
        if not self._samples:
            return 0.0
        oldest = max(now - self._window, min(began for began, _, _ in self._samples))
        counted = 0.0
        for began, ended, tried in self._samples:
            share = 1.0 if began >= oldest else (ended - oldest) / (ended - began)
            counted += tried * share
        return counted / max(now - oldest, 1e-9)

    def _forget(self, now: float) -> None:
        while self._samples and self._samples[0][1] <= now - self._window:
            self._samples.popleft()
