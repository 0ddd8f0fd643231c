"""A full mempool: who goes, what the next one must pay, and what is too old."""

from functools import partial

import pytest

from misocoin.chain.mempool import Mempool
from misocoin.chain.mempool_entry import RemovalReason
from misocoin.chain.mempool_graph import estimate_usage
from misocoin.errors import RejectCode
from misocoin.policy.settings import MempoolLimits
from misocoin.primitives.transaction import Transaction
from misocoin.units import COIN
from tests.fakes.chain import FakeChain, spend
from tests.fakes.pool import MemoryStore, pool_on, refusal


def paying(point: bytes, feerate: int) -> Transaction:
    """One in, one out, at `feerate` base units per virtual byte."""
    vsize = spend([point], [COIN]).vsize
    return spend([point], [50 * COIN - feerate * vsize])


ONE = estimate_usage(paying(bytes(36), 1))


def small_pool(chain: FakeChain, count: int, store: MemoryStore | None = None) -> Mempool:
    """A mempool with room for `count` transactions of one input and one output."""
    return pool_on(chain, limits=MempoolLimits(max_usage=count * ONE), store=store)


def test_the_cheapest_goes(chain: FakeChain) -> None:
    pool = small_pool(chain, 3)
    coins = chain.spendable()
    txs = [paying(coins[i], rate) for i, rate in enumerate((5, 2, 8))]
    for tx in txs:
        pool.accept(tx, chain.now)
    assert pool.min_feerate(chain.now) == 1_000
    change = pool.accept(paying(coins[3], 4), chain.now)
    assert [(gone.tx, gone.reason) for gone in change.removed] == [
        (txs[1], RemovalReason.SIZELIMIT)
    ]
    # What went paid 2 a byte; the next pays more than that and a step.
    assert pool.min_feerate(chain.now) == 3_000
    error = refusal(pool, paying(coins[4], 2), chain.now)
    assert error is not None
    assert (error.reason, error.code) == ("mempool min fee not met", RejectCode.INSUFFICIENT_FEE)
    pool.accept(paying(coins[4], 6), chain.now)
    assert len(pool) == 3


def test_the_newcomer_itself_may_be_the_cheapest(chain: FakeChain) -> None:
    store = MemoryStore()
    pool = small_pool(chain, 3, store)
    coins = chain.spendable()
    for i, rate in enumerate((5, 6, 8)):
        pool.accept(paying(coins[i], rate), chain.now)
    before, kept = set(pool.txids()), dict(store.kept)
    error = refusal(pool, paying(coins[3], 4), chain.now)
    assert error is not None
    assert (error.reason, error.code) == ("mempool full", RejectCode.INSUFFICIENT_FEE)
    assert set(pool.txids()) == before
    assert store.kept == kept
    assert pool.min_feerate(chain.now) == 5_000


def test_a_replacement_that_finds_no_room_replaces_nothing(chain: FakeChain) -> None:
    pool = small_pool(chain, 3)
    coins = chain.spendable()
    old = paying(coins[0], 4)
    child = spend([old.outpoint(0)], [49 * COIN])
    rich = paying(coins[1], 100_000)
    for tx in (old, child, rich):
        pool.accept(tx, chain.now)
    before = {entry.txid: entry[:4] for entry in pool.entries()}
    # It pays more than those it would replace, but it is as large as the whole mempool.
    many = 300
    new = spend([coins[0]], [(50 * COIN - 2 * COIN) // many] * many)
    assert estimate_usage(new) > 3 * ONE
    pool.prioritise(new.txid, 3 * COIN)
    error = refusal(pool, new, chain.now)
    assert error is not None
    assert error.reason == "mempool full"
    assert {entry.txid: entry[:4] for entry in pool.entries()} == before
    assert [entry.tx for entry in pool.descendants(old.txid)] == [child]


def test_a_child_that_pays_keeps_its_parent(chain: FakeChain) -> None:
    pool = small_pool(chain, 4)
    coins = chain.spendable()
    parent, middle = paying(coins[0], 1), paying(coins[1], 3)
    child = spend([parent.outpoint(0)], [49 * COIN])
    pool.accept(parent, chain.now)
    pool.accept(child, chain.now)
    pool.accept(middle, chain.now)
    pool.accept(paying(coins[2], 4), chain.now)
    change = pool.accept(paying(coins[3], 5), chain.now)
    assert [gone.tx for gone in change.removed] == [middle]


def test_what_goes_takes_its_descendants(chain: FakeChain) -> None:
    pool = small_pool(chain, 3)
    coins = chain.spendable()
    parent = paying(coins[0], 2)
    child = spend([parent.outpoint(0)], [50 * COIN - 400])
    for tx in (parent, child, paying(coins[1], 9)):
        pool.accept(tx, chain.now)
    change = pool.accept(paying(coins[2], 9), chain.now)
    assert [gone.tx for gone in change.removed] == [parent, child]


def test_of_equals_the_last_one_goes(chain: FakeChain) -> None:
    pool = small_pool(chain, 2)
    coins = chain.spendable()
    first, second = paying(coins[0], 2), paying(coins[1], 2)
    pool.accept(first, chain.now)
    pool.accept(second, chain.now)
    change = pool.accept(paying(coins[2], 3), chain.now)
    assert [gone.tx for gone in change.removed] == [second]


def test_the_minimum_decays_after_a_block(chain: FakeChain) -> None:
    pool = small_pool(chain, 3)
    coins = chain.spendable()
    for i, rate in enumerate((7, 20, 20)):
        pool.accept(paying(coins[i], rate), chain.now)
    pool.accept(paying(coins[3], 20), chain.now)
    assert pool.min_feerate(chain.now + 10**6) == 8_000
    pool.chain_changed((), chain.mine(), chain.now)
    start = chain.now
    assert pool.min_feerate(start) == 8_000
    assert pool.min_feerate(start + 43_200) == 4_000
    assert pool.min_feerate(start + 3 * 43_200) == 1_000
    assert pool.min_feerate(start + 10 * 43_200) == 1_000
    assert pool.info(start).min_feerate == 1_000


def test_priority_saves(chain: FakeChain) -> None:
    pool = small_pool(chain, 2)
    coins = chain.spendable()
    poor, rich = paying(coins[0], 2), paying(coins[1], 5)
    pool.accept(poor, chain.now)
    pool.accept(rich, chain.now)
    pool.prioritise(poor.txid, 10_000)
    change = pool.accept(paying(coins[2], 9), chain.now)
    assert [gone.tx for gone in change.removed] == [rich]


def test_expiry(chain: FakeChain, pool: Mempool) -> None:
    start, fortnight = chain.now, 336 * 3_600
    old = paying(chain.spendable()[0], 5)
    child = spend([old.outpoint(0)], [49 * COIN])
    young = paying(chain.spendable()[1], 5)
    pool.accept(old, start)
    pool.accept(child, start + 1_000)
    pool.accept(young, start + 1_000)
    assert pool.expire(start + fortnight).removed == ()
    change = pool.expire(start + fortnight + 1)
    assert [(gone.tx, gone.reason) for gone in change.removed] == [
        (old, RemovalReason.EXPIRY),
        (child, RemovalReason.EXPIRY),
    ]
    assert pool.txids() == (young.txid,)


@pytest.mark.parametrize("by_block", [True, False])
def test_expiry_comes_by_itself(chain: FakeChain, pool: Mempool, by_block: bool) -> None:
    old, new = (paying(coin, 5) for coin in chain.spendable()[:2])
    pool.accept(old, chain.now)
    later = chain.now + 336 * 3_600 + 1
    follow = (
        partial(pool.chain_changed, (), chain.mine()) if by_block else partial(pool.accept, new)
    )
    change = follow(now=later)
    assert [gone.tx for gone in change.removed] == [old]


def test_a_child_of_an_expired_parent_goes_with_it(chain: FakeChain, pool: Mempool) -> None:
    old = paying(chain.spendable()[0], 5)
    pool.accept(old, chain.now)
    later = chain.now + 336 * 3_600 + 1
    error = refusal(pool, spend([old.outpoint(0)], [49 * COIN]), later)
    assert error is not None
    assert error.reason == "mempool full"
    assert [gone.tx for gone in pool.expire(later).removed] == [old]
