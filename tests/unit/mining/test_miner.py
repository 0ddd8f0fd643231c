"""The background miner: what it searches, when it starts anew, how it is switched."""

import logging
import threading

import pytest

from misocoin.chain.events import BlockConnected, TipChanged, TransactionAdded
from misocoin.chain.template import TemplateOptions
from misocoin.errors import ConfigError, StoreError, ValidationError
from misocoin.mining import miner as miner_module
from misocoin.mining.miner import Miner, generate_blocks, make_template
from misocoin.pow.engine import SearchResult, StopFlag
from misocoin.pow.portable import PortableEngine
from misocoin.pow.puzzles import HeaderPuzzle, Puzzle
from misocoin.pow.slices import MAX_THREADS
from misocoin.primitives.block import header_from_bytes
from misocoin.primitives.transaction import OutPoint, Transaction
from tests.builders import KEY_SCRIPT, LATE, make_block
from tests.fakes.chain import FakeChain, spend
from tests.fakes.pool import pool_on
from tests.unit.mining.bench import (
    PATIENCE,
    Bench,
    ManualEngine,
    bench,
    miner_threads,
    searching_threads,
)


@pytest.fixture
def quick_fees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(miner_module, "FEE_INTERVAL", 0.02)
    monkeypatch.setattr(miner_module, "REFRESH_INTERVAL", 3_600.0)


@pytest.fixture
def quick_refresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(miner_module, "REFRESH_INTERVAL", 0.02)


# -- searching --------------------------------------------------------------------------------


def test_a_block_is_mined_and_the_next_begun() -> None:
    with bench() as b:
        b.miner.set_mining(True)
        header = header_from_bytes(b.searched(1).header)
        assert header.prev_hash == b.chain.params.genesis.hash
        b.engine.solve()
        assert b.tip_moved.acquire(timeout=PATIENCE)
        assert header_from_bytes(b.searched(2).header).prev_hash == b.chain.tip.hash
        assert b.chain.height == 1
        (coinbase,) = b.chain.get_block(b.chain.tip).transactions
        assert coinbase.vout[0].script_pubkey == KEY_SCRIPT


@pytest.mark.parametrize(("index", "version"), [(0, 0x20000000), (1, 0x20002000), (15, 0x2001E000)])
def test_a_block_of_a_rolled_version_is_mined(index: int, version: int) -> None:
    """BIP320 leaves the bits of the mask 0x1fffe000 to miners; the top three (BIP9) stay 001."""

    class Picky(PortableEngine):
        """Finds nothing but blocks of one version."""

        def _scan(self, puzzle: Puzzle, start: int, count: int, stop: StopFlag) -> SearchResult:
            assert isinstance(puzzle, HeaderPuzzle)
            mine = range(index, puzzle.space, puzzle.versions)
            nonce = next(n for n in mine if n >= start and puzzle.is_solution(n))
            return SearchResult(nonce, nonce - start + 1)

    with bench(engine=Picky()) as b:
        b.miner.set_mining(True)
        for _ in range(3):
            assert b.tip_moved.acquire(timeout=PATIENCE)
        b.miner.set_mining(False)
        assert b.miner.info().rolled_versions == 16
        for height in (1, 2, 3):
            assert b.chain.get_block(b.chain.at_height(height)).header.version == version


def test_the_count_is_right_when_the_block_is_seen() -> None:
    with bench() as b:
        counts: list[int] = []
        b.events.subscribe(
            lambda event: (
                counts.append(b.miner.info().blocks_found)
                if isinstance(event, BlockConnected)
                else None
            )
        )
        b.miner.set_mining(True)
        for height in (1, 2):
            b.searched(height)
            b.engine.solve()
            assert (
                b.chain.wait_for_tip(b.chain.at_height(height - 1).hash, PATIENCE).height == height
            )
            assert b.miner.info().blocks_found == height
        assert counts == [1, 2]


def test_a_new_tip_is_built_on_at_once() -> None:
    with bench() as b:
        b.miner.set_mining(True)
        old = b.engine.wait_for(1)
        b.add_block()
        assert header_from_bytes(b.searched(2).header).prev_hash == b.chain.tip.hash
        assert old.stop.is_set()
        assert b.miner.info().blocks_found == 0


def test_no_two_searches_are_alike() -> None:
    with bench() as b:
        b.miner.set_mining(True)
        b.searched(1)
        b.miner.set_mining(False)
        b.miner.set_mining(True)
        b.searched(2)
    roots = {header_from_bytes(s.puzzle.header).merkle_root for s in b.engine.searches}
    assert len(roots) == 2


@pytest.mark.usefixtures("quick_fees")
def test_better_fees_make_a_new_template() -> None:
    chain = FakeChain()
    chain.mine(count=101)
    pool = pool_on(chain)
    with bench() as b:
        b.miner.set_mining(True)
        before = b.searched(1)
        tx = spend([chain.spendable()[0]], [10_000])
        b.pool.held = pool.accept(tx, chain.now).added
        b.events.publish(TransactionAdded(tx, b.pool.held[0].fee))
        after = b.searched(2)
        assert (
            header_from_bytes(after.header).prev_hash == header_from_bytes(before.header).prev_hash
        )
        assert after.header[36:68] != before.header[36:68]


def test_fees_wait_until_the_template_is_a_second_old(monkeypatch: pytest.MonkeyPatch) -> None:
    assert miner_module.FEE_INTERVAL == 1.0
    monkeypatch.setattr(miner_module, "FEE_INTERVAL", 0.3)
    monkeypatch.setattr(miner_module, "REFRESH_INTERVAL", 3_600.0)
    with bench() as b:
        began = miner_module.time.monotonic()
        b.miner.set_mining(True)
        b.searched(1)
        with b.chain.lock:  # many transactions make one new template
            for _ in range(5):
                b.events.publish(TransactionAdded(spend([OutPoint(bytes(36))], [1]), 1))
        b.searched(2)
        assert miner_module.time.monotonic() - began > 0.2
    assert len(b.engine.searches) == 2


@pytest.mark.usefixtures("quick_refresh")
def test_an_old_template_is_made_anew() -> None:
    with bench() as b:
        b.miner.set_mining(True)
        b.searched(3)


@pytest.mark.usefixtures("quick_refresh")
def test_a_clock_behind_the_chain_is_waited_for() -> None:
    now = [LATE]
    with bench(now=lambda: now[0]) as b:
        for turn in range(12):
            b.chain.submit_block(make_block(b.chain.tip, b.chain.params, time=LATE + 7_000 + turn))
        now[0] = LATE - 1_000
        b.miner.set_mining(True)
        for _ in range(3):
            assert b.pool.asked.acquire(timeout=PATIENCE)
        assert b.engine.searches == []
        now[0] = LATE
        header = header_from_bytes(b.searched(1).header)
        assert header.time == b.chain.tip.median_time_past + 1


# -- blocks that are refused ------------------------------------------------------------------


@pytest.mark.parametrize("reason", [ValidationError("bad-luck"), StoreError("disk full")])
def test_a_refused_block_is_told_and_mining_goes_on(
    reason: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    with bench(reason) as b:
        b.miner.set_mining(True)
        b.searched(1)
        b.engine.solve()
        assert b.port.submitted.acquire(timeout=PATIENCE)
        b.add_block()  # the next tip is tried again
        b.searched(2)
        b.engine.solve()
        assert b.chain.wait_for_tip(b.chain.at_height(1).hash, PATIENCE).height == 2
        assert b.miner.info().blocks_found == 1
        assert b.miner.info().is_mining
    assert caplog.text.count("was refused") == 1


@pytest.mark.usefixtures("quick_refresh")
def test_on_the_same_tip_a_refused_block_is_tried_again_with_the_next_tick() -> None:
    with bench(ValidationError("bad-luck"), ValidationError("bad-luck")) as b:
        b.miner.set_mining(True)
        for _ in range(3):
            b.engine.solve()
            assert b.port.submitted.acquire(timeout=PATIENCE)
        assert b.chain.wait_for_tip(b.chain.params.genesis.hash, PATIENCE).height == 1


def test_a_refused_block_is_not_mined_over_and_over() -> None:
    refused = [ValidationError("bad-luck")] * 50
    with bench(*refused, engine=PortableEngine()) as b:
        b.miner.set_mining(True)
        assert b.port.submitted.acquire(timeout=PATIENCE)
        assert not b.port.submitted.acquire(timeout=0.2)
        b.add_block()
        assert b.port.submitted.acquire(timeout=PATIENCE)
        assert not b.port.submitted.acquire(timeout=0.2)
        assert len(b.port.reasons) == 48


def test_a_block_that_came_too_late_does_not_count(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with bench() as b:

        class Late(PortableEngine):
            """Has a rival's block arrive just before it answers."""

            def _scan(self, puzzle: Puzzle, start: int, count: int, stop: StopFlag) -> SearchResult:
                result = super()._scan(puzzle, start, count, StopFlag())
                if b.chain.height == 0:
                    b.add_block()
                return result

        late = Miner(b.port, b.pool, Late(), lambda: KEY_SCRIPT, TemplateOptions())
        b.events.subscribe(late.handle)
        try:
            late.set_mining(True)
            assert b.port.submitted.acquire(timeout=PATIENCE)
            assert b.port.submitted.acquire(timeout=PATIENCE)
            with b.chain.lock:
                assert late.info().blocks_found == b.chain.height - 1
        finally:
            late.close()
    assert "came too late" in caplog.text


# -- switching --------------------------------------------------------------------------------


def test_off_until_switched_on() -> None:
    with bench() as b:
        assert not b.miner.info().is_mining
        b.add_block()
        b.miner.set_mining(False)
        assert b.engine.searches == []
        assert miner_threads() == []


def test_switching_off_stops_the_search() -> None:
    with bench() as b:
        b.miner.set_mining(True)
        search = b.engine.wait_for(1)
        b.miner.set_mining(False)
        assert search.stop.is_set()
        assert not b.miner.info().is_mining
        assert b.miner.info().hashes_per_second == 0
        b.add_block()
        assert len(b.engine.searches) == 1


def test_switching_on_twice_changes_nothing() -> None:
    with bench() as b:
        b.miner.set_mining(True)
        search = b.engine.wait_for(1)
        b.miner.set_mining(True)
        b.miner.set_mining(True, threads=1)
        assert not search.stop.is_set()


def test_another_number_of_threads() -> None:
    with bench() as b:
        b.miner.set_mining(True, threads=3)
        b.engine.wait_for(1)
        assert b.miner.info().threads == 3
        assert len(searching_threads()) == 3
        b.miner.set_mining(True, threads=1)
        b.engine.wait_for(2)
        assert len(searching_threads()) == 1
        b.miner.set_mining(False, threads=2)
        assert (b.miner.info().threads, b.miner.info().is_mining) == (2, False)
        b.miner.set_mining(True)
        assert b.miner.info().threads == 2


@pytest.mark.parametrize("threads", [0, -1, MAX_THREADS + 1])
def test_numbers_of_threads_that_cannot_be(threads: int) -> None:
    with bench() as b:
        with pytest.raises(ConfigError, match="1 to 1024"):
            Miner(b.port, b.pool, b.engine, lambda: KEY_SCRIPT, TemplateOptions(), threads)
        b.miner.set_mining(True)
        search = b.engine.wait_for(1)
        with pytest.raises(ConfigError, match=f"{threads} threads"):
            b.miner.set_mining(True, threads=threads)
        assert not search.stop.is_set()
        assert b.miner.info().threads == 1


def test_a_search_that_failed_can_be_started_again(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(ManualEngine):
        is_broken = True

        def _scan(self, puzzle: Puzzle, start: int, count: int, stop: StopFlag) -> SearchResult:
            if self.is_broken:
                self.is_broken = False
                raise RuntimeError("a bug")
            return super()._scan(puzzle, start, count, stop)

    engine = Broken()
    with bench(engine=engine) as b:
        b.miner.set_mining(True)
        for thread in searching_threads():
            thread.join(PATIENCE)
        assert not b.miner.info().is_mining
        assert "has ended" in caplog.text
        b.miner.set_mining(True)
        engine.wait_for(1)
        assert b.miner.info().is_mining


@pytest.mark.usefixtures("quick_fees", "quick_refresh")
def test_the_ticker_sleeps_while_nothing_is_mined(monkeypatch: pytest.MonkeyPatch) -> None:
    with bench() as b:
        b.miner.set_mining(True)
        b.engine.wait_for(1)
        b.miner.set_mining(False)
        asked: list[float] = []
        real = miner_module.time.monotonic

        class Clock:
            @staticmethod
            def monotonic() -> float:
                if threading.current_thread().name == "miner-ticker":
                    asked.append(real())
                return real()

        monkeypatch.setattr(miner_module, "time", Clock)
        b.events.publish(TransactionAdded(spend([OutPoint(bytes(36))], [1]), 1))
        b.miner.close()
        assert asked == []


# -- the end ----------------------------------------------------------------------------------


def test_close_ends_every_thread() -> None:
    with bench(threads=2) as b:
        b.miner.set_mining(True)
        b.engine.wait_for(1)
        b.miner.close()
        assert miner_threads() == []
        b.miner.close()
        b.miner.set_mining(True)
        assert not b.miner.info().is_mining
        assert miner_threads() == []
        b.add_block()


def test_close_without_a_start() -> None:
    with bench() as b:
        b.miner.close()


def test_close_while_a_block_is_submitted() -> None:
    with bench(engine=PortableEngine(), threads=2) as b:
        b.miner.set_mining(True)
        closer = threading.Thread(target=b.miner.close)
        with b.chain.lock:  # whoever has found a block waits for us now
            closer.start()
        closer.join(PATIENCE)
        assert not closer.is_alive()
        assert miner_threads() == []


def test_switching_from_many_threads_at_once() -> None:
    with bench(engine=PortableEngine()) as b:

        def switch(number: int) -> None:
            for turn in range(10):
                b.miner.set_mining((number + turn) % 2 == 0, threads=1 + turn % 2)
                b.miner.info()

        threads = [threading.Thread(target=switch, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        assert not any(thread.is_alive() for thread in threads)
    assert miner_threads() == []


# -- information ------------------------------------------------------------------------------


def test_info_before_anything() -> None:
    with bench() as b:
        info = b.miner.info()
        assert info == (False, 1, "manual", "by hand", 16, 0.0, None, 0)


def test_info_while_mining() -> None:
    with bench(engine=PortableEngine()) as b:
        b.miner.set_mining(True)
        for _ in range(5):
            assert b.tip_moved.acquire(timeout=PATIENCE)
        info = b.miner.info()
        assert info.is_mining
        assert info.engine == info.kernel == "portable"
        assert info.blocks_found >= 5
        assert info.hashes_per_second > 0
        assert info.expected_seconds == pytest.approx(2 / info.hashes_per_second, rel=1e-6)


# -- blocks at once ---------------------------------------------------------------------------


def generate(b: Bench, count: int, stop: StopFlag | None = None) -> list[bytes]:
    return generate_blocks(
        b.port, b.pool, PortableEngine(), KEY_SCRIPT, count, TemplateOptions(), stop
    )


def test_generate() -> None:
    with bench() as b:
        hashes = generate(b, 5)
        assert hashes == [b.chain.at_height(height).hash for height in range(1, 6)]
        assert generate(b, 0) == []
        assert b.chain.height == 5


def test_generate_ends_when_told() -> None:
    stop = StopFlag()
    with bench() as b:
        b.events.subscribe(
            lambda event: (
                stop.set() if isinstance(event, TipChanged) and event.new.height == 3 else None
            )
        )
        assert len(generate(b, 1_000, stop)) == 3
        assert generate(b, 5, stop) == []
        assert b.chain.height == 3


def test_generate_tells_of_a_refused_block() -> None:
    with bench(ValidationError("bad-luck")) as b, pytest.raises(ValidationError, match="bad-luck"):
        generate(b, 3)


def test_generate_counts_blocks_of_the_chain_alone() -> None:
    with bench() as b:

        class Rivalled(PortableEngine):
            """At first a rival is faster."""

            def _scan(self, puzzle: Puzzle, start: int, count: int, stop: StopFlag) -> SearchResult:
                if b.chain.height == 0:
                    b.add_block()
                return super()._scan(puzzle, start, count, stop)

        hashes = generate_blocks(b.port, b.pool, Rivalled(), KEY_SCRIPT, 2, TemplateOptions())
        assert hashes == [b.chain.at_height(height).hash for height in (2, 3)]


def test_a_template_holds_what_the_mempool_offers() -> None:
    chain = FakeChain()
    chain.mine(count=102)
    pool = pool_on(chain)
    txs: list[Transaction] = []
    with bench() as b:
        for point in chain.spendable()[:2]:
            txs.append(spend([point], [10_000]))
            b.pool.held += pool.accept(txs[-1], chain.now).added
        template = make_template(b.port, b.pool, KEY_SCRIPT, TemplateOptions())
        assert {item.tx.txid for item in template.transactions} == {tx.txid for tx in txs}
        assert template.prev_hash == b.chain.tip.hash
