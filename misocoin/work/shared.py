"""What a store says: jobs it has taken in or gives to this server, and ends seen elsewhere."""

from typing import Final, NamedTuple

from misocoin.pow.puzzles import Puzzle
from misocoin.work.answers import Accepted, Done, ErrorCode, Failed
from misocoin.work.core import Core
from misocoin.work.desk import Job, Solution, Waiter
from misocoin.work.effects import Find, Release
from misocoin.work.scheduler import Range

POLL_SECONDS: Final = 2.0
"""How often a server with idle miners looks for jobs in its store without being told."""

ELSEWHERE: Final = "that is how the job ended"
"""What is known of a failure that another server, or an earlier run, has seen."""


class ClaimedJob(NamedTuple):
    """An open job as the store has it."""

    id: str
    puzzle: Puzzle
    client: str
    priority: int
    tag: float
    deadline: float
    """By the service's clock."""
    nonces: Range | None
    """What this server is to search; None where that is not its business."""


Outcome = ClaimedJob | Solution | ErrorCode
"""What the store has of a job: open, solved or failed."""


class StoreSide:
    """The part of the service that its store sees."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def kept(self, job_id: str, outcome: Outcome, now: float) -> None:
        """Go on with a job that the store has now: taken here, left there, or ended long ago."""
        core = self._core
        job = core.desk.jobs.get(job_id)
        nonces = outcome.nonces if isinstance(outcome, ClaimedJob) else None
        if job is None:
            if nonces is not None:
                core.effects.append(Release((job_id,)))
            return
        if not job.is_kept:
            job.is_kept = True
            core.figures.accepted += 1
            for waiter in job.waiters:
                core.send(waiter.connection, waiter.request, Accepted(job_id))
        if isinstance(outcome, Solution):
            core.note_solved(job, outcome.nonce, now)
        elif isinstance(outcome, ErrorCode):
            core.note_failed(job, outcome, ELSEWHERE)
        else:
            job.tag = outcome.tag
            if nonces is None:
                core.has_backlog = True
            elif job_id not in core.scheduler.jobs:
                core.scheduler.add(job_id, job.puzzle, job.tag, nonces)
        core.match(now)

    def not_kept(self, job_id: str) -> None:
        """Refuse a job that the store could not take."""
        job = self._core.desk.jobs.get(job_id)
        if job is not None and not job.is_kept:
            self._core.desk.close(job_id)
            for waiter in job.waiters:
                self._core.answer(
                    waiter, Failed(ErrorCode.UNAVAILABLE, "the queue cannot be reached")
                )

    def found(self, request: Find, outcome: Outcome | None, now: float) -> None:
        """Answer a request for a job that only the store may know."""
        core = self._core
        waiter = Waiter(request.connection, request.request, False)
        match outcome:
            case Solution():
                core.desk.remember(request.job, outcome)
                core.answer(waiter, Done(request.job, *outcome))
            case ClaimedJob() if request.connection in core.parties:
                job = core.desk.jobs.get(outcome.id) or self._open(outcome, now)
                core.desk.wait(job, waiter)
            case ErrorCode():
                core.answer(waiter, Failed(outcome, ELSEWHERE))
            case _:
                core.answer(waiter, Failed(ErrorCode.NOT_FOUND, "no such job"))

    def _open(self, job: ClaimedJob, now: float) -> Job:
        opened = Job(job.id, job.puzzle, job.client, job.priority, job.tag, now, job.deadline)
        opened.owners.add(job.client)
        self._core.desk.open(opened)
        return opened

    def claimed(self, jobs: tuple[ClaimedJob, ...], now: float) -> None:
        """Take in hand what the store gives to this server."""
        core = self._core
        core.is_claiming = False
        # A batch that is not full may have been cut short by its jobs' size.
        core.has_backlog = bool(jobs)
        core.claim_after = now + POLL_SECONDS
        for job in jobs:
            if job.id not in core.desk.jobs:
                self._open(job, now)
            if job.id not in core.scheduler.jobs and job.nonces is not None:
                core.scheduler.add(job.id, job.puzzle, job.tag, job.nonces)
        core.match(now)

    def extended(self, job_id: str, nonces: Range | bool, now: float) -> None:
        """Go on with a job whose nonces were used up.

        Instead of more nonces comes whether there are none anywhere.
        """
        core = self._core
        if job_id not in core.scheduler.jobs:
            return
        if isinstance(nonces, Range):
            core.scheduler.extend(job_id, nonces)
        elif nonces:
            job = core.desk.jobs[job_id]
            core.give_up(job, ErrorCode.EXHAUSTED, "every nonce was searched, and none wins")
        else:
            core.stop_searching(job_id)
            core.effects.append(Release((job_id,)))
        core.match(now)

    def ended_elsewhere(self, job_id: str, outcome: Solution | ErrorCode, now: float) -> None:
        """Take in how a job ended on another server of the same queue."""
        job = self._core.desk.jobs.get(job_id)
        if job is None:
            return
        if isinstance(outcome, Solution):
            self._core.note_solved(job, outcome.nonce, now)
        else:
            self._core.note_failed(job, outcome, ELSEWHERE)
        self._core.match(now)

    def jobs_waiting(self, now: float) -> None:
        """Note that the store may have jobs that nobody searches."""
        self._core.has_backlog = True
        self._core.match(now)
