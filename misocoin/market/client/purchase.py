"""What a program of this machine wants done, and how far that is."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from misocoin.market.moments import Moment
from misocoin.market.money import Money, money_from_text, text_from_money


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
