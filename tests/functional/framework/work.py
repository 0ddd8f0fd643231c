"""The work service as a process, and clients and miners that share no code with it.

`OriginalPeer` speaks the original protocol from its description alone: JSON without delimiters,
answers read in one go of at most 1,024 bytes.
"""

import base64
import hashlib
import json
import random
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.functional.framework.daemon import DEADLINE, ROOT, Log, clean_environment

KNOWN_TARGET = 3979158916983
KNOWN_HASH = (
    "vSJ95SFzpQ7NVIk/cd5SUR9isX+s8s5mcKJIn4G3Owqk7/yBuTX2KPxTg8RpkO1yJJ0bz7/8/5KMU5BEcjxehw=="
)
KNOWN_NONCE, KNOWN_TRIAL = 1302572, 799892720325
"""A real Bitmessage proof of work; the nonce is the first one that wins."""


def trial_value(nonce: int, initial_hash: bytes) -> int:
    """By hashlib, from the protocol's description."""
    first = hashlib.sha512(nonce.to_bytes(8, "big") + initial_hash).digest()
    return int.from_bytes(hashlib.sha512(first).digest()[:8], "big")


def search(initial_hash: bytes, target: int, start: int = 0) -> tuple[int, int]:
    """A nonce that wins and its trial value, by hashlib."""
    nonce = start
    while (value := trial_value(nonce, initial_hash)) > target:
        nonce += 1
    return nonce, value


def target_for(tries: int) -> int:
    """A target that takes about so many tries."""
    return (1 << 64) // tries


def random_hash(chance: random.Random) -> bytes:
    """64 bytes that no other job has."""
    return chance.randbytes(64)


def base64_text(data: bytes) -> str:
    """As messages carry bytes."""
    return base64.b64encode(data).decode()


class Program:
    """A command of `python -m misocoin work`, or another group, that runs until it is stopped."""

    def __init__(
        self,
        home: Path,
        *words: str,
        environment: Mapping[str, str] | None = None,
        group: str = "work",
    ) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "misocoin", group, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=clean_environment(home, {"PYTHONPATH": str(ROOT), **(environment or {})}),
            cwd=home,
        )
        self.log = Log(self.process)

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self.process.poll() is None

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        self.process.wait(DEADLINE)
        self.log.close()

    def stop(self) -> None:
        """Stop it by SIGTERM and see that it ends well."""
        self.process.terminate()
        assert self.process.wait(DEADLINE) == 0, self.log.text
        self.log.close()
        assert "Traceback" not in self.log.text, self.log.text

    def close(self) -> None:
        """End it in any way."""
        if self.process.poll() is None:
            self.kill()

    def memory(self) -> int:
        """Bytes of it that are in memory now."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("no VmRSS")


class WorkService(Program):
    """A service on a free port."""

    def __init__(self, home: Path, *options: str, port: int = 0) -> None:
        super().__init__(home, "serve", f"-port={port}", *options)
        found = self.log.wait_for(r"listening on \S+:(\d+)")
        self.port = int(found[1])

    def original(self, timeout: float = DEADLINE) -> "OriginalPeer":
        """A new connection of the original dialect."""
        return OriginalPeer(self.port, timeout)

    def framed(self, timeout: float = DEADLINE, **hello: Any) -> "FramedPeer":
        """A new connection of the framed dialect."""
        return FramedPeer(self.port, timeout, **hello)


class OriginalPeer:
    """A client or miner of the original protocol."""

    def __init__(self, port: int, timeout: float = DEADLINE, source: str = "127.0.0.1") -> None:
        self.socket = socket.create_connection(
            ("127.0.0.1", port), timeout, source_address=(source, 0)
        )

    def send(self, **message: Any) -> None:
        """Send a message in one piece, with nothing after it."""
        self.socket.sendall(json.dumps(message).encode())

    def answer(self) -> dict[str, Any]:
        """The next answer, read as the originals read: once, at most 1,024 bytes."""
        data = self.socket.recv(1024)
        assert data, "the service has hung up"
        answer = json.loads(data)
        assert isinstance(answer, dict)
        return answer

    def is_closed(self) -> bool:
        """Whether the other end hangs up without another word."""
        try:
            return self.socket.recv(1024) == b""
        except ConnectionResetError:
            return True

    def close(self) -> None:
        """Hang up."""
        self.socket.close()

    def __enter__(self) -> "OriginalPeer":
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


class FramedPeer:
    """A client or miner of the framed dialect."""

    def __init__(
        self, port: int, timeout: float = DEADLINE, source: str = "127.0.0.1", **hello: Any
    ) -> None:
        self.socket = socket.create_connection(
            ("127.0.0.1", port), timeout, source_address=(source, 0)
        )
        self._lines = self.socket.makefile("rb")
        self.send(hello="misocoin-work", version=1, **hello)
        self.welcome = self.answer()

    def send(self, **message: Any) -> None:
        """Send a line."""
        self.socket.sendall(json.dumps(message).encode() + b"\n")

    def answer(self) -> dict[str, Any]:
        """The next line."""
        line = self._lines.readline()
        assert line, "the service has hung up"
        answer = json.loads(line)
        assert isinstance(answer, dict)
        return answer

    def answer_to(self, request: int | str, *statuses: str) -> dict[str, Any]:
        """The next answer to a request that has one of these statuses, or is an error."""
        while True:
            answer = self.answer()
            is_wanted = not statuses or answer.get("status") in statuses or "error" in answer
            if answer.get("id") == request and is_wanted:
                return answer

    def is_closed(self) -> bool:
        """Whether the other end hangs up without another word."""
        try:
            return self._lines.readline() == b""
        except ConnectionResetError:
            return True

    def close(self) -> None:
        """Hang up."""
        self._lines.close()
        self.socket.close()

    def __enter__(self) -> "FramedPeer":
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()
