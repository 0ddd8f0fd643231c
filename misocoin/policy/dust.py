"""Dust: outputs that cost more to spend than they hold."""

from misocoin.codec import compact_size
from misocoin.policy.feerate import FeeRate, calculate_fee
from misocoin.primitives.transaction import Transaction, TxOut
from misocoin.script.script import is_unspendable, witness_program
from misocoin.units import Sats

SPEND_SIZE = 148
"""Virtual bytes of an input that spends a P2PKH output: 36 outpoint, 1 length, 107 script,
4 sequence. Taken for every output without witness.
"""

WITNESS_SPEND_SIZE = 67
"""The same with the 107 bytes in the witness, at a quarter (rounded down to 26)."""


def calculate_dust_threshold(txout: TxOut, rate: FeeRate | int) -> Sats:
    """The least value at which this output is no dust: what it costs at `rate` to make and spend.

    0 for outputs that nobody can spend. At 3,000 per kvB: P2PKH 546, P2SH 540, P2WPKH 294,
    P2WSH and P2TR 330.
    """
    script = txout.script_pubkey
    if is_unspendable(script):
        return Sats(0)
    size = 8 + len(compact_size(len(script))) + len(script)
    size += SPEND_SIZE if witness_program(script) is None else WITNESS_SPEND_SIZE
    return calculate_fee(rate, size)


def is_dust(txout: TxOut, rate: FeeRate | int) -> bool:
    """Whether the output holds less than its dust threshold at `rate` (per kvB)."""
    return txout.value < calculate_dust_threshold(txout, rate)


def dust_outputs(tx: Transaction, rate: FeeRate | int) -> tuple[int, ...]:
    """The indices of the transaction's outputs that are dust."""
    return tuple(index for index, txout in enumerate(tx.vout) if is_dust(txout, rate))
