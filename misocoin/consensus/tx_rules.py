"""What a transaction must hold, in Core's order and with Core's reject strings.

*Sanity* looks at the transaction alone, *context* at the block it would stand in, *inputs* at the
coins it spends. Scripts are checked apart (`misocoin/script`).
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from misocoin.consensus.coins import Coin
from misocoin.errors import MissingInputsError, ValidationError
from misocoin.params import Params
from misocoin.primitives.transaction import NULL_OUTPOINT, SEQUENCE_FINAL, Transaction
from misocoin.script import flags as verify
from misocoin.script.sigops import count_p2sh_sigops, count_sigops, count_witness_sigops
from misocoin.units import Sats, core_text_from_sats

MAX_BLOCK_WEIGHT = 4_000_000
"""Weight units (BIP141)."""

WITNESS_SCALE_FACTOR = 4
"""Weight units of a byte outside the witness (BIP141)."""

MAX_BLOCK_SIGOPS_COST = 80_000
"""Signature operations of a block, one outside the witness counting four (BIP141)."""

LOCKTIME_THRESHOLD = 500_000_000
"""Lock times below are heights, from here on unix times."""

SEQUENCE_LOCKTIME_DISABLE_FLAG = 1 << 31
"""In an input's sequence: no relative lock time (BIP68)."""

SEQUENCE_LOCKTIME_TYPE_FLAG = 1 << 22
"""In an input's sequence: the lock counts 512 seconds, not blocks (BIP68)."""

SEQUENCE_LOCKTIME_MASK = 0x0000FFFF
"""The bits of an input's sequence that hold a relative lock time (BIP68)."""

SEQUENCE_LOCKTIME_GRANULARITY = 9
"""A time lock's unit is 2**9 = 512 seconds (BIP68)."""

_HASH160_OPCODE = b"\xa9"  # how every P2SH output begins
_LAST_VERSION_OPCODE = b"\x60"  # OP_16: how witness programs begin at most


def check_transaction(tx: Transaction, params: Params) -> None:
    """Check what can be seen in the transaction alone; raises ValidationError."""
    if not tx.vin:
        raise ValidationError("bad-txns-vin-empty")
    if not tx.vout:
        raise ValidationError("bad-txns-vout-empty")
    if tx.stripped_size * WITNESS_SCALE_FACTOR > MAX_BLOCK_WEIGHT:
        raise ValidationError("bad-txns-oversize")
    total = 0
    for value, _ in tx.vout:
        if value < 0:
            raise ValidationError("bad-txns-vout-negative")
        if value > params.max_money:
            raise ValidationError("bad-txns-vout-toolarge")
        total += value
        if total > params.max_money:
            raise ValidationError("bad-txns-txouttotal-toolarge")
    if len(tx.vin) > 1 and len({txin.prevout for txin in tx.vin}) != len(tx.vin):
        raise ValidationError("bad-txns-inputs-duplicate")
    if tx.is_coinbase:
        if not 2 <= len(tx.vin[0].script_sig) <= 100:
            raise ValidationError("bad-cb-length")
    elif any(txin.prevout == NULL_OUTPOINT for txin in tx.vin):
        raise ValidationError("bad-txns-prevout-null")


def is_final(tx: Transaction, height: int, time: int) -> bool:
    """Whether the lock time lets `tx` into a block of `height` whose cutoff is `time`.

    The cutoff is the median time past of the parent (BIP113), or the block's own time before.
    """
    if tx.locktime == 0:
        return True
    cutoff = height if tx.locktime < LOCKTIME_THRESHOLD else time
    if tx.locktime < cutoff:
        return True
    return all(txin.sequence == SEQUENCE_FINAL for txin in tx.vin)


class SequenceLocks(NamedTuple):
    """The last height and median time past at which a transaction is still locked (BIP68)."""

    height: int
    time: int


NO_LOCKS = SequenceLocks(-1, -1)


def calculate_sequence_locks(
    tx: Transaction, coin_heights: Sequence[int], median_time_past_at: Callable[[int], int]
) -> SequenceLocks:
    """The relative locks of a transaction (BIP68).

    `coin_heights` are those of the spent coins, in order of the inputs (for a coin of the
    mempool: the next block's); `median_time_past_at(height)` answers for the branch in question.
    """
    if tx.version & 0xFFFFFFFF < 2:
        return NO_LOCKS
    min_height = min_time = -1
    for txin, coin_height in zip(tx.vin, coin_heights, strict=True):
        if txin.sequence & SEQUENCE_LOCKTIME_DISABLE_FLAG:
            continue
        value = txin.sequence & SEQUENCE_LOCKTIME_MASK
        if txin.sequence & SEQUENCE_LOCKTIME_TYPE_FLAG:
            start = median_time_past_at(max(coin_height - 1, 0))
            min_time = max(min_time, start + (value << SEQUENCE_LOCKTIME_GRANULARITY) - 1)
        else:
            min_height = max(min_height, coin_height + value - 1)
    return SequenceLocks(min_height, min_time)


def are_locks_met(locks: SequenceLocks, height: int, median_time_past: int) -> bool:
    """Whether a block of `height` on a parent of `median_time_past` may hold the transaction."""
    return locks.height < height and locks.time < median_time_past


def check_inputs(
    tx: Transaction, coins: Sequence[Coin | None], height: int, params: Params
) -> Sats:
    """Check maturity and amounts against the spent coins and return the fee in base units.

    `coins` are in order of the inputs, None where unknown or spent; `height` is that of the
    block the transaction would stand in. Raises MissingInputsError or ValidationError.
    """
    found = [coin for coin in coins if coin is not None]
    if len(found) != len(coins):
        raise MissingInputsError("bad-txns-inputs-missingorspent")
    total = 0
    for value, _, coin_height, is_coinbase in found:
        if is_coinbase and height - coin_height < params.coinbase_maturity:
            raise ValidationError(
                "bad-txns-premature-spend-of-coinbase",
                f"tried to spend coinbase at depth {height - coin_height}",
            )
        total += value
        if value < 0 or total > params.max_money:
            raise ValidationError("bad-txns-inputvalues-outofrange")
    spent = sum([txout.value for txout in tx.vout])
    if total < spent:
        raise ValidationError(
            "bad-txns-in-belowout",
            f"value in ({core_text_from_sats(total)}) < value out ({core_text_from_sats(spent)})",
        )
    return Sats(total - spent)


def count_legacy_sigops(tx: Transaction) -> int:
    """Signature operations as counted before P2SH: all scripts, multisig as 20."""
    total = 0
    for txin in tx.vin:
        if txin.script_sig:
            total += count_sigops(txin.script_sig, accurate=False)
    for txout in tx.vout:
        total += count_sigops(txout.script_pubkey, accurate=False)
    return total


def calculate_sigop_cost(tx: Transaction, coins: Sequence[Coin], flags: int) -> int:
    """Signature operations against MAX_BLOCK_SIGOPS_COST (BIP141); coins in order of inputs."""
    cost = count_legacy_sigops(tx) * WITNESS_SCALE_FACTOR
    if tx.is_coinbase:
        return cost
    for txin, coin in zip(tx.vin, coins, strict=True):
        script = coin.script_pubkey
        nested = script[:1] == _HASH160_OPCODE and flags & verify.P2SH
        if nested:
            cost += count_p2sh_sigops(txin.script_sig, script) * WITNESS_SCALE_FACTOR
        if flags & verify.WITNESS and (nested or script[:1] <= _LAST_VERSION_OPCODE):
            cost += count_witness_sigops(txin.script_sig, script, txin.witness)
    return cost
