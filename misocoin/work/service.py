"""The service: requests in, effects out, without sockets, threads or a clock.

The shell calls a method for whatever happens, with the time of a monotonic clock, and then carries
out what `effects` returns. With a store, a job is accepted when the store has it; a job that no
miner here could begin at once stays in the store, where every server finds it.
"""

import logging
from dataclasses import dataclass
from typing import Final, NamedTuple

from misocoin.pow.puzzles import BitmessagePuzzle, Puzzle
from misocoin.work.admission import (
    Conduct,
    Limits,
    Places,
    Tokens,
    is_this_machine,
    name_from_address,
    name_from_token,
)
from misocoin.work.answers import (
    Accepted,
    Answer,
    Assigned,
    Done,
    ErrorCode,
    Failed,
    NoData,
    Progress,
    Report,
    Settled,
    Stop,
    Welcome,
)
from misocoin.work.connection import Refusal
from misocoin.work.desk import Desk, Job, Solution, Waiter
from misocoin.work.effects import Claim, Close, Effect, Extend, Find, Finish, Keep, Send
from misocoin.work.fairness import FairClock
from misocoin.work.figures import Figures, Gauges
from misocoin.work.jobs import job_id_of
from misocoin.work.miners import Ask, WaitingMiners, take
from misocoin.work.requests import (
    Cancel,
    DoPow,
    GetWork,
    Heartbeat,
    Hello,
    Ping,
    PushLease,
    PushOriginal,
    Request,
    RequestId,
    Stats,
    Wait,
)
from misocoin.work.scheduler import (
    LEASE_SECONDS,
    ORIGINAL_LEASE_SECONDS,
    Lease,
    Range,
    Scheduler,
)

log = logging.getLogger(__name__)

MEASURED_SECONDS: Final = 0.2
"""How long a range must have taken for a miner's rate to be seen from it."""

POLL_SECONDS: Final = 2.0
"""How often a server with idle miners looks for jobs in a shared store without being told."""


class ClaimedJob(NamedTuple):
    """A job as the store gives it to one of its servers."""

    id: str
    puzzle: Puzzle
    client: str
    priority: int
    tag: float
    deadline: float
    """By the service's clock."""
    nonces: Range


@dataclass(frozen=True, slots=True)
class Access:
    """Who may use the service; without tokens everybody may."""

    clients: Tokens
    miners: Tokens


@dataclass(slots=True)
class _Party:
    """Whoever is at the other end of a connection."""

    address: str
    name: str
    """Its token's name, or its address."""
    may_ask: bool
    may_mine: bool
    is_framed: bool = False
    is_miner: bool = False
    pending: int = 0
    """Requests that wait for their answers."""
    rate: float = 0.0
    """Nonces per second of one of its threads, as measured."""


class Service:
    """All of the service's state."""

    def __init__(
        self, limits: Limits, access: Access, now: float, *, has_store: bool = False
    ) -> None:
        self.limits = limits
        self.figures = Figures()
        self._access = access
        self._has_store = has_store
        self._desk = Desk()
        self._scheduler = Scheduler()
        self._clock = FairClock()
        self._miners = WaitingMiners()
        self._conduct = Conduct(limits)
        self._parties: dict[int, _Party] = {}
        self._from_address = Places()
        self._effects: list[Effect] = []
        self._is_claiming = False
        self._claim_after = now
        self._mining = 0

    def effects(self) -> list[Effect]:
        """Return what is to be done, and forget it."""
        effects, self._effects = self._effects, []
        return effects

    # -- connections --------------------------------------------------------------------------

    def connect(self, connection: int, address: str, now: float) -> Failed | None:
        """Take a new connection; returns why not."""
        name = name_from_address(address)
        local = is_this_machine(name)
        if self._conduct.is_banned(name, now):
            return Failed(ErrorCode.FORBIDDEN, "banned for wrong results")
        if len(self._parties) >= self.limits.connections:
            return Failed(ErrorCode.OVERLOADED, "too many connections")
        if not local and self._from_address[name] >= self.limits.connections_per_address:
            return Failed(ErrorCode.BUSY, "too many connections from your address")
        self._from_address.take(name)
        self._parties[connection] = _Party(
            name,
            name,
            not self._access.clients.are_needed,
            not self._access.miners.are_needed,
        )
        return None

    def disconnect(self, connection: int, now: float) -> None:
        """Note that a connection is gone: what it searched goes to others."""
        party = self._parties.pop(connection, None)
        if party is None:
            return
        self._from_address.leave(party.address)
        self._mining -= party.is_miner
        self._miners.leave(connection)
        self._scheduler.leave(connection)
        for job in self._desk.leave(connection):
            if not party.is_framed and not job.waiters:
                self._give_up(job, ErrorCode.CANCELLED, "its client hung up")
        self._match(now)

    def is_full(self, connection: int) -> bool:
        """Whether no more requests of a connection should be read now."""
        party = self._parties.get(connection)
        return party is not None and party.pending >= self.limits.pending

    def is_waiting(self, connection: int) -> bool:
        """Whether a connection waits for something, so that it may be silent."""
        party = self._parties.get(connection)
        return party is not None and (
            party.pending > 0 or bool(self._scheduler.of_miner(connection))
        )

    def receive(self, connection: int, event: Hello | Request | Refusal, now: float) -> None:
        """Take what a connection said."""
        party = self._parties[connection]
        match event:
            case Hello():
                self._hello(connection, party, event)
            case Refusal(request, reason, is_fatal):
                self._fail(connection, request, ErrorCode.MALFORMED, reason)
                if is_fatal:
                    self._effects.append(Close(connection))
            case Request(request, body):
                match body:
                    case DoPow():
                        self._do_pow(connection, party, request, body, now)
                    case Wait(job):
                        self._wait(connection, party, request, job)
                    case Cancel(job):
                        self._cancel(connection, party, request, job, now)
                    case GetWork():
                        self._get_work(connection, party, request, body, now)
                    case Heartbeat(lease):
                        lives = self._scheduler.heartbeat(lease, connection, now)
                        self._send(connection, request, Settled(is_late=not lives))
                    case PushLease(lease, nonce):
                        self._push_lease(connection, party, request, lease, nonce, now)
                    case PushOriginal():
                        self._push_original(connection, party, body, now)
                    case Stats():
                        self._send(connection, request, Report(self._report()))
                    case Ping():
                        self._send(connection, request, Report({}))

    def _send(self, connection: int, request: RequestId, answer: Answer) -> None:
        self._effects.append(Send(connection, request, answer))

    def _fail(self, connection: int, request: RequestId, code: ErrorCode, message: str) -> None:
        self._send(connection, request, Failed(code, message))

    def _hello(self, connection: int, party: _Party, hello: Hello) -> None:
        party.is_framed = True
        if hello.token:
            self._admit(party, hello.token)
            if not party.may_ask and not party.may_mine:
                self._fail(connection, None, ErrorCode.UNAUTHORIZED, "that token gives no access")
                self._effects.append(Close(connection))
                return
        self._send(connection, None, Welcome())

    def _admit(self, party: _Party, token: str) -> None:
        may_ask = self._access.clients.are_needed and self._access.clients.admit(token)
        may_mine = self._access.miners.are_needed and self._access.miners.admit(token)
        party.may_ask |= may_ask
        party.may_mine |= may_mine
        if may_ask or may_mine:
            party.name = name_from_token(token)

    # -- clients ------------------------------------------------------------------------------

    def _do_pow(
        self, connection: int, party: _Party, request: RequestId, body: DoPow, now: float
    ) -> None:
        if body.token:
            self._admit(party, body.token)
        job_id = job_id_of(body.puzzle)
        solution = self._desk.solution(job_id)
        job = self._desk.jobs.get(job_id)
        refusal = self._refusal(party, body, is_new=solution is None and job is None)
        if refusal is not None:
            self._send(connection, request, refusal)
            return
        if solution is not None:
            self._send(connection, request, Accepted(job_id))
            self._send(connection, request, Done(job_id, *solution))
            return
        seconds = self.limits.deadline if body.deadline is None else body.deadline
        if job is None:
            tag = self._clock.tag(party.name, body.puzzle.expected_tries, body.priority)
            job = Job(
                job_id, body.puzzle, party.name, body.priority, tag, now, now + seconds,
                is_kept=not self._has_store,
            )  # fmt: skip
            self._desk.open(job)
            if self._has_store:
                self._effects.append(Keep(job_id, self._has_room()))
            else:
                self.figures.accepted += 1
                self._scheduler.add(job_id, job.puzzle, tag, Range(0, job.puzzle.space))
        else:
            job.deadline = max(job.deadline, now + seconds)
        job.owners.add(party.name)
        party.pending += 1
        self._desk.wait(job, Waiter(connection, request, body.wants_progress))
        if job.is_kept:
            self._send(connection, request, Accepted(job_id))
            self._match(now)

    def _refusal(self, party: _Party, body: DoPow, *, is_new: bool) -> Failed | None:
        if not party.may_ask:
            return Failed(ErrorCode.UNAUTHORIZED, "clients need a token here")
        if body.puzzle.expected_tries > self.limits.hashes:
            most = f"{self.limits.hashes:.3g}"
            return Failed(ErrorCode.TOO_HARD, f"more than {most} hashes are to be expected")
        if not is_new:
            return None
        if len(self._desk) >= self.limits.jobs:
            return Failed(ErrorCode.OVERLOADED, "the queue is full: come again later")
        if self._desk.places[party.name] >= self.limits.jobs_per_client:
            return Failed(ErrorCode.BUSY, "you have too many open jobs")
        return None

    def _wait(self, connection: int, party: _Party, request: RequestId, job_id: str) -> None:
        if not party.may_ask:
            self._fail(connection, request, ErrorCode.UNAUTHORIZED, "clients need a token here")
        elif (solution := self._desk.solution(job_id)) is not None:
            self._send(connection, request, Done(job_id, *solution))
        elif (job := self._desk.jobs.get(job_id)) is not None:
            party.pending += 1
            self._desk.wait(job, Waiter(connection, request, False))
        elif self._has_store:
            party.pending += 1
            self._effects.append(Find(job_id, connection, request))
        else:
            self._fail(connection, request, ErrorCode.NOT_FOUND, "no such job")

    def _cancel(
        self, connection: int, party: _Party, request: RequestId, job_id: str, now: float
    ) -> None:
        job = self._desk.jobs.get(job_id)
        if job is None or party.name not in job.owners:
            self._fail(connection, request, ErrorCode.NOT_FOUND, "no such job of yours")
            return
        self._send(connection, request, Settled(is_late=False))
        job.owners.discard(party.name)
        if not job.owners:
            self._give_up(job, ErrorCode.CANCELLED, "its client cancelled it")
            self._match(now)
            return
        # Others want it still: only this connection's own requests end.
        for waiter in [waiter for waiter in job.waiters if waiter.connection == connection]:
            job.waiters.remove(waiter)
            self._answer(waiter, Failed(ErrorCode.CANCELLED, "cancelled"))

    def _answer(self, waiter: Waiter, answer: Answer) -> None:
        party = self._parties.get(waiter.connection)
        if party is not None:
            party.pending -= 1
            self._send(waiter.connection, waiter.request, answer)

    def _give_up(self, job: Job, code: ErrorCode, message: str) -> None:
        self._end(job)
        self.figures.fail(code.text)
        log.info("job %s given up: %s", job.id, message, extra={"job": job.id, "code": code.text})
        for waiter in job.waiters:
            self._answer(waiter, Failed(code, message))
        if self._has_store:
            self._effects.append(Finish(job.id, None, code.text))

    def _solve(self, job: Job, nonce: int, now: float) -> None:
        self._end(job, nonce)
        self.figures.solve(now - job.added)
        log.debug("job %s solved", job.id, extra={"job": job.id, "nonce": nonce})
        for waiter in job.waiters:
            self._answer(waiter, Done(job.id, job.puzzle, nonce))
        if self._has_store:
            self._effects.append(Finish(job.id, nonce, ""))

    def _end(self, job: Job, nonce: int | None = None) -> None:
        self._desk.close(job.id, nonce)
        if job.id in self._scheduler.jobs:
            for lease in self._scheduler.remove(job.id):
                if lease.range is not None:
                    self._send(lease.miner, None, Stop(lease.id))

    # -- miners -------------------------------------------------------------------------------

    def _get_work(
        self, connection: int, party: _Party, request: RequestId, body: GetWork, now: float
    ) -> None:
        if body.token:
            self._admit(party, body.token)
        if not party.may_mine:
            self._fail(connection, request, ErrorCode.UNAUTHORIZED, "miners need a token here")
            return
        if not party.is_miner:
            party.is_miner = True
            self._mining += 1
        if not party.is_framed:
            # It searches one job at a time: whatever it had, it has let go.
            self._scheduler.leave(connection)
        rate = party.rate or body.rate
        until = now + body.seconds
        ask = Ask(connection, request, rate, body.algorithms, not party.is_framed, until)
        lease = take(self._scheduler, ask, now)
        if lease is not None:
            self._assign(ask, lease)
            return
        party.pending += 1
        self._miners.add(ask)
        self._match(now)

    def _assign(self, ask: Ask, lease: Lease) -> None:
        job = self._desk.jobs[lease.job]
        self._clock.begin(job.tag)
        nonces = lease.range or Range(0, job.puzzle.space)
        seconds = LEASE_SECONDS if lease.range is not None else ORIGINAL_LEASE_SECONDS
        size = nonces.end - nonces.start
        answer = Assigned(lease.id, job.id, job.puzzle, nonces.start, size, seconds)
        self._send(ask.connection, ask.request, answer)

    def _match(self, now: float) -> None:
        """Give jobs to waiting miners, and look for more jobs if some of them stay idle."""
        for ask, lease in self._miners.match(self._scheduler, now):
            self._parties[ask.connection].pending -= 1
            self._assign(ask, lease)
        if self._has_store and not self._is_claiming and now >= self._claim_after:
            room = len(self._miners) if self._has_room() else 0
            if room:
                self._is_claiming = True
                self._effects.append(Claim(room))

    def _has_room(self) -> bool:
        """Whether this server's miners could soon begin another job of a shared queue."""
        return len(self._miners) > 0 or len(self._scheduler) < 2 * self._mining

    def _push_lease(
        self,
        connection: int,
        party: _Party,
        request: RequestId,
        lease_id: int,
        nonce: int | None,
        now: float,
    ) -> None:
        lease = self._scheduler.leases.get(lease_id)
        if lease is None or lease.miner != connection or lease.range is None:
            self._send(connection, request, Settled(is_late=True))
            return
        job = self._desk.jobs[lease.job]
        if nonce is None:
            self._measure(party, lease, now)
            self.figures.hashes += lease.range.end - lease.range.start
            self._scheduler.end(lease, is_searched=True)
            self._send(connection, request, Settled(is_late=False))
            self._check_exhausted(job)
        elif wins(job.puzzle, nonce):
            if lease.range.start <= nonce < lease.range.end:
                self.figures.hashes += nonce - lease.range.start + 1
            self._send(connection, request, Settled(is_late=False))
            self._scheduler.end(lease, is_searched=False)
            self._solve(job, nonce, now)
        else:
            self._scheduler.end(lease, is_searched=False)
            self._fail(connection, request, ErrorCode.WRONG, "that nonce does not win")
            self._fault(connection, party, now)
        self._match(now)

    def _measure(self, party: _Party, lease: Lease, now: float) -> None:
        seconds = now - lease.began
        if lease.range is not None and seconds > MEASURED_SECONDS:
            party.rate = (lease.range.end - lease.range.start) / seconds

    def _check_exhausted(self, job: Job) -> None:
        if not self._scheduler.jobs[job.id].is_searched:
            return
        if self._has_store:
            self._effects.append(Extend(job.id))
        else:
            self._give_up(job, ErrorCode.EXHAUSTED, "every nonce was searched, and none wins")

    def _push_original(
        self, connection: int, party: _Party, body: PushOriginal, now: float
    ) -> None:
        if not party.may_mine:
            return
        jobs = self._desk.of_hash(body.initial_hash)
        solved = [job for job in jobs if wins(job.puzzle, body.nonce)]
        for lease in self._scheduler.of_miner(connection):
            if self._desk.jobs[lease.job] in jobs:
                self._scheduler.end(lease, is_searched=False)
        for job in solved:
            began = self._scheduler.jobs[job.id].began if job.id in self._scheduler.jobs else None
            if began is not None:
                self.figures.hashes += int(job.puzzle.expected_tries)
            self._solve(job, body.nonce, now)
        if jobs and not (solved and _is_trial_value(solved[0].puzzle, body)):
            self._fault(connection, party, now)
        self._match(now)

    def _fault(self, connection: int, party: _Party, now: float) -> None:
        """Count a wrong result against a miner; the one too many ends its connection.

        All programs of this machine share an address, so that there a connection stands for one.
        """
        self.figures.wrong += 1
        local = is_this_machine(party.address)
        name = f"connection {connection}" if local else party.address
        log.warning("wrong result from %s", party.name, extra={"miner": party.name})
        if self._conduct.fault(name, now):
            log.warning("%s is banned", party.name, extra={"miner": party.name})
            self._fail(connection, None, ErrorCode.FORBIDDEN, "banned for wrong results")
            self._effects.append(Close(connection))

    # -- the store ----------------------------------------------------------------------------

    def kept(self, job_id: str, nonces: Range | None, nonce: int | None, now: float) -> None:
        """Go on with a job that the store has now: taken here, left there, or solved long ago."""
        job = self._desk.jobs.get(job_id)
        if job is None:
            return
        job.is_kept = True
        for waiter in job.waiters:
            self._send(waiter.connection, waiter.request, Accepted(job_id))
        self.figures.accepted += 1
        if nonce is not None:
            self._desk.close(job_id, nonce)
            self.figures.solve(now - job.added)
            for waiter in job.waiters:
                self._answer(waiter, Done(job_id, job.puzzle, nonce))
        elif nonces is not None:
            self._scheduler.add(job_id, job.puzzle, job.tag, nonces)
        self._match(now)

    def not_kept(self, job_id: str) -> None:
        """Refuse a job that the store could not take."""
        if job_id in self._desk.jobs:
            job = self._desk.close(job_id)
            for waiter in job.waiters:
                self._answer(waiter, Failed(ErrorCode.UNAVAILABLE, "the queue cannot be reached"))

    def found(
        self, request: Find, job: ClaimedJob | Solution | ErrorCode | None, now: float
    ) -> None:
        """Answer a request for a job that only the store may know."""
        waiter = Waiter(request.connection, request.request, False)
        if isinstance(job, Solution):
            self._desk.remember(request.job, job)
            self._answer(waiter, Done(request.job, *job))
        elif isinstance(job, ClaimedJob):
            if request.connection in self._parties:
                opened = self._desk.jobs.get(job.id) or self._open(job, now)
                self._desk.wait(opened, waiter)
        elif isinstance(job, ErrorCode):
            self._answer(waiter, Failed(job, "that is how the job ended"))
        else:
            self._answer(waiter, Failed(ErrorCode.NOT_FOUND, "no such job"))

    def _open(self, job: ClaimedJob, now: float) -> Job:
        opened = Job(job.id, job.puzzle, job.client, job.priority, job.tag, now, job.deadline)
        opened.owners.add(job.client)
        self._desk.open(opened)
        return opened

    def claimed(self, jobs: tuple[ClaimedJob, ...], now: float) -> None:
        """Take in jobs that the store has given to this server."""
        self._is_claiming = False
        if not jobs:
            self._claim_after = now + POLL_SECONDS
        for job in jobs:
            if job.id not in self._desk.jobs:
                self._open(job, now)
            if job.id not in self._scheduler.jobs:
                self._scheduler.add(job.id, job.puzzle, job.tag, job.nonces)
        self._match(now)

    def extended(self, job_id: str, nonces: Range | None, now: float) -> None:
        """Go on with a job whose nonces were used up; None where there are no more."""
        if job_id not in self._scheduler.jobs:
            return
        if nonces is None:
            job = self._desk.jobs[job_id]
            self._give_up(job, ErrorCode.EXHAUSTED, "every nonce was searched, and none wins")
        else:
            self._scheduler.extend(job_id, nonces)
        self._match(now)

    def ended_elsewhere(self, job_id: str, outcome: Solution | ErrorCode, now: float) -> None:
        """Take in how a job ended on another server of the same queue."""
        job = self._desk.jobs.get(job_id)
        if job is None:
            return
        if isinstance(outcome, Solution):
            self._end(job, outcome.nonce)
            self.figures.solve(now - job.added)
        else:
            self._end(job)
            self.figures.fail(outcome.text)
        for waiter in job.waiters:
            if isinstance(outcome, Solution):
                self._answer(waiter, Done(job_id, *outcome))
            else:
                self._answer(waiter, Failed(outcome, "that is how the job ended"))
        self._match(now)

    def jobs_waiting(self, now: float) -> None:
        """Note that the store has jobs for idle miners."""
        self._claim_after = now
        self._match(now)

    @property
    def held_jobs(self) -> tuple[str, ...]:
        """The jobs that this server searches."""
        return tuple(self._scheduler.jobs)

    def stop(self) -> None:
        """Tell everybody who waits that the service ends here; what is kept stays in the store."""
        for job in self._desk.jobs.values():
            for waiter in job.waiters:
                self._answer(waiter, Failed(ErrorCode.UNAVAILABLE, "the service stops"))
            job.waiters.clear()

    # -- time ---------------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """Do what is due; to be called a few times a second."""
        for ask in self._miners.expired(now):
            self._parties[ask.connection].pending -= 1
            self._send(ask.connection, ask.request, NoData())
        for job in self._desk.overdue(now):
            self._give_up(job, ErrorCode.DEADLINE, "its time is up")
        expired = self._scheduler.expire(now)
        for lease in expired:
            self.figures.expired += 1
            if lease.range is not None:
                self._send(lease.miner, None, Stop(lease.id))
        self._clock.forget_idle()
        self._match(now)

    def report_progress(self, now: float) -> None:
        """Tell clients that want to know how far their jobs are."""
        for job in self._desk.jobs.values():
            opened = self._scheduler.jobs.get(job.id)
            wanting = [waiter for waiter in job.waiters if waiter.wants_progress]
            if opened is None or not wanting:
                continue
            elapsed = max(now - job.added, 1e-3)
            answer = Progress(
                job.id, opened.tried, job.puzzle.expected_tries, opened.tried / elapsed
            )
            for waiter in wanting:
                self._send(waiter.connection, waiter.request, answer)

    def gauges(self, now: float) -> Gauges:
        """Return how things stand."""
        return Gauges(
            len(self._desk),
            len(self._desk.places),
            len(self._parties),
            self._mining,
            len(self._miners),
            len(self._scheduler.leases),
            self._conduct.banned(now),
        )

    def _report(self) -> dict[str, float]:
        figures = self.figures
        return {
            "jobs": len(self._desk),
            "miners": self._mining,
            "idle": len(self._miners),
            "connections": len(self._parties),
            "rate": round(figures.rate),
            "accepted": figures.accepted,
            "solved": figures.solved,
            "failed": sum(figures.failed.values()),
            "wrong": figures.wrong,
            "hashes": figures.hashes,
        }


def wins(puzzle: Puzzle, nonce: int) -> bool:
    """Whether a nonce from outside is one of the puzzle's and wins, by hashlib."""
    return nonce < puzzle.space and puzzle.is_solution(nonce)


def _is_trial_value(puzzle: Puzzle, body: PushOriginal) -> bool:
    return isinstance(puzzle, BitmessagePuzzle) and (
        puzzle.trial_value(body.nonce) == body.trial_value
    )
