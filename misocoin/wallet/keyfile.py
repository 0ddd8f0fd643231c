"""Private keys in one PEM file, mode 600: readable by `openssl pkey`, one section for each key."""

import os
import re
import stat
from collections.abc import Sequence
from pathlib import Path

from misocoin.crypto.keys import PrivateKey
from misocoin.crypto.pem import key_from_pem, pem_from_key
from misocoin.errors import KeyFormatError, WalletError

MAX_FILE_SIZE = 16 << 20
"""Bytes of a key file that is read; some 60,000 keys."""

_SECTION = re.compile(rb"-----BEGIN ([A-Z ]+)-----.*?-----END \1-----", re.DOTALL)


def read_keys(path: Path) -> list[PrivateKey]:
    """The keys in the file at `path`, in their order; none where there is no file.

    Raises KeyFormatError where it holds anything but keys, WalletError where it cannot be read.
    """
    try:
        if not path.exists():
            return []
        if path.stat().st_size > MAX_FILE_SIZE:
            raise KeyFormatError(f"{path}: too large for a key file")
        data = path.read_bytes()
    except OSError as error:
        raise WalletError(f"{path}: {error.strerror}") from error
    keys = []
    for section in _SECTION.finditer(data):
        try:
            keys.append(key_from_pem(section.group(0)))
        except KeyFormatError as error:
            raise KeyFormatError(f"{path}: {error}") from None
    if not keys:
        raise KeyFormatError(f"{path}: holds no private key")
    return keys


def write_keys(path: Path, keys: Sequence[PrivateKey]) -> None:
    """Replace the file at `path`; it is whole at every moment, also after a crash.

    Raises WalletError where it cannot be written; what stood there then still stands.
    """
    write_private_file(path, "".join(pem_from_key(key) for key in keys).encode("ascii"))


def write_private_file(path: Path, data: bytes) -> None:
    """Write a file only its owner can read: to a temporary one, synced, then renamed.

    Raises WalletError.
    """
    temporary = path.with_name(path.name + ".new")
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        descriptor = os.open(temporary, flags, stat.S_IRUSR | stat.S_IWUSR)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), stat.S_IRUSR | stat.S_IWUSR)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise WalletError(f"{path}: {error.strerror}") from error
