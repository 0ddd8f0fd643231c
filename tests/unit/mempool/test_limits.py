"""How deep unconfirmed transactions may build on each other: 25 and 101 kvB, literally."""

from collections.abc import Iterable

from misocoin.chain.mempool import Mempool
from misocoin.policy.settings import MempoolLimits
from misocoin.primitives.transaction import OutPoint, Transaction
from misocoin.units import COIN
from tests.fakes.chain import FakeChain, spend
from tests.fakes.pool import pool_on, refusal


def why(pool: Mempool, tx: Transaction, chain: FakeChain) -> str:
    error = refusal(pool, tx, chain.now)
    return "" if error is None else str(error)


def chain_of(point: OutPoint, value: int, count: int) -> list[Transaction]:
    """`count` transactions, each spending the one before, each paying 1,000 of fee."""
    made = []
    for _ in range(count):
        value -= 1_000
        made.append(spend([point], [value]))
        point = made[-1].outpoint(0)
    return made


def accept_all(pool: Mempool, txs: Iterable[Transaction], chain: FakeChain) -> None:
    for tx in txs:
        pool.accept(tx, chain.now)


def large(point: OutPoint, vsize: int, *, fee: int) -> Transaction:
    """A transaction of about `vsize` virtual bytes that spends 50 coins."""
    count = (vsize - 60) // 43
    share = COIN // 100
    return spend([point], [50 * COIN - (count - 1) * share - fee, *[share] * (count - 1)])


def test_twenty_five_in_a_row(chain: FakeChain, pool: Mempool) -> None:
    *fine, last = chain_of(chain.spendable()[0], 50 * COIN, 26)
    accept_all(pool, fine, chain)
    assert why(pool, last, chain) == (
        "too-long-mempool-chain, too many unconfirmed ancestors [limit: 25]"
    )
    top = pool.get(fine[-1].txid)
    assert top is not None
    assert top.ancestor_count == 25


def test_sizes_up_to_the_limit(chain: FakeChain) -> None:
    first = spend([chain.spendable()[0]], [20 * COIN, 20 * COIN])
    second = spend([first.outpoint(0)], [19 * COIN])
    whole = first.vsize + second.vsize
    for limits in (
        MempoolLimits(ancestor_vsize=whole),
        # Beyond this, not even the carve-out's 10,000 would be enough.
        MempoolLimits(descendant_vsize=whole - 10_000),
        MempoolLimits(descendant_count=1),
    ):
        accept_all(pool_on(chain, limits=limits), [first, second], chain)
    for limits in (
        MempoolLimits(ancestor_vsize=whole - 1),
        MempoolLimits(descendant_vsize=whole - 10_001),
        MempoolLimits(descendant_count=0),
    ):
        tight = pool_on(chain, limits=limits)
        tight.accept(first, chain.now)
        assert "too-long-mempool-chain" in why(tight, second, chain)


def test_size_of_ancestors(chain: FakeChain, pool: Mempool) -> None:
    first = large(chain.spendable()[0], 90_000, fee=COIN)
    pool.accept(first, chain.now)
    child = large(chain.spendable()[1], 11_200, fee=COIN)
    joined = spend([first.outpoint(1), child.vin[0].prevout], [out.value for out in child.vout])
    assert why(pool, joined, chain) == (
        "too-long-mempool-chain, exceeds descendant size limit for tx "
        f"{first.txid_hex} [limit: 101000]"
    )
    tight = pool_on(chain, limits=MempoolLimits(descendant_vsize=200_000))
    tight.accept(first, chain.now)
    assert why(tight, joined, chain) == (
        "too-long-mempool-chain, exceeds ancestor size limit [limit: 101000]"
    )


def test_twenty_five_that_build_on_one(chain: FakeChain, pool: Mempool) -> None:
    parent = spend([chain.spendable()[0]], [COIN] * 40)
    pool.accept(parent, chain.now)
    children = [spend([parent.outpoint(i)], [COIN - 10_000]) for i in range(40)]
    accept_all(pool, children[:24], chain)
    # The carve-out: one more child, if it is small and has no other ancestor...
    two_parents = spend([parent.outpoint(30), children[0].outpoint(0)], [COIN])
    problem = f"too many descendants for tx {parent.txid_hex} [limit: 25]"
    assert why(pool, two_parents, chain) == f"too-long-mempool-chain, {problem}"
    assert why(pool, children[24], chain) == ""
    # ...and no second one.
    assert why(pool, children[25], chain) == f"too-long-mempool-chain, {problem}"


def test_size_of_descendants(chain: FakeChain, pool: Mempool) -> None:
    parent = spend([chain.spendable()[0]], [COIN] * 10)
    pool.accept(parent, chain.now)
    coins = chain.spendable()[1:]

    def child(index: int, vsize: int) -> Transaction:
        model = large(coins[index], vsize, fee=COIN)
        points = [parent.outpoint(index), model.vin[0].prevout]
        return spend(points, [out.value for out in model.vout])

    accept_all(pool, [child(0, 50_000), child(1, 45_000)], chain)
    problem = f"exceeds descendant size limit for tx {parent.txid_hex} [limit: 101000]"
    assert why(pool, child(2, 12_000), chain) == f"too-long-mempool-chain, {problem}"
    assert why(pool, child(3, 9_500), chain) == ""


def test_what_is_replaced_makes_room(chain: FakeChain) -> None:
    pool = pool_on(chain, limits=MempoolLimits(descendant_count=3))
    parent = spend([chain.spendable()[0]], [COIN] * 5)
    left = spend([parent.outpoint(0)], [COIN - 1_000])
    below = spend([left.outpoint(0)], [COIN - 2_000])
    accept_all(pool, [parent, left, below], chain)
    for index in (1, 2):
        carved = spend([parent.outpoint(index)], [COIN - 1_000])
        assert ("too many descendants" in why(pool, carved, chain)) is (index == 2)
    # Takes the place of `left` and `below`: three are left, and so there is room for one more.
    new_left = spend([parent.outpoint(0)], [COIN - 10_000])
    assert why(pool, new_left, chain) == ""
    entry = pool.get(parent.txid)
    assert entry is not None
    assert entry.descendant_count == 3


def test_the_size_of_what_is_replaced_makes_room(chain: FakeChain) -> None:
    parent = spend([chain.spendable()[0]], [20 * COIN, 20 * COIN])
    large_child = spend([parent.outpoint(0)], [COIN // 10] * 100)
    small_child = spend([parent.outpoint(1)], [COIN])
    instead = spend([parent.outpoint(0)], [COIN // 100] * 50)
    limit = parent.vsize + small_child.vsize + instead.vsize
    pool = pool_on(chain, limits=MempoolLimits(descendant_vsize=limit - 10_000))
    accept_all(pool, [parent, small_child], chain)
    assert "exceeds descendant size limit" in why(pool, large_child, chain)
    assert why(pool, instead, chain) == ""
    # One of the same size, in its place.
    again = spend([parent.outpoint(0)], [COIN // 200] * 50)
    assert again.vsize == instead.vsize
    assert why(pool, again, chain) == ""


def test_a_carve_out_needs_a_small_transaction(chain: FakeChain) -> None:
    pool = pool_on(chain, limits=MempoolLimits(descendant_count=2))
    parent = spend([chain.spendable()[0]], [20 * COIN, 20 * COIN])
    accept_all(pool, [parent, spend([parent.outpoint(0)], [COIN])], chain)
    share = COIN // 100
    big = spend([parent.outpoint(1)], [share] * 233)
    assert big.vsize > 10_000
    assert "too many descendants" in why(pool, big, chain)
    small = spend([parent.outpoint(1)], [share] * 231)
    assert small.vsize <= 10_000
    assert why(pool, small, chain) == ""


def test_confirmed_ancestors_do_not_count(chain: FakeChain, pool: Mempool) -> None:
    made = chain_of(chain.spendable()[0], 50 * COIN, 26)
    accept_all(pool, made[:25], chain)
    pool.chain_changed((), chain.mine(made[:10]), chain.now)
    assert why(pool, made[25], chain) == ""
    entry = pool.get(made[25].txid)
    assert entry is not None
    assert entry.ancestor_count == 16
