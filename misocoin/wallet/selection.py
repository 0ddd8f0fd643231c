"""Which coins pay: a pure choice over values and weights.

A coin's *effective value* is what it holds less what its input costs at the fee rate. First a
set without change is looked for (branch and bound: Murch, "An Evaluation of Coin Selection
Strategies", 2016), then one that leaves change worth having; at last all that helps.
"""

from collections.abc import Sequence
from typing import NamedTuple

from misocoin.errors import InsufficientFunds
from misocoin.policy.feerate import FeeRate, calculate_fee
from misocoin.primitives.transaction import OutPoint
from misocoin.units import text_from_sats

MAX_TRIES = 20_000
"""Steps of the search for a set without change before it gives up."""


class Candidate(NamedTuple):
    """A coin that may be spent."""

    point: OutPoint
    value: int
    """Base units."""
    input_weight: int
    """Weight units of the input that spends it, signature included."""


class Costs(NamedTuple):
    """What the transaction costs beside its inputs."""

    rate: FeeRate
    base_weight: int
    """Weight units of the transaction without inputs and change."""
    change_weight: int
    """Weight units of a change output."""
    change_spend_weight: int
    """Weight units of the input that will spend the change."""
    dust: int
    """Change below this many base units is not made."""

    def fee(self, weight: int) -> int:
        """The fee for so many weight units, in base units."""
        return calculate_fee(self.rate, (weight + 3) // 4)


class Selection(NamedTuple):
    """The coins to spend and what becomes of the rest."""

    coins: tuple[Candidate, ...]
    change: int
    """Base units that come back; 0 for no change output."""
    fee: int
    """Base units; at least the rate's, and more by less than a change output is worth."""


def select_coins(candidates: Sequence[Candidate], target: int, costs: Costs) -> Selection:
    """Choose coins that pay `target` base units and the fee.

    Never fails while coins whose input is worth its fee can pay. Raises InsufficientFunds.
    """
    useful = sorted(
        (coin for coin in candidates if _effective(coin, costs) > 0),
        key=lambda coin: (-_effective(coin, costs), coin.point),
    )
    exact = _without_change(useful, target, costs)
    if exact is not None:
        return _settle(exact, target, costs)
    needed = target + costs.dust
    for coin in reversed(useful):  # the smallest that does it alone
        if coin.value >= needed + _fee([coin], costs, change=True):
            return _settle([coin], target, costs)
    chosen: list[Candidate] = []
    total = 0
    for coin in useful:
        chosen.append(coin)
        total += coin.value
        if total >= needed + _fee(chosen, costs, change=True):
            return _settle(chosen, target, costs)
    fee = _fee(chosen, costs, change=False)
    if total >= target + fee:
        return _settle(chosen, target, costs)
    raise InsufficientFunds(
        f"Insufficient funds: {text_from_sats(target)} and a fee of {text_from_sats(fee)} are "
        f"needed, {text_from_sats(total)} can be spent"
    )


def _effective(coin: Candidate, costs: Costs) -> int:
    return coin.value - costs.fee(coin.input_weight)


def _fee(coins: Sequence[Candidate], costs: Costs, *, change: bool) -> int:
    weight = costs.base_weight + sum(coin.input_weight for coin in coins)
    return costs.fee(weight + (costs.change_weight if change else 0))


def _settle(coins: Sequence[Candidate], target: int, costs: Costs) -> Selection:
    """Make change of what is left if it is worth it, else leave it to the fee."""
    total = sum(coin.value for coin in coins)
    change = total - target - _fee(coins, costs, change=True)
    worth = max(costs.dust, costs.fee(costs.change_spend_weight) + 1)
    if change < worth:
        change = 0
    return Selection(tuple(coins), change, total - target - change)


def _without_change(
    coins: Sequence[Candidate], target: int, costs: Costs
) -> tuple[Candidate, ...] | None:
    """A set whose rest is less than making and spending change would cost; the least rest wins."""
    low = target + costs.fee(costs.base_weight)
    high = low + costs.fee(costs.change_weight) + costs.fee(costs.change_spend_weight)
    values = [_effective(coin, costs) for coin in coins]
    remaining = sum(values)
    if remaining < low:
        return None
    best: tuple[int, tuple[int, ...]] | None = None
    chosen: list[int] = []
    total = 0
    at = 0
    for _ in range(MAX_TRIES):
        dead_end = total + remaining < low or total > high or at == len(values)
        if low <= total <= high and (best is None or total < best[0]):
            best = (total, tuple(chosen))
            if total == low:
                break
        if dead_end or total >= low:
            # Back to the last coin taken, which is left out this time.
            while chosen and at - 1 != chosen[-1]:
                at -= 1
                remaining += values[at]
            if not chosen:
                break
            total -= values[chosen.pop()]
            continue
        remaining -= values[at]
        # The twin of a coin just left out would lead to the same sums.
        if not (at and values[at] == values[at - 1] and (not chosen or chosen[-1] != at - 1)):
            chosen.append(at)
            total += values[at]
        at += 1
    return None if best is None else tuple(coins[index] for index in best[1])
