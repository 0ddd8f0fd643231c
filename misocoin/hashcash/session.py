"""One connection through a gate: two sockets, timers and searches, as the gate wants them."""

import asyncio
import logging
import os
import ssl
import time
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from misocoin.hashcash.gate import (
    Action,
    Close,
    Dial,
    EndFar,
    Gate,
    Hold,
    Job,
    Mint,
    Tally,
    ToFar,
    ToNear,
    Wake,
)
from misocoin.hashcash.requests import UNREACHABLE, refusal
from misocoin.pow.engine import StopFlag

log = logging.getLogger(__name__)

HIGH_WATER: Final = 1 << 16
"""Bytes that wait to be sent before their source is stopped."""

FAIR_SHARE: Final = 1 << 16
"""Bytes of requests that a connection may always have waiting."""

LINGER_SECONDS: Final = 10.0
"""How long a closed connection may take to read what was sent."""


BITS_AT_ONCE: Final = 8
"""Up to so many bits a search is shorter than handing it to a thread."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen or to dial."""

    host: str
    port: int
    tls: ssl.SSLContext | None = None
    family: int = 0
    """`socket.AF_INET6` where only that will do; 0 is any."""

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Limits:
    """What a proxy bears."""

    connections: int = 4096
    connections_per_address: int = 1024
    buffered: int = 1 << 28
    """Bytes of requests that wait, on all connections together."""
    dial_seconds: float = 10.0
    unpaid_seconds: float = 60.0
    """How long a connection may be open without a request that was let through."""
    idle_seconds: float = 1800.0
    """How long nothing may come from either side."""


class Mints(Protocol):
    """What runs searches."""

    async def run(self, job: Job, stop: StopFlag) -> bytes | None:
        """Mint in a thread; None where `stop` was set first."""

    def run_at_once(self, job: Job, stop: StopFlag) -> bytes | None:
        """Mint in the caller's."""


class Host(Protocol):
    """What a session needs of the proxy that it belongs to."""

    buffered: int
    """Bytes of requests that wait, on all connections."""

    @property
    def target(self) -> Address:
        """Where the far side is."""

    @property
    def limits(self) -> Limits:
        """What is borne."""

    @property
    def tally(self) -> Tally:
        """Where everything is counted."""

    @property
    def minter(self) -> Mints | None:
        """What runs searches; None where a gate needs none."""

    @property
    def clock(self) -> Callable[[], float]:
        """The time of day in seconds."""

    def admit(self, near: "Near", transport: asyncio.Transport, address: str) -> "Session | None":
        """Take a connection, or None where there are too many or it may not come."""

    def forget(self, session: "Session") -> None:
        """A connection is over, though not everything may have been sent."""

    def lost(self, session: "Session") -> None:
        """A connection is gone altogether."""


class Session:
    """Both connections of a gate."""

    def __init__(
        self, proxy: Host, gate: Gate, account: str, near: "Near", transport: asyncio.Transport
    ) -> None:
        self.account = account
        self._proxy = proxy
        self._gate = gate
        self._near = transport
        self._far: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()
        self._stop = StopFlag()
        self._tasks: set[asyncio.Task[None]] = set()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._buffered = 0
        self._is_held = False
        self._is_far_slow = False
        self._is_near_slow = False
        self._has_ended = False
        self._began = self._last = time.monotonic()
        near.session = self

    # -- what happens ---------------------------------------------------------------------

    def began(self) -> None:
        """The near side is connected."""
        self._do(self._gate.start(self._now()))

    def near_data(self, data: bytes) -> None:
        """Bytes came from the near side."""
        self._last = time.monotonic()
        self._do(self._gate.near_data(data, self._now()))
        if self._buffered > FAIR_SHARE and self._proxy.buffered > self._proxy.limits.buffered:
            self._proxy.tally["connections_greedy"] += 1
            self.abort()

    def near_end(self) -> None:
        """The near side will send nothing more."""
        self._do(self._gate.near_end(self._now()))

    def far_data(self, data: bytes) -> None:
        """Bytes came from the far side."""
        self._last = time.monotonic()
        self._do(self._gate.far_data(data, self._now()))

    def far_end(self) -> None:
        """The far side will send nothing more, or is gone."""
        if not self._has_ended:
            self._do(self._gate.far_end(self._now()))

    def tick(self) -> None:
        """Some seconds have passed: give up what is of no use, tell the gate."""
        now, limits = time.monotonic(), self._proxy.limits
        is_unpaid = not self._gate.has_paid and now - self._began > limits.unpaid_seconds
        if is_unpaid or now - self._last > limits.idle_seconds:
            self._proxy.tally["connections_idle"] += 1
            self.abort()
        else:
            self._do(self._gate.tick(self._now()))

    def near_writing(self, is_slow: bool) -> None:
        """The near side reads slower than the far side sends, or again as fast."""
        self._is_near_slow = is_slow
        self._steer()

    def far_writing(self, is_slow: bool) -> None:
        """The far side reads slower than the near side sends, or again as fast."""
        self._is_far_slow = is_slow
        self._steer()

    def near_lost(self) -> None:
        """The near side is gone; nothing is of use any more."""
        self._end()
        self._proxy.lost(self)
        if self._far is not None:
            self._far.abort()

    def abort(self) -> None:
        """Break both connections off."""
        self._end()
        self._near.abort()
        if self._far is not None:
            self._far.abort()

    # -- what is done ---------------------------------------------------------------------

    def _now(self) -> float:
        return self._proxy.clock()

    def _do(self, actions: Sequence[Action]) -> None:
        todo = deque(actions)
        while todo:
            match todo.popleft():
                case ToNear(data):
                    self._near.write(data)
                case ToFar(data):
                    if self._far is not None:
                        self._far.write(data)
                case Dial():
                    self._run(self._dial())
                case EndFar():
                    self._end_far()
                case Hold(seconds):
                    self._is_held = True
                    self._at("hold", seconds, self._resume)
                case Wake(None):
                    self._at("wake", None, self._silence)
                case Wake(seconds):
                    self._at("wake", seconds, self._silence)
                case Mint(job) if job.bits <= BITS_AT_ONCE:
                    todo.extend(self._mint_at_once(job))
                case Mint(job):
                    self._run(self._mint(job))
                case Close():
                    self._close()
        self._measure()
        self._steer()

    def _measure(self) -> None:
        """Count what waits here among what waits everywhere."""
        buffered = 0 if self._has_ended else self._gate.buffered
        self._proxy.buffered += buffered - self._buffered
        self._buffered = buffered

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ran)

    def _ran(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a connection failed", exc_info=error)
            self.abort()

    def _at(self, name: str, seconds: float | None, call: Callable[[], None]) -> None:
        if (timer := self._timers.pop(name, None)) is not None:
            timer.cancel()
        if seconds is not None and not self._has_ended:
            self._timers[name] = self._loop.call_later(seconds, call)

    def _resume(self) -> None:
        self._is_held = False
        self._do(self._gate.resume(self._now()))

    def _silence(self) -> None:
        self._do(self._gate.silence(self._now()))

    async def _dial(self) -> None:
        target = self._proxy.target
        try:
            async with asyncio.timeout(self._proxy.limits.dial_seconds):
                transport, _ = await self._loop.create_connection(
                    lambda: _Far(self),
                    target.host,
                    target.port,
                    family=target.family,
                    ssl=target.tls,
                )
        except (OSError, TimeoutError, ssl.SSLError) as error:
            reason = f"{target} cannot be reached: {_reason(error)}"
            log.warning("%s", reason)
            if not self._has_ended:
                self._do(self._gate.far_failed(reason, self._now()))
            return
        if self._has_ended:
            transport.abort()
            return
        self._far = transport
        self._do(self._gate.far_connected(self._now()))

    def _mint_at_once(self, job: Job) -> Sequence[Action]:
        line = self._minter.run_at_once(job, self._stop)
        return [] if line is None else self._minted(job, line)

    async def _mint(self, job: Job) -> None:
        line = await self._minter.run(job, self._stop)
        if line is not None and not self._has_ended:
            self._do(self._minted(job, line))

    def _minted(self, job: Job, line: bytes) -> Sequence[Action]:
        self._proxy.tally["hashes"] += 1 << job.bits
        return self._gate.minted(line, self._now())

    @property
    def _minter(self) -> Mints:
        if self._proxy.minter is None:
            raise RuntimeError("a gate that mints needs a minter")
        return self._proxy.minter

    def _end_far(self) -> None:
        if self._far is None:
            return
        if self._far.can_write_eof():
            self._far.write_eof()
        else:
            # TLS knows no end of one direction: the answers get some time, then all is over.
            self._at("linger", LINGER_SECONDS, self._close)

    def _close(self) -> None:
        self._end()
        self._near.close()
        if self._far is not None:
            self._far.close()
        self._loop.call_later(LINGER_SECONDS, self._near.abort)

    def _end(self) -> None:
        """Stop all that goes on for this connection, and count it no more."""
        self._has_ended = True
        self._stop.set()
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        for task in self._tasks - {asyncio.current_task()}:
            task.cancel()
        self._measure()
        self._proxy.forget(self)

    def _steer(self) -> None:
        """Read from where there is room for it."""
        if self._is_far_slow or self._is_held or self._gate.is_full:
            self._near.pause_reading()
        else:
            self._near.resume_reading()
        if self._far is None:
            return
        if self._is_near_slow:
            self._far.pause_reading()
        else:
            self._far.resume_reading()


class Near(asyncio.Protocol):
    """The connection that was accepted."""

    session: Session | None = None

    def __init__(self, proxy: Host) -> None:
        self._proxy = proxy
        self._is_tls = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin a session, or say why there is none."""
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("a stream is expected")
        self._is_tls = transport.get_extra_info("sslcontext") is not None
        transport.set_write_buffer_limits(HIGH_WATER)
        peer = transport.get_extra_info("peername")
        session = self._proxy.admit(self, transport, peer[0] if peer else "")
        if session is None:
            transport.write(refusal(b"", UNREACHABLE, "too many connections, or not allowed"))
            transport.close()
            return
        session.began()

    def data_received(self, data: bytes) -> None:
        """Pass bytes to the session."""
        if self.session is not None:
            self.session.near_data(data)

    def eof_received(self) -> bool:
        """Tell the session; after half an end answers can still be sent, but not with TLS."""
        if self.session is not None:
            self.session.near_end()
        return self.session is not None and not self._is_tls

    def connection_lost(self, exc: Exception | None) -> None:
        """End the session."""
        if self.session is not None:
            self.session.near_lost()

    def pause_writing(self) -> None:
        """Tell the session that too much waits to be sent."""
        if self.session is not None:
            self.session.near_writing(is_slow=True)

    def resume_writing(self) -> None:
        """Tell the session that there is room again."""
        if self.session is not None:
            self.session.near_writing(is_slow=False)


class _Far(asyncio.Protocol):
    """The connection that was dialled."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            transport.set_write_buffer_limits(HIGH_WATER)

    def data_received(self, data: bytes) -> None:
        self._session.far_data(data)

    def eof_received(self) -> bool:
        self._session.far_end()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._session.far_end()

    def pause_writing(self) -> None:
        self._session.far_writing(is_slow=True)

    def resume_writing(self) -> None:
        self._session.far_writing(is_slow=False)


def _reason(error: Exception) -> str:
    """What went wrong, in a few words."""
    if isinstance(error, TimeoutError) and not error.args:
        return "it takes too long"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message})"
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    return str(error)[:200] or type(error).__name__
