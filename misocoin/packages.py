"""Packages that only some uses need, and how to get one that is missing."""

import shlex
import sys

from misocoin.errors import ConfigError


def package_missing(needed_by: str, package: str) -> ConfigError:
    """The error for a package that is not there, with the command that installs it.

    `package` is what pip is given: `zeroconf`, `psycopg[binary]`. The command names the very
    interpreter that runs, so that the package goes where it is looked for.
    """
    python = shlex.quote(sys.executable or "python3")
    name = package.partition("[")[0]
    return ConfigError(
        f"{needed_by} needs the package {name}: {python} -m pip install {shlex.quote(package)}"
    )
