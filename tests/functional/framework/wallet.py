"""Wallet commands, and a node that lies: a proxy before an honest one."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import chdir, redirect_stderr, redirect_stdout
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO, TextIOWrapper
from pathlib import Path
from unittest.mock import patch

from misocoin.cli.signals import STOP_SIGNALS
from misocoin.cli.wallet import main
from misocoin.http.client import HttpClient
from tests.functional.framework.daemon import ROOT, Daemon, Log, clean_environment


class WalletCommands:
    """`misocoin wallet …` over one folder of keys: called here, or as processes."""

    def __init__(self, folder: Path, chain: str = "regtest") -> None:
        self.folder = folder
        self.environment = clean_environment(folder.parent, {"PYTHONPATH": str(ROOT)})
        self._place = [f"-chain={chain}", f"-walletdir={folder}"]

    def _words(self, words: tuple[str, ...]) -> list[str]:
        return [words[0], *self._place, *words[1:]]

    def run(self, *words: str, fails: bool = False) -> str:
        """Run a command to its end; what it printed, on an error the line on standard error.

        It is called in this process, as starting one takes many times as long as most commands.
        """
        out, err = TextIOWrapper(BytesIO()), TextIOWrapper(BytesIO())
        handlers = {number: signal.getsignal(number) for number in STOP_SIGNALS}
        with (
            patch.dict(os.environ, self.environment, clear=True),
            chdir(self.folder.parent),
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            try:
                code = main(self._words(words))
            finally:  # a program may leave signals ignored at its end, which this is not
                for number, handler in handlers.items():
                    signal.signal(number, handler)
        printed, said = (_text_of(stream) for stream in (out, err))
        assert (code != 0) == fails, printed + said
        return said if fails and said else printed

    def start(self, *words: str) -> tuple["subprocess.Popen[str]", Log]:
        """Start a command, and do not wait for it; the test ends it."""
        process = subprocess.Popen(
            [sys.executable, "-m", "misocoin", "wallet", *self._words(words)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**self.environment, "PYTHONUNBUFFERED": "1"},
            cwd=self.folder.parent,
        )
        return process, Log(process)

    def address(self, name: str) -> str:
        """Make a key and tell its address."""
        return self.run("new-address", name).split("with address ")[1].split()[0]

    def balances(self) -> dict[str, tuple[str, str]]:
        """By name: balance and what is pending."""
        table = self.run("list-addresses").split("\n\n")[0].splitlines()[1:]
        return {row.split()[0]: (row.split()[1], row.split()[2]) for row in table}


def _text_of(stream: TextIOWrapper) -> str:
    stream.seek(0)
    return stream.read()


Answer = tuple[int, bytes]
Lie = Callable[[str, Answer], Answer]
"""From a path and the honest answer to it (status and body) to the one that is given."""


class LyingNode:
    """Passes everything on to an honest daemon and back, what `lies` says about a path changed.

    `lies` is by the beginning of the path. `answers` is asked first whether there is an answer at
    all, when it likes; where not, nothing is passed on.
    """

    def __init__(
        self,
        honest: Daemon,
        lies: Mapping[str, Lie],
        answers: Callable[[str], bool] = lambda _path: True,
    ) -> None:
        self.heard: list[str] = []
        http = HttpClient()
        heard = self.heard

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _pass_on(self, body: bytes | None) -> None:
                heard.append(self.path)
                if not answers(self.path):
                    self.close_connection = True
                    return
                found = http.request(self.command, f"{honest.url}{self.path}", body)
                given = (found.status, found.body)
                for beginning, lie in lies.items():
                    if self.path.startswith(beginning):
                        given = lie(self.path, given)
                self.send_response(given[0])
                self.send_header("Content-Length", str(len(given[1])))
                self.end_headers()
                self.wfile.write(given[1])

            def do_GET(self) -> None:
                self._pass_on(None)

            def do_POST(self) -> None:
                self._pass_on(self.rfile.read(int(self.headers["Content-Length"])))

            def log_message(self, *_given: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._http = http
        self._thread.start()

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self._http.close()
