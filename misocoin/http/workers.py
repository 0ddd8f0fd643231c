"""The threads that serve requests: as many as are needed, within a bound.

A request gets a thread at once while fewer than `workers` are at work; more of them queue. A
request that must wait for something (a new block, a slow peer) does so on a permit: it is then no
longer counted as at work, so that any number of long polls never keeps a plain request waiting.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Full
from threading import Condition, Lock, Thread, current_thread
from time import monotonic
from typing import Any, Protocol

from misocoin.http.errors import Overloaded
from misocoin.http.sockets import Limits

log = logging.getLogger(__name__)

_IDLE_SECONDS = 20.0


class Job(Protocol):
    """A connection with something to do."""

    def communicate(self) -> bool:
        """Serve what is there; False when the connection is to be closed."""

    def interrupt(self) -> None:
        """Let a thread that waits for the peer's bytes go on, since the server stops."""

    def close(self) -> None:
        """Close the connection."""


class WorkerPool:
    """Threads that serve connections. Has the methods cheroot asks of a thread pool."""

    def __init__(self, put_back: Callable[[Any], None], limits: Limits, name: str) -> None:
        """`put_back` takes a connection that has nothing to do any more."""
        self._put_back = put_back
        self._limits = limits
        self._name = name
        self._lock = Lock()
        self._arrived = Condition(self._lock)
        self._queue: deque[Job] = deque()
        self._threads: set[Thread] = set()
        self._serving: set[Job] = set()
        self._idle = 0
        self._waiting = 0
        self._lingering = 0
        self._started = 0
        self._stopping = False

    def start(self) -> None:
        """Do nothing: threads come with the requests."""

    def put(self, conn: Job) -> None:
        """Have a connection served; raises queue.Full when too many wait already."""
        with self._lock:
            if self._stopping or len(self._queue) >= self._limits.backlog:
                raise Full
            self._queue.append(conn)
            self._call_worker()

    def _call_worker(self) -> None:
        """See to it that somebody comes for the queue; the lock is held."""
        if self._idle >= len(self._queue):
            self._arrived.notify()
        elif len(self._threads) - self._waiting < self._limits.workers and not self._stopping:
            self._started += 1
            # A daemon thread, so that one that hangs cannot keep the process from ending.
            thread = Thread(target=self._work, name=f"{self._name}-{self._started}", daemon=True)
            self._threads.add(thread)
            thread.start()

    def _work(self) -> None:
        try:
            while (conn := self._next()) is not None:
                self._serve(conn)
        finally:
            with self._lock:
                self._threads.discard(current_thread())

    def _next(self) -> Job | None:
        """The next connection in the queue; None when this thread is not needed any more."""
        with self._lock:
            while not self._queue:
                if self._stopping:
                    return None
                self._idle += 1
                called = self._arrived.wait(_IDLE_SECONDS)
                self._idle -= 1
                if not called and not self._queue:
                    return None
            conn = self._queue.popleft()
            self._serving.add(conn)
            return conn

    def _serve(self, conn: Job) -> None:
        stays = False
        try:
            stays = conn.communicate()
        except Exception:
            log.exception("a connection failed")
        with self._lock:
            self._serving.discard(conn)
        if stays:
            self._put_back(conn)
        else:
            conn.close()

    @contextmanager
    def permit(self) -> Iterator[None]:
        """Wait for something inside; raises Overloaded where too many do already."""
        with self._lock:
            if self._waiting >= self._limits.waiting or self._stopping:
                raise Overloaded("as many requests are waiting as may")
            self._waiting += 1
            if self._queue:
                self._call_worker()
        try:
            yield
        finally:
            with self._lock:
                self._waiting -= 1

    def try_linger(self) -> bool:
        """Ask to stay with a connection for a moment; `end_linger` must follow where it may."""
        with self._lock:
            if self._queue or self._stopping or self._lingering * 2 >= self._limits.workers:
                return False
            self._lingering += 1
            return True

    def end_linger(self) -> None:
        """Tell that the moment is over."""
        with self._lock:
            self._lingering -= 1

    def stop(self, timeout: float) -> None:
        """Let the requests being served end, for at most `timeout` seconds, and drop the rest."""
        with self._lock:
            self._stopping = True
            self._arrived.notify_all()
            serving, dropped, threads = set(self._serving), list(self._queue), set(self._threads)
            self._queue.clear()
        for conn in serving:
            conn.interrupt()
        for conn in dropped:
            conn.close()
        deadline = monotonic() + timeout
        for thread in threads - {current_thread()}:
            thread.join(max(0.0, deadline - monotonic()))
            if thread.is_alive():
                log.warning("%s is still at work and is left behind", thread.name)
