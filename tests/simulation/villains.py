"""Hostile peers of every kind, for random schedules: each is let loose on honest nodes."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from misocoin.peers.messages import (
    Address,
    Addresses,
    Announce,
    BlockBody,
    CompactBlock,
    GetBlocks,
    GetHeaders,
    GetTransactions,
    Headers,
    Message,
    NotFound,
    Request,
    TransactionIds,
    Transactions,
)
from misocoin.primitives.block import header_from_bytes
from misocoin.primitives.transaction import OutPoint, Transaction, TxIn, TxOut
from tests.simulation.chain import make_block, mine_header
from tests.simulation.liars import Liar, honest
from tests.simulation.network import EPOCH, Broken, Network, Node

Villain = Callable[[Network, list[Node], int], Liar]
"""Makes a liar who knows the chain of the honest nodes and acts from now on."""


def learn(liar: Liar, nodes: list[Node], more: int = 0, *, bad: int | None = None) -> None:
    """Give a liar the best honest chain and more on it; block number `bad` is invalid."""
    best = max(nodes, key=lambda node: node.chain.tip.chain_work).chain
    liar.chain.now = best.now
    for height in range(1, best.tip.height + 1):
        liar.chain.submit(best.get_block_bytes(best.tip.ancestor(height)))
    tip = liar.chain.tip
    for number in range(more):
        block = make_block(tip, b"liar%d.%d" % (liar.index, number), valid=number != bad)
        (tip,) = liar.chain.accept_headers((block.header,))
        liar.chain._bodies[tip.hash] = block.serialize()
    liar.chain.tip = tip


def again(liar: Liar, seconds: float, deed: Callable[[], None]) -> None:
    """Do something over and over while the schedule lasts."""

    def act() -> None:
        deed()
        if liar.network.now < liar.network.rest_at:
            liar.network.at(seconds, act)

    liar.network.at(liar.network.random.uniform(0, seconds), act)


def invalid_block(network: Network, nodes: list[Node], index: int) -> Liar:
    liar = Liar(network, index=index)
    bad = network.random.randrange(3)
    learn(liar, nodes, 3, bad=bad)
    tip = liar.chain.tip
    liar.bait = {tip.ancestor(tip.height - 2 + bad).hash}
    again(liar, 1, lambda: liar.send(Announce((tip.header,)), is_deed=False))
    return liar


def another_block(network: Network, nodes: list[Node], index: int) -> Liar:
    """It sends another block than it was asked for."""

    def swap(liar: Liar, request: Request) -> list[Message] | None:
        if isinstance(request, GetBlocks):
            data = liar.chain.get_block_bytes(liar.chain.tree.genesis)
            return [BlockBody(header_from_bytes(data), data)]
        return honest(liar, request)

    liar = Liar(network, swap, index=index)
    learn(liar, nodes, 3)
    return liar


def another_body(network: Network, nodes: list[Node], index: int) -> Liar:
    """It sends a body that is not its header's."""

    def swap(liar: Liar, request: Request) -> list[Message] | None:
        if isinstance(request, GetBlocks):
            body = liar.chain.params.genesis.serialize()[80:]
            found = [liar.chain.get(block_hash) for block_hash in request.hashes]
            return [BlockBody(n.header, n.header.serialize() + body) for n in found if n]
        return honest(liar, request)

    liar = Liar(network, swap, index=index)
    learn(liar, nodes, 3)
    return liar


def withholder(network: Network, nodes: list[Node], index: int) -> Liar:
    """It shows many headers and has none of the blocks."""

    def withhold(liar: Liar, request: Request) -> list[Message] | None:
        if isinstance(request, GetBlocks):
            return [NotFound(request.hashes)]
        return honest(liar, request)

    liar = Liar(network, withhold, index=index)
    learn(liar, nodes, 40)
    return liar


def staller(network: Network, nodes: list[Node], index: int) -> Liar:
    """It shows headers and is silent when asked for blocks, as one whose answers trickle."""

    def stall(liar: Liar, request: Request) -> list[Message] | None:
        return None if isinstance(request, GetBlocks) else honest(liar, request)

    liar = Liar(network, stall, index=index)
    liar.bait = set()  # each request that is not answered is a deed, not each of its blocks
    learn(liar, nodes, 5)
    return liar


def garbler(network: Network, nodes: list[Node], index: int) -> Liar:
    """Its answers cannot be read, or do not end."""
    liar = Liar(network, lambda _liar, _request: Broken("garbage"), index=index)
    learn(liar, nodes)
    again(liar, 1, lambda: [network.garble(wire, liar) for wire in list(liar.wires.values())])
    return liar


def boaster(network: Network, nodes: list[Node], index: int) -> Liar:
    """It claims much work and has little."""
    return Liar(network, work=1 << 200, index=index)


def header_flood(network: Network, nodes: list[Node], index: int) -> Liar:
    """Headers without end, of the least difficulty, from genesis on."""
    row: list = []

    def endless(liar: Liar, request: Request) -> list[Message] | None:
        if isinstance(request, GetHeaders):
            start = request.locator[-1]
            parent = start if not row else row[-1].hash
            while len(row) < 200:
                row.append(mine_header(parent, b"\0" * 32, 1_400_000_000 + len(row)))
                parent = row[-1].hash
            return [Headers(tuple(row))]
        return honest(liar, request)

    return Liar(network, endless, work=1 << 100, index=index)


def nowhere(network: Network, nodes: list[Node], index: int) -> Liar:
    """It announces headers whose parents nobody knows."""
    liar = Liar(network, lambda _liar, _request: [Headers(())], index=index)
    random = network.random

    def announce() -> None:
        parent = random.getrandbits(256).to_bytes(32, "big")
        liar.send(Announce((mine_header(parent, bytes(32), 1_400_000_000),)))

    again(liar, 0.3, announce)
    return liar


def false_compact(network: Network, nodes: list[Node], index: int) -> Liar:
    """It pushes compact blocks on the tip whose transactions do not exist."""
    liar = Liar(network, lambda _liar, _request: [], index=index)

    def push() -> None:
        tip = network.random.choice(nodes).chain.tip
        header = mine_header(tip.hash, bytes(32), tip.header.time + 1)
        liar.send(CompactBlock(header, 1, (b"shorti",), ()))

    again(liar, 2, push)
    return liar


def bad_payer(network: Network, nodes: list[Node], index: int) -> Liar:
    """Its transactions never validate."""
    made: dict[bytes, Transaction] = {}

    def answer(liar: Liar, request: Request) -> list[Message] | None:
        if isinstance(request, GetTransactions):
            return [Transactions(tuple([made[w] for w in request.wtxids if w in made]))]
        return honest(liar, request)

    liar = Liar(network, answer, index=index)
    learn(liar, nodes)

    def announce() -> None:
        point = OutPoint(network.random.getrandbits(288).to_bytes(36, "big"))
        tx = Transaction.build(1, [TxIn(point)], [TxOut(1, b"BAD")])
        made[tx.wtxid] = tx
        liar.send(TransactionIds((tx.wtxid,)))

    again(liar, 0.5, announce)
    return liar


def id_flood(network: Network, nodes: list[Node], index: int) -> Liar:
    """It announces transactions that do not exist, thousands of them."""
    liar = Liar(network, index=index)
    learn(liar, nodes)

    def flood() -> None:
        first = network.random.getrandbits(250)
        liar.send(TransactionIds(tuple([(first + n).to_bytes(32, "big") for n in range(500)])))

    again(liar, 0.5, flood)
    return liar


def address_spam(network: Network, nodes: list[Node], index: int) -> Liar:
    liar = Liar(network, index=index)
    learn(liar, nodes)

    def spam() -> None:
        net = network.random.randrange(256)
        liar.send(Addresses(tuple([Address(f"10.{net}.0.{n}", 4000, 1) for n in range(200)])))

    again(liar, 0.5, spam)
    return liar


def wrong_clock(network: Network, nodes: list[Node], index: int) -> Liar:
    """Its clock is ahead by years, and so are its headers."""
    liar = Liar(network, time=EPOCH + 10**8, index=index)
    learn(liar, nodes)

    def announce() -> None:
        tip = network.random.choice(nodes).chain.tip
        liar.send(Headers((mine_header(tip.hash, bytes(32), nodes[0].chain.now + 10_000),)))

    again(liar, 0.5, announce)
    return liar


def stranger(network: Network, nodes: list[Node], index: int) -> Liar:
    """It follows another chain."""
    return Liar(network, genesis=b"\x01" * 32, index=index)


def crowd(network: Network, nodes: list[Node], index: int) -> Liar:
    """It links under many names, to take every place."""
    for extra in range(20):
        one = Liar(network, index=100 * index + extra)
        again(one, 5, lambda one=one: one.dial(network.random.choice(nodes).address))
    liar = Liar(network, index=index)
    learn(liar, nodes)
    return liar


HARMFUL: Mapping[Villain, int] = MappingProxyType(
    {
        invalid_block: 1,
        another_block: 1,
        another_body: 1,
        withholder: 20,
        staller: 3,
        garbler: 1,
        nowhere: 80,
        bad_payer: 3,
        address_spam: 7,
        wrong_clock: 12,
    }
)
"""Those that end scored, cut off or banned, and after how many deeds on one link at the latest."""

IDLE: tuple[Villain, ...] = (boaster, header_flood, false_compact, id_flood, stranger, crowd)
"""Those that cost a node so little that it need not hold it against them, or that get no link."""
