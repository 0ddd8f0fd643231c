"""The feed of notices, and the texts of its streams."""

import threading
from collections.abc import Iterator
from contextlib import nullcontext

import orjson
import pytest
from flask import Flask

from misocoin.chain.events import TransactionAdded, TransactionRemoved
from misocoin.chain.state import ChainState
from misocoin.http.server import PERMIT
from misocoin.notify.feed import KINDS, EventFeed
from misocoin.rpc.event_routes import MAX_STREAMS_PER_ADDRESS, EventRoutes
from tests.builders import grow, make_block, make_outpoint, memory_chain, small_params, spend

PARAMS = small_params()
GONE = TransactionRemoved(spend([make_outpoint(1)], [1]), "expiry")


@pytest.fixture
def chain() -> Iterator[ChainState]:
    with memory_chain(PARAMS) as made:
        yield made


def test_a_reorg_is_told_block_by_block(chain: ChainState) -> None:
    feed = EventFeed()
    chain.events.subscribe(feed.handle)
    (lost,) = grow(chain.tip, PARAMS, 1, tag=b"a")
    genesis = chain.tip
    chain.submit_block(lost)
    for block in grow(genesis, PARAMS, 2, tag=b"b"):
        chain.submit_block(block)
    told = feed.after(0, 0)
    assert [notice.kind for notice in told] == [
        "block", "tip", "undone", "block", "block", "tip",
    ]  # fmt: skip
    assert [notice.number for notice in told] == [1, 2, 3, 4, 5, 6]
    assert told[0].fields == {
        "hash": lost.header.hash_hex,
        "height": 1,
        "time": lost.header.time,
        "size": lost.size,
        "transactions": 1,
    }
    assert told[2].fields == {"hash": lost.header.hash_hex, "height": 1}
    assert orjson.loads(told[5].data) == {
        "hash": chain.tip.header.hash_hex,
        "height": 2,
        "undone": 1,
    }
    assert {notice.kind for notice in told} <= KINDS


def test_transactions_come_and_go() -> None:
    feed = EventFeed()
    tx = spend([make_outpoint(1)], [5, 6])
    feed.handle(TransactionAdded(tx, 7))
    feed.handle(GONE)
    came, went = feed.after(0, 0)
    assert came.kind == "transaction"
    assert came.fields["output_sats"] == 11
    assert came.fields["fee_sats"] == 7
    assert (went.kind, went.fields["reason"]) == ("removed", "expiry")


def test_only_the_latest_are_kept() -> None:
    feed = EventFeed(kept=3)
    for _ in range(5):
        feed.handle(GONE)
    assert [notice.number for notice in feed.after(0, 0)] == [3, 4, 5]
    assert [notice.number for notice in feed.after(4, 0)] == [5]
    assert feed.after(5, 0) == ()


def test_a_reader_waits_for_the_next_one_or_the_end() -> None:
    feed = EventFeed()
    got: list[int] = []

    def read() -> None:
        got.append(len(feed.after(0, 60)))
        got.append(len(feed.after(1, 60)))

    reader = threading.Thread(target=read)
    reader.start()
    feed.handle(GONE)
    while not got:
        reader.join(0.01)
    feed.close()
    reader.join(60)
    assert got == [1, 0]


class Streams:
    """Flask's application with the path, and a client of it."""

    def __init__(self, chain: ChainState, max_streams: int = 2) -> None:
        self.feed = EventFeed(kept=3)
        chain.events.subscribe(self.feed.handle)
        app = Flask("test", static_folder=None)
        routes = EventRoutes(self.feed, lambda: chain.tip, max_streams, heartbeat_seconds=0.01)
        routes.add_to(app)
        self._client = app.test_client()

    def open(
        self, path: str = "/events", last_id: str = "", caller: str = "127.0.0.1"
    ) -> Iterator[str]:
        response = self._client.get(
            path,
            headers={"Last-Event-ID": last_id} if last_id else {},
            environ_overrides={PERMIT: nullcontext, "REMOTE_ADDR": caller},
            buffered=False,
        )
        assert response.status_code == 200, response.text
        assert response.mimetype == "text/event-stream"
        return map(bytes.decode, response.iter_encoded())

    def status(self, path: str, caller: str = "127.0.0.1") -> int:
        overrides = {PERMIT: nullcontext, "REMOTE_ADDR": caller}
        response = self._client.get(path, environ_overrides=overrides)
        response.close()
        return response.status_code


def test_a_stream_begins_with_the_tip_and_goes_on_with_what_happens(chain: ChainState) -> None:
    streams = Streams(chain)
    stream = streams.open()
    genesis = PARAMS.genesis.header.hash_hex
    assert next(stream) == (
        f'retry: 2000\nevent: start\ndata: {{"hash":"{genesis}","height":0}}\n\n'
    )
    assert next(stream) == ":\n\n"
    chain.submit_block(make_block(chain.tip, PARAMS))
    blocks, tip = next(stream).split("\n\n")[:2]
    run = streams.feed.run
    assert blocks.startswith(f"id: {run}-1\nevent: block\ndata: {{")
    assert tip.startswith(f"id: {run}-2\nevent: tip\ndata: {{")
    streams.feed.close()
    assert list(stream) == []


def test_who_comes_back_gets_what_was_missed_or_hears_how_much_it_was(chain: ChainState) -> None:
    streams = Streams(chain, max_streams=9)
    run = streams.feed.run
    for _ in range(5):
        streams.feed.handle(GONE)
    stream = streams.open(last_id=f"{run}-4")
    next(stream)
    assert next(stream).count("event: removed") == 1
    stream = streams.open(last_id=f"{run}-1")
    next(stream)
    assert next(stream) == 'event: gap\ndata: {"missed":1}\n\n'
    assert next(stream).count("event: removed") == 3
    for stranger in ("0badcafe-1", f"{run}-x", f"{run}-999", "x"):
        stream = streams.open(last_id=stranger)
        next(stream)
        assert next(stream) == ":\n\n"


def test_a_stream_of_some_kinds(chain: ChainState) -> None:
    streams = Streams(chain)
    stream = streams.open("/events?kinds=tip")
    next(stream)
    chain.submit_block(make_block(chain.tip, PARAMS))
    text = next(stream)
    while text == ":\n\n":
        text = next(stream)
    assert text.count("event:") == text.count("event: tip") == 1
    assert streams.status("/events?kinds=tips") == 400


def test_there_are_only_so_many_streams(chain: ChainState) -> None:
    streams = Streams(chain, max_streams=1)
    stream = streams.open()
    next(stream)
    assert streams.status("/events") == 503


def test_one_stranger_cannot_have_them_all(chain: ChainState) -> None:
    streams = Streams(chain, max_streams=64)
    held = [streams.open(caller="192.0.2.1") for _ in range(MAX_STREAMS_PER_ADDRESS)]
    assert streams.status("/events", "192.0.2.1") == 503
    other = streams.open(caller="192.0.2.2")
    next(other)
    assert len(held) == MAX_STREAMS_PER_ADDRESS
