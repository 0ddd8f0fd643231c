"""Who searches what: open jobs, ranges of nonces, and the leases that miners hold on them.

A job's nonces are dealt out in ranges. A range is leased: it comes back when its miner leaves, when
no heartbeat came for `LEASE_SECONDS`, or when it is older than `LONGEST_SECONDS`, however alive its
miner seems. As many miners work on one job as may be of use: none is added while twice the expected
number of nonces is in their hands. A lease older than `PATIENCE_SECONDS` does not count there, so
that a miner that stalls holds nobody up.

Nothing here knows a clock: `now` is in seconds of a monotonic clock of the caller.
"""

import heapq
from collections import deque
from dataclasses import dataclass, field
from itertools import count
from typing import Final, NamedTuple

from misocoin.pow.puzzles import Puzzle
from misocoin.work.jobs import Algorithm, algorithm_of

LEASE_SECONDS: Final = 15.0
"""How long a lease lasts after its beginning or its last heartbeat."""

ORIGINAL_LEASE_SECONDS: Final = 60.0
"""How long it lasts for a miner of the original dialect, which has no heartbeat."""

LONGEST_SECONDS: Final = 60.0
"""How long a lease lasts at most."""

PATIENCE_SECONDS: Final = 8.0
"""How old a lease gets before others may search the same job beyond what seems of use."""

RANGE_SECONDS: Final = 2.0
"""How long a miner should be busy with a range."""

FIRST_RANGE: Final = 1 << 17
"""Nonces for a miner whose rate is unknown; the smallest range, too."""

CROWD: Final = 2.0
"""How many times the expected nonces may be in the miners' hands."""


class Range(NamedTuple):
    """Nonces `start` to `end - 1`."""

    start: int
    end: int


@dataclass(slots=True)
class Lease:
    """A range in a miner's hands."""

    id: int
    job: str
    miner: int
    range: Range | None
    """None for a miner of the original dialect: it searches where it likes."""
    began: float
    heard: float
    """When its miner was heard last."""
    weight: float
    """Nonces it counts for in the crowd; 0 when it is too old."""


@dataclass(slots=True)
class OpenJob:
    """A job that is not solved yet."""

    id: str
    puzzle: Puzzle
    tag: float
    """Its place in the queue, see `fairness`."""
    next: int
    """The first nonce that was never leased."""
    end: int
    """Where the nonces end that this server may lease."""
    began: float | None = None
    """When its first lease was given."""
    tried: int = 0
    """Nonces that were searched, as the miners say."""
    crowd: float = 0.0
    """Nonces in the miners' hands."""
    returned: deque[Range] = field(default_factory=deque)
    """Ranges that came back unsearched."""
    leases: dict[int, Lease] = field(default_factory=dict)
    is_listed: bool = False
    """Whether it stands in its queue."""

    @property
    def has_ranges(self) -> bool:
        """Whether there are nonces to lease."""
        return bool(self.returned) or self.next < self.end

    @property
    def wants_miners(self) -> bool:
        """Whether another miner would be of use."""
        return self.has_ranges and self.crowd < CROWD * self.puzzle.expected_tries

    @property
    def is_searched(self) -> bool:
        """Whether every nonce was leased and came back searched."""
        return not self.has_ranges and not self.leases


class Scheduler:
    """Open jobs and leases."""

    def __init__(self) -> None:
        self._jobs: dict[str, OpenJob] = {}
        self._leases: dict[int, Lease] = {}
        self._of_miner: dict[int, dict[int, Lease]] = {}
        self._queues: dict[Algorithm, list[tuple[float, int, OpenJob]]] = {
            algorithm: [] for algorithm in Algorithm
        }
        self._numbers = count(1)

    def __len__(self) -> int:
        return len(self._jobs)

    @property
    def jobs(self) -> dict[str, OpenJob]:
        """The open jobs by id, to be read only."""
        return self._jobs

    @property
    def leases(self) -> dict[int, Lease]:
        """All leases by number, to be read only."""
        return self._leases

    def add(self, job: str, puzzle: Puzzle, tag: float, nonces: Range) -> None:
        """Open a job that is not open yet."""
        added = OpenJob(job, puzzle, tag, nonces.start, nonces.end)
        self._jobs[job] = added
        self._list(added)

    def extend(self, job: str, nonces: Range) -> None:
        """Give an open job more nonces, those before having been used up."""
        opened = self._jobs[job]
        opened.next, opened.end = nonces
        self._list(opened)

    def remove(self, job: str) -> tuple[Lease, ...]:
        """Close a job; returns the leases that end with it."""
        closed = self._jobs.pop(job)
        ended = tuple(closed.leases.values())
        for lease in ended:
            self._forget(lease)
        return ended

    def _list(self, job: OpenJob) -> None:
        if not job.is_listed and job.wants_miners:
            job.is_listed = True
            queue = self._queues[algorithm_of(job.puzzle)]
            heapq.heappush(queue, (job.tag, next(self._numbers), job))

    def _first(self, algorithm: Algorithm) -> OpenJob | None:
        """The job of the lowest tag that wants miners; what does not is taken off the queue."""
        queue = self._queues[algorithm]
        while queue:
            job = queue[0][2]
            if job.wants_miners and self._jobs.get(job.id) is job:
                return job
            heapq.heappop(queue)
            job.is_listed = False
        return None

    def take(
        self, miner: int, algorithms: frozenset[Algorithm], rate: float, now: float
    ) -> Lease | None:
        """Lease a range of the first job in line that this miner can search; None without one."""
        job = self._first_of(algorithms)
        if job is None:
            return None
        useful = CROWD * job.puzzle.expected_tries
        size = max(FIRST_RANGE, int(min(rate * RANGE_SECONDS, useful)))
        if job.returned:
            nonces = job.returned.popleft()
            if nonces.end - nonces.start > size:
                job.returned.appendleft(Range(nonces.start + size, nonces.end))
                nonces = Range(nonces.start, nonces.start + size)
        else:
            nonces = Range(job.next, min(job.next + size, job.end))
            job.next = nonces.end
        return self._lease(job, miner, nonces, float(nonces.end - nonces.start), now)

    def take_original(self, miner: int, now: float) -> Lease | None:
        """Lease a Bitmessage job to a miner that knows no ranges; None without one."""
        job = self._first_of(frozenset({Algorithm.BITMESSAGE}))
        if job is None:
            return None
        return self._lease(job, miner, None, CROWD * job.puzzle.expected_tries, now)

    def _first_of(self, algorithms: frozenset[Algorithm]) -> OpenJob | None:
        found = [job for algorithm in algorithms if (job := self._first(algorithm)) is not None]
        return min(found, key=lambda job: (job.tag, job.id), default=None)

    def _lease(
        self, job: OpenJob, miner: int, nonces: Range | None, weight: float, now: float
    ) -> Lease:
        lease = Lease(next(self._numbers), job.id, miner, nonces, now, now, weight)
        job.leases[lease.id] = self._leases[lease.id] = lease
        self._of_miner.setdefault(miner, {})[lease.id] = lease
        job.crowd += weight
        if job.began is None:
            job.began = now
        return lease

    def of_miner(self, miner: int) -> tuple[Lease, ...]:
        """The leases that a miner holds."""
        return tuple(self._of_miner.get(miner, {}).values())

    def heartbeat(self, lease: int, miner: int, now: float) -> bool:
        """Note that a miner lives; False where it does not hold the lease."""
        held = self._leases.get(lease)
        if held is None or held.miner != miner:
            return False
        held.heard = now
        return True

    def end(self, lease: Lease, *, is_searched: bool) -> None:
        """End a lease; its range is searched, or goes back."""
        job = self._jobs[lease.job]
        self._forget(lease)
        if lease.range is not None:
            if is_searched:
                job.tried += lease.range.end - lease.range.start
            else:
                job.returned.append(lease.range)
        self._list(job)

    def leave(self, miner: int) -> None:
        """Take back all that a miner holds."""
        for lease in self.of_miner(miner):
            self.end(lease, is_searched=False)

    def _forget(self, lease: Lease) -> None:
        del self._leases[lease.id]
        held = self._of_miner[lease.miner]
        del held[lease.id]
        if not held:
            del self._of_miner[lease.miner]
        if (job := self._jobs.get(lease.job)) is not None:
            del job.leases[lease.id]
            # Nothing may remain of sums of large and small numbers.
            job.crowd = job.crowd - lease.weight if job.leases else 0.0

    def expire(self, now: float) -> tuple[Lease, ...]:
        """Take back leases whose time is up; returns them. Old ones make room for others."""
        ended = []
        for lease in tuple(self._leases.values()):
            silence = LEASE_SECONDS if lease.range is not None else ORIGINAL_LEASE_SECONDS
            if now - lease.heard > silence or now - lease.began > LONGEST_SECONDS:
                self.end(lease, is_searched=False)
                ended.append(lease)
            elif lease.weight and now - lease.began > PATIENCE_SECONDS:
                job = self._jobs[lease.job]
                job.crowd -= lease.weight
                lease.weight = 0.0
                self._list(job)
        return tuple(ended)
