"""ElectrumX on a node, and the Electrum wallet on a server, both of other people's making."""

import json
import os
import socket
import subprocess
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.functional.framework.daemon import DEADLINE, Daemon, reserved_port, wait_until
from tests.functional.framework.registries import ToolProcess, find_program, run

ELECTRUMX = "e-x==2.0.0"
"""ElectrumX as PyPI has it for Bitcoin; the package of its own name serves another coin."""


class ElectrumX(ToolProcess):
    """ElectrumX serving a regtest node's chain on `port`."""

    def __init__(self, home: Path, programs: Path, node: Daemon) -> None:
        user, password = node.credentials
        database = home / "electrumx"
        database.mkdir()
        self._held = ExitStack()
        self.port = self._held.enter_context(reserved_port())
        super().__init__(
            home / "electrumx.log",
            [programs / "python", programs / "electrumx_server"],
            COIN="Bitcoin",
            NET="regtest",
            DB_ENGINE="leveldb",
            DAEMON_URL=f"http://{user}:{password}@127.0.0.1:{node.port}/",
            DB_DIRECTORY=str(database),
            SERVICES=f"tcp://127.0.0.1:{self.port}",
            PEER_DISCOVERY="off",
            ALLOW_ROOT="1",
            COST_SOFT_LIMIT="0",
            COST_HARD_LIMIT="0",
        )

    def close(self) -> None:
        super().close()
        self._held.close()

    def wait(self) -> None:
        """Until it has read the chain and serves."""
        wait_until(lambda: self._accepts() or not self.is_running, "ElectrumX serves")
        assert self.is_running, self.log

    def _accepts(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True


class _Commands:
    """Electrum's commands on regtest, over a folder of its own."""

    def __init__(self, home: Path) -> None:
        self._program = find_program("electrum")
        self._home = home
        self._environment = {"PATH": os.environ["PATH"], "HOME": str(home)}

    def _words(self, *words: str) -> list[str]:
        return [self._program, "--regtest", "-D", str(self._home / "electrum"), *words]

    def _run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return run(self._words(*words), environment=self._environment, timeout=DEADLINE)

    def call(self, *words: str) -> Any:
        """A command's answer; fails with what it says when it fails."""
        ended = self._run(*words)
        assert ended.returncode == 0, ended.stderr + ended.stdout
        try:
            return json.loads(ended.stdout, parse_float=Decimal)
        except ValueError:
            return ended.stdout.strip()


class OfflineElectrum(_Commands):
    """A wallet of Electrum's that never sees a network."""

    def __init__(self, home: Path, name: str) -> None:
        super().__init__(home)
        self.path = home / name

    def call(self, *words: str) -> Any:
        """As for every wallet of Electrum's; text, where an answer is not JSON."""
        return super().call(words[0], "--offline", "-w", str(self.path), *words[1:])

    def write_multisig(self, xprv: str, origin: str, path: str, *others: str) -> None:
        """Be one of several who have to sign, two of them at a time.

        That is what the dialogue of a new wallet writes; there is no command for it. All extended
        keys as Zpub and Zprv; `origin` is the fingerprint of the master key.
        """
        public = others[0]
        own = {"type": "bip32", "xpub": public, "xprv": xprv, "derivation": path}
        stores = [own | {"root_fingerprint": origin}]
        stores += [{"type": "bip32", "xpub": key, "xprv": None} for key in others[1:]]
        form = {f"x{number}/": store for number, store in enumerate(stores, 1)}
        head = {"wallet_type": f"2of{len(stores)}", "use_encryption": False, "seed_version": 17}
        self.path.write_text(json.dumps(head | form))


class Electrum(_Commands):
    """A daemon of Electrum's with a fresh wallet, and its commands."""

    def __init__(self, home: Path, port: int) -> None:
        super().__init__(home)
        self.call("create", "--offline")
        self._daemon = ToolProcess(
            home / "electrum.log",
            [*self._words("daemon"), "--oneserver", "--server", f"127.0.0.1:{port}:t"],
        )
        try:
            wait_until(self._is_connected, f"Electrum is connected; see {self._daemon.path}")
        except BaseException:
            self.close()
            raise
        self.call("load_wallet")

    def _is_connected(self) -> bool:
        ended = self._run("getinfo")
        return ended.returncode == 0 and bool(json.loads(ended.stdout).get("connected"))

    def balance(self, kind: str) -> Decimal:
        """What it holds: `confirmed`, `unconfirmed` or `unmatured`."""
        return Decimal(self.call("getbalance").get(kind, "0"))

    def history(self) -> dict[str, int]:
        """Its transactions, each with its confirmations, the oldest first."""
        listed = self.call("onchain_history")["transactions"]
        return {one["txid"]: one["confirmations"] for one in listed}

    def pay(self, address: str, amount: str, fee: str) -> str:
        """Sign and send a payment; its id."""
        return str(self.call("broadcast", self.call("payto", address, amount, f"--fee={fee}")))

    def close(self) -> None:
        self._daemon.close()
