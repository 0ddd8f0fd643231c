"""The worker programs of this machine, and the sales that keep them busy.

A worker registers with an address to which work is pushed. While it is idle its next sale is an
activity like a purchase: it waits for a mandate, then its bid waits for a buyer. A worker is asked
for one work at a time, and must register again after each.
"""

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Condition, Event, Thread
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from misocoin.errors import MisocoinError
from misocoin.http.client import Bounds, HttpClient
from misocoin.http.errors import HttpError
from misocoin.market.bids import BidType, Versions
from misocoin.market.client.activities import Activities, Activity, Stopping
from misocoin.market.client.calls import MarketCalls
from misocoin.market.client.doors import Doors
from misocoin.market.client.follow import Cancelled, Expired, Failed, Follower
from misocoin.market.client.journal import Journal
from misocoin.market.client.placing import (
    Offer,
    Sale,
    form_from_bid,
    place_sale,
    sale_from_journal,
)
from misocoin.market.client.selling import Seller
from misocoin.market.errors import Malformed, MarketError, NotAllowed, TooLarge, Unknown
from misocoin.market.moments import Moment
from misocoin.market.money import Money

log = logging.getLogger(__name__)

MAX_WORKERS = 64
"""Workers that may be registered."""

MAX_RESULT = 1 << 24
"""Bytes of a result."""

_WORKER, _SALE = "worker", "sale"
_LONGEST = 3600.0
_MUST_COME_AGAIN = frozenset({200, 500})
_LOOK_SECONDS = 5
_REST_AFTER_FAILURE = 5.0


class SellRules(NamedTuple):
    """How this client sells."""

    versions: Versions = Versions.BOTH
    """Of trades that will do; old ones only where buyers reach us."""
    bond: int = 0
    """The most base units that a buyer may ask to be put up."""
    agree: int = 0
    """How many sellers may outvote us at least; 0: our results are compared with nobody's."""


@dataclass(slots=True)
class Worker:
    """A program that does work."""

    id: str
    article: str
    push_url: str
    idle: bool = True
    gone: bool = False
    last_error: str = ""
    doing: str = ""
    """What keeps it from new work, in words."""
    activity: str = ""
    """Key of its latest sale."""
    lent: bool = False
    """Whether a purchase of this machine has it."""
    registered: int = 0
    """How often it came."""
    done: int = 0
    thread: Thread | None = field(default=None, repr=False)

    def to_json(self) -> dict[str, Any]:
        """As BitWrk's client tells it."""
        return {
            "LastError": self.last_error or None,
            "Info": {
                "Id": self.id,
                "Article": self.article,
                "Method": "http-push",
                "PushURL": self.push_url,
            },
            "Idle": self.idle,
            "Unregistered": self.gone,
            "Blockers": [self.doing] if self.doing else [],
        }


class Workers:
    """All workers of this client. Threads may share it."""

    def __init__(
        self,
        calls: MarketCalls,
        http: HttpClient,
        journal: Journal,
        activities: Activities,
        doors: Doors,
        rules: SellRules,
        base_url: Callable[[], str],
        now: Callable[[], Moment],
    ) -> None:
        """`base_url` tells where buyers reach our doors; empty where they cannot."""
        self._calls = calls
        self._http = http
        self._journal = journal
        self._activities = activities
        self._doors = doors
        self._rules = rules
        self._base_url = base_url
        self._now = now
        self._changed = Condition()
        self._stopping = Event()
        self._workers: dict[str, Worker] = {}
        self._numbers = 0

    def resume(self) -> None:
        """Take up the workers and sales of the time before a restart."""
        for key, form in self._journal.all(_WORKER):
            try:
                self.register(key, form["article"], form["push_url"])
            except MarketError as error:
                log.warning("worker %s is left out: %s", key, error)

    def stop(self) -> set[Thread]:
        """Leave all as it is; returns the threads that come to their end."""
        self._stopping.set()
        with self._changed:
            self._changed.notify_all()
            return {each.thread for each in self._workers.values() if each.thread}

    # -- what workers say -----------------------------------------------------------------

    def register(self, worker_id: str, article: str, push_url: str) -> None:
        """Take a worker on, or hear that it is idle. Raises Malformed, TooLarge."""
        _check_worker(worker_id, article, push_url)
        with self._changed:
            worker = self._workers.get(worker_id)
            if worker is None:
                if len(self._workers) >= MAX_WORKERS:
                    raise TooLarge(f"{MAX_WORKERS} workers are registered already")
                worker = Worker(worker_id, article, push_url)
                self._workers[worker_id] = worker
                form = {"article": article, "push_url": push_url}
                self._journal.change((_WORKER, worker_id, form))
            elif (worker.article, worker.push_url) != (article, push_url):
                raise Malformed("another worker has that id")
            worker.idle, worker.gone = True, False
            worker.registered += 1
            if worker.thread is None:
                worker.thread = Thread(
                    target=self._run, args=(worker,), name=f"sell-{worker_id}", daemon=True
                )
                worker.thread.start()
            self._changed.notify_all()

    def unregister(self, worker_id: str) -> None:
        """Let a worker go: what it does now is still sold, what it offers is not.

        Raises Unknown.
        """
        with self._changed:
            worker = self._workers.get(worker_id)
            if worker is None:
                raise Unknown("no such worker")
            worker.gone = True
            self._journal.change((_WORKER, worker_id, None))
            self._changed.notify_all()
        self._activities.wake()
        with suppress(MisocoinError):
            self._activities.cancel(worker.activity, self._calls.cancel)

    def all(self) -> list[Worker]:
        """In the order in which they came."""
        with self._changed:
            return list(self._workers.values())

    # -- work of our own ------------------------------------------------------------------

    def do_here(self, article: str, work: bytes) -> bytes | None:
        """Have an idle worker whose sale is not published do it, for nothing; None if none can."""
        with self._changed:
            worker = next(
                (each for each in self._workers.values() if _is_free(each, article)), None
            )
            if worker is None:
                return None
            worker.lent = True
        self._activities.wake()
        try:
            return self._push(worker, work, _LONGEST)
        except Failed:
            return None
        finally:
            with self._changed:
                worker.lent = False
                self._changed.notify_all()

    # -- sales ----------------------------------------------------------------------------

    def _run(self, worker: Worker) -> None:
        for bid, form in self._journal.all(_SALE):
            if form["worker"] == worker.id:
                self._sell(worker, sale_from_journal(bid, form))
        while not self._stopping.is_set():
            with self._changed:
                self._changed.wait_for(
                    lambda: (
                        worker.gone or self._stopping.is_set() or (worker.idle and not worker.lent)
                    )
                )
                if worker.gone:
                    worker.thread = None
                    self._workers.pop(worker.id, None)
                    return
            if not self._stopping.is_set():
                self._sell(worker, None)

    def _sell(self, worker: Worker, sale: Sale | None) -> None:
        """Offer one work and do it, or go on with a sale from before a restart."""
        self._numbers += 1
        key = f"{worker.id}-{self._numbers}"
        price = None if sale is None else Money(0)
        worker.doing = "Waiting for permission" if sale is None else ""
        activity = self._activities.open(key, BidType.SELL, worker.article, price)
        worker.activity = key
        try:
            if sale is None:
                granted = self._activities.wait_for_permission(
                    activity, lambda: worker.gone or worker.lent
                )
                if granted is None:
                    self._activities.end(activity, "the worker is away")
                    return
                self._offer_until_sold(worker, activity, granted)
            else:
                self._serve(worker, activity, sale)
            self._activities.end(activity, "done")
        except Stopping:
            return
        except (NotAllowed, Cancelled) as error:
            worker.idle, worker.last_error = False, str(error)
            self._activities.end(activity, str(error))
        except MisocoinError as error:
            log.info("sale %s failed: %s", key, error)
            worker.last_error = str(error)
            self._activities.end(activity, str(error))
            if not isinstance(error, Failed):
                self._stopping.wait(_REST_AFTER_FAILURE)
        finally:
            worker.doing = ""

    def _offer_until_sold(self, worker: Worker, activity: Activity, price: Money) -> None:
        """Bid anew where a bid has expired: permission is for a trade, not for a bid."""
        while not worker.gone:
            worker.doing = "On offer"
            try:
                self._serve(worker, activity, self._offer(worker, activity, price))
            except Expired:
                continue
            return

    def _offer(self, worker: Worker, activity: Activity, price: Money) -> Sale:
        rules, versions = self._rules, self._rules.versions
        if not self._base_url():
            versions &= Versions.NEW
        if not versions:
            raise Failed("version 1 needs a port that buyers reach (-extport)")
        offer = Offer(BidType.SELL, worker.article, price, rules.bond, agree=rules.agree)
        follower = Follower(self._calls, activity, self._stopping)
        sale = place_sale(follower, worker.id, offer, versions)
        self._journal.change((_SALE, sale.bid, form_from_bid(sale)))
        return sale

    def _serve(self, worker: Worker, activity: Activity, sale: Sale) -> None:
        follower = Follower(self._calls, activity, self._stopping)
        try:
            trade = follower.trade_of(sale.bid)
            worker.doing = "At work"
            seller = Seller(follower, self._http, sale, self._doors, self._base_url(), self._now)
            seller.serve(trade, lambda work, seconds: self._push(worker, work, seconds))
            worker.done += 1
        except Stopping:
            raise
        except Cancelled:
            with suppress(MisocoinError):
                self._calls.cancel(sale.bid)
            self._journal.change((_SALE, sale.bid, None))
            raise
        except BaseException:
            self._journal.change((_SALE, sale.bid, None))
            raise
        self._journal.change((_SALE, sale.bid, None))

    def _push(self, worker: Worker, work: bytes, seconds: float) -> bytes:
        """Hand work to a worker; its result. Raises Failed."""
        came = worker.registered
        worker.idle = False
        bounds = Bounds(5, max(seconds, 1), max(seconds, 1), MAX_RESULT)
        headers = {"Content-Type": "application/octet-stream"}
        try:
            response = self._http.post(worker.push_url, work, headers, bounds)
        except HttpError as error:
            worker.idle, worker.last_error = True, str(error)
            raise Failed(f"the worker gives no answer: {error}") from None
        with self._changed:
            # It may have come again before we saw its answer.
            worker.idle = worker.registered != came or response.status not in _MUST_COME_AGAIN
        if response.status != 200:
            text = response.body[:200].decode("utf-8", "replace").strip()
            worker.last_error = f"{response.status} {text}"
            raise Failed(f"the worker cannot do it: {worker.last_error}")
        worker.last_error = ""
        return response.body


def _is_free(worker: Worker, article: str) -> bool:
    waits = worker.doing in ("", "Waiting for permission")
    return worker.article == article and worker.idle and waits and not (worker.gone or worker.lent)


def _check_worker(worker_id: str, article: str, push_url: str) -> None:
    if not 0 < len(worker_id) <= 100 or not worker_id.isprintable():
        raise Malformed("a worker's id has 1 to 100 characters")
    if not 0 < len(article) <= 120 or not article.isprintable():
        raise Malformed("a worker's article has 1 to 120 characters")
    try:
        parts = urlsplit(push_url)
        is_whole = parts.scheme == "http" and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_whole = False
    if not is_whole or len(push_url) > 300:
        raise Malformed("pushurl is no address of HTTP")
