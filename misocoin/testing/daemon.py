"""A daemon as a process of its own, and what a test does with one.

`plugin` makes pytest's fixtures of it; it serves without pytest as well:

    with tempfile.TemporaryDirectory() as folder:
        daemon = Daemon(Path(folder) / "node").start()
        daemon.rpc.generate(101)
        daemon.stop()

A failure is an AssertionError with a line of what was waited for, or the daemon's last lines.
"""

import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Self

from misocoin.http.client import Bounds
from misocoin.http.errors import HttpError, RpcError
from misocoin.http.jsonrpc import JsonRpcClient

DEADLINE = 60.0
"""Seconds for anything that happens at once on a machine that is not busy."""

_POLL_SECONDS = 0.02


class DaemonError(AssertionError):
    """A daemon does not do what a test needs of it."""


@contextmanager
def reserved_port() -> Iterator[int]:
    """A port of this machine that falls to nobody by chance while this is open.

    A socket holds it that does not listen: the system gives it neither to another socket that
    wants any port nor to the near end of a connection, and refuses who connects. On Linux a
    server that sets SO_REUSEADDR can listen there, any number of times; other systems let nobody
    in beside such a socket, so it is closed there and the port is merely free.
    """
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        port = int(sock.getsockname()[1])
        if sys.platform != "linux":
            sock.close()
        yield port


def wait_until(condition: Callable[[], Any], what: str, timeout: float = DEADLINE) -> Any:
    """Ask again and again until the answer is true; fails with `what` when time is up."""
    deadline = time.monotonic() + timeout
    while not (answer := condition()):
        if time.monotonic() >= deadline:
            raise DaemonError(f"after {timeout} s: {what}")
        time.sleep(_POLL_SECONDS)
    return answer


def clean_environment(home: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment without options in it, and with a home folder of the test's own.

    Python may keep its compiled files: every start would compile the whole package again.
    """
    kept = {
        name: text
        for name, text in os.environ.items()
        if not name.startswith("MISOCOIN_") and name != "PYTHONDONTWRITEBYTECODE"
    }
    return {**kept, "HOME": str(home), **(extra or {})}


class Rpc:
    """A daemon's methods as Python's: `rpc.get_block(5)`."""

    def __init__(self, client: JsonRpcClient) -> None:
        self.client = client

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return partial(self.client.call, name)


class Log:
    """What a process has printed, line by line; a test can wait for a line."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._lines: list[str] = []
        self._grown = threading.Condition()
        self._is_closed = False
        self._process = process
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        for line in self._process.stdout or ():
            with self._grown:
                self._lines.append(line.rstrip("\n"))
                self._grown.notify_all()
        with self._grown:
            self._is_closed = True
            self._grown.notify_all()

    def close(self) -> None:
        """Wait for the last line."""
        self._thread.join(DEADLINE)
        if self._process.stdout is not None:
            self._process.stdout.close()

    @property
    def text(self) -> str:
        """All of it so far."""
        with self._grown:
            return "\n".join(self._lines)

    def wait_for(self, pattern: str, timeout: float = DEADLINE) -> re.Match[str]:
        """Wait until a line has the pattern in it; fails when the process ends or time is up."""
        deadline = time.monotonic() + timeout
        seen = 0
        with self._grown:
            while True:
                for line in self._lines[seen:]:
                    if match := re.search(pattern, line):
                        return match
                seen = len(self._lines)
                left = deadline - time.monotonic()
                shown = "\n".join(self._lines[-30:])
                if self._is_closed:
                    raise DaemonError(f"ended without {pattern!r}:\n{shown}")
                if left <= 0:
                    raise DaemonError(f"no {pattern!r} after {timeout} s:\n{shown}")
                self._grown.wait(left)


class Daemon:
    """One daemon with a data folder of its own; it may be started and stopped any number of times.

    `rpc` calls its methods with the cookie's rights, `cli` runs the command line tool on it.
    """

    DAEMON: ClassVar[Sequence[str]] = (sys.executable, "-m", "misocoin", "daemon")
    """The daemon's command."""
    CLI: ClassVar[Sequence[str]] = (sys.executable, "-m", "misocoin", "cli")
    """The command line tool's."""

    def __init__(
        self,
        folder: Path,
        *options: str,
        chain: str = "regtest",
        environment: Mapping[str, str] | None = None,
        names_folder: bool = True,
    ) -> None:
        """Without `names_folder` it is left to its default folder, in the home beside `folder`."""
        self.chain = chain
        self.options = options
        self._held = ExitStack()
        self.port = self._held.enter_context(reserved_port())
        """Where it listens, also after the next start; nobody else does until `close`."""
        self.home = folder.parent
        self.environment = clean_environment(self.home, environment)
        self._names_folder = names_folder
        default = self.home / ".misocoin" / f"{chain}-{self.port}"
        self.folder = folder if names_folder else default
        self._process: subprocess.Popen[str] | None = None
        self._client: JsonRpcClient | None = None
        self.log: Log

    # -- life ---------------------------------------------------------------------------------

    def launch(self, *more: str) -> None:
        """Start the process, and do not wait for it. Raises DaemonError where it runs already."""
        if self._process is not None:
            raise DaemonError("it runs already")
        self._process = subprocess.Popen(  # noqa: S603 - a test's own command
            [*self.DAEMON, *self._where(), *self.options, *more],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self.environment,
            cwd=self.home,
        )
        self.log = Log(self._process)

    def start(self, *more: str, timeout: float = DEADLINE) -> Self:
        """Start the process and wait until it answers calls."""
        self.launch(*more)
        self.log.wait_for("listening on", timeout)
        return self

    def stop(self, timeout: float = DEADLINE) -> None:
        """Stop it by SIGTERM and see that it ends well; raises DaemonError where it does not."""
        self._running.terminate()
        if self.wait(timeout) != 0 or "Traceback" in self.log.text:
            raise DaemonError(f"it did not end well:\n{self.log.text}")

    def terminate(self) -> None:
        """Ask it to stop (SIGTERM), and do not wait for it."""
        self._running.terminate()

    def kill(self) -> None:
        """End it as a power cut would (SIGKILL)."""
        self._running.kill()
        self.wait()

    def wait(self, timeout: float = DEADLINE) -> int:
        """Wait for the process to end; its exit code."""
        code = self._running.wait(timeout)
        self.log.close()
        self._process = None
        if self._client is not None:
            self._client.close()
            self._client = None
        return code

    def restart(self, *more: str) -> Self:
        """Stop it and start it again."""
        self.stop()
        return self.start(*more)

    def close(self) -> None:
        """End it in any way, and give its port back."""
        if self._process is not None:
            self.kill()
        self._held.close()

    @property
    def _running(self) -> subprocess.Popen[str]:
        if self._process is None:
            raise DaemonError("it does not run")
        return self._process

    @property
    def is_running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._running.pid

    # -- talk ---------------------------------------------------------------------------------

    def _where(self) -> list[str]:
        folder = [f"-datadir={self.folder}"] if self._names_folder else []
        chain = [f"-chain={self.chain}"] if self.chain else []
        return [*chain, f"-port={self.port}", *folder]

    @property
    def credentials(self) -> tuple[str, str]:
        """Name and password of this run, from its cookie."""
        user, _, password = (self.folder / ".cookie").read_text("ascii").partition(":")
        return user, password

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def client(self, bounds: Bounds | None = None) -> JsonRpcClient:
        """A new client with the cookie's rights; the test closes it."""
        return JsonRpcClient(self.url, self.credentials, bounds=bounds)

    @property
    def rpc(self) -> Rpc:
        """Its methods."""
        if self._client is None:
            self._client = self.client(Bounds(read_seconds=300, total_seconds=300))
        return Rpc(self._client)

    def cli(self, *words: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run the command line tool on it; options may stand before the method."""
        return subprocess.run(  # noqa: S603 - a test's own command
            self.cli_command(*words),
            input=stdin,
            capture_output=True,
            text=True,
            env=self.environment,
            timeout=DEADLINE,
            check=False,
        )

    def cli_command(self, *words: str) -> list[str]:
        """What `cli` runs."""
        return [*self.CLI, *self._where(), *words]

    def is_answering(self) -> bool:
        """Whether a call succeeds in this moment."""
        try:
            self.rpc.get_info()
        except (HttpError, RpcError):
            return False
        return True
