"""The queue of purchases: each is bought from one seller after another until a result is right."""

import logging
import secrets
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from enum import Enum
from threading import Condition, Event, Semaphore, Thread, current_thread
from time import monotonic
from typing import Any, NamedTuple

from misocoin.errors import MisocoinError
from misocoin.http.client import HttpClient
from misocoin.http.errors import Overloaded
from misocoin.market.articles import DEFAULT_ARTICLES, articles_from_text
from misocoin.market.bids import BidType, calculate_fee
from misocoin.market.checkers import CHECKERS, Checker
from misocoin.market.client.activities import Activities, Activity, Stopping
from misocoin.market.client.buying import (
    Attempt,
    Buyer,
    Delivery,
    Order,
    attempt_from_journal,
    form_from_attempt,
    place_attempt,
)
from misocoin.market.client.calls import MarketCalls, Refused
from misocoin.market.client.files import ContentStore
from misocoin.market.client.follow import Failed, Follower
from misocoin.market.client.journal import Journal
from misocoin.market.client.workers import Workers
from misocoin.market.errors import NotPaidFor, Unknown
from misocoin.market.moments import SECOND, Moment
from misocoin.market.money import Money, money_from_text, text_from_money
from misocoin.market.receipts import sha256_hex

log = logging.getLogger(__name__)

MAX_OPEN = 200
"""Purchases that wait or go on; a further one is refused."""

_KIND, _ATTEMPT = "purchase", "attempt"
_KEPT = 200
_NOT_ENOUGH = 402
_FUNDS_REST = 2.0
_SHUN_FAILED, _SHUN_LIED = 120.0, 3600.0


class State(Enum):
    """Where a purchase stands; the value is its name in the journal."""

    OPEN = "open"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Purchase:
    """A work that a program of this machine wants done."""

    key: str
    article: str
    work: str
    """SHA-256 of the work, by which the store has it."""
    created: Moment
    price: Money | None = None
    """The most that it may cost, the market's fee aside; None until it is permitted."""
    sellers: int = 1
    """How many are asked, each for the whole price."""
    agree: int = 0
    """How many of them must come to the same result; 0 for one seller's word."""
    group: str = ""
    """Name of the bids whose results are compared."""
    state: State = State.OPEN
    result: str = ""
    """SHA-256 of the result."""
    error: str = ""
    failures: int = 0
    """Sellers that were tried in vain."""


def form_from_purchase(purchase: Purchase) -> dict[str, Any]:
    """What the journal keeps of it."""
    price = purchase.price
    return {
        "article": purchase.article,
        "work": purchase.work,
        "created": purchase.created,
        "price": None if price is None else text_from_money(price),
        "sellers": purchase.sellers,
        "agree": purchase.agree,
        "group": purchase.group,
        "state": purchase.state.value,
        "result": purchase.result,
        "error": purchase.error,
        "failures": purchase.failures,
    }


def purchase_from_journal(key: str, form: Mapping[str, Any]) -> Purchase:
    """Read what the journal keeps."""
    fields = dict(form)
    price = fields.pop("price")
    state = State(fields.pop("state"))
    return Purchase(
        key=key, price=None if price is None else money_from_text(price), state=state, **fields
    )


class Rules(NamedTuple):
    """How this client buys."""

    versions: tuple[int, ...] = (2, 1)
    """Of trades; the first for which there is an offer is taken, or the first at all."""
    bond: int = 0
    """Base units put up, and asked of sellers, in version 2."""
    at_once: int = 16
    """Purchases that are in sellers' hands at the same time."""
    patience: float = 3600
    """Seconds after which a purchase is given up."""


@dataclass(slots=True)
class _Shunned:
    """Sellers that failed us or lied, and until when they are passed over."""

    until: dict[str, float] = field(default_factory=dict)
    faults: Counter[str] = field(default_factory=Counter)

    def blame(self, error: Failed) -> None:
        if error.other:
            self.faults[error.other] += 1
            base = _SHUN_LIED if error.lied else _SHUN_FAILED
            self.until[error.other] = monotonic() + base * self.faults[error.other]

    def has(self, seller: str) -> bool:
        return self.until.get(seller, 0) > monotonic()


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
        rules: Rules,
        now: Callable[[], Moment],
    ) -> None:
        self._calls = calls
        self._http = http
        self._journal = journal
        self._files = files
        self._activities = activities
        self._workers = workers
        self._rules = rules
        self._now = now
        self._stopping = Event()
        self._changed = Condition()
        self._turns = Semaphore(rules.at_once)
        self._all: OrderedDict[str, Purchase] = OrderedDict()
        self._unclaimed: dict[tuple[str, str], str] = {}
        self._attempts: dict[str, Attempt] = {}
        self._shunned = _Shunned()
        self._threads: set[Thread] = set()

    def resume(self) -> None:
        """Take up what was open when the client ended."""
        for key, form in self._journal.all(_ATTEMPT):
            self._attempts[key] = attempt_from_journal(key, form)
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
        if not purchase.agree:
            local = self._workers.do_here(purchase.article, work)
            if local is not None:
                return local
        price = self._activities.wait_for_permission(activity)
        if price is None:
            raise Stopping("the client is about to end")
        purchase = self._change(purchase.key, price=price)
        deadline = purchase.created + int(self._rules.patience * SECOND)
        lot = _Lot(self, purchase, work, deadline)
        with self._turns:
            if not purchase.agree:
                return lot.deliver(activity)
            return self._vote(purchase, lot, activity)

    def _vote(self, purchase: Purchase, lot: "_Lot", activity: Activity) -> bytes:
        """Ask several sellers until enough of them agree."""
        votes: Counter[str] = Counter()
        with ThreadPoolExecutor(purchase.sellers, f"vote-{purchase.key}") as crew:

            def ask() -> Future[tuple[Buyer, Delivery]]:
                return crew.submit(lot.fetch, activity)

            asked = {ask() for _ in range(purchase.sellers)}
            extra = purchase.sellers
            found: list[tuple[Buyer, Delivery]] = []
            while asked:
                done, asked = wait(asked, return_when=FIRST_COMPLETED)
                for each in done:
                    buyer, delivery = each.result()
                    found.append((buyer, delivery))
                    votes[sha256_hex(delivery.result)] += 1
                winner, count = votes.most_common(1)[0]
                if count < purchase.agree and not asked and extra > 0:
                    extra -= 1
                    asked.add(ask())
        if count < purchase.agree:
            raise Failed(f"only {count} of {len(found)} sellers agree")
        results = [
            delivery.result for _, delivery in found if sha256_hex(delivery.result) == winner
        ]
        for buyer, delivery in found:
            if delivery.result == results[0]:
                buyer.accept(delivery)
            else:
                # The market has counted the same votes: it refutes these by itself.
                self._shunned.blame(Failed("outvoted", delivery.trade.seller, lied=True))
        for attempt in [each for each in self._attempts.values() if each.purchase == purchase.key]:
            self.forget(attempt)
        return results[0]

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

    def count_failure(self, key: str, error: Failed) -> None:
        """Remember that a seller was tried in vain."""
        self._shunned.blame(error)
        with self._changed:
            failures = self._all[key].failures + 1
        self._change(key, failures=failures)

    def keep_result(self, key: str, result: bytes) -> None:
        """Have a result on disk before it is paid for, so that no restart buys it twice."""
        self._change(key, result=self._files.put(result))

    def remember(self, attempt: Attempt) -> None:
        """Keep a bid that goes on."""
        self._journal.change((_ATTEMPT, attempt.bid, form_from_attempt(attempt)))
        self._attempts[attempt.bid] = attempt

    def forget(self, attempt: Attempt) -> None:
        """Drop a bid that has ended."""
        self._journal.change((_ATTEMPT, attempt.bid, None))
        self._attempts.pop(attempt.bid, None)

    def take_attempt(self, purchase: str, taken: set[str]) -> Attempt | None:
        """A bid from before a restart that nobody has taken up yet."""
        with self._changed:
            for bid, attempt in self._attempts.items():
                if attempt.purchase == purchase and bid not in taken:
                    taken.add(bid)
                    return attempt
        return None

    def check_seller(self, seller: str) -> None:
        """Check that we buy from somebody now. Raises Failed.

        Who is passed over is left alone with its trade, which the market undoes after a minute.
        """
        if self._shunned.has(seller):
            raise Failed(f"{seller} has failed before")

    def is_affordable(self, order: Order) -> bool:
        """Whether the account holds enough, be it blocked for other bids now."""
        account = self._calls.account()
        price = order.price.amount
        needed = price + calculate_fee(price) + order.bond
        return account.available + account.blocked >= needed

    def version_for(self, order: Order) -> int:
        """Which version of a trade sellers offer at that price."""
        versions = self._rules.versions
        if order.agree or len(versions) == 1:
            return 2 if order.agree else versions[0]
        try:
            offered = {
                each.version
                for each in self._calls.interest()
                if each.article == order.article and each.type is BidType.SELL
                and each.best.amount <= order.price.amount
            }  # fmt: skip
        except MisocoinError:
            offered = set()
        return next((each for each in versions if each in offered), versions[0])

    @property
    def rules(self) -> Rules:
        """How this client buys."""
        return self._rules

    def follower(self, activity: Activity) -> Follower:
        """For one activity."""
        return Follower(self._calls, activity, self._stopping)

    def buyer(self, follower: Follower, attempt: Attempt) -> Buyer:
        """For one bid."""
        return Buyer(follower, self._http, attempt)

    @property
    def now(self) -> Moment:
        """The time."""
        return self._now()


class _Lot:
    """The sellers that are tried for one work."""

    def __init__(self, all_: Purchases, purchase: Purchase, work: bytes, deadline: int) -> None:
        self._purchases = all_
        self._purchase = purchase
        self._work = work
        self._deadline = deadline
        self._taken: set[str] = set()
        bond = all_.rules.bond
        price = purchase.price or Money(0)
        self._order = Order(purchase.article, price, bond, purchase.group, purchase.agree)

    def deliver(self, activity: Activity) -> bytes:
        """Buy from one after another; the result, accepted."""
        buyer, delivery = self.fetch(activity)
        self._purchases.keep_result(self._purchase.key, delivery.result)
        buyer.accept(delivery)
        self._purchases.forget(buyer.attempt)
        return delivery.result

    def fetch(self, activity: Activity) -> tuple[Buyer, Delivery]:
        """Buy from one after another until there is a result that may be right."""
        last = ""
        while self._purchases.now < self._deadline:
            try:
                return self._try(activity)
            except Failed as error:
                last = str(error)
                log.info("purchase %s: %s", self._purchase.key, error)
                activity.info = f"{error}; another seller is tried"
        raise Failed(f"nobody has done it in time{f' ({last})' if last else ''}")

    def _try(self, activity: Activity) -> tuple[Buyer, Delivery]:
        purchases, key = self._purchases, self._purchase.key
        follower = purchases.follower(activity)
        attempt = purchases.take_attempt(key, self._taken) or self._bid(follower)
        activity.bid = attempt.bid
        buyer = purchases.buyer(follower, attempt)
        try:
            trade = follower.trade_of(attempt.bid)
            purchases.check_seller(follower.now(trade).seller)
            return buyer, buyer.fetch(trade, self._work, checker_of(self._order.article))
        except Failed as error:
            if error.other:
                purchases.count_failure(key, error)
            purchases.forget(attempt)
            raise

    def _bid(self, follower: Follower) -> Attempt:
        version = self._purchases.version_for(self._order)
        while True:
            try:
                attempt = place_attempt(follower, self._purchase.key, self._order, version)
            except Refused as error:
                if error.status != _NOT_ENOUGH:
                    raise
                if not self._purchases.is_affordable(self._order):
                    raise NotPaidFor(str(error)) from None
                follower.activity.info = "waits for money that other bids hold"
                follower.rest(_FUNDS_REST)
                if self._purchases.now >= self._deadline:
                    raise Failed(str(error)) from None
                continue
            self._taken.add(attempt.bid)
            self._purchases.remember(attempt)
            return attempt


def checker_of(article: str) -> Checker | None:
    """What tells whether a result is right; None where nothing but a comparison can."""
    entry = articles_from_text(DEFAULT_ARTICLES).find(article)
    return CHECKERS[entry.checker] if entry is not None and entry.checker else None
