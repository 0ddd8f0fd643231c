"""Programs that others wrote: had by name from their registries, and run as processes."""

import os
import re
import shutil
import subprocess
import venv
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.functional.framework.daemon import DEADLINE

SCRIPTS = Path(__file__).parents[1] / "tool_scripts"

INSTALL_SECONDS = 400.0
"""How long a registry may take."""


class Registries:
    """What PyPI, npm and Debian have. A folder that is kept makes the next run quick."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def python(self, *requirements: str) -> Path:
        """The `bin` of an environment of their own, or the test is skipped."""

        def install(folder: Path) -> Sequence[str | Path]:
            venv.create(folder, with_pip=True, clear=True)
            pip = folder / "bin" / "pip"
            return [pip, "install", "--quiet", "--disable-pip-version-check", *requirements]

        return self._have("python", requirements, install) / "bin"

    def npm(self, *packages: str) -> Path:
        """A folder whose `node_modules` has them, or the test is skipped."""

        def install(folder: Path) -> Sequence[str | Path]:
            npm = find_program("npm")
            folder.mkdir(exist_ok=True)
            (folder / "package.json").write_text("{}")
            return [npm, "install", "--prefix", folder, "--no-audit", "--no-fund", *packages]

        return self._have("npm", packages, install)

    def debian(self, package: str, release: str, suite: str) -> Path:
        """A folder of a package's programs with all libraries they want, or the test is skipped.

        It is unpacked, not installed: a package of a newer Debian runs on this machine's as it is.
        """

        def install(folder: Path) -> Sequence[str | Path]:
            for program in ("apt-get", "dpkg-deb"):
                find_program(program)
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            return ["sh", "-e", SCRIPTS / "debian_package.sh", folder, package, release, suite]

        return self._have("debian", (package, release, suite), install) / "bin"

    def _have(
        self, kind: str, names: Sequence[str], install: Callable[[Path], Sequence[str | Path]]
    ) -> Path:
        folder = self._folder / re.sub(r"[^\w.]+", "-", "-".join([kind, *names]))
        complete = folder / "complete"
        if not complete.exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            command = install(folder)
            try:
                ended = run(command, timeout=INSTALL_SECONDS)
            except subprocess.TimeoutExpired:
                pytest.skip(f"{names} did not come within {INSTALL_SECONDS} s")
            if ended.returncode:
                said = " ".join(ended.stderr.split())
                pytest.skip(f"{', '.join(names)} cannot be installed: {said[-300:]}")
            complete.touch()
        return folder


def find_program(name: str, variable: str = "") -> str:
    """A program of this machine, or the one that a variable of the environment names."""
    found = shutil.which(os.environ.get(variable) or name)
    if found is None:
        hint = f", and ${variable} names none" if variable else ""
        pytest.skip(f"{name} is not installed{hint}")
    return found


def run(
    command: Sequence[str | Path],
    timeout: float = DEADLINE,
    folder: Path | None = None,
    environment: dict[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run it to its end, whatever that is."""
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=timeout, cwd=folder,
        env=environment, stdin=subprocess.DEVNULL,
    )  # fmt: skip


class ToolProcess:
    """A program of somebody else's that runs until it is closed; `log` is what it printed."""

    def __init__(self, log: Path, command: Sequence[str | Path], **environment: str) -> None:
        self.path = log
        with log.open("w") as file:
            self._process = subprocess.Popen(
                command, stdout=file, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                env={"PATH": os.environ["PATH"], "HOME": str(log.parent), **environment},
                cwd=log.parent,
            )  # fmt: skip

    @property
    def log(self) -> str:
        return self.path.read_text(errors="replace")

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait(self, timeout: float = DEADLINE) -> int:
        """Wait for it to end by itself; its exit code."""
        return self._process.wait(timeout)

    def close(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
