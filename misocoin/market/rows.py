"""Rows of the book's tables as values, and values as rows; and the keys that the wire has.

A key is a letter, the row's number and the book's tag: `t7-9f1c2b…`. The tag keeps what was signed
for a trade here from meaning anything to another market.
"""

import re
from typing import Any

from sqlalchemy import Row

from misocoin.market.bids import Bid, BidState, BidType, Terms, Versions
from misocoin.market.ledger import Movement, MovementType, References
from misocoin.market.matching import pool_of
from misocoin.market.moments import Moment
from misocoin.market.money import Currency, Money
from misocoin.market.relations import Relation, RelationType
from misocoin.market.trade import Phase, Receipt, Trade, TradeState, TradeTerms
from misocoin.market.wire import Account, MovementRecord

_KEY = re.compile(r"([a-z])([1-9]\d{0,17})-([0-9a-f]+)", re.ASCII)

BID, TRADE, MOVEMENT, WITHDRAWAL = "b", "t", "m", "w"
"""Letters that keys begin with."""


class Keys:
    """The keys of one book."""

    def __init__(self, tag: str) -> None:
        self._tag = tag

    def key(self, kind: str, number: int | None) -> str:
        """The key of a row; empty for none."""
        return f"{kind}{number}-{self._tag}" if number else ""

    def number(self, kind: str, key: str) -> int:
        """The row that a key means; 0 for a text that is none of this book's keys."""
        match = _KEY.fullmatch(key)
        if match is None or match[1] != kind or match[3] != self._tag:
            return 0
        return int(match[2])

    # -- bids -----------------------------------------------------------------------------

    def bid(self, row: Row[Any]) -> Bid:
        """A row of `bids`."""
        terms = None
        if row.version != Versions.OLD:
            or_old = row.version == Versions.BOTH
            terms = Terms(row.bond, row.transit_key, row.group_name, row.agree, or_old)
        return Bid(
            key=self.key(BID, row.id),
            order=row.id,
            type=BidType(row.type),
            state=BidState(row.state),
            article=row.article,
            price=Money(row.price, Currency(row.currency)),
            fee=row.fee,
            participant=row.participant,
            document=row.document,
            signature=row.signature,
            created=row.created,
            expires=row.expires,
            matched=row.matched,
            transaction=self.key(TRADE, row.trade) or None,
            terms=terms,
        )

    # -- trades ---------------------------------------------------------------------------

    def trade(self, row: Row[Any]) -> Trade:
        """A row of `trades`."""
        terms = None
        if row.version == 2:
            terms = TradeTerms(
                row.bond, row.buyer_key, row.seller_key, row.group_name, row.agree, row.result_hash
            )
        receipt = None
        if row.receipt_hash is not None:
            receipt = Receipt(row.receipt_hash, row.receipt_signature)
        return Trade(
            key=self.key(TRADE, row.id),
            revision=row.revision,
            buyer_bid=self.key(BID, row.buyer_bid),
            seller_bid=self.key(BID, row.seller_bid),
            buyer=row.buyer,
            seller=row.seller,
            article=row.article,
            price=Money(row.price, Currency(row.currency)),
            fee=row.fee,
            matched=row.matched,
            state=TradeState(row.state),
            phase=Phase(row.phase),
            timeout=row.timeout,
            worker_url=row.worker_url,
            work_hash=row.work_hash,
            work_secret_hash=row.work_secret_hash,
            buyer_secret=row.buyer_secret,
            receipt=receipt,
            result_key=row.result_key,
            terms=terms,
        )

    # -- movements ------------------------------------------------------------------------

    def movement(self, row: Row[Any]) -> MovementRecord:
        """A row of `movements`."""
        return MovementRecord(
            self.key(MOVEMENT, row.id),
            Moment(row.time),
            movement_from_row(row),
            self.key(MOVEMENT, row.available_predecessor),
            self.key(MOVEMENT, row.blocked_predecessor),
        )

    def account(self, row: Row[Any]) -> Account:
        """A row of `accounts`."""
        return Account(
            row.participant,
            Currency(row.currency),
            row.available,
            row.blocked,
            self.key(MOVEMENT, row.last_movement),
            row.deposit_address,
            row.deposit_info,
        )


def row_from_bid(bid: Bid) -> dict[str, Any]:
    """What the table has of a new bid, but for its number."""
    terms = bid.terms or Terms()
    return {
        "type": int(bid.type),
        "state": int(bid.state),
        "pool": pool_of(bid).key,
        "article": bid.article,
        "currency": bid.price.currency.value,
        "price": bid.price.amount,
        "fee": bid.fee,
        "participant": bid.participant,
        "document": bid.document,
        "signature": bid.signature,
        "created": bid.created,
        "expires": bid.expires,
        "version": int(bid.versions),
        "bond": terms.bond,
        "transit_key": terms.transit_key,
        "group_name": terms.group,
        "agree": terms.agree,
    }


def changes_from_trade(trade: Trade) -> dict[str, Any]:
    """What the table has of a trade that may change."""
    return {
        "revision": trade.revision,
        "state": int(trade.state),
        "phase": trade.phase.value,
        "timeout": trade.timeout,
        "worker_url": trade.worker_url,
        "work_hash": trade.work_hash,
        "work_secret_hash": trade.work_secret_hash,
        "buyer_secret": trade.buyer_secret,
        "receipt_hash": trade.receipt and trade.receipt.hash,
        "receipt_signature": trade.receipt and trade.receipt.signature,
        "result_key": trade.result_key,
        "result_hash": trade.terms and trade.terms.result_hash,
    }


def row_from_trade(trade: Trade) -> dict[str, Any]:
    """What the table has of a new trade, but for numbers of rows."""
    terms = trade.terms or TradeTerms(0, "", "")
    return {
        **changes_from_trade(trade),
        "buyer": trade.buyer,
        "seller": trade.seller,
        "article": trade.article,
        "currency": trade.price.currency.value,
        "price": trade.price.amount,
        "fee": trade.fee,
        "matched": trade.matched,
        "version": trade.version,
        "bond": terms.bond,
        "buyer_key": terms.buyer_key,
        "seller_key": terms.seller_key,
        "group_name": terms.group,
        "agree": terms.agree,
    }


def movement_from_row(row: Row[Any]) -> Movement:
    """A row of `movements`, without its place in the ledger."""
    return Movement(
        MovementType(row.type),
        Currency(row.currency),
        row.available_account,
        row.available,
        row.blocked_account,
        row.blocked,
        row.fee,
        row.world,
        References(row.bid, row.trade, row.deposit, row.withdrawal),
    )


def row_from_movement(movement: Movement) -> dict[str, Any]:
    """What the table has of a movement, but for its place in the ledger."""
    return {
        "type": movement.type.value,
        "currency": movement.currency.value,
        "available_account": movement.available_account,
        "available": movement.available,
        "blocked_account": movement.blocked_account,
        "blocked": movement.blocked,
        "fee": movement.fee,
        "world": movement.world,
        "bid": movement.about.bid,
        "trade": movement.about.transaction,
        "deposit": movement.about.deposit,
        "withdrawal": movement.about.withdrawal,
    }


def relation_from_row(row: Row[Any]) -> Relation:
    """A row of `relations`."""
    return Relation(
        row.source,
        RelationType(row.type),
        row.target,
        row.enabled,
        row.document,
        row.signature,
        Moment(row.modified),
    )
