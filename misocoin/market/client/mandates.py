"""What the owner allows without being asked again: so many trades, or minutes, at such a price."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from misocoin.market.bids import BidType
from misocoin.market.errors import Malformed
from misocoin.market.moments import MINUTE, Moment
from misocoin.market.money import Money, money_from_text, text_from_money
from misocoin.market.numbers import whole_number

MAX_NUMBER = 1_000_000
"""Trades or minutes that one mandate may allow."""


@dataclass(frozen=True, slots=True)
class Mandate:
    """A permission; it is for trades at its price, or better for the owner."""

    key: str
    type: BidType
    article: str
    price: Money
    trades_left: int | None = None
    """None for any number."""
    until: Moment | None = None
    """None for ever."""

    def allows(self, kind: BidType, article: str, now: Moment) -> bool:
        """Whether such a trade may begin now."""
        is_open = (self.trades_left is None or self.trades_left > 0) and not self.is_over(now)
        return is_open and (self.type, self.article) == (kind, article)

    def is_over(self, now: Moment) -> bool:
        """Whether it will never allow anything again."""
        return self.trades_left == 0 or (self.until is not None and self.until <= now)

    def used(self) -> "Mandate":
        """What is left of it after a trade."""
        if self.trades_left is None:
            return self
        return replace(self, trades_left=self.trades_left - 1)


def find_mandate(
    mandates: Iterable[Mandate], kind: BidType, article: str, now: Moment
) -> Mandate | None:
    """The oldest one that allows a trade; None if none does."""
    return next((each for each in mandates if each.allows(kind, article, now)), None)


def mandate_from_form(form: Mapping[str, str], key: str, now: Moment) -> Mandate:
    """Read the fields of the original's form `permit`; with neither box ticked it is one trade.

    Raises Malformed or AmountError.
    """
    try:
        kind, article = BidType[form["type"]], form["articleid"]
        price = money_from_text(form["price"])
    except KeyError as error:
        raise Malformed(f"permit needs type (BUY or SELL), articleid and price: {error}") from None
    if price.amount < 0 or not article:
        raise Malformed("permit needs an article, and a price that is not negative")
    trades = until = None
    if form.get("usetradesleft") == "on":
        trades = _number(form, "tradesleft")
    if form.get("usevaliduntil") == "on":
        until = Moment(now + _number(form, "validminutes") * MINUTE)
    if trades is None and until is None:
        trades = 1
    return Mandate(key, kind, article, price, trades, until)


def _number(form: Mapping[str, str], name: str) -> int:
    number = whole_number(form.get(name, ""), MAX_NUMBER)
    if not number:
        raise Malformed(f"{name} must be a number from 1 to {MAX_NUMBER}")
    return number


def form_from_mandate(mandate: Mandate) -> dict[str, Any]:
    """What the journal keeps of it."""
    return {
        "type": mandate.type.name,
        "article": mandate.article,
        "price": text_from_money(mandate.price),
        "trades_left": mandate.trades_left,
        "until": mandate.until,
    }


def mandate_from_journal(key: str, form: Mapping[str, Any]) -> Mandate:
    """Read what the journal keeps."""
    return Mandate(
        key,
        BidType[form["type"]],
        form["article"],
        money_from_text(form["price"]),
        form["trades_left"],
        form["until"],
    )
