"""Keys from elsewhere, backups, and what is searched for again."""

import json
from contextlib import suppress
from pathlib import Path

import pytest

from misocoin.crypto.keys import PrivateKey
from misocoin.errors import (
    KeyFormatError,
    WalletError,
)
from misocoin.params import regtest
from misocoin.wallet.addresses import AddressType, Branch
from misocoin.wallet.ledger import TxState
from misocoin.wallet.nodekeys import open_node_keys
from misocoin.wallet.walletfile import (
    bytes_from_wallet_file,
    wallet_file_from_bytes,
)
from tests.unit.wallet.rig import COIN, MATURITY, NOBODY, OTHER, SUBSIDY, Rig, snapshot
from tests.unit.wallet.wordrig import IMPORTED, kill_at_sync, rich


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


def test_what_waits_in_the_mempool_is_found_too(tmp_path: Path) -> None:
    rig = rich(tmp_path)
    payment = rig.send(COIN)  # its change is the wallet's
    before = rig.wallet.balance()
    assert before.pending == 0
    backup = tmp_path / "backup.json"
    rig.wallet.keeper.backup(backup)
    rig.wallet.restore(backup)
    assert rig.wallet.balance() == before
    found = rig.wallet.find(payment.txid)
    assert found is not None
    assert found.state is TxState.POOLED
    # So is what others pay to a key that comes later.
    other = Rig().start(imported=IMPORTED)
    rig.send(2 * COIN, other.wallet.address)
    assert rig.wallet.balance().pending == 0
    rig.wallet.keeper.import_key(IMPORTED)
    held = sum(rig.wallet.balance())
    rig.wallet.rescan()
    assert sum(rig.wallet.balance()) == held + 2 * COIN


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
