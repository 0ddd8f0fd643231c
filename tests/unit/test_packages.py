"""Packages that only some uses need."""

import shlex
import subprocess
import sys

from misocoin.packages import package_missing


def test_what_is_missing_is_told_with_the_command_that_installs_it() -> None:
    message = str(package_missing("PostgreSQL", "psycopg[binary]"))
    said, _, command = message.partition(": ")
    assert said == "PostgreSQL needs the package psycopg"
    words = shlex.split(command)
    assert words == [sys.executable, "-m", "pip", "install", "psycopg[binary]"]
    done = subprocess.run([*words[:3], "--version"], capture_output=True, check=False)
    assert done.returncode == 0
