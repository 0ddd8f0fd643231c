"""Each kind of hostile peer: it ends scored, cut off or banned, and the victim is well."""

from dataclasses import replace
from random import Random

import pytest

from misocoin.errors import MissingInputsError, RejectCode, ValidationError
from misocoin.params import regtest
from misocoin.peers.events import PeerId, TransactionChecked
from misocoin.peers.limits import MAX_HEADERS, PeerLimits
from misocoin.peers.messages import (
    Address,
    Addresses,
    Announce,
    BlockBody,
    BlockTransactions,
    CompactBlock,
    GetBlocks,
    GetBlockTransactions,
    GetHeaders,
    GetTransactions,
    Headers,
    Message,
    NotFound,
    Request,
    TransactionIds,
    Transactions,
)
from misocoin.primitives.block import BlockHeader, header_from_bytes
from misocoin.primitives.transaction import OutPoint, Transaction, TxIn, TxOut
from tests.simulation.chain import BITS, make_block, mine_header
from tests.simulation.liars import Liar, honest
from tests.simulation.network import LIMITS, Network, Node


@pytest.fixture
def network() -> Network:
    return Network(Random(7), 0.05)


def make_victim(
    network: Network, blocks: int = 20, limits: PeerLimits = LIMITS
) -> tuple[Node, Node]:
    """A victim and an honest friend who has the chain."""
    victim, friend = Node(network, 0, limits=limits), Node(network, 1)
    for _ in range(blocks):
        friend.mine()
    victim.connect(friend)
    network.run_until(5)
    assert victim.chain.tip is not victim.chain.tree.genesis or not blocks
    return victim, friend


def check_well(network: Network, victim: Node, friend: Node) -> None:
    """The victim still follows its friend's news."""
    friend.mine()
    network.run_until(network.now + 20)
    assert victim.chain.tip.hash == friend.chain.tip.hash


def extend(liar: Liar, friend: Node, count: int, *, bad: int | None = None) -> None:
    """Give a liar the friend's chain and more on it; block number `bad` is invalid."""
    liar.chain.now = friend.chain.now
    for h in range(1, friend.chain.tip.height + 1):
        node = friend.chain.tip.ancestor(h)
        liar.chain.submit(friend.chain.get_block_bytes(node))
    tip = liar.chain.tip
    for i in range(count):
        block = make_block(tip, b"liar%d" % i, valid=i != bad)
        (tip,) = liar.chain.accept_headers((block.header,))
        liar.chain._bodies[tip.hash] = block.serialize()
    liar.chain.tip = tip


def test_an_invalid_block_on_the_most_work_chain(network: Network) -> None:
    victim, friend = make_victim(network)
    liar = Liar(network)
    extend(liar, friend, 8, bad=2)
    good = friend.chain.tip
    victim.connect(liar)
    network.run_until(30)
    assert any("invalid block: bad-cb-amount" in why for why in victim.banned)
    # What was valid of its branch counts, the rest does not.
    assert victim.chain.tip.height == good.height + 2
    for _ in range(3):
        friend.mine()
    check_well(network, victim, friend)


def test_a_block_that_does_not_match_its_id(network: Network) -> None:
    victim, friend = make_victim(network)

    def swap(liar: Liar, request: Request) -> list[Message] | None:
        if isinstance(request, GetBlocks):
            data = liar.chain.get_block_bytes(liar.chain.tree.genesis)
            return [BlockBody(header_from_bytes(data), data)]
        return honest(liar, request)

    liar = Liar(network, swap)
    extend(liar, friend, 5)
    victim.connect(liar)
    network.run_until(40)
    assert "a block that was not asked for" in victim.banned
    check_well(network, victim, friend)


@pytest.mark.parametrize("tail", [b"garbage", b""])
def test_a_body_that_is_not_its_headers(network: Network, tail: bytes) -> None:
    victim, friend = make_victim(network)

    def swap(liar: Liar, request: Request) -> list[Message] | None:
        if isinstance(request, GetBlocks):
            other = liar.chain.params.genesis.serialize()[80:]
            found = [liar.chain.get(block_hash) for block_hash in request.hashes]
            return [
                BlockBody(node.header, node.header.serialize() + (tail or other))
                for node in found
                if node is not None
            ]
        return honest(liar, request)

    liar = Liar(network, swap)
    extend(liar, friend, 3)
    target = liar.chain.tip
    victim.connect(liar)
    network.run_until(20)
    assert len(victim.banned) == 1
    # The header is not condemned: an honest peer can bring the body.
    honest_end = Liar(network, index=667)
    extend(honest_end, friend, 3)
    assert honest_end.chain.tip.hash == target.hash
    victim.connect(honest_end)
    network.run_until(40)
    assert victim.chain.tip.hash == target.hash


def test_headers_with_less_work_than_claimed(network: Network) -> None:
    victim, friend = make_victim(network, 200)
    liar = Liar(network, work=1 << 200)
    for i in range(5):
        liar.chain.submit(make_block(liar.chain.tip, b"low%d" % i))
    before = len(victim.chain.tree)
    victim.connect(liar)
    network.run_until(150)
    assert "headers with less work than it claimed" in victim.banned
    assert len(victim.chain.tree) == before
    check_well(network, victim, friend)


@pytest.mark.parametrize("needed", [50, 2_100])
def test_a_fresh_node_takes_no_chain_below_the_known_work(network: Network, needed: int) -> None:
    """Whoever has less is not to blame; when it has enough, it is followed."""
    params = replace(regtest(), minimum_chain_work=2 * needed)
    victim, friend = Node(network, 0, params=params), Node(network, 1)
    for _ in range(needed - 10):
        friend.mine()
    victim.connect(friend)
    network.run_until(20)
    assert len(victim.chain.tree) == 1
    assert victim.machine.peers
    (remark,) = victim.remarks  # once, whatever is asked again
    assert f"its chain of {needed - 10} blocks has less work" in remark
    for _ in range(10):
        friend.mine()
    network.run_until(120)
    assert victim.chain.tip.hash == friend.chain.tip.hash
    assert not victim.log
    check_well(network, victim, friend)


def test_a_flood_of_low_work_headers(network: Network) -> None:
    """Headers that never reach enough work are counted, not kept, and not for ever."""
    limits = replace(LIMITS, near_blocks=-1_000_000, presync_batches=3)
    victim, friend = make_victim(network, 0, limits)
    victim.chain.submit(make_block(victim.chain.tip, b"first"))

    def endless(liar: Liar, request: Request) -> list[Message] | None:
        if isinstance(request, GetHeaders):
            headers = []
            parent = request.locator[0]
            for i in range(MAX_HEADERS):
                headers.append(mine_header(parent, b"\0" * 32, 1_400_000_000 + i, BITS))
                parent = headers[-1].hash
            return [Headers(tuple(headers))]
        return honest(liar, request)

    liar = Liar(network, endless)
    before = len(victim.chain.tree)
    victim.connect(liar)
    network.run_until(60)
    assert any("never reaches enough work" in why for why in victim.banned)
    assert len(victim.chain.tree) == before
    asked = [m for m in liar.heard if isinstance(m, GetHeaders)]
    assert len(asked) == limits.presync_batches + 1


def test_headers_without_work_or_order(network: Network) -> None:
    victim, friend = make_victim(network)
    genesis = victim.chain.tree.genesis
    fake = BlockHeader.build(4, genesis.hash, bytes(32), genesis.header.time + 1, BITS, 0)
    while int.from_bytes(fake.hash, "little") < 1 << 255:
        fake = BlockHeader.build(4, genesis.hash, bytes(32), fake.time, BITS, fake.nonce + 1)
    row = [mine_header(bytes([i]) * 32, bytes(32), 1_400_000_000) for i in range(2)]
    for index, headers in enumerate(((fake,), tuple(row))):
        liar = Liar(network, index=670 + index)
        liar.dial(victim.address)
        network.run_until(network.now + 2)
        liar.send(Headers(headers))
        network.run_until(network.now + 2)
    assert victim.banned == ["headers without proof of work", "headers that are not in a row"]
    check_well(network, victim, friend)


def test_announcements_that_lead_nowhere(network: Network) -> None:
    victim, friend = make_victim(network)
    liar = Liar(network, lambda _liar, _request: [Headers(())])
    liar.dial(victim.address)
    network.run_until(network.now + 2)
    for i in range(30):
        liar.send(Announce((mine_header(i.to_bytes(32, "big"), bytes(32), 1_400_000_000),)))
        network.run_until(network.now + 0.5)
    network.run_until(network.now + 10)
    assert victim.banned == ["headers that lead nowhere"]
    check_well(network, victim, friend)


def test_one_that_stalls(network: Network) -> None:
    """It shows headers and never sends a block; the others do."""
    victim, friend = make_victim(network, 5)
    victim.network.partition({friend.index: 1})

    def stall(liar: Liar, request: Request) -> list[Message] | None:
        return None if isinstance(request, GetBlocks) else honest(liar, request)

    liar = Liar(network, stall)
    for _ in range(30):
        friend.mine()
    extend(liar, friend, 0)
    victim.connect(liar)
    network.run_until(network.now + 4)
    assert victim.machine.download.in_flight > 0
    network.partition({})
    begun = network.now
    while victim.chain.tip is not victim.chain.best_header:
        network.run_until(network.now + 0.5)
        assert network.now < begun + 10  # and not only when the liar's time is up
    network.run_until(begun + 30)
    assert liar.lost > 0
    check_well(network, victim, friend)


def test_one_that_withholds_blocks(network: Network) -> None:
    victim, friend = make_victim(network)

    def withhold(liar: Liar, request: Request) -> list[Message] | None:
        if isinstance(request, GetBlocks):
            return [NotFound(request.hashes)]
        return honest(liar, request)

    liar = Liar(network, withhold)
    extend(liar, friend, 40)
    victim.connect(liar)
    network.run_until(60)
    assert "blocks it announced are not to be had from it" in victim.banned
    check_well(network, victim, friend)


def test_withheld_blocks_do_not_silence_a_node(network: Network) -> None:
    """It still passes on what honest nodes tell, though headers far ahead of it are known."""
    victim, friend, third = (Node(network, i, dials=False) for i in range(3))
    victim.connect(friend)
    third.connect(victim)
    for _ in range(5):
        friend.mine()
    network.run_until(10)
    liar = Liar(network, lambda liar, r: None if isinstance(r, GetBlocks) else honest(liar, r))
    extend(liar, friend, 40)
    victim.connect(liar)
    network.run_until(13)
    assert victim.chain.best_header.height == 45
    tx = Transaction.build(1, [TxIn(OutPoint(bytes(36)))], [TxOut(1, b"")])
    friend.add_transaction(tx)
    block = friend.mine()
    network.run_until(16)
    assert third.chain.tip.hash == block.hash
    assert tx.wtxid in third.pool


def test_a_compact_block_with_false_transactions(network: Network) -> None:
    victim, friend = make_victim(network)
    extend_by = Liar(network)
    extend(extend_by, friend, 1)
    header = extend_by.chain.tip.header
    wrong = Transaction.build(1, [TxIn(OutPoint(bytes(36)))], [TxOut(1, b"")])

    def lie(liar: Liar, request: Request) -> list[Message] | None:
        if isinstance(request, GetBlockTransactions):
            return [BlockTransactions(request.block_hash, (wrong, wrong))]
        return None

    liar = Liar(network, lie, index=671)
    liar.dial(victim.address)
    network.run_until(network.now + 2)
    liar.send(CompactBlock(header, 1, (b"shorti",), ()))
    network.run_until(network.now + 20)
    assert victim.banned == ["another number of transactions than was asked for"]
    check_well(network, victim, friend)


def test_a_transaction_that_never_validates(network: Network) -> None:
    victim, friend = make_victim(network)
    bad = [
        Transaction.build(1, [TxIn(OutPoint(bytes([i]) * 36))], [TxOut(1, b"")]) for i in range(6)
    ]
    error = ValidationError("mempool-script-verify-flag-failed", "", RejectCode.INVALID)
    victim._check_transaction = lambda peer, tx: victim.event(  # type: ignore[method-assign]
        TransactionChecked(peer, tx, error)
    )

    def answer(liar: Liar, request: Request) -> list[Message] | None:
        if isinstance(request, GetTransactions):
            return [Transactions(tuple([tx for tx in bad if tx.wtxid in request.wtxids]))]
        return honest(liar, request)

    liar = Liar(network, answer)
    victim.connect(liar)
    network.run_until(network.now + 2)
    for tx in bad:
        liar.send(TransactionIds((tx.wtxid,)))
        network.run_until(network.now + 1)
    assert victim.banned == [f"an invalid transaction: {error}"]
    asked = [m for m in liar.heard if isinstance(m, GetTransactions)]
    assert len({m.wtxids for m in asked}) == len(asked) == 3
    assert not friend.pool
    check_well(network, victim, friend)


def test_more_orphans_than_there_is_room_for_come_in_with_their_block(network: Network) -> None:
    """Payments on a block that is late are asked for again when it is there."""
    victim, friend = make_victim(network)
    made = [
        Transaction.build(1, [TxIn(OutPoint(n.to_bytes(36, "big")))], [TxOut(1, b"")])
        for n in range(400)
    ]
    check, is_late = victim._check_transaction, [True]

    def check_or_miss(peer: PeerId, tx: Transaction) -> None:
        if is_late:
            missing = MissingInputsError("bad-txns-inputs-missingorspent")
            victim.event(TransactionChecked(peer, tx, missing))
        else:
            check(peer, tx)

    victim._check_transaction = check_or_miss  # type: ignore[method-assign]
    for tx in made:
        friend.add_transaction(tx)
    network.run_until(network.now + 5)
    assert not victim.pool
    is_late.clear()
    friend.mine()
    network.run_until(network.now + 5)
    assert len(victim.pool) >= 300


def test_a_flood_of_transaction_ids(network: Network) -> None:
    victim, friend = make_victim(network)
    liar = Liar(network, lambda liar, request: honest(liar, request))
    liar.dial(victim.address)
    network.run_until(network.now + 2)
    for i in range(30):
        ids = [(i * 2000 + n).to_bytes(32, "big") for n in range(2000)]
        liar.send(TransactionIds(tuple(ids)))
    network.run_until(network.now + 1)
    limits = victim.machine.limits
    assert victim.machine.transactions.size <= limits.transaction_requests + limits.rejected_ids
    (peer,) = [p for p in victim.machine.peers.values() if p.link.address == liar.address]
    assert len(peer.known_ids) <= limits.known_ids
    assert len(peer.wanted) <= limits.transaction_requests
    check_well(network, victim, friend)


def test_address_spam(network: Network) -> None:
    victim, friend = make_victim(network)
    liar = Liar(network)
    liar.dial(victim.address)
    network.run_until(network.now + 2)
    for i in range(20):
        spam = [Address(f"10.{i}.{n // 250}.{n % 250}", 4000, 1) for n in range(1000)]
        liar.send(Addresses(tuple(spam)))
    network.run_until(network.now + 5)
    assert victim.banned == ["a flood of addresses"]
    assert len(victim.machine.gossip.book) < 100
    check_well(network, victim, friend)


def test_a_clock_that_lies(network: Network) -> None:
    """Nobody's clock but ours counts; headers from the future are refused, for now."""
    victim, friend = make_victim(network)
    liars = [Liar(network, time=2**32, index=700 + i) for i in range(10)]
    for liar in liars:
        extend(liar, friend, 0)
        liar.dial(victim.address)
    network.run_until(network.now + 2)
    future = victim.chain.now + 10_000
    header = mine_header(friend.chain.tip.hash, bytes(32), future)
    for _ in range(30):  # the clock that is wrong may be ours: it is told, and nobody is banned
        liars[0].send(Headers((header,)))
    network.run_until(network.now + 5)
    assert victim.chain.get(header.hash) is None
    assert not victim.banned
    assert sorted(peer.score for peer in victim.machine.peers.values())[-2:] == [0, 50]
    (remark,) = victim.remarks
    assert "from the future" in remark
    victim.chain.now += 10_000
    liars[0].send(Headers((header,)))
    network.run_until(network.now + 5)
    assert victim.chain.get(header.hash) is not None
    check_well(network, victim, friend)


def test_the_wrong_chain(network: Network) -> None:
    victim, friend = make_victim(network)
    liar = Liar(network, genesis=b"\x01" * 32)
    liar.dial(victim.address)
    victim.connect(liar)
    network.run_until(network.now + 5)
    assert liar.refused == ["another chain"]
    assert all(p.link.address != liar.address for p in victim.machine.peers.values())
    check_well(network, victim, friend)


def test_a_thousand_links(network: Network) -> None:
    victim, friend = make_victim(network)
    for i in range(1000):
        Liar(network, index=1000 + i).dial(victim.address)
    network.run_until(network.now + 5)
    inbound = [p for p in victim.machine.peers.values() if not p.link.is_outbound]
    assert len(inbound) <= victim.machine.limits.inbound
    check_well(network, victim, friend)


def test_a_node_does_not_link_with_itself(network: Network) -> None:
    victim, friend = make_victim(network)
    mirror = Liar(network, nonce=victim.nonce)
    mirror.dial(victim.address)
    network.run_until(network.now + 2)
    assert mirror.refused == ["this is myself"]
    check_well(network, victim, friend)
