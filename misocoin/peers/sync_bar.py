"""The progress of a first sync, shown while it lasts."""

import logging
import time
from collections.abc import Callable
from contextlib import ExitStack

from misocoin.consensus.tree import HeaderNode
from misocoin.peers.ports import ProgressPort, Silence

log = logging.getLogger(__name__)

MANY_BLOCKS = 10
"""Missing blocks beyond which progress is shown."""

STILL_SECONDS = 20.0
"""How long no block may come before it is taken away: those that are missing may never come."""


class SyncBar:
    """Shows how many blocks are still missing; nothing while only a few are."""

    def __init__(
        self, tip: HeaderNode, progress: Callable[[str, str], ProgressPort], silence: Silence
    ) -> None:
        """`progress(label, unit)` makes what is shown, while `silence` keeps others quiet."""
        self._tip = tip
        self._progress = progress
        self._silence = silence
        self._shown: ProgressPort | None = None
        self._quiet = ExitStack()
        self._start = tip.height
        self._began = self._moved_at = time.monotonic()
        self._is_still = False

    def moved(self, tip: HeaderNode) -> None:
        """The chain has a new tip; in the middle of a reorg its own is far below."""
        self._tip = tip
        self._moved_at = time.monotonic()
        self._is_still = False

    def look(self, best: HeaderNode, *, is_syncing: bool) -> None:
        """Show how far the tip is from the best header, or take the bar away."""
        height = self._tip.height
        missing = best.height - height
        if self._shown is None:
            if not is_syncing or missing <= MANY_BLOCKS or self._is_still:
                return
            self._quiet.enter_context(self._silence())
            self._shown = self._progress("syncing", "blocks")
            self._start, self._began = height, time.monotonic()
            self._moved_at = self._began
        self._is_still = time.monotonic() - self._moved_at > STILL_SECONDS
        if missing <= 0 or self._is_still:
            self.hide()
            return
        done = height - self._start
        # The share is of what was missing, so that the time left is right after a restart, too.
        self._shown.update(done, done, best.height - self._start)

    def hide(self) -> None:
        """Take it away and say what was done."""
        if self._shown is None:
            return
        self._shown.close()
        self._shown = None
        self._quiet.close()
        if self._tip.height <= self._start:
            return  # a branch is being fetched that is not longer yet, or never came
        log.info(
            "synced %d blocks in %.2f s, up to %d, %s",
            self._tip.height - self._start,
            time.monotonic() - self._began,
            self._tip.height,
            self._tip.header.hash_hex,
        )
