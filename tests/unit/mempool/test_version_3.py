"""Transactions of version 3 (BIP431), and dust that is spent where it is made."""

import pytest

from misocoin.chain.mempool import Mempool
from misocoin.chain.package_rules import PackageError
from misocoin.errors import ValidationError
from misocoin.primitives.transaction import OutPoint, Transaction
from misocoin.units import COIN
from tests.fakes.chain import FakeChain, spend
from tests.fakes.pool import refusal


def name(tx: Transaction) -> str:
    return f"{tx.txid_hex} (wtxid={tx.wtxid[::-1].hex()})"


def why(pool: Mempool, tx: Transaction, chain: FakeChain) -> str:
    error = refusal(pool, tx, chain.now)
    return "" if error is None else str(error).removeprefix("TRUC-violation, ")


def why_together(pool: Mempool, txs: list[Transaction], chain: FakeChain) -> str:
    with pytest.raises(PackageError) as caught:
        pool.accept_together(txs, chain.now)
    culprits = [str(error) for error in caught.value.culprits.values()]
    return "; ".join(culprits or [str(caught.value).removeprefix("TRUC-violation, ")])


def child_of(*points: OutPoint, value: int = COIN, version: int = 3) -> Transaction:
    return spend(points, [value], version=version)


def test_versions_do_not_mix(chain: FakeChain, pool: Mempool) -> None:
    coins = chain.spendable()
    two = spend([coins[0]], [40 * COIN])
    three = spend([coins[1]], [40 * COIN], version=3)
    above = {2: two, 3: three}
    for tx in above.values():
        pool.accept(tx, chain.now)
    from_two = child_of(two.outpoint(0))
    assert why(pool, from_two, chain) == (
        f"version=3 tx {name(from_two)} cannot spend from non-version=3 tx {name(two)}"
    )
    from_three = child_of(three.outpoint(0), version=2)
    assert why(pool, from_three, chain) == (
        f"non-version=3 tx {name(from_three)} cannot spend from version=3 tx {name(three)}"
    )
    pool.chain_changed([], chain.mine([two, three]), chain.now)
    assert why(pool, from_two, chain) == ""
    assert why(pool, from_three, chain) == ""


def test_they_are_small_and_their_children_smaller(chain: FakeChain, pool: Mempool) -> None:
    coins = chain.spendable()
    big = spend([coins[0]], [COIN // 10] * 240, version=3)
    assert why(pool, big, chain) == (
        f"version=3 tx {name(big)} is too big: {big.vsize} > 10000 virtual bytes"
    )
    parent = spend([coins[1]], [40 * COIN], version=3)
    pool.accept(parent, chain.now)
    child = spend([parent.outpoint(0)], [COIN // 10] * 25, version=3)
    assert why(pool, child, chain) == (
        f"version=3 child tx {name(child)} is too big: {child.vsize} > 1000 virtual bytes"
    )


def test_one_parent_and_no_grandparent(chain: FakeChain, pool: Mempool) -> None:
    coins = chain.spendable()
    one, other = [spend([coin], [20 * COIN], version=3) for coin in coins[:2]]
    child = child_of(one.outpoint(0))
    for tx in (one, other, child):
        pool.accept(tx, chain.now)
    for tx in (
        child_of(child.outpoint(0), value=1_000),
        child_of(other.outpoint(0), child.outpoint(0)),
    ):
        assert why(pool, tx, chain) == f"tx {name(tx)} would have too many ancestors"


def test_a_better_child_takes_the_place_of_its_sibling(chain: FakeChain, pool: Mempool) -> None:
    parent = spend([chain.spendable()[0]], [20 * COIN] * 2, version=3)
    first = child_of(parent.outpoint(0), value=20 * COIN - 1_000)
    for tx in (parent, first):
        pool.accept(tx, chain.now)
    poor = child_of(parent.outpoint(1), value=20 * COIN - 500)
    assert why(pool, poor, chain) == (
        f"insufficient fee (including sibling eviction), rejecting replacement {poor.txid_hex}; "
        "new feerate 0.00005208 BTC/kvB <= old feerate 0.00010416 BTC/kvB"
    )
    better = child_of(parent.outpoint(1), value=20 * COIN - 2_000)
    change = pool.accept(better, chain.now)
    assert [gone.tx for gone in change.removed] == [first]
    assert pool.txids() == (parent.txid, better.txid)


def test_in_a_package_no_sibling_goes(chain: FakeChain, pool: Mempool) -> None:
    coins = chain.spendable()
    parent = spend([coins[0]], [20 * COIN] * 2, version=3)
    for tx in (parent, child_of(parent.outpoint(0))):
        pool.accept(tx, chain.now)
    new = child_of(parent.outpoint(1), value=20 * COIN - 5_000)
    assert why_together(pool, [new, child_of(new.outpoint(0))], chain) == (
        f"TRUC-violation, tx {name(parent)} would exceed descendant count limit"
    )


def test_a_package_of_them_is_a_pair(chain: FakeChain, pool: Mempool) -> None:
    one, other = [spend([coin], [20 * COIN] * 2, version=3) for coin in chain.spendable()[:2]]
    child = child_of(one.outpoint(0))
    both = child_of(one.outpoint(0), other.outpoint(0))
    assert why_together(pool, [one, other, both], chain) == (
        f"tx {name(both)} would have too many ancestors"
    )
    second = child_of(one.outpoint(1))
    assert why_together(pool, [one, child, second], chain) == (
        f"tx {name(one)} would exceed descendant count limit"
    )
    grandchild = child_of(child.outpoint(0), value=COIN // 2)
    assert why_together(pool, [one, child, grandchild], chain) == (
        f"tx {name(grandchild)} would have too many ancestors"
    )
    old = child_of(one.outpoint(0), version=2)
    assert why_together(pool, [one, old], chain) == (
        f"non-version=3 tx {name(old)} cannot spend from version=3 tx {name(one)}"
    )
    assert len(pool) == 0
    pool.accept_together([one, child], chain.now)
    assert len(pool) == 2


def test_a_child_pays_all_for_a_parent_that_pays_nothing(chain: FakeChain, pool: Mempool) -> None:
    coin = chain.spendable()[0]
    for version in (2, 3):
        parent = spend([coin], [50 * COIN], version=version)
        assert why(pool, parent, chain) == "min relay fee not met, 0 < 96"
        child = child_of(parent.outpoint(0), version=version)
        if version == 2:
            assert why_together(pool, [parent, child], chain) == "min relay fee not met, 0 < 96"
        else:
            pool.accept_together([parent, child], chain.now)
    assert len(pool) == 2


# -- dust ---------------------------------------------------------------------------------------


def test_dust_is_made_for_nothing_or_not_at_all(chain: FakeChain, pool: Mempool) -> None:
    coin = chain.spendable()[0]
    paying = spend([coin], [50 * COIN - 1_000, 100])
    assert why(pool, paying, chain) == "dust, tx with dust output must be 0-fee"
    free = spend([coin], [50 * COIN - 100, 100])
    assert why(pool, free, chain).startswith("min relay fee not met")
    pool.prioritise(free.txid, 5_000)
    assert why(pool, free, chain) == "dust, tx with dust output must be 0-fee"


def test_dust_is_spent_by_the_child_that_pays(chain: FakeChain, pool: Mempool) -> None:
    parent = spend([chain.spendable()[0]], [50 * COIN - 100, 100], version=3)
    without = child_of(parent.outpoint(0), value=40 * COIN)
    missing = f"missing-ephemeral-spends, tx {name(without)} did not spend parent's ephemeral dust"
    assert why_together(pool, [parent, without], chain) == missing
    child = child_of(parent.outpoint(0), parent.outpoint(1), value=40 * COIN)
    pool.accept_together([parent, child], chain.now)
    instead = child_of(parent.outpoint(0), value=30 * COIN)
    with pytest.raises(ValidationError, match="missing-ephemeral-spends"):
        pool.accept(instead, chain.now)
    assert pool.txids() == (parent.txid, child.txid)
