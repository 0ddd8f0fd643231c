"""The node's wallet under a passphrase."""

import logging
from contextlib import suppress
from pathlib import Path

import pytest

from misocoin.crypto.keys import PrivateKey
from misocoin.errors import (
    WalletError,
    WalletLocked,
    WrongPassphrase,
)
from misocoin.script.messages import is_signed_by
from misocoin.testing.daemon import wait_until
from misocoin.wallet.keyfile import read_keys
from misocoin.wallet.walletfile import (
    Secrets,
)
from tests.unit.wallet.rig import COIN, Rig
from tests.unit.wallet.wordrig import IMPORTED, hold_nothing_secret, kill_at_sync, rich, words_of


@pytest.mark.parametrize("imported", [None, IMPORTED])
def test_an_encrypted_wallet_sees_and_cannot_spend(
    tmp_path: Path, imported: PrivateKey | None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    rig = rich(tmp_path, imported)
    keeper = rig.wallet.keeper
    before = rig.wallet.balance()
    secrets = [key.secret for key in read_keys(tmp_path / "wallet.pem")]
    words = words_of(rig)
    with pytest.raises(WalletError, match="not encrypted"):
        keeper.unlock("hello", 60)
    keeper.encrypt("hello")
    assert (keeper.is_encrypted, keeper.is_locked) == (True, True)
    with pytest.raises(WalletError, match="encrypted already"):
        keeper.encrypt("again")
    with pytest.raises(WalletLocked):
        rig.send(COIN)
    with pytest.raises(WalletLocked):
        keeper.private_key(rig.wallet.address)
    with pytest.raises(WalletLocked):
        keeper.sign_message(rig.wallet.address, "text")
    with pytest.raises(WalletLocked):
        keeper.import_key(PrivateKey(bytes(31) + b"\x55"))
    with pytest.raises(WrongPassphrase):
        keeper.unlock("Hello", 60)
    assert rig.wallet.balance() == before
    assert not (tmp_path / "wallet.pem").exists()
    hold_nothing_secret(tmp_path, "hello", words or "abandon", IMPORTED.secret.hex())

    address = rig.wallet.new_address()  # needs no passphrase
    rig.mine(script=rig.script_of(address))
    searched: list[int] = []
    rig = rig.restart(progress=lambda height, _of: searched.append(height))
    assert searched == []
    keeper = rig.wallet.keeper
    assert keeper.is_locked
    keeper.unlock("hello", 60)
    assert 50 < keeper.seconds_left <= 60
    rig.send(COIN)
    assert is_signed_by(address, keeper.sign_message(address, "text"), "text")
    keeper.import_key(PrivateKey(bytes(31) + b"\x55"))
    keeper.lock()
    assert keeper.seconds_left == 0
    with pytest.raises(WalletLocked):
        rig.send(COIN)
    keeper.unlock("hello", 60)
    assert PrivateKey(bytes(31) + b"\x55") in rig.wallet.keychain.secrets.keys
    assert all(PrivateKey(secret) in rig.wallet.keychain.secrets.keys for secret in secrets)
    keeper.lock()
    assert "hello" not in caplog.text
    assert not words or words not in caplog.text


def test_it_locks_itself_when_the_time_is_over() -> None:
    rig = rich()
    keeper = rig.wallet.keeper
    keeper.encrypt("x")
    keeper.unlock("x", 60)
    keeper.unlock("x", 0.1)  # the later call counts
    wait_until(lambda: keeper.is_locked, "it locks itself")
    for seconds in (0, -1, 1e9):
        with pytest.raises(WalletError, match="unlock for 1 to"):
            keeper.unlock("x", seconds)
    rig.wallet.close()


def test_a_key_imported_while_the_passphrase_is_changed_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig(tmp_path).start()
    keeper, keychain = rig.wallet.keeper, rig.wallet.keychain
    keeper.encrypt("old")
    keeper.unlock("old", 60)
    slow = keychain.open

    def open_while_importing(passphrase: bytes) -> Secrets:
        opened = slow(passphrase)
        keeper.import_key(IMPORTED)
        return opened

    monkeypatch.setattr(keychain, "open", open_while_importing)
    with pytest.raises(WalletError, match="changed meanwhile"):
        keeper.change_passphrase("old", "new")
    monkeypatch.undo()
    keeper.change_passphrase("old", "new")
    again = rig.restart().wallet
    again.keeper.unlock("new", 60)
    assert IMPORTED in again.keychain.secrets.keys


def test_the_passphrase_is_changed(tmp_path: Path) -> None:
    rig = rich(tmp_path)
    keeper = rig.wallet.keeper
    keeper.encrypt("one")
    with pytest.raises(WrongPassphrase):
        keeper.change_passphrase("two", "three")
    with pytest.raises(WalletError, match="not empty"):
        keeper.change_passphrase("one", "")
    keeper.change_passphrase("one", "two")
    assert keeper.is_locked
    with pytest.raises(WrongPassphrase):
        keeper.unlock("one", 1)
    keeper.unlock("two", 60)
    rig.send(COIN)
    keeper.lock()


def test_a_disk_that_fails_leaves_the_wallet_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = rich(tmp_path)

    def fail(_path: Path, _data: bytes) -> None:
        raise WalletError("no space left on device")

    monkeypatch.setattr("misocoin.wallet.nodekeys.write_private_file", fail)
    with pytest.raises(WalletError, match="no space"):
        rig.wallet.keeper.encrypt("hello")
    monkeypatch.undo()
    assert not rig.wallet.keeper.is_encrypted
    rig.send(COIN)
    assert not rig.restart().wallet.keeper.is_encrypted


@pytest.mark.parametrize("syncs", [1, 2, 3])
def test_a_kill_while_bare_keys_are_removed_costs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, syncs: int
) -> None:
    rig = rich(tmp_path, IMPORTED)
    before, address = rig.wallet.balance(), rig.wallet.address
    kill_at_sync(monkeypatch, syncs)
    with suppress(KeyboardInterrupt):
        rig.wallet.keeper.encrypt("hello")
    monkeypatch.undo()
    rig = rig.restart()
    assert rig.wallet.balance() == before
    if rig.wallet.keeper.is_encrypted:
        assert not list(tmp_path.glob("wallet.pem*"))
        rig.wallet.keeper.unlock("hello", 60)
    assert rig.wallet.keeper.private_key(address) == IMPORTED


def test_bare_keys_beside_an_encrypted_wallet_are_pointed_at(tmp_path: Path) -> None:
    rig = rich(tmp_path, IMPORTED)
    pem = (tmp_path / "wallet.pem").read_bytes()
    rig.wallet.keeper.encrypt("x")
    (tmp_path / "wallet.pem").write_bytes(pem)  # as after a crash before it was removed
    rig = rig.restart()
    assert not (tmp_path / "wallet.pem").exists()
    stray = tmp_path / "stray"
    stray.mkdir()
    Rig(stray).start(imported=PrivateKey(bytes(31) + b"\x56"))
    (tmp_path / "wallet.pem").write_bytes((stray / "wallet.pem").read_bytes())
    with pytest.raises(WalletError, match="bare keys beside an encrypted wallet"):
        rig.restart()
