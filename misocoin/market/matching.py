"""Which bids meet, and at which price.

What can meet at all is of one article, one currency, and has a version in common. Of the live bids
on the other side the cheapest sell (or the highest buy) is taken; of equal ones rather one that
makes a trade of version 2, then that which expires first. It must be the better price, or the same
and older. Price and fee of the trade are the older bid's.
"""

from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple

from misocoin.market.bids import MAX_GROUP, Bid, BidState, BidType, Versions
from misocoin.market.moments import Moment


class Pool(NamedTuple):
    """Bids that are alike in what they can meet."""

    article: str
    currency: str
    versions: Versions

    @property
    def key(self) -> str:
        """One text for it."""
        return f"{self.market} {int(self.versions)}"

    @property
    def market(self) -> str:
        """One text for all bids that it may meet in any way."""
        return f"{self.article} {self.currency}"

    @property
    def meets(self) -> list["Pool"]:
        """The pools whose bids it can meet; itself among them."""
        return [
            self._replace(versions=each)
            for each in (Versions.OLD, Versions.NEW, Versions.BOTH)
            if each & self.versions
        ]


def pool_of(bid: Bid) -> Pool:
    """The pool that a bid belongs to."""
    return Pool(bid.article, bid.price.currency.value, bid.versions)


def is_new(buy: Bid, sell: Bid) -> bool:
    """Whether two bids that can meet make a trade of version 2: they do if they can."""
    return Versions.NEW in buy.versions & sell.versions


class Deal(NamedTuple):
    """What a trade costs."""

    price: int
    """Base units that go to the seller."""
    fee: int
    """Base units that go to the market."""
    bond: int
    """Base units that each side keeps put up; what the seller offered beyond is free again."""


Taken = Callable[[Bid], Collection[str]]
"""From a buying bid to the sellers that already work for its group."""


def nobody(_buy: Bid) -> Collection[str]:
    """Where no groups are, no seller is taken."""
    return ()


def find_counterpart(
    bid: Bid, others: Iterable[Bid], now: Moment, taken: Taken = nobody
) -> Bid | None:
    """The bid among `others` that a new one meets; None if there is none."""
    fitting = [other for other in others if is_match(bid, other, now, taken)]
    return min(fitting, key=lambda other: _preference(bid, other), default=None)


def _preference(bid: Bid, other: Bid) -> tuple[int, bool, int, int]:
    """Orders what a bid can meet: that first which is taken first."""
    price = other.price.amount
    rank = price if other.type is BidType.SELL else -price
    return (rank, not is_new(bid, other), other.expires, other.order)


def is_match(bid: Bid, other: Bid, now: Moment, taken: Taken = nobody) -> bool:
    """Whether a new bid and a resting one may become a trade."""
    if other.type is bid.type or pool_of(other) not in pool_of(bid).meets:
        return False
    if other.state is not BidState.PLACED or other.expires <= now or other.order >= bid.order:
        return False
    buy, sell = (bid, other) if bid.type is BidType.BUY else (other, bid)
    if buy.price.amount < sell.price.amount:
        return False
    if not is_new(buy, sell):
        return True
    if sell.bond < buy.bond:
        return False
    if buy.terms is None or sell.terms is None or not buy.terms.group:
        return True
    # Who compares the results of several sellers must not get two of one, nor his own; and a
    # seller need not let himself be outvoted by fewer than he said.
    if not 0 < sell.terms.agree <= buy.terms.agree:
        return False
    sellers = taken(buy)
    is_free = sell.participant not in sellers and sell.participant != buy.participant
    return is_free and len(sellers) < MAX_GROUP


def deal_of(buy: Bid, sell: Bid) -> Deal:
    """What the trade of two bids costs."""
    older = min(buy, sell, key=lambda bid: bid.order)
    return Deal(older.price.amount, older.fee, buy.bond if is_new(buy, sell) else 0)
