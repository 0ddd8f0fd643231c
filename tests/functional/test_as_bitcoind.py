"""What a script that starts bitcoind does, done to a node."""

import hashlib
import hmac
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from misocoin.http.errors import HttpRefused
from misocoin.http.jsonrpc import JsonRpcClient
from tests.functional.conftest import ReservePort
from tests.functional.framework.daemon import ROOT, clean_environment, wait_until


class Script:
    """Starts daemon and tool as the user's script would."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder / "data"
        self.environment = clean_environment(folder)
        self.port = port
        self.where = ["-regtest", f"-datadir={self.folder}", f"-rpcport={self.port}"]

    def run(self, program: str, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(ROOT / program), *self.where, *words],
            capture_output=True,
            text=True,
            timeout=60,
            env=self.environment,
            check=False,
        )

    def daemon(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.run("misocoind.py", *words)

    def cli(self, *words: str) -> str:
        done = self.run("misocoin-cli.py", *words)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def script(tmp_path: Path, reserve_port: ReservePort) -> Script:
    return Script(tmp_path, reserve_port())


def test_a_daemon_in_the_background(script: Script, reserve_port: ReservePort) -> None:
    other = reserve_port()
    salt, secret = "5a17", "geheim"
    digest = hmac.new(salt.encode(), secret.encode(), hashlib.sha256).hexdigest()
    done = script.daemon(
        "-daemonwait", "-server", "-txindex=1", "-fallbackfee=0.0002", "-pid=node.pid",
        "-wallet=main", "-mocktime=1700000000", f"-port={other}", f"-rpcauth=me:{salt}${digest}",
        "-rpcwhitelist=me:get_balance", "-rpcwhitelistdefault=0", "-rpccookieperms=group",
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "Misocoin daemon starting\n", "")
    pid = int((script.folder / "node.pid").read_text())
    assert int((script.folder / "regtest" / "node.pid").read_text()) == pid
    try:
        log = (script.folder / "debug.log").read_text()
        assert "without effect here: -fallbackfee, -server" in log
        assert f"listening on http://127.0.0.1:{script.port} and http://127.0.0.1:{other}" in log
        cookie = (script.folder / "regtest" / ".cookie").read_text()
        for credentials, port in ((tuple(cookie.split(":")), other), (("me", secret), script.port)):
            client = JsonRpcClient(f"http://127.0.0.1:{port}", credentials)
            assert client.call("get_balance") == 0
            if credentials[0] == "me":
                with pytest.raises(HttpRefused, match="403"):
                    client.call("get_balances")
            client.close()
        assert (script.folder / ".cookie").stat().st_mode & 0o777 == 0o640
        stranger = JsonRpcClient(f"http://127.0.0.1:{script.port}", ("me", "wrong"))
        with pytest.raises(HttpRefused):
            stranger.call("get_balance")
        stranger.close()
        assert script.cli("-rpcwait", "get_info").startswith("{")
        assert script.cli("-rpcwallet=main", "getbalance") == "0.00000000"
        (block,) = json.loads(script.cli("-generate", "1"))["blocks"]
        assert json.loads(script.cli("getblockheader", block))["time"] == 1_700_000_000
        # A second one must not get anywhere, and say so on the terminal.
        again = script.daemon("-daemonwait")
        assert again.returncode == 1
        assert "in use" in again.stderr
        assert script.cli("stop") == "misocoind is stopping"
        wait_until(lambda: not is_alive(pid), "it ends")
    finally:
        if is_alive(pid):
            os.kill(pid, 9)
    # Where bitcoind would have its messages there is a link to them, and nothing else is left.
    (link,) = (script.folder / "regtest").iterdir()
    assert link.name == "debug.log"
    assert link.read_text().rstrip().endswith("stopped")
    assert not (script.folder / "node.pid").exists()


def test_the_tool_waits_for_a_daemon_that_was_only_started(script: Script) -> None:
    done = script.daemon("-daemon")
    assert done.returncode == 0
    assert script.cli("-rpcwait", "-rpcwaittimeout=60", "uptime").isdigit()
    pid_known = script.cli("stop")
    assert pid_known
    wait_until(lambda: not (script.folder / ".cookie").exists(), "it ends")


def test_an_error_in_the_background_is_in_the_log(script: Script) -> None:
    script.folder.mkdir()
    (script.folder / "wallet.pem").write_text("no key")
    done = script.daemon("-daemonwait")
    assert done.returncode == 1
    assert "wallet.pem" in done.stderr
    assert "error:" in (script.folder / "debug.log").read_text()
