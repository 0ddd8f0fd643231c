"""Buying for a work service, with both ends in memory and a clock that the tests turn."""

from typing import Any

import pytest

from misocoin.cli.work_buying import KEPT_SECONDS, PAUSE_SECONDS, Backlog, Buyer, Progress
from misocoin.http.errors import HttpError
from misocoin.market.pow_work import SoldPuzzle
from misocoin.pow.puzzles import BASE64_DIGITS, BitmessagePuzzle, HashcashPuzzle, StampDigest
from misocoin.work.jobs import fields_from_puzzle

PUZZLE = BitmessagePuzzle(bytes(64), (1 << 64) - 1)
HARD = BitmessagePuzzle(bytes(64), 1)
STAMP = HashcashPuzzle(b"1:0:x:", b"", 10, 0, StampDigest.SHA1, BASE64_DIGITS)


def test_backlog_counts_only_what_must_have_waited():
    backlog = Backlog(10)
    assert backlog.waited(0, 5, 0) == 0
    assert backlog.waited(9, 50, 0) == 0
    assert backlog.waited(10, 50, 3) == 2
    assert backlog.waited(18, 50, 20) == 0
    assert backlog.waited(19, 7, 30) == 7


def test_backlog_begins_anew_with_the_service():
    backlog = Backlog(10)
    backlog.waited(0, 5, 100)
    assert backlog.waited(11, 5, 0) == 0
    assert backlog.waited(12, 5, 0) == 0
    assert backlog.waited(22, 5, 0) == 5


class World:
    """A service with one job, and a shop."""

    def __init__(self, puzzle: SoldPuzzle = PUZZLE) -> None:
        self.puzzle = puzzle
        self.now = 0.0
        self.jobs, self.idle = 1, 0
        self.holder: FakeLine | None = None
        self.pushed: list[int] = []
        self.beats = 0
        self.orders = 0
        self.found: int | Progress | HttpError = Progress.OPEN
        self.buyer = Buyer(lambda: FakeLine(self), self, 10, 2, lambda: self.now)

    def order(self, _puzzle: SoldPuzzle) -> str:
        self.orders += 1
        return f"key{self.orders}"

    def look(self, _key: str, _puzzle: SoldPuzzle) -> int | Progress:
        if isinstance(self.found, HttpError):
            raise self.found
        return self.found

    def run(self, seconds: int) -> None:
        for _ in range(seconds):
            self.now += 1
            self.buyer.step()


class FakeLine:
    def __init__(self, world: World) -> None:
        self.world = world
        self.messages: list[dict[str, Any]] = []

    def send(self, *messages: dict[str, Any]) -> None:
        for message in messages:
            self.messages.append({"id": message["id"], **self.answer(message)})

    def answer(self, message: dict[str, Any]) -> dict[str, Any]:
        world = self.world
        match message["method"]:
            case "stats":
                return {
                    "status": "ok", "jobs": world.jobs, "idle": world.idle,
                    "solved": len(world.pushed), "failed": 0,
                }  # fmt: skip
            case "get_work" if world.holder is None and world.jobs:
                world.holder = self
                puzzle = fields_from_puzzle(world.puzzle)
                return {"status": "work", "lease": 7, "start": 0, "count": 1, **puzzle}
            case "get_work":
                return {"status": "no_data"}
            case "heartbeat":
                world.beats += 1
                return {"status": "ok" if world.holder is self else "late"}
            case "push_result":
                world.pushed.append(message["nonce"])
                world.jobs = 0
                return {"status": "ok"}
        raise AssertionError(message)

    def receive(self, _seconds: float) -> dict[str, Any] | None:
        return self.messages.pop(0) if self.messages else None

    def close(self) -> None:
        if self.world.holder is self:
            self.world.holder = None


@pytest.mark.parametrize("puzzle", [PUZZLE, STAMP])
def test_a_job_is_bought_when_it_has_waited_and_kept_meanwhile(puzzle):
    world = World(puzzle)
    world.run(10)
    assert world.orders == 0
    world.run(21)
    assert world.orders == 1
    assert world.beats >= 4
    world.found = 5
    world.run(1)
    assert world.pushed == [5]
    assert world.buyer.delivered == 1


def test_nothing_is_bought_while_a_miner_is_idle():
    world = World()
    world.idle = 1
    world.run(30)
    assert world.orders == 0


@pytest.mark.parametrize("found", [5, Progress.FAILED, HttpError("away")])
def test_a_job_goes_back_when_the_purchase_fails(found):
    world = World(HARD)
    world.run(12)
    assert world.holder is not None
    world.found = found
    world.run(1)
    assert world.holder is None
    assert not world.pushed


def test_a_job_that_was_taken_back_is_not_bought_twice():
    world = World()
    world.run(12)
    assert world.holder is not None
    world.holder.messages.append({"stop": 7})
    world.holder = None
    world.run(2)
    assert world.orders == 1
    world.found = 5
    world.run(1)
    assert world.pushed == [5]


def test_what_was_bought_waits_for_its_job():
    world = World()
    world.run(12)
    assert world.holder is not None
    world.holder.messages.append({"stop": 7})
    world.holder, world.idle, world.found = None, 1, 5
    world.run(3)
    assert not world.pushed
    world.found, world.idle = Progress.FAILED, 0
    world.run(2)
    assert world.pushed == [5]
    assert world.orders == 1


def test_purchases_of_ended_jobs_are_forgotten():
    world = World()
    world.run(12)
    assert world.holder is not None
    world.holder.messages.append({"stop": 7})
    world.holder, world.jobs = None, 0
    world.run(int(KEPT_SECONDS) + 1)
    world.jobs = 1
    world.run(13 + int(PAUSE_SECONDS))
    assert world.orders == 2
