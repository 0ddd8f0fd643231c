"""The price of a job for those without a token: a hashcash stamp that nobody has used before.

A stamp is for this service's name, dated by the second, and good for an hour. Used ones are
remembered that long, in memory; those dated before the service began are not taken, so that none
serves twice over a restart.
"""

from collections import deque
from collections.abc import Callable
from typing import Final

from misocoin.errors import ParseError
from misocoin.hashcash.errors import StampError
from misocoin.hashcash.stamp import check_stamp, stamp_from_text
from misocoin.units import UnixTime

PERIOD: Final = 3600
"""Seconds that a stamp is good for."""

GRACE: Final = 600
"""Seconds by which clocks may differ."""

MAX_USED: Final = 1_000_000
"""Used stamps that are remembered; while there are so many, none is taken."""


class Stamps:
    """Takes stamps of so many bits for `resource`; `clock` gives unix time."""

    def __init__(self, bits: int, resource: str, clock: Callable[[], float]) -> None:
        self.bits = bits
        """Zero bits that are asked for."""
        self.resource = resource
        """What stamps must be made out to."""
        self._clock = clock
        self._began = int(clock())
        self._used: set[str] = set()
        self._order: deque[tuple[int, str]] = deque()

    @property
    def terms(self) -> dict[str, object]:
        """What clients are told, in the welcome."""
        return {"bits": self.bits, "resource": self.resource}

    def use(self, text: str) -> str | None:
        """Take a stamp; returns why it is not taken, or None."""
        now = int(self._clock())
        self._forget(now)
        if not text:
            return f"a hashcash stamp of {self.bits} bits for {self.resource} is needed"
        try:
            stamp = stamp_from_text(text)
            check_stamp(stamp, self.resource, self.bits, UnixTime(now), PERIOD, GRACE)
        except (ParseError, StampError) as error:
            return f"the stamp is not good: {error}"
        if stamp.time < self._began:
            return "the stamp is older than the service: make a new one, dated by the second"
        if stamp.text in self._used:
            return "the stamp was used before"
        if len(self._used) >= MAX_USED:
            return "too many stamps were used lately: come again later"
        self._used.add(stamp.text)
        self._order.append((now, stamp.text))
        return None

    def _forget(self, now: int) -> None:
        while self._order and now - self._order[0][0] > PERIOD + 2 * GRACE:
            self._used.discard(self._order.popleft()[1])
