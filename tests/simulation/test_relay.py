"""News reaches everybody, also where nodes are slow, busy or a block behind."""

from dataclasses import replace
from random import Random

import pytest

from misocoin.errors import MisocoinError, MissingInputsError, RejectCode, ValidationError
from misocoin.peers.events import PeerId, PingAll, TipMoved, TransactionChecked
from misocoin.peers.messages import Announce, BlockBody, GetHeaders, Message, Pong, Request
from misocoin.primitives.block import Block, header_from_bytes
from misocoin.primitives.transaction import OutPoint, Transaction, TxIn, TxOut
from tests.simulation.chain import make_block
from tests.simulation.liars import Liar, honest
from tests.simulation.network import LIMITS, Network, Node


def line(network: Network, count: int, **options: object) -> list[Node]:
    """Nodes in a row, each linked with the next."""
    nodes = [Node(network, i, dials=False, **options) for i in range(count)]  # type: ignore[arg-type]
    for one, other in zip(nodes, nodes[1:], strict=False):
        other.connect(one)
    network.run_until(5)
    return nodes


def payments(count: int) -> list[Transaction]:
    return [
        Transaction.build(1, [TxIn(OutPoint(n.to_bytes(36, "big")))], [TxOut(1, b"")])
        for n in range(1, count + 1)
    ]


def refuse(node: Node, error: MisocoinError) -> list[bool]:
    """Have a node's mempool refuse all transactions until the list that is returned is empty."""
    check, is_early = node._check_transaction, [True]

    def check_or_refuse(peer: PeerId, tx: Transaction) -> None:
        if is_early:
            node.event(TransactionChecked(peer, tx, error))
        else:
            check(peer, tx)

    node._check_transaction = check_or_refuse  # type: ignore[method-assign]
    return is_early


@pytest.mark.parametrize("seed", [194, *range(5)])
def test_a_burst_of_blocks_reaches_the_end_of_a_line(seed: int) -> None:
    """Blocks are pushed to a node that still validates their parents; none waits for a later one.

    With seed 194 the last block is pushed while an answer about older headers is on its way.
    """
    random = Random(seed)
    network = Network(random, random.choice([0.02, 0.1, 0.3]))
    network.work = random.choice([0.001, 0.05, 0.2])
    nodes = [Node(network, i) for i in range(4)]
    for one, other in zip(nodes, nodes[1:], strict=False):
        other.connect(one)
    network.run_until(5)
    at = 0.0
    for _ in range(random.randint(2, 14)):
        at += random.choice([0.01, 0.05, 0.2])
        network.at(at, nodes[0].mine)
    network.run_until(30)
    assert {node.chain.tip.hash for node in nodes} == {nodes[0].chain.tip.hash}


def test_an_announcement_while_headers_are_on_their_way() -> None:
    """The answer ends below the news: what lies between is asked for, not waited for."""
    network = Network(Random(1), 0.05)
    (victim,) = line(network, 1)
    news: list[Block] = []

    def answer(source: Liar, request: Request) -> list[Message]:
        answers = honest(source, request)
        if news and isinstance(request, GetHeaders):
            block = news.pop()
            source.chain.submit(block)
            (peer,) = victim.machine.peers
            victim.deliver(peer, Announce((block.header,)))  # by a poll, faster than the answer
        return answers

    source = Liar(network, answer)
    victim.connect(source)
    network.run_until(6)
    for n in range(2):
        source.chain.submit(make_block(source.chain.tip, b"%d" % n))
    block = make_block(source.chain.tip, b"news")
    news.append(block)
    source.send(Announce((source.chain.tip.header,)))
    network.run_until(12)
    assert victim.chain.tip.hash == block.hash


@pytest.mark.parametrize("seed", range(20))
def test_a_block_that_comes_during_the_handshake(seed: int) -> None:
    """The dialled end has had its answer about headers, the dialling one has no link yet."""
    network = Network(Random(seed), 0.1)
    one, two = Node(network, 0), Node(network, 1)
    two.connect(one)
    while not one.wires:
        network.run_until(network.now + 0.01)
    network.at(network.random.uniform(0, 0.15), two.mine)
    network.run_until(10)
    assert one.chain.tip.hash == two.chain.tip.hash != one.chain.tree.genesis.hash


def test_a_peers_height_follows_its_blocks_and_ours() -> None:
    """Pushed in compact form, or heard of from us: either way it shows how far it is."""
    network = Network(Random(2), 0.05)
    one, two, three = line(network, 3)
    for miner in (one, three, two, one):
        miner.mine()
        network.run_until(network.now + 3)
        for node in (one, two, three):
            shown = [peer.best for peer in node.machine.peers.values()]
            assert [best and best.hash for best in shown] == [node.chain.tip.hash] * len(shown)


def test_a_late_answer_counts() -> None:
    """Who answers after our patience has ended still brings a payment that nobody else has."""
    network = Network(Random(3), 2.0)
    limits = replace(LIMITS, transaction_seconds=0.5, headers_seconds=60)
    one, two = line(network, 2, limits=limits)
    network.run_until(30)
    for tx in payments(30):
        one.add_transaction(tx)
    network.run_until(90)
    assert two.pool == one.pool
    assert [peer.score for peer in two.machine.peers.values()] == [0]


def test_payments_of_a_syncing_node_are_told_when_it_is_level() -> None:
    network = Network(Random(4), 0.05)
    network.work = 0.3
    one, two, three = (Node(network, i, dials=False) for i in range(3))
    for _ in range(40):
        one.mine()
    three.connect(two)
    network.run_until(3)
    two.connect(one)
    network.run_until(6)
    assert two.machine.is_syncing
    (tx,) = payments(1)
    two.add_transaction(tx)
    network.run_until(7)
    assert two.machine.is_syncing
    assert not three.pool
    network.run_until(60)
    assert one.pool == three.pool == {tx.wtxid: tx}


@pytest.mark.parametrize(
    "error",
    [
        MissingInputsError("bad-txns-inputs-missingorspent"),
        ValidationError("too-long-mempool-chain", "", RejectCode.NONSTANDARD),
        ValidationError("non-final", "", RejectCode.NONSTANDARD),
    ],
)
def test_payments_that_came_before_their_block(error: MisocoinError) -> None:
    """All are asked for again when it is there, also those for which there was no room."""
    network = Network(Random(5), 0.05)
    one, two = line(network, 2)
    is_early = refuse(two, error)
    for tx in payments(400):
        one.add_transaction(tx)
    network.run_until(network.now + 5)
    assert not two.pool
    is_early.clear()
    one.mine()
    network.run_until(network.now + 5)
    assert two.pool == one.pool


def test_a_payment_that_is_mined_on_its_way_is_held_against_nobody() -> None:
    network = Network(Random(6), 0.5)
    limits = replace(LIMITS, headers_seconds=60)
    one, two = line(network, 2, limits=limits)
    network.run_until(20)
    tx = payments(1)[0]
    one.add_transaction(tx)
    while not two.machine.transactions.size:
        network.run_until(network.now + 0.05)
    plain = make_block(two.chain.tip, b"x")
    block = Block(plain.header, (*plain.transactions, tx))
    two.event(TipMoved(two.chain.tip, (block,)))
    network.run_until(network.now + 10)
    assert not two.pool
    assert [peer.score for peer in two.machine.peers.values()] == [0]


def test_points_outlast_a_link() -> None:
    """Who dials anew, over the old link or after it, begins with the points it had."""
    network = Network(Random(8), 0.05)
    (victim,) = line(network, 1)
    liar = Liar(network)
    genesis = liar.chain.params.genesis.serialize()

    def offend() -> None:
        liar.dial(victim.address)
        network.run_until(network.now + 1)
        liar.send(BlockBody(header_from_bytes(genesis), genesis))
        network.run_until(network.now + 1)

    offend()
    assert [peer.score for peer in victim.machine.peers.values()] == [50]
    liar.dial(victim.address)
    network.run_until(network.now + 1)
    assert [peer.score for peer in victim.machine.peers.values()] == [50]
    for wire in list(liar.wires.values()):
        network.cut(wire)
    network.run_until(network.now + 2)
    assert not victim.machine.peers
    offend()
    assert victim.banned == ["a block that was not asked for"]


def test_links_are_timed() -> None:
    """At once, every two minutes, and when a user asks; a lie about a number is passed over."""
    network = Network(Random(9), 0.1)
    one, two = line(network, 2)
    (seen,) = one.machine.peers.values()
    assert 0.04 <= seen.least_ping == seen.ping <= 0.36
    one.deliver(seen.id, Pong(1))
    since = seen.ping_since
    network.run_until(since + 100)
    assert seen.ping_since == since
    network.run_until(since + 125)
    assert seen.ping_since >= since + 120
    two.event(PingAll())
    (other,) = two.machine.peers.values()
    assert (other.ping_since, other.ping_nonce is None) == (network.now, False)
    network.run_until(network.now + 1)
    assert other.ping_nonce is None
    assert other.least_ping <= other.ping <= 0.36
