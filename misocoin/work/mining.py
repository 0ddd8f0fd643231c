"""What miners say: they ask for work, live, and hand in results, each of which is checked."""

import logging
from typing import Final

from misocoin.pow.puzzles import BitmessagePuzzle, Puzzle
from misocoin.work.admission import Tokens, is_this_machine, name_from_token
from misocoin.work.answers import ErrorCode, NoData, Settled, Stop
from misocoin.work.core import Core, Party
from misocoin.work.desk import Job
from misocoin.work.effects import Extend, Release
from misocoin.work.requests import GetWork, PushLease, PushOriginal, RequestId
from misocoin.work.scheduler import Lease
from misocoin.work.waiting import Ask, take

log = logging.getLogger(__name__)

MEASURED_SECONDS: Final = 0.2
"""How long a range must have taken for a miner's rate to be seen from it."""

DESERTED_SECONDS: Final = 5.0
"""How long a server without miners keeps the jobs that it took from a store."""


class MinerSide:
    """The part of the service that miners see."""

    def __init__(self, core: Core, tokens: Tokens) -> None:
        self._core = core
        self._tokens = tokens
        self._deserted_since: float | None = None

    def welcome(self, party: Party) -> None:
        """Give a new party its rights."""
        party.may_mine = not self._tokens.are_needed

    def admit(self, party: Party, token: str) -> bool:
        """Let a party in by its token, if one is needed."""
        if self._tokens.are_needed and self._tokens.admit(token):
            party.may_mine = True
            party.name = name_from_token(token)
            return True
        return False

    def get_work(self, party: Party, request: RequestId, body: GetWork, now: float) -> None:
        """Lease something to a miner, or have it wait."""
        if body.token:
            self.admit(party, body.token)
        core = self._core
        if not party.may_mine:
            code = ErrorCode.UNAUTHORIZED
            core.fail(party.connection, request, code, "miners need a token here")
            return
        if not party.is_miner:
            party.is_miner = True
            core.mining += 1
        party.claimed_rate = body.rate
        if not party.is_framed:
            # It searches one job at a time: whatever it had, it has let go.
            core.scheduler.leave(party.connection)
        ask = Ask(
            party.connection,
            request,
            party.rate or body.rate,
            body.algorithms,
            not party.is_framed,
            now + body.seconds,
        )
        lease = take(core.scheduler, ask, now)
        if lease is not None:
            core.assign(ask, lease)
        else:
            party.pending += 1
            core.waiting.add(ask)
        core.match(now)

    def heartbeat(self, party: Party, request: RequestId, lease: int, now: float) -> None:
        """Note that a miner is still at it."""
        lives = self._core.scheduler.heartbeat(lease, party.connection, now)
        self._core.send(party.connection, request, Settled(is_late=not lives))

    def push_lease(self, party: Party, request: RequestId, body: PushLease, now: float) -> None:
        """Take a miner's word that a range holds nothing; never its word that a nonce wins."""
        core = self._core
        lease = core.scheduler.leases.get(body.lease)
        if lease is None or lease.miner != party.connection or lease.range is None:
            core.send(party.connection, request, Settled(is_late=True))
            return
        job, nonces, nonce = core.desk.jobs[lease.job], lease.range, body.nonce
        if nonce is None:
            self._measure(party, lease, now)
            core.figures.hashes += nonces.end - nonces.start
            core.scheduler.end(lease, is_searched=True)
            party.searched += 1
            core.send(party.connection, request, Settled(is_late=False))
            self._check_exhausted(job)
        elif wins(job.puzzle, nonce):
            if nonces.start <= nonce < nonces.end:
                core.figures.hashes += nonce - nonces.start + 1
            core.send(party.connection, request, Settled(is_late=False))
            core.scheduler.end(lease, is_searched=False)
            party.solved += 1
            core.solve(job, nonce, now)
        else:
            core.scheduler.end(lease, is_searched=False)
            core.fail(party.connection, request, ErrorCode.WRONG, "that nonce does not win")
            self._fault(party, now)
        core.match(now)

    def _measure(self, party: Party, lease: Lease, now: float) -> None:
        seconds = now - lease.began
        if lease.range is not None and seconds > MEASURED_SECONDS:
            party.rate = (lease.range.end - lease.range.start) / seconds

    def _check_exhausted(self, job: Job) -> None:
        core = self._core
        if not core.scheduler.jobs[job.id].is_searched:
            return
        if core.has_store:
            core.effects.append(Extend(job.id))
        else:
            core.give_up(job, ErrorCode.EXHAUSTED, "every nonce was searched, and none wins")

    def push_original(self, party: Party, body: PushOriginal, now: float) -> None:
        """Take a result that names its job by the initial hash; nothing is sent back.

        One that comes when the job has ended is late and not wrong.
        """
        core = self._core
        if not party.may_mine:
            return
        jobs = core.desk.of_hash(body.initial_hash)
        solved = [job for job in jobs if wins(job.puzzle, body.nonce)]
        for lease in core.scheduler.of_miner(party.connection):
            if core.desk.jobs[lease.job] in jobs:
                core.scheduler.end(lease, is_searched=False)
        for job in solved:
            # How many nonces it has tried it does not say.
            core.figures.hashes += int(job.puzzle.expected_tries)
            core.solve(job, body.nonce, now)
        party.solved += len(solved)
        if jobs and not (solved and _has_trial_value(solved[0].puzzle, body)):
            self._fault(party, now)
        core.match(now)

    def _fault(self, party: Party, now: float) -> None:
        """Count a wrong result against a miner; the one too many ends its connection.

        All programs of this machine share an address, so that there a connection stands for one.
        """
        core = self._core
        core.figures.wrong += 1
        is_local = is_this_machine(party.address)
        name = f"connection {party.connection}" if is_local else party.address
        log.warning("wrong result from %s", party.name, extra={"miner": party.name})
        if core.conduct.fault(name, now):
            log.warning("%s is banned", party.name, extra={"miner": party.name})
            core.fail(party.connection, None, ErrorCode.FORBIDDEN, "banned for wrong results")
            core.close(party.connection)

    def leave(self, party: Party) -> None:
        """Give what a miner had to others."""
        self._core.mining -= party.is_miner
        self._core.waiting.leave(party.connection)
        self._core.scheduler.leave(party.connection)

    def tick(self, now: float) -> None:
        """End polls and leases whose time is up; leave jobs to servers that have miners."""
        core = self._core
        for ask in core.waiting.expired(now):
            core.parties[ask.connection].pending -= 1
            core.send(ask.connection, ask.request, NoData())
        for lease in core.scheduler.expire(now):
            core.figures.expired += 1
            if lease.range is not None:
                core.send(lease.miner, None, Stop(lease.id))
        held = tuple(core.scheduler.jobs)
        if core.mining or not core.has_store or not held:
            self._deserted_since = None
        elif self._deserted_since is None:
            self._deserted_since = now
        elif now - self._deserted_since > DESERTED_SECONDS:
            for job_id in held:
                core.stop_searching(job_id)
            core.effects.append(Release(held))
            core.has_backlog = True


def wins(puzzle: Puzzle, nonce: int) -> bool:
    """Whether a nonce from outside is one of the puzzle's and wins, by hashlib."""
    return nonce < puzzle.space and puzzle.is_solution(nonce)


def _has_trial_value(puzzle: Puzzle, body: PushOriginal) -> bool:
    return isinstance(puzzle, BitmessagePuzzle) and (
        puzzle.trial_value(body.nonce) == body.trial_value
    )
