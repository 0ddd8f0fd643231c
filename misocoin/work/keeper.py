"""Between the service and its store: the store's thread, its batches, and PostgreSQL's notices.

What the service wants of the store is gathered while the thread is busy and then done in one
transaction; the answers come back on the event loop. An outcome that could not be written is
written later; a job that could not be is refused.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Final, NamedTuple

from misocoin.errors import StoreError
from misocoin.work.answers import ErrorCode
from misocoin.work.effects import Claim, Effect, Extend, Find, Finish, Keep, Release
from misocoin.work.notices import Notices
from misocoin.work.service import Service
from misocoin.work.shared import ClaimedJob, Outcome
from misocoin.work.store import (
    CLAIM_SECONDS,
    SOLVED,
    Ended,
    Found,
    NewJob,
    Operation,
    QueueStore,
    StoredJob,
)

log = logging.getLogger(__name__)

MAX_BATCH: Final = 256
"""Operations in one transaction."""

LAZY_SECONDS: Final = 0.05
"""How long an outcome that nobody waits for may wait to be written together with others."""

RETRY_SECONDS: Final = 1.0
"""How long it is waited before outcomes are written again that could not be."""

CHECK_SECONDS: Final = 10.0
"""How often jobs are looked up for which clients wait and whose end was perhaps missed."""

CLEAN_SECONDS: Final = 60.0
"""How often ended jobs are cleared away."""


class _Task(NamedTuple):
    """Something for the store, and what becomes of its result."""

    operation: Operation
    done: Callable[[Any], None]
    failed: Callable[[], None]


def _ignore(*_: Any) -> None:
    """Nothing waits for this one."""


class Keeper:
    """Carries out the service's wishes on a store."""

    def __init__(
        self,
        service: Service,
        store: QueueStore,
        clock: Callable[[], float],
        pump: Callable[[], None],
    ) -> None:
        """`clock` is the service's; `pump` carries out the effects of what is told to it."""
        self._service = service
        self._store = store
        self._now = clock
        self._pump = pump
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store")
        self._tasks: list[_Task] = []
        self._wake = asyncio.Event()
        self._running: list[asyncio.Task[None]] = []
        self._is_closing = False
        self._is_failing = False

    def start(self) -> None:
        """Begin, on the running loop."""
        self._running = [asyncio.create_task(self._work()), asyncio.create_task(self._keep_up())]
        if self._store.is_shared:
            notices = Notices(self._store, self._notice, self._check)
            self._running.append(asyncio.create_task(notices.run()))

    async def stop(self) -> None:
        """Write what is still to be written, let go of what is held, and end."""
        held = self._service.held_jobs
        self._add(lambda connection: self._store.release(connection, held))
        self._is_closing = True
        self._wake.set()
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(self._running[0]), 5.0)
        for task in self._running:
            task.cancel()
        for task in self._running:
            with suppress(asyncio.CancelledError):
                await task
        self._thread.shutdown()
        self._store.close()

    # -- from the service ---------------------------------------------------------------------

    def perform(self, effect: Effect) -> None:
        """Do what the service wants of its store."""
        store, service = self._store, self._service
        match effect:
            case Keep(job_id, client, takes):
                job = service.job(job_id)
                if job is None:
                    return
                deadline = self._unix(job.deadline)
                new = NewJob(job.puzzle, client, job.priority, deadline, takes)
                self._add(
                    lambda connection: store.keep(connection, new),
                    lambda found: self._kept(job_id, found),
                    lambda: self._tell(service.store.not_kept, job_id),
                )
            case Finish():
                self._finish(effect)
            case Find(job_id, _, _):
                self._add(
                    lambda connection: store.find(connection, job_id),
                    lambda found: self._tell(
                        service.store.found, effect, self._outcome(found), self._now()
                    ),
                    lambda: self._tell(
                        service.store.found, effect, ErrorCode.UNAVAILABLE, self._now()
                    ),
                )
            case Claim(most, hashes):
                self._add(
                    lambda connection: store.claim(connection, most, hashes),
                    self._claimed,
                    lambda: self._claimed(()),
                )
            case Extend(job_id):
                self._add(
                    lambda connection: store.extend(connection, job_id),
                    lambda nonces: self._tell(service.store.extended, job_id, nonces, self._now()),
                    lambda: self._tell(service.store.extended, job_id, False, self._now()),
                )
            case Release(job_ids):
                self._add(lambda connection: store.release(connection, job_ids))
            case _:
                raise TypeError(f"{effect} is not for the store")

    def _finish(self, effect: Finish) -> None:
        outcome = effect.reason or SOLVED
        ended = Ended(effect.job, outcome, effect.nonce)
        self._add(
            lambda connection: self._store.finish(connection, ended),
            _ignore,
            lambda: self._finish_later(effect),
            can_wait=effect.can_wait,
        )

    def _finish_later(self, effect: Finish) -> None:
        if not self._is_closing:
            asyncio.get_running_loop().call_later(RETRY_SECONDS, self._finish, effect)

    def _unix(self, time_: float) -> float:
        return time_ - self._now() + time.time()

    def _add(
        self,
        operation: Operation,
        done: Callable[[Any], None] = _ignore,
        failed: Callable[[], None] = _ignore,
        *,
        can_wait: bool = False,
    ) -> None:
        self._tasks.append(_Task(operation, done, failed))
        if can_wait and not self._is_closing:
            asyncio.get_running_loop().call_later(LAZY_SECONDS, self._wake.set)
        else:
            self._wake.set()

    # -- to the service -----------------------------------------------------------------------

    def _tell(self, method: Callable[..., None], *values: Any) -> None:
        method(*values)
        self._pump()

    def _kept(self, job_id: str, found: Found) -> None:
        outcome = self._outcome(found)
        if outcome is None:
            self._tell(self._service.store.not_kept, job_id)
        else:
            self._tell(self._service.store.kept, job_id, outcome, self._now())

    def _claimed(self, found: tuple[StoredJob, ...]) -> None:
        claimed = tuple(self._job(job) for job in found)
        self._tell(self._service.store.claimed, claimed, self._now())

    def _job(self, job: StoredJob) -> ClaimedJob:
        deadline = job.deadline - time.time() + self._now()
        return ClaimedJob(*job[:5], deadline, job.nonces)

    def _outcome(self, found: Found) -> Outcome | None:
        return self._job(found) if isinstance(found, StoredJob) else found

    # -- notices ------------------------------------------------------------------------------

    def _notice(self, text: str) -> None:
        """Hear what another server, or this one, has told all."""
        kind, _, job_id = text.partition(":")
        if kind == "new":
            self._tell(self._service.store.jobs_waiting, self._now())
        elif kind == "ended" and self._service.job(job_id) is not None:
            self._look_up(job_id)

    def _look_up(self, job_id: str) -> None:
        def done(found: Found) -> None:
            if not isinstance(found, StoredJob):
                outcome = ErrorCode.CANCELLED if found is None else found
                self._tell(self._service.store.ended_elsewhere, job_id, outcome, self._now())

        self._add(lambda connection: self._store.find(connection, job_id), done)

    def _check(self) -> None:
        """Look at everything that a missed notice could have told."""
        held = set(self._service.held_jobs)
        for job_id in self._service.open_jobs:
            if job_id not in held:
                self._look_up(job_id)
        self._tell(self._service.store.jobs_waiting, self._now())

    # -- the thread ---------------------------------------------------------------------------

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while not (self._is_closing and not self._tasks):
            await self._wake.wait()
            self._wake.clear()
            while self._tasks:
                batch, self._tasks = self._tasks[:MAX_BATCH], self._tasks[MAX_BATCH:]
                for task, result in await loop.run_in_executor(self._thread, self._apply, batch):
                    if isinstance(result, StoreError):
                        self._complain(result)
                        task.failed()
                    else:
                        self._is_failing = False
                        task.done(result)

    def _apply(self, batch: list[_Task]) -> list[tuple[_Task, Any]]:
        """Do a batch at once, or where that fails one by one; on the store's thread."""
        try:
            results = self._store.apply([task.operation for task in batch])
        except StoreError as error:
            if len(batch) == 1:
                return [(batch[0], error)]
            return [self._apply([task])[0] for task in batch]
        return list(zip(batch, results, strict=True))

    def _complain(self, error: StoreError) -> None:
        if not self._is_failing:
            log.error("%s", error)
        self._is_failing = True

    async def _keep_up(self) -> None:
        checked = cleaned = self._now()
        while True:
            self._add(self._store.renew)
            now = self._now()
            if self._store.is_shared and now - checked >= CHECK_SECONDS:
                checked = now
                self._check()
            if now - cleaned >= CLEAN_SECONDS:
                cleaned = now
                self._add(self._store.clean)
            await asyncio.sleep(CLAIM_SECONDS / 4)
