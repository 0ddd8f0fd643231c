"""Replacement by fee, rule by rule."""

from misocoin.chain.mempool import Mempool
from misocoin.chain.mempool_entry import RemovalReason
from misocoin.errors import RejectCode
from misocoin.policy.settings import MempoolLimits
from misocoin.primitives.transaction import Transaction
from misocoin.units import COIN
from tests.fakes.chain import FakeChain, spend
from tests.fakes.pool import pool_on, refusal


def why(pool: Mempool, tx: Transaction, chain: FakeChain) -> str:
    before = pool.entries()
    error = refusal(pool, tx, chain.now)
    if error is None:
        return ""
    assert pool.entries() == before
    return str(error)


def test_paying_more_replaces_with_all_descendants(chain: FakeChain, pool: Mempool) -> None:
    coin = chain.spendable()[0]
    old = spend([coin], [50 * COIN - 1_000])  # does not signal: full replacement
    child = spend([old.outpoint(0)], [50 * COIN - 2_000])
    pool.accept(old, chain.now)
    pool.accept(child, chain.now)
    new = spend([coin], [50 * COIN - 5_000])
    change = pool.accept(new, chain.now)
    assert [(gone.tx, gone.reason) for gone in change.removed] == [
        (old, RemovalReason.REPLACED),
        (child, RemovalReason.REPLACED),
    ]
    assert [entry.tx for entry in change.added] == [new]
    assert pool.txids() == (new.txid,)
    spender = pool.spender(coin)
    assert spender is not None
    assert spender.tx == new


def test_rule_2_no_new_unconfirmed_inputs(chain: FakeChain, pool: Mempool) -> None:
    first, second, *_ = chain.spendable()
    other = spend([second], [COIN, COIN])
    old = spend([first], [50 * COIN - 1_000])
    pool.accept(other, chain.now)
    pool.accept(old, chain.now)
    new = spend([first, other.outpoint(0)], [40 * COIN])
    problem = f"replacement {new.txid_hex} adds unconfirmed input, idx 1"
    assert why(pool, new, chain) == f"replacement-adds-unconfirmed, {problem}"
    # One that the replaced had, too, may stay.
    pool.accept(spend([other.outpoint(0)], [COIN - 1_000]), chain.now)
    assert why(pool, spend([other.outpoint(0), other.outpoint(1)], [COIN]), chain) == ""


def test_rule_3_not_less_than_all_it_replaces(chain: FakeChain, pool: Mempool) -> None:
    coin = chain.spendable()[0]
    old = spend([coin], [50 * COIN - 1_000])
    child = spend([old.outpoint(0)], [49 * COIN])
    pool.accept(old, chain.now)
    pool.accept(child, chain.now)
    total = COIN
    new = spend([coin], [50 * COIN - total + 1])
    assert why(pool, new, chain) == (
        f"insufficient fee, rejecting replacement {new.txid_hex}, less fees than conflicting "
        f"txs; 0.99999999 < 1.00"
    )


def test_rule_4_pays_for_its_own_way(chain: FakeChain, pool: Mempool) -> None:
    coin = chain.spendable()[0]
    old = spend([coin], [50 * COIN - 10_000])
    pool.accept(old, chain.now)
    new = spend([coin], [50 * COIN - 10_000 - old.vsize + 1])
    error = refusal(pool, new, chain.now)
    assert error is not None
    assert error.code is RejectCode.INSUFFICIENT_FEE
    assert str(error) == (
        f"insufficient fee, rejecting replacement {new.txid_hex}, not enough additional fees to "
        f"relay; 0.000000{old.vsize - 1} < 0.000000{old.vsize}"
    )
    assert why(pool, spend([coin], [50 * COIN - 10_000 - old.vsize]), chain) == ""


def test_rule_5_at_most_a_hundred(chain: FakeChain) -> None:
    pool = pool_on(chain, limits=MempoolLimits(descendant_count=200, ancestor_count=200))
    first, second, *_ = chain.spendable()

    def fill(point: bytes, count: int) -> None:
        parent = spend([point], [COIN // 10] * (count - 1))
        pool.accept(parent, chain.now)
        for index in range(count - 1):
            pool.accept(spend([parent.outpoint(index)], [COIN // 20]), chain.now)

    fill(first, 100)
    fill(second, 1 + 1)
    new = spend([first, second], [COIN])
    assert why(pool, new, chain) == (
        f"too many potential replacements, rejecting replacement {new.txid_hex}; too many "
        "potential replacements (102 > 100)"
    )
    assert why(pool, spend([first], [COIN // 100]), chain) == ""
    assert len(pool) == 3


def test_rule_6_a_better_rate_than_each_direct_conflict(chain: FakeChain, pool: Mempool) -> None:
    coin = chain.spendable()[0]
    old = spend([coin], [50 * COIN - 1_000])
    pool.accept(old, chain.now)
    bulky = spend([coin], [50 * COIN - 40 * COIN // 10 - 15_000, *[COIN // 10] * 40])
    assert why(pool, bulky, chain).startswith(
        f"insufficient fee, rejecting replacement {bulky.txid_hex}; new feerate "
    )
    assert "<= old feerate 0.00010416 BTC/kvB" in why(pool, bulky, chain)
    # The rates of both count with their deltas.
    pool.prioritise(old.txid, -500)
    assert why(pool, bulky, chain) == ""


def test_rule_6_the_same_rate_is_not_better(chain: FakeChain, pool: Mempool) -> None:
    first, second, *_ = chain.spendable()
    old = spend([first], [50 * COIN - 960])
    pool.accept(old, chain.now)
    double = spend([first, second], [100 * COIN - 10 * spend([first, second], [0]).vsize])
    assert old.vsize == 96
    assert "new feerate 0.00010000 BTC/kvB <= old feerate 0.00010000 BTC/kvB" in why(
        pool, double, chain
    )


def test_a_transaction_must_not_spend_what_it_replaces(chain: FakeChain, pool: Mempool) -> None:
    coin = chain.spendable()[0]
    old = spend([coin], [40 * COIN, 9 * COIN])
    child = spend([old.outpoint(0)], [39 * COIN])
    pool.accept(old, chain.now)
    pool.accept(child, chain.now)
    for parent in (old.outpoint(1), child.outpoint(0)):
        new = spend([coin, parent], [30 * COIN])
        assert why(pool, new, chain).startswith("bad-txns-spends-conflicting-tx")


def test_one_replaces_several(chain: FakeChain, pool: Mempool) -> None:
    coins = chain.spendable()[:3]
    for coin in coins:
        pool.accept(spend([coin], [50 * COIN - 1_000]), chain.now)
    change = pool.accept(spend(coins, [150 * COIN - 10_000]), chain.now)
    assert len(change.removed) == 3
    assert len(pool) == 1


def test_deltas_count_on_both_sides(chain: FakeChain, pool: Mempool) -> None:
    coin = chain.spendable()[0]
    old = spend([coin], [50 * COIN - 1_000])
    new = spend([coin], [50 * COIN - 2_000])
    pool.accept(old, chain.now)
    pool.prioritise(old.txid, 5_000)
    assert why(pool, new, chain).startswith("insufficient fee")
    pool.prioritise(new.txid, 5_000)
    assert why(pool, new, chain) == ""
