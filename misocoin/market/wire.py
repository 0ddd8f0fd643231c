"""The JSON of bids, trades, accounts and the rest, in BitWrk's field names; both directions.

What version 2 adds stands behind BitWrk's fields, and only where there is something to say: its
clients never see it. Reading raises Malformed for what is not the form, and passes over more.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

from misocoin.errors import AmountError
from misocoin.market.bids import Bid, BidState, BidType, Terms
from misocoin.market.errors import Malformed
from misocoin.market.ledger import Movement
from misocoin.market.moments import Moment, moment_from_text, text_from_moment
from misocoin.market.money import COIN_NAMES, Currency, Money, Names, money_from_text
from misocoin.market.money import text_from_money as _text_from_money
from misocoin.market.relations import Relation
from misocoin.market.trade import Phase, Receipt, Trade, TradeState, TradeTerms

Json = dict[str, Any]
"""A JSON object."""

MAX_ANSWER = 1 << 20
"""Bytes of a market's answer that a client reads."""

T = TypeVar("T")


def _moment(moment: Moment | None) -> str | None:
    return None if moment is None else text_from_moment(moment)


# -- bids --------------------------------------------------------------------------------------


def bid_to_json(bid: Bid, names: Names = COIN_NAMES) -> Json:
    """A bid as GET /bid tells it; `names` are the coin's units."""
    currency = bid.price.currency
    form = {
        "Type": int(bid.type),
        "State": int(bid.state),
        "Article": bid.article,
        "Price": _text_from_money(bid.price, names),
        "Fee": _text_from_money(Money(bid.fee, currency), names),
        "Participant": bid.participant,
        "Document": bid.document,
        "Signature": bid.signature,
        "Created": _moment(bid.created),
        "Expires": _moment(bid.expires),
        "Matched": _moment(bid.matched),
        "Transaction": bid.transaction,
    }
    if bid.terms is not None:
        form |= {
            "Version": 2,
            "Versions": bid.versions.numbers,
            "Bond": _text_from_money(Money(bid.terms.bond, currency), names),
            "TransitKey": bid.terms.transit_key,
            "Group": bid.terms.group or None,
            "Agree": bid.terms.agree,
        }
    return form


def bid_from_json(data: bytes, key: str, order: int = 0) -> Bid:
    """Read a bid; what the JSON does not tell is given. Raises Malformed."""
    form = object_from_json(data)
    try:
        price = money_from_text(form["Price"])
        terms = None
        if form.get("Version") == 2:
            bond = money_from_text(form["Bond"]).amount
            terms = Terms(
                bond,
                str(form["TransitKey"]),
                str(form["Group"] or ""),
                int(form["Agree"]),
                1 in form.get("Versions", ()),
            )
        return Bid(
            key=key,
            order=order,
            type=BidType(form["Type"]),
            state=BidState(form["State"]),
            article=str(form["Article"]),
            price=price,
            fee=money_from_text(form["Fee"]).amount,
            participant=str(form["Participant"]),
            document=str(form["Document"]),
            signature=str(form["Signature"]),
            created=moment_from_text(form["Created"]),
            expires=moment_from_text(form["Expires"]),
            matched=_optional(form.get("Matched"), moment_from_text),
            transaction=_optional(form.get("Transaction"), str),
            terms=terms,
        )
    except (KeyError, TypeError, ValueError, AmountError):
        raise Malformed("the market's answer is not a bid") from None


# -- trades ------------------------------------------------------------------------------------


def trade_to_json(trade: Trade, names: Names = COIN_NAMES) -> Json:
    """A trade as GET /tx tells it."""
    currency = trade.price.currency
    receipt = None
    if trade.receipt is not None:
        receipt = {"Hash": trade.receipt.hash, "HashSignature": trade.receipt.signature}
    form = {
        "Revision": trade.revision,
        "BuyerBid": trade.buyer_bid,
        "SellerBid": trade.seller_bid,
        "Buyer": trade.buyer,
        "Seller": trade.seller,
        "Article": trade.article,
        "Price": _text_from_money(trade.price, names),
        "Fee": _text_from_money(Money(trade.fee, currency), names),
        "Matched": _moment(trade.matched),
        "State": int(trade.state),
        "Phase": trade.phase.value,
        "Timeout": _moment(trade.timeout),
        "WorkerURL": trade.worker_url,
        "WorkHash": trade.work_hash,
        "WorkSecretHash": trade.work_secret_hash,
        "BuyerSecret": trade.buyer_secret,
        "EncryptedResultReceipt": receipt,
        "ResultDecryptionKey": trade.result_key,
    }
    if trade.terms is not None:
        form |= {
            "Version": 2,
            "Bond": _text_from_money(Money(trade.terms.bond, currency), names),
            "BuyerTransitKey": trade.terms.buyer_key,
            "SellerTransitKey": trade.terms.seller_key,
            "Group": trade.terms.group or None,
            "Agree": trade.terms.agree,
            "ResultHash": trade.terms.result_hash,
        }
    return form


def trade_from_json(data: bytes, key: str) -> Trade:
    """Read a trade of that key. Raises Malformed."""
    form = object_from_json(data)
    try:
        receipt = form.get("EncryptedResultReceipt")
        return Trade(
            key=key,
            revision=int(form["Revision"]),
            buyer_bid=str(form["BuyerBid"]),
            seller_bid=str(form["SellerBid"]),
            buyer=str(form["Buyer"]),
            seller=str(form["Seller"]),
            article=str(form["Article"]),
            price=money_from_text(form["Price"]),
            fee=money_from_text(form["Fee"]).amount,
            matched=moment_from_text(form["Matched"]),
            state=TradeState(form["State"]),
            phase=Phase(form["Phase"]),
            timeout=moment_from_text(form["Timeout"]),
            worker_url=_optional(form.get("WorkerURL"), str),
            work_hash=_optional(form.get("WorkHash"), str),
            work_secret_hash=_optional(form.get("WorkSecretHash"), str),
            buyer_secret=_optional(form.get("BuyerSecret"), str),
            receipt=receipt and Receipt(str(receipt["Hash"]), str(receipt["HashSignature"])),
            result_key=_optional(form.get("ResultDecryptionKey"), str),
            terms=_trade_terms(form) if form.get("Version") == 2 else None,
        )
    except (KeyError, TypeError, ValueError, AmountError):
        raise Malformed("the market's answer is not a transaction") from None


def _trade_terms(form: Mapping[str, Any]) -> TradeTerms:
    return TradeTerms(
        money_from_text(form["Bond"]).amount,
        str(form["BuyerTransitKey"]),
        str(form["SellerTransitKey"]),
        str(form["Group"] or ""),
        int(form["Agree"]),
        _optional(form["ResultHash"], str),
    )


# -- accounts and the rest ---------------------------------------------------------------------


class Account(NamedTuple):
    """What the market knows of a participant."""

    participant: str
    currency: Currency = Currency.COIN
    available: int = 0
    blocked: int = 0
    last_movement: str = ""
    """Key of the last movement; empty where there was none."""
    deposit_address: str = ""
    """Where coins for this account are to be sent; empty until it is asked for."""
    deposit_info: str = ""
    """JSON of what the trusted account signed about another way to pay in; empty for none."""


def account_to_json(account: Account, names: Names = COIN_NAMES) -> Json:
    """An account as GET /account tells it."""
    info = json.loads(account.deposit_info) if account.deposit_info else None
    if info is None and account.deposit_address:
        info = {"DepositAddress": account.deposit_address}
    return {
        "Participant": account.participant,
        "LastMovementKey": account.last_movement or None,
        "Available": _text_from_money(Money(account.available, account.currency), names),
        "Blocked": _text_from_money(Money(account.blocked, account.currency), names),
        "DepositInfo": info,
        "LastDepositInfo": None,
        "DepositAddressRequest": None,
    }


def account_from_json(data: bytes) -> Account:
    """Read an account. Raises Malformed."""
    form = object_from_json(data)
    try:
        available = money_from_text(form["Available"])
        info = form.get("DepositInfo") or {}
        return Account(
            str(form["Participant"]),
            available.currency,
            available.amount,
            money_from_text(form["Blocked"]).amount,
            str(form.get("LastMovementKey") or ""),
            str(info.get("DepositAddress") or ""),
        )
    except (KeyError, TypeError, ValueError, AttributeError, AmountError):
        raise Malformed("the market's answer is not an account") from None


class MovementRecord(NamedTuple):
    """A movement as it stands in the ledger."""

    key: str
    time: Moment
    movement: Movement
    available_predecessor: str = ""
    """Key of the movement before it on its `available_account`; empty for the first."""
    blocked_predecessor: str = ""
    """The same of its `blocked_account`."""


def movement_to_json(record: MovementRecord, names: Names = COIN_NAMES) -> Json:
    """A movement as GET /ledger tells it."""
    movement = record.movement

    def text(amount: int) -> str:
        return _text_from_money(Money(amount, movement.currency), names)

    return {
        "Key": record.key,
        "Timestamp": _moment(record.time),
        "Type": movement.type.value,
        "AvailableDelta": text(movement.available),
        "AvailableAccount": movement.available_account or None,
        "AvailablePredecessorKey": record.available_predecessor or None,
        "BlockedDelta": text(movement.blocked),
        "BlockedAccount": movement.blocked_account or None,
        "BlockedPredecessorKey": record.blocked_predecessor or None,
        "Fee": text(movement.fee),
        "World": text(movement.world),
        "BidKey": movement.about.bid or None,
        "TxKey": movement.about.transaction or None,
        "DepositKey": movement.about.deposit or None,
        "WithdrawalKey": movement.about.withdrawal or None,
    }


def relation_to_json(relation: Relation) -> Json:
    """A relation as GET /rel tells it."""
    return {
        "Source": relation.source,
        "Target": relation.target,
        "Type": relation.type.value,
        "Enabled": relation.enabled,
        "Document": relation.document,
        "Signature": relation.signature,
        "LastModified": _moment(relation.modified),
    }


def bytes_from_json(form: object) -> bytes:
    """JSON as Go writes it: on one line, `&<>` escaped, and a line feed behind it."""
    text = json.dumps(form, ensure_ascii=False, separators=(",", ":"))
    for character in "&<>":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return f"{text}\n".encode()


def object_from_json(data: bytes) -> Json:
    """Read a market's answer that is a JSON object. Raises Malformed."""
    if len(data) > MAX_ANSWER:
        raise Malformed("the market's answer is too long")
    try:
        form = json.loads(data)
    except (ValueError, RecursionError):
        form = None
    if not isinstance(form, dict):
        raise Malformed("the market's answer is not a JSON object")
    return form


def _optional(value: Any, read: Callable[[Any], T]) -> T | None:
    return None if value is None else read(value)
