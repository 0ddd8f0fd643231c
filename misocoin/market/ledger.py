"""The books: every movement is double entry, its four amounts sum to zero.

A movement touches an account's available part, an account's blocked part, the market's fees and
the world outside, each by an amount. What may change, and in which direction, is fixed for each
type. Amounts are base units of one currency.
"""

from collections.abc import Iterable, Mapping
from enum import Enum
from types import MappingProxyType
from typing import NamedTuple

from misocoin.market.bids import Bid, BidType
from misocoin.market.matching import Deal
from misocoin.market.money import Currency
from misocoin.market.trade import Outcome, Trade


class MovementType(Enum):
    """Why money moves; the value is the name on the wire."""

    DEPOSIT = "DEPOSIT"
    WITHDRAWAL = "WITHDRAWAL"
    WITHDRAWAL_REIMBURSE = "WITHDRAWAL_REIMBURSE"
    """Money that was to be paid out comes back, since nothing was paid."""
    BID = "BID"
    BID_REIMBURSE = "BID_REIMBURSE"
    TRANSACTION = "TRANSACTION"
    """At the match: what a bid had put up beyond the trade's price comes back."""
    TRANSACTION_FINISH = "TRANSACTION_FINISH"
    TRANSACTION_REIMBURSE = "TRANSACTION_REIMBURSE"
    TRANSACTION_FORFEIT = "TRANSACTION_FORFEIT"
    """A liar's bond goes to the other side (version 2)."""
    FEE_PAYOUT = "FEE_PAYOUT"
    """The operator takes fees out."""


class References(NamedTuple):
    """What a movement is about: keys on the wire, empty where there is none."""

    bid: str = ""
    transaction: str = ""
    deposit: str = ""
    withdrawal: str = ""


class Movement(NamedTuple):
    """One entry of the ledger."""

    type: MovementType
    currency: Currency
    available_account: str = ""
    available: int = 0
    """Change of the free part of `available_account`."""
    blocked_account: str = ""
    blocked: int = 0
    """Change of the put-up part of `blocked_account`."""
    fee: int = 0
    """Change of what the market has earned."""
    world: int = 0
    """Change of what the world outside holds: less when money comes in."""
    about: References = References()


_SIGNS: Mapping[MovementType, tuple[str, str, str, str]] = MappingProxyType(
    {
        # available, blocked, fee, world; * is any sign
        MovementType.DEPOSIT: ("*", "0", "0", "*"),
        MovementType.WITHDRAWAL: ("-", "0", "0", "+"),
        MovementType.WITHDRAWAL_REIMBURSE: ("+", "0", "+", "-"),
        MovementType.BID: ("-", "+", "0", "0"),
        MovementType.BID_REIMBURSE: ("+", "-", "0", "0"),
        MovementType.TRANSACTION: ("+", "-", "0", "0"),
        MovementType.TRANSACTION_FINISH: ("+", "-", "+", "0"),
        MovementType.TRANSACTION_REIMBURSE: ("+", "-", "0", "0"),
        MovementType.TRANSACTION_FORFEIT: ("+", "-", "0", "0"),
        MovementType.FEE_PAYOUT: ("0", "0", "-", "+"),
    }
)
_FORFEITS = frozenset({MovementType.TRANSACTION_FORFEIT, MovementType.TRANSACTION_FINISH})


def check_movement(movement: Movement) -> None:
    """Check that nothing is made or lost, and that only what may change does.

    Raises ValueError: a movement is made by this program, and a wrong one is its fault.
    """
    amounts = (movement.available, movement.blocked, movement.fee, movement.world)
    if sum(amounts) != 0:
        raise ValueError(f"a movement that does not sum to zero: {movement}")
    for amount, sign in zip(amounts, _SIGNS[movement.type], strict=True):
        allowed = {"*": True, "0": amount == 0, "+": amount >= 0, "-": amount <= 0}
        if not allowed[sign]:
            raise ValueError(f"a movement that its type does not allow: {movement}")
    if bool(movement.available) > bool(movement.available_account):
        raise ValueError(f"a movement without an account: {movement}")
    if bool(movement.blocked) > bool(movement.blocked_account):
        raise ValueError(f"a movement without an account: {movement}")
    both = movement.available_account and movement.blocked_account
    if (
        both
        and movement.type not in _FORFEITS
        and movement.available_account != (movement.blocked_account)
    ):
        raise ValueError(f"a movement between two accounts: {movement}")


class Balance(NamedTuple):
    """What an account holds."""

    available: int = 0
    blocked: int = 0


def apply_movement(balances: Mapping[str, Balance], movement: Movement) -> Mapping[str, Balance]:
    """The balances that a movement changes. Raises ValueError where one would be less than zero."""
    check_movement(movement)
    changed: dict[str, Balance] = {}
    for account, available, blocked in (
        (movement.available_account, movement.available, 0),
        (movement.blocked_account, 0, movement.blocked),
    ):
        if account:
            old = changed.get(account) or balances.get(account, Balance())
            new = Balance(old.available + available, old.blocked + blocked)
            if min(new) < 0:
                raise ValueError(f"{account} would hold less than nothing: {movement}")
            changed[account] = new
    return changed


# -- what happens ------------------------------------------------------------------------------


def _within(
    kind: MovementType, currency: Currency, account: str, amount: int, about: References
) -> list[Movement]:
    """Move `amount` from blocked to available; nothing at all for zero."""
    if not amount:
        return []
    return [Movement(kind, currency, account, amount, account, -amount, about=about)]


def bid_movements(bid: Bid) -> list[Movement]:
    """Put up what a bid needs."""
    about = References(bid=bid.key)
    return _within(MovementType.BID, bid.price.currency, bid.participant, -bid.reserved, about)


def expiry_movements(bid: Bid) -> list[Movement]:
    """Give back what a bid had put up that met nobody."""
    about = References(bid=bid.key)
    return _within(
        MovementType.BID_REIMBURSE, bid.price.currency, bid.participant, bid.reserved, about
    )


def match_movements(buy: Bid, sell: Bid, deal: Deal, transaction: str) -> list[Movement]:
    """Give back what both bids had put up beyond the deal."""
    surplus = {
        BidType.BUY: buy.reserved - deal.price - deal.fee - deal.bond,
        BidType.SELL: sell.reserved - deal.bond,
    }
    return [
        movement
        for bid in (buy, sell)
        for movement in _within(
            MovementType.TRANSACTION,
            bid.price.currency,
            bid.participant,
            surplus[bid.type],
            References(bid=bid.key, transaction=transaction),
        )
    ]


def settlement_movements(trade: Trade, outcome: Outcome) -> list[Movement]:
    """Everything that a trade had put up finds its owner."""
    currency, total = trade.price.currency, trade.price.amount + trade.fee
    about = References(transaction=trade.key)
    movements: list[Movement] = []
    if outcome in (Outcome.PAID, Outcome.BUYER_LIED):
        if total:
            movements.append(
                Movement(
                    MovementType.TRANSACTION_FINISH,
                    currency,
                    trade.seller,
                    trade.price.amount,
                    trade.buyer,
                    -total,
                    fee=trade.fee,
                    about=about,
                )
            )
    else:
        movements += _within(
            MovementType.TRANSACTION_REIMBURSE, currency, trade.buyer, total, about
        )
    liar = {Outcome.SELLER_LIED: trade.seller, Outcome.BUYER_LIED: trade.buyer}.get(outcome)
    for side, other in ((trade.buyer, trade.seller), (trade.seller, trade.buyer)):
        if not trade.bond:
            continue
        if side == liar:
            kind, receiver = MovementType.TRANSACTION_FORFEIT, other
        else:
            kind, receiver = MovementType.TRANSACTION_REIMBURSE, side
        movements.append(
            Movement(kind, currency, receiver, trade.bond, side, -trade.bond, about=about)
        )
    return movements


class Totals(NamedTuple):
    """All that the ledger has of one currency; the four sum to zero."""

    available: int = 0
    blocked: int = 0
    fee: int = 0
    world: int = 0


def totals_of(movements: Iterable[Movement]) -> dict[Currency, Totals]:
    """Sums over movements, by currency."""
    totals: dict[Currency, Totals] = {}
    for each in movements:
        old = totals.get(each.currency, Totals())
        totals[each.currency] = Totals(
            old.available + each.available,
            old.blocked + each.blocked,
            old.fee + each.fee,
            old.world + each.world,
        )
    return totals
