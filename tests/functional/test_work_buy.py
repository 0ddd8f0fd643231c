"""A work service without miners of its own has its jobs searched by sellers of the market."""

import random
from hashlib import sha1

import pytest

from misocoin.pow.puzzles import BASE64_DIGITS, HashcashPuzzle, StampDigest
from misocoin.work.client import WorkClient
from tests.functional.framework.market import MarketProcess
from tests.functional.framework.market_client import ClientProcess, WorkerProcess
from tests.functional.framework.work import (
    Program,
    WorkService,
    random_hash,
    target_for,
    trial_value,
)

BITMESSAGE, HASHCASH = (f"net.misocoin/pow/{kind}/0" for kind in ("bitmessage", "hashcash"))


@pytest.fixture
def closing():
    """What is put here is closed at the end, the last first."""
    things = []
    yield lambda thing: things.append(thing) or thing
    for thing in reversed(things):
        thing.close()


def test_jobs_that_wait_are_bought(tmp_path, closing):
    market = closing(MarketProcess(tmp_path / "market")).start()
    buyer, seller = (
        closing(ClientProcess(tmp_path / name, market.url)).start() for name in ("b", "s")
    )
    closing(WorkerProcess(tmp_path / "w", seller, "bitmessage", "hashcash"))
    for article in (BITMESSAGE, HASHCASH):
        seller.permit("SELL", article, "MISO 0")
    service = closing(WorkService(tmp_path))
    words = ("buy", f"localhost:{service.port}", f"-client=localhost:{buyer.port}")
    bridge = closing(Program(tmp_path, *words, "-price=MISO 0", "-after=1"))

    initial_hash, target = random_hash(random.Random(8)), target_for(10_000)
    answer = WorkClient("localhost", service.port, seconds=60, fallback=False).do_pow(
        initial_hash, target
    )
    assert trial_value(answer.nonce, initial_hash) == answer.trial_value <= target
    bridge.log.wait_for(r"purchase \w+: delivered")

    puzzle = HashcashPuzzle(b"1:12:x::r:", b"", 10, 12, StampDigest.SHA1, BASE64_DIGITS)
    nonce = WorkClient("localhost", service.port, seconds=60, fallback=False).solve(puzzle)
    assert sha1(puzzle.message(nonce)).hexdigest().startswith("000")
    bought = {activity["Info"]["Article"] for activity in buyer.json("/activities")
              if activity["Info"]["TxId"]}  # fmt: skip
    assert bought == {BITMESSAGE, HASHCASH}
    bridge.stop()
