"""Daemons on hosts of their own: network namespaces on one switch, whose cables can be cut.

Needs root and `ip` (iproute2). Hosts are 198.18.0.1 and up (RFC 2544's test network).
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.functional.framework.daemon import ROOT, Log, clean_environment, wait_until

pytestmark = pytest.mark.long

PORT = 4000


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


class Host:
    """A namespace with a cable to the switch, and a daemon on it."""

    def __init__(self, lan: "Lan", number: int, folder: Path) -> None:
        self.lan, self.name = lan, f"{lan.name}h{number}"
        self.port_name = f"{lan.name}p{number}"
        self.address = f"198.18.0.{number}"
        self.folder = folder
        self.environment = clean_environment(folder.parent)
        ip("netns", "add", self.name)
        ip("-n", self.name, "link", "set", "lo", "up")
        ip("link", "add", "eth0", "netns", self.name, "type", "veth", "peer", "name",
           self.port_name, "netns", lan.name)  # fmt: skip
        ip("-n", lan.name, "link", "set", self.port_name, "master", "sw", "up")
        ip("-n", self.name, "addr", "add", f"{self.address}/24", "dev", "eth0")
        ip("-n", self.name, "link", "set", "eth0", "up")
        self._process: subprocess.Popen[str] | None = None

    def _inside(self, script: str, *words: str) -> list[str]:
        where = [f"-datadir={self.folder}", "-chain=regtest", f"-port={PORT}"]
        return [
            "ip", "netns", "exec", self.name, sys.executable, str(ROOT / script), *where, *words,
        ]  # fmt: skip

    def start(self, *options: str) -> None:
        self._process = subprocess.Popen(
            self._inside("misocoind.py", "-host=0.0.0.0", "-par=1", *options),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self.environment,
        )
        self.log = Log(self._process)
        self.log.wait_for("listening on")

    def call(self, *words: str) -> Any:
        done = subprocess.run(
            self._inside("misocoin-cli.py", *words),
            capture_output=True, text=True, env=self.environment, check=True, timeout=60,
        )  # fmt: skip
        return json.loads(done.stdout) if done.stdout.strip()[:1] in '[{"' else done.stdout.strip()

    def tip(self) -> str:
        return str(self.call("get_info")["best_block"])

    def cut(self) -> None:
        """Pull the cable."""
        ip("-n", self.lan.name, "link", "set", self.port_name, "down")

    def plug(self) -> None:
        """Put it back."""
        ip("-n", self.lan.name, "link", "set", self.port_name, "up")

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self.log.close()
        ip("netns", "del", self.name)


class Lan:
    """A switch, in a namespace of its own."""

    def __init__(self, folder: Path) -> None:
        self.name = f"mc{os.getpid() % 100_000}"
        self.folder = folder
        self.hosts: list[Host] = []
        ip("netns", "add", self.name)
        ip("-n", self.name, "link", "add", "sw", "type", "bridge")
        ip("-n", self.name, "link", "set", "sw", "up")

    def add(self) -> Host:
        number = len(self.hosts) + 1
        host = Host(self, number, self.folder / f"host{number}")
        self.hosts.append(host)
        return host

    def close(self) -> None:
        for host in self.hosts:
            host.close()
        ip("netns", "del", self.name)


@pytest.fixture
def lan(tmp_path: Path) -> Iterator[Lan]:
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("needs root and iproute2")
    try:
        made = Lan(tmp_path)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no network namespaces here: {error.stderr.strip()}")
    yield made
    made.close()


def test_cables_are_cut_and_put_back(lan: Lan) -> None:
    one, two, three = (lan.add() for _ in range(3))
    one.start()
    for host in (two, three):
        host.start(f"-nodes={one.address}:{PORT}")
    one.call("generate", "10")
    for host in (two, three):
        wait_until(lambda host=host: host.tip() == one.tip(), "all have the chain")

    three.cut()
    three.call("generate", "20")
    one.call("generate", "25")
    wait_until(lambda: two.tip() == one.tip(), "the others go on")
    assert three.tip() != one.tip()

    three.plug()
    wait_until(lambda: three.tip() == one.tip(), "the one that was cut off joins", 180)
    three.call("generate", "1")
    for host in (one, two):
        wait_until(lambda host=host: host.tip() == three.tip(), "its news arrive again", 120)
