"""What a gate has counted, as text that Prometheus reads (exposition format 0.0.4)."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from misocoin.hashcash.gate import Tally

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

COUNTERS: Final = (
    ("connections", "Connections that were accepted."),
    ("connections_refused", "Connections that were one too many."),
    ("connections_forbidden", "Connections from addresses that may not connect."),
    ("connections_greedy", "Connections closed for what waited on them when memory was full."),
    ("connections_idle", "Connections that were closed since nothing came."),
    ("dials_failed", "Times that the target could not be reached."),
    ("requests", "Requests that were stamped or let through."),
    ("requests_original", "Requests let through for a stamp of the original."),
    ("refused_here", "Requests that could not be stamped."),
    ("refused_invalid", "Lines that were no requests."),
    ("refused_missing", "Requests without a stamp."),
    ("refused_malformed", "Requests with something that is no stamp."),
    ("refused_wrong", "Stamps without the work, or of another request."),
    ("refused_cheap", "Stamps of too few bits."),
    ("refused_foreign", "Stamps for another service or salt."),
    ("refused_stale", "Stamps too old, or from the future."),
    ("refused_spent", "Stamps that had been counted before."),
    ("hashes", "Hashes that the minted stamps stand for."),
)
"""Every counter by its name in a `Tally`, and what it counts."""


def metrics_text(tally: Tally, gauges: Mapping[str, tuple[float, str]]) -> str:
    """Write the counters, and gauges by name with their value and meaning."""
    lines: list[str] = []
    for name, meaning in COUNTERS:
        full = f"misocoin_hashcash_{name}_total"
        lines += [f"# HELP {full} {meaning}", f"# TYPE {full} counter", f"{full} {tally[name]}"]
    for name, (value, meaning) in gauges.items():
        full = f"misocoin_hashcash_{name}"
        lines += [f"# HELP {full} {meaning}", f"# TYPE {full} gauge", f"{full} {value:g}"]
    return "\n".join(lines) + "\n"


def metrics_application(
    text: Callable[[], str],
) -> Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]:
    """Make a WSGI application that shows the text under `/metrics`."""

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        is_found = environ["PATH_INFO"] == "/metrics"
        body = (text() if is_found else "see /metrics\n").encode()
        fields = [("Content-Type", CONTENT_TYPE), ("Content-Length", str(len(body)))]
        start_response("200 OK" if is_found else "404 Not Found", fields)
        return [body]

    return application
