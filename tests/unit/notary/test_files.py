import errno
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from misocoin.errors import ParseError
from misocoin.notary import files
from misocoin.notary.files import (
    ProofFileError,
    digest_of_file,
    path_from_text,
    proof_path,
    read_proof,
    replace_proof,
    write_proof,
)
from misocoin.notary.proof import MAX_PROOF, Op


def test_the_proof_lies_beside_its_file():
    assert proof_path(Path("a/contract.pdf")) == Path("a/contract.pdf.ots")


@pytest.mark.parametrize("text", ["", ".", "/", "a\0b"])
def test_what_names_no_file(text: str):
    with pytest.raises(ProofFileError, match="not a file"):
        path_from_text(text)


def test_digests_of_files(tmp_path: Path):
    path = tmp_path / "big"
    data = bytes(range(256)) * 5000  # more than is read at once
    path.write_bytes(data)
    assert digest_of_file(path) == hashlib.sha256(data).digest()
    assert digest_of_file(path, Op.SHA1) == hashlib.sha1(data).digest()
    path.write_bytes(b"")
    assert digest_of_file(path, Op.RIPEMD160).hex() == "9c1185a5c5e9fc54612808977ee8f548b2258d31"


def test_what_is_no_file(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    for name, reason in (("pipe", "not a file"), (".", "Is a directory"), ("none", "No such file")):
        for read in (digest_of_file, read_proof):
            with pytest.raises(ProofFileError, match=reason):
                read(tmp_path / name)
    (tmp_path / "long").write_bytes(bytes(MAX_PROOF + 1))
    with pytest.raises(ParseError):
        read_proof(tmp_path / "long")


def test_no_proof_is_overwritten(tmp_path: Path):
    path = tmp_path / "a.ots"
    write_proof(path, b"one")
    with pytest.raises(ProofFileError, match=r"a\.ots is there already"):
        write_proof(path, b"two")
    assert path.read_bytes() == b"one"
    replace_proof(path, b"three")
    assert path.read_bytes() == b"three"
    assert list(tmp_path.iterdir()) == [path]
    (tmp_path / "b.ots").symlink_to("nowhere")
    with pytest.raises(ProofFileError, match=r"b\.ots is there already"):
        write_proof(tmp_path / "b.ots", b"two")


def test_nor_where_files_cannot_be_linked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_given: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    test_no_proof_is_overwritten(tmp_path)


@pytest.mark.parametrize("write", [write_proof, replace_proof])
def test_a_full_disk_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path, bytes], None]
):
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(ProofFileError, match="No space left on device"):
        write(tmp_path / "a.ots", b"one")
    assert list(tmp_path.iterdir()) == []
