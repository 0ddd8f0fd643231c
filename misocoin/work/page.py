"""The status page: how things stand, and the last hour as charts."""

from collections.abc import Callable
from typing import Any

from misocoin.face.charts import Chart, Line, Point, si_text
from misocoin.face.pages import make_environment
from misocoin.face.words import count_text, duration_text
from misocoin.work.figures import Sample, Snapshot


class StatusPage:
    """Writes the page."""

    def __init__(self) -> None:
        environment = make_environment("misocoin.work", "Misocoin work", (("/", "Status"),))
        self._template = environment.get_template("status.html")

    def html(self, snapshot: Snapshot) -> str:
        """Return the page as of a snapshot."""
        return self._template.render(
            here="/",
            now=snapshot,
            figures=_figures(snapshot),
            charts=_charts(snapshot) if len(snapshot.history) > 1 else (),
        )


def status_view(snapshot: Snapshot) -> dict[str, Any]:
    """What programs are told: hashes a second, counts, seconds since the start, and the miners."""
    gauges = snapshot.gauges
    return {
        "hash_rate": snapshot.rate,
        "miners": gauges.miners,
        "jobs": gauges.jobs,
        "clients": gauges.clients,
        "leases": gauges.leases,
        "solved": snapshot.solved,
        "uptime": snapshot.uptime,
        "workers": [worker._asdict() for worker in snapshot.workers],
    }


def _figures(snapshot: Snapshot) -> tuple[tuple[str, str], ...]:
    gauges = snapshot.gauges
    mean = duration_text(snapshot.latency_sum / snapshot.solved) if snapshot.solved else "–"
    return (
        ("Hash rate", si_text(snapshot.rate, "H/s")),
        ("Miners", count_text(gauges.miners)),
        ("Queue", count_text(gauges.jobs)),
        ("Clients with jobs", count_text(gauges.clients)),
        ("Jobs solved", count_text(snapshot.solved)),
        ("Mean time of a job", mean),
        ("Hashes in all", si_text(float(snapshot.hashes))),
        ("Wrong results", count_text(snapshot.wrong)),
        ("Miners gone silent", count_text(snapshot.expired)),
        ("Banned", count_text(gauges.banned)),
        ("Connections", count_text(gauges.connections)),
        ("Ranges in hand", count_text(gauges.leases)),
    )


def _charts(snapshot: Snapshot) -> tuple[Chart, ...]:
    return tuple(
        Chart(
            title,
            f"at the end {si_text(points[-1].y, unit)}",
            "minutes ago",
            unit or title.lower(),
            (Line(title, points),),
            x_text=lambda minutes: f"{-minutes or 0:g}",
            y_text=si_text,
            y_step=1,
        )
        for title, unit, points in (
            ("Hash rate", "H/s", _line(snapshot, lambda sample: sample.rate)),
            ("Queue", "", _line(snapshot, lambda sample: float(sample.queue))),
            ("Miners", "", _line(snapshot, lambda sample: float(sample.miners))),
        )
    )


def _line(snapshot: Snapshot, value: Callable[[Sample], float]) -> tuple[Point, ...]:
    return tuple(
        Point((sample.time - snapshot.time) / 60, value(sample)) for sample in snapshot.history
    )
