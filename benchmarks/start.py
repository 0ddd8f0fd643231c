"""From the start of the process to the first answered call, ours beside a real bitcoind's.

    [BITCOIND=/path/to/bitcoind] python benchmarks/start.py [RUNS]

The clock starts before the process is made and stops with the answer to `getblockcount`. Folders
are new, used before, and hold a chain of 182 blocks with 80,213 transactions where its file is
there. Beside it the bare interpreter with the libraries imported. All lines are measured in turn.
"""

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from benchmarks.load_chain import DEFAULT_FILE
from misocoin.http.client import HttpClient
from misocoin.http.errors import HttpError, RpcError
from misocoin.http.jsonrpc import JsonRpcClient
from tests.functional.framework.bitcoind import (
    AS_IN_EARNEST,
    CREDENTIALS,
    Bitcoind,
    named_bitcoind,
)
from tests.functional.framework.daemon import Daemon, wait_until

LIBRARIES = "import flask, sqlalchemy, cheroot.wsgi, coincurve, orjson"


class Times(NamedTuple):
    """Seconds of one run."""

    answer: float
    """From the start to the first answer."""
    stop: float
    """From SIGTERM to the end."""


Start = Callable[[Path], Times]


def seconds_to_answer(daemon: Daemon | Bitcoind) -> Times:
    """Start a daemon, call it until it answers, stop it."""
    with closing(daemon), closing(HttpClient()) as http:
        url = f"http://127.0.0.1:{daemon.port}"
        # Ours leaves reading to everybody; bitcoind wants a name for each call.
        credentials = CREDENTIALS if isinstance(daemon, Bitcoind) else None
        client = JsonRpcClient(url, credentials, http)
        began = time.perf_counter()
        daemon.launch()
        while True:
            try:
                client.call("getblockcount")
                break
            except (HttpError, RpcError):
                time.sleep(0.002)
        answered = time.perf_counter() - began
        began = time.perf_counter()
        os.kill(daemon.pid, signal.SIGTERM)
        os.waitid(os.P_PID, daemon.pid, os.WEXITED | os.WNOWAIT)
        return Times(answered, time.perf_counter() - began)


def ours(folder: Path) -> Times:
    return seconds_to_answer(Daemon(folder))


def bitcoind_of(program: Path) -> Start:
    return lambda folder: seconds_to_answer(Bitcoind(program, folder, *AS_IN_EARNEST))


def imports() -> Times:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", LIBRARIES], check=True)
    return Times(time.perf_counter() - began, 0)


def load(folder: Path, program: Path | None) -> None:
    """Have a folder hold the chain, ours or bitcoind's."""
    option = f"-loadblock={DEFAULT_FILE}"
    if program is None:
        with closing(Daemon(folder, option)) as daemon:
            daemon.start().log.wait_for("imported .* blocks", 300)
            daemon.stop()
    else:
        with closing(Bitcoind(program, folder, *AS_IN_EARNEST, option)) as bitcoind:
            bitcoind.start()
            wait_until(lambda: bitcoind.call("getblockcount") == 182, "the chain is loaded", 300)
            bitcoind.stop()


def main() -> None:
    """Print the table."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    program = named_bitcoind()
    names = ["misocoin"] + (["bitcoind"] if program else [])
    rows: dict[str, list[list[Times]]] = {}
    with tempfile.TemporaryDirectory() as text:
        base = Path(text)
        starts = [ours] + ([bitcoind_of(program)] if program else [])
        folders = [base / f"{name}-chain" for name in names]
        if DEFAULT_FILE.exists():
            for folder, rival in zip(folders, (None, program), strict=False):
                load(folder, rival)
        for run in range(runs):
            for name, start, folder in zip(names, starts, folders, strict=True):
                kinds = {
                    "a new folder": base / f"{name}{run}",
                    "a folder used before": base / f"{name}0",
                    "a folder with a chain": folder,
                }
                for kind, where in kinds.items():
                    if kind != "a folder with a chain" or folder.exists():
                        ordered = rows.setdefault(kind, [[] for _ in names])
                        ordered[names.index(name)].append(start(where))
            rows.setdefault("importing the libraries alone", [[]])[0].append(imports())
    heads = "".join(f"{name:>11}" for name in names) + (f"{'ratio':>7}" if program else "")
    print(f"{f'seconds, medians of {runs}':32}{heads}   to stop: {heads}")
    for kind, columns in rows.items():
        cells = []
        for key in ("answer", "stop"):
            medians = [statistics.median(getattr(t, key) for t in column) for column in columns]
            cell = "".join(f"{median:11.3f}" for median in medians)
            cells.append(cell + (f"{medians[0] / medians[1]:7.2f}" if len(medians) > 1 else ""))
        print(f"{kind:32}{cells[0]}" + (f"{'':12}{cells[1]}" if len(columns) == len(names) else ""))
    if program is None:
        print("bitcoind: not measured (name one in BITCOIND)")


if __name__ == "__main__":
    main()
