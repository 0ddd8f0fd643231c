"""A bid of this client: what only we know about it, and how it is placed."""

import secrets
from collections.abc import Mapping
from typing import Any, NamedTuple

from misocoin.market.bids import BidType, Terms, Versions
from misocoin.market.client.follow import Failed, Follower
from misocoin.market.money import Money
from misocoin.market.receipts import transit_public_key


class Offer(NamedTuple):
    """What is to be bought or sold."""

    type: BidType
    article: str
    price: Money
    bond: int = 0
    """Base units for version 2: put up by a buyer and asked of its seller; the most that a seller
    puts up."""
    group: str = ""
    agree: int = 0
    """See `Terms.agree`."""


class Attempt(NamedTuple):
    """A bid of ours to buy."""

    bid: str
    """Its key."""
    purchase: str
    """Key of the purchase it is for."""
    transit_secret: str
    """X25519 secret, hex."""
    buyer_secret: str
    """What the seller must show the market, hex."""


class Sale(NamedTuple):
    """A bid of ours to sell."""

    bid: str
    """Its key."""
    worker: str
    """Id of the worker that is to do it."""
    article: str
    transit_secret: str
    """X25519 secret, hex."""
    result_key: str
    """What the result is encrypted with, hex."""
    path: str
    """Of the door that the buyer comes to, if it comes to one."""


def form_from_bid(bid: Attempt | Sale) -> dict[str, Any]:
    """What the journal keeps of it."""
    form = bid._asdict()
    del form["bid"]
    return form


def attempt_from_journal(key: str, form: Mapping[str, Any]) -> Attempt:
    """Read what the journal keeps."""
    return Attempt(key, form["purchase"], form["transit_secret"], form["buyer_secret"])


def sale_from_journal(key: str, form: Mapping[str, Any]) -> Sale:
    """Read what the journal keeps."""
    names = ("worker", "article", "transit_secret", "result_key", "path")
    return Sale(key, *(form[name] for name in names))


def place_attempt(follower: Follower, purchase: str, offer: Offer, versions: Versions) -> Attempt:
    """Bid to buy. Raises Failed, or Refused where the market does not take it."""
    bid, secret = _place(follower, offer, versions)
    return Attempt(bid, purchase, secret, secrets.token_hex(32))


def place_sale(follower: Follower, worker: str, offer: Offer, versions: Versions) -> Sale:
    """Bid to sell. Raises Failed, or Refused where the market does not take it."""
    bid, secret = _place(follower, offer, versions)
    return Sale(bid, worker, offer.article, secret, secrets.token_hex(32), secrets.token_hex(4))


def _place(follower: Follower, offer: Offer, wanted: Versions) -> tuple[str, str]:
    calls = follower.calls
    versions = wanted & follower.patiently(calls.versions)
    if not versions:
        known = " or ".join(map(str, calls.versions().numbers))
        raise Failed(f"this market trades by version {known} only, which will not do here")
    secret, terms = secrets.token_bytes(32), None
    if Versions.NEW in versions:
        key, or_old = transit_public_key(secret), Versions.OLD in versions
        terms = Terms(offer.bond, key, offer.group, offer.agree, or_old)
    bid = follower.patiently(lambda: calls.place_bid(offer.type, offer.article, offer.price, terms))
    return bid, secret.hex()
