"""The sellers that are tried for one work, one after another or several at once."""

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from threading import Event, Lock
from time import monotonic
from typing import NamedTuple

from misocoin.errors import MisocoinError
from misocoin.http.client import HttpClient
from misocoin.market.bids import BidType, Versions, calculate_fee
from misocoin.market.checkers import Checker
from misocoin.market.client.activities import Activity
from misocoin.market.client.buying import Buyer, Delivery
from misocoin.market.client.calls import MarketCalls, Refused
from misocoin.market.client.follow import Cancelled, Expired, Failed, Follower
from misocoin.market.client.journal import Journal
from misocoin.market.client.placing import (
    Attempt,
    Offer,
    attempt_from_journal,
    form_from_bid,
    place_attempt,
)
from misocoin.market.client.purchase import Purchase
from misocoin.market.errors import NotPaidFor
from misocoin.market.moments import SECOND, Moment
from misocoin.market.money import Money
from misocoin.market.receipts import sha256_hex

log = logging.getLogger(__name__)

_ATTEMPT = "attempt"
_NOT_ENOUGH = 402
_FUNDS_REST = 2.0
_SHUN_FAILED, _SHUN_LIED = 120.0, 3600.0


class Rules(NamedTuple):
    """How this client buys."""

    versions: Versions = Versions.BOTH
    """Of trades that will do."""
    bond: int = 0
    """Base units put up, and asked of sellers; where there are any only version 2 will do."""
    at_once: int = 16
    """Purchases that are in sellers' hands at the same time."""
    patience: float = 3600
    """Seconds after which a purchase is given up."""
    silence: float = 20
    """Seconds without a sign of life after which a seller behind the relay is given up."""


@dataclass(slots=True)
class Shunned:
    """Sellers that failed us or lied, and until when they are passed over."""

    until: dict[str, float] = field(default_factory=dict)
    faults: Counter[str] = field(default_factory=Counter)

    def blame(self, error: Failed) -> None:
        """Remember whose fault a failure was, each time for longer."""
        if error.other:
            self.faults[error.other] += 1
            base = _SHUN_LIED if error.lied else _SHUN_FAILED
            self.until[error.other] = monotonic() + base * self.faults[error.other]

    def check(self, seller: str) -> None:
        """Check that we buy from somebody now. Raises Failed.

        Who is passed over is left alone with its trade, which the market undoes after a minute.
        """
        if self.until.get(seller, 0) > monotonic():
            raise Failed(f"{seller} has failed before")


class Attempts:
    """Our bids to buy that have not ended, on disk. Threads may share it."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._lock = Lock()
        self._all = {key: attempt_from_journal(key, form) for key, form in journal.all(_ATTEMPT)}
        self._resumed = set(self._all)

    def keep(self, attempt: Attempt) -> None:
        """Remember a bid."""
        self._journal.change((_ATTEMPT, attempt.bid, form_from_bid(attempt)))
        with self._lock:
            self._all[attempt.bid] = attempt

    def forget(self, attempt: Attempt) -> None:
        """Drop a bid that has ended."""
        self._journal.change((_ATTEMPT, attempt.bid, None))
        with self._lock:
            self._all.pop(attempt.bid, None)

    def forget_all(self, purchase: str) -> None:
        """Drop all bids of a purchase."""
        with self._lock:
            found = [each for each in self._all.values() if each.purchase == purchase]
        for attempt in found:
            self.forget(attempt)

    def take(self, purchase: str) -> Attempt | None:
        """A bid of a purchase from before a restart, once; None where there is none left."""
        with self._lock:
            for bid in self._resumed & set(self._all):
                if self._all[bid].purchase == purchase:
                    self._resumed.discard(bid)
                    return self._all[bid]
        return None


class Means(NamedTuple):
    """What it takes to buy."""

    calls: MarketCalls
    http: HttpClient
    attempts: Attempts
    shunned: Shunned
    rules: Rules
    now: Callable[[], Moment]
    stopping: Event

    def follower(self, activity: Activity) -> Follower:
        """For one activity."""
        return Follower(self.calls, activity, self.stopping)


class Lot:
    """Buys one work."""

    def __init__(
        self,
        means: Means,
        purchase: Purchase,
        work: bytes,
        checker: Checker | None,
        count_failure: Callable[[], None],
    ) -> None:
        """`count_failure` is called for each seller that was tried in vain."""
        self._means = means
        self._purchase = purchase
        self._work = work
        self._checker = checker
        self._count_failure = count_failure
        self._deadline = purchase.created + int(means.rules.patience * SECOND)
        price, bond = purchase.price or Money(0), means.rules.bond
        self._offer = Offer(
            BidType.BUY, purchase.article, price, bond, purchase.group, purchase.agree
        )

    def deliver(self, activity: Activity, keep_result: Callable[[bytes], None]) -> bytes:
        """Buy from one after another; the result, accepted after it was kept."""
        buyer, delivery = self._fetch(activity)
        keep_result(delivery.result)
        buyer.accept(delivery)
        self._means.attempts.forget(buyer.attempt)
        return delivery.result

    def vote(self, activity: Activity) -> bytes:
        """Ask several sellers until enough of them agree; the result. Raises Failed."""
        wanted, sellers = self._purchase.agree, self._purchase.sellers
        votes: Counter[str] = Counter()
        found: list[tuple[Buyer, Delivery]] = []
        with ThreadPoolExecutor(sellers, f"vote-{self._purchase.key}") as crew:

            def ask() -> Future[tuple[Buyer, Delivery]]:
                return crew.submit(self._fetch, activity)

            asked, extra, count = {ask() for _ in range(sellers)}, sellers, 0
            while asked:
                done, asked = wait(asked, return_when=FIRST_COMPLETED)
                found += [each.result() for each in done]
                votes.update(sha256_hex(each.result()[1].result) for each in done)
                winner, count = votes.most_common(1)[0]
                if count < wanted and not asked and extra > 0:
                    extra -= 1
                    asked.add(ask())
        if count < wanted:
            raise Failed(f"only {count} of {len(found)} sellers agree")
        result = b""
        for buyer, delivery in found:
            if sha256_hex(delivery.result) == winner:
                result = delivery.result
                buyer.accept(delivery)
            else:
                # The market has counted the same votes: it refutes these by itself.
                self._means.shunned.blame(Failed("outvoted", delivery.trade.seller, lied=True))
        self._means.attempts.forget_all(self._purchase.key)
        return result

    def _fetch(self, activity: Activity) -> tuple[Buyer, Delivery]:
        """Buy from one after another until there is a result that may be right."""
        last = ""
        while self._means.now() < self._deadline:
            try:
                return self._try(activity)
            except Expired:
                last = "no seller came"
                activity.info = "no seller has come yet; it is asked for again"
            except Failed as error:
                last = str(error)
                log.info("purchase %s: %s", self._purchase.key, error)
                activity.info = f"{error}; another seller is tried"
        raise Failed(f"nobody has done it in time{f' ({last})' if last else ''}")

    def _try(self, activity: Activity) -> tuple[Buyer, Delivery]:
        means = self._means
        follower = means.follower(activity)
        attempt = means.attempts.take(self._purchase.key) or self._bid(follower)
        with self._ending_with(attempt, activity):
            trade = follower.now(follower.trade_of(attempt.bid))
            means.shunned.check(trade.seller)
            buyer = Buyer(follower, means.http, attempt, means.rules.silence)
            return buyer, buyer.fetch(trade.key, self._work, self._checker)

    @contextmanager
    def _ending_with(self, attempt: Attempt, activity: Activity) -> Iterator[None]:
        """See to what remains of a bid that comes to nothing."""
        try:
            yield
        except Failed as error:
            if error.other:
                self._means.shunned.blame(error)
                self._count_failure()
            self._means.attempts.forget(attempt)
            activity.running.discard(activity.trade)
            raise
        except Cancelled:
            with suppress(MisocoinError):
                self._means.calls.cancel(attempt.bid)
            self._means.attempts.forget(attempt)
            raise

    def _bid(self, follower: Follower) -> Attempt:
        rules = self._means.rules
        versions = Versions.NEW if self._offer.bond or self._offer.agree else rules.versions
        while True:
            follower.rest(0)
            try:
                attempt = place_attempt(follower, self._purchase.key, self._offer, versions)
            except Refused as error:
                if error.status != _NOT_ENOUGH:
                    raise
                if not self._is_affordable():
                    raise NotPaidFor(str(error)) from None
                follower.activity.info = "waits for money that other bids hold"
                follower.rest(_FUNDS_REST)
                if self._means.now() >= self._deadline:
                    raise Failed(str(error)) from None
                continue
            self._means.attempts.keep(attempt)
            return attempt

    def _is_affordable(self) -> bool:
        """Whether the account holds enough, be it blocked for other bids now."""
        account = self._means.calls.account()
        price = self._offer.price.amount
        needed = price + calculate_fee(price) + self._offer.bond
        return account.available + account.blocked >= needed
