"""Paying for a transaction with coins, some of them chosen by its maker: pure.

The fee is at the asked rate, paid by the sender or, in equal parts, by some of the outputs
(Core's "subtract fee from"). What is left over becomes change where that is worth an output.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import SystemRandom
from types import MappingProxyType
from typing import NamedTuple

from misocoin.errors import InsufficientFunds, WalletError
from misocoin.policy.dust import calculate_dust_threshold
from misocoin.policy.feerate import FeeRate
from misocoin.policy.standard import MAX_STANDARD_WEIGHT
from misocoin.primitives.transaction import SEQUENCE_REPLACEABLE, OutPoint, Transaction, TxIn, TxOut
from misocoin.wallet.ledger import OwnCoin
from misocoin.wallet.selection import Candidate, Costs, Selection, select_coins
from misocoin.wallet.spending import (
    DUST_RATE,
    Plan,
    check_fee,
    check_rate,
    costs_of,
)

NOT_COVERED = (
    "The preselected coins total amount does not cover the transaction target. Please allow other "
    "inputs to be automatically selected or include more coins manually"
)

NOTHING_LEFT = "The transaction amount is too small to pay the fee"

AFTER_FEE = "The transaction amount is too small to send after the fee has been deducted"

TOO_HEAVY = (
    "The inputs size exceeds the maximum weight. Please try sending a smaller amount or manually "
    "consolidating your wallet's UTXOs"
)


def _no_sequences() -> Mapping[OutPoint, int]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How a transaction is to be paid for."""

    rate: FeeRate
    preset: tuple[OwnCoin, ...] = ()
    """Coins that it spends in any case, in their order."""
    may_add: bool = True
    """Whether other coins may be spent, too."""
    reducible: frozenset[int] = frozenset()
    """The outputs that pay the fee; none for the sender."""
    change_place: int | None = None
    """Before which output change stands; None for any place."""
    version: int = 2
    locktime: int = 0
    sequence: int = SEQUENCE_REPLACEABLE
    """Of inputs that are added."""
    sequences: Mapping[OutPoint, int] = field(default_factory=_no_sequences)
    """Of others."""
    max_weight: int = MAX_STANDARD_WEIGHT
    """Weight units of the whole, signed."""


class Funded(NamedTuple):
    """A plan, and where its change is."""

    plan: Plan
    change_place: int | None
    """Which output is change; None if none is."""


def fund(
    outputs: Sequence[TxOut],
    coins: Sequence[OwnCoin],
    input_weight: Callable[[bytes], int],
    change_script: bytes,
    change_weight: int,
    terms: Terms,
) -> Funded:
    """Choose from `coins` beside those of the terms to pay `outputs`.

    `input_weight` answers the weight of an input that spends a script, `change_weight` is what
    spending the change will weigh. Raises InsufficientFunds or another WalletError.
    """
    check_rate(terms.rate)
    taken = {coin.point for coin in terms.preset}
    candidates = [
        Candidate(coin.point, coin.value, input_weight(coin.script_pubkey))
        for coin in coins
        if coin.point not in taken
    ]
    weight = sum([input_weight(coin.script_pubkey) for coin in terms.preset])
    costs = costs_of(outputs, change_weight, change_script, terms.rate, terms.locktime)
    costs = costs._replace(base_weight=costs.base_weight + weight, max_weight=terms.max_weight)
    selection = _selection(outputs, candidates, costs, terms)
    whole = costs.weight(
        len(selection.coins),
        sum([coin.input_weight for coin in selection.coins]),
        change=bool(selection.change),
    )
    if whole > terms.max_weight:
        raise WalletError(TOO_HEAVY)
    if terms.reducible:
        fee = costs.fee(whole)
        outputs = less_by(outputs, terms.reducible, max(0, fee - selection.fee))
        selection = selection._replace(fee=max(fee, selection.fee))
    check_fee(selection.fee)
    return _assembled(outputs, coins, selection, change_script, terms)


def _selection(
    outputs: Sequence[TxOut], candidates: Sequence[Candidate], costs: Costs, terms: Terms
) -> Selection:
    """What is added to the preset coins; its fee is what they all leave beside outputs and change.

    Outputs that pay the fee have it still: then coins are chosen as if there were none.
    """
    if terms.reducible:
        costs = costs._replace(rate=FeeRate(0))
    target = sum([output.value for output in outputs])
    target -= sum([coin.value for coin in terms.preset])
    if terms.preset:
        spare = -target
        change = spare - costs.fee(costs.weight(0, 0, change=True))
        if change >= costs.min_change:
            return Selection((), change, spare - change)
        if spare >= costs.fee(costs.weight(0, 0, change=False)):
            return Selection((), 0, spare)
    if not terms.may_add:
        raise InsufficientFunds(NOT_COVERED)
    return select_coins(candidates, target, costs)


def less_by(outputs: Sequence[TxOut], reducible: frozenset[int], fee: int) -> list[TxOut]:
    """The outputs with a fee taken from some of them in equal parts, the rest from the first.

    Raises WalletError where one of them has too little.
    """
    part, rest = divmod(fee, len(reducible))
    first = min(reducible)
    reduced = list(outputs)
    for place in reducible:
        value, script = outputs[place]
        value -= part + (rest if place == first else 0)
        if value < 0:
            raise WalletError(NOTHING_LEFT)
        reduced[place] = TxOut(value, script)
        if value < calculate_dust_threshold(reduced[place], DUST_RATE):
            raise WalletError(AFTER_FEE)
    return reduced


def _assembled(
    outputs: Sequence[TxOut],
    coins: Sequence[OwnCoin],
    selection: Selection,
    change_script: bytes,
    terms: Terms,
) -> Funded:
    shuffle = SystemRandom()
    vout, place = list(outputs), None
    if selection.change:
        # At a random place, so that its position does not tell which output is the change.
        place = terms.change_place
        place = shuffle.randrange(len(vout) + 1) if place is None else place
        vout.insert(place, TxOut(selection.change, change_script))
    added = [coin.point for coin in selection.coins]
    shuffle.shuffle(added)
    points = [*[coin.point for coin in terms.preset], *added]
    vin = [TxIn(point, sequence=terms.sequences.get(point, terms.sequence)) for point in points]
    by_point = {coin.point: TxOut(coin.value, coin.script_pubkey) for coin in coins}
    by_point |= {coin.point: TxOut(coin.value, coin.script_pubkey) for coin in terms.preset}
    tx = Transaction.build(terms.version, vin, vout, terms.locktime)
    spent = tuple([by_point[point] for point in points])
    return Funded(Plan(tx, spent, selection.fee, selection.change), place)
