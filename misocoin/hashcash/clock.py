"""The clock that tolls go by."""

import time


class Clock:
    """The time of day, which never jumps: set once, it goes on by itself."""

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()

    def __call__(self) -> float:
        """Seconds since 1970."""
        return time.monotonic() + self._offset
