"""The miner's hash rate over time: sampled in memory, and drawn."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from misocoin.face.charts import Chart, Line, Point, si_text

SAMPLE_SECONDS: Final = 10.0
"""Between two samples."""

MOST_SAMPLES: Final = 2_160
"""Six hours of them."""


class RateSample(NamedTuple):
    """One moment."""

    time: float
    """Unix time."""
    rate: float
    """Hashes a second."""


class RateSampler:
    """Asks for the rate every SAMPLE_SECONDS, between `start` and `stop`."""

    def __init__(self, rate: Callable[[], float], now: Callable[[], float]) -> None:
        """`now` is unix time."""
        self._rate = rate
        self._now = now
        self._samples: deque[RateSample] = deque(maxlen=MOST_SAMPLES)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rate-sampler", daemon=True)

    def sample(self) -> None:
        """Take one now."""
        self._samples.append(RateSample(self._now(), self._rate()))

    def samples(self) -> tuple[RateSample, ...]:
        """Those there are, the oldest first."""
        return tuple(self._samples.copy())

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.sample()
            self._stopping.wait(SAMPLE_SECONDS)


def rate_chart(samples: Sequence[RateSample], now: float) -> Chart:
    """The rate by minutes ago."""
    points = tuple([Point((each.time - now) / 60, each.rate) for each in samples])
    best = max([each.rate for each in samples], default=0.0)
    return Chart(
        "Hash rate of this node's miner",
        f"Its most was {si_text(best, 'H/s')}.",
        "minutes ago",
        "hashes a second",
        (Line("hash rate", points),),
        x_text=lambda minutes: f"{-minutes or 0:g}",
        y_text=lambda rate: si_text(rate, "H/s"),
    )
