"""Participants and signed things for the market's tests."""

from typing import Any

from misocoin.crypto import base58
from misocoin.crypto.hashes import hash160, sha256
from misocoin.crypto.keys import PrivateKey
from misocoin.market.bids import Bid, BidState, BidType, Terms, calculate_fee
from misocoin.market.documents import bid_document, cancel_document, message_document
from misocoin.market.moments import Moment
from misocoin.market.money import Money, money_from_text
from misocoin.script.messages import sign_message

NOW = Moment(1_800_000_000_000_000)
"""Some time."""


class Participant:
    """Somebody with a key and BitWrk's kind of address."""

    def __init__(self, name: str) -> None:
        self.key = PrivateKey(sha256(name.encode()))
        self.address = base58.checked_text_from_bytes(b"\0" + hash160(self.key.public_key))

    def sign(self, document: str) -> str:
        return sign_message(self.key, document)

    def bid_form(self, **fields: str) -> dict[str, str]:
        """A signed bid."""
        form = {
            "article": "foobar",
            "type": "BUY",
            "price": "mMISO 1",
            "address": self.address,
            "nonce": "00" * 16,
            **fields,
        }
        return {**form, "signature": self.sign(bid_document(form))}

    def cancel_form(self, bid: str) -> dict[str, str]:
        """A signed word that a bid is taken back."""
        signature = self.sign(cancel_document(bid))
        return {"cancel": "on", "address": self.address, "signature": signature}

    def message_form(self, transaction: str, **arguments: str) -> dict[str, str]:
        """A signed message to a trade."""
        return {
            **arguments,
            "txid": transaction,
            "address": self.address,
            "signature": self.sign(message_document(arguments, transaction)),
        }


BUYER, SELLER, STRANGER = Participant("buyer"), Participant("seller"), Participant("stranger")


def make_bid(kind: BidType, price: int | str, order: int, **changes: Any) -> Bid:
    """A bid as the market has it: the `order`-th, placed a second after the one before."""
    money = money_from_text(price) if isinstance(price, str) else Money(price)
    created = Moment(NOW + order * 1_000_000)
    fields = {
        "key": f"b{order}",
        "order": order,
        "type": kind,
        "state": BidState.PLACED,
        "article": "foobar",
        "price": money,
        "fee": calculate_fee(money.amount),
        "participant": (BUYER if kind is BidType.BUY else SELLER).address,
        "document": "",
        "signature": "",
        "created": created,
        "expires": Moment(created + 120_000_000),
        **changes,
    }
    return Bid(**fields)


def terms(bond: int = 0, group: str = "", agree: int = 0, or_old: bool = False) -> Terms:
    """What a bid of version 2 has besides."""
    return Terms(bond, "ab" * 32, group, agree, or_old)
