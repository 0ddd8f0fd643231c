"""The worker that runs WebAssembly programs of strangers: each in a process of its own.

The program sees no files, no network and no clock (`wasm_work`), its memory is bounded by the
runtime (wasmtime), its time by us: the process is ended when that is up, or the worker stops.
"""

import subprocess
import sys
import tempfile
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from time import monotonic

from misocoin.market.errors import Malformed, TooLarge
from misocoin.market.workers.wasm_work import MAX_OUTPUT, wasm_work_from_bytes
from misocoin.packages import package_missing
from misocoin.pow.engine import StopFlag

_PACKAGE = Path(__file__).resolve().parents[2]
_LOOK_SECONDS = 0.25
_RUNNER = "misocoin.market.workers.wasm_run"


class Sandbox:
    """Runs programs, one at a time; the process for the next one is started beforehand."""

    article = "net.misocoin/wasm/0"

    def __init__(self, memory: int, seconds: float) -> None:
        """`memory` in bytes. Raises ConfigError where wasmtime is missing."""
        if find_spec("wasmtime") is None:
            raise package_missing("WebAssembly", "wasmtime")
        self._memory = memory
        self._seconds = seconds
        self._lock = Lock()
        self._spare: subprocess.Popen[bytes] | None = self._start()

    def do(self, work: bytes, stop: StopFlag) -> bytes:
        """Run one work. Raises Malformed or TooLarge, which tell why there is no result."""
        wasm_work_from_bytes(work)
        with self._lock:
            process, self._spare = self._spare or self._start(), None
            try:
                return self._result(process, work, stop)
            finally:
                _end(process)
                if not stop.is_set():
                    self._spare = self._start()

    def close(self) -> None:
        """End the process that waits for work."""
        with self._lock:
            if self._spare is not None:
                _end(self._spare)
                self._spare = None

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 - our own interpreter
            [sys.executable, "-s", "-m", _RUNNER, str(self._memory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=tempfile.gettempdir(),
            env={"PYTHONPATH": str(_PACKAGE.parent)},
        )

    def _result(self, process: subprocess.Popen[bytes], work: bytes, stop: StopFlag) -> bytes:
        deadline = monotonic() + self._seconds
        data: bytes | None = work
        while True:
            left = deadline - monotonic()
            if left <= 0 or stop.is_set():
                raise TooLarge(f"the program did not end within {self._seconds:g} s")
            try:
                result, complaint = process.communicate(data, min(left, _LOOK_SECONDS))
            except subprocess.TimeoutExpired:
                data = None
                continue
            break
        if process.returncode:
            lines = complaint[:2000].decode("utf-8", "replace").strip().splitlines()
            raise Malformed(lines[-1] if lines else "the program's process was ended")
        if len(result) > MAX_OUTPUT:
            raise TooLarge(f"a result has {MAX_OUTPUT} bytes at most")
        return result


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process, whatever it does."""
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            with suppress(OSError):
                pipe.close()
