"""The key file: whole at every moment, for its owner alone, nothing but keys."""

import logging
import os
import resource
import shutil
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from ecdsa import NIST256p, SigningKey

from misocoin.crypto.keys import PrivateKey
from misocoin.crypto.pem import pem_from_key
from misocoin.errors import KeyFormatError, MisocoinError, WalletError
from misocoin.wallet import keyfile
from misocoin.wallet.keyfile import append_key, read_keys, write_keys, write_private_file

ONE = PrivateKey(bytes(31) + b"\x01")
TWO = PrivateKey(bytes(31) + b"\x02")
THREE = PrivateKey(bytes(31) + b"\x03")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.pem"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """No file may grow beyond `size` bytes: what a full disk looks like to a writer."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


# -- what is written --------------------------------------------------------------------------


def test_no_file_holds_no_keys(path: Path) -> None:
    assert read_keys(path) == []


def test_keys_come_back_in_order(path: Path) -> None:
    write_keys(path, [TWO, ONE])
    assert read_keys(path) == [TWO, ONE]
    append_key(path, THREE, 2)
    assert read_keys(path) == [TWO, ONE, THREE]


def test_only_the_owner_can_read_it_whatever_the_umask(path: Path) -> None:
    with umask(0):
        write_keys(path, [ONE])
        assert mode(path) == 0o600
    with umask(0o777):
        write_keys(path, [ONE, TWO])
        assert mode(path) == 0o600
    append_key(path, THREE, 2)
    assert mode(path) == 0o600


def test_a_file_that_others_could_read_is_made_private(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_keys(path, [ONE])
    path.chmod(0o644)
    with caplog.at_level(logging.WARNING):
        assert read_keys(path) == [ONE]
    assert mode(path) == 0o600
    assert "could read" in caplog.text
    caplog.clear()
    read_keys(path)
    assert caplog.text == ""


def test_a_mode_that_cannot_be_changed_is_told(
    path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_keys(path, [ONE])
    path.chmod(0o644)

    def refuse(_descriptor: int, _mode: int) -> None:
        raise PermissionError(1, "not the owner")

    monkeypatch.setattr(os, "fchmod", refuse)
    assert read_keys(path) == [ONE]
    assert "cannot be changed" in caplog.text


def test_what_is_left_of_a_killed_writer_does_no_harm(path: Path) -> None:
    leftover = path.with_name("keys.pem.new")
    leftover.write_text("half a key")
    leftover.chmod(0o644)
    write_keys(path, [ONE])
    assert read_keys(path) == [ONE]
    assert mode(path) == 0o600
    assert not leftover.exists()


def test_a_planted_link_is_not_written_through(path: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    path.with_name("keys.pem.new").symlink_to(victim)
    write_keys(path, [ONE])
    assert victim.read_text() == "mine"
    assert read_keys(path) == [ONE]


def test_a_link_to_the_key_file_stays_one(path: Path, tmp_path: Path) -> None:
    safe = tmp_path / "safe"
    safe.mkdir()
    path.symlink_to(safe / "real.pem")
    write_keys(path, [ONE])
    append_key(path, TWO, 1)
    assert path.is_symlink()
    assert read_keys(safe / "real.pem") == [ONE, TWO]
    assert sorted(p.name for p in safe.iterdir()) == ["real.pem"]


def test_a_link_to_itself_is_an_error(path: Path) -> None:
    path.symlink_to(path)
    with pytest.raises(WalletError, match="symbolic links"):
        read_keys(path)


def test_appending_keeps_what_stands_there(path: Path) -> None:
    text = "my mining key\n" + pem_from_key(ONE).rstrip("\n")
    path.write_text(text)
    append_key(path, TWO, 1)
    assert path.read_text() == text + "\n" + pem_from_key(TWO)
    assert read_keys(path) == [ONE, TWO]


@pytest.mark.parametrize("change", ["gone", "more", "fewer", "damaged"])
def test_a_file_that_changed_is_not_appended_to(path: Path, change: str) -> None:
    write_keys(path, [ONE, TWO])
    text = path.read_text()
    if change == "gone":
        path.unlink()
    elif change == "damaged":
        path.write_text(text[:-20])
    else:
        write_keys(path, [ONE, TWO, THREE] if change == "more" else [ONE])
    before = path.read_text() if path.exists() else None
    with pytest.raises(WalletError, match="changed since it was read"):
        append_key(path, PrivateKey.generate(), 2)
    assert (path.read_text() if path.exists() else None) == before


@pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl here")
def test_openssl_reads_it_and_is_read(path: Path) -> None:
    write_keys(path, [TWO])
    shown = subprocess.run(
        ["openssl", "pkey", "-in", path, "-noout", "-text"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "secp256k1" in shown
    assert TWO.secret.hex(":") in "".join(shown.split())
    made = subprocess.run(
        ["openssl", "ecparam", "-name", "secp256k1", "-genkey"],
        capture_output=True,
        check=True,
    ).stdout
    path.write_bytes(made + path.read_bytes())
    keys = read_keys(path)
    assert len(keys) == 2
    assert keys[1] == TWO


def test_windows_line_ends_are_read(path: Path) -> None:
    path.write_bytes(pem_from_key(ONE).replace("\n", "\r\n").encode())
    assert read_keys(path) == [ONE]


# -- what is no key file ----------------------------------------------------------------------

NIST = SigningKey.from_secret_exponent(5, NIST256p).to_pem(format="pkcs8")
PUBLIC = SigningKey.from_secret_exponent(5).verifying_key.to_pem()
GOOD = pem_from_key(ONE).encode()


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"", "holds no private key"),
        (b"\n\n", "holds no private key"),
        (b"not a key at all\n", "holds no private key"),
        (bytes(1000), "holds no private key"),
        (NIST, "another curve"),
        (PUBLIC, "no such section"),
        (GOOD + PUBLIC, "no such section"),
        (GOOD[:-10], "damaged"),
        (GOOD[:100], "no end"),
        (GOOD + GOOD[:100], "no end"),
        (GOOD + b"-----BEGIN PRIV", "damaged"),
        (GOOD[:60] + GOOD, "damaged|no end"),
        (GOOD[30:], "no beginning"),
        (GOOD.replace(b"END PRIVATE", b"END EC PRIVATE"), "no beginning"),
        (GOOD.replace(b"PRIVATE", b"ENCRYPTED PRIVATE"), "encrypted"),
        (GOOD.replace(b"M", b"N", 1), "damaged"),
        (b"-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n", "damaged"),
        (b"-----BEGIN EC PARAMETERS-----\nBgUrgQQACg==\n-----END EC PARAMETERS-----\n", "no priv"),
    ],
)
def test_anything_else_is_refused_and_stays(path: Path, data: bytes, match: str) -> None:
    path.write_bytes(data)
    with pytest.raises(KeyFormatError, match=match) as caught:
        read_keys(path)
    assert str(path) in str(caught.value)
    assert path.read_bytes() == data


def test_a_huge_file_is_not_read_whole(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyfile, "MAX_FILE_SIZE", 1_000)
    path.write_bytes(GOOD * 5)
    with pytest.raises(KeyFormatError, match="too large"):
        read_keys(path)


def test_a_folder_or_a_pipe_is_no_key_file(tmp_path: Path) -> None:
    with pytest.raises(WalletError):
        read_keys(tmp_path)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(WalletError, match="not a file"):
        read_keys(pipe)


def test_errors_tell_no_secret(path: Path) -> None:
    body = GOOD.split(b"\n")[1].decode()
    for data in (GOOD[:-10], GOOD[:150], GOOD + GOOD[:150], b"x" + GOOD):
        path.write_bytes(data)
        with pytest.raises(MisocoinError) as caught:
            read_keys(path)
        assert body[:8] not in str(caught.value)
        assert caught.value.__cause__ is None or body[:8] not in str(caught.value.__cause__)


# -- a disk that does not take it ----------------------------------------------------------------


def test_a_full_disk_leaves_the_old_file_and_nothing_else(path: Path) -> None:
    write_keys(path, [ONE])
    before = path.read_bytes()
    with largest_file(len(before) + 10):
        with pytest.raises(WalletError, match="keys.pem: File too large"):
            write_keys(path, [ONE, TWO])
        with pytest.raises(WalletError, match="keys.pem: File too large"):
            append_key(path, TWO, 1)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_sync_that_fails_leaves_the_old_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_keys(path, [ONE])

    def fail(_descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(WalletError, match="Input/output error"):
        write_keys(path, [TWO])
    assert read_keys(path) == [ONE]
    assert list(path.parent.iterdir()) == [path]


def test_an_interrupt_leaves_nothing_behind(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_keys(path, [TWO])
    assert list(path.parent.iterdir()) == []


def test_a_folder_that_cannot_be_synced_is_no_error(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fsync

    def fsync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(22, "Invalid argument")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    write_keys(path, [ONE])
    assert read_keys(path) == [ONE]


@pytest.mark.parametrize("missing", ["folder", "file in its place"])
def test_no_folder_to_write_to(tmp_path: Path, missing: str) -> None:
    folder = tmp_path / "nowhere"
    if missing == "file in its place":
        folder.write_text("")
    with pytest.raises(WalletError, match="nowhere"):
        write_keys(folder / "keys.pem", [ONE])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_write_permission(path: Path) -> None:
    write_keys(path, [ONE])
    path.parent.chmod(0o500)
    try:
        with pytest.raises(WalletError, match="Permission denied"):
            append_key(path, TWO, 1)
    finally:
        path.parent.chmod(0o700)
    assert read_keys(path) == [ONE]


def test_write_private_file_takes_any_bytes(path: Path) -> None:
    write_private_file(path, bytes(range(256)))
    assert path.read_bytes() == bytes(range(256))
