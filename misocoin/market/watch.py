"""Waiting for a bid or a trade to change, without asking the database all the time."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from threading import Condition
from time import monotonic
from typing import TypeVar

T = TypeVar("T")

ALONE, AMONG_OTHERS = 2.0, 0.2
"""Seconds after which who waits looks again, since another process may have made the change: on
a book that is usually one process's own, and on one made for several."""


class Watch:
    """Wakes those who wait for a key. Threads may share it."""

    def __init__(
        self, look_again: float = AMONG_OTHERS, clock: Callable[[], float] = monotonic
    ) -> None:
        """`look_again`: `ALONE` or `AMONG_OTHERS`."""
        self._look_again = look_again
        self._clock = clock
        self._changed = Condition()
        self._waiting: defaultdict[str, int] = defaultdict(int)
        self._woken: defaultdict[str, int] = defaultdict(int)

    def wake(self, keys: Iterable[str]) -> None:
        """Tell that something is new about these keys."""
        with self._changed:
            hit = False
            for key in keys:
                if key in self._waiting:
                    self._woken[key] += 1
                    hit = True
            if hit:
                self._changed.notify_all()

    def wait_for(self, key: str, look: Callable[[], T], seconds: float) -> T:
        """Look until what is seen is true or the time is up; returns what was seen last."""
        deadline = self._clock() + seconds
        with self._changed:
            self._waiting[key] += 1
        try:
            while True:
                with self._changed:
                    before = self._woken[key]
                seen = look()
                left = deadline - self._clock()
                if seen or left <= 0:
                    return seen
                with self._changed:
                    self._changed.wait_for(
                        lambda before=before: self._woken[key] != before,  # type: ignore[misc]
                        min(left, self._look_again),
                    )
        finally:
            with self._changed:
                self._waiting[key] -= 1
                if not self._waiting[key]:
                    del self._waiting[key]
                    self._woken.pop(key, None)
