"""A real PostgreSQL server for tests, on a free port of this machine and in a folder of its own.

`find_postgres` says what is missing where there is none. PostgreSQL refuses to run as root: for
root it is started as the user `postgres`, whom Debian's package brings along, or else `nobody`.
"""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from contextlib import ExitStack, suppress
from itertools import count
from pathlib import Path
from typing import Any

from tests.functional.framework.daemon import DEADLINE, reserved_port, wait_until

DEBIAN_FOLDER = Path("/usr/lib/postgresql")
"""Where Debian's packages have a folder for each version."""

USER = "misocoin"
"""The one role of the server; it may do anything, and needs no password."""


def find_postgres() -> tuple[Path | None, str]:
    """The folder of the newest server's programs, and otherwise why there is none."""
    try:
        import psycopg  # noqa: F401 - is it here?
    except ImportError:
        return None, "the package psycopg is not installed (the extra `postgres`)"
    folders = [path.parent for path in DEBIAN_FOLDER.glob("*/bin/initdb")]
    if on_path := shutil.which("initdb"):
        folders.append(Path(on_path).resolve().parent)
    whole = [folder for folder in folders if (folder / "postgres").is_file()]
    if not whole:
        return None, "no PostgreSQL server is installed here (Debian: postgresql)"
    if os.geteuid() == 0 and _user_for_root() is None:
        return None, "PostgreSQL does not run as root, and there is no user postgres or nobody"
    return max(whole, key=_version), ""


def _version(folder: Path) -> int:
    name = folder.parent.name
    return int(name) if name.isdecimal() else 0


def _user_for_root() -> pwd.struct_passwd | None:
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            return pwd.getpwnam(name)
    return None


class PostgresServer:
    """One server with nothing in it; `new_database` makes a database for one test."""

    def __init__(self, programs: Path) -> None:
        """Take the folder that `find_postgres` has found."""
        self._programs = programs
        self._numbers = count(1)
        self._process: subprocess.Popen[bytes] | None = None
        self._identity: dict[str, Any] = {}
        # Not pytest's folder: root's are closed to the user that the server runs as.
        self._folder = Path(tempfile.mkdtemp(prefix="misocoin-postgres-"))
        if os.geteuid() == 0 and (user := _user_for_root()) is not None:
            self._identity = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
            os.chown(self._folder, user.pw_uid, user.pw_gid)
        self._held = ExitStack()
        self.port = self._held.enter_context(reserved_port())
        """Where it listens, on 127.0.0.1; the same one after each start."""

    def create(self) -> None:
        """Make the server's data folder."""
        subprocess.run(
            [
                *(self._programs / "initdb", "--pgdata", self._folder / "data"),
                *("--username", USER, "--auth", "trust"),
                *("--encoding", "UTF8", "--locale", "C", "--no-sync"),
            ],
            check=True,
            capture_output=True,
            timeout=DEADLINE,
            cwd=self._folder,
            **self._identity,
        )

    def start(self) -> None:
        """Start it and wait until it answers."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(self._programs / "postgres", "-D", self._folder / "data"),
                    *("-h", "127.0.0.1", "-p", str(self.port), "-k", self._folder),
                    # It need not survive a power cut; what runs on it is killed, not this.
                    *("-c", "fsync=off", "-c", "shared_buffers=16MB"),
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                **self._identity,
            )
        wait_until(self._is_answering, "PostgreSQL answers")

    def _is_answering(self) -> bool:
        import psycopg

        assert self._process is not None
        assert self._process.poll() is None, (self._folder / "log").read_text("utf-8", "replace")
        try:
            psycopg.connect(self.url("postgres"), connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True

    def url(self, database: str) -> str:
        """A database's address as options take it."""
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """Make an empty database; its address."""
        import psycopg

        name = f"test{next(self._numbers)}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return self.url(name)

    def stop(self) -> None:
        """Stop it at once: open sessions are cut."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(DEADLINE)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def close(self) -> None:
        """Stop it and remove all it has written."""
        self.stop()
        self._held.close()
        shutil.rmtree(self._folder, ignore_errors=True)
