"""Building and signing the wallet's payments: pure, given coins, keys and a fee rate."""

import random
from collections.abc import Callable, Sequence
from typing import NamedTuple

from misocoin.errors import AmountError, WalletError
from misocoin.params import Params
from misocoin.policy.dust import calculate_dust_threshold
from misocoin.policy.feerate import FeeRate
from misocoin.primitives.transaction import Transaction, TxIn, TxOut
from misocoin.script.signing import KeySource, sign_transaction
from misocoin.units import text_from_sats
from misocoin.wallet.ledger import OwnCoin
from misocoin.wallet.selection import Candidate, Costs, Selection, select_coins

DUST_RATE = FeeRate(3_000)
"""Base units per 1,000 vbytes at which change would be dust."""

MAX_FEE = 10_000_000
"""Base units that a payment may cost at most, as Core's -maxtxfee: more is a slip of the hand."""

MAX_FEERATE = FeeRate(100_000_000)
"""Base units per 1,000 virtual bytes that a payment may offer at most."""

SEQUENCE_REPLACEABLE = 0xFFFFFFFD
"""Signals that the fee may be raised later (BIP125) and keeps the lock time in force."""

_VERSION = 2
_SEGWIT_MARK_WEIGHT = 2  # marker and flag (BIP144)


class Payment(NamedTuple):
    """A signed transaction and what it costs."""

    tx: Transaction
    fee: int
    """Base units."""
    change: int
    """Base units that come back."""


def build_payment(
    outputs: Sequence[TxOut],
    coins: Sequence[OwnCoin],
    keys: KeySource,
    input_weight: Callable[[bytes], int],
    change_script: bytes,
    rate: FeeRate,
    tip_height: int,
) -> Payment:
    """Pay `outputs` from `coins` at `rate`, with change to `change_script`, and sign it.

    `input_weight` answers the weight of an input that spends a script, signature included. The
    lock time is the tip's height, so that a miner gains nothing by taking the payment back to an
    earlier block. Raises InsufficientFunds, or WalletError where it would be too large or cost
    more than MAX_FEE.
    """
    costs = _costs(outputs, input_weight(change_script), change_script, rate, tip_height)
    candidates = [
        Candidate(point, value, input_weight(script)) for point, value, script, *_ in coins
    ]
    if rate > MAX_FEERATE:
        raise WalletError(
            f"a fee rate of {text_from_sats(rate)} is over {text_from_sats(MAX_FEERATE)} per "
            "1,000 virtual bytes: is it meant?"
        )
    target = sum([output.value for output in outputs])
    selection = select_coins(candidates, target, costs)
    if selection.fee > MAX_FEE:
        raise WalletError(
            f"the fee of {text_from_sats(selection.fee)} is over {text_from_sats(MAX_FEE)}: "
            "is the fee rate meant?"
        )
    tx = _assemble(outputs, selection, change_script, tip_height)
    chosen = {coin.point for coin in selection.coins}
    spent = {c.point: TxOut(c.value, c.script_pubkey) for c in coins if c.point in chosen}
    signed = sign_transaction(tx, [spent[txin.prevout] for txin in tx.vin], keys)
    return Payment(signed, selection.fee, selection.change)


def _costs(
    outputs: Sequence[TxOut],
    change_spend_weight: int,
    change_script: bytes,
    rate: FeeRate,
    tip_height: int,
) -> Costs:
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
    relayed, which would cost more to spend than it holds.
    """
    if amount <= 0:
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
