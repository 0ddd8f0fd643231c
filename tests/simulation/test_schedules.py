"""Thousands of random schedules: every honest node ends on the chain with the most work."""

from dataclasses import replace
from math import inf
from random import Random

import pytest

from misocoin.peers.messages import Address
from tests.simulation.liars import Liar
from tests.simulation.network import EPOCH, LIMITS, Network, Node
from tests.simulation.villains import HARMFUL, IDLE, Villain, again

GROUPS = 20
SEEDS_PER_GROUP = 50
LONG_SEEDS = 10_000
LIAR_GROUPS = 6
SEEDS_PER_LIAR_GROUP = 10


def topology(nodes: list[Node], random: Random) -> None:
    """Link each node but the first to one before it, and some others across."""
    for i, node in enumerate(nodes[1:], 1):
        node.connect(random.choice(nodes[:i]))
    for _ in range(random.randrange(len(nodes))):
        one, other = random.sample(nodes, 2)
        one.connect(other)


def mine_at_random(network: Network, nodes: list[Node], count: int, span: float) -> None:
    for _ in range(count):
        node = network.random.choice(nodes)
        network.at(network.random.uniform(0, span), node.mine)


def check_converged(nodes: list[Node]) -> None:
    best = max(node.chain.tip.chain_work for node in nodes)
    assert {node.chain.tip.hash for node in nodes} == {
        next(n.chain.tip.hash for n in nodes if n.chain.tip.chain_work == best)
    }


def run_honest(seed: int) -> None:
    random = Random(seed)
    network = Network(random, random.choice([0.01, 0.1, 0.5]), random.choice([0, 0, 0.01, 0.05]))
    network.work = random.choice([0.001, 0.02, 0.3])
    nodes = [Node(network, i) for i in range(random.randint(2, 5))]
    topology(nodes, random)
    mine_at_random(network, nodes, random.randint(1, 15), 12)
    if random.random() < 0.4:
        sides = {node.index: random.randrange(2) for node in nodes}
        network.at(random.uniform(0, 4), lambda: network.partition(sides))
        network.at(random.uniform(5, 12), lambda: network.partition({}))
    if random.random() < 0.4:
        late = Node(network, len(nodes))
        nodes.append(late)
        network.at(random.uniform(0, 12), lambda: late.connect(nodes[0]))
    if random.random() < 0.4:
        network.at(random.uniform(0, 10), lambda: network.freeze(random.uniform(0, 3)))
    network.run_until(14)
    network.loss = 0.0
    network.run_until(30)
    nodes[0].mine()  # settles races between tips of equal work
    network.run_until(60)
    check_converged(nodes)
    for node in nodes:
        assert not node.banned, (seed, node.banned)


def run_among_liars(seed: int) -> None:
    """A minority lies, each in its own way, and comes back as often as it is let."""
    random = Random(seed)
    network = Network(random, random.choice([0.01, 0.1, 0.3]), random.choice([0, 0, 0.01]))
    network.work = random.choice([0.001, 0.02])
    network.rest_at = 40
    is_lossy = network.loss > 0
    limits = replace(LIMITS, inbound=12)
    nodes = [Node(network, i, limits=limits) for i in range(random.randint(3, 5))]
    topology(nodes, random)
    mine_at_random(network, nodes, random.randint(5, 20), 30)
    liars: list[tuple[Villain, Liar]] = []

    def let_loose(number: int) -> None:
        villain = random.choice((*HARMFUL, *IDLE))
        liar = villain(network, nodes, 600 + number)
        liars.append((villain, liar))
        if random.random() < 0.3:
            random.choice(nodes).connect(liar)  # a user was taken in
        again(liar, 3, lambda: liar.dial(random.choice(nodes).address))

    for number in range(random.randint(1, len(nodes) - 1)):
        network.at(random.uniform(0, 10), lambda number=number: let_loose(number))
    network.run_until(40)
    network.loss = 0.0
    network.run_until(70)
    nodes[0].mine()  # settles races between tips of equal work
    network.run_until(100)
    check_converged(nodes)
    for node in nodes:
        check_bounds(node)
    bad = {liar.address for _, liar in liars} | {
        Address("127.0.0.1", 6000 + 100 * liar.index + extra)
        for _, liar in liars
        for extra in range(20)
    }
    for node in nodes:
        banned = {ban.target for ban in node.machine.bans.items(EPOCH)}
        assert banned <= {address.text for address in bad}, (seed, banned)
    for villain, liar in liars if not is_lossy else ():
        if max(liar.deeds.values(), default=0) >= HARMFUL.get(villain, inf):
            scored = {p.link.address for n in nodes for p in n.machine.peers.values() if p.score}
            blamed = set().union(*[node.blamed for node in nodes])
            assert liar.address in scored | blamed, (seed, villain.__name__)


def check_bounds(node: Node) -> None:
    """What others can make a node keep stays within its limits."""
    machine, limits = node.machine, node.machine.limits
    assert node.most_held <= limits.window_bytes
    assert len(machine.gossip.book) <= limits.addresses
    assert machine.transactions.size <= limits.rejected_ids + limits.orphans + (
        limits.transaction_requests * (len(machine.peers) + 1)
    )
    assert sum(not peer.link.is_outbound for peer in machine.peers.values()) <= limits.inbound
    for peer in machine.peers.values():
        assert len(peer.known_ids) <= limits.known_ids
        assert len(peer.wanted) <= limits.transaction_requests
    assert len(node.chain.tree) < 400


@pytest.mark.parametrize("group", range(LIAR_GROUPS))
def test_honest_nodes_converge_among_liars(group: int) -> None:
    for seed in range(group * SEEDS_PER_LIAR_GROUP, (group + 1) * SEEDS_PER_LIAR_GROUP):
        run_among_liars(seed)


@pytest.mark.long
def test_two_thousand_schedules_with_liars() -> None:
    for seed in range(200_000, 202_000):
        run_among_liars(seed)


@pytest.mark.parametrize("group", range(GROUPS))
def test_honest_nodes_converge(group: int) -> None:
    for seed in range(group * SEEDS_PER_GROUP, (group + 1) * SEEDS_PER_GROUP):
        run_honest(seed)


@pytest.mark.long
def test_ten_thousand_schedules() -> None:
    for seed in range(100_000, 100_000 + LONG_SEEDS):
        run_honest(seed)


def test_a_burst_of_old_news_is_no_crime() -> None:
    """What piled up while a cable was out comes in one go, and nobody is banned for it."""
    network = Network(Random(3), 0.05)
    nodes = [Node(network, i, limits=replace(LIMITS, headers_seconds=30)) for i in range(3)]
    nodes[1].connect(nodes[0])
    nodes[2].connect(nodes[0])
    nodes[0].mine()
    network.run_until(5)
    network.freeze(8)
    for _ in range(20):
        nodes[2].mine()
    for _ in range(25):
        nodes[0].mine()
    network.run_until(60)
    check_converged(nodes)
    assert all(node.banned == [] for node in nodes)
    assert nodes[2].chain.tip.height == 26
