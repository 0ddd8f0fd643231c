"""What was acknowledged is there again after a restart."""

import pytest

from misocoin.chain.mempool import Mempool
from misocoin.chain.mempool_entry import MempoolChange
from misocoin.errors import StoreError
from misocoin.policy.settings import MempoolLimits
from misocoin.store.records import StoredTransaction
from misocoin.units import COIN
from tests.fakes.chain import FakeChain, spend
from tests.fakes.pool import MemoryStore, pool_on


def started(chain: FakeChain, store: MemoryStore, now: int) -> Mempool:
    pool = pool_on(chain, store=store)
    pool.load(now)
    return pool


def test_entries_times_and_deltas_are_kept(chain: FakeChain) -> None:
    store = MemoryStore()
    pool = pool_on(chain, store=store)
    parent = spend([chain.spendable()[0]], [40 * COIN])
    child = spend([parent.outpoint(0)], [39 * COIN])
    pool.accept(parent, chain.now)
    assert set(store.kept) == {parent.txid}
    pool.accept(child, chain.now + 5)
    pool.prioritise(child.txid, -300)
    again = started(chain, store, chain.now + 1_000)
    assert again.entries() == pool.entries()
    assert again.fee_deltas() == {child.txid: -300}


def test_parents_come_first_whatever_the_order(chain: FakeChain) -> None:
    store = MemoryStore()
    point, value, row = chain.spendable()[0], 50 * COIN, []
    for _ in range(5):
        value -= 1_000
        row.append(spend([point], [value]))
        point = row[-1].outpoint(0)
    joined = spend([point, chain.spendable()[1]], [60 * COIN])
    for tx in (joined, row[2], row[4], row[0], row[3], row[1]):
        store.kept[tx.txid] = StoredTransaction(tx.txid, tx.serialize(), chain.now, 0)
    change = pool_on(chain, store=store).load(chain.now)
    assert [entry.tx for entry in change.added] == [*row, joined]
    assert len(store.kept) == 6


def test_what_became_invalid_is_forgotten(chain: FakeChain) -> None:
    store = MemoryStore()
    pool = pool_on(chain, store=store)
    coins = chain.spendable()
    mined, beaten, stays, old = (spend([coin], [40 * COIN]) for coin in coins[:4])
    for tx in (mined, beaten, stays):
        pool.accept(tx, chain.now)
    pool.accept(old, chain.now - 336 * 3_600)
    store.kept[b"\x01" * 32] = StoredTransaction(b"\x01" * 32, b"no transaction", 0, 0)
    chain.mine([mined, spend([coins[1]], [COIN])])  # the process was killed before it told
    again = started(chain, store, chain.now)
    assert again.txids() == (stays.txid,)
    assert set(store.kept) == {stays.txid}


def test_fees_are_no_hurdle(chain: FakeChain) -> None:
    store = MemoryStore()
    free = spend([chain.spendable()[0]], [50 * COIN])
    store.kept[free.txid] = StoredTransaction(free.txid, free.serialize(), chain.now, 0)
    assert started(chain, store, chain.now).txids() == (free.txid,)


def test_the_limit_holds(chain: FakeChain) -> None:
    store = MemoryStore()
    pool = pool_on(chain, store=store)
    txs = [
        spend([chain.spendable()[i]], [50 * COIN - fee]) for i, fee in enumerate((900, 500, 700))
    ]
    for tx in txs:
        pool.accept(tx, chain.now)
    usage = pool.info(chain.now).usage
    smaller = pool_on(chain, limits=MempoolLimits(max_usage=usage - 1), store=store)
    smaller.load(chain.now)
    assert set(smaller.txids()) == {txs[0].txid, txs[2].txid} == set(store.kept)


def test_replaced_and_new_reach_the_disk_together(chain: FakeChain) -> None:
    store = MemoryStore()
    pool = pool_on(chain, store=store)
    coin = chain.spendable()[0]
    old, new = spend([coin], [40 * COIN]), spend([coin], [30 * COIN])
    pool.accept(old, chain.now)
    pool.accept(new, chain.now)
    assert set(store.kept) == {new.txid}
    assert store.calls == 2


def test_without_a_store_nothing_is_kept(chain: FakeChain) -> None:
    pool = pool_on(chain)
    tx = spend([chain.spendable()[0]], [40 * COIN])
    pool.accept(tx, chain.now)
    pool.prioritise(tx.txid, 5)
    assert pool.load(chain.now) == MempoolChange()
    assert len(pool) == 1


def test_what_a_full_disk_refuses_after_a_block_is_told_and_written_later(
    chain: FakeChain, caplog: pytest.LogCaptureFixture
) -> None:
    store = MemoryStore()
    pool = pool_on(chain, store=store)
    one, two, three = (spend([point], [40 * COIN]) for point in chain.spendable()[:3])
    for tx in (one, two):
        pool.accept(tx, chain.now)
    store.is_full = True
    (block,) = chain.mine([one])
    change = pool.chain_changed([], [block], chain.now)
    assert [removed.tx.txid for removed in change.removed] == [one.txid]
    assert pool.txids() == (two.txid,)
    assert "the disk is full" in caplog.text
    assert set(store.kept) == {one.txid, two.txid}
    store.is_full = False
    pool.accept(three, chain.now)
    assert set(store.kept) == {two.txid, three.txid}


def state_of(pool: Mempool) -> tuple[object, ...]:
    """All there is to see, but for the numbers that say in which order it came."""
    entries = [entry._replace(sequence=0) for entry in pool.entries()]
    info = pool.info(0)
    sizes = (info.vsize, info.usage, info.total_fee, pool.sequence, pool.next_sequence)
    return sorted(entries, key=lambda entry: entry.tx.txid), sizes, pool.fee_deltas()


LAST = 336 * 3_600
"""Seconds that a transaction may wait."""


@pytest.mark.parametrize("what", ["alone", "child", "replacement", "eviction", "expiry", "package"])
def test_what_a_full_disk_refuses_changes_nothing(chain: FakeChain, what: str) -> None:
    store = MemoryStore()
    coins = chain.spendable()
    parent = spend([coins[0]], [40 * COIN])
    child = spend([parent.outpoint(0)], [39 * COIN])
    cheap = spend([coins[1]], [50 * COIN - 500])
    pool = pool_on(chain, store=store)
    for tx in (parent, child, cheap):
        pool.accept(tx, chain.now)
    now = chain.now + (LAST + 1 if what == "expiry" else 0)
    if what == "eviction":
        pool = pool_on(chain, limits=MempoolLimits(max_usage=pool.info(now).usage), store=store)
        pool.load(now)
    newcomer = {
        "child": spend([child.outpoint(0)], [38 * COIN]),
        "replacement": spend([coins[0]], [20 * COIN]),
    }.get(what, spend([coins[2]], [49 * COIN]))
    pool.prioritise(parent.txid, 7)
    before, kept = state_of(pool), dict(store.kept)

    def act() -> MempoolChange:
        if what == "package":
            return pool.accept_together([newcomer, spend([newcomer.outpoint(0)], [COIN])], now)
        return pool.accept(newcomer, now)

    store.is_full = True
    with pytest.raises(StoreError, match="the disk is full"):
        act()
    assert state_of(pool) == before
    assert store.kept == kept
    with pytest.raises(StoreError):
        pool.prioritise(parent.txid, 100)
    assert state_of(pool) == before
    store.is_full = False
    change = act()
    gone = {"replacement": {parent, child}, "eviction": {cheap}, "expiry": {parent, child, cheap}}
    assert {removed.tx for removed in change.removed} == gone.get(what, set())
    assert set(store.kept) == set(pool.txids()) >= {newcomer.txid}
    assert state_of(started(chain, store, now))[0] == state_of(pool)[0]
