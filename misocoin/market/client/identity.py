"""Who this client is on the market: one key, in a file as BitWrk's client keeps it."""

import os
from pathlib import Path

from misocoin.crypto import base58
from misocoin.crypto.hashes import hash160
from misocoin.crypto.keys import PrivateKey
from misocoin.crypto.wif import key_from_wif, wif_from_key
from misocoin.errors import KeyFormatError, StoreError
from misocoin.script.messages import sign_message

KEY_FILE = "privatekey.wif"
"""Name of the file in the client's folder; its owner alone may read it."""

_WIF_VERSION = 128
_ADDRESS_VERSION = b"\0"
_MAX_FILE = 200


class Identity:
    """A participant that can sign."""

    def __init__(self, key: PrivateKey) -> None:
        self._key = key
        self.address = base58.checked_text_from_bytes(_ADDRESS_VERSION + hash160(key.public_key))
        """BitWrk's kind of address: P2PKH of version 0."""

    def sign(self, document: str) -> str:
        """Sign a text of `documents`."""
        return sign_message(self._key, document)


def load_identity(folder: Path) -> Identity:
    """Read the key in a folder, or make one where there is none. Raises StoreError."""
    path = folder / KEY_FILE
    try:
        if not path.exists():
            _create(path, wif_from_key(PrivateKey.generate(), _WIF_VERSION))
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)
        with path.open(encoding="ascii") as file:
            text = file.read(_MAX_FILE)
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not a key"
        raise StoreError(f"the key file {path} cannot be used: {why}") from None
    try:
        return Identity(key_from_wif(text.strip(), _WIF_VERSION))
    except KeyFormatError as error:
        raise StoreError(f"the key file {path} cannot be used: {error}") from None


def _create(path: Path, text: str) -> None:
    """Write the file whole or not at all; never over another."""
    draft = path.with_suffix(f".{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(f"{text}\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    except FileExistsError:
        pass  # another client was faster: its key counts
    finally:
        draft.unlink()
