"""A folder of named keys: one file for each name, `NAME.pem` for a key, `NAME.json` for a wallet.

Several processes may use the folder: whoever changes it holds its lock, and reads a file again
before changing it.
"""

import fcntl
import logging
import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from misocoin.crypto.keys import PrivateKey, is_public_key
from misocoin.crypto.pem import is_encrypted_pem, pem_from_key
from misocoin.errors import (
    AddressError,
    KeyFormatError,
    MisocoinError,
    NotFoundError,
    WalletError,
)
from misocoin.params import NETWORK_NAMES, Params, params_by_name
from misocoin.script.address import (
    address_from_script,
    network_of_address,
    script_from_address,
)
from misocoin.wallet.addresses import AddressType
from misocoin.wallet.keychain import Keychain
from misocoin.wallet.keyfile import (
    keys_from_bytes,
    read_private_file,
    write_private_file,
)
from misocoin.wallet.light.ports import Watched
from misocoin.wallet.walletfile import (
    SealedPem,
    Secrets,
    WalletFile,
    bytes_from_wallet_file,
    wallet_file_from_bytes,
)

log = logging.getLogger(__name__)

MAX_NAME = 64
"""Characters of a name."""

_NAME = re.compile(r"[\w][\w .@+-]*")
_PUBLIC_KEY = re.compile(rb"^Public key: ([0-9a-f]{66})\s*$", re.MULTILINE)
_CREATED = re.compile(rb"^Created: (\d{1,12})\s*$", re.MULTILINE)


def check_name(name: str) -> None:
    """Check that a key may be called so; raises WalletError.

    A name is no path, and not to be mistaken for an address.
    """
    if "/" in name or "\\" in name or name in {".", ".."}:
        raise WalletError(f"{name[:60]!r} has a path in it: a name is one word")
    if not _NAME.fullmatch(name) or len(name) > MAX_NAME or name != name.strip():
        raise WalletError(
            f"{name[:60]!r} is no name: letters, digits, blanks and . _ - @ +, at most {MAX_NAME}, "
            "a letter or digit first"
        )
    for network in NETWORK_NAMES:
        try:
            script_from_address(name, params_by_name(network))
        except AddressError:
            continue
        raise WalletError(f"{name!r} is an address, not a name")


class NamedKeys(NamedTuple):
    """One file of the folder."""

    name: str
    path: Path
    keychain: Keychain
    data: bytes
    """What stands in the file."""

    @property
    def is_wallet(self) -> bool:
        """Whether it is a wallet file, not a single key."""
        return self.path.suffix == ".json"

    @property
    def watched(self) -> Mapping[bytes, Watched]:
        """Every output script that is theirs."""
        watched = Watched(self.name, self.keychain.file.birth)
        return dict.fromkeys(self.keychain.scripts, watched)

    def note_used(self, scripts: Collection[bytes]) -> None:
        """Look further ahead, in memory alone; the folder's `note_used` remembers it."""
        for script in scripts:
            self.keychain.note_seen(script)


class KeyFolder:
    """The folder at `path`, made for its owner alone if need be.

    A file that cannot be used is left out, and the log says so once. It is never written to, its
    name stays taken, and whoever names it is told what is wrong. Raises WalletError where the
    folder cannot be used.
    """

    def __init__(self, path: Path, params: Params) -> None:
        self.path = path
        self.params = params
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except FileExistsError as error:
            raise WalletError(f"{path}: is a file, not a folder") from error
        except OSError as error:
            raise WalletError(f"{path}: {error.strerror}") from error
        self._keys: dict[str, NamedKeys] = {}
        self._broken: dict[str, MisocoinError] = {}
        self.reload()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            lock = os.open(self.path / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise WalletError(f"{self.path}: {error.strerror}") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    # -- reading ------------------------------------------------------------------------------

    def reload(self) -> None:
        """Read the folder as it is now; what did not change keeps its place."""
        places: dict[str, list[Path]] = {}
        for path in sorted(self.path.iterdir()):
            if path.suffix in {".pem", ".json"} and not path.name.startswith("."):
                places.setdefault(path.stem, []).append(path)
        found: dict[str, NamedKeys] = {}
        broken: dict[str, MisocoinError] = {}
        for name, paths in places.items():
            try:
                keys = self._read(paths)
            except (KeyFormatError, WalletError) as error:
                broken[name] = error
                if str(error) != str(self._broken.get(name)):
                    log.warning("%s; %s is left out", error, name)
            else:
                if keys is not None:
                    found[name] = keys
        self._keys, self._broken = found, broken

    def _read(self, paths: Sequence[Path]) -> NamedKeys | None:
        """What the one file of a name holds; None where it has gone.

        Raises KeyFormatError or WalletError.
        """
        path, name = paths[0], paths[0].stem
        if len(paths) > 1:
            raise WalletError(f"{self.path}: there are two files named {name}")
        data = read_private_file(path)
        if data is None:
            return None
        old = self._keys.get(name)
        is_same = old is not None and (old.path, old.data) == (path, data)
        return old if is_same else self._load(path, data)

    def _check_whole(self, name: str) -> None:
        """Raise what is wrong with the file of that name, if anything."""
        if name in self._broken:
            raise self._broken[name]

    def _load(self, path: Path, data: bytes) -> NamedKeys:
        try:
            if path.suffix == ".json":
                file = wallet_file_from_bytes(data, self.params)
            else:
                file = _file_from_pem(data)
        except KeyFormatError as error:
            raise KeyFormatError(f"{path}: {error}") from None

        def save(changed: WalletFile) -> None:
            self._save(path, changed)

        return NamedKeys(path.stem, path, Keychain(self.params, file, save), data)

    def _save(self, path: Path, file: WalletFile) -> None:
        if path.suffix == ".pem":
            raise WalletError(f"{path.stem} is a single key: it has one address")
        data = bytes_from_wallet_file(file, self.params)
        write_private_file(path, data)
        held = self._keys.get(path.stem)
        if held is not None:
            self._keys[path.stem] = held._replace(data=data)

    @property
    def all(self) -> list[NamedKeys]:
        """Every file, by name."""
        return list(self._keys.values())

    def get(self, name: str) -> NamedKeys:
        """The keys of that name. Raises NotFoundError, or what is wrong with their file."""
        self._check_whole(name)
        found = self._keys.get(name)
        if found is None:
            raise NotFoundError(f"no key or wallet is named {name[:60]!r} in {self.path}")
        return found

    def find(self, name_or_address: str) -> NamedKeys:
        """The keys of that name or with that address.

        Raises NotFoundError or AddressError, or what is wrong with the file of that name.
        """
        self._check_whole(name_or_address)
        if name_or_address in self._keys:
            return self._keys[name_or_address]
        try:
            script = script_from_address(name_or_address, self.params)
        except AddressError as error:
            if network_of_address(name_or_address) or not _NAME.fullmatch(name_or_address):
                raise
            raise NotFoundError(
                f"no key or wallet is named {name_or_address[:60]!r}, and it is no address "
                f"of chain {self.params.name}"
            ) from error
        for each in self._keys.values():
            if script in each.keychain.scripts:
                return each
        raise NotFoundError(f"{name_or_address[:100]} is not an address of this wallet")

    def script_of(self, name_or_address: str) -> bytes:
        """The output script of a local name or any address.

        Raises AddressError or WalletError, or what is wrong with the file of that name.
        """
        self._check_whole(name_or_address)
        if name_or_address in self._keys:
            return self._keys[name_or_address].keychain.script
        try:
            return script_from_address(name_or_address, self.params)
        except AddressError as error:
            raise AddressError(f"no key here has that name, and {error}") from None

    def address(self, script: bytes) -> str:
        """The address of an output script; empty where it has none."""
        return address_from_script(script, self.params) or ""

    # -- for whoever searches the chain -------------------------------------------------------

    @property
    def watched(self) -> Mapping[bytes, Watched]:
        """Every output script that is the folder's."""
        watched: dict[bytes, Watched] = {}
        for each in self._keys.values():
            watched |= each.watched
        return watched

    def note_used(self, scripts: Collection[bytes]) -> None:
        """Payments to these scripts were found: look further ahead, and remember it."""
        for name in list(self._keys):
            changed = [self._keys[name].keychain.note_seen(script) for script in scripts]
            if any(changed):
                with self._locked():
                    self._refreshed(name).keychain.save_indexes()

    def _refreshed(self, name: str) -> NamedKeys:
        """Keys as their file has them now, with what is known here of used addresses."""
        held = self._keys[name]
        data = read_private_file(held.path)
        if data is None:
            raise WalletError(f"{held.path}: is gone")
        if data == held.data:
            return held
        indexes = [account.next_indexes for account in held.keychain.file.accounts]
        fresh = self._load(held.path, data)
        fresh.keychain.raise_indexes(indexes)
        self._keys[name] = fresh
        return fresh

    # -- changing -----------------------------------------------------------------------------

    def _check_free(self, name: str) -> None:
        check_name(name)
        taken = {path.stem.casefold() for path in self.path.iterdir() if path.stem}
        if name.casefold() in taken:
            raise WalletError(f"the name {name!r} is taken")

    def add_key(
        self, name: str, key: PrivateKey, passphrase: bytes | None = None, birth: int = 0
    ) -> NamedKeys:
        """Write a key file. Raises WalletError; then there is none."""
        created = f"Created: {birth}\n" if birth else ""
        data = (created + pem_from_key(key, passphrase)).encode()
        return self._add(name, ".pem", data)

    def add_wallet(self, name: str, file: WalletFile) -> NamedKeys:
        """Write a wallet file. Raises WalletError; then there is none."""
        return self._add(name, ".json", bytes_from_wallet_file(file, self.params))

    def _add(self, name: str, suffix: str, data: bytes) -> NamedKeys:
        with self._locked():
            self._check_free(name)
            path = self.path / f"{name}{suffix}"
            write_private_file(path, data)
            self._keys[name] = self._load(path, data)
        return self._keys[name]

    def rename(self, old: str, new: str) -> NamedKeys:
        """Call keys something else. Raises NotFoundError or WalletError."""
        with self._locked():
            held = self.get(old)
            self._check_free(new)
            path = held.path.with_name(f"{new}{held.path.suffix}")
            try:
                held.path.rename(path)
            except OSError as error:
                raise WalletError(f"{path}: {error.strerror}") from error
        self.reload()
        return self.get(new)

    def new_address(self, name: str, kind: AddressType | None = None) -> bytes:
        """Hand out a wallet's next address and return its script. Raises WalletError."""
        with self._locked():
            self.get(name)
            return self._refreshed(name).keychain.new_address(kind)

    def set_passphrase(self, name: str, secrets: Secrets, passphrase: bytes | None) -> None:
        """Put a file's secrets under another passphrase, or under none.

        Raises WalletError; then the old file stands.
        """
        with self._locked():
            held = self._refreshed(self.get(name).name)
            if not held.is_wallet:
                birth = held.keychain.file.birth
                created = f"Created: {birth}\n" if birth else ""
                data = (created + pem_from_key(secrets.keys[0], passphrase)).encode()
                write_private_file(held.path, data)
                self._keys[name] = self._load(held.path, data)
            elif passphrase is None:
                held.keychain.unseal(secrets)
            else:
                held.keychain.seal(secrets, passphrase)


def _file_from_pem(data: bytes) -> WalletFile:
    match = _CREATED.search(data)
    birth = int(match[1]) if match else 0
    if not is_encrypted_pem(data):
        keys = keys_from_bytes(data)
        secrets = Secrets(keys=tuple(keys))
        return WalletFile(secrets, (), tuple(key.public_key for key in keys), birth=birth)
    match = _PUBLIC_KEY.search(data)
    public_key = bytes.fromhex(match[1].decode()) if match else b""
    if not is_public_key(public_key):
        raise KeyFormatError(
            "an encrypted key that does not tell its public key: import it under a name of its own"
        )
    return replace(WalletFile(SealedPem(data)), public_keys=(public_key,), birth=birth)
