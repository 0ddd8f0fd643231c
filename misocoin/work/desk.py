"""The jobs as their clients see them: who asked, who waits, until when, and what came out."""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from misocoin.pow.puzzles import BitmessagePuzzle, Puzzle
from misocoin.work.admission import Places
from misocoin.work.requests import RequestId

MAX_RESULTS: Final = 10_000
"""Solved jobs that are remembered, so that a client that comes back gets its answer."""


class Waiter(NamedTuple):
    """A request that is answered when its job ends."""

    connection: int
    request: RequestId
    wants_progress: bool


@dataclass(slots=True)
class Job:
    """A job that is neither solved nor given up."""

    id: str
    puzzle: Puzzle
    client: str
    """Who handed it in, and in whose share it is searched."""
    priority: int
    tag: float
    """Its place in the queue."""
    added: float
    """When it came, in seconds of the service's clock."""
    deadline: float
    """When it is given up, by the same clock."""
    owners: set[str] = field(default_factory=set)
    """Everybody who has asked for it; it is cancelled when all of them have."""
    waiters: list[Waiter] = field(default_factory=list)
    is_kept: bool = True
    """Whether the store has it, where there is one."""


class Solution(NamedTuple):
    """What a solved job's clients get."""

    puzzle: Puzzle
    nonce: int


class Desk:
    """Open jobs, and the solutions of those solved lately."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self._solutions: OrderedDict[str, Solution] = OrderedDict()
        self._by_hash: dict[bytes, set[str]] = {}
        self._waiting: dict[int, dict[str, None]] = {}
        self.places = Places()
        """Open jobs by client."""

    def __len__(self) -> int:
        return len(self._jobs)

    @property
    def jobs(self) -> dict[str, Job]:
        """The open jobs by id, to be read only."""
        return self._jobs

    def solution(self, job: str) -> Solution | None:
        """Return what came out of a job, if it was solved lately."""
        return self._solutions.get(job)

    def open(self, job: Job) -> None:
        """Take a job that is not here yet."""
        self._jobs[job.id] = job
        self.places.take(job.client)
        if isinstance(job.puzzle, BitmessagePuzzle):
            self._by_hash.setdefault(job.puzzle.initial_hash, set()).add(job.id)

    def close(self, job: str, nonce: int | None = None) -> Job:
        """End a job, solved if there is a nonce; returns it with its waiters."""
        closed = self._jobs.pop(job)
        self.places.leave(closed.client)
        if isinstance(closed.puzzle, BitmessagePuzzle):
            others = self._by_hash[closed.puzzle.initial_hash]
            others.remove(job)
            if not others:
                del self._by_hash[closed.puzzle.initial_hash]
        for waiter in closed.waiters:
            self._forget_wait(waiter.connection, job)
        if nonce is not None:
            self.remember(job, Solution(closed.puzzle, nonce))
        return closed

    def remember(self, job: str, solution: Solution) -> None:
        """Keep a solution, and forget the oldest of too many."""
        self._solutions[job] = solution
        if len(self._solutions) > MAX_RESULTS:
            self._solutions.popitem(last=False)

    def wait(self, job: Job, waiter: Waiter) -> None:
        """Have a request answered when the job ends."""
        job.waiters.append(waiter)
        self._waiting.setdefault(waiter.connection, {})[job.id] = None

    def leave(self, connection: int) -> tuple[Job, ...]:
        """Forget the requests of a connection that is gone; returns the jobs it waited for."""
        jobs = [self._jobs[job] for job in self._waiting.pop(connection, {})]
        for job in jobs:
            job.waiters = [waiter for waiter in job.waiters if waiter.connection != connection]
        return tuple(jobs)

    def _forget_wait(self, connection: int, job: str) -> None:
        waited = self._waiting.get(connection)
        if waited is not None:
            waited.pop(job, None)
            if not waited:
                del self._waiting[connection]

    def of_hash(self, initial_hash: bytes) -> tuple[Job, ...]:
        """Return the open Bitmessage jobs with this initial hash; their targets differ."""
        return tuple(self._jobs[job] for job in self._by_hash.get(initial_hash, ()))

    def overdue(self, now: float) -> tuple[Job, ...]:
        """Return the jobs whose time is up."""
        return tuple(job for job in self._jobs.values() if job.deadline <= now)
