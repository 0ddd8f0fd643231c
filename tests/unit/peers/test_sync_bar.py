"""When the progress of a sync is shown, and when it is taken away."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from misocoin.consensus.tree import HeaderNode
from misocoin.peers import sync_bar
from misocoin.peers.sync_bar import SyncBar
from tests.simulation.chain import FakeChain, make_block


class Shown:
    """A progress that notes what it is told."""

    def __init__(self) -> None:
        self.updates: list[tuple[int, float, float]] = []
        self.is_closed = False

    def update(self, count: int, done: float, total: float) -> None:
        self.updates.append((count, done, total))

    def close(self) -> None:
        self.is_closed = True


class Rig:
    """A bar over a chain of 100 headers, with its time set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0
        chain = FakeChain()
        for number in range(100):
            chain.submit(make_block(chain.tip, b"%d" % number))
        self.best = chain.tip
        self.shown: list[Shown] = []
        self.silent = 0
        self.bar = SyncBar(self.node(0), self._show, self._silence)

    def node(self, height: int) -> HeaderNode:
        return self.best.ancestor(height)

    def _show(self, label: str, unit: str) -> Shown:
        assert (label, unit) == ("syncing", "blocks")
        self.shown.append(Shown())
        return self.shown[-1]

    @contextmanager
    def _silence(self) -> Iterator[None]:
        self.silent += 1
        yield
        self.silent -= 1

    def look(self, *, is_syncing: bool = True) -> None:
        self.bar.look(self.best, is_syncing=is_syncing)


@pytest.fixture
def rig(monkeypatch: pytest.MonkeyPatch) -> Rig:
    made = Rig()
    monkeypatch.setattr(sync_bar.time, "monotonic", lambda: made.now)
    return made


def test_a_sync_from_start_to_end(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    rig.bar.moved(rig.node(20))
    rig.look()
    assert rig.silent == 1
    rig.now += 3
    rig.bar.moved(rig.node(60))
    rig.look()
    rig.bar.moved(rig.node(95))
    rig.look(is_syncing=False)  # nearly there: it is shown to the end
    rig.bar.moved(rig.best)
    rig.look(is_syncing=False)
    (shown,) = rig.shown
    assert shown.updates == [(0, 0, 80), (40, 40, 80), (75, 75, 80)]
    assert shown.is_closed
    assert rig.silent == 0
    assert caplog.messages == [f"synced 80 blocks in 3.00 s, up to 100, {rig.best.header.hash_hex}"]


def test_a_few_blocks_or_headers_nobody_has_are_not_shown(rig: Rig) -> None:
    rig.look(is_syncing=False)
    rig.bar.moved(rig.node(90))
    rig.look()
    rig.bar.hide()
    assert rig.shown == []


def test_blocks_that_never_come_do_not_keep_others_quiet(rig: Rig) -> None:
    rig.look()
    rig.now += 21
    rig.look()
    assert rig.shown[0].is_closed
    assert rig.silent == 0
    rig.look()
    assert len(rig.shown) == 1
    rig.bar.moved(rig.node(1))  # they do come
    rig.look()
    assert len(rig.shown) == 2
    assert rig.silent == 1


def test_where_no_block_came_none_is_told_of(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    """A branch that is not longer yet, or blocks that somebody keeps back."""
    caplog.set_level(logging.INFO)
    rig.look()
    assert rig.shown
    rig.bar.hide()
    assert rig.shown[0].is_closed
    assert "synced" not in caplog.text
