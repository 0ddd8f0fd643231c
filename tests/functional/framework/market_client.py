"""A market's client, and workers, as processes of their own."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from misocoin.http.client import Bounds, HttpClient, HttpResponse
from misocoin.http.errors import HttpError
from tests.functional.framework.daemon import (
    DEADLINE,
    ROOT,
    Log,
    clean_environment,
    reserved_port,
)

BOUNDS = Bounds(5, 300, 300)


class _Process:
    def __init__(self, folder: Path, arguments: list[str]) -> None:
        folder.mkdir(exist_ok=True, parents=True)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "misocoin", "market", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=clean_environment(folder),
            cwd=ROOT,
        )
        self.log = Log(self.process)

    def stop(self) -> None:
        """Stop it by SIGTERM and see that it ends well."""
        self.process.terminate()
        code = self.process.wait(DEADLINE)
        self.log.close()
        assert code == 0, self.log.text
        assert "Traceback" not in self.log.text, self.log.text

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        self.process.wait(DEADLINE)
        self.log.close()


class ClientProcess:
    """`misocoin market client` with a folder of its own; it may be started any number of times."""

    def __init__(self, folder: Path, market: str, *options: str) -> None:
        self.home = folder
        self.folder = folder / "client"
        self.market = market
        self.options = options
        self._held = ExitStack()
        self.port = self._held.enter_context(reserved_port())
        """Where it listens, also after a kill."""
        self.address = ""
        self._http = HttpClient(BOUNDS)
        self._process: _Process | None = None

    def start(self) -> "ClientProcess":
        """Start it and wait until it listens."""
        where = [f"-datadir={self.folder}", f"-port={self.port}", f"-market={self.market}"]
        self._process = _Process(self.home, ["client", *where, *self.options])
        log = self._process.log
        self.address = log.wait_for(r"participant (\w+)")[1]
        log.wait_for("listening on ")
        return self

    @property
    def log(self) -> Log:
        assert self._process is not None
        return self._process.log

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str, **headers: str) -> HttpResponse:
        return self._http.get(f"{self.url}{path}", headers)

    def json(self, path: str) -> Any:
        answer = self.get(path, Accept="application/json")
        assert answer.status == 200, answer.body
        return json.loads(answer.body)

    def post(self, path: str, body: bytes = b"", **headers: str) -> HttpResponse:
        return self._http.post(f"{self.url}{path}", body, headers)

    def form(self, path: str, **fields: str) -> HttpResponse:
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        return self.post(path, urlencode(fields).encode(), **kind)

    def permit(self, kind: str, article: str, price: str, trades: int = 100) -> None:
        """Give a mandate."""
        answer = self.form(
            "/", action="permit", type=kind, articleid=article, price=price,
            usetradesleft="on", tradesleft=str(trades),
        )  # fmt: skip
        assert answer.status == 303, answer.body

    def buy(self, article: str, work: bytes, query: str = "") -> bytes:
        """Buy a work; its result."""
        answer = self.post(f"/buy/{article}{query}", work)
        assert answer.status == 303, answer.body
        found = self.get(answer.headers["Location"])
        assert found.status == 200
        return found.body

    def stop(self) -> None:
        assert self._process is not None
        self._process.stop()
        self._process = None

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process = None

    def close(self) -> None:
        """End it in any way."""
        if self._process is not None:
            self.kill()
        self._http.close()
        self._held.close()


class WorkerProcess:
    """`misocoin market worker` for a client."""

    def __init__(self, folder: Path, client: ClientProcess, *words: str) -> None:
        arguments = ["worker", f"-client={client.url}", *words]
        self._process: _Process | None = _Process(folder, arguments)
        self._process.log.wait_for("working on ")

    def stop(self) -> None:
        assert self._process is not None
        self._process.stop()
        self._process = None

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()


class FakeWorker:
    """A worker inside the test: a function of the work."""

    def __init__(
        self, client: ClientProcess, article: str, work: Callable[[bytes], bytes], name: str = "w"
    ) -> None:
        self.client = client
        self.article = article
        self.name = name
        self.works: list[bytes] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler(work))
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.register()

    def register(self) -> None:
        """Tell the client that it is idle."""
        url = f"http://127.0.0.1:{self._server.server_port}/work"
        answer = self.client.form(
            "/registerworker", id=self.name, article=self.article, pushurl=url
        )
        assert answer.status == 200, answer.body

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self, work: Callable[[bytes], bytes]) -> type[BaseHTTPRequestHandler]:
        worker = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                data = self.rfile.read(int(self.headers["Content-Length"]))
                worker.works.append(data)
                try:
                    body, status = work(data), 200
                except ValueError as error:
                    body, status = str(error).encode(), 500
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                try:
                    self.wfile.write(body)
                    self.wfile.flush()
                    worker.register()
                except (OSError, HttpError):
                    pass  # the client was killed

            def log_message(self, *_arguments: Any) -> None:
                pass

        return Handler
