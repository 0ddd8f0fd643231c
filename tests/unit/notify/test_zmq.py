"""ZeroMQ: Core's messages to the byte, and real sockets."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from misocoin.chain.events import BlockConnected, Event, TransactionAdded, TransactionRemoved
from misocoin.chain.state import ChainState
from misocoin.errors import ConfigError
from misocoin.notify.publisher import Publication, ZmqPublisher
from misocoin.notify.zmq_messages import MessageCounter, MessageMaker, Topic
from tests.builders import grow, make_outpoint, memory_chain, small_params, spend

PARAMS = small_params()
TX = spend([make_outpoint(1)], [1])


@pytest.fixture
def chain() -> Iterator[ChainState]:
    with memory_chain(PARAMS) as made:
        yield made


def bodies(chain: ChainState, event: Event, *wanted: Topic) -> list[tuple[str, bytes]]:
    return [
        (body.topic.value, body.data)
        for body in MessageMaker(wanted or tuple(Topic), chain.get_block_bytes).of(event)
    ]


def test_a_transaction_of_the_mempool(chain: ChainState) -> None:
    txid = TX.txid[::-1]
    assert bodies(chain, TransactionAdded(TX, 0, 0x0102)) == [
        ("hashtx", txid),
        ("rawtx", TX.serialize()),
        ("sequence", txid + b"A\x02\x01\x00\x00\x00\x00\x00\x00"),
    ]
    assert bodies(chain, TransactionRemoved(TX, "replaced", 5)) == [
        ("sequence", txid + b"R\x05\x00\x00\x00\x00\x00\x00\x00"),
    ]


def test_blocks_come_and_go(chain: ChainState) -> None:
    heard: list[tuple[str, bytes]] = []
    maker = MessageMaker(tuple(Topic), chain.get_block_bytes)
    chain.events.subscribe(
        lambda event: heard.extend((body.topic.value, body.data) for body in maker.of(event))
    )
    (lost,) = grow(chain.tip, PARAMS, 1, tag=b"a")
    first, second = grow(chain.tip, PARAMS, 2, tag=b"b")

    def told(block: object, label: bytes) -> list[tuple[str, bytes]]:
        (coinbase,) = block.transactions  # type: ignore[attr-defined]
        return [
            ("hashtx", coinbase.txid[::-1]),
            ("rawtx", coinbase.serialize()),
            ("sequence", block.hash[::-1] + label),  # type: ignore[attr-defined]
        ]

    chain.submit_block(lost)
    new_tip = [("hashblock", lost.hash[::-1]), ("rawblock", lost.serialize())]
    assert heard == told(lost, b"C") + new_tip
    heard.clear()
    chain.submit_block(first)
    chain.submit_block(second)
    # One tip for the whole reorg, as in Core.
    assert heard == [
        *told(lost, b"D"),
        *told(first, b"C"),
        *told(second, b"C"),
        ("hashblock", second.hash[::-1]),
        ("rawblock", second.serialize()),
    ]
    third, fourth = grow(chain.tip, PARAMS, 2)
    chain.submit_block(third)
    chain.submit_block(fourth)
    heard.clear()
    parent = chain.tip.parent
    assert parent is not None
    chain.invalidate(parent)
    assert heard == told(fourth, b"D") + told(third, b"D")  # no new tip, as in Core
    heard.clear()
    # Blocks that come at once, and each is better than what was the tip.
    chain.reconsider(parent)
    assert [each[0] for each in heard if each[0] in ("hashblock", "sequence")] == [
        "sequence", "hashblock", "sequence", "hashblock",
    ]  # fmt: skip


def test_the_mempool_follows_before_a_block_is_told_of(chain: ChainState) -> None:
    (block,) = grow(chain.tip, PARAMS, 1)
    maker = MessageMaker((Topic.SEQUENCE, Topic.HASHBLOCK), chain.get_block_bytes)
    heard: list[bytes] = []
    chain.events.subscribe(lambda event: heard.extend(body.data for body in maker.of(event)))

    def conflict(event: Event) -> None:
        if isinstance(event, BlockConnected):
            chain.events.publish(TransactionRemoved(TX, "conflict", 1))

    chain.events.subscribe(conflict)
    chain.submit_block(block)
    assert [each[32:33] for each in heard] == [b"R", b"C", b""]


def test_nothing_is_made_that_nobody_wants(chain: ChainState) -> None:
    event = TransactionAdded(TX, 0, 1)
    assert bodies(chain, event, Topic.HASHBLOCK) == []
    assert [topic for topic, _ in bodies(chain, event, Topic.RAWTX)] == ["rawtx"]


def test_the_count_is_four_bytes_and_begins_again() -> None:
    counter = MessageCounter(Topic.HASHTX)
    assert counter.message(b"x") == (b"hashtx", b"x", b"\0\0\0\0")
    assert counter.message(b"y") == (b"hashtx", b"y", b"\1\0\0\0")
    counter._count = 0xFFFFFFFF
    assert counter.message(b"z")[2] == b"\xff\xff\xff\xff"
    assert counter.message(b"z")[2] == b"\0\0\0\0"


def test_a_subscriber_gets_them(chain: ChainState, tmp_path: Path) -> None:
    zmq = pytest.importorskip("zmq")
    address = f"unix:{tmp_path}/socket"
    publications = [Publication(Topic.HASHBLOCK, address), Publication(Topic.SEQUENCE, address)]
    publisher = ZmqPublisher(publications, chain.get_block_bytes)
    context = zmq.Context()
    socket = context.socket(zmq.SUB)
    try:
        socket.setsockopt(zmq.SUBSCRIBE, b"")
        socket.setsockopt(zmq.RCVTIMEO, 50)
        socket.connect(f"ipc://{tmp_path}/socket")
        # A subscription takes a moment to arrive, and nothing says when it has.
        for number in range(200):
            publisher.handle(TransactionRemoved(TX, "expiry", number))
            try:
                topic, _, count = socket.recv_multipart()
            except zmq.Again:
                continue
            break
        assert topic == b"sequence"
        before = int.from_bytes(count, "little")
        chain.events.subscribe(publisher.handle)
        socket.setsockopt(zmq.RCVTIMEO, 10_000)
        (block,) = grow(chain.tip, PARAMS, 1)
        chain.submit_block(block)
        messages = [socket.recv_multipart() for _ in range(2)]
        while messages[-1][0] != b"hashblock":
            messages.append(socket.recv_multipart())
        assert messages[-2][:2] == [b"sequence", block.hash[::-1] + b"C"]
        assert int.from_bytes(messages[-2][2], "little") > before
        assert messages[-1] == [b"hashblock", block.hash[::-1], bytes(4)]
    finally:
        context.destroy(linger=0)
        publisher.close()


def test_an_address_that_cannot_be_had_is_named(chain: ChainState, tmp_path: Path) -> None:
    pytest.importorskip("zmq")
    with pytest.raises(ConfigError, match="-zmqpubrawtx=ipc:///"):
        ZmqPublisher(
            [Publication(Topic.RAWTX, f"ipc://{tmp_path}/no/such/folder")], chain.get_block_bytes
        )
