"""How often one address may ask for a change."""

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from time import monotonic

MAX_ADDRESSES = 10_000
"""Addresses that are remembered; the one that was silent longest is forgotten."""


class RateLimit:
    """A bucket for each address that `rate` requests a second refill, up to `burst`."""

    def __init__(self, rate: float, burst: float, clock: Callable[[], float] = monotonic) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._lock = Lock()
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def is_free(self, address: str) -> bool:
        """Take one request from an address's bucket; False where it is empty."""
        now = self._clock()
        with self._lock:
            level, since = self._buckets.pop(address, (self._burst, now))
            level = min(self._burst, level + (now - since) * self._rate)
            free = level >= 1
            self._buckets[address] = (level - free, now)
            if len(self._buckets) > MAX_ADDRESSES:
                self._buckets.popitem(last=False)
            return free
