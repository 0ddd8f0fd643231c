"""Paying for drafts: nothing is lost, the rate is met, and outputs get what they should."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from misocoin.errors import WalletError
from misocoin.policy.dust import calculate_dust_threshold
from misocoin.policy.feerate import FeeRate, calculate_fee
from misocoin.primitives.transaction import Transaction, TxOut, outpoint
from misocoin.script.templates import p2wpkh_script
from misocoin.wallet.addresses import AddressType, input_weight
from misocoin.wallet.funding import Terms, fund
from misocoin.wallet.ledger import OwnCoin
from misocoin.wallet.spending import DUST_RATE, MAX_FEE

OWN, CHANGE, OTHER = (p2wpkh_script(bytes([n]) * 20) for n in (1, 2, 3))
WEIGHT = input_weight(AddressType.BECH32)


def coin(number: int, value: int) -> OwnCoin:
    return OwnCoin(outpoint(bytes([number]) * 32, 0), value, OWN, 1, False, True)


values = st.integers(400, 5_000_000)


@given(
    st.lists(values, min_size=1, max_size=8),
    st.integers(0, 3),
    st.lists(values, min_size=1, max_size=4),
    st.sets(st.integers(0, 3)),
    st.integers(0, 50_000),
    st.booleans(),
)
def test_a_draft_is_paid_for_or_refused(
    held: list[int], preset: int, paid: list[int], places: set[int], rate: int, may_add: bool
) -> None:
    coins = [coin(number, value) for number, value in enumerate(held)]
    outputs = [TxOut(value, OTHER) for value in paid]
    reducible = frozenset(place for place in places if place < len(outputs))
    terms = Terms(
        rate=FeeRate(rate), preset=tuple(coins[:preset]), may_add=may_add, reducible=reducible
    )
    try:
        plan, place = fund(outputs, coins, lambda _script: WEIGHT, CHANGE, WEIGHT, terms)
    except WalletError:
        return
    vout = list(plan.tx.vout)
    # Nothing is lost, and each coin is spent once, those that were named first.
    assert sum(out.value for out in plan.spent) == sum(out.value for out in vout) + plan.fee
    points = [txin.prevout for txin in plan.tx.vin]
    assert len(set(points)) == len(points)
    assert points[: len(terms.preset)] == [each.point for each in terms.preset]
    assert may_add or len(points) == len(terms.preset)
    # The change is where it is said to be, and worth having.
    if place is not None:
        change = vout.pop(place)
        assert change == TxOut(plan.change, CHANGE)
        assert change.value >= calculate_dust_threshold(change, DUST_RATE)
    # Others get what was asked for, less the fee where they pay it.
    less = [before.value - after.value for before, after in zip(outputs, vout, strict=True)]
    assert all(value >= 0 for value in less)
    assert all(value == 0 for at, value in enumerate(less) if at not in reducible)
    assert sum(less) <= plan.fee <= MAX_FEE
    # The rate is met.
    bare = Transaction.build(2, (), plan.tx.vout, 0)
    vsize = (bare.weight + 2 + WEIGHT * len(points) + 3) // 4
    assert plan.fee >= calculate_fee(FeeRate(rate), vsize)


def test_the_first_payer_of_the_fee_pays_what_cannot_be_divided() -> None:
    outputs = [TxOut(100_000, OTHER), TxOut(100_000, OTHER)]
    terms = Terms(rate=FeeRate(1_001), reducible=frozenset({0, 1}), change_place=2)
    plan, place = fund(outputs, [coin(1, 5_000_000)], lambda _script: WEIGHT, CHANGE, WEIGHT, terms)
    first, second, change = (out.value for out in plan.tx.vout)
    assert (place, change) == (2, 4_800_000)
    assert first + second + plan.fee == 200_000
    assert 0 <= second - first <= 1


def test_too_heavy_a_transaction_is_refused() -> None:
    terms = Terms(rate=FeeRate(1_000), preset=(coin(1, 900_000),), max_weight=300)
    with pytest.raises(WalletError, match="exceeds the maximum weight"):
        fund([TxOut(1_000, OTHER)], [], lambda _script: WEIGHT, CHANGE, WEIGHT, terms)
