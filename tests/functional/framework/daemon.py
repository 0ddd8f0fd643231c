"""A daemon as a process of its own, started by the scripts of this checkout."""

import sys
from pathlib import Path

from misocoin.testing.daemon import (
    DEADLINE,
    Log,
    Rpc,
    clean_environment,
    reserved_port,
    wait_until,
)
from misocoin.testing.daemon import Daemon as PackagedDaemon

__all__ = [
    "DEADLINE",
    "ROOT",
    "Daemon",
    "Log",
    "Rpc",
    "clean_environment",
    "reserved_port",
    "wait_until",
]

ROOT = Path(__file__).resolve().parents[3]


class Daemon(PackagedDaemon):
    """The packaged one, by `misocoind.py` and `misocoin-cli.py`."""

    DAEMON = (sys.executable, str(ROOT / "misocoind.py"))
    CLI = (sys.executable, str(ROOT / "misocoin-cli.py"))
