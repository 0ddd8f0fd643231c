"""A market's server as a process of its own."""

import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from tests.functional.framework.daemon import DEADLINE, ROOT, Log, clean_environment, reserved_port


class MarketProcess:
    """`misocoin market serve` with a folder of its own; it may be started any number of times."""

    def __init__(
        self, folder: Path, *options: str, environment: Mapping[str, str] | None = None
    ) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.options = options
        self._held = ExitStack()
        self.port = self._held.enter_context(reserved_port())
        """Where it listens, at every start."""
        self._environment = clean_environment(folder, environment)
        self._process: subprocess.Popen[str] | None = None
        self.log: Log

    def command(self, name: str, *more: str) -> list[str]:
        """The command line of one of the market's commands."""
        where = [f"-datadir={self.folder}", f"-port={self.port}"]
        return [sys.executable, "-m", "misocoin", "market", name, *where, *more]

    def start(self, *more: str, environment: Mapping[str, str] | None = None) -> "MarketProcess":
        """Start it and wait until it listens."""
        assert self._process is None
        self._process = subprocess.Popen(
            self.command("serve", *self.options, *more),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**self._environment, **(environment or {})},
            cwd=ROOT,
        )
        self.log = Log(self._process)
        self.log.wait_for("listening on ")
        return self

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        """Stop it by SIGTERM and see that it ends well."""
        assert self._process is not None
        self._process.terminate()
        assert self.wait() == 0, self.log.text
        assert "Traceback" not in self.log.text, self.log.text

    def kill(self) -> None:
        """End it as a power cut would."""
        assert self._process is not None
        self._process.kill()
        self.wait()

    def wait(self) -> int:
        """Wait for its end; its exit code."""
        assert self._process is not None
        code = self._process.wait(DEADLINE)
        self.log.close()
        self._process = None
        return code

    def close(self) -> None:
        """End it in any way."""
        if self._process is not None:
            self.kill()
        self._held.close()

    def run(self, name: str, *more: str) -> subprocess.CompletedProcess[str]:
        """Run another of the market's commands on the same book."""
        return subprocess.run(
            self.command(name, *more),
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            env=self._environment,
            cwd=ROOT,
            check=False,
        )
