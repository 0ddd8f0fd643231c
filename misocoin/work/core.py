"""What all parts of the service share: who is here, which jobs are open, what is to be done.

The methods are the few things that more than one part does: say something, give open jobs to
waiting miners, and end a job.
"""

import logging
from dataclasses import dataclass
from typing import Final

from misocoin.work.admission import Conduct, Limits, Places
from misocoin.work.answers import Answer, Assigned, Done, ErrorCode, Failed, Stop
from misocoin.work.desk import Desk, Job, Waiter
from misocoin.work.effects import Claim, Close, Effect, Finish, Send
from misocoin.work.fairness import FairClock
from misocoin.work.figures import Figures
from misocoin.work.requests import RequestId
from misocoin.work.scheduler import (
    LEASE_SECONDS,
    ORIGINAL_LEASE_SECONDS,
    Lease,
    Range,
    Scheduler,
)
from misocoin.work.waiting import Ask, WaitingMiners

log = logging.getLogger(__name__)

HAND_PER_MINER: Final = 32
"""Jobs of a kept queue that a server has in hand for each of its miners at most."""

HASHES_PER_MINER: Final = float(1 << 22)
"""Expected hashes that it takes at once for each, the first job aside: what takes no long time.

A server's miners then do not wait for the store between small jobs, while large ones stay there
for the miners of other servers.
"""


@dataclass(slots=True)
class Party:
    """Whoever is at the other end of a connection."""

    connection: int
    address: str
    name: str
    """Its token's name, or its address."""
    may_ask: bool
    may_mine: bool
    is_framed: bool = False
    is_miner: bool = False
    """Whether it has asked for work."""
    pending: int = 0
    """Requests that wait for their answers."""
    rate: float = 0.0
    """Nonces per second of one of its threads, as measured."""
    claimed_rate: float = 0.0
    """The same, as it says itself."""
    searched: int = 0
    """Ranges that it has searched in vain."""
    solved: int = 0
    """Jobs that it has solved."""


class Core:
    """The state of the service."""

    def __init__(self, limits: Limits, now: float, *, has_store: bool) -> None:
        self.limits = limits
        self.has_store = has_store
        """Whether jobs are kept in a store, from which this server takes what it searches."""
        self.figures = Figures()
        self.desk = Desk()
        self.scheduler = Scheduler()
        self.clock = FairClock()
        self.waiting = WaitingMiners()
        self.conduct = Conduct(limits)
        self.parties: dict[int, Party] = {}
        self.from_address = Places()
        """Connections by address."""
        self.mining = 0
        """Connections that have asked for work."""
        self.effects: list[Effect] = []
        """What is to be done, in order."""
        self.is_claiming = False
        """Whether the store was asked for jobs and has not answered."""
        self.has_backlog = has_store
        """Whether the store may have jobs that no server searches."""
        self.claim_after = now
        """When idle miners are a reason to ask the store again though it may have nothing."""

    # -- saying something ---------------------------------------------------------------------

    def send(self, connection: int, request: RequestId, answer: Answer) -> None:
        """Say something to a connection."""
        self.effects.append(Send(connection, request, answer))

    def fail(self, connection: int, request: RequestId, code: ErrorCode, message: str) -> None:
        """Tell a connection why not."""
        self.send(connection, request, Failed(code, message))

    def close(self, connection: int) -> None:
        """End a connection when it has been told everything."""
        self.effects.append(Close(connection))

    def answer(self, waiter: Waiter, answer: Answer) -> None:
        """Answer a request that was waiting, if its connection is still there."""
        party = self.parties.get(waiter.connection)
        if party is not None:
            party.pending -= 1
            self.send(waiter.connection, waiter.request, answer)

    # -- giving out work ----------------------------------------------------------------------

    def match(self, now: float) -> None:
        """Give jobs to waiting miners, and ask the store for more where that is of use."""
        for ask, lease in self.waiting.match(self.scheduler, now):
            self.parties[ask.connection].pending -= 1
            self.assign(ask, lease)
        if self.has_store and not self.is_claiming and (room := self.room()) > 0:
            is_due = bool(self.waiting) and now >= self.claim_after
            if self.has_backlog or is_due:
                self.is_claiming = True
                self.effects.append(Claim(room, HASHES_PER_MINER * self.mining))

    def room(self) -> int:
        """How many more jobs this server may take in hand: some if its miners could use them."""
        held = len(self.scheduler)
        if held > self.mining and not self.waiting:
            return 0
        return max(len(self.waiting), HAND_PER_MINER * self.mining - held)

    def assign(self, ask: Ask, lease: Lease) -> None:
        """Tell a miner what it has leased."""
        job = self.desk.jobs[lease.job]
        self.clock.begin(job.tag)
        nonces = lease.range or Range(0, job.puzzle.space)
        seconds = LEASE_SECONDS if lease.range is not None else ORIGINAL_LEASE_SECONDS
        size = nonces.end - nonces.start
        answer = Assigned(lease.id, job.id, job.puzzle, nonces.start, size, seconds)
        self.send(ask.connection, ask.request, answer)

    # -- the end of a job ---------------------------------------------------------------------

    def solve(self, job: Job, nonce: int, now: float) -> None:
        """End a job with a nonce that wins."""
        self.note_solved(job, nonce, now)
        if self.has_store:
            self.effects.append(Finish(job.id, nonce, "", bool(job.waiters)))

    def note_solved(self, job: Job, nonce: int, now: float) -> None:
        """End a job whose nonce the store has, if there is one."""
        self._end(job, nonce)
        self.figures.solve(now - job.added)
        log.debug("job %s solved", job.id, extra={"job": job.id, "nonce": nonce})
        for waiter in job.waiters:
            self.answer(waiter, Done(job.id, job.puzzle, nonce))

    def give_up(self, job: Job, code: ErrorCode, message: str) -> None:
        """End a job without a nonce."""
        self.note_failed(job, code, message)
        if self.has_store:
            self.effects.append(Finish(job.id, None, code.text, bool(job.waiters)))

    def note_failed(self, job: Job, code: ErrorCode, message: str) -> None:
        """End a job whose failure the store knows of, if there is one."""
        self._end(job)
        self.figures.fail(code.text)
        log.info("job %s given up: %s", job.id, message, extra={"job": job.id, "code": code.text})
        for waiter in job.waiters:
            self.answer(waiter, Failed(code, message))

    def _end(self, job: Job, nonce: int | None = None) -> None:
        self.desk.close(job.id, nonce)
        self.stop_searching(job.id)

    def stop_searching(self, job_id: str) -> None:
        """Have this server's miners leave a job alone."""
        if job_id in self.scheduler.jobs:
            for lease in self.scheduler.remove(job_id):
                if lease.range is not None:
                    self.send(lease.miner, None, Stop(lease.id))
