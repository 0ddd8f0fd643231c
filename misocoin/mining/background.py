"""Searching in the background: threads that give way to everyone else's work."""

import contextlib
import os
import sys
import threading

from misocoin.pow.engine import Engine, SearchResult, StopFlag
from misocoin.pow.puzzles import Puzzle

NICENESS = 10
"""How far searching threads step back (`nice`): with all cores searching, a thread that wakes up
for a request runs after 0.3 to 3 ms instead of 6 (medians on 2 cores).
"""


class BackgroundEngine(Engine):
    """Another engine, whose threads step back before they search.

    Only Linux has priorities of threads; elsewhere nothing changes. A thread cannot step forward
    again, so it should do nothing but search.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._thread = threading.local()

    @property
    def name(self) -> str:
        """The other engine's name."""
        return self._engine.name

    def kernel(self, puzzle: Puzzle) -> str:
        """As of the other engine."""
        return self._engine.kernel(puzzle)

    def search(
        self, puzzle: Puzzle, start: int, count: int, stop: StopFlag | None = None
    ) -> SearchResult:
        """As `Engine.search`, by the other engine."""
        if not getattr(self._thread, "is_behind", False):
            self._thread.is_behind = True
            _step_back()
        return self._engine.search(puzzle, start, count, stop)

    def _scan(self, puzzle: Puzzle, start: int, count: int, stop: StopFlag) -> SearchResult:
        return self.search(puzzle, start, count, stop)


def _step_back() -> None:
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # a sandbox may forbid it
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
