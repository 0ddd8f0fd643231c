"""What the mempool tells of itself."""

from misocoin.chain.mempool import Mempool
from misocoin.chain.mempool_rules import POOL_COIN_HEIGHT
from misocoin.primitives.transaction import Transaction, outpoint
from misocoin.units import COIN
from tests.fakes.chain import ANYONE_SCRIPT, FakeChain, spend


def family(chain: FakeChain, pool: Mempool) -> list[Transaction]:
    """A parent, two children, a grandchild of both, and a stranger."""
    first, second, *_ = chain.spendable()
    parent = spend([first], [20 * COIN, 20 * COIN, 9 * COIN])
    left = spend([parent.outpoint(0)], [19 * COIN])
    right = spend([parent.outpoint(1)], [18 * COIN])
    below = spend([left.outpoint(0), right.outpoint(0)], [36 * COIN])
    stranger = spend([second], [49 * COIN])
    txs = [parent, left, right, below, stranger]
    for tx in txs:
        pool.accept(tx, chain.now)
    return txs


def test_by_id_and_witness_id(chain: FakeChain, pool: Mempool) -> None:
    parent, *_ = family(chain, pool)
    entry = pool.get(parent.txid)
    assert entry is not None
    assert pool.get_by_wtxid(parent.wtxid) is entry
    assert pool.get(parent.wtxid) is None
    assert pool.get_by_wtxid(parent.txid) is None


def test_relatives(chain: FakeChain, pool: Mempool) -> None:
    parent, left, right, below, stranger = family(chain, pool)
    assert [e.tx for e in pool.ancestors(below.txid)] == [parent, left, right]
    assert [e.tx for e in pool.descendants(parent.txid)] == [left, right, below]
    assert pool.ancestors(stranger.txid) == pool.descendants(stranger.txid) == ()
    assert pool.ancestors(bytes(32)) == pool.descendants(bytes(32)) == ()
    entry = pool.get(below.txid)
    assert entry is not None
    assert set(entry.parents) == {left.txid, right.txid}
    assert entry.ancestor_count == 4
    assert entry.ancestor_fee == (1 + 1 + 2 + 1) * COIN
    assert entry.feerate == COIN * 1_000 // below.vsize
    assert entry.ancestor_feerate == entry.ancestor_fee * 1_000 // entry.ancestor_vsize
    top = pool.get(parent.txid)
    assert top is not None
    assert set(top.children) == {left.txid, right.txid}
    assert (top.descendant_count, top.descendant_fee) == (4, entry.ancestor_fee)


def test_a_snapshot_stays(chain: FakeChain, pool: Mempool) -> None:
    txs = family(chain, pool)
    before = pool.entries()
    assert [entry.tx for entry in before] == txs
    assert pool.txids() == tuple(tx.txid for tx in txs)
    pool.chain_changed((), chain.mine(txs[:2]), chain.now)
    assert [entry.tx for entry in before] == txs
    assert before[3].ancestor_count == 4
    assert [entry.ancestor_count for entry in pool.entries()] == [1, 2, 1]


def test_spenders(chain: FakeChain, pool: Mempool) -> None:
    parent, left, *_ = family(chain, pool)
    spender = pool.spender(parent.outpoint(0))
    assert spender is not None
    assert spender.tx == left
    assert pool.spender(parent.outpoint(2)) is None


def test_coins_with_those_of_the_mempool(chain: FakeChain, pool: Mempool) -> None:
    parent, *_ = family(chain, pool)
    spent, _, free, *_ = chain.spendable()
    change = parent.outpoint(2)
    found = pool.get_coins([spent, free, change, parent.outpoint(0), parent.outpoint(9)])
    assert set(found) == {free, change}
    assert found[free] == chain.coins[free]
    assert found[change] == (9 * COIN, ANYONE_SCRIPT, POOL_COIN_HEIGHT, False)
    assert pool.get_coin(change) == found[change]
    assert pool.get_coin(parent.outpoint(0)) is None
    assert pool.get_coin(free) is None
    assert pool.get_coin(outpoint(bytes(32), 0)) is None


def test_at_a_glance(chain: FakeChain, pool: Mempool) -> None:
    empty = pool.info(chain.now)
    assert empty[:3] == (0, 0, 0)
    assert (empty.min_feerate, empty.max_usage) == (1_000, 300_000_000)
    txs = family(chain, pool)
    info = pool.info(chain.now)
    assert info.transactions == len(pool) == 5
    assert info.vsize == sum(tx.vsize for tx in txs)
    assert info.total_fee == (1 + 1 + 2 + 1 + 1) * COIN
    assert info.sequence == empty.sequence + 5


def test_deltas_reach_all_relatives(chain: FakeChain, pool: Mempool) -> None:
    parent, left, right, below, _ = family(chain, pool)
    pool.prioritise(left.txid, 700)
    pool.prioritise(left.txid, -200)
    assert pool.fee_delta(left.txid) == 500
    entries = {entry.txid: entry for entry in pool.entries()}
    assert entries[left.txid].modified_fee == COIN + 500
    assert entries[left.txid].fee == COIN
    assert entries[parent.txid].descendant_fee == 5 * COIN + 500
    assert entries[below.txid].ancestor_fee == 5 * COIN + 500
    assert entries[right.txid].ancestor_fee == 3 * COIN
    pool.prioritise(left.txid, -500)
    assert pool.fee_deltas() == {}
