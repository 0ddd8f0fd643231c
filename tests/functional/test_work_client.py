"""The package's own client, miner and command line, also with tokens, stamps and TLS."""

import json
import socket
import ssl
import subprocess
import sys
import threading
import time
from functools import partial

import pytest

from misocoin.pow.puzzles import BitmessagePuzzle, HashcashPuzzle, HeaderPuzzle, StampDigest
from misocoin.work.client import WorkClient
from misocoin.work.errors import WorkAway, WorkRefused, WorkTimeout
from tests.functional.framework.daemon import DEADLINE, ROOT, clean_environment
from tests.functional.framework.work import (
    KNOWN_HASH,
    KNOWN_NONCE,
    KNOWN_TARGET,
    KNOWN_TRIAL,
    Program,
    WorkService,
    target_for,
    trial_value,
)


@pytest.fixture
def start(tmp_path):
    """Start services and miners; none outlives the test."""
    started = []

    def start(*options, miner=(), port=0):
        service = WorkService(tmp_path, *options, port=port)
        started.append(service)
        if miner is not None:
            where = ("mine", f"localhost:{service.port}", *miner)
            started.append(Program(tmp_path, *where))
        return service

    yield start
    for program in reversed(started):
        program.close()


def work(home, *words, **environment):
    return subprocess.run(
        [sys.executable, "-m", "misocoin", "work", *words],
        capture_output=True,
        text=True,
        cwd=home,
        env=clean_environment(home, {"PYTHONPATH": str(ROOT), **environment}),
        timeout=DEADLINE,
        check=False,
    )


@pytest.fixture
def away(reserve_port):
    """Clients of a port where nobody listens."""
    return partial(WorkClient, "localhost", reserve_port())


def test_every_kind_of_puzzle(start):
    client = WorkClient("localhost", start(miner=("-threads=2",)).port, fallback=False, seconds=60)
    initial_hash = bytes(range(64))
    answer = client.do_pow(initial_hash, target_for(20_000))
    assert trial_value(answer.nonce, initial_hash) == answer.trial_value <= target_for(20_000)
    for puzzle in (
        HeaderPuzzle(bytes(80), (1 << 240) - 1),
        HeaderPuzzle(bytes(80), (1 << 242) - 1, 16),
        HashcashPuzzle(b"1:12:261121:x::abc:", b"", 10, 12, StampDigest.SHA1),
        HashcashPuzzle(b"prefix ", b" suffix", 8, 12),
    ):
        assert puzzle.is_solution(client.solve(puzzle))


def test_a_space_without_a_winner(start):
    client = WorkClient("localhost", start().port, fallback=False, seconds=60)
    with pytest.raises(WorkRefused, match="exhausted"):
        client.solve(HashcashPuzzle(b"x", b"", 2, 40, StampDigest.SHA1))


def test_without_a_service_it_is_searched_here(away):
    answer = away().do_pow(bytes(64), target_for(1000))
    assert trial_value(answer.nonce, bytes(64)) == answer.trial_value
    with pytest.raises(WorkAway, match="Connection refused"):
        away(fallback=False).do_pow(bytes(64), target_for(1000))
    with pytest.raises(WorkTimeout):
        away(seconds=0.3).do_pow(bytes(64), 1)
    with pytest.raises(WorkRefused, match="exhausted"):
        away().solve(HashcashPuzzle(b"x", b"", 2, 40))


def test_a_time_limit_ends_the_wait_and_the_job(start):
    service = start(miner=None)
    client = WorkClient("localhost", service.port, fallback=False, seconds=0.4)
    with pytest.raises(WorkTimeout):
        client.do_pow(bytes(64), target_for(1 << 30))
    with service.framed() as watcher:
        watcher.send(id=1, method="stats")
        assert watcher.answer()["jobs"] == 0


def test_a_client_comes_back_after_the_service_restarts(start, tmp_path, reserve_port):
    port = reserve_port()
    store = f"-store={tmp_path / 'queue'}"
    first = start(store, port=port, miner=None)
    client = WorkClient("localhost", port, fallback=False, seconds=50)
    answers = []
    thread = threading.Thread(target=lambda: answers.append(client.do_pow(bytes(64), 1 << 50)))
    thread.start()
    first.log.wait_for("listening")
    with first.framed() as watcher:
        deadline = time.monotonic() + DEADLINE
        while True:
            watcher.send(id=1, method="stats")
            if watcher.answer()["accepted"]:
                break
            assert time.monotonic() < deadline
    first.kill()
    second = start(store, port=port)
    thread.join(50)
    (answer,) = answers
    assert trial_value(answer.nonce, bytes(64)) == answer.trial_value
    second.stop()


def test_the_command_line(start, tmp_path):
    service = start()
    place = f"localhost:{service.port}"
    done = work(tmp_path, "do", f"-target={KNOWN_TARGET}", f"-hash={KNOWN_HASH}", place)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"nonce": KNOWN_NONCE, "trialValue": KNOWN_TRIAL}
    puzzle = '{"algorithm":"hashcash","prefix":"1:8:261121:x::r:","bits":8}'
    stamp = json.loads(work(tmp_path, "do", "-puzzle", puzzle, place).stdout)["stamp"]
    assert stamp.startswith("1:8:261121:x::r:")
    stats = json.loads(work(tmp_path, "stats", place).stdout)
    assert stats["solved"] == 2
    assert stats["miners"] == 1


def test_the_command_line_says_that_it_searches_here(tmp_path, reserve_port):
    place = f"localhost:{reserve_port()}"
    done = work(tmp_path, "do", f"-target={KNOWN_TARGET}", f"-hash={KNOWN_HASH}", place)
    assert json.loads(done.stdout) == {"nonce": KNOWN_NONCE, "trialValue": KNOWN_TRIAL}
    assert done.stderr.startswith(f"misocoin work: no work service at {place}")
    assert done.stderr.endswith("; searching on this machine instead\n")


@pytest.mark.parametrize(
    ("words", "code", "complaint"),
    [
        (("do",), 2, "name -target and -hash, or -puzzle"),
        (("do", "-target=0", "-hash=AA=="), 2, "target is not from 1"),
        (("do", "-target=5", "-hash=AA=="), 2, "has 1 bytes, not 64"),
        (("do", "-puzzle={"), 2, "broken JSON"),
        (("do", "-target=5", f"-hash={KNOWN_HASH}", "here:99999"), 2, "write host:port"),
        (("stats", "-port=1"), 1, "no work service at localhost:1"),
        (("mine", "-engine=abacus"), 2, "choose"),
        (("serve", "-tlscert=/nowhere"), 2, "-tlscert=/nowhere: No such file"),
        (("serve", "-tlskey=/nowhere"), 2, "-tlskey needs -tlscert"),
        (("serve", "-store=mysql://x/y"), 2, "no database of the kind 'mysql'"),
        (("serve", "-store=/nowhere/q"), 1, "/nowhere/q cannot be used: No such file"),
        (("serve", "-host=192.0.2.1"), 1, "cannot listen on 192.0.2.1:7040"),
    ],
)
def test_mistakes_are_one_line(tmp_path, words, code, complaint):
    result = work(tmp_path, *words)
    assert result.returncode == code, result.stderr
    assert complaint in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


def test_tokens(start, tmp_path):
    service = start("-token=asker,other", "-minertoken=digger", miner=("-token=digger",))
    client = WorkClient("localhost", service.port, token="other", fallback=False, seconds=50)
    assert client.do_pow(bytes(64), target_for(100)).nonce >= 0
    for token in ("", "guess", "digger"):
        with pytest.raises(WorkRefused, match="unauthorized"):
            WorkClient("localhost", service.port, token=token).do_pow(bytes(63) + b"x", 1 << 50)
    wrong = work(tmp_path, "mine", "-token=guess", f"localhost:{service.port}")
    assert wrong.returncode == 1
    assert "that token gives no access" in wrong.stderr


def test_stamps_are_paid_by_the_client_and_taken_once(start):
    service = start("-stamp=10")
    client = WorkClient("localhost", service.port, fallback=False, seconds=50)
    assert client.do_pow(bytes(64), target_for(100)).nonce >= 0
    with service.framed() as poor:
        assert poor.welcome["stamp"] == {"bits": 10, "resource": "misocoin-work"}
        poor.send(id=1, method="do_pow", target=1 << 50, initialHash=KNOWN_HASH)
        assert "stamp of 10 bits" in poor.answer()["error"]["message"]
    with service.original() as original:
        original.send(method="do_pow", target=1 << 50, initialHash=KNOWN_HASH)
        assert original.answer()["status"] == 401


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate for localhost and its key, made by openssl."""
    folder = tmp_path_factory.mktemp("tls")
    names = folder / "cert.pem", folder / "key.pem"
    try:
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
             "subjectAltName=DNS:localhost", "-out", names[0], "-keyout", names[1]],
            check=True, capture_output=True, timeout=DEADLINE,
        )  # fmt: skip
    except FileNotFoundError:
        pytest.skip("openssl is not installed")
    return names


def test_tls(start, certificate):
    cert, key = certificate
    service = start(f"-tlscert={cert}", f"-tlskey={key}", miner=(f"-tlsca={cert}", "-threads=2"))
    trusting = ssl.create_default_context(cafile=cert)
    client = WorkClient("localhost", service.port, tls=trusting, fallback=False, seconds=50)
    for number in range(20):
        client.do_pow(bytes([number]) * 64, target_for(5000))
    suspicious = WorkClient(
        "localhost", service.port, tls=ssl.create_default_context(), fallback=False
    )
    with pytest.raises(WorkAway, match="no work service"):
        suspicious.do_pow(bytes(64), target_for(100))
    with socket.create_connection(("127.0.0.1", service.port)) as plain:
        plain.sendall(b'{"method":"get_work"}')
        plain.settimeout(DEADLINE)
        assert b"status" not in plain.recv(1024)


def test_an_answer_that_is_wrong_is_not_believed():
    """A service that lies is one that is away: the puzzle is searched here."""
    listener = socket.create_server(("127.0.0.1", 0))

    def lie():
        for _ in range(6):
            peer, _address = listener.accept()
            with peer, peer.makefile("rb") as lines:
                lines.readline()
                peer.sendall(b'{"hello":"misocoin-work","version":1}\n')
                lines.readline()
                peer.sendall(b'{"id":1,"status":"done","job":"","nonce":5,"trialValue":1}\n')

    thread = threading.Thread(target=lie, daemon=True)
    thread.start()
    with listener:
        port = listener.getsockname()[1]
        puzzle = BitmessagePuzzle(bytes(64), target_for(100_000))
        assert not puzzle.is_solution(5)
        assert puzzle.is_solution(WorkClient("127.0.0.1", port).solve(puzzle))
