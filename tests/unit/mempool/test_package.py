"""Packages: what a child may pay for, and what is none."""

import pytest

from misocoin.chain.mempool import Mempool
from misocoin.chain.package import check_child_with_parents, check_package
from misocoin.chain.package_rules import PackageError
from misocoin.errors import ValidationError
from misocoin.policy.feerate import FeeRate
from misocoin.policy.rolling_fee import RollingFee
from misocoin.policy.settings import MempoolLimits
from misocoin.primitives.transaction import Transaction
from misocoin.units import COIN
from tests.fakes.chain import FakeChain, spend
from tests.fakes.pool import MemoryStore, pool_on

MINIMUM = 5_000.0
"""Base units per 1,000 virtual bytes that a newcomer has to pay for lack of room."""


def family(
    chain: FakeChain, parent_fee: int, child_fee: int, place: int = 0
) -> tuple[Transaction, Transaction]:
    parent = spend([chain.spendable()[place]], [50 * COIN - parent_fee])
    child = spend([parent.outpoint(0)], [50 * COIN - parent_fee - child_fee])
    return parent, child


@pytest.fixture
def busy(chain: FakeChain) -> Mempool:
    """A mempool that was full lately."""
    pool = pool_on(chain, store=MemoryStore())
    pool._rolling_fee = RollingFee(MINIMUM, chain.now, False)
    return pool


def test_a_child_pays_for_its_parent(chain: FakeChain, busy: Mempool) -> None:
    parent, child = family(chain, 200, 2_000)
    with pytest.raises(ValidationError, match="mempool min fee not met"):
        busy.accept(parent, chain.now)
    change = busy.accept_together([parent, child], chain.now)
    assert [entry.tx for entry in change.added] == [parent, child]
    assert change.added[1].ancestor_count == 2
    assert busy.txids() == (parent.txid, child.txid)


@pytest.mark.parametrize(
    ("parent_fee", "child_fee", "place", "reason"),
    [
        (200, 300, 1, "mempool min fee not met, 500 < 960"),  # together too little
        (10, 5_000, 0, "min relay fee not met, 10 < 96"),  # the relay minimum is everyone's own
    ],
)
def test_what_does_not_pay_enough_leaves_nothing_behind(
    chain: FakeChain, busy: Mempool, parent_fee: int, child_fee: int, place: int, reason: str
) -> None:
    before = busy.sequence
    txs = family(chain, parent_fee, child_fee)
    with pytest.raises(PackageError, match="transaction failed") as caught:
        busy.accept_together(txs, chain.now)
    assert {wtxid: str(error) for wtxid, error in caught.value.culprits.items()} == {
        txs[place].wtxid: reason
    }
    assert (len(busy), busy.sequence) == (0, before)


def test_nobody_pays_more_than_they_mean_to(chain: FakeChain, busy: Mempool) -> None:
    parent, child = family(chain, 200, 2_000)
    with pytest.raises(PackageError) as caught:
        busy.accept_together([parent, child], chain.now, FeeRate(10_000))
    assert [str(error) for error in caught.value.culprits.values()] == ["max feerate exceeded"]
    assert list(caught.value.culprits) == [child.wtxid]
    assert len(busy) == 0


def test_trying_changes_nothing_and_blames_the_first_that_fails(
    chain: FakeChain, pool: Mempool
) -> None:
    first, second = pool.check_together(family(chain, 1_000, 2_000), chain.now)
    assert (first.fee, second.fee) == (1_000, 2_000)
    poor, rich = family(chain, 0, 9_000, 1)
    with pytest.raises(PackageError) as caught:
        pool.check_together([poor, rich], chain.now)
    assert list(caught.value.culprits) == [poor.wtxid]
    assert (len(pool), pool.sequence) == (0, 0)


def test_where_several_are_tried_they_replace_nothing(chain: FakeChain, pool: Mempool) -> None:
    parent, _ = family(chain, 1_000, 1_000)
    pool.accept(parent, chain.now)
    rival, child = family(chain, 9_000, 1_000)
    with pytest.raises(PackageError) as caught:
        pool.check_together([rival, child], chain.now)
    (error,) = caught.value.culprits.values()
    assert error.reason == "bip125-replacement-disallowed"
    assert pool.txids() == (parent.txid,)


def test_together_too_deep(chain: FakeChain) -> None:
    pool = pool_on(chain, limits=MempoolLimits(ancestor_count=3))
    (start, *_), value = chain.spendable(), 50 * COIN
    chain_of = []
    for _ in range(4):
        value -= 1_000
        chain_of.append(spend([start], [value]))
        start = chain_of[-1].outpoint(0)
    with pytest.raises(PackageError) as caught:
        pool.check_together(chain_of, chain.now)
    assert str(caught.value) == (
        "package-mempool-limits, package count 4 exceeds ancestor count limit [limit: 3]"
    )
    for tx in chain_of[:2]:
        pool.accept(tx, chain.now)
    with pytest.raises(PackageError) as caught:
        pool.check_together(chain_of[2:], chain.now)
    assert str(caught.value) == (
        "package-mempool-limits, possibly too many unconfirmed ancestors [limit: 3]"
    )


# -- a parent and its child that replace --------------------------------------------------------


def test_a_child_pays_for_a_parent_that_replaces(chain: FakeChain, pool: Mempool) -> None:
    old, below = family(chain, 1_000, 1_000)
    pool.accept(old, chain.now)
    pool.accept(below, chain.now)
    parent, child = family(chain, 500, 5_000)
    with pytest.raises(ValidationError, match="insufficient fee, rejecting replacement"):
        pool.accept(parent, chain.now)
    change = pool.accept_together([parent, child], chain.now)
    assert {gone.tx for gone in change.removed} == {old, below}
    assert pool.txids() == (parent.txid, child.txid)


@pytest.mark.parametrize(
    ("parent_fee", "child_fee", "reason"),
    [
        (500, 400, "insufficient anti-DoS fees, rejecting replacement {child}, less fees than "
         "conflicting txs; 0.000009 < 0.00001"),
        (500, 600, "insufficient anti-DoS fees, rejecting replacement {child}, not enough "
         "additional fees to relay; 0.000001 < 0.00000192"),
        (1_100, 900, "package feerate is less than or equal to parent feerate, package feerate "
         "0.00010416 BTC/kvB <= parent feerate is 0.00011458 BTC/kvB"),
        (900, 700, "package feerate is less than or equal to parent feerate, package feerate "
         "0.00008333 BTC/kvB <= parent feerate is 0.00009375 BTC/kvB"),
        (500, 900, "insufficient feerate: does not improve feerate diagram"),
    ],
)  # fmt: skip
def test_a_pair_that_may_not_replace(
    chain: FakeChain, pool: Mempool, parent_fee: int, child_fee: int, reason: str
) -> None:
    old, _ = family(chain, 1_000, 0)
    pool.accept(old, chain.now)
    parent, child = family(chain, parent_fee, child_fee)
    with pytest.raises(PackageError) as caught:
        pool.accept_together([parent, child], chain.now)
    assert str(caught.value) == f"package RBF failed: {reason.format(child=child.txid_hex)}"
    assert caught.value.culprits == {}
    assert pool.txids() == (old.txid,)


def test_only_a_pair_without_kin_replaces_together(chain: FakeChain, pool: Mempool) -> None:
    coins = chain.spendable()
    old = spend([coins[0]], [25 * COIN - 500, 25 * COIN - 500])
    left, right = [spend([old.outpoint(place)], [24 * COIN]) for place in (0, 1)]
    other = spend([coins[1]], [50 * COIN - 1_000])
    for tx in (old, left, right, other):
        pool.accept(tx, chain.now)

    def problem(*txs: Transaction) -> str:
        with pytest.raises(PackageError) as caught:
            pool.accept_together(txs, chain.now)
        return str(caught.value).removeprefix("package RBF failed: ")

    parent, child = family(chain, 500, 5 * COIN)
    third = spend([child.outpoint(0)], [COIN])
    assert problem(parent, child, third) == "package must be 1-parent-1-child"
    assert problem(parent, child) == f"{old.txid_hex} has 2 descendants, max 1 allowed"
    joined = spend([coins[0], other.outpoint(0)], [99 * COIN])
    below = spend([joined.outpoint(0)], [90 * COIN])
    assert problem(joined, below) == "new transaction cannot have mempool ancestors"
    instead = spend([left.vin[0].prevout], [25 * COIN - 600])
    assert problem(instead, spend([instead.outpoint(0)], [COIN])) == (
        "new transaction cannot have mempool ancestors"
    )


def test_what_is_no_package(chain: FakeChain) -> None:
    parent, child = family(chain, 1_000, 1_000)
    other, grandchild = spend([chain.spendable()[1]], [COIN]), spend([child.outpoint(0)], [COIN])
    rival = spend([chain.spendable()[0]], [COIN])
    for txs, reason in (
        ([child, parent], "package-not-sorted"),
        ([parent, parent], "package-contains-duplicates"),
        ([parent, rival], "conflict-in-package"),
        ([parent] * 26, "package-too-many-transactions"),
    ):
        with pytest.raises(ValidationError, match=reason):
            check_package(txs)
    big = spend([chain.spendable()[2]], [COIN] * 11_000)
    with pytest.raises(ValidationError, match="package-too-large"):
        check_package([big, other])
    check_child_with_parents([parent, child])
    check_child_with_parents([parent])
    for txs in ([other, child], [parent, child, grandchild]):
        with pytest.raises(ValidationError, match="package-not-child-with-parents"):
            check_child_with_parents(txs)
