"""`work buy`: has the market search what the miners of a work service do not get to.

To the service this is a miner. Each job is leased over a connection of its own, so that hanging up
gives it back; its work is bought through the market's client of this machine.
"""

import json
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, NamedTuple, Protocol
from urllib.parse import quote, urlencode

from misocoin.errors import MisocoinError, ParseError
from misocoin.http.client import Bounds, HttpClient, HttpResponse
from misocoin.http.errors import HttpError
from misocoin.market.errors import Malformed
from misocoin.market.money import Money, text_from_money
from misocoin.market.pow_work import (
    SoldPuzzle,
    article_of,
    nonce_from_result,
    work_from_puzzle,
)
from misocoin.pow.puzzles import HeaderPuzzle
from misocoin.work.errors import WorkAway, WorkRefused
from misocoin.work.jobs import Algorithm, integer_field, puzzle_from_fields

log = logging.getLogger(__name__)

BOUGHT: Final = (Algorithm.BITMESSAGE, Algorithm.HASHCASH)
"""What the market sells solutions of."""

ROUND_SECONDS: Final = 0.5
"""How often service and market are asked how things stand."""

HEARTBEAT_SECONDS: Final = 4.0
"""How often the service hears that a job is still wanted; it takes one back after 15 s."""

ANSWER_SECONDS: Final = 5.0
"""How long the service may take to answer."""

PAUSE_SECONDS: Final = 10.0
"""How long nothing is bought after a failure."""

KEPT_SECONDS: Final = 600.0
"""How long a purchase is remembered whose job was taken back; the job may be leased again."""

WHOLE_JOB: Final = 1e15
"""The rate that is claimed, in nonces a second: a purchase is of the whole job, not of a part."""

_BOUNDS: Final = Bounds(connect_seconds=2, read_seconds=4, total_seconds=5, body=10_000)


class Backlog:
    """Tells from a service's figures how many of its jobs have waited for so long.

    Of the jobs open `after` seconds ago no more can have ended than jobs have ended since in all:
    the rest is open still.
    """

    def __init__(self, after: float) -> None:
        """`after` is in seconds."""
        self._after = after
        self._seen: deque[tuple[float, int, int]] = deque()

    def waited(self, now: float, jobs: int, ended: int) -> int:
        """How many jobs, at least, have waited; `jobs` are open, `ended` since the start."""
        self._seen.append((now, jobs, ended))
        while len(self._seen) > 1 and now - self._seen[1][0] >= self._after:
            self._seen.popleft()
        then, jobs_then, ended_then = self._seen[0]
        if ended < ended_then:  # the service was started anew
            self._seen.clear()
            return 0
        if now - then < self._after:
            return 0
        return max(0, min(jobs, jobs_then - (ended - ended_then)))


class Progress(Enum):
    """How a purchase stands when it has no result."""

    OPEN = "open"
    FAILED = "failed"


class Line(Protocol):
    """A connection to the service, as `FramedLine`. All raise WorkAway."""

    def send(self, *messages: dict[str, Any]) -> None:
        """Send messages."""

    def receive(self, seconds: float) -> dict[str, Any] | None:
        """Return the next message, or None when none came in that time."""

    def close(self) -> None:
        """Hang up."""


class Shop(Protocol):
    """Where work is bought. Both raise HttpError where it is away or refuses."""

    def order(self, puzzle: SoldPuzzle) -> str:
        """Order a search; its key."""

    def look(self, key: str, puzzle: SoldPuzzle) -> int | Progress:
        """The nonce that was bought, which may be wrong, or how the purchase stands."""


class MarketShop:
    """The market's client, by HTTP."""

    def __init__(self, url: str, price: Money) -> None:
        """`price` is paid for each job at most, and the fee on top."""
        self._url = url
        self._query = urlencode({"price": text_from_money(price)})
        self._http = HttpClient(_BOUNDS)

    def order(self, puzzle: SoldPuzzle) -> str:
        """Order a search; its key."""
        url = f"{self._url}/buy/{article_of(puzzle)}?{self._query}"
        answer = self._http.post(url, work_from_puzzle(puzzle), {"Prefer": "respond-async"})
        return _text(_object(answer, 202), "Key")

    def look(self, key: str, puzzle: SoldPuzzle) -> int | Progress:
        """The nonce that was bought, which may be wrong, or how the purchase stands."""
        answer = self._http.get(f"{self._url}/purchase/{quote(key, safe='')}")
        if answer.status == 404:
            return Progress.FAILED
        told = _object(answer, 200)
        match told.get("State"):
            case "OPEN":
                return Progress.OPEN
            case "DONE":
                name = quote(_text(told, "Result"), safe="")
                try:
                    file = self._http.get(f"{self._url}/file/{name}")
                    return nonce_from_result(puzzle, file.body)
                except Malformed:
                    return Progress.FAILED
        log.warning("purchase %s: %s", key, str(told.get("Error"))[:200])
        return Progress.FAILED

    def close(self) -> None:
        """Close all connections."""
        self._http.close()


def _object(answer: HttpResponse, status: int) -> dict[str, Any]:
    if answer.status != status:
        why = answer.body[:200].decode("utf-8", "replace").strip()
        raise HttpError(f"the market's client refuses: {why or answer.status}")
    try:
        told = json.loads(answer.body)
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        raise HttpError("what answers is no client of the market")
    return told


def _text(told: dict[str, Any], name: str) -> str:
    if not isinstance(text := told.get(name), str):
        raise HttpError("what answers is no client of the market")
    return text


class _Figures(NamedTuple):
    """What the service says about itself."""

    jobs: int
    ended: int
    idle: int


@dataclass(slots=True)
class _Held:
    """A job that is leased."""

    line: Line
    lease: int
    beaten: float


@dataclass(slots=True)
class _Purchase:
    """What was ordered, and the job it is for while that is leased."""

    key: str
    ordered: float
    held: _Held | None = None
    nonce: int | None = None
    """What was bought, once it is here and wins."""


class Buyer:
    """Goes between a service and a shop: `step` again and again, then `close`."""

    def __init__(
        self,
        connect: Callable[[], Line],
        shop: Shop,
        after: float,
        at_once: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`connect` raises WorkAway; at most `at_once` purchases are open."""
        self.delivered = 0
        """Nonces that were bought and handed in."""
        self._connect = connect
        self._shop = shop
        self._after = after
        self._backlog = Backlog(after)
        self._at_once = at_once
        self._clock = clock
        self._watch: Line | None = None
        self._purchases: dict[SoldPuzzle, _Purchase] = {}
        self._paused_until = 0.0

    def step(self) -> None:
        """Look after all purchases and make another where jobs have waited.

        Raises WorkRefused where the service does not let us in.
        """
        for puzzle, purchase in tuple(self._purchases.items()):
            self._look_after(puzzle, purchase)
        try:
            figures = self._figures()
        except WorkRefused:
            raise
        except MisocoinError as error:
            self._drop_watch()
            self._backlog = Backlog(self._after)
            self._pause(error)
            return
        now = self._clock()
        waited = self._backlog.waited(now, figures.jobs, figures.ended)
        held = sum(purchase.held is not None for purchase in self._purchases.values())
        is_of_use = self._has_room or held < len(self._purchases)
        if waited > held and is_of_use and not figures.idle and now >= self._paused_until:
            try:
                self._take()
            except WorkRefused:
                raise
            except MisocoinError as error:
                self._pause(error)

    def close(self) -> None:
        """Give all jobs back."""
        self._drop_watch()
        for purchase in self._purchases.values():
            _let_go(purchase)

    @property
    def _has_room(self) -> bool:
        """Whether another purchase may be opened."""
        return sum(each.nonce is None for each in self._purchases.values()) < self._at_once

    def _pause(self, error: MisocoinError) -> None:
        now = self._clock()
        if now >= self._paused_until:
            log.warning("%s", error)
            self._paused_until = now + PAUSE_SECONDS

    def _drop_watch(self) -> None:
        if self._watch is not None:
            self._watch.close()
            self._watch = None

    def _figures(self) -> _Figures:
        if self._watch is None:
            self._watch = self._connect()
        told = _ask(self._watch, {"id": 1, "method": "stats"})
        jobs, idle, solved, failed = (
            integer_field(told, name, 0, 1 << 63) for name in ("jobs", "idle", "solved", "failed")
        )
        return _Figures(jobs, solved + failed, idle)

    def _take(self) -> None:
        """Lease a job and order its search, or go on with what was ordered for it before."""
        line = self._connect()
        try:
            kinds = [kind.value for kind in BOUGHT]
            told = _ask(
                line,
                {"id": 1, "method": "get_work", "wait": 0, "rate": WHOLE_JOB, "algorithms": kinds},
            )
            if told.get("status") != "work":
                line.close()
                return
            puzzle, lease = _leased(told)
            purchase = self._purchases.get(puzzle)
            if purchase is None and self._has_room:
                purchase = _Purchase(self._shop.order(puzzle), self._clock())
                self._purchases[puzzle] = purchase
                log.info("purchase %s: ordered", purchase.key)
        except BaseException:
            line.close()
            raise
        if purchase is None or purchase.held is not None:
            line.close()
            self._paused_until = self._clock() + PAUSE_SECONDS  # else it is leased to us again
        else:
            purchase.held = _Held(line, lease, self._clock())

    def _look_after(self, puzzle: SoldPuzzle, purchase: _Purchase) -> None:
        try:
            if purchase.held is not None and not _keep(purchase.held, self._clock()):
                _let_go(purchase)
            if purchase.nonce is None:
                self._see(puzzle, purchase)
            if purchase.held is not None and purchase.nonce is not None:
                self._push(purchase.key, purchase.held, purchase.nonce)
                self._forget(puzzle, purchase)
        except (WorkAway, HttpError, ParseError) as error:
            self._pause(error)
            _let_go(purchase)
        if purchase.held is None and self._clock() - purchase.ordered > KEPT_SECONDS:
            self._forget(puzzle, purchase)

    def _see(self, puzzle: SoldPuzzle, purchase: _Purchase) -> None:
        """Ask how a purchase stands; one that brings nothing is forgotten."""
        found = self._shop.look(purchase.key, puzzle)
        if found is Progress.OPEN:
            return
        if isinstance(found, int) and puzzle.is_solution(found):
            purchase.nonce = found
            return
        self._forget(puzzle, purchase)
        self._pause(MisocoinError(f"purchase {purchase.key} has brought nothing"))

    def _push(self, key: str, held: _Held, nonce: int) -> None:
        push = {"id": 2, "method": "push_result", "lease": held.lease, "nonce": nonce}
        if _ask(held.line, push).get("status") == "ok":
            self.delivered += 1
            log.info("purchase %s: delivered", key)
        else:
            log.info("purchase %s: the job has ended before", key)

    def _forget(self, puzzle: SoldPuzzle, purchase: _Purchase) -> None:
        _let_go(purchase)
        self._purchases.pop(puzzle, None)


def _leased(told: dict[str, Any]) -> tuple[SoldPuzzle, int]:
    """Read work that the service gives. Raises ParseError."""
    puzzle = puzzle_from_fields(told)
    if isinstance(puzzle, HeaderPuzzle):
        raise ParseError("the service gives work that was not asked for")
    return puzzle, integer_field(told, "lease", 0, 1 << 63)


def _let_go(purchase: _Purchase) -> None:
    """Give the job back, if it is held: whoever hangs up has nothing any more."""
    if purchase.held is not None:
        purchase.held.line.close()
        purchase.held = None


def _keep(held: _Held, now: float) -> bool:
    """Tell the service that the job is wanted; False where it has taken it back."""
    if now - held.beaten >= HEARTBEAT_SECONDS:
        held.beaten = now
        held.line.send({"id": "beat", "method": "heartbeat", "lease": held.lease})
    while (message := held.line.receive(0.0)) is not None:
        if message.get("stop") == held.lease or message.get("status") == "late":
            return False
    return True


def _ask(line: Line, request: dict[str, Any]) -> dict[str, Any]:
    """Ask one thing; raises WorkAway where no answer comes, or an error."""
    line.send(request)
    deadline = time.monotonic() + ANSWER_SECONDS
    while (message := line.receive(deadline - time.monotonic())) is not None:
        if message.get("id") != request["id"]:
            continue
        if isinstance(error := message.get("error"), dict):
            raise WorkAway(f"the work service says: {str(error.get('message'))[:200]}")
        return message
    raise WorkAway("the work service does not answer")
