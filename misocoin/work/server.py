"""The service on a port: sockets and timers around `Service`, in one thread (asyncio)."""

import asyncio
import logging
import resource
import socket
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, cast

from misocoin.http.errors import listen_error
from misocoin.work.answers import Answer, ErrorCode, Failed
from misocoin.work.connection import State, WorkConnection
from misocoin.work.effects import Close, Effect, Send
from misocoin.work.figures import Snapshot
from misocoin.work.requests import RequestId
from misocoin.work.service import Service

log = logging.getLogger(__name__)

TICK_SECONDS: Final = 0.25
"""How often the service looks at what is due."""

STUCK_SECONDS: Final = 30.0
"""How long a peer may leave what was sent to it unread."""

MAX_UNSENT: Final = 1 << 16
"""Bytes that wait to be sent to one peer, above which nothing more is read from it."""

SPARE_FILES: Final = 100
"""Open files besides connections."""

CLOSING_SECONDS: Final = 5.0
"""How long a connection that is being closed may take over its last bytes."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the service listens."""

    host: str
    port: int
    tls: ssl.SSLContext | None = None


class _Peer(asyncio.Protocol):
    """One connection."""

    __slots__ = (
        "_server", "closing_since", "is_full", "line", "number", "part_since", "stuck_since",
        "touched", "transport",
    )  # fmt: skip

    def __init__(self, server: "WorkServer") -> None:
        self._server = server
        self.line = WorkConnection()
        self.transport: asyncio.Transport
        self.number = 0
        """0 while it is not admitted."""
        self.touched = server.now()
        """When the last message came, or the connection."""
        self.part_since: float | None = None
        """When the message under way began."""
        self.is_full = False
        self.stuck_since: float | None = None
        self.closing_since: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(MAX_UNSENT)
        self._server.admit(self)

    def data_received(self, data: bytes) -> None:
        self.line.feed(data)
        self._server.read(self)

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, _error: Exception | None) -> None:
        self._server.lose(self)

    def pause_writing(self) -> None:
        self.stuck_since = self._server.now()
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        self.stuck_since = None
        self._server.read(self)

    def send(self, request: RequestId, answer: Answer) -> None:
        """Send an answer, in one piece; a closing connection takes none."""
        if self.closing_since is None and (data := self.line.answer_bytes(request, answer)):
            self.transport.write(data)

    def close(self) -> None:
        """Close when what was sent has gone out."""
        if self.closing_since is None:
            self.closing_since = self._server.now()
            self.transport.close()


class WorkServer:
    """The service's shell; everything happens on the event loop's thread."""

    def __init__(
        self,
        service: Service,
        place: Place,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.service = service
        self.now = clock
        """Seconds, monotonic."""
        self._place = place
        self.perform: Callable[[Effect], None] | None = None
        """Carries out what the service wants of its store."""
        self._peers: dict[int, _Peer] = {}
        self._opening: dict[_Peer, None] = {}
        self._refused: set[_Peer] = set()
        self._emptied = asyncio.Event()
        self._last_number = 0
        self._server: asyncio.Server | None = None
        self._ticker: asyncio.Task[None] | None = None
        self._began = clock()
        self.snapshot = self._take_snapshot()
        """How the service was a moment ago; any thread may read it."""

    async def start(self) -> tuple[str, int]:
        """Listen; returns the address. Raises ListenError where it cannot."""
        loop = asyncio.get_running_loop()
        host = "127.0.0.1" if self._place.host == "localhost" else self._place.host
        tls = self._place.tls
        try:
            self._server = await loop.create_server(
                lambda: _Peer(self),
                host,
                self._place.port,
                ssl=tls,
                ssl_handshake_timeout=self.service.limits.opening_seconds if tls else None,
                backlog=1024,
                reuse_address=True,
            )
        except OSError as error:
            raise listen_error(host, self._place.port, error) from None
        self._ticker = loop.create_task(self._tick())
        address, port = self._server.sockets[0].getsockname()[:2]
        return address, port

    async def stop(self) -> None:
        """Close every connection; clients that wait are told."""
        if self._ticker is not None:
            self._ticker.cancel()
            with suppress(asyncio.CancelledError):
                await self._ticker
        if self._server is not None:
            self._server.close()
        self.service.stop()
        self.pump()
        for peer in (*self._peers.values(), *self._refused):
            peer.close()
        if self._peers:
            self._emptied.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._emptied.wait(), CLOSING_SECONDS)
        for peer in tuple(self._peers.values()):
            peer.transport.abort()

    # -- connections --------------------------------------------------------------------------

    def admit(self, peer: _Peer) -> None:
        """Take a new connection, or tell it why not."""
        name = peer.transport.get_extra_info("peername")
        address = str(name[0]) if name else ""
        self._last_number += 1
        refusal = self.service.connect(self._last_number, address, self.now())
        if refusal is not None and refusal.code is ErrorCode.OVERLOADED and self._evict():
            refusal = self.service.connect(self._last_number, address, self.now())
        if refusal is not None:
            self._refused.add(peer)
            peer.send(None, refusal)
            peer.close()
            return
        peer.number = self._last_number
        self._peers[peer.number] = peer
        self._opening[peer] = None
        _keep_alive(peer.transport.get_extra_info("socket"))

    def _evict(self) -> bool:
        """Make room: the connection goes that has been silent from its beginning for longest."""
        peer = next(iter(self._opening), None)
        if peer is None or self.now() - peer.touched < 1.0:
            return False
        self.lose(peer)
        peer.transport.abort()
        return True

    def lose(self, peer: _Peer) -> None:
        """Forget a connection."""
        self._opening.pop(peer, None)
        self._refused.discard(peer)
        if self._peers.pop(peer.number, None) is not None:
            self.service.disconnect(peer.number, self.now())
            self.pump()
            if not self._peers:
                self._emptied.set()

    def read(self, peer: _Peer) -> None:
        """Handle the messages that have come from a connection, as far as it may have any."""
        if peer.number not in self._peers:
            return
        while True:
            peer.is_full = self.service.is_full(peer.number)
            if peer.is_full or peer.stuck_since is not None or peer.closing_since is not None:
                break
            event = peer.line.next_event()
            if event is None:
                break
            if peer in self._opening:
                del self._opening[peer]
            peer.touched = self.now()
            peer.part_since = None
            self.service.receive(peer.number, event, peer.touched)
            self.pump()
        if not peer.line.has_part:
            peer.part_since = None
        elif peer.part_since is None:
            peer.part_since = self.now()
        if peer.transport.is_closing():
            return
        if peer.is_full or peer.stuck_since is not None:
            peer.transport.pause_reading()
        else:
            peer.transport.resume_reading()

    # -- what the service wants ---------------------------------------------------------------

    def pump(self) -> None:
        """Carry out what the service wants done."""
        for effect in self.service.effects():
            if isinstance(effect, Send):
                peer = self._peers.get(effect.connection)
                if peer is not None:
                    peer.send(effect.request, effect.answer)
                    if peer.is_full and not self.service.is_full(peer.number):
                        peer.is_full = False
                        asyncio.get_running_loop().call_soon(self.read, peer)
            elif isinstance(effect, Close):
                peer = self._peers.get(effect.connection)
                if peer is not None:
                    peer.close()
            elif self.perform is not None:
                self.perform(effect)

    # -- time ---------------------------------------------------------------------------------

    async def _tick(self) -> None:
        rounds = 0
        while True:
            await asyncio.sleep(TICK_SECONDS)
            rounds += 1
            now = self.now()
            self.service.tick(now)
            if rounds % round(1 / TICK_SECONDS) == 0:
                self.service.report_progress(now)
                self._check_peers(now)
                self.service.figures.sample(self.service.gauges(now), now, time.time())
                self.snapshot = self._take_snapshot()
            self.pump()

    def _take_snapshot(self) -> Snapshot:
        now = self.now()
        service = self.service
        return service.figures.snapshot(
            service.gauges(now), time.time(), now - self._began, service.workers()
        )

    def _check_peers(self, now: float) -> None:
        """Close connections that are too slow in anything."""
        limits = self.service.limits
        for peer in (*self._peers.values(), *self._refused):
            if peer.closing_since is not None:
                if now - peer.closing_since > CLOSING_SECONDS:
                    peer.transport.abort()
            elif peer.stuck_since is not None:
                if now - peer.stuck_since > STUCK_SECONDS:
                    peer.transport.abort()
            elif peer.part_since is not None:
                if now - peer.part_since > limits.message_seconds and not peer.is_full:
                    self._time_out(peer, "the message did not end")
            elif peer.line.state is State.OPENING:
                if now - peer.touched > limits.opening_seconds:
                    self._time_out(peer, "no message came")
            elif now - peer.touched > limits.idle_seconds and not self.service.is_waiting(
                peer.number
            ):
                self._time_out(peer, "nothing was asked for a long time")

    def _time_out(self, peer: _Peer, why: str) -> None:
        peer.send(None, Failed(ErrorCode.TIMEOUT, why))
        peer.close()


def _keep_alive(sock: socket.socket | None) -> None:
    """Have the system find out about peers that vanished while they wait for an answer."""
    if sock is None:
        return
    with suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4)):
            if hasattr(socket, name):
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def raise_file_limit(connections: int) -> int:
    """Have the system allow that many connections if it will; returns how many it allows."""
    wanted = connections + SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return connections if soft == resource.RLIM_INFINITY else soft - SPARE_FILES
