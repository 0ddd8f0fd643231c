"""The queue of purchases: each waits for permission and its turn, is bought, and is remembered."""

import logging
import secrets
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from threading import Condition, Event, Semaphore, Thread, current_thread
from typing import Any

from misocoin.errors import MisocoinError
from misocoin.http.client import HttpClient
from misocoin.http.errors import Overloaded
from misocoin.market.bids import BidType
from misocoin.market.client.activities import Activities, Activity, Stopping
from misocoin.market.client.calls import MarketCalls
from misocoin.market.client.checking import Checking
from misocoin.market.client.files import ContentStore
from misocoin.market.client.follow import Failed
from misocoin.market.client.journal import Journal
from misocoin.market.client.lots import Attempts, Lot, Means, Rules, Shunned
from misocoin.market.client.purchase import (
    Purchase,
    State,
    form_from_purchase,
    purchase_from_journal,
)
from misocoin.market.client.workers import Workers
from misocoin.market.errors import Unknown
from misocoin.market.moments import Moment
from misocoin.market.money import Money
from misocoin.market.receipts import sha256_hex

log = logging.getLogger(__name__)

MAX_OPEN = 200
"""Purchases that wait or go on; a further one is refused."""

_KIND = "purchase"
_KEPT = 200
_TURN_SECONDS = 1.0


class Purchases:
    """All purchases of this client. Threads may share it."""

    def __init__(
        self,
        calls: MarketCalls,
        http: HttpClient,
        journal: Journal,
        files: ContentStore,
        activities: Activities,
        workers: Workers,
        checking: Checking,
        rules: Rules,
        now: Callable[[], Moment],
    ) -> None:
        self._journal = journal
        self._files = files
        self._activities = activities
        self._workers = workers
        self._checking = checking
        self._now = now
        self._stopping = Event()
        attempts = Attempts(journal)
        self._means = Means(calls, http, attempts, Shunned(), rules, now, self._stopping)
        self._changed = Condition()
        self._turns = Semaphore(rules.at_once)
        self._all: OrderedDict[str, Purchase] = OrderedDict()
        self._unclaimed: dict[tuple[str, str], str] = {}
        self._threads: set[Thread] = set()

    def resume(self) -> None:
        """Take up what was open when the client ended."""
        for key, form in self._journal.all(_KIND):
            purchase = purchase_from_journal(key, form)
            self._all[key] = purchase
            if purchase.state is State.OPEN:
                # The program that wanted it is gone: it comes again with the same work.
                self._unclaimed[purchase.article, purchase.work] = key
                self._files.hold(purchase.work)
                self._begin(purchase)

    def stop(self) -> set[Thread]:
        """Leave all as it is; returns the threads that come to their end."""
        self._stopping.set()
        self._activities.stop()
        with self._changed:
            self._changed.notify_all()
        return set(self._threads)

    # -- what programs ask for ------------------------------------------------------------

    def buy(
        self,
        article: str,
        work: bytes,
        price: Money | None = None,
        sellers: int = 1,
        agree: int = 0,
    ) -> Purchase:
        """Put a purchase in the queue. Work that went on before a restart is joined.

        Raises Overloaded, TooLarge or StoreError.
        """
        name = sha256_hex(work)
        with self._changed:
            joined = self._unclaimed.pop((article, name), None)
            if joined is not None:
                return self._all[joined]
            if sum(each.state is State.OPEN for each in self._all.values()) >= MAX_OPEN:
                raise Overloaded(f"{MAX_OPEN} purchases are open already")
        self._files.put(work, held=True)
        purchase = Purchase(
            secrets.token_hex(8), article, name, self._now(), price, sellers, agree,
            secrets.token_hex(32) if agree else "",
        )  # fmt: skip
        self._keep(purchase)
        self._begin(purchase, len(work))
        return purchase

    def wait(self, key: str, seconds: float) -> Purchase:
        """A purchase once it is over, or as it stands when the time is up. Raises Stopping."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._all[key].state is not State.OPEN or self._stopping.is_set(), seconds
            )
            purchase = self._all[key]
            if purchase.state is State.OPEN and self._stopping.is_set():
                raise Stopping("the client is about to end; ask again with the same work")
            return purchase

    def find(self, key: str) -> Purchase:
        """A purchase. Raises Unknown."""
        with self._changed:
            if key not in self._all:
                raise Unknown("no such purchase")
            return self._all[key]

    def all(self) -> list[Purchase]:
        """The newest first."""
        with self._changed:
            return list(reversed(self._all.values()))

    # -- one purchase ---------------------------------------------------------------------

    def _begin(self, purchase: Purchase, size: int = 0) -> None:
        thread = Thread(target=self._run, args=(purchase.key, size), name=f"buy-{purchase.key}")
        thread.daemon = True
        self._threads.add(thread)
        thread.start()

    def _run(self, key: str, size: int) -> None:
        purchase = self._all[key]
        activity = self._activities.open(key, BidType.BUY, purchase.article, purchase.price, size)
        try:
            result = self._obtain(purchase, activity)
            name = self._files.put(result)
            self._finish(key, state=State.DONE, result=name)
            self._activities.end(activity, "done")
        except Stopping:
            with self._changed:
                self._changed.notify_all()
        except MisocoinError as error:
            log.info("purchase %s failed: %s", key, error)
            self._finish(key, state=State.FAILED, error=str(error))
            self._activities.end(activity, str(error))
        finally:
            self._threads.discard(current_thread())

    def _obtain(self, purchase: Purchase, activity: Activity) -> bytes:
        if purchase.result and (known := self._files.get(purchase.result)) is not None:
            return known
        work = self._files.get(purchase.work)
        if work is None:
            raise Failed("the work is gone from the client's store")
        checker = self._checking.checker_of(purchase.article)
        if checker is not None:
            checker(work, b"")  # raises Malformed for what is no work: nobody could do it
        if not purchase.agree:
            local = self._workers.do_here(purchase.article, work)
            if local is not None:
                return local
        price = self._activities.wait_for_permission(activity)
        if price is None:
            raise Stopping("the client is about to end")
        purchase = self._change(purchase.key, price=price)
        key = purchase.key
        lot = Lot(self._means, purchase, work, checker, lambda: self._count_failure(key))
        with self._turn(activity):
            if purchase.agree:
                return lot.vote(activity)
            return lot.deliver(activity, lambda result: self._keep_result(key, result))

    @contextmanager
    def _turn(self, activity: Activity) -> Iterator[None]:
        """Wait until this purchase may go to sellers."""
        follower = self._means.follower(activity)
        while not self._turns.acquire(timeout=_TURN_SECONDS):
            follower.rest(0)
        try:
            yield
        finally:
            self._turns.release()

    # -- bookkeeping ----------------------------------------------------------------------

    def _keep(self, purchase: Purchase) -> None:
        self._journal.change((_KIND, purchase.key, form_from_purchase(purchase)))
        with self._changed:
            self._all[purchase.key] = purchase
            over = [key for key, each in self._all.items() if each.state is not State.OPEN]
            for key in over[:-_KEPT]:
                del self._all[key]
                self._journal.change((_KIND, key, None))
            self._changed.notify_all()

    def _change(self, key: str, **fields: Any) -> Purchase:
        changed = replace(self._all[key], **fields)
        self._keep(changed)
        return changed

    def _finish(self, key: str, **fields: Any) -> None:
        purchase = self._change(key, **fields)
        self._files.release(purchase.work)

    def _count_failure(self, key: str) -> None:
        with self._changed:
            failures = self._all[key].failures + 1
        self._change(key, failures=failures)

    def _keep_result(self, key: str, result: bytes) -> None:
        """Have a result on disk before it is paid for, so that no restart buys it twice."""
        self._change(key, result=self._files.put(result))
