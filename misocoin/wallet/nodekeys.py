"""Where a node keeps its keys: `wallet.json`, and the `wallet.pem` of older data folders.

A new data folder gets a wallet of words (HD). One that holds a `wallet.pem` alone goes on with it:
new keys are added there. A key given by option stands there, too, if it is the first. Once the
wallet is encrypted, everything is in `wallet.json` and no bare key stays behind.
"""

import logging
from dataclasses import replace
from itertools import count
from pathlib import Path

from misocoin.crypto.keys import PrivateKey
from misocoin.errors import KeyFormatError, WalletError
from misocoin.params import Params
from misocoin.wallet.keychain import Keychain
from misocoin.wallet.keyfile import (
    append_key,
    read_keys,
    read_private_file,
    remove_private_file,
    write_keys,
    write_private_file,
)
from misocoin.wallet.walletfile import (
    Secrets,
    WalletFile,
    bytes_from_wallet_file,
    new_wallet_file,
    wallet_file_from_bytes,
)
from misocoin.wallet.words import new_words

log = logging.getLogger(__name__)


def open_node_keys(
    params: Params, json_path: Path | None, pem_path: Path | None, imported: PrivateKey | None
) -> Keychain:
    """The node's keys; without any they are made and written first. In memory for no paths.

    `imported` becomes the key to which is mined. Raises KeyFormatError or WalletError.
    """
    storage = _Storage(params, json_path, pem_path)
    key = None if imported is None else PrivateKey(imported.secret)
    keychain = Keychain(params, storage.load(key), storage.save)
    if key is not None:
        if key.public_key not in keychain.file.public_keys:
            keychain.import_key(key)
        keychain.prefer(key)
    return keychain


def wallet_file_from_path(path: Path, params: Params) -> WalletFile:
    """Read a wallet file or a backup of one. Raises KeyFormatError or WalletError."""
    data = read_private_file(path)
    if data is None:
        raise WalletError(f"{path}: no such file")
    try:
        return wallet_file_from_bytes(data, params)
    except KeyFormatError as error:
        raise KeyFormatError(f"{path}: {error}") from None


def replace_node_keys(
    params: Params, json_path: Path | None, pem_path: Path | None, file: WalletFile, now: int
) -> Keychain:
    """Put another wallet in the place of the node's; its files stay under names with the time.

    Raises WalletError; then the old one is still in its place.
    """
    if not file.accounts and not file.public_keys:
        raise WalletError("that wallet file holds no keys")
    kept = []
    for path in (json_path, pem_path):
        data = None if path is None else read_private_file(path)
        if path is not None and data is not None:
            aside = _free_name(path, now)
            write_private_file(aside, data)
            kept.append((path, aside))
    storage = _Storage(params, json_path, pem_path)
    try:
        # In the place of the old file, never after it: without any a node makes new words.
        storage.save(file)
    except WalletError:
        for path, aside in kept:
            aside.replace(path)
        raise
    if pem_path is not None and (file.accounts or not isinstance(file.secrets, Secrets)):
        pem_path.unlink(missing_ok=True)
    for path, aside in kept:
        log.info("%s: kept as %s", path, aside.name)
    return Keychain(params, file, storage.save)


def _free_name(path: Path, now: int) -> Path:
    names = (f"{path.stem}-{now + turn}{path.suffix}" for turn in count())
    return next(aside for aside in map(path.with_name, names) if not aside.exists())


class _Storage:
    """The two files as one wallet."""

    def __init__(self, params: Params, json_path: Path | None, pem_path: Path | None) -> None:
        self._params = params
        self._json = json_path
        self._pem = pem_path
        self._in_pem = 0  # sections of the file, the same key twice included
        self._pem_keys: list[PrivateKey] = []

    def load(self, imported: PrivateKey | None) -> WalletFile:
        file = self._read_json()
        loose = [] if self._pem is None else read_keys(self._pem)
        if file is None and not loose and imported is None:
            file = new_wallet_file(Secrets(new_words()), self._params)
            self.save(file)
            return file
        if file is not None and (file.accounts or file.secrets is not None):
            return self._merged(file, loose)
        if imported is not None and loose[:1] != [imported]:
            loose = [imported, *(key for key in loose if key.secret != imported.secret)]
            if self._pem is not None:
                write_keys(self._pem, loose)
        self._in_pem = len(loose)
        self._pem_keys = list({key.secret: key for key in loose}.values())
        public_keys = tuple(key.public_key for key in self._pem_keys)
        secrets = Secrets(keys=tuple(self._pem_keys))
        return replace(file or WalletFile(), secrets=secrets, public_keys=public_keys)

    def save(self, file: WalletFile) -> None:
        if isinstance(file.secrets, Secrets) and not file.accounts:
            self._save_loose(file, file.secrets)
            return
        if self._json is not None:
            write_private_file(self._json, bytes_from_wallet_file(file, self._params))
        if file.secrets is not None and not isinstance(file.secrets, Secrets):
            self._remove_pem()

    def _read_json(self) -> WalletFile | None:
        if self._json is None:
            return None
        return wallet_file_from_path(self._json, self._params) if self._json.exists() else None

    def _merged(self, file: WalletFile, loose: list[PrivateKey]) -> WalletFile:
        """A file with accounts, and the keys that lie beside it."""
        new = {key.public_key: key for key in loose if key.public_key not in file.public_keys}
        if not isinstance(file.secrets, Secrets):
            if new:
                raise WalletError(
                    f"{self._pem}: bare keys beside an encrypted wallet: move the file away, "
                    "unlock the wallet and import them"
                )
            self._remove_pem()  # also what a kill has left of its removal
            return file
        if not new:
            return file
        secrets = replace(file.secrets, keys=(*file.secrets.keys, *new.values()))
        merged = replace(file, secrets=secrets, public_keys=(*file.public_keys, *new))
        self.save(merged)
        return merged

    def _save_loose(self, file: WalletFile, secrets: Secrets) -> None:
        """Keep single keys in the PEM file, and labels and notes in the other."""
        for key in secrets.keys[len(self._pem_keys) :]:
            if self._pem is not None and self._in_pem:
                append_key(self._pem, key, self._in_pem)
            elif self._pem is not None:
                write_keys(self._pem, [key])
            self._in_pem += 1
            self._pem_keys.append(key)
        bare = replace(file, secrets=None, public_keys=())
        if self._json is not None and (file.labels or file.notes or self._json.exists()):
            write_private_file(self._json, bytes_from_wallet_file(bare, self._params))

    def _remove_pem(self) -> None:
        if self._pem is not None and remove_private_file(self._pem):
            log.info("%s: removed, its keys are in the encrypted wallet", self._pem)
