"""A real bitcoind: the one that `BITCOIND` names, this machine's, or Debian's Bitcoin Knots.

Knots is Bitcoin Core with other defaults of policy and more options: the same consensus code, RPC
and REST. Core itself is in no registry that a test could have it from by name.
"""

import hmac
import os
import shutil
import signal
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from misocoin.http.client import HttpClient
from misocoin.http.errors import HttpError, RpcError
from misocoin.http.jsonrpc import JsonRpcClient
from tests.functional.framework.daemon import DEADLINE, Rpc, reserved_port, wait_until
from tests.functional.framework.registries import Registries, ToolProcess

KNOTS = ("bitcoin-knots", "trixie", "trixie-backports")
"""The package, the release whose libraries it wants, the suite that has it."""

CREDENTIALS = ("u", "p")

RPC_AUTH = "u:00$" + hmac.digest(b"00", b"p", "sha256").hex()
"""The same for `-rpcauth`, which leaves the cookie in force beside it."""

AS_IN_EARNEST = (
    "-checkblockindex=0", "-checkmempool=0", "-corepolicy", "-blockmaxweight=4000000",
)  # fmt: skip
"""For measuring: without the checks of itself that it makes on regtest alone, Core's policy."""


def named_bitcoind() -> Path | None:
    """The one that `BITCOIND` names, or this machine's; None where there is neither."""
    found = shutil.which(os.environ.get("BITCOIND") or "bitcoind")
    return Path(found).absolute() if found else None


def bitcoind_program(registries: Registries, name: str = "bitcoind") -> Path:
    """The path of one of its programs (bitcoin-cli, bitcoin-tx, …), or the test is skipped."""
    found = named_bitcoind()
    if found is not None and found.with_name(name).exists():
        return found.with_name(name)
    return registries.debian(*KNOTS) / name


class Bitcoind:
    """One without neighbours, on free ports; it serves REST and keeps all indexes.

    It may be stopped and started any number of times; `options` may be changed in between.
    """

    OPTIONS = ("-listen=0", "-rest", "-txindex", "-fallbackfee=0.0002", "-printtoconsole")

    def __init__(self, program: Path, folder: Path, *options: str, chain: str = "regtest") -> None:
        self.program = program
        self.chain = chain
        self.folder = folder
        self.options = options
        self._held = ExitStack()
        self.port = self._held.enter_context(reserved_port())
        self._http = HttpClient()
        self._process: ToolProcess | None = None

    @property
    def address(self) -> str:
        """What `-nodes=` takes."""
        return f"127.0.0.1:{self.port}"

    @property
    def cookie(self) -> Path:
        """The file with the name and password of this start."""
        return self.folder / "regtest" / ".cookie"

    @property
    def client(self) -> JsonRpcClient:
        return JsonRpcClient(f"http://{self.address}", CREDENTIALS, self._http)

    @property
    def credentials(self) -> tuple[str, str]:
        """The name and password of every start."""
        return CREDENTIALS

    @property
    def rpc(self) -> Rpc:
        """Its methods, as a daemon of ours has them."""
        return Rpc(self.client)

    @property
    def log(self) -> str:
        return self._process.log if self._process else ""

    def launch(self) -> None:
        """Start the process, and do not wait for it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        command: Sequence[str | Path] = [
            self.program, f"-chain={self.chain}", f"-datadir={self.folder}",
            f"-rpcport={self.port}", f"-rpcauth={RPC_AUTH}", *self.OPTIONS, *self.options,
        ]  # fmt: skip
        self._process = ToolProcess(self.folder / "printed.log", command)

    def start(self) -> "Bitcoind":
        """Start it and wait until it answers calls."""
        self.launch()
        wait_until(self.is_answering, "bitcoind answers")
        return self

    def call(self, method: str, *params: Any, **named: Any) -> Any:
        """The result of a call; RpcError is what it refuses."""
        return self.client.call(method, *params, **named)

    def wallet(self, name: str) -> JsonRpcClient:
        """Calls to one of several wallets."""
        return JsonRpcClient(f"http://{self.address}/wallet/{name}", CREDENTIALS, self._http)

    def get(self, path: str) -> tuple[int, str, bytes]:
        """Status, Content-Type and body of a GET, of REST's paths."""
        answer = self._http.get(f"http://{self.address}{path}")
        return answer.status, answer.headers.get("Content-Type", ""), answer.body

    @property
    def pid(self) -> int:
        """The process's number."""
        assert self._process is not None, "it does not run"
        return self._process.pid

    def wait(self, timeout: float = DEADLINE) -> None:
        """Wait until it ends by itself, as `-stopafterblockimport` has it do."""
        assert self._process is not None, "it does not run"
        self._process.wait(timeout)
        self._process = None

    def signal(self, number: int) -> None:
        """Send the process a signal: to freeze it, or to end it as a power cut would."""
        os.kill(self.pid, number)
        if number == signal.SIGKILL:
            self.wait()

    def stop(self) -> None:
        if self._process is not None:
            self._process.close()
            self._process = None

    def close(self) -> None:
        self.stop()
        self._http.close()
        self._held.close()

    def is_answering(self) -> bool:
        """Whether a call succeeds in this moment; fails when the process has ended."""
        assert self._process is not None
        assert self._process.is_running, self._process.log[-2000:]
        try:
            self.call("uptime")
        except (HttpError, RpcError):
            return False
        return True
