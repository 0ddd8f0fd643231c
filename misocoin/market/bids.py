"""Bids: who wants to buy or sell one piece of work, and at which price.

Version 1 is BitWrk's. A bid of version 2 asks for a trade of version 2: it puts up a bond, brings a
key for the work's way, and may be one of a group whose results are compared. It meets its like, and
bids of version 1 as well where it says so.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import NamedTuple

from misocoin.market.documents import BID_EXTRAS, bid_document
from misocoin.market.errors import Malformed
from misocoin.market.moments import Moment
from misocoin.market.money import MAX_AMOUNT, Money, money_from_text
from misocoin.market.numbers import whole_number

FEE_PERCENT = 3
"""What the market takes of a price, rounded up; the buyer pays it on top."""

MAX_GROUP = 32
"""Bids of one group, and sellers that may be asked to agree."""

_HEX64 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_NONCE = re.compile(r"[0-9a-f]{32}", re.ASCII)
_FIVE = frozenset({"article", "type", "price", "address", "nonce"})


class BidType(IntEnum):
    """Which side; the numbers are those on the wire."""

    BUY = 0
    SELL = 1


class Versions(IntFlag):
    """Which versions of a trade will do."""

    OLD = 1
    """BitWrk's."""
    NEW = 2
    BOTH = 3

    @property
    def numbers(self) -> list[int]:
        """The versions' numbers."""
        return [int(each) for each in (Versions.OLD, Versions.NEW) if each in self]


class BidState(IntEnum):
    """Where a bid stands; the numbers are those on the wire."""

    INQUEUE = 0
    """Original servers showed it for a moment; here a bid is placed or matched at once."""
    PLACED = 1
    MATCHED = 2
    EXPIRED = 3
    """Its time is up, or its owner has taken it back."""


class Terms(NamedTuple):
    """What a bid of version 2 has besides."""

    bond: int = 0
    """Base units of the price's currency: what a buyer puts up and asks its seller to put up, or
    what a seller is ready to put up."""
    transit_key: str = ""
    """X25519 public key of this bid alone, 64 hex digits."""
    group: str = ""
    """64 hex digits that name a buyer's group of bids; empty for none."""
    agree: int = 0
    """How many sellers of the group must come to the same result to outvote the others; a seller
    says how many it takes at least to outvote him. 0: its results are compared with nobody's."""
    or_old: bool = False
    """Whether a trade of version 1, without all that, will do as well."""


class BidRequest(NamedTuple):
    """A bid as its participant asks for it, well-formed and not yet checked against anything."""

    type: BidType
    article: str
    price: Money
    participant: str
    nonce: str
    document: str
    """The text that must be signed."""
    terms: Terms | None
    """None for version 1."""


@dataclass(frozen=True, slots=True)
class Bid:
    """A bid that the market has taken."""

    key: str
    """How it is called on the wire."""
    order: int
    """Counts up as bids come; the smaller of two is the older."""
    type: BidType
    state: BidState
    article: str
    price: Money
    fee: int
    """Base units of the price's currency."""
    participant: str
    document: str
    signature: str
    created: Moment
    expires: Moment
    matched: Moment | None = None
    transaction: str | None = None
    """Key of its trade."""
    terms: Terms | None = None
    """None for version 1."""

    @property
    def versions(self) -> Versions:
        """Of the trade that it asks for."""
        if self.terms is None:
            return Versions.OLD
        return Versions.BOTH if self.terms.or_old else Versions.NEW

    @property
    def bond(self) -> int:
        """Base units put up besides the price."""
        return 0 if self.terms is None else self.terms.bond

    @property
    def reserved(self) -> int:
        """Base units that the bid moves from available to blocked."""
        return self.bond + (self.price.amount + self.fee if self.type is BidType.BUY else 0)


def calculate_fee(price: int) -> int:
    """The market's share on top of a price: 3 % of it, rounded up."""
    return -(-price * FEE_PERCENT // 100)


def bid_request_from_form(form: Mapping[str, str]) -> BidRequest:
    """Read the fields of a bid but for the signature. Raises Malformed or AmountError."""
    missing = sorted(_FIVE - set(form))
    if missing:
        raise Malformed(f"Missing argument: {missing[0]}")
    unknown = sorted(set(form) - _FIVE - set(BID_EXTRAS) - {"signature"})
    if unknown:
        raise Malformed(f"Unexpected argument: {unknown[0][:40]}")
    if form["type"] not in BidType.__members__:
        raise Malformed("type must be BUY or SELL")
    price = money_from_text(form["price"])
    if price.amount < 0:
        raise Malformed("price must not be negative")
    if price.amount > MAX_AMOUNT // 4:
        raise Malformed("price is too high")
    if _NONCE.fullmatch(form["nonce"]) is None:
        raise Malformed("nonce must be 32 hex digits from /nonce")
    return BidRequest(
        BidType[form["type"]],
        form["article"],
        price,
        form["address"],
        form["nonce"],
        bid_document(form),
        _terms_from_form(form, price),
    )


def _terms_from_form(form: Mapping[str, str], price: Money) -> Terms | None:
    version = form.get("version", "1")
    if version not in ("1", "2", "both"):
        raise Malformed("version must be 1, 2 or both")
    if version == "1":
        given = sorted(set(form) & set(BID_EXTRAS) - {"version"})
        if given:
            raise Malformed(f"{given[0]} needs version=2 or both")
        return None
    bond = money_from_text(form["bond"]) if "bond" in form else Money(0, price.currency)
    if bond.currency is not price.currency or not 0 <= bond.amount <= MAX_AMOUNT // 4:
        raise Malformed("bond must be an amount of the price's currency, not negative")
    transit_key = form.get("transitkey", "")
    if _HEX64.fullmatch(transit_key) is None:
        raise Malformed("transitkey must be 64 hex digits")
    group, agree = form.get("group", ""), whole_number(form.get("agree", "0"), MAX_GROUP)
    if agree is None:
        raise Malformed(f"agree must be a number up to {MAX_GROUP}")
    is_buyer = form["type"] == "BUY"
    if group and (not is_buyer or _HEX64.fullmatch(group) is None):
        raise Malformed("group must be 64 hex digits, of a buyer")
    if is_buyer and bool(group) != (agree > 0):
        raise Malformed("group and agree go together")
    if group and version == "both":
        raise Malformed("group needs version=2 alone")
    return Terms(bond.amount, transit_key, group, agree, version == "both")
