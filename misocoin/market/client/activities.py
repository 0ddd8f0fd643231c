"""What the client is doing or would like to do, and what its owner says to it.

A purchase or a sale is an activity. It waits until a mandate allows it, or the owner permits or
forbids it by itself; those that ended are kept for a while, to be looked at.
"""

import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import Condition
from typing import Any

from misocoin.errors import MisocoinError
from misocoin.market.bids import BidType
from misocoin.market.client.journal import Journal
from misocoin.market.client.mandates import (
    Mandate,
    find_mandate,
    form_from_mandate,
    mandate_from_form,
    mandate_from_journal,
)
from misocoin.market.errors import MarketError, NotAllowed, TooLate, Unknown
from misocoin.market.moments import Moment
from misocoin.market.money import Money, text_from_money

KEPT = 100
"""Activities that are kept after their end."""

_MANDATE = "mandate"


class Stopping(MarketError):
    """The client is about to end; what goes on is taken up again at its next start."""

    status = 503


@dataclass(slots=True)
class Activity:
    """One purchase or sale, as its owner sees it."""

    key: str
    type: BidType
    article: str
    since: Moment
    price: Money | None = None
    """What it may cost, or must bring; None until it is permitted."""
    accepted: bool = False
    forbidden: bool = False
    cancelled: bool = False
    alive: bool = True
    bid: str = ""
    trade: str = ""
    phase: str = ""
    info: str = ""
    """In words, how it stands or how it ended."""
    size: int = 0
    """Bytes of the work."""

    open_bids: set[str] = field(default_factory=set)
    """Keys of its bids that have met nobody yet, as far as is known."""
    running: set[str] = field(default_factory=set)
    """Keys of its trades that have not failed."""

    @property
    def waits(self) -> bool:
        """Whether it needs the owner's word."""
        return self.alive and not self.accepted and not self.forbidden

    @property
    def can_be_cancelled(self) -> bool:
        """Whether the owner may still take it back: nobody works on it."""
        return self.alive and self.accepted and not self.running and not self.cancelled

    def to_json(self) -> dict[str, Any]:
        """As BitWrk's client tells it."""
        return {
            "Key": self.key,
            "Info": {
                "Type": self.type.name,
                "Article": self.article,
                "Alive": self.alive,
                "Accepted": self.accepted,
                "Amount": None if self.price is None else text_from_money(self.price),
                "BidId": self.bid or None,
                "TxId": self.trade or None,
                "Info": self.info,
                "Phase": self.phase,
                "BytesTotal": self.size,
                "BytesToTransfer": self.size,
                "BytesTransferred": self.size if self.phase in _SENT else 0,
            },
        }


_SENT = frozenset({"WORKING", "UNVERIFIED", "FINISHED"})


class Activities:
    """All of them, and the mandates. Threads may share it."""

    def __init__(self, journal: Journal, now: Callable[[], Moment]) -> None:
        self._journal = journal
        self._now = now
        self._changed = Condition()
        self._all: OrderedDict[str, Activity] = OrderedDict()
        self._stopping = False
        self._mandates = {
            key: mandate_from_journal(key, form) for key, form in journal.all(_MANDATE)
        }

    def open(
        self, key: str, kind: BidType, article: str, price: Money | None = None, size: int = 0
    ) -> Activity:
        """Begin one; with a price it needs no permission."""
        activity = Activity(
            key, kind, article, self._now(), price, accepted=price is not None, size=size
        )
        with self._changed:
            self._all[key] = activity
            self._grant()
        return activity

    def end(self, activity: Activity, info: str) -> None:
        """End one, and forget the oldest that ended."""
        with self._changed:
            activity.alive, activity.info = False, info
            self._all.move_to_end(activity.key)
            ended = [key for key, each in self._all.items() if not each.alive]
            for key in ended[:-KEPT]:
                del self._all[key]
            self._changed.notify_all()

    def all(self) -> list[Activity]:
        """Those that live, in order, then those that ended."""
        with self._changed:
            return sorted(self._all.values(), key=lambda each: not each.alive)

    # -- permission -----------------------------------------------------------------------

    def wait_for_permission(
        self, activity: Activity, is_off: Callable[[], bool] = lambda: False, seconds: float = 1e9
    ) -> Money | None:
        """Wait for the owner's word; the price.

        None where `is_off` became true (see `wake`) or the time is up. Raises NotAllowed if the
        owner forbids it, Stopping.
        """
        with self._changed:
            self._changed.wait_for(
                lambda: not activity.waits or self._stopping or is_off(), min(seconds, 1e6)
            )
            if activity.accepted:
                return activity.price
            if activity.forbidden:
                raise NotAllowed("the owner of this client forbids it")
            if self._stopping:
                raise Stopping("the client is about to end")
            return None

    def wake(self) -> None:
        """Have those who wait look again."""
        with self._changed:
            self._changed.notify_all()

    def permit(self, form: Mapping[str, str]) -> Mandate:
        """Give a mandate; activities that wait are allowed by it at once."""
        mandate = mandate_from_form(form, secrets.token_hex(8), self._now())
        with self._changed:
            self._journal.change((_MANDATE, mandate.key, form_from_mandate(mandate)))
            self._mandates[mandate.key] = mandate
            self._grant()
        return mandate

    def permit_one(self, key: str, price: Money) -> None:
        """Permit one activity at a price."""
        with self._changed:
            activity = self._waiting(key)
            activity.accepted, activity.price = True, price
            self._changed.notify_all()

    def forbid(self, key: str) -> None:
        """Forbid one activity."""
        with self._changed:
            activity = self._waiting(key)
            activity.forbidden = True
            self._changed.notify_all()

    def cancel(self, key: str, take_back: Callable[[str], None]) -> None:
        """Take back one activity that was permitted, with its bids; `take_back` takes back one.

        Raises TooLate where a bid has been matched: such a trade goes on.
        """
        with self._changed:
            activity = self._all.get(key)
            if activity is None or not activity.alive or not activity.accepted:
                raise Unknown("no such activity is under way")
            if not activity.can_be_cancelled:
                raise TooLate("a trade has come of it already")
            activity.cancelled = True
            bids = tuple(activity.open_bids)
            self._changed.notify_all()
        try:
            for bid in bids:
                take_back(bid)
        except MisocoinError:
            activity.cancelled = False
            raise

    def _waiting(self, key: str) -> Activity:
        activity = self._all.get(key)
        if activity is None or not activity.waits:
            raise Unknown("no such activity waits for permission")
        return activity

    def mandates(self) -> list[Mandate]:
        """Those that may still allow something."""
        now = self._now()
        with self._changed:
            return [each for each in self._mandates.values() if not each.is_over(now)]

    def revoke(self, key: str) -> None:
        """Take a mandate back; what it has allowed goes on. Raises Unknown."""
        with self._changed:
            if key not in self._mandates:
                raise Unknown("no such mandate")
            self._journal.change((_MANDATE, key, None))
            del self._mandates[key]

    def stop(self) -> None:
        """Let nobody wait any more."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def _grant(self) -> None:
        now = self._now()
        for activity in self._all.values():
            if not activity.waits:
                continue
            mandate = find_mandate(self._mandates.values(), activity.type, activity.article, now)
            if mandate is None:
                continue
            # The use is on disk before the trade begins, so that no restart gives it twice.
            left = mandate.used()
            if left is not mandate:
                self._journal.change((_MANDATE, mandate.key, form_from_mandate(left)))
                self._mandates[mandate.key] = left
            activity.accepted, activity.price = True, mandate.price
        for key in [key for key, each in self._mandates.items() if each.is_over(now)]:
            self._journal.change((_MANDATE, key, None))
            del self._mandates[key]
        self._changed.notify_all()
