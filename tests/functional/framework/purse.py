"""Wallet commands called in this process, over a folder beside a node on regtest."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from misocoin.cli.wallet_common import LIGHT_FILE
from misocoin.http.client import HttpClient
from misocoin.params import regtest
from misocoin.wallet.keyfolder import KeyFolder
from misocoin.wallet.light.payments import PaymentState
from misocoin.wallet.light.rest_node import RestNode
from misocoin.wallet.light.store import LightStore
from misocoin.wallet.light.sync import SyncReport, sync
from misocoin.wallet.light.wallet import LightWallet
from tests.functional.framework.daemon import Daemon

COIN = 100_000_000
Run = Callable[..., tuple[int, str, str]]
"""Runs a command: its exit code, what it printed, what it said of errors."""


class Purse:
    """A wallet folder beside a node."""

    def __init__(self, path: Path, daemon: Daemon) -> None:
        self.path = path
        self.node = f"127.0.0.1:{daemon.port}"
        self.params = regtest()

    @contextmanager
    def open(self) -> Iterator[tuple[LightWallet, LightStore, KeyFolder]]:
        folder = KeyFolder(self.path, self.params)
        with closing(LightStore(self.path / LIGHT_FILE, self.params)) as store:
            yield LightWallet(self.params, store, folder), store, folder

    def sync(self) -> SyncReport:
        with self.open() as (_, store, folder), closing(HttpClient()) as http:
            nodes = [RestNode(self.node, http)]
            report = sync(self.params, store, folder, nodes, int(time.time()))
            assert report.is_complete, report
            return report

    def available(self) -> int:
        with self.open() as (wallet, _, _):
            return wallet.balance(int(time.time())).available

    def states(self) -> list[PaymentState]:
        with self.open() as (wallet, _, _):
            return [each.state for each in wallet.payments(int(time.time()))]


def new(run: Run, name: str, command: str = "new-address") -> str:
    """Make keys; returns their address."""
    match = re.search(r"address (bcrt1\w+)", run(command, name)[1])
    assert match
    return match[1]


def fund(daemon: Daemon, purse: Purse, address: str, blocks: int = 1) -> None:
    daemon.rpc.generatetoaddress(blocks, address)
    daemon.rpc.generatetoaddress(100, daemon.rpc.get_new_address())
    purse.sync()
