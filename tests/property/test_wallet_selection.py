"""Coin selection against an oracle that tries every set."""

from collections.abc import Iterable
from itertools import chain, combinations

from hypothesis import assume, example, given
from hypothesis import strategies as st

from misocoin.errors import InsufficientFunds, WalletError
from misocoin.policy.feerate import FeeRate
from misocoin.wallet.selection import Candidate, Costs, Selection, select_coins
from tests.builders import make_outpoint

BASE_WEIGHT = 4 * 42 + 2  # one P2WPKH output, marker and flag
CHANGE_WEIGHT = 4 * 31
NO_LIMIT = 400_000

Coins = list[Candidate]

rates = st.integers(0, 200_000).map(FeeRate)
values = st.one_of(
    st.integers(1, 1_000),
    st.integers(1, 100_000),
    st.integers(1, 21 * 10**14),
    st.sampled_from((294, 68_000, 10**8, 15 * 10**8)),
)
weights = st.sampled_from((272, 364, 592, 720))
any_weights = st.integers(164, 2_000)


@st.composite
def coins(draw: st.DrawFn, input_weights: st.SearchStrategy[int] = weights) -> Coins:
    held = draw(st.lists(st.tuples(values, input_weights), min_size=1, max_size=7))
    return [Candidate(make_outpoint(n), *coin) for n, coin in enumerate(held)]


def costs_at(rate: FeeRate, max_weight: int = NO_LIMIT) -> Costs:
    return Costs(rate, BASE_WEIGHT, CHANGE_WEIGHT, 272, 294, max_weight)


def vsize(chosen: Iterable[Candidate], *, change: bool) -> int:
    weight = BASE_WEIGHT + sum(c.input_weight for c in chosen) + change * CHANGE_WEIGHT
    return -(-weight // 4)


def fee_of(chosen: Iterable[Candidate], rate: FeeRate, *, change: bool) -> int:
    return -(-rate * vsize(chosen, change=change) // 1000)


def subsets(held: Coins) -> Iterable[tuple[Candidate, ...]]:
    return chain.from_iterable(combinations(held, n) for n in range(1, len(held) + 1))


def left_after(chosen: Iterable[Candidate], target: int, rate: FeeRate, *, change: bool) -> int:
    chosen = tuple(chosen)
    return sum(c.value for c in chosen) - target - fee_of(chosen, rate, change=change)


def target_near(held: Coins, draw: st.DrawFn, rate: FeeRate) -> int:
    """A target that some of the coins just pay, or just do not."""
    some = draw(st.lists(st.sampled_from(held), unique=True, min_size=1))
    around = left_after(some, 0, rate, change=draw(st.booleans()))
    target = around + draw(st.sampled_from((0, -1, 1, -100, -293, -294, -295, 400, -10_000)))
    assume(target > 0)
    return target


targets = st.one_of(st.integers(1, 200_000), st.integers(1, 21 * 10**14), st.none())


def check(selection: Selection, held: Coins, target: int, costs: Costs) -> None:
    """What holds for every selection."""
    chosen, change, fee = selection
    rate = costs.rate
    assert len(set(chosen)) == len(chosen)
    assert set(chosen) <= set(held)
    assert sum(c.value for c in chosen) == target + change + fee
    if change:
        assert fee == fee_of(chosen, rate, change=True)
        assert change >= 294
        assert change > fee_of_weight(272, rate)
    else:
        due = fee_of(chosen, rate, change=False)
        bound = fee_of_weight(CHANGE_WEIGHT, rate) + max(294, fee_of_weight(272, rate) + 1)
        assert due <= fee <= due + bound


def fee_of_weight(weight: int, rate: FeeRate) -> int:
    return -(-rate * -(-weight // 4) // 1000)


@given(st.data(), coins(), rates, targets)
def test_pays_exactly_or_the_money_is_not_there(
    data: st.DataObject, held: Coins, rate: FeeRate, target: int | None
) -> None:
    if target is None:
        target = target_near(held, data.draw, rate)
    costs = costs_at(rate)
    can_pay = any(left_after(s, target, rate, change=False) >= 0 for s in subsets(held))
    try:
        selection = select_coins(held, target, costs)
    except InsufficientFunds:
        assert not can_pay
    else:
        assert can_pay
        check(selection, held, target, costs)


@given(st.data(), coins(), rates, targets)
def test_selects_no_coin_that_is_not_needed(
    data: st.DataObject, held: Coins, rate: FeeRate, target: int | None
) -> None:
    if target is None:
        target = target_near(held, data.draw, rate)
    try:
        chosen, change, _ = select_coins(held, target, costs_at(rate))
    except InsufficientFunds:
        return
    min_change = max(294, fee_of_weight(272, rate) + 1)
    for coin in chosen:
        rest = [c for c in chosen if c is not coin]
        if change:
            assert left_after(rest, target, rate, change=True) < min_change
        else:
            assert not rest or left_after(rest, target, rate, change=False) < 0


@given(st.data(), coins(), rates, targets)
def test_costs_no_more_than_the_best_set_without_change_or_the_smallest_coin(
    data: st.DataObject, held: Coins, rate: FeeRate, target: int | None
) -> None:
    if target is None:
        target = target_near(held, data.draw, rate)
    spend_change = fee_of_weight(272, rate)
    allowed = fee_of_weight(CHANGE_WEIGHT, rate) + spend_change
    min_change = max(294, spend_change + 1)
    useful = [c for c in held if 4000 * c.value > rate * c.input_weight]
    changeless = [
        sum(c.value for c in s) - target
        for s in subsets(useful)
        if 0 <= left_after(s, target, rate, change=False) <= allowed
        and left_after(s, target, rate, change=True) < min_change
    ]
    alone = [
        fee_of([c], rate, change=True) + spend_change
        for c in useful
        if left_after([c], target, rate, change=True) >= min_change
    ]
    try:
        _, change, fee = select_coins(held, target, costs_at(rate))
    except InsufficientFunds:
        assert not changeless
        assert not alone
        return
    cost = fee + (spend_change if change else 0)
    if changeless:
        assert cost <= min(changeless)
    if alone:
        assert cost <= max(alone)


@given(coins(st.just(272)), rates, st.data())
def test_an_exact_match_makes_no_change(held: Coins, rate: FeeRate, data: st.DataObject) -> None:
    one = data.draw(st.sampled_from(held))
    target = left_after([one], 0, rate, change=False)
    assume(target > 0)
    selection = select_coins(held, target, costs_at(rate))
    assert selection.change == 0
    assert selection.fee <= fee_of([one], rate, change=False)


@given(coins(any_weights), rates, st.integers(1, 21 * 10**14))
def test_other_weights_fail_by_less_than_a_virtual_byte(
    held: Coins, rate: FeeRate, target: int
) -> None:
    # Weights of which four do not make a virtual byte: the size is rounded once, over all.
    vbyte = -(-rate // 1000)
    can_pay = any(left_after(s, target, rate, change=False) >= vbyte for s in subsets(held))
    try:
        selection = select_coins(held, target, costs_at(rate))
    except InsufficientFunds:
        assert not can_pay
    else:
        check(selection, held, target, costs_at(rate))


@given(coins(st.just(272)), rates, st.data(), st.integers(1, 6))
@example([Candidate(make_outpoint(n), 10_000, 272) for n in range(5)], FeeRate(1000), None, 2)
def test_a_full_transaction_holds_the_largest_coins(
    held: Coins, rate: FeeRate, data: st.DataObject | None, room: int
) -> None:
    # Room for so many inputs, and for change beside them but for the last.
    costs = costs_at(rate, BASE_WEIGHT + 272 * room + CHANGE_WEIGHT // 2)
    target = 19_000 if data is None else target_near(held, data.draw, rate)
    min_change = max(294, fee_of_weight(272, rate) + 1)

    def can_pay(chosen: tuple[Candidate, ...]) -> bool:
        with_change = left_after(chosen, target, rate, change=True)
        return (len(chosen) < room and with_change >= min_change) or (
            len(chosen) <= room
            and left_after(chosen, target, rate, change=False) >= 0
            and with_change < min_change
        )

    possible = any(map(can_pay, subsets(held)))
    try:
        selection = select_coins(held, target, costs)
    except WalletError:
        assert not possible
    else:
        assert possible
        check(selection, held, target, costs)
        assert len(selection.coins) <= room - bool(selection.change)


@given(coins(), rates, st.integers(1, 4))
def test_what_the_error_calls_possible_is_possible(held: Coins, rate: FeeRate, room: int) -> None:
    costs = costs_at(rate, BASE_WEIGHT + 272 * room)
    useful = [c for c in held if 4000 * c.value > rate * c.input_weight]
    target = left_after(useful, 0, rate, change=False)
    assume(useful)
    assume(target > 0)
    try:
        selection = select_coins(held, target, costs)
    except InsufficientFunds:
        raise AssertionError from None
    except WalletError as error:
        most = int(str(error).split("at most ")[1].split(" ")[0].replace(".", ""))
        assert most < target
        if most:
            check(select_coins(held, most, costs), held, most, costs)
    else:
        check(selection, held, target, costs)
        assert BASE_WEIGHT + sum(c.input_weight for c in selection.coins) <= costs.max_weight
