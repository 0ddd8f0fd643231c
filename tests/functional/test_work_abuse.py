"""Bad input to the work service: refused or dropped with a reason, everyone else served on."""

import json
import random
import socket
import time
from contextlib import suppress

import pytest

from tests.functional.framework.daemon import wait_until
from tests.functional.framework.work import (
    FramedPeer,
    OriginalPeer,
    WorkService,
    base64_text,
    random_hash,
    search,
    target_for,
)


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    service = WorkService(tmp_path_factory.mktemp("work"), "-maxconn=1000", "-opentimeout=3")
    yield service
    service.stop()


@pytest.fixture(scope="module")
def chance():
    return random.Random(7)


@pytest.fixture(autouse=True)
def others_are_served(service, chance):
    """Around every test: who was connected before it is served after it."""
    with service.original() as client, service.original() as miner:
        serve(client, miner, chance)
        yield
        serve(client, miner, chance)


def serve_one(service, chance):
    with service.original() as client, service.original() as miner:
        serve(client, miner, chance)


def serve(client, miner, chance):
    initial_hash, target = random_hash(chance), target_for(200)
    client.send(method="do_pow", target=target, initialHash=base64_text(initial_hash))
    miner.send(method="get_work")
    assert miner.answer()["initialHash"] == base64_text(initial_hash)
    nonce, value = search(initial_hash, target)
    miner.send(
        method="push_result",
        nonce=nonce,
        trialValue=value,
        initialHash=base64_text(initial_hash),
    )
    assert client.answer() == {"status": 200, "nonce": nonce, "trialValue": value}


GOOD_HASH = base64_text(bytes(64))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "a message is a JSON object"),
        (b"\x16\x03\x01\x02\x00", "a message is a JSON object"),
        (b"[1]", "a message is a JSON object"),
        (b"{]", None),
        (b'{"method"}', "broken JSON"),
        (b'{"method":"do_pow\xff"}', "broken JSON"),
        (b'{"a":' + b"[" * 50, "nested too deeply"),
        (b'{"a":"' + b"x" * 5000, "at most 4096 bytes"),
        (b"{}", "no method"),
        (b'{"method":5}', "method is not a text"),
        (b'{"method":"steal"}', "no method 'steal'"),
        (b'{"method":"ping"}', "no message of this dialect"),
        (b'{"method":"do_pow"}', "no target"),
        (b'{"method":"do_pow","target":0}', "target is not from 1 to"),
        (b'{"method":"do_pow","target":18446744073709551616}', "target is not from 1 to"),
        (b'{"method":"do_pow","target":true}', "target is not a whole number"),
        (b'{"method":"do_pow","target":1e3}', "target is not a whole number"),
        (b'{"method":"do_pow","target":"9"}', "target is not a whole number"),
        (b'{"method":"do_pow","target":9}', "initialHash is not"),
        (b'{"method":"do_pow","target":9,"initialHash":"AAAA"}', "has 3 bytes, not 64"),
        (b'{"method":"do_pow","target":9,"initialHash":"!"}', "is not base64"),
        (b'{"method":"do_pow","target":9,"initialHash":7}', "initialHash is not"),
        (
            json.dumps({"method": "do_pow", "target": 1, "initialHash": GOOD_HASH}).encode(),
            "hashes are to be expected",
        ),
        (
            b'{"method":"push_result","nonce":-1,"trialValue":1,"initialHash":"'
            + GOOD_HASH.encode()
            + b'"}',
            "nonce is not from 0",
        ),
        (
            b'{"method":"push_result","nonce":18446744073709551616,"trialValue":1,"initialHash":"'
            + GOOD_HASH.encode()
            + b'"}',
            "nonce is not from 0",
        ),
    ],
)
def test_a_message_that_cannot_be_used_is_refused_with_a_reason(service, data, reason):
    with service.original() as peer:
        peer.socket.sendall(data)
        if reason is None:
            peer.socket.sendall(b"}")
            reason = "broken JSON"
        answer = peer.answer()
        assert answer["status"] in (400, 413)
        assert reason in answer["error"]
        assert answer["status"] == 413 or peer.is_closed()


def test_a_framed_connection_outlives_some_broken_lines(service):
    with service.framed() as peer:
        peer.socket.sendall(b"nonsense\n")
        assert peer.answer()["error"]["code"] == "malformed"
        peer.send(id=1, method="do_pow", target=0, initialHash=GOOD_HASH)
        answer = peer.answer()
        assert answer["id"] == 1
        assert answer["error"]["code"] == "malformed"
        peer.send(id=[], method="ping")
        assert peer.answer()["error"]["code"] == "malformed"
        peer.send(id=2, method="ping")
        assert peer.answer() == {"id": 2, "status": "ok"}
        peer.socket.sendall(b"nonsense\n" * 30)
        while not peer.is_closed():
            pass


def test_a_newer_version_of_the_dialect_is_refused(service):
    with OriginalPeer(service.port) as peer:
        peer.send(hello="misocoin-work", version=2)
        assert "version" in peer.answer()["error"]["message"]
        assert peer.is_closed()


def test_a_duplicate_job_is_searched_once_and_answered_twice(service, chance):
    initial_hash, target = random_hash(chance), target_for(200)
    text = base64_text(initial_hash)
    with service.original() as one, service.original() as other, service.original() as miner:
        for client in (one, other, one):
            client.send(method="do_pow", target=target, initialHash=text)
        miner.send(method="get_work")
        assert miner.answer()["initialHash"] == text
        nonce, value = search(initial_hash, target)
        miner.send(method="push_result", nonce=nonce, trialValue=value, initialHash=text)
        wanted = {"status": 200, "nonce": nonce, "trialValue": value}
        assert other.answer() == wanted
        twice = one.socket.recv(1024)
        while twice.count(b"}") < 2:
            twice += one.socket.recv(1024)
        assert twice == json.dumps(wanted, separators=(",", ":")).encode() * 2


def test_a_liar_is_banned_and_its_jobs_go_to_others(service, chance):
    initial_hash, target = random_hash(chance), target_for(1000)
    text = base64_text(initial_hash)
    liar = OriginalPeer(service.port, source="127.0.0.9")
    with service.original() as client, liar:
        client.send(method="do_pow", target=target, initialHash=text)
        for _ in range(3):
            liar.send(method="get_work")
            assert liar.answer()["initialHash"] == text
            nonce, value = search(initial_hash, (1 << 64) - 1, 10**9)
            assert value > target
            liar.send(method="push_result", nonce=nonce, trialValue=target, initialHash=text)
        assert liar.answer()["status"] == 403
        assert liar.is_closed()
        with OriginalPeer(service.port, source="127.0.0.9") as again:
            assert "banned" in again.answer()["error"]
        with service.original() as honest:
            honest.send(method="get_work")
            assert honest.answer()["initialHash"] == text
            nonce, value = search(initial_hash, target)
            honest.send(method="push_result", nonce=nonce, trialValue=value, initialHash=text)
            assert client.answer()["nonce"] == nonce


def test_results_that_nobody_asked_for_change_nothing(service):
    with service.framed() as peer:
        peer.send(id=1, method="push_result", lease=999999, nonce=1)
        assert peer.answer() == {"id": 1, "status": "late"}
        peer.send(id=2, method="heartbeat", lease=999999)
        assert peer.answer() == {"id": 2, "status": "late"}
        peer.send(id=3, method="cancel", job="0" * 32)
        assert peer.answer()["error"]["code"] == "not_found"
        peer.send(id=4, method="wait", job="0" * 32)
        assert peer.answer()["error"]["code"] == "not_found"


def test_a_thousand_half_open_connections(service, chance):
    """They fill the room there is; who comes after them finds a place, and they end by and by."""
    silent = [socket.create_connection(("127.0.0.1", service.port)) for _ in range(1005)]
    try:
        for peer in silent[::2]:
            with suppress(OSError):  # the last ones were turned away
                peer.sendall(b'{"method":')
        time.sleep(1.1)  # the youngest that may be sent away is a second old
        for _ in range(5):
            serve_one(service, chance)
        silent[0].settimeout(60)
        wait_until(lambda: _has_ended(silent[1]), "a silent connection is dropped")
        with FramedPeer(service.port) as peer:
            peer.send(id=1, method="stats")
            assert peer.answer()["status"] == "ok"
    finally:
        for peer in silent:
            peer.close()


def _has_ended(peer):
    peer.settimeout(0.1)
    try:
        data = peer.recv(1024)
    except TimeoutError:
        return False
    except ConnectionResetError:
        return True
    return data == b"" or b'"status":408' in data


def test_whoever_does_not_read_is_not_read(service):
    """Answers to a client that takes none of them do not gather in memory."""
    before = service.memory()
    with service.framed() as peer:
        peer.socket.setblocking(False)
        line = b'{"id":"%s","method":"stats"}\n' % (b"x" * 60)
        sent = 0
        with pytest.raises(BlockingIOError):
            for _ in range(4000):
                sent += peer.socket.send(line * 1000)
        assert service.memory() - before < 30_000_000
