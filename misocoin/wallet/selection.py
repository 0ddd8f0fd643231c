"""Which coins pay: a pure choice over values and weights.

A coin's *effective value* is what it holds less what its input costs at the fee rate; a coin
without any is never spent. Two choices are made, and the cheaper is taken, counting what it will
cost to spend the change:

- A set that needs no change, found by branch and bound (Murch, "An Evaluation of Coin Selection
  Strategies", 2016): what is left over is less than making and spending change would cost.
- A set that leaves change worth having: the smallest coin that does so alone, else the largest
  coins, which are the fewest. Where no set leaves enough, the rest goes to the fee.

Where the largest coins do not fit into one transaction, those that hold most for their weight are
tried.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate
from operator import attrgetter
from typing import NamedTuple, NoReturn

from misocoin.errors import InsufficientFunds, WalletError
from misocoin.policy.feerate import KILO_VBYTE, FeeRate, calculate_fee
from misocoin.policy.standard import MAX_STANDARD_WEIGHT
from misocoin.primitives.transaction import OutPoint
from misocoin.units import text_from_sats

MAX_TRIES = 20_000
"""Steps of the search for a set without change before it gives up."""

SCALE = 4 * KILO_VBYTE
"""Effective values are held in this part of a base unit, in which they are whole numbers: a rate
is per 1,000 virtual bytes, which are 4,000 weight units.
"""

_SHORT_COUNT = 252  # inputs whose number fits one byte; beyond it takes three
_LONG_COUNT_WEIGHT = 4 * 2


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
    max_weight: int = MAX_STANDARD_WEIGHT
    """Weight units of the whole transaction at most."""

    def fee(self, weight: int) -> int:
        """The fee for so many weight units, in base units."""
        return calculate_fee(self.rate, (weight + 3) // 4)

    @property
    def min_change(self) -> int:
        """The least change that is made: no dust, and worth more than spending it costs."""
        return max(self.dust, self.fee(self.change_spend_weight) + 1)

    def weight(self, inputs: int, input_weight: int, *, change: bool) -> int:
        """Weight units of a transaction with so many inputs of that weight together."""
        count_weight = _LONG_COUNT_WEIGHT if inputs > _SHORT_COUNT else 0
        change_weight = self.change_weight if change else 0
        return self.base_weight + input_weight + count_weight + change_weight


class Selection(NamedTuple):
    """The coins to spend and what becomes of the rest."""

    coins: tuple[Candidate, ...]
    change: int
    """Base units that come back; 0 for no change output."""
    fee: int
    """Base units: exactly the rate's with change. Without, there is more by less than what a
    change output would cost and `Costs.min_change` together.
    """


class _Coin(NamedTuple):
    """A candidate and what it adds."""

    effective: int
    """In `SCALE`, without the fee's rounding."""
    value: int
    weight: int
    candidate: Candidate


class _Totals(NamedTuple):
    """Coins taken together."""

    inputs: int
    value: int
    weight: int

    def plus(self, coin: _Coin) -> "_Totals":
        return _Totals(self.inputs + 1, self.value + coin.value, self.weight + coin.weight)

    def minus(self, coin: _Coin) -> "_Totals":
        return _Totals(self.inputs - 1, self.value - coin.value, self.weight - coin.weight)

    def rest(self, target: int, costs: Costs, *, change: bool) -> int:
        """What is left when target and fee are paid; negative where they cannot be."""
        return self.value - target - costs.fee(self.whole_weight(costs, change=change))

    def whole_weight(self, costs: Costs, *, change: bool) -> int:
        return costs.weight(self.inputs, self.weight, change=change)

    def change(self, target: int, costs: Costs) -> int:
        """What comes back: the rest if it is worth an output, else nothing."""
        rest = self.rest(target, costs, change=True)
        return rest if rest >= costs.min_change else 0

    def pays_with_change(self, target: int, costs: Costs) -> bool:
        return (
            self.rest(target, costs, change=True) >= costs.min_change
            and self.whole_weight(costs, change=True) <= costs.max_weight
        )

    def pays_without_change(self, target: int, costs: Costs) -> bool:
        """Whether it pays and no change worth having is left."""
        return (
            self.rest(target, costs, change=False) >= 0
            and self.rest(target, costs, change=True) < costs.min_change
            and self.whole_weight(costs, change=False) <= costs.max_weight
        )


_NOTHING = _Totals(0, 0, 0)


def select_coins(candidates: Iterable[Candidate], target: int, costs: Costs) -> Selection:
    """Choose coins that pay `target` base units and the fee.

    Never fails while coins whose input is worth its fee can pay. Raises InsufficientFunds, or
    WalletError where the coins are there but too many for one transaction.
    """
    rate = costs.rate
    coins = [
        _Coin(SCALE * value - rate * weight, value, weight, candidate)
        for candidate in candidates
        for _, value, weight in (candidate,)
        if SCALE * value > rate * weight
    ]
    coins.sort(key=attrgetter("effective"), reverse=True)
    cost_of_change = costs.fee(costs.change_weight) + costs.fee(costs.change_spend_weight)
    choices = (
        _search_without_change(coins, target, costs, cost_of_change),
        _smallest_alone(coins, target, costs) or _first_that_pay(coins, target, costs),
    )
    possible = [choice for choice in choices if choice]
    if not possible and _is_too_heavy(coins, costs):
        possible = [choice for choice in (_lightest(coins, target, costs),) if choice]
    if not possible:
        _raise_insufficient(coins, target, costs)
    chosen = min(possible, key=lambda choice: _cost(choice, target, costs))
    totals = _sum(chosen)
    change = totals.change(target, costs)
    picked = tuple(coin.candidate for coin in chosen)
    return Selection(picked, change, totals.value - target - change)


def _cost(coins: Sequence[_Coin], target: int, costs: Costs) -> int:
    """What a choice costs beyond the target, now and when its change is spent."""
    totals = _sum(coins)
    change = totals.change(target, costs)
    later = costs.fee(costs.change_spend_weight) if change else 0
    return totals.value - target - change + later


def _sum(coins: Sequence[_Coin]) -> _Totals:
    value = sum([coin.value for coin in coins])
    return _Totals(len(coins), value, sum([coin.weight for coin in coins]))


def _smallest_alone(coins: Sequence[_Coin], target: int, costs: Costs) -> Sequence[_Coin]:
    """The coin of least effective value that pays alone and leaves change."""
    needed = SCALE * (target + costs.min_change)
    needed += costs.rate * (costs.base_weight + costs.change_weight)
    # The coins come largest first; those behind `end` have less than what is needed.
    end = bisect_right(coins, -needed, key=lambda coin: -coin.effective)
    for coin in reversed(coins[:end]):
        if _NOTHING.plus(coin).pays_with_change(target, costs):
            return (coin,)
    return ()


def _first_that_pay(coins: Sequence[_Coin], target: int, costs: Costs) -> Sequence[_Coin]:
    """The shortest beginning of `coins` that pays and leaves change, else that pays at all."""
    without_change = 0
    totals = _NOTHING
    for coin in coins:
        totals = totals.plus(coin)
        if totals.whole_weight(costs, change=False) > costs.max_weight:
            break
        if totals.value < target:
            continue
        if totals.pays_with_change(target, costs):
            return coins[: totals.inputs]
        if not without_change and totals.pays_without_change(target, costs):
            without_change = totals.inputs
    return coins[:without_change]


def _lightest(coins: Sequence[_Coin], target: int, costs: Costs) -> Sequence[_Coin]:
    """What may still work where the largest coins are too heavy for one transaction."""
    dense = _densest_first(coins)
    chosen = list(_first_that_pay(dense, target, costs))
    totals = _sum(chosen)
    for coin in sorted(chosen):  # the last may have made some of those before it needless
        less = totals.minus(coin)
        if less.pays_with_change(target, costs) or less.pays_without_change(target, costs):
            chosen.remove(coin)
            totals = less
    if chosen:
        return chosen
    most_left = costs.fee(costs.change_weight) + costs.min_change + 1
    return _search_without_change(coins, target, costs, most_left)


def _is_too_heavy(coins: Sequence[_Coin], costs: Costs) -> bool:
    return _sum(coins).whole_weight(costs, change=True) > costs.max_weight


def _densest_first(coins: Sequence[_Coin]) -> list[_Coin]:
    return sorted(coins, key=lambda coin: (coin.effective / coin.weight, coin), reverse=True)


def _raise_insufficient(coins: Sequence[_Coin], target: int, costs: Costs) -> NoReturn:
    totals = _sum(coins)
    if totals.rest(target, costs, change=False) >= 0:
        most = max(_most_at_once(coins, costs), _most_at_once(_densest_first(coins), costs))
        raise WalletError(
            f"{text_from_sats(target)} would take more coins than fit into one transaction: "
            f"at most {text_from_sats(most)} can be sent at once"
        )
    fee = costs.fee(totals.whole_weight(costs, change=False))
    raise InsufficientFunds(
        f"Insufficient funds: {text_from_sats(target)} and a fee of {text_from_sats(fee)} are "
        f"needed, {text_from_sats(totals.value)} can be spent"
    )


def _most_at_once(coins: Sequence[_Coin], costs: Costs) -> int:
    """What one transaction can pay with as many of the first coins as fit."""
    totals = _NOTHING
    for coin in coins:
        more = totals.plus(coin)
        if more.whole_weight(costs, change=False) > costs.max_weight:
            break
        totals = more
    return max(0, totals.rest(0, costs, change=False))


def _search_without_change(
    coins: Sequence[_Coin], target: int, costs: Costs, most_left: int
) -> Sequence[_Coin]:
    """The cheapest set that pays and leaves no change, and at most `most_left` to the fee.

    Depth first, largest coins first. Of coins that are alike only the first ones are tried: others
    would come to the same sums. The set of least value costs least: all beyond the target is fee.
    """
    low = SCALE * target + costs.rate * costs.base_weight
    # What is more than that leaves too much even if all roundings of the fee are in its favour.
    high = low + SCALE * (most_left + 1) + costs.rate * (_LONG_COUNT_WEIGHT + 4)
    coins = coins[bisect_left(coins, -high, key=lambda coin: -coin.effective) :]
    values = [coin.effective for coin in coins]
    sums = [*accumulate(reversed(values), initial=0)][::-1]  # of all coins from a place on
    next_other = _next_others(coins)
    best: list[int] = []
    best_value = 0
    chosen: list[int] = []
    totals = _NOTHING
    effective = at = 0
    for _ in range(MAX_TRIES):
        is_dead_end = effective + sums[at] < low
        if effective >= low:
            left = totals.rest(target, costs, change=False)
            is_dead_end = left >= 0 or at == len(coins)
            if (
                left <= most_left
                and (not best or totals.value < best_value)
                and totals.pays_without_change(target, costs)
            ):
                best, best_value = chosen.copy(), totals.value
        if not is_dead_end:
            chosen.append(at)
            totals = totals.plus(coins[at])
            effective += values[at]
            at += 1
            continue
        if not chosen:
            break
        at = chosen.pop()  # the last coin taken is left out this time, and all like it
        totals = totals.minus(coins[at])
        effective -= values[at]
        at = next_other[at]
    return [coins[index] for index in best]


def _next_others(coins: Sequence[_Coin]) -> list[int]:
    """For each coin the place of the next one with another value or weight."""
    others = [len(coins)] * len(coins)
    for place in range(len(coins) - 2, -1, -1):
        is_alike = coins[place][:3] == coins[place + 1][:3]
        others[place] = others[place + 1] if is_alike else place + 1
    return others
