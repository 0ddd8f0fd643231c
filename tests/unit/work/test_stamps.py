"""Stamps as the price of a job."""

import pytest

from misocoin.hashcash.stamp import date_from_time, mint_stamp, stamp_puzzle
from misocoin.pow.portable import PortableEngine
from misocoin.units import UnixTime
from misocoin.work.service import Access
from misocoin.work.stamps import Stamps
from tests.unit.work.rig import Rig
from tests.unit.work.test_service import job

NOW = 1_795_000_000


@pytest.fixture
def clock():
    return [float(NOW)]


@pytest.fixture
def stamps(clock):
    return Stamps(6, "work.example", lambda: clock[0])


def mint(resource="work.example", bits=6, time=NOW, rand="abc", width=12):
    puzzle = stamp_puzzle(resource, bits, date_from_time(UnixTime(time), width), rand)
    return mint_stamp(puzzle, PortableEngine()).text


def test_a_stamp_serves_once(stamps):
    assert stamps.use(mint()) is None
    assert stamps.use(mint()) == "the stamp was used before"
    assert stamps.use(mint(rand="other")) is None


def test_used_stamps_are_remembered_while_they_would_be_good(stamps, clock):
    stamp = mint(time=NOW + 500)
    assert stamps.use(stamp) is None
    for _ in range(50):
        clock[0] += 100
        assert stamps.use(stamp) is not None


@pytest.mark.parametrize(
    ("stamp", "reason"),
    [
        ("", "6 bits for work.example is needed"),
        ("1:6:nonsense", "not a hashcash stamp"),
        (mint("elsewhere"), "foreign"),
        (mint(bits=5), "cheap"),
        (mint(time=NOW - 1), "older than the service"),
        (mint(width=6), "stale"),
        (mint(time=NOW - 5000), "stale"),
        (mint(time=NOW + 700), "stale"),
    ],
)
def test_what_is_not_taken(stamps, stamp, reason):
    assert reason in stamps.use(stamp)


def test_a_new_job_costs_a_stamp_and_an_open_one_nothing(stamps):
    rig = Rig(access=Access(stamps=stamps))
    client = rig.connect().hello()
    assert client.answer()["stamp"] == {"bits": 6, "resource": "work.example"}
    client.send(id=1, **job(1), stamp=mint())
    assert client.answer()["status"] == "accepted"
    client.send(id=2, **job(1))
    assert client.answer()["status"] == "accepted"
    client.send(id=3, **job(2), stamp=mint())
    assert "used before" in client.answer()["error"]["message"]
    original = rig.connect()
    original.send(**job(3), stamp=mint(rand="third"))
    assert original.answers() == []
    miner = rig.connect("192.0.2.9").hello()
    miner.answers()
    miner.send(id=1, method="get_work")
    assert miner.answer()["status"] == "work"
