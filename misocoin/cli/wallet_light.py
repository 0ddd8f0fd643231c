"""What the wallet's commands that know money have in common: the light wallet and its nodes."""

import fcntl
import socket
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from misocoin.cli.wallet_common import (
    LIGHT_FILE,
    node_from_text,
    open_folder,
    params_of,
    wallet_path,
)
from misocoin.errors import ConfigError, WalletError
from misocoin.hashcash.http import make_payer
from misocoin.http.client import HttpClient
from misocoin.option_table import DEFAULT_PORT
from misocoin.params import Params
from misocoin.peers.discovery import Finder
from misocoin.wallet.keyfolder import KeyFolder
from misocoin.wallet.light.ports import NodePort
from misocoin.wallet.light.rest_node import RestNode
from misocoin.wallet.light.store import LightStore
from misocoin.wallet.light.wallet import LightWallet

LOCK_FILE = ".sync"

FIND_SECONDS = 1.5
"""How long the first look around the local network takes."""

LOCAL_SECONDS = 0.5
"""How long a program on this machine may take to be there."""

REST_SECONDS = 30.0
"""How long a node that gave no usable answer is not asked."""


class OpenWallet:
    """Keys, and what is known of their money."""

    def __init__(self, folder: KeyFolder, store: LightStore) -> None:
        self.folder = folder
        self.store = store
        self.params: Params = folder.params
        self.light = LightWallet(folder.params, store, folder)


@contextmanager
def open_wallet(values: Mapping[str, Any]) -> Iterator[OpenWallet]:
    """The wallet in the folder that was asked for. Raises WalletError or StoreError."""
    folder = open_folder(values)
    with closing(LightStore(wallet_path(values) / LIGHT_FILE, params_of(values))) as store:
        yield OpenWallet(folder, store)


@contextmanager
def only_sync(path: Path) -> Iterator[None]:
    """Be the only one that syncs this folder's wallet; raises WalletError where one does."""
    try:
        with (path / LOCK_FILE).open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise WalletError(f"another sync of the wallet in {path} is running") from None
            yield
    except OSError as error:
        raise WalletError(f"{path / LOCK_FILE}: {error.strerror}") from error


def _is_anyone_at(port: int) -> bool:
    """Whether something listens on a port of this machine."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), LOCAL_SECONDS):
        return True
    return False


class Nodes:
    """The nodes to ask, as the options name them, or as they are found."""

    def __init__(self, values: Mapping[str, Any], store: LightStore, params: Params) -> None:
        """Raises ConfigError where nodes are to be discovered and cannot be."""
        self._given: tuple[str, ...] = values["nodes"]
        self._store = store
        self._http = HttpClient(pay=make_payer())
        self._known: dict[str, RestNode] = {}
        self._resting: dict[str, float] = {}  # by `monotonic`, until when
        self._finder: Finder | None = None
        genesis_hex = params.genesis.header.hash_hex
        if values["discover"]:
            self._finder = Finder(genesis_hex)
        elif values["discover"] is None and not self._given:
            with suppress(ConfigError):
                self._finder = Finder(genesis_hex)
        if self._finder is not None:
            self._finder.wait(FIND_SECONDS)

    def current(self) -> Sequence[NodePort]:
        """The nodes to ask in this round."""
        addresses = list(self._given)
        if self._finder is not None:
            addresses += [address.text for address in self._finder.addresses]
        if not self._given:
            addresses += [record.address for record in self._store.nodes() if record.height >= 0]
            if not addresses or _is_anyone_at(DEFAULT_PORT):
                addresses.append(node_from_text("localhost"))
        now = time.monotonic()
        return [
            self._known.setdefault(address, RestNode(address, self._http))
            for address in dict.fromkeys(addresses)
            if self._resting.get(address, 0) <= now
        ]

    def rest(self, lied: Iterable[str], failed: Iterable[str], answered: int) -> None:
        """Ask those that lied no more, and while others answer, those that failed not so soon."""
        until = time.monotonic() + REST_SECONDS
        self._resting.update(dict.fromkeys(lied, float("inf")))
        if answered:
            self._resting.update(dict.fromkeys(failed, until))

    def close(self) -> None:
        """Close connections, and stop looking for others."""
        if self._finder is not None:
            self._finder.close()
        self._http.close()
