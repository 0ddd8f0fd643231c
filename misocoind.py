#!/usr/bin/env python3
"""The daemon from a checkout; see `misocoin/cli/daemon.py`, or `./misocoind.py -help`."""

import os
import signal
import sys
from pathlib import Path

# Ctrl-C ends it quietly until the daemon itself listens to signals.
signal.signal(signal.SIGINT, signal.SIG_DFL)

python = Path(__file__).resolve().parent / ".venv" / "bin" / "python"
if sys.prefix == sys.base_prefix and python.exists():
    # The packages are in the checkout's own environment, which nobody needs to activate.
    os.execv(python, [str(python), __file__, *sys.argv[1:]])  # noqa: S606

from misocoin.__main__ import main  # noqa: E402

sys.exit(main(["daemon", *sys.argv[1:]]))
