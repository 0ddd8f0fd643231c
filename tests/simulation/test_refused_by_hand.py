"""A block that its owner alone refuses: honest peers follow it, and are not blamed for that."""

from random import Random

import pytest

from misocoin.consensus.tree import HeaderNode
from misocoin.errors import ValidationError
from misocoin.peers.events import INTERNAL, BlockChecked, HeadersChecked, PeerId, TipMoved
from misocoin.peers.messages import Announce, GetBlocks
from misocoin.primitives.block import Block
from tests.simulation.chain import make_block
from tests.simulation.liars import Liar
from tests.simulation.network import Network, Node


@pytest.fixture
def network() -> Network:
    return Network(Random(7), 0.05)


def refuse(node: Node, depth: int) -> None:
    """Have its owner invalidate the block `depth` below the tip."""
    node.chain.invalidate(node.chain.tip.ancestor(node.chain.tip.height - depth))
    node.event(TipMoved(node.chain.tip, ()))


def count_asked(network: Network, node: Node) -> list[object]:
    """What `node` asks of others from now on."""
    asked: list[object] = []
    transmit = network.transmit

    def note(wire, sender, message) -> None:  # type: ignore[no-untyped-def]
        if sender is node:
            asked.append(message)
        transmit(wire, sender, message)

    network.transmit = note  # type: ignore[method-assign]
    return asked


@pytest.mark.parametrize("more", [0, 1, 14, 30])
def test_honest_peers_go_on_with_it_and_are_not_blamed(network: Network, more: int) -> None:
    node, friend, other = (Node(network, index) for index in range(3))
    for _ in range(20):
        friend.mine()
    node.connect(friend)
    node.connect(other)
    other.connect(friend)
    network.run_until(5)
    theirs = node.chain.tip
    refuse(node, 11)
    asked = count_asked(network, node)
    for _ in range(more):  # several announce each block, most of them with an unknown parent
        friend.mine()
        network.run_until(network.now + 10)
    network.run_until(network.now + 400)  # long enough to ask anew several times
    assert not node.banned
    assert not node.log
    assert [peer.score for peer in node.machine.peers.values()] == [0, 0]
    assert not [message for message in asked if isinstance(message, GetBlocks)]
    assert len(asked) < 60 + 6 * more
    # It does not count as syncing, so that what it mines is told; its peers have more work.
    assert not node.machine.is_syncing
    block = node.mine()
    network.run_until(network.now + 5)
    assert friend.chain.get(block.hash) is not None
    assert friend.chain.tip.height == 20 + more
    # Its owner thinks better of it.
    node.chain.reconsider(node.chain.tree.get(theirs.ancestor(9).hash))
    node.event(TipMoved(node.chain.tip, ()))
    network.run_until(network.now + 10)
    assert node.chain.tip.hash == friend.chain.tip.hash
    assert not node.banned


def test_who_builds_on_a_block_that_breaks_a_rule_is_blamed(network: Network) -> None:
    node, friend = Node(network, 0), Node(network, 1)
    for _ in range(5):
        friend.mine()
    node.connect(friend)
    network.run_until(5)
    liar = Liar(network)
    bad = make_block(node.chain.tip, b"x", valid=False)
    with pytest.raises(ValidationError):
        node.chain.submit(bad)
    liar.dial(node.address)
    network.run_until(10)
    on_bad = make_block(HeaderNode(bad.header, node.chain.tip), b"y")
    liar.send(Announce((bad.header, on_bad.header)))
    network.run_until(20)
    assert node.banned == ["headers on an invalid block"]


@pytest.mark.parametrize("reason", ["duplicate-invalid", "bad-prevblk", INTERNAL])
def test_headers_that_could_not_be_judged_are_no_deed(network: Network, reason: str) -> None:
    """The owner spoke while they waited for the check, or the disk was full."""
    node, friend = Node(network, 0), Node(network, 1)
    node.connect(friend)
    network.run_until(5)
    (peer,) = node.machine.peers.values()
    node.event(HeadersChecked(peer.id, (), ValidationError(reason)))
    network.run_until(10)
    assert not node.banned
    assert peer.score == 0


def test_blocks_that_could_not_be_stored_are_no_deed_and_asked_for_again(network: Network) -> None:
    node, friend = Node(network, 0), Node(network, 1)
    for _ in range(5):
        friend.mine()
    check, tried = node._check_block, []

    def full(peer: PeerId, block_hash: bytes, data: bytes | Block) -> None:
        tried.append(block_hash)
        node.event(BlockChecked(peer, block_hash, ValidationError(INTERNAL)))

    node._check_block = full  # type: ignore[method-assign]
    node.connect(friend)
    network.run_until(100)
    assert 0 < len(tried) < 20
    assert not node.banned
    assert [peer.score for peer in node.machine.peers.values()] == [0]
    node._check_block = check  # type: ignore[method-assign]
    network.run_until(200)
    assert node.chain.tip.hash == friend.chain.tip.hash
