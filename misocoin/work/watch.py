"""The HTTP side: the status page on `/`, its JSON, and Prometheus' figures on `/metrics`."""

from collections.abc import Callable, Iterable
from typing import Any, Final

import orjson

from misocoin.face.pages import SECURITY_HEADERS, STATIC_PATH, static_files
from misocoin.http.server import Application
from misocoin.work.figures import Snapshot
from misocoin.work.metrics import CONTENT_TYPE, metrics_text
from misocoin.work.page import StatusPage, status_view

STATUS_PATH: Final = "/status.json"
"""Where programs find what the page shows."""

_TEXT = "text/plain; charset=utf-8"


def watch_application(snapshot: Callable[[], Snapshot]) -> Application:
    """Make the WSGI application; `snapshot` may be called from any thread."""
    page = StatusPage()
    files = static_files("misocoin.face")

    def content(path: str) -> tuple[str, str, bytes]:
        """Status, content type and body for a path."""
        if path in ("", "/"):
            return "200 OK", "text/html; charset=utf-8", page.html(snapshot()).encode()
        if path == STATUS_PATH:
            return "200 OK", "application/json", orjson.dumps(status_view(snapshot()))
        if path == "/metrics":
            return "200 OK", CONTENT_TYPE, metrics_text(snapshot()).encode()
        file = files.get(path.removeprefix(STATIC_PATH)) if path.startswith(STATIC_PATH) else None
        if file is not None:
            return "200 OK", file.content_type, file.data
        return "404 Not Found", _TEXT, b"there are /, /status.json and /metrics\n"

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], environ.get("PATH_INFO", "")
        if method in ("GET", "HEAD"):
            status, kind, body = content(path)
        else:
            status, kind, body = "405 Method Not Allowed", _TEXT, b"only GET and HEAD\n"
        lasting = path.startswith(STATIC_PATH) and status.startswith("200")
        headers = {
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            "Cache-Control": "max-age=31536000, immutable" if lasting else "no-store",
            **SECURITY_HEADERS,
        }
        start_response(status, list(headers.items()))
        return [b"" if method == "HEAD" else body]

    return answer
