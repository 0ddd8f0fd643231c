"""Files that are proven, and their proofs on disk."""

import contextlib
import errno
import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from misocoin.crypto.hashes import ripemd160
from misocoin.errors import MisocoinError
from misocoin.notary.proof import MAX_PROOF, Op, Proof, proof_from_bytes

SUFFIX = ".ots"
"""What a proof's name has behind that of its file."""

MAX_RIPEMD = 64 << 20
"""Bytes of a file whose digest is RIPEMD-160, which is made in one go; no program makes such."""

_CHUNK = 1 << 20
_NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS})


class ProofFileError(MisocoinError):
    """A file that cannot be read, or a proof that cannot be written."""


def path_from_text(text: str) -> Path:
    """A file as it was named. Raises ProofFileError for what is no file's name."""
    path = Path(text)
    if not path.name or "\0" in text:
        raise ProofFileError(f"{text[:100]!r}: not a file")
    return path


def proof_path(path: Path) -> Path:
    """Where the proof of a file lies: beside it."""
    return path.with_name(path.name + SUFFIX)


def file_and_proof(text: str) -> tuple[Path, Path]:
    """A file and the proof beside it, by the name of either. Raises ProofFileError."""
    path = path_from_text(text)
    if path.suffix == SUFFIX and not os.path.lexists(proof_path(path)):
        return path.with_suffix(""), path
    return path, proof_path(path)


def check_readable(path: Path) -> None:
    """Check that a file is there. Raises ProofFileError."""
    with _opened(path):
        pass


def digest_of_file(path: Path, op: Op = Op.SHA256) -> bytes:
    """A file's digest, of any size of file. Raises ProofFileError."""
    with _opened(path) as file:
        if op is Op.RIPEMD160:
            return ripemd160(file.read(MAX_RIPEMD))
        digest = hashlib.sha256() if op is Op.SHA256 else hashlib.sha1(usedforsecurity=False)
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.digest()


def read_proof(path: Path) -> Proof:
    """The proof in a file. Raises ProofFileError, or ParseError for what is none."""
    with _opened(path) as file:
        data = file.read(MAX_PROOF + 1)
    return proof_from_bytes(data)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe must not hold us up
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ProofFileError(f"{path}: not a file")
            yield file
    except OSError as error:
        raise ProofFileError(f"{path}: {error.strerror}") from error


def check_free(path: Path) -> None:
    """Check that there is no proof yet. Raises ProofFileError."""
    if os.path.lexists(path):
        raise ProofFileError(f"{path} is there already, and no proof is overwritten")


def write_proof(path: Path, data: bytes) -> None:
    """Write a new proof: whole and on disk, or not at all.

    Raises ProofFileError, also where a file has that name already.
    """
    _write(path, data, is_new=True)


def replace_proof(path: Path, data: bytes) -> None:
    """Put the completed proof in place of the one that was pending. Raises ProofFileError."""
    _write(path, data, is_new=False)


def remove_proofs(paths: Iterable[Path]) -> None:
    """Take back proofs of a payment that was not made; those that cannot be deleted stay."""
    for path in paths:
        with contextlib.suppress(OSError):
            path.unlink()


def _write(path: Path, data: bytes, *, is_new: bool) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        try:
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            if is_new:
                _rename_to_new(temporary, path)
            else:
                temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        _sync_folder(path.parent)
    except FileExistsError as error:
        raise ProofFileError(
            f"{error.filename2 or error.filename} is there already, and no proof is overwritten"
        ) from error
    except OSError as error:
        raise ProofFileError(f"{path}: {error.strerror}") from error


def _rename_to_new(temporary: Path, path: Path) -> None:
    """Rename unless there is a file of that name, without a moment between look and rename."""
    try:
        path.hardlink_to(temporary)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        check_free(path)
        temporary.rename(path)


def _sync_folder(path: Path) -> None:
    """Have the new name reach the disk, where folders can be told to."""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
