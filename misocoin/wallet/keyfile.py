"""Private keys in one PEM file, mode 600: readable by `openssl pkey`, one section for each key.

The file is replaced as a whole (written beside it, synced, renamed), so that it holds either what
it held before or all of what was to be written, whatever happens. Errors name the file and never
what is in it.
"""

import contextlib
import errno
import logging
import os
import re
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from misocoin.crypto.keys import PrivateKey
from misocoin.crypto.pem import key_from_pem, pem_from_key
from misocoin.errors import KeyFormatError, WalletError

log = logging.getLogger(__name__)

MAX_FILE_SIZE = 16 << 20
"""Bytes of a key file that is read; some 60,000 keys."""

OWNER_ONLY = stat.S_IRUSR | stat.S_IWUSR
"""Mode 600: the owner reads and writes, nobody else does anything."""

_BOUNDARY = re.compile(rb"-----(BEGIN|END) ([A-Z0-9 ]{1,40})-----")
_CANNOT_SYNC = frozenset({errno.EACCES, errno.EINVAL, errno.ENOTSUP})
_IGNORED = frozenset({b"EC PARAMETERS"})  # `openssl ecparam -genkey` puts them before the key


def read_keys(path: Path) -> list[PrivateKey]:
    """The keys in the file at `path`, in their order; none where there is no file.

    A file that others may read is made private, with a warning. Raises KeyFormatError where it
    holds anything but whole keys, or none; WalletError where it cannot be read.
    """
    data = read_private_file(path)
    if data is None:
        return []
    try:
        return keys_from_bytes(data)
    except KeyFormatError as error:
        raise KeyFormatError(f"{path}: {error}") from None


def keys_from_bytes(data: bytes) -> list[PrivateKey]:
    """The keys of all PEM sections, at least one. Raises KeyFormatError."""
    keys = [key_from_pem(section) for section in _sections(data)]
    if not keys:
        raise KeyFormatError("holds no private key")
    return keys


def write_keys(path: Path, keys: Sequence[PrivateKey]) -> None:
    """Replace the file at `path`.

    Raises WalletError where it cannot be written; the keys that stood there still do.
    """
    write_private_file(path, "".join(map(pem_from_key, keys)).encode("ascii"))


def append_key(path: Path, key: PrivateKey, known: int) -> None:
    """Add a key to the file at `path`, which has to hold `known` keys.

    What stands in it is kept byte for byte. Raises WalletError where it cannot be written, is
    gone, or holds another number of keys than its reader knows of; then it stays as it is.
    """
    data = read_private_file(path)
    try:
        count = 0 if data is None else sum(1 for _ in _sections(data))
    except KeyFormatError:
        count = -1
    if data is None or count != known:
        raise WalletError(f"{path}: changed since it was read; restart to use it as it is now")
    if data and not data.endswith(b"\n"):
        data += b"\n"
    write_private_file(path, data + pem_from_key(key).encode("ascii"))


def write_private_file(path: Path, data: bytes) -> None:
    """Write a file that only its owner can read, in place of the one at `path`.

    Where `path` is a link, what it points to is replaced. Raises WalletError; then what stood
    there still does, and nothing is left behind.
    """
    try:
        target = Path(os.path.realpath(path))
        temporary = target.with_name(target.name + ".new")
        temporary.unlink(missing_ok=True)  # of a run that was killed; never written through
        try:
            _write_synced(temporary, data)
            temporary.replace(target)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
        _sync_folder(target.parent)
    except OSError as error:
        raise WalletError(f"{path}: {error.strerror}") from error


def read_private_file(path: Path) -> bytes | None:
    """What stands in a file that only its owner should read; None where there is no file.

    One that others may read is made private, with a warning. Raises KeyFormatError for one that is
    too large, WalletError where it cannot be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe must not hold us up
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise WalletError(f"{path}: not a file")
            if stat.S_IMODE(status.st_mode) & ~stat.S_IRWXU:
                _make_private(path, file.fileno())
            data = file.read(MAX_FILE_SIZE + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise WalletError(f"{path}: {error.strerror}") from error
    if len(data) > MAX_FILE_SIZE:
        raise KeyFormatError(f"{path}: too large for a key file")
    return data


def remove_private_file(path: Path) -> bool:
    """Delete a file whose keys stand elsewhere now; tells whether there was one.

    It is overwritten first, which some disks undo, and before that renamed: whatever happens, what
    stands at `path` is whole. Called again it finishes what a kill cut short. Raises WalletError
    where it cannot be deleted.
    """
    going = path.with_name(path.name + ".going")
    found = False
    try:
        _wipe(going)
        with contextlib.suppress(FileNotFoundError):
            path.rename(going)
            found = True
        if found:
            _sync_folder(path.parent)
            _wipe(going)
    except OSError as error:
        raise WalletError(f"{path}: {error.strerror}") from error
    return found


def _wipe(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        with path.open("r+b") as file:
            file.write(bytes(min(os.fstat(file.fileno()).st_size, MAX_FILE_SIZE)))
            file.flush()
            os.fsync(file.fileno())
        path.unlink()
        _sync_folder(path.parent)


def _make_private(path: Path, descriptor: int) -> None:
    try:
        os.fchmod(descriptor, OWNER_ONLY)
    except OSError:
        log.warning("%s: others may read this key file, and its mode cannot be changed", path)
    else:
        log.warning("%s: others could read this key file; its mode is 600 now", path)


def _sections(data: bytes) -> Iterator[bytes]:
    """The PEM sections of a file, boundaries included.

    Text between them is passed over (RFC 7468). Raises KeyFormatError where a section is cut off.
    """
    section: list[bytes] = []
    label = b""
    for line in data.splitlines(keepends=True):
        boundary = _BOUNDARY.fullmatch(line.strip())
        if boundary is None:
            if line.startswith(b"-----"):
                raise KeyFormatError("a PEM boundary is damaged")
            if section:
                section.append(line)
        elif boundary[1] == b"BEGIN":
            if section:
                raise KeyFormatError("a PEM section has no end")
            label = boundary[2]
            section = [line]
        else:
            if not section or boundary[2] != label:
                raise KeyFormatError("a PEM section has no beginning")
            if label not in _IGNORED:
                yield b"".join((*section, line))
            section = []
    if section:
        raise KeyFormatError("a PEM section has no end")


def _write_synced(path: Path, data: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with os.fdopen(os.open(path, flags, OWNER_ONLY), "wb") as file:
        os.fchmod(file.fileno(), OWNER_ONLY)
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    """Have the rename reach the disk, where folders can be told to."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in _CANNOT_SYNC:
            raise
