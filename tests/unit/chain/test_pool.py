"""The pool that follows the chain: what the mempool is told, and what others hear of it."""

from types import SimpleNamespace

import pytest

from misocoin.chain.events import TransactionAdded, TransactionRemoved
from misocoin.chain.mempool import Mempool
from misocoin.chain.mempool_entry import MempoolChange
from misocoin.chain.mempool_rules import MempoolRules
from misocoin.chain.pool import TransactionPool
from misocoin.consensus.coins import Coin
from misocoin.errors import MissingInputsError, StoreError, ValidationError
from misocoin.policy.feerate import FeeRate
from misocoin.policy.settings import MempoolLimits, RelayPolicy
from misocoin.primitives.transaction import TxOut
from tests.builders import (
    KEY_SCRIPT,
    grow,
    make_block,
    make_outpoint,
    open_chain,
    signed_spend,
    small_params,
    spend,
)

PARAMS = small_params()
SUBSIDY = 5_000_000_000
NOTHING = MempoolChange((), ())


class RecordingMempool:
    """Notes what it is told about the chain."""

    def __init__(self, size):
        self.size = size
        self.told = []

    def __len__(self):
        return self.size

    def chain_changed(self, disconnected, connected, now):
        del now
        self.told.append(
            ([block.hash for block in disconnected], [block.hash for block in connected])
        )
        return NOTHING


@pytest.fixture
def params():
    return PARAMS


@pytest.fixture
def record(chain):
    """A mempool of so many transactions that follows the chain."""

    def start(size=1):
        mempool = RecordingMempool(size)
        chain.events.subscribe(TransactionPool(chain, mempool).handle)
        return mempool.told

    return start


def _hashes(blocks):
    return [block.hash for block in blocks]


def _submit(chain, blocks):
    for block in blocks:
        chain.submit_block(block)


def test_blocks_are_told_as_they_come(chain, record):
    told = record()
    blocks = grow(chain.tip, PARAMS, 2)
    _submit(chain, blocks)
    assert told == [([], [blocks[0].hash]), ([], [blocks[1].hash])]


def test_an_empty_mempool_is_not_told_of_a_growing_chain(chain, record):
    told = record(size=0)
    _submit(chain, grow(chain.tip, PARAMS, 3))
    assert told == []


@pytest.mark.parametrize("size", [0, 1])
def test_a_reorg_is_told_at_once_lowest_first(chain, record, size):
    old = grow(chain.tip, PARAMS, 2, tag=b"old")
    new = grow(chain.tip, PARAMS, 3, tag=b"new")
    _submit(chain, old)
    told = record(size)
    _submit(chain, new)
    assert told == [(_hashes(old), _hashes(new))]


def _failing(parent, good, tag):
    """So many good blocks, then a bad one and a good one on top."""
    blocks = grow(parent, PARAMS, good, tag=tag)
    for block in blocks:
        parent = type(parent)(block.header, parent)
    bad = make_block(parent, PARAMS, fees=1, tag=tag)
    return [*blocks, bad, *grow(type(parent)(bad.header, parent), PARAMS, 1)]


def test_a_branch_that_is_taken_back_is_not_told(chain, record):
    old = grow(chain.tip, PARAMS, 3, tag=b"old")
    bad = _failing(chain.tip, 3, b"bad")
    _submit(chain, old)
    chain.accept_headers([block.header for block in bad])
    told = record()
    _submit(chain, reversed(bad))
    assert chain.tip.hash == old[-1].hash
    assert told == []
    more = grow(chain.tip, PARAMS, 1)
    _submit(chain, more)
    assert told == [([], _hashes(more))]


def test_a_branch_that_wins_after_another_failed(chain, record):
    """Down to genesis, up and down the bad branch, half the old one up again, then the new one."""
    root = chain.tip
    old = grow(root, PARAMS, 3, tag=b"old")
    _submit(chain, old)
    bad = _failing(root, 4, b"bad")
    new = grow(chain.at_height(1), PARAMS, 4, tag=b"new")
    headers = [block.header for block in [*bad, *new]]
    chain.accept_headers(headers)
    _submit(chain, [*bad[1:], *new[1:]])
    told = record()
    _submit(chain, [new[0], bad[0]])
    assert chain.tip.hash == new[-1].hash
    assert told == [(_hashes(old[1:]), _hashes(new))]


def test_the_valid_part_of_a_failed_branch(chain, record):
    old = grow(chain.tip, PARAMS, 1, tag=b"old")
    bad = _failing(chain.tip, 2, b"bad")
    _submit(chain, old)
    chain.accept_headers([block.header for block in bad])
    told = record()
    _submit(chain, reversed(bad))
    assert chain.tip.hash == bad[1].hash
    assert told == [(_hashes(old), _hashes(bad[:2]))]


# -- with the real mempool --------------------------------------------------------------------


@pytest.fixture
def pool(chain, store):
    _submit(chain, [make_block(chain.tip, PARAMS, script=KEY_SCRIPT)])
    _submit(chain, grow(chain.tip, PARAMS, 3))
    made = _open_pool(chain, store)
    chain.events.subscribe(made.handle)
    return made


def _open_pool(chain, store):
    rules = MempoolRules(PARAMS, RelayPolicy(), MempoolLimits())
    return TransactionPool(chain, Mempool(chain, rules, store))


@pytest.fixture
def payment(chain, pool):
    point = chain.get_block(chain.at_height(1)).transactions[0].outpoint(0)
    return signed_spend(chain.get_coins([point]), [TxOut(SUBSIDY - 500, KEY_SCRIPT)])


def test_a_transaction_is_taken_in_and_told(chain, pool, payment):
    heard = []
    chain.events.subscribe(heard.append)
    entry = pool.submit(payment)
    assert (entry.tx, entry.fee) == (payment, 500)
    assert heard == [TransactionAdded(payment, 500)]
    with pytest.raises(ValidationError, match="txn-already-in-mempool"):
        pool.submit(payment)
    with pytest.raises(MissingInputsError):
        pool.submit(spend([make_outpoint(1)], [TxOut(1000, KEY_SCRIPT)]))
    assert len(heard) == 1


def test_a_limit_on_the_fee_is_the_senders_choice(pool, payment):
    """500 base units for 110 virtual bytes are a rate of 4,545 and a bit."""
    assert payment.vsize == 110
    with pytest.raises(ValidationError, match="max-fee-exceeded"):
        pool.submit(payment, FeeRate(4_536))
    assert len(pool.mempool) == 0
    assert pool.submit(payment, FeeRate(4_546)).fee == 500


def test_what_came_in_of_a_package_before_the_disk_failed_is_told(
    chain, pool, payment, monkeypatch
):
    heard = []
    chain.events.subscribe(heard.append)
    child = signed_spend(
        {payment.outpoint(0): Coin(SUBSIDY - 500, KEY_SCRIPT, 0, False)},
        [TxOut(SUBSIDY - 1_500, KEY_SCRIPT)],
    )
    accept = pool.mempool.accept_of_package

    def accept_the_first(tx, *rest):
        if tx == child:
            raise StoreError("the disk is full")
        return accept(tx, *rest)

    monkeypatch.setattr(pool.mempool, "accept_of_package", accept_the_first)
    with pytest.raises(StoreError, match="the disk is full"):
        pool.submit_package([payment, child])
    assert heard == [TransactionAdded(payment, 500)]


def test_it_is_there_after_a_restart(chain, store, pool, payment):
    pool.submit(payment)
    again = open_chain(PARAMS, store)
    other = _open_pool(again, store)
    assert other.load() == 1
    assert other.mempool.get(payment.txid).tx == payment


def test_a_reorg_gives_it_back(chain, pool, payment):
    parent = chain.tip
    pool.submit(payment)
    _submit(chain, [make_block(parent, PARAMS, [payment], fees=500)])
    assert len(pool.mempool) == 0
    _submit(chain, grow(parent, PARAMS, 2, tag=b"new"))
    assert len(pool.mempool) == 1


def test_a_transaction_that_a_block_contradicts_leaves_and_is_told(chain, pool, payment):
    pool.submit(payment)
    heard = []
    chain.events.subscribe(heard.append)
    coins = chain.get_coins([payment.vin[0].prevout])
    rival = signed_spend(coins, [TxOut(SUBSIDY - 900, KEY_SCRIPT)])
    _submit(chain, [make_block(chain.tip, PARAMS, [rival])])
    assert len(pool.mempool) == 0
    assert [event for event in heard if isinstance(event, TransactionRemoved)] == [
        TransactionRemoved(payment, "conflict")
    ]


def test_a_branch_that_fails_takes_nothing_out_of_the_mempool(chain, pool, payment):
    """A transaction that is only in the valid part of a failed branch still waits."""
    parent = chain.tip
    _submit(chain, grow(parent, PARAMS, 1, tag=b"old"))
    pool.submit(payment)
    first = make_block(parent, PARAMS, [payment], fees=500)
    node = chain.accept_headers([first.header])[0]
    bad = make_block(node, PARAMS, fees=1)
    chain.accept_headers([bad.header])
    _submit(chain, [bad, first])
    assert chain.tip.hash not in (first.hash, bad.hash)
    assert pool.mempool.get(payment.txid) is not None


def test_the_least_rate_will_do_while_a_block_holds_all(pool, payment):
    pool.submit(payment)
    assert pool.fee_rate() == pool.mempool.min_feerate(0)


class _CrowdedMempool:
    """So many transactions, each of a rate and a weight."""

    def __init__(self, *waiting):
        self._waiting = waiting

    def min_feerate(self, _now):
        return 1000

    def info(self, _now):
        return SimpleNamespace(vsize=sum(weight for _, weight in self._waiting) // 4)

    def entries(self):
        return tuple(
            SimpleNamespace(ancestor_feerate=rate, tx=SimpleNamespace(weight=weight))
            for rate, weight in self._waiting
        )


@pytest.mark.parametrize(
    ("waiting", "rate"),
    [
        ([(5000, 3_999_996)], 1000),
        ([(2000, 3_000_000), (9000, 2_000_000)], 2200),
        ([(2000, 3_000_000), (9000, 2_000_000), (8000, 2_100_000)], 8800),
        ([(905, 3_000_000), (9000, 2_000_000)], 1000),
        ([(2000, 2_000_000), (9000, 2_000_000)], 1000),
    ],
)
def test_else_a_tenth_more_than_the_last_to_fit_pays(chain, waiting, rate):
    assert TransactionPool(chain, _CrowdedMempool(*waiting)).fee_rate() == rate
