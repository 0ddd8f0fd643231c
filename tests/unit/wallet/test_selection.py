"""Coin selection, case by case; property tests hold it to an oracle."""

import pytest

from misocoin.errors import InsufficientFunds
from misocoin.policy.feerate import FeeRate
from misocoin.wallet.selection import Candidate, Costs, Selection, select_coins
from tests.builders import make_outpoint

BASE = 4 * 42 + 2  # 43 virtual bytes once rounded up with whole inputs
INPUT = 272
RATE = FeeRate(1_000)


def costs(rate: FeeRate = RATE, max_weight: int = 400_000) -> Costs:
    return Costs(rate, BASE, 4 * 31, INPUT, 294, max_weight)


def coins(*values: int, weight: int = INPUT, start: int = 0) -> list[Candidate]:
    return [Candidate(make_outpoint(start + n), v, weight) for n, v in enumerate(values)]


def values(selection: Selection) -> list[int]:
    return sorted(coin.value for coin in selection.coins)


def test_nothing_to_choose_from() -> None:
    with pytest.raises(InsufficientFunds, match=r"0\.00000000 can be spent"):
        select_coins([], 1, costs())


def test_one_coin_and_change() -> None:
    (coin,) = coins(100_000)
    assert select_coins([coin], 50_000, costs()) == Selection((coin,), 50_000 - 142, 142)


def test_an_exact_pair_before_change() -> None:
    held = coins(30_000, 20_000, 500_000, 17_000)
    selection = select_coins(held, 50_000 - 179, costs())
    assert (values(selection), selection.change, selection.fee) == ([20_000, 30_000], 0, 179)


def test_many_small_coins_do_not_replace_change_that_is_cheaper() -> None:
    held = coins(*[10_000] * 20, 900_000)
    target = 10 * 10_000 - 43 - 10 * 68  # ten of the small ones match to the last unit
    selection = select_coins(held, target, costs())
    assert values(selection) == [900_000]
    assert selection.change > 0


def test_a_little_left_over_is_better_than_change_that_costs_more_later() -> None:
    held = coins(50_000, 500_000)
    target = 50_000 - 111 - 50  # 50 would be lost; change costs 31 now and 68 when it is spent
    selection = select_coins(held, target, costs())
    assert (values(selection), selection.change, selection.fee) == ([50_000], 0, 161)


def test_the_smallest_coin_that_does_it() -> None:
    held = coins(90_000, 70_000, 10_000, 80_000)
    assert values(select_coins(held, 60_000, costs())) == [70_000]


def test_the_largest_coins_where_one_is_not_enough() -> None:
    held = coins(10_000, 40_000, 20_000, 30_000, 5_000)
    assert values(select_coins(held, 65_000, costs())) == [30_000, 40_000]


def test_no_more_coins_where_they_make_no_change() -> None:
    held = coins(50_000, 69, 69, 69)  # each adds one unit over what its input costs
    selection = select_coins(held, 50_000 - 111 - 200, costs())
    assert (values(selection), selection.change, selection.fee) == ([50_000], 0, 311)


def test_a_coin_not_worth_its_input_is_not_touched() -> None:
    held = coins(50_000, 68)
    selection = select_coins(held, 49_000, costs())
    assert values(selection) == [50_000]


def test_a_free_transaction() -> None:
    selection = select_coins(coins(1, 2, 3), 6, costs(FeeRate(0)))
    assert (values(selection), selection.change, selection.fee) == ([1, 2, 3], 0, 0)


@pytest.mark.parametrize(("count", "vsize"), [(252, 43 + 252 * 68), (253, 43 + 2 + 253 * 68)])
def test_the_count_of_inputs_takes_two_bytes_more_from_253_on(count: int, vsize: int) -> None:
    held = coins(*[1_000] * 300)
    selection = select_coins(held, count * 1_000 - vsize, costs())
    assert len(selection.coins) == count
    assert (selection.change, selection.fee) == (0, vsize)


def test_coins_that_the_last_made_needless_are_left_out() -> None:
    # The first in value does not fit; by value for their weight the small ones come first.
    held = [
        *coins(1_000, 1_000, 1_000, weight=40),
        *coins(50_000, weight=4_000, start=10),
        *coins(60_000, weight=40_000, start=20),
    ]
    selection = select_coins(held, 51_500, costs(FeeRate(0), max_weight=10_000))
    assert (values(selection), selection.change) == ([1_000, 1_000, 50_000], 500)
