"""Links in the shell: threads around a node that we dialled, a mailbox for one that dialled us."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from queue import Empty, SimpleQueue
from typing import Protocol

from misocoin.errors import MisocoinError
from misocoin.peers.addresses import is_local
from misocoin.peers.dialling import Remote, is_hostile
from misocoin.peers.events import Answered, Disconnected, Event, Failed, Garbage, Link, Received
from misocoin.peers.limits import MAX_BODY, MAX_IDS, PeerLimits
from misocoin.peers.messages import (
    Announce,
    GetBlocks,
    Message,
    Request,
    TransactionIds,
    serialize_message,
)
from misocoin.peers.outbox import Outbox
from misocoin.peers.traffic import Traffic

log = logging.getLogger(__name__)

WATCH_SECONDS = 1.0
"""How often a node with REST alone is asked for its tip."""

POOL_SECONDS = 5.0
"""How often such a node is asked for its mempool."""

MOST_REQUESTS = 64
"""Requests of a node we dialled that may wait for our answer."""

Report = Callable[[Event], None]
Answer = Callable[[Request, bool], Iterator[Message]]
"""Answers a request; the flag says whether the asker is on this machine or in a private network."""


class Connection(Protocol):
    """The shell's side of a link."""

    link: Link
    traffic: Traffic

    def send(self, message: Message, frame: bytes | None = None) -> bool:
        """Have a message sent; False if too much waits already. `frame` is its bytes."""

    def close(self) -> None:
        """End the link."""


class Mailbox:
    """A node that dialled us: it fetches what is for it by long-polls."""

    def __init__(self, link: Link, limits: PeerLimits) -> None:
        self.link = link
        self.traffic = Traffic()
        self._limits = limits
        self._outbox = Outbox(limits.outbox_bytes, limits.outbox_messages)
        self._polls = 0
        self._seen = time.monotonic()

    def send(self, message: Message, frame: bytes | None = None) -> bool:
        """Keep a message until it is fetched."""
        return self._outbox.put(serialize_message(message) if frame is None else frame)

    def touch(self) -> None:
        """Note that the other end has spoken."""
        self._seen = time.monotonic()

    def poll(self) -> bytes | None:
        """Wait for messages; empty after a while, None if the link is over."""
        self._polls += 1
        try:
            body = self._outbox.take(self._limits.poll_seconds)
            if body is not None:
                self.traffic.sent(body)
            return body
        finally:
            self._polls -= 1
            self.touch()

    @property
    def is_silent(self) -> bool:
        """Whether the other end has neither spoken nor waited for long."""
        return not self._polls and (time.monotonic() - self._seen > self._limits.session_seconds)

    def close(self) -> None:
        """End the link."""
        self._outbox.close()


class Dialled:
    """A node that we dialled: threads that poll it, push to it and pull from it.

    Small pulls have a thread of their own, so that none waits behind a download of blocks.
    """

    def __init__(
        self, link: Link, remote: Remote, limits: PeerLimits, report: Report, answer: Answer
    ) -> None:
        self.link = link
        self.traffic = remote.traffic
        self._remote = remote
        self._limits = limits
        self._report = report
        self._answer = answer
        self._outbox = Outbox(limits.outbox_bytes, limits.outbox_messages)
        self._requests: SimpleQueue[Request] = SimpleQueue()
        self._quick: SimpleQueue[Request | None] = SimpleQueue()
        self._bulk: SimpleQueue[Request | None] = SimpleQueue()
        self._closed = threading.Event()
        self._pool: dict[bytes, bytes] = {}

    def start(self) -> None:
        """Begin."""
        jobs: list[Callable[[], None]] = [
            lambda: self._pull_from(self._quick),
            lambda: self._pull_from(self._bulk),
        ]
        jobs += [self._watch] if self.link.hello is None else [self._poll, self._push]
        for job in jobs:
            name = f"peer-{self.link.peer}"
            threading.Thread(target=self._guard, args=(job,), name=name, daemon=True).start()

    def send(self, message: Message, frame: bytes | None = None) -> bool:
        """Have a message sent, or asked and its answer reported."""
        if isinstance(message, Request):
            (self._bulk if isinstance(message, GetBlocks) else self._quick).put(message)
            return True
        if self.link.hello is None:
            return True  # nothing can be told to a node with REST alone
        return self._outbox.put(serialize_message(message) if frame is None else frame)

    def close(self) -> None:
        """End the link; does not wait for calls that are under way."""
        if self._closed.is_set():
            return
        self._closed.set()
        self._outbox.close()
        self._quick.put(None)
        self._bulk.put(None)

    def _guard(self, job: Callable[[], None]) -> None:
        """Run a thread's job; whatever ends it early ends the link."""
        why = "closed"
        try:
            job()
        except MisocoinError as error:
            why = str(error)
            if is_hostile(error) and not self._closed.is_set():
                self._report(Garbage(self.link.peer, why))
        except Exception:
            log.exception("a link failed")
            why = "internal error"
        if not self._closed.is_set():
            self.close()
            self._report(Disconnected(self.link.peer, why))

    # -- the threads --------------------------------------------------------------------------

    def _poll(self) -> None:
        while not self._closed.is_set():
            for message in self._remote.poll():
                if isinstance(message, Request):
                    if self._requests.qsize() >= MOST_REQUESTS:
                        self._report(Garbage(self.link.peer, "a flood of requests"))
                        return
                    self._requests.put(message)
                    self._outbox.put(b"")  # wakes the thread that pushes
                else:
                    self._report(Received(self.link.peer, message))

    def _push(self) -> None:
        while (body := self._outbox.take(self._limits.poll_seconds)) is not None:
            if body:
                self._remote.push(body)
            self._answer_requests()
        self._remote.leave()

    def _answer_requests(self) -> None:
        """Answer what the other node has asked in its answers to our polls."""
        while not self._closed.is_set():
            try:
                request = self._requests.get_nowait()
            except Empty:
                return
            body = b""
            for message in self._answer(request, is_local(self.link.host)):
                frame = serialize_message(message)
                if body and len(body) + len(frame) > MAX_BODY:
                    self._remote.push(body)
                    body = b""
                body += frame
            if body:
                self._remote.push(body)

    def _pull_from(self, queue: "SimpleQueue[Request | None]") -> None:
        while not self._closed.is_set():
            request = queue.get()
            if request is None:
                return
            self._pull(request)

    def _pull(self, request: Request) -> None:
        peer, report = self.link.peer, self._report
        try:
            if self.link.hello is None:
                answers = self._remote.pull_rest(request, self._pool)
            else:
                answers = self._remote.pull(request)
            for message in answers:
                report(Received(peer, message))
        except MisocoinError as error:
            if not self._closed.is_set():
                report(Failed(peer, request, str(error), is_hostile(error)))
            return
        report(Answered(peer, request))

    def _watch(self) -> None:
        """Look for news of a node that cannot push any."""
        seen = b""
        pool_at = 0.0
        while not self._closed.wait(WATCH_SECONDS):
            tip = self._remote.tip()
            if tip is not None and tip.hash != seen:
                seen = tip.hash
                self._report(Received(self.link.peer, Announce((tip,))))
            if time.monotonic() - pool_at > POOL_SECONDS:
                pool_at = time.monotonic()
                pool = self._remote.pool()
                new = [wtxid for wtxid in pool if wtxid not in self._pool]
                self._pool = pool
                for at in range(0, len(new), MAX_IDS):
                    ids = TransactionIds(tuple(new[at : at + MAX_IDS]))
                    self._report(Received(self.link.peer, ids))
