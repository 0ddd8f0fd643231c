"""The service: requests in, effects out, without sockets, threads or a clock.

The shell calls a method for whatever happens, with the time of a monotonic clock, and then carries
out what `effects` returns. With a store, a job is accepted when the store has it; a job that no
miner here could soon begin stays in the store, where every server finds it.
"""

from dataclasses import dataclass, field
from heapq import nlargest

from misocoin.work.admission import Limits, Tokens, is_this_machine, name_from_address
from misocoin.work.answers import ErrorCode, Failed, Report, Welcome
from misocoin.work.asking import ClientSide
from misocoin.work.connection import Refusal
from misocoin.work.core import Core, Party
from misocoin.work.desk import Job
from misocoin.work.effects import Effect
from misocoin.work.figures import MOST_WORKERS, Gauges, Worker
from misocoin.work.mining import MinerSide
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
    Stats,
    Wait,
)
from misocoin.work.shared import StoreSide
from misocoin.work.stamps import Stamps


@dataclass(frozen=True, slots=True)
class Access:
    """Who may use the service; without tokens everybody may."""

    clients: Tokens = field(default_factory=Tokens)
    miners: Tokens = field(default_factory=Tokens)
    stamps: Stamps | None = None
    """What clients without a token pay with, where they may."""


class Service:
    """All of the service's state, and what happens to it."""

    def __init__(
        self,
        limits: Limits,
        now: float,
        access: Access | None = None,
        *,
        has_store: bool = False,
    ) -> None:
        access = access or Access()
        self._core = Core(limits, now, has_store=has_store)
        self._clients = ClientSide(self._core, access.clients, access.stamps)
        self._miners = MinerSide(self._core, access.miners)
        self.limits = limits
        self.figures = self._core.figures
        self.store = StoreSide(self._core)
        """What the store is to tell."""

    def effects(self) -> list[Effect]:
        """Return what is to be done, and forget it."""
        effects, self._core.effects = self._core.effects, []
        return effects

    # -- connections --------------------------------------------------------------------------

    def connect(self, connection: int, address: str, now: float) -> Failed | None:
        """Take a new connection; returns why not."""
        core = self._core
        name = name_from_address(address)
        if core.conduct.is_banned(name, now):
            return Failed(ErrorCode.FORBIDDEN, "banned for wrong results")
        if len(core.parties) >= self.limits.connections:
            return Failed(ErrorCode.OVERLOADED, "too many connections")
        most = self.limits.connections_per_address
        if core.from_address[name] >= most and not is_this_machine(name):
            return Failed(ErrorCode.BUSY, "too many connections from your address")
        core.from_address.take(name)
        party = Party(connection, name, name, may_ask=False, may_mine=False)
        self._clients.welcome(party)
        self._miners.welcome(party)
        core.parties[connection] = party
        return None

    def disconnect(self, connection: int, now: float) -> None:
        """Note that a connection is gone: what it searched goes to others."""
        core = self._core
        party = core.parties.pop(connection, None)
        if party is None:
            return
        core.from_address.leave(party.address)
        self._miners.leave(party)
        self._clients.leave(party)
        core.match(now)

    def is_full(self, connection: int) -> bool:
        """Whether no more requests of a connection should be read now."""
        party = self._core.parties.get(connection)
        return party is not None and party.pending >= self.limits.pending

    def is_waiting(self, connection: int) -> bool:
        """Whether a connection waits for something, so that it may be silent."""
        party = self._core.parties.get(connection)
        return party is not None and (
            party.pending > 0 or bool(self._core.scheduler.of_miner(connection))
        )

    def receive(self, connection: int, event: Hello | Request | Refusal, now: float) -> None:
        """Take what a connection said."""
        party = self._core.parties[connection]
        match event:
            case Hello():
                self._hello(party, event)
            case Refusal(request, reason, is_fatal):
                self._core.fail(connection, request, ErrorCode.MALFORMED, reason)
                if is_fatal:
                    self._core.close(connection)
            case Request():
                self._request(party, event, now)

    def _hello(self, party: Party, hello: Hello) -> None:
        party.is_framed = True
        if hello.token:
            self._clients.admit(party, hello.token)
            self._miners.admit(party, hello.token)
            if not party.may_ask and not party.may_mine:
                message = "that token gives no access"
                self._core.fail(party.connection, None, ErrorCode.UNAUTHORIZED, message)
                self._core.close(party.connection)
                return
        self._core.send(party.connection, None, Welcome(self._clients.terms))

    def _request(self, party: Party, request: Request, now: float) -> None:
        name = request.id
        match request.body:
            case DoPow() as body:
                self._clients.do_pow(party, name, body, now)
            case Wait(job):
                self._clients.wait(party, name, job)
            case Cancel(job):
                self._clients.cancel(party, name, job, now)
            case GetWork() as body:
                self._miners.get_work(party, name, body, now)
            case Heartbeat(lease):
                self._miners.heartbeat(party, name, lease, now)
            case PushLease() as body:
                self._miners.push_lease(party, name, body, now)
            case PushOriginal() as body:
                self._miners.push_original(party, body, now)
            case Stats():
                self._core.send(party.connection, name, Report(self._report()))
            case Ping():
                self._core.send(party.connection, name, Report({}))

    # -- time ---------------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """Do what is due; to be called a few times a second."""
        for job in self._core.desk.overdue(now):
            self._core.give_up(job, ErrorCode.DEADLINE, "its time is up")
        self._miners.tick(now)
        self._core.clock.forget_idle()
        self._core.match(now)

    def report_progress(self, now: float) -> None:
        """Tell clients that want to know how far their jobs are; to be called every second."""
        self._clients.report_progress(now)

    def stop(self) -> None:
        """Tell everybody who waits that the service ends here; what is kept stays in the store."""
        for job in self._core.desk.jobs.values():
            for waiter in job.waiters:
                failure = Failed(ErrorCode.UNAVAILABLE, "the service stops")
                self._core.answer(waiter, failure)
            job.waiters.clear()

    # -- looking ------------------------------------------------------------------------------

    def job(self, job_id: str) -> Job | None:
        """Return an open job that is known here."""
        return self._core.desk.jobs.get(job_id)

    @property
    def open_jobs(self) -> tuple[str, ...]:
        """The open jobs that are known here."""
        return tuple(self._core.desk.jobs)

    @property
    def held_jobs(self) -> tuple[str, ...]:
        """The jobs that this server searches."""
        return tuple(self._core.scheduler.jobs)

    def gauges(self, now: float) -> Gauges:
        """Return how things stand."""
        core = self._core
        return Gauges(
            len(core.desk),
            len(core.desk.places),
            len(core.parties),
            core.mining,
            len(core.waiting),
            len(core.scheduler.leases),
            core.conduct.banned(now),
        )

    def workers(self) -> tuple[Worker, ...]:
        """Return the connected miners, the fastest first, MOST_WORKERS at most."""
        found = [self._worker(each) for each in self._core.parties.values() if each.is_miner]
        return tuple(nlargest(MOST_WORKERS, found, lambda each: (each.rate, -each.connection)))

    def _worker(self, party: Party) -> Worker:
        leases = len(self._core.scheduler.of_miner(party.connection))
        return Worker(
            party.name,
            party.connection,
            (party.rate or party.claimed_rate) * leases,  # a thread searches each
            leases,
            party.searched,
            party.solved,
        )

    def _report(self) -> dict[str, int]:
        core, figures = self._core, self.figures
        return {
            "jobs": len(core.desk),
            "miners": core.mining,
            "idle": len(core.waiting),
            "connections": len(core.parties),
            "rate": round(figures.rate),
            "accepted": figures.accepted,
            "solved": figures.solved,
            "failed": sum(figures.failed.values()),
            "wrong": figures.wrong,
            "hashes": figures.hashes,
        }
