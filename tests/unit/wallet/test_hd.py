"""The node's wallet of words: addresses, encryption, backup, what is found again."""

import json
import logging
import time
from contextlib import suppress
from pathlib import Path

import pytest

from misocoin.crypto.keys import PrivateKey
from misocoin.errors import (
    AddressError,
    KeyFormatError,
    NotFoundError,
    WalletError,
    WalletLocked,
    WrongPassphrase,
)
from misocoin.params import miso, regtest
from misocoin.script.messages import is_signed_by
from misocoin.wallet.addresses import SINGLE_KEY_TYPES, AddressType, Branch
from misocoin.wallet.keyfile import read_keys
from misocoin.wallet.nodekeys import open_node_keys
from misocoin.wallet.walletfile import (
    Secrets,
    bytes_from_wallet_file,
    new_wallet_file,
    wallet_file_from_bytes,
)
from tests.unit.wallet.rig import COIN, MATURITY, NOBODY, OTHER, SUBSIDY, Rig, snapshot
from tests.unit.wallet.test_keychain import check_weight

IMPORTED = PrivateKey(bytes(31) + b"\x77")


def words_of(rig: Rig) -> str:
    return rig.wallet.keychain.secrets.words


def with_words(words: str, folder: Path, gap: int = 20) -> None:
    """Put a wallet of these words into a data folder."""
    file = new_wallet_file(Secrets(words), regtest(), gap=gap)
    (folder / "wallet.json").write_bytes(bytes_from_wallet_file(file, regtest()))


def hold_nothing_secret(folder: Path, *secrets: str) -> None:
    for path in folder.iterdir():
        data = path.read_bytes()
        for secret in secrets:
            assert secret.encode() not in data, path


def kill_at_sync(monkeypatch: pytest.MonkeyPatch, syncs: int) -> None:
    """Stop what runs when it has had so many writes to key files synced, and wants the next."""
    left = syncs

    def sync(_descriptor: int) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise KeyboardInterrupt  # as good as a kill: nothing goes on after it

    monkeypatch.setattr("misocoin.wallet.keyfile.os.fsync", sync)


# -- addresses --------------------------------------------------------------------------------


def test_a_new_folder_gets_a_wallet_of_words(tmp_path: Path) -> None:
    rig = Rig(tmp_path).start()
    assert len(words_of(rig).split()) == 12
    assert {path.name for path in tmp_path.iterdir()} >= {"wallet.json", "wallet.sqlite"}
    assert not (tmp_path / "wallet.pem").exists()
    assert (tmp_path / "wallet.json").stat().st_mode & 0o777 == 0o600
    assert rig.restart().wallet.address == rig.wallet.address


def test_every_type_of_address_is_received_at_and_spent() -> None:
    rig = Rig().start()
    addresses = [rig.wallet.new_address(kind=kind) for kind in SINGLE_KEY_TYPES]
    assert [a[:6] for a in addresses[:2]] == ["bcrt1q", "bcrt1p"]
    assert addresses[2][0] == "2"
    assert addresses[3][0] in "mn"
    for address in addresses:
        rig.mine(script=rig.script_of(address))
    rig.mine(MATURITY, script=NOBODY)
    held = rig.wallet.balances_by_address()
    assert [held[address] for address in addresses] == [SUBSIDY] * 4
    rig.send(4 * SUBSIDY - COIN)
    rig.mine(script=NOBODY)
    assert 0 < rig.wallet.balance().available < COIN
    keychain = rig.wallet.keychain
    for address in addresses:
        own = keychain.scripts[rig.script_of(address)]
        check_weight(keychain, own)


def test_change_goes_to_a_fresh_address_each_time() -> None:
    rig = Rig().start()
    rig.mine()
    rig.mine(MATURITY, script=NOBODY)
    seen = set()
    for _ in range(3):
        tx = rig.send(COIN)
        change = [o.script_pubkey for o in tx.vout if rig.wallet.is_change(o.script_pubkey)]
        assert len(change) == 1
        seen.add(change[0])
        assert rig.wallet.is_mine(change[0])
    assert len(seen) == 3
    held = rig.wallet.balances_by_address()
    assert sum(held.values()) == rig.wallet.balance().available
    assert list(held)[0] == rig.wallet.address


def test_the_words_bring_everything_back(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    rig = Rig(first).start()
    last = ""
    for _ in range(25):  # beyond one gap, but never 20 unused in a row
        last = rig.wallet.new_address()
        if _ % 9 == 0:
            rig.mine(script=rig.script_of(last))
    rig.mine(script=rig.script_of(last))
    taproot = rig.wallet.new_address(kind=AddressType.TAPROOT)
    rig.mine(script=rig.script_of(taproot))
    rig.mine(MATURITY, script=NOBODY)
    rig.send(3 * SUBSIDY)
    rig.mine(script=NOBODY)
    with_words(words_of(rig), second)
    again = rig.beside(second).start()
    assert again.wallet.balance() == rig.wallet.balance()
    assert set(again.wallet.coins()) == set(rig.wallet.coins())
    assert again.wallet.new_address() == rig.wallet.new_address()
    rig.wallet.new_address()


def test_what_lies_beyond_the_gap_is_found_with_a_larger_one(tmp_path: Path) -> None:
    rig = Rig(tmp_path).start()
    address = ""
    for _ in range(30):
        address = rig.wallet.new_address()
    rig.mine(script=rig.script_of(address))
    for gap, found in ((20, 0), (40, SUBSIDY)):
        folder = tmp_path / str(gap)
        folder.mkdir()
        with_words(words_of(rig), folder, gap)
        assert sum(rig.beside(folder).start().wallet.balance()) == found


def test_a_wallet_of_another_chain_is_refused(tmp_path: Path) -> None:
    file = new_wallet_file(Secrets("abandon " * 11 + "about"), miso())
    data = bytes_from_wallet_file(file, miso())
    (tmp_path / "wallet.json").write_bytes(data)
    with pytest.raises(KeyFormatError, match="wallet.json: a wallet file of chain miso"):
        Rig(tmp_path).start()
    assert (tmp_path / "wallet.json").read_bytes() == data


def test_an_address_that_cannot_be_written_is_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig(tmp_path).start()

    def fail(_path: Path, _data: bytes) -> None:
        raise WalletError("no space left on device")

    before = rig.wallet.addresses()
    monkeypatch.setattr("misocoin.wallet.nodekeys.write_private_file", fail)
    with pytest.raises(WalletError, match="no space"):
        rig.wallet.new_address("label")
    monkeypatch.undo()
    assert rig.wallet.addresses() == before
    assert rig.wallet.new_address() not in before


def test_a_payment_whose_note_cannot_be_written_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    rig = rich(tmp_path)

    def fail(_path: Path, _data: bytes) -> None:
        raise WalletError("no space left on device")

    monkeypatch.setattr("misocoin.wallet.nodekeys.write_private_file", fail)
    paid = rig.wallet.send(OTHER, COIN, 1_000, rig.pool.submit, note="for the shed").tx
    assert rig.pool.mempool.get(paid.txid) is not None
    assert "is sent, but not its note written: no space left" in caplog.text


# -- labels and notes -------------------------------------------------------------------------


@pytest.mark.parametrize("imported", [None, IMPORTED])
def test_labels_and_notes_stay(tmp_path: Path, imported: PrivateKey | None) -> None:
    rig = Rig(tmp_path).start(imported=imported)
    tea = rig.wallet.new_address("tea")
    rig.wallet.set_label(OTHER, "bob")
    rig.mine()
    rig.mine(MATURITY, script=NOBODY)
    paid = rig.wallet.send("bob", COIN, 1_000, rig.pool.submit, note="for the shed").tx
    assert rig.script_of(OTHER) in [output.script_pubkey for output in paid.vout]
    rig.wallet.set_note(rig.wallet.history()[0].entry.txid, "first")
    again = rig.restart()
    assert again.wallet.labels == {tea: "tea", OTHER: "bob"}
    assert again.wallet.note_of(paid.txid) == "for the shed"
    again.wallet.set_label(OTHER, "")
    again.wallet.set_note(paid.txid, "")
    assert again.wallet.labels == {tea: "tea"}
    assert again.wallet.note_of(paid.txid) == ""
    again.wallet.set_label(OTHER, "tea")
    with pytest.raises(AddressError, match="2 addresses are labelled 'tea'"):
        again.wallet.script_of("tea")
    with pytest.raises(NotFoundError):
        again.wallet.set_note(bytes(32), "x")
    for bad in ("x" * 1_001, "a\nb"):
        with pytest.raises(WalletError, match="one line"):
            again.wallet.set_label(OTHER, bad)


# -- encryption -------------------------------------------------------------------------------


def rich(folder: Path | None = None, imported: PrivateKey | None = None) -> Rig:
    rig = Rig(folder).start(imported=imported)
    rig.mine(2)
    rig.mine(MATURITY, script=NOBODY)
    return rig


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
    end = time.monotonic() + 10
    while not keeper.is_locked:
        assert time.monotonic() < end
        time.sleep(0.01)
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


# -- keys from elsewhere ----------------------------------------------------------------------


def test_an_imported_key_brings_its_past_when_the_chain_is_searched(tmp_path: Path) -> None:
    rig = Rig(tmp_path).start()
    other = Rig().start(imported=IMPORTED)
    rig.mine(3, script=other.wallet.script)
    rig.mine(MATURITY, script=NOBODY)
    address = rig.wallet.keeper.import_key(IMPORTED, "old")
    assert address == other.wallet.address
    assert rig.wallet.balance().available == 0
    seen: list[tuple[int, int]] = []
    assert rig.wallet.rescan(0, lambda *at: seen.append(at)) == rig.chain.height
    assert seen[-1] == (rig.chain.height, rig.chain.height)
    assert rig.wallet.rescan_progress is None
    assert rig.wallet.balance().available == 3 * SUBSIDY
    assert rig.wallet.keeper.private_key(address) == IMPORTED
    with pytest.raises(WalletError, match="in the wallet already"):
        rig.wallet.keeper.import_key(IMPORTED)
    searched: list[int] = []
    again = rig.restart(progress=lambda height, _of: searched.append(height))
    assert searched == []
    assert snapshot(again.wallet) == snapshot(rig.wallet)


def test_an_import_that_was_not_searched_for_is_at_the_next_start(tmp_path: Path) -> None:
    rig = Rig(tmp_path).start()
    other = Rig().start(imported=IMPORTED)
    rig.mine(3, script=other.wallet.script)
    rig.wallet.keeper.import_key(IMPORTED)
    rig.mine(1, script=NOBODY)
    assert sum(rig.wallet.balance()) == 0
    assert sum(rig.restart().wallet.balance()) == 3 * SUBSIDY


def test_a_search_can_be_stopped() -> None:
    rig = Rig().start()
    rig.mine(120, script=NOBODY)
    reached = rig.wallet.rescan(0, lambda *_: rig.wallet.stop_rescan() and None)
    assert 0 < reached < 120
    assert not rig.wallet.stop_rescan()


# -- backup -----------------------------------------------------------------------------------


@pytest.mark.parametrize("imported", [None, IMPORTED])
@pytest.mark.parametrize("passphrase", ["", "hello"])
def test_a_backup_is_the_wallet(
    tmp_path: Path, imported: PrivateKey | None, passphrase: str
) -> None:
    home, away = tmp_path / "home", tmp_path / "away"
    home.mkdir()
    away.mkdir()
    rig = rich(home, imported)
    rig.wallet.set_label(rig.wallet.address, "mine")
    if passphrase:
        rig.wallet.keeper.encrypt(passphrase)
    backup = tmp_path / "backup.json"
    rig.wallet.keeper.backup(backup)
    assert backup.stat().st_mode & 0o777 == 0o600
    assert ("hello" in backup.read_text()) is False
    with pytest.raises(WalletError, match="overwrites nothing"):
        rig.wallet.keeper.backup(backup)

    other = rig.beside(away).start()
    assert other.wallet.balance().available == 0
    old = other.wallet.address
    other.wallet.restore(backup)
    assert other.wallet.labels == {rig.wallet.address: "mine"}
    if passphrase:
        other.wallet.keeper.unlock(passphrase, 60)
    assert other.wallet.balance() == rig.wallet.balance()
    assert set(other.wallet.addresses()) == set(rig.wallet.addresses())
    other.send(COIN)
    assert len(list(away.glob("wallet-*.json"))) == 1  # the one it had before
    other.wallet.keeper.lock()
    again = other.restart()
    assert again.wallet.balance() == other.wallet.balance()
    (aside,) = away.glob("wallet-*.json")
    again.wallet.restore(aside)
    assert again.wallet.address == old


@pytest.mark.parametrize("imported", [None, IMPORTED])
@pytest.mark.parametrize("syncs", [0, 2, 4])
def test_a_kill_during_a_restore_leaves_the_old_wallet_or_the_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, imported: PrivateKey | None, syncs: int
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    rig = rich(home, imported)
    other = Rig().start()
    backup = tmp_path / "backup.json"
    other.wallet.keeper.backup(backup)
    addresses = {rig.wallet.address, other.wallet.address}
    kill_at_sync(monkeypatch, syncs)
    with suppress(KeyboardInterrupt):
        rig.wallet.restore(backup)
    monkeypatch.undo()
    assert rig.restart().wallet.address in addresses


def test_a_wallet_file_without_a_birth_is_of_unknown_age(tmp_path: Path) -> None:
    rig = Rig(tmp_path).start()
    path = tmp_path / "wallet.json"
    form = json.loads(path.read_text())
    del form["birth"]
    path.write_text(json.dumps(form))
    assert rig.restart().wallet.address == rig.wallet.address


def test_what_is_no_backup_changes_nothing(tmp_path: Path) -> None:
    rig = rich(tmp_path)
    before = snapshot(rig.wallet)
    files = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(WalletError, match="no such file"):
        rig.wallet.restore(tmp_path / "nothing")
    empty = tmp_path.with_suffix(".other")
    good = json.loads((tmp_path / "wallet.json").read_text())
    for data in (
        b"",
        b"precious",
        json.dumps(good | {"chain": "miso"}).encode(),
        json.dumps(good | {"accounts": [], "keys": [], "secrets": None}).encode(),
        json.dumps(good | {"accounts": []}).encode(),
        (tmp_path / "wallet.json").read_bytes()[:-100],
    ):
        empty.write_bytes(data)
        with pytest.raises((KeyFormatError, WalletError)):
            rig.wallet.restore(empty)
    assert sorted(path.name for path in tmp_path.iterdir()) == files
    assert snapshot(rig.wallet) == before


def test_files_are_read_as_written() -> None:
    keychain = open_node_keys(regtest(), None, None, None)
    keychain.import_key(IMPORTED)
    keychain.new_address(AddressType.LEGACY)
    keychain.set_label(OTHER, "bob")
    file = keychain.file
    assert wallet_file_from_bytes(bytes_from_wallet_file(file, regtest()), regtest()) == file
    keychain.seal(keychain.secrets, b"x")
    sealed = keychain.file
    assert wallet_file_from_bytes(bytes_from_wallet_file(sealed, regtest()), regtest()) == sealed
    own = sealed.accounts[3].address(Branch.RECEIVE, 0)
    assert own.script_pubkey in keychain.scripts


def test_a_damaged_history_does_not_lose_the_place_in_the_addresses(tmp_path: Path) -> None:
    rig = rich(tmp_path)
    rig.send(COIN)
    rig.mine(script=NOBODY)
    rig.wallet.close()
    for path in tmp_path.glob("wallet.sqlite*"):
        path.unlink()
    again = rig.restart()
    assert again.wallet.balance() == rig.wallet.balance()
    assert again.wallet.change_address() == rig.wallet.change_address()
