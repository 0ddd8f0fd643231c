"""The miners that wait for work, in order of arrival, and their match with open jobs."""

import heapq
from collections import OrderedDict
from itertools import count
from typing import NamedTuple

from misocoin.work.jobs import Algorithm
from misocoin.work.requests import RequestId
from misocoin.work.scheduler import Lease, Scheduler


class Ask(NamedTuple):
    """A miner waits for work."""

    connection: int
    request: RequestId
    rate: float
    """Nonces per second that it tries, 0 where unknown."""
    algorithms: frozenset[Algorithm]
    is_original: bool
    """Whether it knows no ranges."""
    until: float
    """When it is told that there is none."""


class WaitingMiners:
    """Asks that have no work yet."""

    def __init__(self) -> None:
        self._asks: dict[int, Ask] = {}
        self._lines: dict[tuple[frozenset[Algorithm], bool], OrderedDict[int, None]] = {}
        self._of_connection: dict[int, set[int]] = {}
        self._ends: list[tuple[float, int]] = []
        self._numbers = count(1)

    def __len__(self) -> int:
        return len(self._asks)

    def add(self, ask: Ask) -> None:
        """Put a miner at the end of the line."""
        number = next(self._numbers)
        self._asks[number] = ask
        self._lines.setdefault((ask.algorithms, ask.is_original), OrderedDict())[number] = None
        self._of_connection.setdefault(ask.connection, set()).add(number)
        heapq.heappush(self._ends, (ask.until, number))

    def _remove(self, number: int) -> Ask:
        ask = self._asks.pop(number)
        key = (ask.algorithms, ask.is_original)
        del self._lines[key][number]
        if not self._lines[key]:
            del self._lines[key]
        numbers = self._of_connection[ask.connection]
        numbers.remove(number)
        if not numbers:
            del self._of_connection[ask.connection]
        return ask

    def leave(self, connection: int) -> None:
        """Forget the asks of a connection that is gone."""
        for number in tuple(self._of_connection.get(connection, ())):
            self._remove(number)

    def expired(self, now: float) -> list[Ask]:
        """Take those out that have waited long enough."""
        ended = []
        while self._ends and self._ends[0][0] <= now:
            _, number = heapq.heappop(self._ends)
            if number in self._asks:
                ended.append(self._remove(number))
        if len(self._ends) > 2 * len(self._asks) + 1000:
            self._ends = [entry for entry in self._ends if entry[1] in self._asks]
            heapq.heapify(self._ends)
        return ended

    def match(self, scheduler: Scheduler, now: float) -> list[tuple[Ask, Lease]]:
        """Give work to as many as there is work for."""
        matched = []
        for line in tuple(self._lines.values()):
            while line:
                number = next(iter(line))
                lease = take(scheduler, self._asks[number], now)
                if lease is None:
                    break
                matched.append((self._remove(number), lease))
        return matched


def take(scheduler: Scheduler, ask: Ask, now: float) -> Lease | None:
    """Lease what is first in line for a miner, if anything is."""
    if ask.is_original:
        return scheduler.take_original(ask.connection, now)
    return scheduler.take(ask.connection, ask.algorithms, ask.rate, now)
