"""The miner: threads that search ranges of nonces for a service.

Each thread asks for a range, searches it, and hands in what it found while asking for the next. A
further thread reads what the service says: work, and which ranges need not be searched further.
"""

import logging
import queue
import threading
import time
from dataclasses import dataclass, field
from typing import Any, Final

from misocoin.errors import ParseError
from misocoin.pow.engine import Engine, StopFlag
from misocoin.work.errors import WorkAway
from misocoin.work.jobs import Algorithm, integer_field, puzzle_from_fields
from misocoin.work.line import Endpoint, FramedLine

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS: Final = 5.0
"""How often the service hears that a search goes on."""

SILENT_SECONDS: Final = 90.0
"""How long the service may be silent before it counts as gone; it answers each poll sooner."""

MAX_WAIT: Final = 30.0
"""How long it is waited at most before the service is tried again, in seconds."""

MEASURED_SECONDS: Final = 0.05
"""How long a search must take for the rate to be seen from it."""

_NAMES: Final = tuple(algorithm.value for algorithm in Algorithm)


@dataclass(slots=True)
class _Session:
    """One connection and what is going on over it."""

    line: FramedLine
    answers: tuple["queue.SimpleQueue[dict[str, Any] | None]", ...]
    """For each thread what the service says to it; None at the end."""
    flags: dict[int, StopFlag] = field(default_factory=dict)
    """The searches under way, by their leases."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def open(self, message: dict[str, Any]) -> None:
        """Have a flag for new work before its thread knows of it: a stop may follow at once."""
        lease = message.get("lease")
        if message.get("status") == "work" and type(lease) is int:
            with self.lock:
                self.flags[lease] = StopFlag()

    def close_lease(self, lease: int) -> None:
        """Forget a search that has ended."""
        with self.lock:
            self.flags.pop(lease, None)

    def stop(self, lease: object) -> None:
        """Stop one search."""
        with self.lock:
            flag = self.flags.get(lease) if type(lease) is int else None
        if flag is not None:
            flag.set()

    def end(self) -> None:
        """Stop all searches and threads."""
        with self.lock:
            for flag in self.flags.values():
                flag.set()
        for answers in self.answers:
            answers.put(None)

    def leases(self) -> tuple[int, ...]:
        """Return the leases that are searched now."""
        with self.lock:
            return tuple(self.flags)


class Miner:
    """Searches for one service until `close`; comes back after the service was away."""

    def __init__(self, endpoint: Endpoint, engine: Engine, threads: int = 1) -> None:
        self.endpoint = endpoint
        """Where the service is."""
        self.found = 0
        """Nonces handed in that the service has confirmed."""
        self.tried = 0
        """Nonces searched."""
        self._engine = engine
        self._threads = threads
        self._rates = [0.0] * threads
        self._closed = threading.Event()
        self._session: _Session | None = None

    def close(self) -> None:
        """End within 50 ms; what is not searched goes to others."""
        self._closed.set()
        session = self._session
        if session is not None:
            session.line.close()
            session.end()

    def run(self) -> None:
        """Search until `close`. Raises WorkRefused where the service does not let us in."""
        wait = 1.0
        while not self._closed.is_set():
            try:
                line = FramedLine(self.endpoint)
            except WorkAway as error:
                log.warning("%s; trying again in %.0f s", error, wait)
                self._closed.wait(wait)
                wait = min(2 * wait, MAX_WAIT)
                continue
            wait = 1.0
            plural = "" if self._threads == 1 else "s"
            log.info("mining for %s with %d thread%s", self.endpoint, self._threads, plural)
            self._serve(line)

    def _serve(self, line: FramedLine) -> None:
        queues = tuple(queue.SimpleQueue[dict[str, Any] | None]() for _ in range(self._threads))
        session = _Session(line, queues)
        self._session = session
        threads = [
            threading.Thread(target=self._search, args=(session, i), name=f"miner-{i}", daemon=True)
            for i in range(self._threads)
        ]
        for thread in threads:
            thread.start()
        try:
            if not self._closed.is_set():
                self._listen(session)
        except WorkAway as error:
            if not self._closed.is_set():
                log.warning("%s", error)
        finally:
            line.close()
            session.end()
            for thread in threads:
                thread.join()
            self._session = None

    def _listen(self, session: _Session) -> None:
        heard = beaten = time.monotonic()
        while not self._closed.is_set():
            message = session.line.receive(HEARTBEAT_SECONDS)
            now = time.monotonic()
            if now - beaten >= HEARTBEAT_SECONDS:
                beaten = now
                for lease in session.leases():
                    session.line.send({"id": "beat", "method": "heartbeat", "lease": lease})
            if message is not None:
                heard = now
                self._hear(session, message)
            elif now - heard > SILENT_SECONDS:
                raise WorkAway(f"the work service at {self.endpoint} is silent")

    def _hear(self, session: _Session, message: dict[str, Any]) -> None:
        if "stop" in message:
            session.stop(message["stop"])
            return
        name = message.get("id")
        if type(name) is int and 0 <= name < self._threads:
            session.open(message)
            session.answers[name].put(message)
        elif name == "push":
            self.found += message.get("status") == "ok"
        if isinstance(error := message.get("error"), dict):
            log.warning("the service says: %s", str(error.get("message"))[:200])

    def _search(self, session: _Session, slot: int) -> None:
        results: list[dict[str, Any]] = []
        try:
            while not self._closed.is_set():
                request = {"id": slot, "method": "get_work", "algorithms": list(_NAMES)}
                session.line.send(*results, {**request, "rate": self._rates[slot]})
                results = []
                message = session.answers[slot].get()
                if message is None:
                    return
                if "error" in message:
                    self._closed.wait(1.0)
                elif message.get("status") == "work":
                    results = self._search_range(session, slot, message)
        except WorkAway:
            return  # the reading thread sees it, too, and says so
        except ParseError as error:
            log.warning("the service gives work that is none: %s", error)
            session.line.close()

    def _search_range(
        self, session: _Session, slot: int, message: dict[str, Any]
    ) -> list[dict[str, Any]]:
        """Search what the service gave; returns what to tell it."""
        puzzle = puzzle_from_fields(message)
        lease = integer_field(message, "lease", 0, 1 << 63)
        start = integer_field(message, "start", 0, puzzle.space)
        size = integer_field(message, "count", 0, puzzle.space)
        with session.lock:
            flag = session.flags.get(lease) or StopFlag()
        began = time.monotonic()
        result = self._engine.search(puzzle, start, size, flag)
        elapsed = time.monotonic() - began
        session.close_lease(lease)
        self.tried += result.tried
        if elapsed > MEASURED_SECONDS:
            self._rates[slot] = result.tried / elapsed
        if result.nonce is None and flag.is_set():
            return []
        answer: dict[str, Any] = {"id": "push", "method": "push_result", "lease": lease}
        if result.nonce is not None:
            return [{**answer, "nonce": result.nonce}]
        return [{**answer, "id": "searched"}]
