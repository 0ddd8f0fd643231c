#!/usr/bin/env python3
"""The command line tool from a checkout; see `misocoin/cli/client.py`, or `-help`."""

import os
import sys
from pathlib import Path

python = Path(__file__).resolve().parent / ".venv" / "bin" / "python"
if sys.prefix == sys.base_prefix and python.exists():
    # The packages are in the checkout's own environment, which nobody needs to activate.
    os.execv(python, [str(python), __file__, *sys.argv[1:]])  # noqa: S606

from misocoin.cli.client import main  # noqa: E402

sys.exit(main())
