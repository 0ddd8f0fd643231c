"""The mempool follows the chain: blocks that come, blocks that go, and both at once."""

from misocoin.chain.mempool import Mempool
from misocoin.chain.mempool_entry import MempoolChange, RemovalReason
from misocoin.policy.settings import MempoolLimits
from misocoin.primitives.transaction import Transaction
from misocoin.units import COIN
from tests.fakes.chain import FakeChain, spend
from tests.fakes.pool import MemoryStore, pool_on

BLOCK, CONFLICT, REORG = RemovalReason.BLOCK, RemovalReason.CONFLICT, RemovalReason.REORG


def accept_all(pool: Mempool, chain: FakeChain, *txs: Transaction) -> None:
    for tx in txs:
        pool.accept(tx, chain.now)


def entry_of(pool: Mempool, tx: Transaction) -> tuple[int, int]:
    entry = pool.get(tx.txid)
    assert entry is not None
    return entry.ancestor_count, entry.descendant_count


def test_a_block_takes_what_it_holds(chain: FakeChain, pool: Mempool) -> None:
    first, second, *_ = chain.spendable()
    parent = spend([first], [40 * COIN])
    child = spend([parent.outpoint(0)], [39 * COIN])
    grandchild = spend([child.outpoint(0)], [38 * COIN])
    other = spend([second], [40 * COIN])
    accept_all(pool, chain, parent, child, grandchild, other)
    change = pool.chain_changed((), chain.mine([parent, child]), chain.now)
    assert [(gone.tx, gone.reason) for gone in change.removed] == [(parent, BLOCK), (child, BLOCK)]
    assert change.added == ()
    assert set(pool.txids()) == {grandchild.txid, other.txid}
    assert entry_of(pool, grandchild) == (1, 1)
    entry = pool.get(grandchild.txid)
    assert entry is not None
    assert (entry.parents, entry.ancestor_fee) == ((), COIN)


def test_a_block_removes_what_it_contradicts(chain: FakeChain, pool: Mempool) -> None:
    coin = chain.spendable()[0]
    ours = spend([coin], [40 * COIN])
    child = spend([ours.outpoint(0)], [39 * COIN])
    theirs = spend([coin], [30 * COIN])
    accept_all(pool, chain, ours, child)
    change = pool.chain_changed((), chain.mine([theirs]), chain.now)
    assert [(gone.tx, gone.reason) for gone in change.removed] == [
        (ours, CONFLICT),
        (child, CONFLICT),
    ]
    assert len(pool) == 0


def test_a_block_of_strangers_changes_nothing(chain: FakeChain, pool: Mempool) -> None:
    first, second, *_ = chain.spendable()
    ours = spend([first], [40 * COIN])
    accept_all(pool, chain, ours)
    sequence = pool.sequence
    change = pool.chain_changed((), chain.mine([spend([second], [COIN])]), chain.now)
    assert change == MempoolChange()
    assert pool.sequence == sequence


def test_a_mined_fee_delta_is_forgotten(chain: FakeChain, pool: Mempool) -> None:
    tx = spend([chain.spendable()[0]], [40 * COIN])
    accept_all(pool, chain, tx)
    pool.prioritise(tx.txid, 5_000)
    pool.prioritise(b"\x01" * 32, 1)
    pool.chain_changed((), chain.mine([tx]), chain.now)
    assert pool.fee_deltas() == {b"\x01" * 32: 1}


def test_a_lost_block_comes_back(chain: FakeChain, pool: Mempool) -> None:
    first, second, *_ = chain.spendable()
    parent = spend([first], [40 * COIN])
    child = spend([parent.outpoint(0)], [39 * COIN])
    stranger = spend([second], [40 * COIN])
    grandchild = spend([child.outpoint(0)], [38 * COIN])
    accept_all(pool, chain, parent, child)
    pool.chain_changed((), chain.mine([parent, child, stranger]), chain.now)
    pool.accept(grandchild, chain.now)
    assert entry_of(pool, grandchild) == (1, 1)

    change = pool.chain_changed([chain.disconnect()], (), chain.now)
    assert [entry.tx for entry in change.added] == [parent, child, stranger]
    assert change.removed == ()
    assert entry_of(pool, parent) == (1, 3)
    assert entry_of(pool, child) == (2, 2)
    assert entry_of(pool, grandchild) == (3, 1)
    order = pool.txids()
    assert order.index(parent.txid) < order.index(child.txid) < order.index(grandchild.txid)


def test_what_comes_back_keeps_time_and_delta_of_what_stayed(
    chain: FakeChain, pool: Mempool
) -> None:
    parent = spend([chain.spendable()[0]], [40 * COIN])
    child = spend([parent.outpoint(0)], [39 * COIN])
    pool.chain_changed((), chain.mine([parent]), chain.now)
    arrival = chain.now - 77
    pool.accept(child, arrival)
    pool.prioritise(child.txid, 9_000)
    pool.chain_changed([chain.disconnect()], (), chain.now)
    entry = pool.get(child.txid)
    assert entry is not None
    assert (entry.time, entry.height, entry.fee_delta) == (arrival, 110, 9_000)
    above = pool.get(parent.txid)
    assert above is not None
    assert above.descendant_fee == above.fee + entry.fee + 9_000


def test_fees_are_no_hurdle_on_the_way_back(chain: FakeChain, pool: Mempool) -> None:
    free = spend([chain.spendable()[0]], [50 * COIN])
    chain.mine([free])
    change = pool.chain_changed([chain.disconnect()], (), chain.now)
    assert [entry.tx for entry in change.added] == [free]


def test_a_coinbase_does_not_come_back_nor_what_spends_it(chain: FakeChain, pool: Mempool) -> None:
    blocks = chain.mine(count=100)
    coinbase = blocks[0].transactions[0]
    tx = spend([coinbase.outpoint(0)], [40 * COIN])
    child = spend([tx.outpoint(0)], [39 * COIN])
    accept_all(pool, chain, tx, child)
    lost = [chain.disconnect() for _ in range(100)][::-1]
    change = pool.chain_changed(lost, (), chain.now)
    assert [(gone.tx, gone.reason) for gone in change.removed] == [(tx, REORG), (child, REORG)]
    assert len(pool) == 0


def test_what_is_immature_again_goes(chain: FakeChain, pool: Mempool) -> None:
    by_height = {coin.height: point for point, coin in chain.coins.items()}
    young = spend([by_height[10]], [40 * COIN])
    child = spend([young.outpoint(0)], [39 * COIN])
    old = spend([by_height[9]], [40 * COIN])
    accept_all(pool, chain, young, child, old)
    change = pool.chain_changed([chain.disconnect()], (), chain.now)
    assert [gone.tx for gone in change.removed] == [young, child]
    assert {gone.reason for gone in change.removed} == {REORG}
    assert pool.txids() == (old.txid,)


def test_lock_times_that_are_ahead_again(chain: FakeChain, pool: Mempool) -> None:
    coins = chain.spendable()
    by_height = spend([coins[0]], [COIN], locktime=109, sequence=0xFFFFFFFE)
    by_time = spend(
        [coins[1]], [COIN], locktime=chain.tip.median_time_past - 1, sequence=0xFFFFFFFE
    )
    relative = spend([coins[2]], [COIN], sequence=109 - 2)  # made at height 3
    early = spend([coins[3]], [COIN], locktime=108, sequence=0xFFFFFFFE)
    accept_all(pool, chain, by_height, by_time, relative, early)
    change = pool.chain_changed([chain.disconnect()], (), chain.now)
    assert [gone.tx for gone in change.removed] == [by_height, by_time, relative]
    assert pool.txids() == (early.txid,)


def test_relative_locks_of_coins_that_are_no_coinbase(chain: FakeChain, pool: Mempool) -> None:
    split = spend([chain.spendable()[0]], [COIN] * 4)
    chain.mine([split])  # at height 110
    chain.mine(count=4)
    blocks = spend([split.outpoint(0)], [COIN // 2], sequence=5)
    free = spend([split.outpoint(1)], [COIN // 2], sequence=4)
    units = (chain.tip.median_time_past - chain.median_time_past_at(109)) // 512
    seconds = spend([split.outpoint(2)], [COIN // 2], sequence=units | 1 << 22)
    disabled = spend([split.outpoint(3)], [COIN // 2], sequence=5 | 1 << 31)
    accept_all(pool, chain, blocks, free, seconds, disabled)
    change = pool.chain_changed([chain.disconnect()], (), chain.now)
    assert [gone.tx for gone in change.removed] == [blocks, seconds]


def test_a_relative_lock_on_a_coin_that_is_unconfirmed_again(
    chain: FakeChain, pool: Mempool
) -> None:
    parent = spend([chain.spendable()[0]], [40 * COIN])
    chain.mine([parent])
    locked = spend([parent.outpoint(0)], [COIN], sequence=1)
    accept_all(pool, chain, locked)
    change = pool.chain_changed([chain.disconnect()], (), chain.now)
    assert [entry.tx for entry in change.added] == [parent]
    assert [(gone.tx, gone.reason) for gone in change.removed] == [(locked, REORG)]


def test_another_branch_wins(chain: FakeChain, pool: Mempool) -> None:
    coins = chain.spendable()
    both = spend([coins[0]], [40 * COIN])
    lost = spend([coins[1]], [40 * COIN])
    child = spend([lost.outpoint(0)], [39 * COIN])
    beaten = spend([coins[2]], [40 * COIN])
    beaten_child = spend([beaten.outpoint(0)], [39 * COIN])
    chain.mine([both, lost])
    chain.mine([beaten])
    accept_all(pool, chain, child, beaten_child)

    gone = [chain.disconnect(), chain.disconnect()][::-1]
    winner = spend([coins[2]], [30 * COIN])
    come = chain.mine([winner, both], time=chain.now + 1) + chain.mine(count=2)
    change = pool.chain_changed(gone, come, chain.now)
    assert [entry.tx for entry in change.added] == [lost]
    assert [(item.tx, item.reason) for item in change.removed] == [(beaten_child, REORG)]
    assert set(pool.txids()) == {lost.txid, child.txid}


def test_limits_hold_on_the_way_back(chain: FakeChain) -> None:
    pool = pool_on(chain, limits=MempoolLimits(ancestor_count=3, descendant_count=3))
    point, value, row = chain.spendable()[0], 50 * COIN, []
    for _ in range(6):
        value -= 1_000
        row.append(spend([point], [value]))
        point = row[-1].outpoint(0)
    chain.mine(row[:5])
    pool.accept(row[5], chain.now)
    change = pool.chain_changed([chain.disconnect()], (), chain.now)
    assert [entry.tx for entry in change.added] == row[:3]
    assert [(gone.tx, gone.reason) for gone in change.removed] == [(row[5], REORG)]


def test_what_waits_may_stay_with_more_kin_than_its_parent_may_have(chain: FakeChain) -> None:
    # As Core keeps it: after a reorg only ancestors are counted of what was there before.
    pool = pool_on(chain, limits=MempoolLimits(descendant_count=3))
    parent = spend([chain.spendable()[0]], [10 * COIN] * 4)
    chain.mine([parent])
    children = [spend([parent.outpoint(index)], [9 * COIN]) for index in range(4)]
    for child in children:
        pool.accept(child, chain.now)
    change = pool.chain_changed([chain.disconnect()], (), chain.now)
    assert [entry.tx for entry in change.added] == [parent]
    assert change.removed == ()
    assert set(pool.txids()) == {tx.txid for tx in (parent, *children)}


def test_the_disk_follows(chain: FakeChain) -> None:
    store = MemoryStore()
    pool = pool_on(chain, store=store)
    first, second, *_ = chain.spendable()
    mined, stays = spend([first], [COIN]), spend([second], [COIN])
    accept_all(pool, chain, mined, stays)
    calls = store.calls
    pool.chain_changed((), chain.mine([mined]), chain.now)
    assert set(store.kept) == {stays.txid}
    pool.chain_changed([chain.disconnect()], (), chain.now)
    assert set(store.kept) == {stays.txid, mined.txid}
    assert store.calls == calls + 2  # one commit each
