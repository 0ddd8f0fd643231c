"""Network time: the machine's clock, or a time that a test has set."""

import time
from collections.abc import Callable

MAX_MOCK_TIME = 9_223_372_036
"""Unix time that a clock can be stopped at: whole seconds in the most nanoseconds of 64 bits, as
in Core."""


class NetworkClock:
    """Answers the time in unix seconds when called."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._mock: int | None = None

    def __call__(self) -> int:
        """The time."""
        mock = self._mock
        return int(self._clock()) if mock is None else mock

    def set_mock(self, mock: int | None) -> None:
        """Stop at a time; None goes on with the machine's."""
        self._mock = mock
