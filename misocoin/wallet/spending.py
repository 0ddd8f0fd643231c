"""Building and signing the wallet's payments: pure, given coins, keys and a fee rate."""

import random
from collections.abc import Sequence
from typing import NamedTuple

from misocoin.errors import WalletError
from misocoin.policy.dust import calculate_dust_threshold
from misocoin.policy.feerate import FeeRate
from misocoin.primitives.transaction import Transaction, TxIn, TxOut
from misocoin.script.signing import KeySource, sign_transaction
from misocoin.script.templates import ScriptKind, template_from_script
from misocoin.units import text_from_sats
from misocoin.wallet.ledger import OwnCoin
from misocoin.wallet.selection import Candidate, Costs, Selection, select_coins

DUST_RATE = FeeRate(3_000)
"""Base units per 1,000 vbytes at which change would be dust."""

SEQUENCE_REPLACEABLE = 0xFFFFFFFD
"""Signals that the fee may be raised later (BIP125) and keeps the lock time in force."""

_WITNESS_INPUT = 41 * 4 + 108
"""Weight of a P2WPKH input: outpoint, empty script and sequence; then a count, a signature of 72
bytes and a key of 33, each behind its length.
"""

_INPUT_WEIGHTS = {
    ScriptKind.P2WPKH: _WITNESS_INPUT,
    ScriptKind.P2PKH: 4 * (41 + 107),
    ScriptKind.P2SH: _WITNESS_INPUT + 4 * 23,
}
"""Weight of the input that spends an output of each kind the wallet has."""


class Payment(NamedTuple):
    """A signed transaction and what it costs."""

    tx: Transaction
    fee: int
    """Base units."""
    change: int
    """Base units that come back."""


def input_weight(script_pubkey: bytes) -> int:
    """Weight units of an input that spends one of the wallet's outputs, signature included."""
    return _INPUT_WEIGHTS[template_from_script(script_pubkey).kind]


def build_payment(
    outputs: Sequence[TxOut],
    coins: Sequence[OwnCoin],
    keys: KeySource,
    change_script: bytes,
    rate: FeeRate,
    tip_height: int,
) -> Payment:
    """Pay `outputs` from `coins` at `rate`, with change to `change_script`, and sign it.

    The lock time is the tip's height, so that a miner gains
    nothing by taking the payment back to an earlier block. Raises InsufficientFunds.
    """
    change_output = TxOut(0, change_script)
    bare = Transaction.build(2, (), outputs, tip_height)
    # Marker and flag weigh 2; the counts of inputs grow to 3 bytes beyond 252.
    base_weight = 4 * (bare.stripped_size + 2 * (len(coins) > 252) + 2) + 2
    costs = Costs(
        rate,
        base_weight,
        4 * len(change_output.serialize()),
        input_weight(change_script),
        calculate_dust_threshold(change_output, DUST_RATE),
    )
    candidates = [Candidate(c.point, c.value, input_weight(c.script_pubkey)) for c in coins]
    target = sum(output.value for output in outputs)
    selection = select_coins(candidates, target, costs)
    tx = _assemble(outputs, selection, change_script, tip_height)
    spent = {coin.point: TxOut(coin.value, coin.script_pubkey) for coin in coins}
    signed = sign_transaction(tx, [spent[txin.prevout] for txin in tx.vin], keys)
    return Payment(signed, selection.fee, selection.change)


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
    return Transaction.build(2, vin, vout, tip_height)


def check_payable(amount: int, script: bytes) -> None:
    """Raise WalletError for an amount too small to be relayed, which nobody could spend."""
    least = calculate_dust_threshold(TxOut(0, script), DUST_RATE)
    if amount < max(least, 1):
        raise WalletError(
            f"{text_from_sats(amount)} is too small to send: at least "
            f"{text_from_sats(max(least, 1))} are needed"
        )
