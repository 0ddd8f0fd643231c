"""The command `wallet export-headers`: the checked chain, for a machine without a network."""

import os
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from misocoin.cli.command import Command
from misocoin.cli.wallet_common import LIGHT_FILE, PLACE, params_of, wallet_path
from misocoin.errors import WalletError
from misocoin.primitives.block import HEADER_SIZE
from misocoin.wallet.light.store import LightStore

_BATCH = 10_000


def _export(values: Mapping[str, Any], words: tuple[str, ...]) -> int:
    path, params = Path(words[0]), params_of(values)
    light = wallet_path(values) / LIGHT_FILE
    if not light.exists():
        raise WalletError(f"{light.parent} has no headers: wallet sync fetches them")
    with closing(LightStore(light, params)) as store:
        try:
            _check_replaceable(path, params.genesis.header.serialize())
            count = _write(store, path)
        except OSError as error:
            raise WalletError(f"{path}: {error.strerror}") from error
    print(f"{path}: {count} headers of chain {params.name}; verify -headers={path} reads them")
    return 0


def _check_replaceable(path: Path, first: bytes) -> None:
    """Check that nothing but older headers of the chain is overwritten. Raises WalletError."""
    if not os.path.lexists(path):
        return
    if not path.is_file():
        raise WalletError(f"{path}: not a file")
    with path.open("rb") as file:
        if file.read(HEADER_SIZE) != first:
            raise WalletError(f"{path}: is there already, and holds no headers of this chain")


def _write(store: LightStore, path: Path) -> int:
    """Write all headers: the whole file or nothing. Returns how many; raises OSError."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    count = 0
    try:
        with temporary.open("xb") as file:
            while data := store.header_bytes(count, _BATCH):
                file.write(data)
                count += len(data) // HEADER_SIZE
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return count


COMMANDS = (
    Command(
        "export-headers",
        "Write the headers that sync has checked to a file, for verify on another machine.",
        _export,
        PLACE,
        "<file>",
        1,
        1,
    ),
)
