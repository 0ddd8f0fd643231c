"""The service's figures in Prometheus' text format, version 0.0.4."""

from collections.abc import Iterator
from typing import Final

from misocoin.work.figures import LATENCY_BOUNDS, Snapshot

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
"""What a scraper is told that it gets."""

_PREFIX: Final = "misocoin_work_"


def metrics_text(snapshot: Snapshot) -> str:
    """Write a snapshot as Prometheus reads it."""
    return "".join(_lines(snapshot))


def _lines(snapshot: Snapshot) -> Iterator[str]:
    gauges = snapshot.gauges
    for name, what, value in (
        ("jobs", "Open jobs known to this server.", gauges.jobs),
        ("clients", "Clients with open jobs.", gauges.clients),
        ("connections", "Open connections.", gauges.connections),
        ("miners", "Connections that have asked for work.", gauges.miners),
        ("idle_requests", "Requests for work that wait.", gauges.idle),
        ("leases", "Ranges of nonces in miners' hands.", gauges.leases),
        ("banned", "Addresses that are banned.", gauges.banned),
        ("hash_rate", "Hashes per second over the last half minute.", snapshot.rate),
        ("uptime_seconds", "Seconds since the start.", snapshot.uptime),
    ):
        yield from _head(name, what, "gauge")
        yield f"{_PREFIX}{name} {_number(value)}\n"
    for name, what, value in (
        ("jobs_accepted_total", "Jobs taken in.", snapshot.accepted),
        ("jobs_solved_total", "Jobs that ended with a nonce.", snapshot.solved),
        ("wrong_results_total", "Results that did not win.", snapshot.wrong),
        ("leases_expired_total", "Leases whose miners went silent.", snapshot.expired),
        ("hashes_total", "Nonces tried, as far as is known.", snapshot.hashes),
    ):
        yield from _head(name, what, "counter")
        yield f"{_PREFIX}{name} {_number(value)}\n"
    yield from _head("jobs_failed_total", "Jobs that ended without a nonce.", "counter")
    for code, count in snapshot.failed:
        yield f'{_PREFIX}jobs_failed_total{{code="{code}"}} {count}\n'
    yield from _histogram(snapshot)


def _histogram(snapshot: Snapshot) -> Iterator[str]:
    name = "job_seconds"
    yield from _head(name, "From a job's arrival to its nonce.", "histogram")
    below = 0
    for bound, count in zip((*LATENCY_BOUNDS, None), snapshot.latencies, strict=True):
        below += count
        limit = "+Inf" if bound is None else _number(bound)
        yield f'{_PREFIX}{name}_bucket{{le="{limit}"}} {below}\n'
    yield f"{_PREFIX}{name}_sum {_number(snapshot.latency_sum)}\n"
    yield f"{_PREFIX}{name}_count {below}\n"


def _head(name: str, what: str, kind: str) -> Iterator[str]:
    yield f"# HELP {_PREFIX}{name} {what}\n# TYPE {_PREFIX}{name} {kind}\n"


def _number(value: float) -> str:
    return f"{value:.6f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
