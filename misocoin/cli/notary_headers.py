"""Where the notary's headers come from: the light wallet, a file, or nodes."""

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from misocoin.cli.command import UsageError
from misocoin.cli.wallet_common import LIGHT_FILE, params_of, wallet_path
from misocoin.errors import ParseError, ValidationError, WalletError
from misocoin.http.client import HttpClient
from misocoin.options import Option
from misocoin.params import Params
from misocoin.primitives.block import HEADER_SIZE, BlockHeader, header_from_bytes
from misocoin.wallet.light.errors import NodeFailed, NodeLied
from misocoin.wallet.light.headers import follow
from misocoin.wallet.light.rest_node import RestNode
from misocoin.wallet.light.store import LightStore

HEADERS = Option(
    "headers",
    "Headers",
    "Check against the headers in this file, 80 bytes each, from the first block on, as wallet "
    "export-headers writes them.",
    Path,
    placeholder="file",
    default_text="those that wallet sync has checked",
)

_BATCH = 2000


@contextmanager
def open_headers(values: Mapping[str, Any]) -> Iterator[LightStore]:
    """A chain of headers that was checked by all rules.

    It is that of the file or of the nodes that were named, otherwise the wallet's; the wallet's
    store alone has transactions. Raises UsageError, WalletError, StoreError or ValidationError.
    """
    params, path, nodes = params_of(values), values["headers"], values["nodes"]
    if path is not None:
        with closing(LightStore(None, params)) as store:
            _read(path, store, params)
            yield store
    elif nodes:
        with closing(LightStore(None, params)) as store, closing(HttpClient()) as http:
            _follow([RestNode(address, http) for address in nodes], store)
            yield store
    else:
        light = wallet_path(values) / LIGHT_FILE
        if not light.exists():
            raise UsageError(
                f"{light.parent} has no headers to check against: wallet sync fetches them, "
                "-headers=<file> and -nodes=<host:port> name others"
            )
        with closing(LightStore(light, params)) as store:
            yield store


def _read(path: Path, store: LightStore, params: Params) -> None:
    window = store.window(0)
    now = int(time.time())
    try:
        with path.open("rb") as file:
            first = file.read(HEADER_SIZE)
            if first != params.genesis.header.serialize():
                raise ParseError(f"{path} does not begin with the first header of {params.name}")
            while data := file.read(HEADER_SIZE * _BATCH):
                height, work = window.height, window.work
                batch = _headers_from_bytes(data, path)
                for header in batch:
                    window.extend(header, now)
                store.append_headers(batch, height + 1, work)
    except OSError as error:
        raise WalletError(f"{path}: {error.strerror}") from error
    except ValidationError as error:
        raise ParseError(f"{path}: header {window.height + 1} breaks a rule: {error}") from error


def _headers_from_bytes(data: bytes, path: Path) -> list[BlockHeader]:
    if len(data) % HEADER_SIZE:
        raise ParseError(f"{path} ends in the middle of a header")
    return [
        header_from_bytes(data[at : at + HEADER_SIZE]) for at in range(0, len(data), HEADER_SIZE)
    ]


def _follow(nodes: list[RestNode], store: LightStore) -> None:
    answered = False
    for node in nodes:
        try:
            follow(node, store, int(time.time()))
        except (NodeFailed, NodeLied) as error:
            print(f"Warning: {error}", file=sys.stderr)
        else:
            answered = True
    if not answered:
        raise WalletError("no node gave headers to check against")
