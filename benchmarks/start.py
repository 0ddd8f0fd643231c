"""From the start of the process to the first answered call, cold and with a chain on disk.

    python benchmarks/start.py [RUNS]

The clock starts before the process is made and stops with the answer to `get_info`. Beside it the
bare interpreter with Flask, SQLAlchemy and cheroot imported, and with BITCOIND=/path/to/bitcoind
the same for it.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from misocoin.http.client import Bounds, HttpClient
from misocoin.http.errors import HttpError, RpcError
from misocoin.http.jsonrpc import JsonRpcClient
from tests.functional.framework.daemon import ROOT, clean_environment, reserved_port

MINE = [sys.executable, str(ROOT / "misocoind.py"), "-chain=regtest"]
LIBRARIES = "import flask, sqlalchemy, cheroot.wsgi, coincurve, orjson"


def seconds_to_answer(
    command: list[str], folder: Path, port: int, credentials: tuple[str, str] | None, method: str
) -> tuple[float, float]:
    """Start a daemon, call it until it answers, stop it; seconds to the answer and to the end."""
    http = HttpClient(Bounds(total_seconds=5))
    client = JsonRpcClient(f"http://127.0.0.1:{port}", credentials, http)
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=clean_environment(folder))
    while True:
        try:
            client.call(method)
            break
        except (HttpError, RpcError):
            time.sleep(0.002)
    answered = time.perf_counter() - began
    began = time.perf_counter()
    process.terminate()
    process.wait()
    http.close()
    return answered, time.perf_counter() - began


def ours(folder: Path) -> tuple[float, float]:
    with reserved_port() as port:
        command = [*MINE, f"-datadir={folder}/node", f"-port={port}"]
        return seconds_to_answer(command, folder, port, None, "get_info")


def bitcoind(folder: Path) -> tuple[float, float]:
    with reserved_port() as port:
        command = [
            os.environ["BITCOIND"], "-regtest", f"-datadir={folder}", f"-rpcport={port}",
            "-listen=0", "-rpcuser=u", "-rpcpassword=p", "-printtoconsole=0",
        ]  # fmt: skip
        return seconds_to_answer(command, folder, port, ("u", "p"), "getblockcount")


def imports(_folder: Path) -> tuple[float, float]:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", LIBRARIES], check=True)
    return time.perf_counter() - began, 0.0


def row(name: str, run: Callable[[Path], tuple[float, float]], runs: int, is_fresh: bool) -> None:
    answers, stops = [], []
    with tempfile.TemporaryDirectory() as base:
        for number in range(runs):
            folder = Path(base) / (str(number) if is_fresh else "same")
            folder.mkdir(exist_ok=True)
            answer, stop = run(folder)
            answers.append(answer)
            stops.append(stop)
    median, worst = statistics.median(answers), max(answers)
    print(f"{name:44} {median:8.3f} {worst:8.3f} {statistics.median(stops):8.3f}")


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    print(f"{'seconds, ' + str(runs) + ' runs':44} {'median':>8} {'worst':>8} {'to stop':>8}")
    row("first answer, new folder", ours, runs, is_fresh=True)
    row("first answer, folder used before", ours, runs, is_fresh=False)
    row("importing the libraries alone", imports, runs, is_fresh=True)
    if "BITCOIND" in os.environ:
        row("bitcoind, new folder", bitcoind, runs, is_fresh=True)


if __name__ == "__main__":
    main()
