"""Which stamps have been counted: a bounded memory that forgets only what has expired anyway."""

from typing import Final

from misocoin.hashcash.errors import StampError, StampFault

BUCKET_SECONDS: Final = 8
"""Stamps of so many seconds are forgotten together."""

IDENTITY_SIZE: Final = 16
"""Bytes of a digest that are kept; that two stamps share them happens by no chance or effort."""


class SpentStamps:
    """Remembers stamps by the time written in them.

    When it is full, the oldest are forgotten and their time is over: no stamp from then is taken
    any more. So however many come, none counts twice.
    """

    def __init__(self, capacity: int) -> None:
        """`capacity` is the number of stamps kept, at about 100 bytes each."""
        self._capacity = capacity
        self._buckets: dict[int, set[bytes]] = {}
        self._count = 0
        self._first_open = 0
        """The first bucket that is not over."""

    def __len__(self) -> int:
        return self._count

    def spend(self, digest: bytes, time: float, oldest: float) -> None:
        """Count a stamp once; raises StampError if it has been, or could have been, before.

        `time` is the stamp's own, `oldest` the time before which stamps are refused.
        """
        self._expire(int(oldest) // BUCKET_SECONDS)
        place = int(time) // BUCKET_SECONDS
        if place < self._first_open:
            raise StampError(StampFault.STALE, "its time is over")
        bucket = self._buckets.setdefault(place, set())
        identity = digest[:IDENTITY_SIZE]
        if identity in bucket:
            raise StampError(StampFault.SPENT)
        if self._count >= self._capacity:
            self._expire(min(self._buckets) + 1)
            if place < self._first_open:
                raise StampError(StampFault.STALE, "more stamps came than can be remembered")
        bucket.add(identity)
        self._count += 1

    def _expire(self, first_open: int) -> None:
        """Forget the buckets before this one."""
        if first_open <= self._first_open:
            return
        self._first_open = first_open
        for place in [place for place in self._buckets if place < first_open]:
            self._count -= len(self._buckets.pop(place))
