"""Whose job comes next: self-clocked fair queueing (Golestani, INFOCOM 1994).

Each job gets a tag when it comes: the time, in expected hashes, at which it would be done if its
client had the service's attention in equal shares with all others. Jobs are served in order of
their tags. A client's tags follow upon each other, so that a thousand jobs of one client do not
keep another one's first job waiting; the clock is the tag of the job begun last, so that nobody
saves up for later what was not used.

A job of high priority does not wait for the same client's jobs of lower priority, while these wait
for it: priorities order a client's own jobs and take nothing from others in the long run.
"""

from misocoin.work.requests import PRIORITIES


class FairClock:
    """Gives out tags."""

    def __init__(self) -> None:
        self._now = 0.0
        self._last: dict[str, list[float]] = {}

    def tag(self, client: str, cost: float, priority: int) -> float:
        """Return the tag of a client's new job with so many expected hashes."""
        last = self._last.setdefault(client, [0.0] * (PRIORITIES[1] + 1))
        tag = max(self._now, last[priority]) + cost
        for level in range(priority + 1):
            last[level] = max(last[level], tag)
        return tag

    def begin(self, tag: float) -> None:
        """Note that a job of this tag is served now."""
        self._now = max(self._now, tag)

    def forget_idle(self) -> None:
        """Forget clients whose tags are past: they stand where newcomers stand."""
        self._last = {client: last for client, last in self._last.items() if last[0] > self._now}
