"""A link with a node that has only Core's REST: what the machine does otherwise."""

from random import Random

import pytest

from misocoin.errors import RejectCode, ValidationError
from misocoin.peers.events import (
    Action,
    Connected,
    Event,
    Link,
    PeerId,
    Received,
    Send,
    TipMoved,
    TransactionChecked,
)
from misocoin.peers.hello import Hello
from misocoin.peers.machine import Machine
from misocoin.peers.messages import Address, GetTransactions, Headers, TransactionIds, Transactions
from misocoin.primitives.transaction import OutPoint, Transaction, TxIn, TxOut
from tests.simulation.chain import FakeChain

ADDRESS = Address("127.0.0.1", 18443)
OURS, BITCOIND = PeerId(1), PeerId(2)


class Node:
    """A machine whose time stands still."""

    def __init__(self) -> None:
        self.chain = FakeChain()
        self.machine = Machine(self.chain.params, self.chain, Random(1))

    def handle(self, event: Event) -> list[Action]:
        return self.machine.handle(event, 0.0, 1_700_000_000)

    def link(self, peer: PeerId, *, has_rest_only: bool) -> None:
        genesis = self.chain.params.genesis.hash
        hello = None if has_rest_only else Hello(genesis, genesis, 0, 0, 0, 5)
        self.handle(Connected(Link(peer, True, ADDRESS.host, ADDRESS, hello, True)))
        self.handle(Received(peer, Headers(())))


@pytest.fixture
def node() -> Node:
    return Node()


def test_its_address_is_neither_kept_nor_told(node: Node) -> None:
    """Where a bitcoind takes calls is its owner's affair, also where others told of it."""
    node.machine.gossip.book.add(ADDRESS, "hearsay", 1_700_000_000)
    node.link(BITCOIND, has_rest_only=True)
    assert ADDRESS not in node.machine.gossip.book
    assert node.machine.gossip.sample(local=True) == ()


def test_one_of_ours_is_told(node: Node) -> None:
    node.link(OURS, has_rest_only=False)
    assert ADDRESS in node.machine.gossip.book


@pytest.mark.parametrize("has_rest_only", [True, False])
def test_what_came_too_early_is_asked_for_by_the_name_it_is_found_by(
    node: Node, has_rest_only: bool
) -> None:
    """A payment that its mempool had, but our tip did not allow yet; REST knows no witness ids."""
    txin = TxIn(OutPoint(bytes(36)), b"", witness=(b"1",))
    tx = Transaction.build(2, [txin], [TxOut(1, b"")])
    name = tx.txid if has_rest_only else tx.wtxid
    node.link(BITCOIND, has_rest_only=has_rest_only)
    asked = Send(BITCOIND, GetTransactions((name,)))
    assert asked in node.handle(Received(BITCOIND, TransactionIds((name,))))
    node.handle(Received(BITCOIND, Transactions((tx,))))
    early = ValidationError("bad-txns-premature-spend-of-coinbase", "", RejectCode.INVALID)
    assert asked not in node.handle(TransactionChecked(BITCOIND, tx, early))
    assert asked in node.handle(TipMoved(node.chain.tip, ()))
