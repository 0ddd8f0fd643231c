"""The node's wallet of words: addresses, labels, what is found again."""

from pathlib import Path

import pytest

from misocoin.crypto.keys import PrivateKey
from misocoin.errors import (
    AddressError,
    KeyFormatError,
    NotFoundError,
    WalletError,
)
from misocoin.params import miso
from misocoin.wallet.addresses import SINGLE_KEY_TYPES, AddressType
from misocoin.wallet.walletfile import (
    Secrets,
    bytes_from_wallet_file,
    new_wallet_file,
)
from tests.unit.wallet.rig import COIN, MATURITY, NOBODY, OTHER, SUBSIDY, Rig
from tests.unit.wallet.test_keychain import check_weight
from tests.unit.wallet.wordrig import IMPORTED, rich, with_words, words_of


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
