"""Packages: what a child may pay for, and what is none."""

import pytest

from misocoin.chain.mempool import Mempool
from misocoin.chain.package import check_child_with_parents, check_package
from misocoin.errors import ValidationError
from misocoin.policy.feerate import FeeRate
from misocoin.policy.rolling_fee import RollingFee
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
    ("parent_fee", "child_fee", "reason"),
    [
        (200, 300, "mempool min fee not met"),  # together too little
        (10, 5_000, "min relay fee not met"),  # the relay minimum is everyone's own
    ],
)
def test_what_does_not_pay_enough_leaves_nothing_behind(
    chain: FakeChain, busy: Mempool, parent_fee: int, child_fee: int, reason: str
) -> None:
    before = busy.sequence
    with pytest.raises(ValidationError, match=reason):
        busy.accept_together(family(chain, parent_fee, child_fee), chain.now)
    assert (len(busy), busy.sequence) == (0, before)


def test_nobody_pays_more_than_they_mean_to(chain: FakeChain, busy: Mempool) -> None:
    with pytest.raises(ValidationError, match="max-fee-exceeded"):
        busy.accept_together(family(chain, 200, 2_000), chain.now, FeeRate(10_000))
    assert len(busy) == 0


def test_trying_changes_nothing_and_ends_with_the_first_refusal(
    chain: FakeChain, pool: Mempool
) -> None:
    parent, child = family(chain, 1_000, 1_000)
    first, second = pool.check_in_turn([parent, child], chain.now)
    assert not isinstance(first, ValidationError)
    assert not isinstance(second, ValidationError)
    assert second.ancestor_count == 2
    poor, rich = family(chain, 0, 9_000, 1)
    (error,) = pool.check_in_turn([poor, rich], chain.now)
    assert isinstance(error, ValidationError)
    assert (len(pool), pool.sequence) == (0, 0)


def test_several_replace_nothing(chain: FakeChain, pool: Mempool) -> None:
    parent, _ = family(chain, 1_000, 1_000)
    pool.accept(parent, chain.now)
    rival, child = family(chain, 9_000, 1_000)
    (error,) = pool.check_in_turn([rival, child], chain.now)
    assert isinstance(error, ValidationError)
    assert error.reason == "bip125-replacement-disallowed"
    assert pool.txids() == (parent.txid,)


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
