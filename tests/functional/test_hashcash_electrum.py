"""The picture that the gates were made for, of programs that others wrote but for the middle:

Electrum -> gate beside it -> gate before the server -> ElectrumX -> Misocoin's regtest node.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import venv
from decimal import Decimal

import pytest

from tests.functional.framework.daemon import DEADLINE, Daemon, free_port, wait_until
from tests.functional.framework.hashcash import GateProcess

pytestmark = pytest.mark.tools

ELECTRUMX = "e-x==1.16.0"
"""ElectrumX as PyPI has it, for Bitcoin; the package of its own name serves another coin."""


@pytest.fixture(scope="module")
def electrumx(tmp_path_factory):
    """The server's program, in an environment of its own."""
    folder = tmp_path_factory.mktemp("electrumx") / "venv"
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    command = [python, "-m", "pip", "install", "--quiet", ELECTRUMX, "plyvel", "setuptools"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=400)
    if ended.returncode:
        pytest.skip(f"{ELECTRUMX} cannot be installed: {ended.stderr.strip()[-200:]}")
    return [python, folder / "bin" / "electrumx_server"]


class Program:
    """A program of somebody else's, ended with the test."""

    def __init__(self, command, log, **environment):
        self.path = log
        with log.open("w") as file:
            self.process = subprocess.Popen(
                command, stdout=file, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                env={"PATH": os.environ["PATH"], "HOME": str(log.parent), **environment},
            )  # fmt: skip

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Electrum:
    """A daemon of Electrum's with a fresh wallet, and its commands."""

    def __init__(self, home, port):
        self._home = home
        self.call("create", "--offline")
        self._daemon = Program(
            [*self._words("daemon"), "-s", f"127.0.0.1:{port}:t", "--oneserver"],
            home / "electrum.log",
        )

    def _words(self, *words):
        return ["electrum", "--regtest", "-D", str(self._home / "electrum"), *words]

    def call(self, *words):
        ended = subprocess.run(
            self._words(*words), capture_output=True, text=True, check=False, timeout=DEADLINE,
            env={"PATH": os.environ["PATH"], "HOME": str(self._home)}, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert ended.returncode == 0, ended.stderr + ended.stdout
        try:
            return json.loads(ended.stdout, parse_float=Decimal)
        except ValueError:
            return ended.stdout.strip()

    def is_connected(self):
        try:
            return self.call("getinfo")["connected"]
        except (AssertionError, TypeError, KeyError):
            return False

    def close(self):
        self._daemon.close()


def accepts(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def test_electrum_receives_pays_and_sees_it_confirmed(electrumx, tmp_path):
    if shutil.which("electrum") is None:
        pytest.skip("electrum is not installed (Debian: electrum)")
    things = []
    try:
        node = Daemon(tmp_path / "node").start()
        things.append(node)
        node.rpc.generate(110)
        cookie = (node.folder / ".cookie").read_text()
        served = free_port()
        folder = tmp_path / "db"
        folder.mkdir()
        things.append(
            Program(
                electrumx,
                tmp_path / "electrumx.log",
                COIN="Bitcoin",
                NET="regtest",
                DAEMON_URL=f"http://{cookie}@127.0.0.1:{node.port}/",
                DB_DIRECTORY=str(folder),
                SERVICES=f"tcp://127.0.0.1:{served}",
                PEER_DISCOVERY="",
                ALLOW_ROOT="1",
            )
        )
        wait_until(lambda: accepts(served), f"ElectrumX serves; see {things[-1].path}")
        server = GateProcess(tmp_path, "server", served, "-service=electrum")
        things.append(server)
        client = GateProcess(tmp_path, "client", server.port, "-service=electrum", "-version=2")
        things.append(client)
        electrum = Electrum(tmp_path, client.port)
        things.append(electrum)
        wait_until(electrum.is_connected, "Electrum is connected")
        electrum.call("load_wallet")

        def balance(kind):
            return Decimal(electrum.call("getbalance").get(kind, "0"))

        address = electrum.call("getunusedaddress")
        node.rpc.send_misocoin(address, "5")
        wait_until(lambda: balance("unconfirmed") == 5, "Electrum sees the payment")
        node.rpc.generate(1)
        wait_until(lambda: balance("confirmed") == 5, "Electrum sees it confirmed")

        before = Decimal(node.rpc.get_balance())
        payment = electrum.call("payto", node.rpc.get_new_address(), "2", "--fee=0.0001")
        txid = electrum.call("broadcast", payment)
        node.rpc.generate(101)
        wait_until(lambda: balance("confirmed") == Decimal("2.9999"), "the change is confirmed")
        history = electrum.call("onchain_history")["transactions"]
        assert [one["txid"] for one in history][-1] == txid
        assert history[-1]["confirmations"] == 101
        assert Decimal(node.rpc.get_balance()) > before + 2
        electrum.close()
        client.stop()
        server.stop()
        asked = int(server.log.wait_for(r"stopped; (\d+) requests went through")[1])
        assert asked >= 10
        sys.stderr.write(f"{asked} requests went through both gates\n")
    finally:
        for thing in reversed(things):
            thing.close()
