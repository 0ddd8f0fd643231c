"""Searching the chain again for a wallet: one search at a time, watched, and stopped on request."""

import threading
from collections.abc import Callable
from typing import Protocol

from misocoin.errors import WalletError
from misocoin.wallet.following import Progress


class Searchable(Protocol):
    """Whose history is in the chain."""

    def rescan(
        self,
        start: int,
        progress: Progress,
        should_stop: Callable[[], bool],
        stop: int | None = None,
    ) -> int:
        """Read the chain again from `start` to `stop`, or its end; the last height read."""


class ChainSearch:
    """The search that runs, if one does."""

    def __init__(self) -> None:
        self._running = threading.Lock()
        self._stop = threading.Event()
        self.progress: tuple[int, int] | None = None
        """Height that was reached and the last one; None while there is no search."""

    def run(
        self,
        wallet: Searchable,
        start: int,
        last: int,
        progress: Progress,
        stop: int | None = None,
    ) -> int:
        """Search from height `start` to `stop`, or the end; returns the last height read.

        Raises WalletError while another search runs, or StoreError.
        """
        if not self._running.acquire(blocking=False):
            raise WalletError("the chain is being searched already")

        def note(height: int, of: int) -> None:
            self.progress = (height, of)
            progress(height, of)

        self._stop.clear()
        try:
            self.progress = (start, last)
            return wallet.rescan(start, note, self._stop.is_set, stop)
        finally:
            self.progress = None
            self._running.release()

    def stop(self) -> bool:
        """Have a running search end; tells whether there was one."""
        is_running = self.progress is not None
        self._stop.set()
        return is_running
