"""Sends payments again that left the mempool without being mined, in a thread of its own."""

import logging
import threading
from collections.abc import Callable

from misocoin.chain.events import Event, TipChanged, TransactionRemoved

log = logging.getLogger(__name__)

INTERVAL = 60.0
"""Seconds between two attempts where nothing else calls for one."""

LEAST_INTERVAL = 1.0
"""Seconds between two attempts at least: a node that syncs has a new tip all the time."""


class Resender:
    """Calls `resend` once a minute, and soon after a new block; `handle` is to be subscribed."""

    def __init__(
        self,
        resend: Callable[[], object],
        interval: float = INTERVAL,
        least_interval: float = LEAST_INTERVAL,
    ) -> None:
        self._resend = resend
        self._interval = interval
        self._least = least_interval
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="resender", daemon=True)

    def start(self) -> None:
        """Begin; the first attempt is made at once."""
        self._wake.set()
        self._thread.start()

    def handle(self, event: Event) -> None:
        """Have an attempt made where something happened that calls for one."""
        if isinstance(event, TipChanged | TransactionRemoved):
            self._wake.set()

    def stop(self) -> None:
        """End; an attempt that runs is waited for."""
        self._stop.set()
        self._wake.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.wait(self._interval)
            self._wake.clear()
            if self._stop.is_set():
                return
            try:
                self._resend()
            except Exception:
                log.exception("payments could not be sent again")
            self._stop.wait(self._least)
