"""What clients ask for: a puzzle solved, an answer fetched, a job cancelled."""

from collections.abc import Mapping

from misocoin.work.admission import Tokens, name_from_token
from misocoin.work.answers import Accepted, Done, ErrorCode, Failed, Progress, Settled
from misocoin.work.core import Core, Party
from misocoin.work.desk import Job, Waiter
from misocoin.work.effects import Find, Keep
from misocoin.work.jobs import job_id_of
from misocoin.work.requests import DoPow, RequestId
from misocoin.work.scheduler import Range
from misocoin.work.stamps import Stamps


class ClientSide:
    """The part of the service that clients see."""

    def __init__(self, core: Core, tokens: Tokens, stamps: Stamps | None) -> None:
        self._core = core
        self._tokens = tokens
        self._stamps = stamps

    @property
    def terms(self) -> Mapping[str, object] | None:
        """What a job costs those without a token."""
        return None if self._stamps is None else self._stamps.terms

    def welcome(self, party: Party) -> None:
        """Give a new party its rights."""
        party.may_ask = not self._tokens.are_needed and self._stamps is None

    def admit(self, party: Party, token: str) -> bool:
        """Let a party in by its token, if one is needed."""
        if self._tokens.are_needed and self._tokens.admit(token):
            party.may_ask = True
            party.name = name_from_token(token)
            return True
        return False

    def do_pow(self, party: Party, request: RequestId, body: DoPow, now: float) -> None:
        """Take in a job, join one that is open, or answer at once what was solved lately."""
        if body.token:
            self.admit(party, body.token)
        core = self._core
        connection = party.connection
        job_id = job_id_of(body.puzzle)
        solution = core.desk.solution(job_id)
        job = core.desk.jobs.get(job_id)
        refusal = self._refusal(party, body, is_new=solution is None and job is None)
        if refusal is not None:
            core.send(connection, request, refusal)
            return
        if solution is not None:
            core.send(connection, request, Accepted(job_id))
            core.send(connection, request, Done(job_id, *solution))
            return
        seconds = core.limits.deadline if body.deadline is None else body.deadline
        if job is None:
            job = self._open(party, job_id, body, now, seconds)
        else:
            job.deadline = max(job.deadline, now + seconds)
            if core.has_store and party.name not in job.owners:
                core.effects.append(Keep(job_id, party.name, False))
        job.owners.add(party.name)
        party.pending += 1
        core.desk.wait(job, Waiter(connection, request, body.wants_progress))
        if job.is_kept:
            core.send(connection, request, Accepted(job_id))
            core.match(now)

    def _open(self, party: Party, job_id: str, body: DoPow, now: float, seconds: float) -> Job:
        core = self._core
        has_store = core.has_store
        tag = 0.0 if has_store else self._tag(party, body)
        job = Job(
            job_id,
            body.puzzle,
            party.name,
            body.priority,
            tag,
            now,
            now + seconds,
            is_kept=not has_store,
        )
        core.desk.open(job)
        if has_store:
            core.effects.append(Keep(job_id, party.name, core.room() > 0))
        else:
            core.figures.accepted += 1
            core.scheduler.add(job_id, job.puzzle, tag, Range(0, job.puzzle.space))
        return job

    def _tag(self, party: Party, body: DoPow) -> float:
        return self._core.clock.tag(party.name, body.puzzle.expected_tries, body.priority)

    def _refusal(self, party: Party, body: DoPow, *, is_new: bool) -> Failed | None:
        limits, desk = self._core.limits, self._core.desk
        if not party.may_ask and self._stamps is None:
            return Failed(ErrorCode.UNAUTHORIZED, "clients need a token here")
        if body.puzzle.expected_tries > limits.hashes:
            return Failed(
                ErrorCode.TOO_HARD, f"more than {limits.hashes:.3g} hashes are to be expected"
            )
        if is_new and len(desk) >= limits.jobs:
            return Failed(ErrorCode.OVERLOADED, "the queue is full: come again later")
        if is_new and desk.places[party.name] >= limits.jobs_per_client:
            return Failed(ErrorCode.BUSY, "you have too many open jobs")
        if is_new and not party.may_ask and self._stamps is not None:
            why_not = self._stamps.use(body.stamp)
            return None if why_not is None else Failed(ErrorCode.UNAUTHORIZED, why_not)
        return None

    def wait(self, party: Party, request: RequestId, job_id: str) -> None:
        """Answer when a job ends that may have been handed in over another connection."""
        core = self._core
        connection = party.connection
        if not party.may_ask and self._stamps is None:
            core.fail(connection, request, ErrorCode.UNAUTHORIZED, "clients need a token here")
        elif (solution := core.desk.solution(job_id)) is not None:
            core.send(connection, request, Done(job_id, *solution))
        elif (job := core.desk.jobs.get(job_id)) is not None:
            party.pending += 1
            core.desk.wait(job, Waiter(connection, request, False))
        elif core.has_store:
            party.pending += 1
            core.effects.append(Find(job_id, connection, request))
        else:
            core.fail(connection, request, ErrorCode.NOT_FOUND, "no such job")

    def cancel(self, party: Party, request: RequestId, job_id: str, now: float) -> None:
        """End a job that nobody else wants; where others do, only this party's requests end."""
        core = self._core
        job = core.desk.jobs.get(job_id)
        if job is None or party.name not in job.owners:
            code = ErrorCode.NOT_FOUND
            core.fail(party.connection, request, code, "no such job of yours")
            return
        core.send(party.connection, request, Settled(is_late=False))
        job.owners.discard(party.name)
        if not job.owners:
            core.give_up(job, ErrorCode.CANCELLED, "its client cancelled it")
            core.match(now)
            return
        for waiter in [waiter for waiter in job.waiters if waiter.connection == party.connection]:
            job.waiters.remove(waiter)
            core.answer(waiter, Failed(ErrorCode.CANCELLED, "cancelled"))

    def leave(self, party: Party) -> None:
        """Forget the requests of a connection that is gone.

        In the original dialect nobody can come back for a job: one without anybody else ends.
        """
        for job in self._core.desk.leave(party.connection):
            if not party.is_framed and not job.waiters:
                self._core.give_up(job, ErrorCode.CANCELLED, "its client hung up")

    def report_progress(self, now: float) -> None:
        """Tell clients that want to know how far their jobs are."""
        core = self._core
        for job in core.desk.jobs.values():
            wanting = [waiter for waiter in job.waiters if waiter.wants_progress]
            opened = core.scheduler.jobs.get(job.id)
            if not wanting or opened is None:
                continue
            rate = opened.tried / max(now - job.added, 1e-3)
            answer = Progress(job.id, opened.tried, job.puzzle.expected_tries, rate)
            for waiter in wanting:
                core.send(waiter.connection, waiter.request, answer)
