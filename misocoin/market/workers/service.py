"""A worker as the client sees it: it registers, is pushed one work at a time, and comes again.

GET /            what it does
POST /work       one work; 200 with the result, 500 with why there is none
"""

import logging
import os
import secrets
from collections.abc import Callable
from threading import Event, Lock, Thread
from typing import Any, Protocol
from urllib.parse import urlencode

from misocoin.errors import MisocoinError
from misocoin.http.client import HttpClient
from misocoin.http.errors import HttpError
from misocoin.http.server import PERMIT, HttpServer
from misocoin.http.sockets import Limits
from misocoin.pow.engine import StopFlag

log = logging.getLogger(__name__)

AGAIN_SECONDS = 10.0
"""How often an idle worker says that it is there, since the client may have begun anew."""

_FIRST_REST, _LONGEST_REST = 0.2, 10.0
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class Doer(Protocol):
    """What a worker can do."""

    article: str
    """What its work is sold as."""

    def do(self, work: bytes, stop: StopFlag) -> bytes:
        """Do one work, or come back when stopped. Raises MisocoinError."""

    def close(self) -> None:
        """Let go of what it holds."""


class WorkerService:
    """One worker on a free port of this machine, at the service of one client."""

    def __init__(self, doer: Doer, client_url: str, worker_id: str = "") -> None:
        self.article = doer.article
        """What it does."""
        self._doer = doer
        self._client = client_url
        kind = doer.article.split("/")[-2]
        self._id = worker_id or f"{kind}-{os.getpid()}-{secrets.token_hex(2)}"
        self._http = HttpClient()
        self._server = HttpServer("localhost", 0, self._answer, Limits(chunked=True))
        self._busy = Lock()
        self._idle = Event()
        self._stop = StopFlag()
        self._stopping = Event()
        self._thread = Thread(target=self._keep_registered, name="register", daemon=True)

    def start(self) -> None:
        """Listen, and tell the client."""
        self._server.listen()
        self._server.start()
        self._idle.set()
        self._thread.start()

    def stop(self) -> None:
        """Take leave of the client; work that goes on comes to nothing."""
        self._stopping.set()
        self._stop.set()
        self._idle.set()
        self._thread.join(5)
        try:
            self._tell("unregisterworker", id=self._id)
        except HttpError as error:
            log.info("%s", error)
        self._server.stop()
        self._http.close()
        self._doer.close()

    # -- the client -----------------------------------------------------------------------

    def _keep_registered(self) -> None:
        rest = _FIRST_REST
        host, port = self._server.address
        while True:
            self._idle.wait()
            # Before the client is told: a work may be done, or a stop asked for, meanwhile.
            self._idle.clear()
            if self._stopping.is_set():
                return
            try:
                push_url = f"http://{host}:{port}/work"
                self._tell("registerworker", id=self._id, article=self.article, pushurl=push_url)
            except HttpError as error:
                log.warning("%s; trying again in %.0f s", error, rest)
                self._stopping.wait(rest)
                rest = min(2 * rest, _LONGEST_REST)
                self._idle.set()
                continue
            rest = _FIRST_REST
            if not self._idle.wait(AGAIN_SECONDS) and not self._busy.locked():
                self._idle.set()

    def _tell(self, path: str, **form: str) -> None:
        answer = self._http.post(f"{self._client}/{path}", urlencode(form).encode(), _FORM)
        if answer.status != 200:
            text = answer.body[:200].decode("utf-8", "replace").strip()
            raise HttpError(f"the client refuses: {answer.status} {text}")

    # -- work -----------------------------------------------------------------------------

    def _answer(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        status, body = self._handle(environ)
        headers = [
            ("Content-Type", "application/octet-stream"),
            ("Content-Length", str(len(body))),
        ]
        start_response(status, headers)
        return [body]

    def _handle(self, environ: dict[str, Any]) -> tuple[str, bytes]:
        if environ["PATH_INFO"] != "/work":
            return "200 OK", f"{self.article}\n".encode()
        if environ["REQUEST_METHOD"] != "POST":
            return "405 Method Not Allowed", b"POST the work\n"
        size = int(environ.get("CONTENT_LENGTH") or 0)
        work = environ["wsgi.input"].read(size)
        if not self._busy.acquire(blocking=False):
            return "503 Service Unavailable", b"one work at a time\n"
        try:
            with environ[PERMIT]():
                return "200 OK", self._doer.do(work, self._stop)
        except MisocoinError as error:
            log.info("a work could not be done: %s", error)
            return "500 Internal Server Error", f"{error}\n".encode()
        finally:
            self._busy.release()
            self._idle.set()
