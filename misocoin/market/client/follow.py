"""What both sides of a trade do: wait for it to move on, and speak, though the line fails."""

from collections.abc import Callable
from math import ceil
from threading import Event
from time import monotonic
from typing import TypeVar

from misocoin.http.errors import HttpError
from misocoin.market.bids import BidState
from misocoin.market.client.activities import Activity, Stopping
from misocoin.market.client.calls import WAIT_SECONDS, MarketCalls, Pace, Refused
from misocoin.market.errors import MarketError
from misocoin.market.trade import Trade, TradeState

T = TypeVar("T")

_FIRST_REST, _LONGEST_REST = 0.25, 5.0
_TOO_LATE = 409
_TRY_AGAIN = frozenset({429, 502, 503, 504})


class Failed(MarketError):
    """A trade came to nothing."""

    status = 500

    def __init__(self, why: str, other: str = "", *, lied: bool = False) -> None:
        super().__init__(why)
        self.other = other
        """Whose fault it may be; empty where it is nobody's."""
        self.lied = lied
        """Whether the other side gave something wrong."""


class Expired(Failed):
    """Nobody took a bid while it lived."""


class Cancelled(MarketError):
    """The owner does not want it any more."""

    status = 500


class Follower:
    """Follows bids and trades for one activity."""

    def __init__(self, calls: MarketCalls, activity: Activity, stopping: Event) -> None:
        self.calls = calls
        self.activity = activity
        self.stopping = stopping

    def patiently(self, call: Callable[[], T]) -> T:
        """Make a call until there is an answer: the server may be away for a while."""
        rest = _FIRST_REST
        while True:
            try:
                return call()
            except HttpError as error:
                self.activity.info = str(error)
            except Refused as error:
                if error.status not in _TRY_AGAIN:
                    raise
                self.activity.info = str(error)
            self.rest(rest)
            rest = min(2 * rest, _LONGEST_REST)

    def rest(self, seconds: float) -> None:
        """Wait; raises Stopping where the client ends, Cancelled where the owner says so."""
        self.stopping.wait(seconds)
        self._check_stop()

    def trade_of(self, bid: str) -> str:
        """Wait for a bid's match; the trade's key. Raises Expired, Cancelled."""
        self.activity.bid = bid
        self.activity.open_bids.add(bid)
        tag, pace = "", Pace()
        while True:
            seconds = WAIT_SECONDS if tag else 0
            found, tag = self.patiently(lambda t=tag, s=seconds: self.calls.bid(bid, t, s))  # type: ignore[misc]
            if found is not None:
                self.activity.phase = found.state.name
                if found.state is BidState.MATCHED and found.transaction:
                    self.activity.trade = found.transaction
                    self.activity.running.add(found.transaction)
                    self.activity.open_bids.discard(bid)
                    return found.transaction
                if found.state is BidState.EXPIRED:
                    self.activity.open_bids.discard(bid)
                    self._check_stop()
                    raise Expired("the bid has expired: nobody wanted that trade")
            self._check_stop()
            pace.rest()

    def until(
        self,
        key: str,
        is_there: Callable[[Trade], bool],
        patience: float = float("inf"),
        look_around: Callable[[], None] = lambda: None,
        wait: int = WAIT_SECONDS,
    ) -> Trade:
        """Wait until a trade is as wanted. Raises Failed where it ends before, or time is up.

        `look_around` is called now and then, about every `wait` seconds.
        """
        tag, pace, deadline = "", Pace(), monotonic() + patience
        while True:
            left = deadline - monotonic()
            if left <= 0:
                raise Failed("the other side does not answer")
            seconds = ceil(min(wait, left)) if tag else 0
            trade, tag = self.patiently(lambda t=tag, s=seconds: self.calls.trade(key, t, s))  # type: ignore[misc]
            if trade is not None:
                self.activity.phase = trade.phase.value
                if is_there(trade):
                    return trade
                if trade.state is TradeState.RETIRED:
                    raise Failed(f"the trade ended in phase {trade.phase.value}")
            else:
                look_around()
                pace.rest()
            self._check_stop()

    def now(self, key: str) -> Trade:
        """A trade as it stands."""
        return self.until(key, lambda _trade: True)

    def say(self, key: str, is_done: Callable[[Trade], bool], **arguments: str) -> None:
        """Send a message, once: where its answer was lost the trade tells. Raises Failed."""
        try:
            self.patiently(lambda: self.calls.say(key, **arguments))
        except Refused as error:
            if error.status != _TOO_LATE or not is_done(self.now(key)):
                raise Failed(f"the market refuses {', '.join(arguments)}: {error}") from None

    def _check_stop(self) -> None:
        if self.stopping.is_set():
            raise Stopping("the client is about to end")
        if self.activity.cancelled and not self.activity.running:
            raise Cancelled("cancelled by the owner of this client")
