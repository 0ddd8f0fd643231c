"""What is learned of fees from what comes, goes and is mined."""

from misocoin.chain.events import BlockConnected, TransactionAdded, TransactionRemoved
from misocoin.chain.fee_observer import FeeObserver
from misocoin.consensus.tree import HeaderNode
from misocoin.params import regtest
from misocoin.policy.fee_estimate import MIN_SAMPLES
from misocoin.policy.feerate import feerate_from_fee
from misocoin.primitives.transaction import Transaction
from tests.builders import make_block, make_outpoint, spend

GENESIS = HeaderNode(regtest().genesis.header, None)
FEE = 1_000


def payments(count: int, first: int = 1) -> list[Transaction]:
    return [spend([make_outpoint(number)], [1]) for number in range(first, first + count)]


def connect(observer: FeeObserver, parent: HeaderNode, txs: list[Transaction]) -> HeaderNode:
    block = make_block(parent, regtest(), txs)
    node = HeaderNode(block.header, parent)
    observer.handle(BlockConnected(node, block))
    return node


def test_a_rate_that_was_mined_at_once_is_enough() -> None:
    observer = FeeObserver()
    txs = payments(MIN_SAMPLES)
    for tx in txs:
        observer.handle(TransactionAdded(tx, FEE))
    assert observer.estimate(2) is None
    connect(observer, GENESIS, txs)
    assert observer.estimate(2) == feerate_from_fee(FEE, txs[0].vsize)


def test_what_left_or_was_never_seen_to_come_says_nothing() -> None:
    observer = FeeObserver()
    txs = payments(MIN_SAMPLES)
    for tx in txs[:-1]:
        observer.handle(TransactionAdded(tx, FEE))
    observer.handle(TransactionAdded(txs[-1], FEE))
    observer.handle(TransactionRemoved(txs[-1], "expiry"))
    connect(observer, GENESIS, txs)
    assert observer.estimate(2) is None


def test_a_child_waits_for_its_parent_and_says_nothing() -> None:
    observer = FeeObserver()
    parents = payments(MIN_SAMPLES - 1)
    children = [spend([tx.outpoint(0)], [0]) for tx in parents]
    for tx in (*parents, *children):
        observer.handle(TransactionAdded(tx, FEE))
    connect(observer, GENESIS, [*parents, *children])
    assert observer.estimate(2) is None


def test_what_still_waits_speaks_against_its_rate() -> None:
    observer = FeeObserver()
    txs = payments(MIN_SAMPLES)
    late = payments(MIN_SAMPLES, 1000)
    for tx in (*txs, *late):
        observer.handle(TransactionAdded(tx, FEE))
    node = connect(observer, GENESIS, txs)
    assert observer.estimate(2) is not None
    for _ in range(3):
        node = connect(observer, node, [])
    assert observer.estimate(2) is None
