"""What a batch of withdrawals pays, and from which coins: pure, exact to the last unit.

Each withdrawal pays its share of the network's fee out of its amount. The coins that go in are
worth the amounts and the change together, so that afterwards the market holds just what its
accounts do.
"""

from collections.abc import Sequence
from typing import NamedTuple

from misocoin.primitives.transaction import OutPoint, Transaction, TxIn, TxOut

MAX_OUTPUTS = 100
"""Withdrawals of one batch."""

MAX_INPUTS = 200
"""Coins that one batch spends."""

LEAST_CHANGE = 546
"""Base units: smaller change would be refused as dust."""

_VERSION = 2
_SEQUENCE = 0xFFFFFFFE
_INPUT_WITNESS = 108
"""Weight of a P2WPKH input's signature and key, lengths included: 1 + 1 + 72 + 1 + 33."""
_SEGWIT_MARK = 2


class Coin(NamedTuple):
    """An output of the chain that is the market's.

    It is P2WPKH, so that the signature that spends it is no part of a payment's id.
    """

    point: OutPoint
    value: int
    script: bytes


class Request(NamedTuple):
    """A withdrawal that waits."""

    number: int
    amount: int
    """Base units that left the account."""
    script: bytes
    """Whom to pay."""


class Batch(NamedTuple):
    """A payment, yet to be signed."""

    tx: Transaction
    coins: tuple[Coin, ...]
    """What it spends, in the order of its inputs."""
    requests: tuple[Request, ...]
    """What it pays, in the order of its first outputs."""
    fee: int
    change: int
    """Base units of the last output; 0 where there is none."""
    given_back: int
    """Base units that the last of the requests does not get, and its account does again."""


def plan_batch(
    waiting: Sequence[Request], coins: Sequence[Coin], rate: int, change_script: bytes
) -> Batch | None:
    """A payment of those that wait, as far as the coins go; None where nothing can be paid.

    `rate` is in base units per 1,000 virtual bytes. Of the requests those are left for another
    time whose share of the fee would be more than half of their amount.
    """
    requests = list(waiting[:MAX_OUTPUTS])
    while requests:
        chosen = _choose(sum(request.amount for request in requests), coins)
        if chosen is None:
            requests.pop()
            continue
        batch = _batch_of(requests, chosen, rate, change_script)
        share = batch.fee // len(requests)
        affordable = [each for each in requests if each.amount >= 2 * share + LEAST_CHANGE]
        if len(affordable) == len(requests):
            return batch
        requests = affordable
    return None


def _choose(amount: int, coins: Sequence[Coin]) -> list[Coin] | None:
    """The largest coins until they suffice, with change that can be paid if more are there."""
    chosen: list[Coin] = []
    total = 0
    for coin in sorted(coins, key=lambda coin: (-coin.value, coin.point))[:MAX_INPUTS]:
        if total == amount or total >= amount + LEAST_CHANGE:
            break
        chosen.append(coin)
        total += coin.value
    return chosen if total >= amount else None


def _batch_of(
    requests: Sequence[Request], coins: Sequence[Coin], rate: int, change_script: bytes
) -> Batch:
    change = sum(coin.value for coin in coins) - sum(request.amount for request in requests)
    given_back = LEAST_CHANGE - change if 0 < change < LEAST_CHANGE else 0
    change += given_back
    vin = [TxIn(coin.point, sequence=_SEQUENCE) for coin in coins]
    amounts = [request.amount for request in requests]
    amounts[-1] -= given_back
    last = [TxOut(change, change_script)] if change else []
    scripts = [request.script for request in requests]
    bare = Transaction.build(_VERSION, vin, [*(TxOut(0, s) for s in scripts), *last], 0)
    weight = bare.weight + _SEGWIT_MARK + _INPUT_WITNESS * len(vin)
    fee = -(-weight * rate // 4000)
    share = -(-fee // len(requests))
    vout = [TxOut(amount - share, s) for amount, s in zip(amounts, scripts, strict=True)]
    return Batch(
        Transaction.build(_VERSION, vin, [*vout, *last], 0),
        tuple(coins),
        tuple(requests),
        share * len(requests),
        change,
        given_back,
    )
