"""Miners that lie, die and share, and how many of them one server holds."""

import random
import resource
import socket
import threading
from base64 import b64decode
from contextlib import ExitStack, suppress

import pytest

from tests.functional.framework.daemon import wait_until
from tests.functional.framework.work import (
    OriginalPeer,
    Program,
    WorkService,
    base64_text,
    random_hash,
    search,
    target_for,
    trial_value,
)


@pytest.fixture
def service(tmp_path):
    service = WorkService(tmp_path)
    yield service
    service.stop()


@pytest.fixture
def start_miner(tmp_path):
    started = []

    def start_miner(service, *options):
        started.append(Program(tmp_path, "mine", f"localhost:{service.port}", *options))
        return started[-1]

    yield start_miner
    for miner in started:
        miner.close()


class Liar(threading.Thread):
    """A miner of the original protocol that claims any nonce to win, and comes back when it can."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self._port = port
        self.is_over = threading.Event()
        self.lies = 0

    def run(self):
        while not self.is_over.is_set():
            with suppress(OSError, AssertionError, ValueError):
                self._lie()

    def _lie(self):
        with OriginalPeer(self._port, timeout=2) as peer:
            while not self.is_over.is_set():
                peer.send(method="get_work")
                work = peer.answer()
                if work["status"] == 200:
                    self.lies += 1
                    peer.send(
                        method="push_result",
                        nonce=self.lies,
                        trialValue=work["target"],
                        initialHash=work["initialHash"],
                    )


def test_a_thousand_jobs_with_a_liar_and_a_miner_that_is_killed(service, start_miner):
    """Each of them is verified by hashlib; targets are small, of 50 to 5,000 tries."""
    chance = random.Random(7)
    liar = Liar(service.port)
    liar.start()
    start_miner(service)
    doomed = start_miner(service)
    jobs = [(random_hash(chance), target_for(chance.randrange(50, 5000))) for _ in range(1000)]
    right = 0
    with service.framed() as client:

        def submit():
            for number, (initial_hash, target) in enumerate(jobs):
                client.send(
                    id=number,
                    method="do_pow",
                    target=target,
                    initialHash=base64_text(initial_hash),
                )

        submitting = threading.Thread(target=submit, daemon=True)
        submitting.start()
        open_jobs = set(range(1000))
        while open_jobs:
            answer = client.answer()
            assert answer["status"] in ("accepted", "done"), answer
            if answer["status"] == "done":
                initial_hash, target = jobs[answer["id"]]
                value = trial_value(answer["nonce"], initial_hash)
                assert value == answer["trialValue"] <= target
                open_jobs.remove(answer["id"])
                right += 1
                if right == 300:
                    doomed.kill()
        submitting.join()
    liar.is_over.set()
    assert right == 1000
    assert liar.lies > 2
    liar.join()


def test_a_job_of_a_killed_miner_goes_to_another(service):
    chance = random.Random(8)
    initial_hash, target = random_hash(chance), target_for(500)
    with service.original() as client, service.original() as doomed, service.framed() as other:
        doomed.send(method="get_work")
        client.send(method="do_pow", target=target, initialHash=base64_text(initial_hash))
        assert doomed.answer()["target"] == target
        other.send(id=1, method="get_work")
        other.send(id=2, method="ping")
        assert other.answer()["id"] == 2  # there is nothing for another one
        doomed.close()
        work = other.answer()
        assert b64decode(work["initialHash"]) == initial_hash
        nonce, value = search(initial_hash, target, work["start"])
        other.send(id=3, method="push_result", lease=work["lease"], nonce=nonce)
        assert client.answer() == {"status": 200, "nonce": nonce, "trialValue": value}


def test_a_hard_job_is_split_and_all_stop_when_one_finds_it(service):
    """A job of 20,000 tries is enough for one miner; of a hard one each gets a range of its own."""
    chance = random.Random(9)
    easy, hard = random_hash(chance), random_hash(chance)
    target = target_for(1 << 18)
    with ExitStack() as stack:
        client = stack.enter_context(service.framed())
        first, *others = (stack.enter_context(service.framed()) for _ in range(4))
        client.send(id=1, method="do_pow", target=target_for(20_000), initialHash=base64_text(easy))
        assert client.answer()["status"] == "accepted"
        first.send(id=1, method="get_work", rate=1000)
        assert b64decode(first.answer()["initialHash"]) == easy
        for other in others:
            other.send(id=1, method="get_work", rate=1000)
        client.send(id=2, method="do_pow", target=target, initialHash=base64_text(hard))
        parts = [other.answer() for other in others]
        assert [b64decode(part["initialHash"]) for part in parts] == [hard] * 3
        size = parts[0]["count"]
        assert sorted(part["start"] for part in parts) == [0, size, 2 * size]
        nonce, value = search(hard, target)
        others[0].send(id="push", method="push_result", lease=parts[0]["lease"], nonce=nonce)
        assert others[0].answer()["status"] == "ok"
        done = client.answer_to(2, "done")
        assert (done["nonce"], done["trialValue"]) == (nonce, value)
        for other, part in zip(others[1:], parts[1:], strict=True):
            assert other.answer() == {"stop": part["lease"]}


MINERS, CLIENTS = 2000, 200


def test_two_thousand_miners_and_two_hundred_clients_in_300_mb(service):
    """All miners wait in long polls, all clients for their jobs; then every client is served."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = MINERS + CLIENTS + 100
    if soft < needed:
        if hard != resource.RLIM_INFINITY and hard < needed:
            pytest.skip(f"the system allows for {hard} open files only (ulimit -n)")
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    chance = random.Random(10)
    peers = []
    try:
        # Miners that know hashcash alone are idle while Bitmessage jobs wait.
        for _ in range(MINERS):
            peer = socket.create_connection(("127.0.0.1", service.port), 30)
            peer.sendall(
                b'{"hello":"misocoin-work","version":1}\n'
                b'{"id":1,"method":"get_work","wait":60,"algorithms":["hashcash"]}\n'
            )
            peers.append(peer)
        clients = {}
        for _ in range(CLIENTS):
            client = service.original()
            clients[client] = random_hash(chance)
            client.send(
                method="do_pow",
                target=target_for(20),
                initialHash=base64_text(clients[client]),
            )
            peers.append(client)
        with service.framed() as watcher:

            def all_wait():
                watcher.send(id=1, method="stats")
                stats = watcher.answer()
                return stats["idle"] == MINERS and stats["jobs"] == CLIENTS

            wait_until(all_wait, "all of them wait")
            assert service.memory() < 300_000_000  # 55 MB when it was written
            with service.original() as miner:
                for _ in range(CLIENTS):
                    miner.send(method="get_work")
                    work = miner.answer()
                    initial_hash = b64decode(work["initialHash"])
                    nonce, value = search(initial_hash, work["target"])
                    miner.send(
                        method="push_result",
                        nonce=nonce,
                        trialValue=value,
                        initialHash=work["initialHash"],
                    )
            for client, initial_hash in clients.items():
                answer = client.answer()
                assert trial_value(answer["nonce"], initial_hash) == answer["trialValue"]
            watcher.send(id=2, method="stats")
            assert watcher.answer_to(2)["idle"] == MINERS
    finally:
        for peer in peers:
            peer.close()
