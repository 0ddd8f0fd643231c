"""The kept queue: it survives kill -9, and servers share it on PostgreSQL."""

import random
from base64 import b64decode

import pytest

from tests.functional.framework.daemon import DEADLINE
from tests.functional.framework.work import (
    Program,
    WorkService,
    base64_text,
    random_hash,
    search,
    target_for,
    trial_value,
)

TARGET = target_for(100)


@pytest.fixture
def start_miner(tmp_path):
    """Start miners of the package; none outlives the test."""
    started = []

    def start_miner(service):
        started.append(Program(tmp_path, "mine", f"localhost:{service.port}"))
        return started[-1]

    yield start_miner
    for miner in started:
        miner.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def where(request, tmp_path):
    """What `-store=` is given."""
    if request.param == "postgresql":
        return request.getfixturevalue("postgres_url")
    return str(tmp_path / "queue.sqlite")


@pytest.fixture
def start(tmp_path, where):
    """Start services on one queue; none outlives the test."""
    started = []

    def start(*options):
        service = WorkService(tmp_path, f"-store={where}", *options)
        started.append(service)
        return service

    yield start
    for service in started:
        service.close()


def job_fields(initial_hash, target):
    return {"target": target, "initialHash": base64_text(initial_hash)}


def submit(service, initial_hash, target):
    """Hand a job in and hang up when it is accepted; its id."""
    with service.framed() as client:
        client.send(id=1, method="do_pow", **job_fields(initial_hash, target))
        answer = client.answer()
        assert answer["status"] == "accepted", answer
        return answer["job"]


def solve(miner, work):
    """Search what a framed miner was given, and hand the nonce in."""
    nonce, _ = search(b64decode(work["initialHash"]), work["target"], work["start"])
    miner.send(id="push", method="push_result", lease=work["lease"], nonce=nonce)
    assert miner.answer_to("push")["status"] == "ok"


def answers_to_all(service, jobs):
    """Come back for jobs and wait for the end of all of them; every answer is checked."""
    with service.framed() as client:
        for number, job in enumerate(jobs):
            client.send(id=number, method="wait", job=job)
        seen = {}
        while len(seen) < len(jobs):
            answer = client.answer()
            assert answer["status"] == "done", answer
            assert trial_value(answer["nonce"], jobs[answer["job"]]) == answer["trialValue"]
            assert answer["trialValue"] <= TARGET
            seen[answer["job"]] = answer["id"]
        assert seen == {job: number for number, job in enumerate(jobs)}


def test_accepted_jobs_survive_a_kill(start, start_miner):
    chance = random.Random(1)
    service = start()
    jobs = {}
    for _ in range(20):
        initial_hash = random_hash(chance)
        jobs[submit(service, initial_hash, TARGET)] = initial_hash
    with service.framed() as miner:
        for number in range(5):
            miner.send(id=number, method="get_work")
            solve(miner, miner.answer_to(number, "work"))
        miner.send(id=5, method="get_work")
        miner.answer_to(5, "work")  # and one is searched when it comes
        service.kill()
    again = start()
    start_miner(again)
    answers_to_all(again, jobs)
    again.stop()


def test_servers_share_a_queue(tmp_path, postgres_url, start_miner):
    """Jobs come in at one, are searched at another, and are answered where their clients wait."""
    chance = random.Random(2)
    one, other = (WorkService(tmp_path, f"-store={postgres_url}") for _ in range(2))
    try:
        with one.framed() as client:
            hashes = [random_hash(chance) for _ in range(50)]
            start_miner(other)
            for number, initial_hash in enumerate(hashes):
                client.send(id=number, method="do_pow", **job_fields(initial_hash, TARGET))
            for _ in hashes:
                answer = client.answer()
                while answer["status"] != "done":
                    assert answer["status"] == "accepted", answer
                    answer = client.answer()
                value = trial_value(answer["nonce"], hashes[answer["id"]])
                assert value == answer["trialValue"] <= TARGET
        with other.framed() as client:
            client.send(id=1, method="stats")
            stats = client.answer()
            assert stats["solved"] == 50
            assert stats["miners"] == 1
    finally:
        one.stop()
        other.stop()


def test_a_dead_servers_jobs_go_to_others(tmp_path, postgres_url, start_miner):
    chance = random.Random(3)
    one, other = (WorkService(tmp_path, f"-store={postgres_url}") for _ in range(2))
    try:
        initial_hash = random_hash(chance)
        job = submit(one, initial_hash, TARGET)
        with one.framed() as miner:
            miner.send(id=1, method="get_work")
            assert miner.answer()["job"] == job
            one.kill()
        start_miner(other)
        answers_to_all(other, {job: initial_hash})
    finally:
        one.close()
        other.stop()


def test_servers_search_a_hard_job_together(tmp_path, postgres_url):
    """Each gives its miner a part of its own; when one finds a nonce, all stop."""
    chance = random.Random(4)
    one, other = (WorkService(tmp_path, f"-store={postgres_url}") for _ in range(2))
    try:
        initial_hash = random_hash(chance)
        job = submit(one, initial_hash, target_for(1 << 40))
        with one.framed() as here, other.framed() as there, other.framed() as client:
            here.send(id=1, method="get_work")
            first = here.answer_to(1, "work")
            there.send(id=1, method="get_work")
            second = there.answer_to(1, "work")
            assert first["job"] == second["job"] == job
            assert abs(first["start"] - second["start"]) >= 1 << 56
            client.send(id=1, method="wait", job=job)
            client.send(id=2, method="ping")
            assert client.answer()["id"] == 2
            # Nobody finds 2**40 in a test: the client that asked for it cancels it.
            with one.framed() as owner:
                owner.send(id=1, method="cancel", job=job)
                assert owner.answer() == {"id": 1, "status": "ok"}
            assert here.answer() == {"stop": first["lease"]}
            assert there.answer() == {"stop": second["lease"]}
            assert client.answer_to(1)["error"]["code"] == "cancelled"
    finally:
        one.stop()
        other.stop()


def test_the_service_outlives_its_database(tmp_path, postgres_server, start_miner):
    chance = random.Random(5)
    service = WorkService(tmp_path, f"-store={postgres_server.new_database()}")
    try:
        first, second = random_hash(chance), random_hash(chance)
        job = submit(service, first, TARGET)
        with service.framed() as client:
            postgres_server.stop()
            client.send(id=1, method="do_pow", **job_fields(second, TARGET))
            assert client.answer_to(1)["error"]["code"] == "unavailable"
            postgres_server.start()
            start_miner(service)
            answers_to_all(service, {job: first})
            answers_to_all(service, {submit(service, second, TARGET): second})
    finally:
        service.stop()


def test_a_file_has_one_server(tmp_path):
    path = tmp_path / "queue.sqlite"
    service = WorkService(tmp_path, f"-store={path}")
    try:
        second = Program(tmp_path, "serve", "-port=0", f"-store={path}")
        assert second.process.wait(DEADLINE) == 1
        second.log.close()
        assert "locked" in second.log.text
        assert "Traceback" not in second.log.text
    finally:
        service.stop()
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_password_is_not_told(tmp_path, postgres_url):
    address = postgres_url.replace("misocoin@", "misocoin:geheim@")
    service = WorkService(tmp_path, f"-store={address}")
    service.stop()
    assert "the queue is kept in" in service.log.text
    assert "geheim" not in service.log.text
