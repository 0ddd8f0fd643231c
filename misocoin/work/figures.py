"""What the service counts about itself."""

from bisect import bisect_left
from collections import deque
from dataclasses import dataclass, field
from typing import Final, NamedTuple

LATENCY_BOUNDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 600.0)
"""Upper bounds, in seconds, of the classes that jobs are counted in by how long they took."""

SAMPLE_SECONDS: Final = 5.0
"""How far samples of the history are apart."""

MAX_SAMPLES: Final = 720
"""An hour of them."""

MOST_WORKERS: Final = 100
"""Miners that are listed."""


class Sample(NamedTuple):
    """One moment of the history."""

    time: float
    """Unix time."""
    rate: float
    """Hashes per second since the sample before."""
    queue: int
    """Open jobs."""
    miners: int
    """Connected miners."""


class Gauges(NamedTuple):
    """How things stand in one moment."""

    jobs: int
    """Open jobs."""
    clients: int
    """Clients with open jobs."""
    connections: int
    miners: int
    idle: int
    """Requests for work that wait."""
    leases: int
    """Ranges in miners' hands."""
    banned: int


class Worker(NamedTuple):
    """A miner that is connected."""

    name: str
    """Its token's name, or its address."""
    connection: int
    """Which of those of that name it is."""
    rate: float
    """Nonces per second that it tries in the ranges in its hands; 0 while that is unknown."""
    leases: int
    """Ranges in its hands."""
    searched: int
    """Ranges that it has searched in vain."""
    solved: int
    """Jobs that it has solved."""


class Snapshot(NamedTuple):
    """Everything that is shown, as of one moment; nobody changes it any more."""

    time: float
    """Unix time."""
    uptime: float
    """Seconds."""
    gauges: Gauges
    accepted: int
    solved: int
    failed: tuple[tuple[str, int], ...]
    """How many jobs ended without a nonce, by the error's code."""
    wrong: int
    expired: int
    hashes: int
    latencies: tuple[int, ...]
    """Jobs by how long they took: for each bound of `LATENCY_BOUNDS`, and beyond the last."""
    latency_sum: float
    rate: float
    history: tuple[Sample, ...]
    workers: tuple[Worker, ...]
    """The fastest MOST_WORKERS of those connected."""


@dataclass(slots=True)
class Figures:
    """Counters since the start."""

    accepted: int = 0
    """Jobs taken in."""
    solved: int = 0
    """Jobs that ended with a nonce."""
    failed: dict[str, int] = field(default_factory=dict)
    """Jobs that did not, by the error's code."""
    wrong: int = 0
    """Results that were none."""
    expired: int = 0
    """Leases whose miners went silent."""
    hashes: int = 0
    """Nonces tried, as far as is known."""
    latencies: list[int] = field(default_factory=lambda: [0] * (len(LATENCY_BOUNDS) + 1))
    latency_sum: float = 0.0
    history: deque[Sample] = field(default_factory=lambda: deque(maxlen=MAX_SAMPLES))
    _hashes_before: int = 0
    _sampled: float | None = None

    def solve(self, seconds: float) -> None:
        """Count a job that was solved after so long."""
        self.solved += 1
        self.latencies[bisect_left(LATENCY_BOUNDS, seconds)] += 1
        self.latency_sum += seconds

    def fail(self, code: str) -> None:
        """Count a job that ended without a nonce."""
        self.failed[code] = self.failed.get(code, 0) + 1

    def sample(self, gauges: Gauges, now: float, time: float) -> None:
        """Add to the history if it is time; `now` is monotonic, `time` unix."""
        if self._sampled is None:
            self._sampled = now
        elif (elapsed := now - self._sampled) >= SAMPLE_SECONDS:
            rate = (self.hashes - self._hashes_before) / elapsed
            self.history.append(Sample(time, rate, gauges.jobs, gauges.miners))
            self._hashes_before, self._sampled = self.hashes, now

    @property
    def rate(self) -> float:
        """Hashes per second over the last half minute."""
        recent = tuple(self.history)[-6:]
        return sum(sample.rate for sample in recent) / len(recent) if recent else 0.0

    def snapshot(
        self, gauges: Gauges, time: float, uptime: float, workers: tuple[Worker, ...] = ()
    ) -> Snapshot:
        """Return all of it as a value."""
        return Snapshot(
            time,
            uptime,
            gauges,
            self.accepted,
            self.solved,
            tuple(sorted(self.failed.items())),
            self.wrong,
            self.expired,
            self.hashes,
            tuple(self.latencies),
            self.latency_sum,
            self.rate,
            tuple(self.history),
            workers,
        )
