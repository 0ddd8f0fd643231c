"""The shell around a gate: sockets, time, threads for minting.

A `Proxy` listens, makes a gate for every connection, and a `Session` tells the gate what happens
and does what it wants. Whoever does not read is not read from either: bytes wait in the kernel, not
here.
"""

import asyncio
import contextlib
import secrets
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from misocoin.hashcash.clock import Clock
from misocoin.hashcash.gate import Gate, Job, Tally
from misocoin.hashcash.price import account_from_address
from misocoin.hashcash.session import Address, Limits, Near, Session
from misocoin.http.errors import listen_error
from misocoin.pow.engine import Engine, StopFlag

TICK_SECONDS: Final = 5.0
"""How often gates are told that time passes, and idle connections are looked for."""

BACKLOG: Final = 1024
"""Connections that may wait to be accepted."""

MakeGate = Callable[[str], Gate]
"""Makes the gate of a connection from an account."""


class Minter:
    """Runs jobs in threads."""

    def __init__(self, engine: Engine, threads: int) -> None:
        self._engine = engine
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="mint")

    async def run(self, job: Job, stop: StopFlag) -> bytes | None:
        """Mint in a thread; None where `stop` was set first."""
        loop = asyncio.get_running_loop()
        start = secrets.randbelow(1 << 59)
        return await loop.run_in_executor(self._threads, job.run, self._engine, start, stop)

    def run_at_once(self, job: Job, stop: StopFlag) -> bytes | None:
        """Mint in the caller's thread, for searches that are short."""
        return job.run(self._engine, secrets.randbelow(1 << 59), stop)

    def close(self) -> None:
        """Let go of the threads; what they search must have been stopped."""
        self._threads.shutdown(wait=True, cancel_futures=True)


class Proxy:
    """Gates at a port."""

    def __init__(
        self,
        listen: Address,
        target: Address,
        make_gate: MakeGate,
        tally: Tally,
        minter: Minter | None = None,
        limits: Limits | None = None,
        is_allowed: Callable[[str], bool] | None = None,
        clock: Clock | None = None,
    ) -> None:
        """`is_allowed` says which addresses may connect; a client's gates need a `minter`."""
        self.target = target
        self.tally = tally
        self.minter = minter
        self.limits = limits or Limits()
        self.clock = clock or Clock()
        self.buffered = 0
        self._listen = listen
        self._make_gate = make_gate
        self._is_allowed = is_allowed
        self._sessions: set[Session] = set()
        self._lingering: set[Session] = set()
        self._counts: Counter[str] = Counter()
        self._server: asyncio.Server | None = None
        self._ticking: asyncio.Task[None] | None = None

    @property
    def connections(self) -> int:
        """Connections that are open."""
        return len(self._sessions)

    @property
    def port(self) -> int:
        """The port that it listens on, once it does."""
        if self._server is None:
            return self._listen.port
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def start(self) -> None:
        """Listen; raises ListenError where that cannot be."""
        loop = asyncio.get_running_loop()
        at = self._listen
        try:
            self._server = await loop.create_server(
                lambda: Near(self), at.host, at.port, family=at.family, ssl=at.tls, backlog=BACKLOG
            )
        except OSError as error:
            raise listen_error(at.host, at.port, error) from None
        self._ticking = loop.create_task(self._tick())

    async def close(self) -> None:
        """Close the port and every connection."""
        if self._server is not None:
            self._server.close()
        if self._ticking is not None:
            self._ticking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._ticking
        for session in (*self._sessions, *self._lingering):
            session.abort()
        while self._lingering:
            await asyncio.sleep(0)  # the loop reports the end of each in one of its next rounds

    def admit(self, near: "Near", transport: asyncio.Transport, address: str) -> "Session | None":
        """Take a connection, or None where there are too many or it may not come."""
        if self._is_allowed is not None and not self._is_allowed(address):
            self.tally["connections_forbidden"] += 1
            return None
        account = account_from_address(address)
        if (
            len(self._sessions) >= self.limits.connections
            or self._counts[account] >= self.limits.connections_per_address
        ):
            self.tally["connections_refused"] += 1
            return None
        self._counts[account] += 1
        self.tally["connections"] += 1
        session = Session(self, self._make_gate(account), account, near, transport)
        self._sessions.add(session)
        return session

    def lost(self, session: "Session") -> None:
        """A connection is gone altogether."""
        self._lingering.discard(session)

    def forget(self, session: "Session") -> None:
        """A connection is over, though not everything may have been sent."""
        if session in self._sessions:
            self._sessions.discard(session)
            self._lingering.add(session)
            self._counts[session.account] -= 1
            if not self._counts[session.account]:
                del self._counts[session.account]

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            for session in tuple(self._sessions):
                session.tick()
