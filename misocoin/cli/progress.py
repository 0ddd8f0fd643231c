"""How far a long job has come: a bar on a terminal, a line now and then in a log."""

import logging
import sys
import time
from typing import TextIO

log = logging.getLogger(__name__)

LINE_INTERVAL = 10.0
"""Seconds between two lines in a log."""

BAR_INTERVAL = 0.1
"""Seconds between two drawings of the bar."""

BAR_WIDTH = 24


class Progress:
    """Shows one job on `stream`; nothing is shown for one that is over within a second.

    `unit` names what is counted in `count`, the position in `done` of `total` may be anything.
    """

    def __init__(self, label: str, unit: str, stream: TextIO | None = None) -> None:
        self._label = label
        self._unit = unit
        self._stream = sys.stderr if stream is None else stream
        self._is_terminal = self._stream.isatty()
        self._started = time.monotonic()
        self._last = self._started
        self._shown = False

    def update(self, count: int, done: float, total: float) -> None:
        """Tell that `count` units are done, at `done` of `total`."""
        now = time.monotonic()
        elapsed = now - self._started
        due = BAR_INTERVAL if self._is_terminal else LINE_INTERVAL
        if elapsed < 1.0 or now - self._last < due:
            return
        self._last = now
        share = min(done / total, 1.0) if total else 1.0
        rate = count / elapsed
        left = _duration(elapsed * (1 - share) / share) if share else "?"
        text = f"{count} {self._unit}, {rate:.0f} {self._unit}/s, {left} left"
        if self._is_terminal:
            filled = round(share * BAR_WIDTH)
            bar = "#" * filled + "-" * (BAR_WIDTH - filled)
            self._stream.write(f"\r\x1b[K{self._label} [{bar}] {share:4.0%} {text}")
            self._stream.flush()
            self._shown = True
        else:
            log.info("%s: %.0f%%, %s", self._label, share * 100, text)

    def close(self) -> None:
        """Take the bar off the terminal."""
        if self._shown:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
            self._shown = False


def _duration(seconds: float) -> str:
    """A short text for a time to wait: `45 s`, `3:20 min`, `2:05 h`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d} min"
    return f"{whole // 3600}:{whole % 3600 // 60:02d} h"
