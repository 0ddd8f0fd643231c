"""A daemon that tells others: commands, ZeroMQ, server-sent events."""

import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.functional.conftest import MakeDaemon, ReservePort
from tests.functional.framework.daemon import Daemon, wait_until


def events(daemon: Daemon, path: str = "/events") -> Iterator[tuple[str, dict[str, Any]]]:
    connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=60)
    connection.request("GET", path)
    response = connection.getresponse()
    assert response.status == 200
    kind = ""
    for raw in response:
        line = raw.decode().rstrip("\n")
        if line.startswith("event: "):
            kind = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield kind, json.loads(line.removeprefix("data: "))
    connection.close()


def test_events_are_streamed_until_the_daemon_stops(daemon: Daemon) -> None:
    stream = events(daemon, "/events?kinds=tip,transaction")
    assert next(stream)[0] == "start"
    blocks = daemon.rpc.generate(101)
    for height, block in enumerate(blocks, 1):
        assert next(stream) == ("tip", {"hash": block, "height": height, "undone": 0})
    txid = daemon.rpc.send_misocoin("00" * 20, "1")
    kind, fields = next(stream)
    assert (kind, fields["txid"]) == ("transaction", txid)
    daemon.stop(timeout=60)
    assert list(stream) == []


def test_commands_are_run(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon()
    out = daemon.home / "out"
    daemon.start(
        f"-blocknotify=echo block %s >> {out}",
        f"-walletnotify=echo tx %s %b %h >> {out}",
        f"-startupnotify=echo started >> {out}",
        f"-shutdownnotify=echo stopping >> {out}",
    )
    (block,) = daemon.rpc.generate(1)
    coinbase = daemon.rpc.get_block(block)["tx"][0]
    wanted = {"started", f"block {block}", f"tx {coinbase} {block} 1"}
    wait_until(lambda: out.exists() and wanted <= set(out.read_text().splitlines()), "they are run")
    daemon.stop()
    assert out.read_text().splitlines()[-1] == "stopping"


def test_zeromq_has_every_topic(make_daemon: MakeDaemon, reserve_port: ReservePort) -> None:
    zmq = pytest.importorskip("zmq")
    address = f"tcp://127.0.0.1:{reserve_port()}"
    topics = ("hashblock", "hashtx", "rawblock", "rawtx", "sequence")
    daemon = make_daemon(*(f"-zmqpub{topic}={address}" for topic in topics)).start()
    context = zmq.Context()
    socket = context.socket(zmq.SUB)
    try:
        socket.setsockopt(zmq.SUBSCRIBE, b"")
        socket.setsockopt(zmq.RCVTIMEO, 200)
        socket.connect(address)

        def is_subscribed() -> bool:
            daemon.rpc.generate(1)
            try:
                return socket.recv_multipart() is not None
            except zmq.Again:
                return False

        wait_until(is_subscribed, "the subscription arrives")
        socket.setsockopt(zmq.RCVTIMEO, 10_000)
        (block,) = daemon.rpc.generate(1)
        heard: dict[str, bytes] = {}
        while heard.get("hashblock") != bytes.fromhex(block) or "rawblock" not in heard:
            topic, body, _ = socket.recv_multipart()
            heard[topic.decode()] = body
        while heard["rawblock"].hex() != daemon.rpc.get_block(block, 0):
            topic, body, _ = socket.recv_multipart()
            heard[topic.decode()] = body
        (coinbase,) = daemon.rpc.get_block(block, 2)["tx"]
        assert heard["sequence"] == bytes.fromhex(block) + b"C"
        assert heard["hashtx"].hex() == coinbase["txid"]
        assert heard["rawtx"].hex() == coinbase["hex"]
    finally:
        context.destroy(linger=0)
