"""The client: hand a puzzle to the service and wait, or search it here when the service is away.

>>> WorkClient("localhost", 7040).do_pow(initial_hash, target)  # doctest: +SKIP
BitmessageAnswer(nonce=1302572, trial_value=799892720325)
"""

import ssl
import threading
import time
from collections.abc import Callable
from secrets import token_hex
from typing import Any, Final, NamedTuple

from misocoin.errors import ParseError
from misocoin.hashcash.stamp import date_from_time, mint_stamp, stamp_puzzle
from misocoin.pow.engine import StopFlag
from misocoin.pow.engines import select_engine
from misocoin.pow.puzzles import BitmessagePuzzle, Puzzle
from misocoin.pow.search import search_threads
from misocoin.units import UnixTime
from misocoin.work.errors import WorkAway, WorkLiar, WorkRefused, WorkTimeout
from misocoin.work.jobs import fields_from_puzzle
from misocoin.work.line import Endpoint, FramedLine
from misocoin.work.requests import MAX_DEADLINE

RETRIES: Final = 5
"""How often a connection that broke is made anew before the service counts as away."""

RETRY_SECONDS: Final = 0.5
"""How long it is waited before the first retry; each later one waits twice as long."""

MAX_STAMP_BITS: Final = 28
"""The dearest stamp that a client makes: seconds to minutes of one core."""

TRANSIENT: Final = frozenset({"busy", "overloaded", "unavailable"})
"""Refusals that say nothing about the job: the service cannot take it now."""

ProgressListener = Callable[[int, int], None]
"""Hears how many hashes were tried and how many are to be expected."""


class BitmessageAnswer(NamedTuple):
    """A Bitmessage proof of work."""

    nonce: int
    trial_value: int


class WorkClient:
    """Asks one service; each call has a connection of its own, so threads may share a client."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        token: str = "",
        tls: ssl.SSLContext | None = None,
        seconds: float | None = None,
        fallback: bool = True,
        threads: int = 1,
        engine: str = "auto",
        away: Callable[[WorkAway], None] | None = None,
    ) -> None:
        """Take where the service is.

        `seconds` limits each call. With `fallback` a puzzle is searched on this machine, with so
        many threads of that engine, while the service is away; `away` hears why, before.
        """
        self.endpoint = Endpoint(host, port, token, tls)
        """Where the service is."""
        self._seconds = seconds
        self._fallback = fallback
        self._threads = threads
        self._engine = engine
        self._away = away

    def do_pow(self, initial_hash: bytes, target: int) -> BitmessageAnswer:
        """Solve a Bitmessage puzzle: 64 bytes, and the largest trial value that wins.

        Raises what `solve` raises, and ParseError for values outside their range.
        """
        puzzle = BitmessagePuzzle(initial_hash, target)
        nonce = self.solve(puzzle)
        return BitmessageAnswer(nonce, puzzle.trial_value(nonce))

    def solve(self, puzzle: Puzzle, progress: ProgressListener | None = None) -> int:
        """Return a nonce that wins; it was checked here, too.

        Raises WorkAway without a service (or a fallback), WorkRefused where the service refuses,
        and WorkTimeout at the end of the time limit, when the job is cancelled.
        """
        deadline = None if self._seconds is None else time.monotonic() + self._seconds
        wait = RETRY_SECONDS
        was_reached = False
        for attempt in range(RETRIES + 1):
            line = None
            try:
                line = FramedLine(self.endpoint)
                was_reached = True
                stamp = self._stamp(line.stamp_terms)
                return _ask(line, puzzle, stamp, deadline, progress)
            except WorkAway as error:
                # One that was there a moment ago is perhaps being started again.
                is_last = not was_reached or attempt == RETRIES or isinstance(error, WorkLiar)
                if is_last and not self._fallback:
                    raise
                if is_last:
                    if self._away is not None:
                        self._away(error)
                    break
            finally:
                if line is not None:
                    line.close()
            _sleep(wait, deadline)
            wait *= 2
        return self._search_here(puzzle, deadline)

    def _stamp(self, terms: dict[str, Any] | None) -> str:
        """Make the stamp that the service asks for."""
        if terms is None:
            return ""
        bits, resource = terms.get("bits"), terms.get("resource")
        if type(bits) is not int or type(resource) is not str or not 0 <= bits <= MAX_STAMP_BITS:
            raise WorkRefused("unauthorized", "the service asks for a stamp that is too dear")
        date = date_from_time(UnixTime(int(time.time())), 12)
        try:
            puzzle = stamp_puzzle(resource, bits, date, token_hex(8))
        except ParseError as error:
            raise WorkRefused(
                "unauthorized", f"the service asks for an odd stamp: {error}"
            ) from None
        stamp = mint_stamp(puzzle, select_engine(self._engine), self._threads)
        return "" if stamp is None else stamp.text

    def _search_here(self, puzzle: Puzzle, deadline: float | None) -> int:
        stop = StopFlag()
        timer = None
        if deadline is not None:
            timer = threading.Timer(max(deadline - time.monotonic(), 0.0), stop.set)
            timer.daemon = True
            timer.start()
        try:
            engine = select_engine(self._engine)
            nonce = search_threads(engine, puzzle, self._threads, stop).nonce
        finally:
            if timer is not None:
                timer.cancel()
        if nonce is None:
            if stop.is_set():
                raise WorkTimeout("the time limit is over")
            raise WorkRefused("exhausted", "every nonce was searched, and none wins")
        return nonce


def _sleep(seconds: float, deadline: float | None) -> None:
    """Wait before another attempt; raises WorkTimeout where there is no time for one."""
    if deadline is not None and time.monotonic() + seconds >= deadline:
        raise WorkTimeout("the time limit is over")
    time.sleep(seconds)


def _ask(
    line: FramedLine,
    puzzle: Puzzle,
    stamp: str,
    deadline: float | None,
    progress: ProgressListener | None,
) -> int:
    request: dict[str, Any] = {"id": 1, "method": "do_pow", **fields_from_puzzle(puzzle)}
    request["progress"] = progress is not None
    if stamp:
        request["stamp"] = stamp
    if deadline is not None:
        left = max(deadline - time.monotonic(), 0.0)
        request["deadline"] = min(left, MAX_DEADLINE)
    line.send(request)
    job = None
    while True:
        left = 3600.0 if deadline is None else deadline - time.monotonic()
        message = line.receive(left) if left > 0 else None
        if message is None:
            if deadline is None:
                continue
            if job is not None:
                line.send({"id": 2, "method": "cancel", "job": job})
            raise WorkTimeout("the time limit is over")
        if message.get("id") != 1:
            continue
        if isinstance(error := message.get("error"), dict):
            raise _refusal(error)
        match message.get("status"):
            case "accepted":
                job = message.get("job")
            case "progress" if progress is not None:
                tried, expected = message.get("tried"), message.get("expected")
                if type(tried) is int and type(expected) is int:
                    progress(tried, expected)
            case "done":
                nonce = message.get("nonce")
                if type(nonce) is not int or not 0 <= nonce < puzzle.space:
                    raise WorkLiar("the service's answer has no nonce")
                if not puzzle.is_solution(nonce):
                    raise WorkLiar("the service's answer is wrong")
                return nonce


def _refusal(error: dict[str, Any]) -> WorkAway | WorkRefused | WorkTimeout:
    code, message = str(error.get("code"))[:40], str(error.get("message"))[:200]
    if code in TRANSIENT:
        return WorkAway(f"the service cannot take the job now: {message}")
    if code == "deadline":
        return WorkTimeout(message)
    return WorkRefused(code, message)


def fetch_stats(endpoint: Endpoint) -> dict[str, Any]:
    """Return how a service is. Raises WorkAway and WorkRefused."""
    line = FramedLine(endpoint)
    try:
        line.send({"id": 1, "method": "stats"})
        answer = line.receive(10.0)
    finally:
        line.close()
    if answer is None or answer.get("status") != "ok":
        raise WorkAway(f"the work service at {endpoint} does not tell")
    return {name: value for name, value in answer.items() if name not in ("id", "status")}
