"""Raising the fee of a payment that waits, by another one in its place (BIP125): pure.

It pays the same to the same, spends at least the same coins, and takes the fee out of the change;
where that is not enough, out of further coins that are mined.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from misocoin.errors import InsufficientFunds, WalletError
from misocoin.policy.dust import calculate_dust_threshold
from misocoin.policy.feerate import (
    FeeRate,
    calculate_fee,
    feerate_from_fee,
    text_from_feerate,
)
from misocoin.policy.settings import RelayPolicy
from misocoin.primitives.transaction import SEQUENCE_REPLACEABLE, OutPoint, Transaction, TxIn, TxOut
from misocoin.units import text_from_sats
from misocoin.wallet.ledger import UNCONFIRMED, OwnCoin
from misocoin.wallet.spending import DUST_RATE, Plan, check_fee

STEP = RelayPolicy().incremental_feerate
"""What nodes want on top, by default, for the work of passing on a second payment."""


class Offer(NamedTuple):
    """A payment that waits, as its fee is to be raised."""

    tx: Transaction
    spent: tuple[TxOut, ...]
    """What its inputs spend, in their order."""
    change: int | None
    """Which output comes back to the sender; None where none does."""
    instead: tuple[TxOut, ...] | None = None
    """What it is to pay from now on; None for what it has paid."""

    @property
    def fee(self) -> int:
        """Base units."""
        paid = sum([output.value for output in self.tx.vout])
        return sum([output.value for output in self.spent]) - paid

    @property
    def rate(self) -> FeeRate:
        """Base units per 1,000 virtual bytes."""
        return feerate_from_fee(self.fee, (self.tx.weight + 3) // 4)


def plan_bump(
    offer: Offer,
    coins: Sequence[OwnCoin],
    input_weight: Callable[[bytes], int],
    change_script: bytes,
    rate: FeeRate | None,
    tip_height: int,
) -> Plan:
    """A payment in the place of `offer`, at `rate`, or at the least that nodes take for one.

    `coins` may be spent besides where they are mined. Raises InsufficientFunds, or WalletError for
    a rate that does not exceed the old one by what nodes want, or that costs more than MAX_FEE.
    """
    least = FeeRate(offer.rate + STEP)
    if rate is not None and rate < least:
        raise WalletError(
            f"the payment offers {text_from_feerate(offer.rate)} already: nodes take another in "
            f"its place from {text_from_feerate(least)} on"
        )
    keeps = [output for place, output in enumerate(offer.tx.vout) if place != offer.change]
    if offer.instead is not None:
        keeps = list(offer.instead)
    back = change_script if offer.change is None else offer.tx.vout[offer.change].script_pubkey
    known = {txin.prevout for txin in offer.tx.vin}
    further = [c for c in coins if c.height != UNCONFIRMED and c.point not in known]
    further.sort(key=lambda coin: coin.value)
    points = [txin.prevout for txin in offer.tx.vin]
    spent = list(offer.spent)
    while True:
        plan = _fitted(offer, points, spent, keeps, back, input_weight, rate or least, tip_height)
        if plan is not None:
            check_fee(plan.fee)
            return plan
        if not further:
            raise InsufficientFunds(
                "Insufficient funds: there is no more to pay a higher fee from; the payment "
                f"offers {text_from_sats(offer.fee)}"
            )
        coin = further.pop()
        points.append(coin.point)
        spent.append(TxOut(coin.value, coin.script_pubkey))


def _fitted(
    offer: Offer,
    points: Sequence[OutPoint],
    spent: Sequence[TxOut],
    keeps: Sequence[TxOut],
    back: bytes,
    input_weight: Callable[[bytes], int],
    rate: FeeRate,
    tip_height: int,
) -> Plan | None:
    """The payment from these coins, with change if it is no dust; None where they do not do."""
    left = sum([output.value for output in spent]) - sum([output.value for output in keeps])
    weights = sum([input_weight(output.script_pubkey) for output in spent])
    inputs = [TxIn(point, sequence=SEQUENCE_REPLACEABLE) for point in points]

    def fee_with(outputs: Sequence[TxOut]) -> int:
        bare = Transaction.build(offer.tx.version, (), outputs, tip_height)
        vsize = (bare.weight + 2 + weights + 3) // 4  # 2: marker and flag (BIP144)
        return max(calculate_fee(rate, vsize), offer.fee + calculate_fee(STEP, vsize))

    place = len(keeps) if offer.change is None else offer.change
    with_change = [*keeps[:place], TxOut(0, back), *keeps[place:]]
    fee = fee_with(with_change)
    change = TxOut(left - fee, back)
    if change.value >= calculate_dust_threshold(change, DUST_RATE):
        with_change[place] = change
        tx = Transaction.build(offer.tx.version, inputs, with_change, tip_height)
        return Plan(tx, tuple(spent), fee, change.value)
    if not keeps or left < fee_with(keeps):
        return None
    tx = Transaction.build(offer.tx.version, inputs, keeps, tip_height)
    return Plan(tx, tuple(spent), left, 0)
