"""Building and signing the wallet's payments: pure, given coins, keys and a fee rate."""

import random
from collections.abc import Callable, Sequence
from typing import NamedTuple

from misocoin.errors import AmountError, InsufficientFunds, WalletError
from misocoin.params import Params
from misocoin.policy.dust import calculate_dust_threshold
from misocoin.policy.feerate import FeeRate
from misocoin.primitives.transaction import SEQUENCE_REPLACEABLE, Transaction, TxIn, TxOut
from misocoin.script.script import is_unspendable
from misocoin.script.signing import KeySource, sign_transaction
from misocoin.units import text_from_sats
from misocoin.wallet.ledger import Balance, OwnCoin
from misocoin.wallet.selection import SCALE, Candidate, Costs, Selection, select_coins

DUST_RATE = FeeRate(3_000)
"""Base units per 1,000 vbytes at which change would be dust."""

MAX_FEE = 10_000_000
"""Base units that a payment may cost at most, as Core's -maxtxfee: more is a slip of the hand."""

MAX_FEERATE = FeeRate(100_000_000)
"""Base units per 1,000 virtual bytes that a payment may offer at most."""

_VERSION = 2
_SEGWIT_MARK_WEIGHT = 2  # marker and flag (BIP144)


class Payment(NamedTuple):
    """A signed transaction and what it costs."""

    tx: Transaction
    fee: int
    """Base units."""
    change: int
    """Base units that come back."""


class Plan(NamedTuple):
    """A payment that is not signed yet."""

    tx: Transaction
    spent: tuple[TxOut, ...]
    """What its inputs spend, in their order."""
    fee: int
    """Base units."""
    change: int
    """Base units that come back."""

    @property
    def scripts(self) -> tuple[bytes, ...]:
        """The output scripts that are spent: those whose keys have to sign."""
        return tuple([each.script_pubkey for each in self.spent])


def plan_payment(
    outputs: Sequence[TxOut],
    coins: Sequence[OwnCoin],
    input_weight: Callable[[bytes], int],
    change_script: bytes,
    rate: FeeRate,
    tip_height: int,
) -> Plan:
    """Choose from `coins` to pay `outputs` at `rate`, with change to `change_script`.

    `input_weight` answers the weight of an input that spends a script, signature included. The
    lock time is the tip's height, so that a miner gains nothing by taking the payment back to an
    earlier block. Raises InsufficientFunds, or WalletError where it would be too large or cost
    more than MAX_FEE.
    """
    check_rate(rate)
    costs = costs_of(outputs, input_weight(change_script), change_script, rate, tip_height)
    target = sum([output.value for output in outputs])
    selection = select_coins(_candidates(coins, input_weight), target, costs)
    check_fee(selection.fee)
    tx = _assemble(outputs, selection, change_script, tip_height)
    return _plan(tx, coins, selection.fee, selection.change)


def plan_sweep(
    outputs: Sequence[TxOut],
    sink: bytes,
    coins: Sequence[OwnCoin],
    input_weight: Callable[[bytes], int],
    rate: FeeRate,
    tip_height: int,
) -> Plan:
    """Spend every coin that is worth its fee: pay `outputs`, and all the rest to the script `sink`.

    Raises InsufficientFunds where what would be left for it is dust, otherwise as `plan_payment`.
    """
    check_rate(rate)
    whole = (*outputs, TxOut(0, sink))
    costs = costs_of(whole, input_weight(coins[0].script_pubkey) if coins else 0, sink, rate, 0)
    worth = [each for each in _candidates(coins, input_weight) if each.value > 0]
    worth = [each for each in worth if SCALE * each.value > rate * each.input_weight]
    weight = costs.weight(len(worth), sum([c.input_weight for c in worth]), change=False)
    if weight > costs.max_weight:
        raise WalletError(
            f"{len(worth)} coins do not fit into one transaction: send a part of them first"
        )
    fee = costs.fee(weight)
    check_fee(fee)
    total = sum([each.value for each in worth])
    rest = total - fee - sum([output.value for output in outputs])
    if rest < calculate_dust_threshold(TxOut(0, sink), DUST_RATE):
        raise InsufficientFunds(
            f"Insufficient funds: {text_from_sats(total)} can be spent, and after a fee of "
            f"{text_from_sats(fee)} nothing worth sending is left"
        )
    selection = Selection(tuple(worth), 0, fee)
    tx = _assemble((*outputs, TxOut(rest, sink)), selection, sink, tip_height)
    return _plan(tx, coins, fee, 0)


def sign_plan(plan: Plan, keys: KeySource) -> Payment:
    """Sign all inputs; raises WalletError where a key is missing."""
    return Payment(sign_transaction(plan.tx, plan.spent, keys), plan.fee, plan.change)


def build_payment(
    outputs: Sequence[TxOut],
    coins: Sequence[OwnCoin],
    keys: KeySource,
    input_weight: Callable[[bytes], int],
    change_script: bytes,
    rate: FeeRate,
    tip_height: int,
) -> Payment:
    """Plan and sign; raises as `plan_payment` and `sign_plan` do."""
    plan = plan_payment(outputs, coins, input_weight, change_script, rate, tip_height)
    return sign_plan(plan, keys)


def _candidates(coins: Sequence[OwnCoin], input_weight: Callable[[bytes], int]) -> list[Candidate]:
    return [Candidate(point, value, input_weight(script)) for point, value, script, *_ in coins]


def _plan(tx: Transaction, coins: Sequence[OwnCoin], fee: int, change: int) -> Plan:
    by_point = {coin.point: TxOut(coin.value, coin.script_pubkey) for coin in coins}
    return Plan(tx, tuple([by_point[txin.prevout] for txin in tx.vin]), fee, change)


def check_rate(rate: FeeRate) -> None:
    """Check that a rate is no more than MAX_FEERATE; raises WalletError."""
    if rate > MAX_FEERATE:
        raise WalletError(
            f"a fee rate of {text_from_sats(rate)} is over {text_from_sats(MAX_FEERATE)} per "
            "1,000 virtual bytes: is it meant?"
        )


def check_fee(fee: int) -> None:
    """Check that a payment costs no more than MAX_FEE; raises WalletError."""
    if fee > MAX_FEE:
        raise WalletError(
            f"the fee of {text_from_sats(fee)} is over {text_from_sats(MAX_FEE)}: "
            "is the fee rate meant?"
        )


def costs_of(
    outputs: Sequence[TxOut],
    change_spend_weight: int,
    change_script: bytes,
    rate: FeeRate,
    tip_height: int,
) -> Costs:
    """What a transaction with these outputs costs beside its inputs."""
    change_output = TxOut(0, change_script)
    bare = Transaction.build(_VERSION, (), outputs, tip_height)
    with_change = Transaction.build(_VERSION, (), (*outputs, change_output), tip_height)
    return Costs(
        rate,
        bare.weight + _SEGWIT_MARK_WEIGHT,
        with_change.weight - bare.weight,
        change_spend_weight,
        calculate_dust_threshold(change_output, DUST_RATE),
    )


def _assemble(
    outputs: Sequence[TxOut], selection: Selection, change_script: bytes, tip_height: int
) -> Transaction:
    vout = list(outputs)
    shuffle = random.SystemRandom()
    if selection.change:
        # At a random place, so that its position does not tell which output is the change.
        place = shuffle.randrange(len(vout) + 1)
        vout.insert(place, TxOut(selection.change, change_script))
    vin = [TxIn(coin.point, sequence=SEQUENCE_REPLACEABLE) for coin in selection.coins]
    shuffle.shuffle(vin)
    return Transaction.build(_VERSION, vin, vout, tip_height)


def check_payable(amount: int, script: bytes, params: Params) -> None:
    """Check that so many base units can be paid to an output script at all.

    Raises AmountError for what is no amount of coins, and WalletError for one too small to be
    relayed, which would cost more to spend than it holds. Nothing at all can be paid to an output
    that nobody can spend: it stores data.
    """
    if amount < 0 or (amount == 0 and not is_unspendable(script)):
        raise AmountError(f"{text_from_sats(amount)} cannot be sent: an amount is more than zero")
    if amount > params.max_money:
        raise AmountError(
            f"{text_from_sats(amount)} is more than there will ever be: "
            f"{text_from_sats(params.max_money)}"
        )
    least = calculate_dust_threshold(TxOut(0, script), DUST_RATE)
    if amount < least:
        raise WalletError(
            f"{text_from_sats(amount)} is too small to send: at least "
            f"{text_from_sats(least)} are needed"
        )


def explain_shortage(message: str, balance: Balance, maturity: int) -> str:
    """An error about too little money, with what is there that cannot be spent yet."""
    waiting = [
        f"{text_from_sats(amount)} {what}"
        for amount, what in (
            (balance.pending, "pending"),
            (balance.immature, f"immature (mined less than {maturity} blocks ago)"),
        )
        if amount
    ]
    return f"{message}; {', '.join(waiting)}" if waiting else message
