"""The wallet after a stop, a crash or an import, and on a disk that fails."""

from pathlib import Path

import pytest

from misocoin.chain.events import BlockDisconnected
from misocoin.crypto.hashes import hash160
from misocoin.crypto.keys import PrivateKey
from misocoin.errors import KeyFormatError, StoreError, WalletError
from misocoin.script.templates import p2wpkh_script
from misocoin.wallet.following import CATCH_UP_INTERVAL, SAVE_INTERVAL
from misocoin.wallet.keyfile import read_keys, write_keys
from misocoin.wallet.ledger import Balance, TxState
from misocoin.wallet.store import WalletRows, WalletStore
from tests.unit.wallet.rig import (
    COIN,
    MATURITY,
    NOBODY,
    OTHER,
    SUBSIDY,
    Rig,
    snapshot,
)

IMPORTED = PrivateKey(bytes(31) + b"\x77")
IMPORTED_SCRIPT = p2wpkh_script(hash160(IMPORTED.public_key))


def stored_tip(folder: Path) -> bytes:
    store = WalletStore(folder / "wallet.sqlite")
    tip = store.load().meta["tip"]
    store.close()
    return tip


def restarted_equal(rig: Rig) -> Rig:
    before = snapshot(rig.wallet)
    again = rig.restart()
    assert snapshot(again.wallet) == before
    return again


# -- restarts ----------------------------------------------------------------------------------


def test_everything_is_there_after_a_crash(tmp_path: Path) -> None:
    rig = Rig(tmp_path).start()
    rig.mine(3)
    rig.mine(MATURITY, script=NOBODY)
    rig.send(10 * COIN)
    rig.send(100 * COIN)
    rig = restarted_equal(rig)
    assert len(rig.pool.mempool.entries()) == 2
    rig.mine(script=NOBODY)
    rig = restarted_equal(rig)
    rig.fork(1, 2)
    rig = restarted_equal(rig)
    assert len(rig.pool.mempool.entries()) == 2


def test_everything_is_there_after_a_clean_stop(tmp_path: Path) -> None:
    rig = Rig(tmp_path).start()
    rig.mine(3)
    rig.mine(MATURITY + SAVE_INTERVAL // 2, script=NOBODY)
    before = snapshot(rig.wallet)
    rig.wallet.close()
    assert stored_tip(tmp_path) == rig.chain.tip.hash
    assert snapshot(rig.restart().wallet) == before


def test_blocks_that_came_while_it_was_away_are_read(tmp_path: Path) -> None:
    rig = Rig(tmp_path).start()
    script = rig.wallet.script
    rig.mine(2)
    away = rig.beside().start()
    away.mine(MATURITY, script=script)
    away.fork(2, 4, script=script)
    heights: list[tuple[int, int]] = []
    away.chain.flush()
    back = rig.restart(progress=lambda height, of: heights.append((height, of)))
    assert heights == [(height, MATURITY + 4) for height in range(3, MATURITY + 5)]
    assert sum(back.wallet.balance()) == (MATURITY + 4) * SUBSIDY


def test_blocks_that_left_while_it_was_away_are_taken_back(tmp_path: Path) -> None:
    rig = Rig(tmp_path).start()
    rig.mine(4)
    away = rig.beside().start()
    away.fork(3, 4)
    away.chain.flush()
    back = rig.restart()
    assert back.wallet.balance() == Balance(SUBSIDY, 0, 0)
    assert [h.entry.state for h in back.wallet.history()].count(TxState.DROPPED) == 3
    restarted_equal(back)


def test_a_deleted_history_is_read_from_the_chain(tmp_path: Path) -> None:
    rig = Rig(tmp_path).start()
    rig.mine(3)
    rig.mine(MATURITY, script=NOBODY)
    rig.send(10 * COIN)
    rig.mine(2, script=NOBODY)
    before = snapshot(rig.wallet)
    rig.wallet.close()
    for file in tmp_path.glob("wallet.sqlite*"):
        file.unlink()
    assert snapshot(rig.restart().wallet) == before


def test_a_chain_that_starts_anew_is_followed_anew(tmp_path: Path) -> None:
    rig = Rig(tmp_path).start()
    rig.mine(3)
    rig.wallet.close()
    fresh = Rig(tmp_path).start()  # the same wallet beside an empty chain
    assert fresh.wallet.balance() == Balance(0, 0, 0)
    assert [h.entry.state for h in fresh.wallet.history()] == [TxState.DROPPED] * 3
    fresh.mine(2)
    assert fresh.wallet.balance() == Balance(0, 0, 2 * SUBSIDY)


def test_a_history_of_another_chain_is_refused(tmp_path: Path) -> None:
    rig = Rig(tmp_path).start()
    rig.wallet.close()
    store = WalletStore(tmp_path / "wallet.sqlite")
    store.save(WalletRows(meta={"genesis": bytes(32)}))
    store.close()
    with pytest.raises(StoreError, match="another chain"):
        rig.restart()


def test_a_foreign_key_file_is_refused_and_stays(tmp_path: Path) -> None:
    (tmp_path / "wallet.pem").write_text("precious")
    with pytest.raises(KeyFormatError):
        Rig(tmp_path).start()
    assert (tmp_path / "wallet.pem").read_text() == "precious"


def test_blocks_of_others_are_noted_once_in_a_while(tmp_path: Path) -> None:
    rig = Rig(tmp_path).start()
    rig.mine(SAVE_INTERVAL - 1, script=NOBODY)
    assert stored_tip(tmp_path) == rig.params.genesis.hash
    rig.mine(1, script=NOBODY)
    assert stored_tip(tmp_path) == rig.chain.tip.hash


# -- keys --------------------------------------------------------------------------------------


def test_every_address_receives(tmp_path: Path) -> None:
    rig = Rig(tmp_path).start()
    second, third = rig.wallet.new_address(), rig.wallet.new_address()
    assert rig.wallet.addresses() == [rig.wallet.address, second, third]
    assert len(set(rig.wallet.addresses())) == 3
    rig.mine(2, script=rig.script_of(second))
    rig.mine(1)
    assert rig.wallet.balances_by_address() == {
        rig.wallet.address: SUBSIDY,
        second: 2 * SUBSIDY,
        third: 0,
    }
    rig.mine(MATURITY, script=NOBODY)
    rig.send(10 * COIN, third)
    held = rig.wallet.balances_by_address()
    assert held[third] == 10 * COIN
    assert sum(held.values()) == rig.wallet.balance().available
    rig.mine(script=NOBODY)
    rig.send(2 * SUBSIDY)  # takes coins of several keys
    rig.mine(script=NOBODY)
    assert SUBSIDY - 1_000 < rig.wallet.balance().available < SUBSIDY
    restarted_equal(rig)


def test_a_new_address_needs_no_search(tmp_path: Path) -> None:
    rig = Rig(tmp_path).start()
    rig.mine(3)
    rig.wallet.new_address()
    searched: list[int] = []
    again = rig.restart(progress=lambda height, _of: searched.append(height))
    assert searched == []
    assert again.wallet.balance() == rig.wallet.balance()


def test_an_imported_key_brings_its_past(tmp_path: Path) -> None:
    rig = Rig(tmp_path).start()
    old_address = rig.wallet.address
    rig.mine(2)
    rig.mine(2, script=IMPORTED_SCRIPT)
    rig.mine(MATURITY, script=NOBODY)
    assert rig.wallet.balance() == Balance(2 * SUBSIDY, 0, 0)
    again = rig.restart(imported=IMPORTED)
    assert again.wallet.balance() == Balance(4 * SUBSIDY, 0, 0)
    assert again.wallet.script == IMPORTED_SCRIPT
    assert again.wallet.addresses()[1:] == [old_address]
    again.send(3 * SUBSIDY)
    once_more = again.restart(imported=IMPORTED)
    assert snapshot(once_more.wallet) == snapshot(again.wallet)
    assert snapshot(once_more.restart().wallet) == snapshot(again.wallet)


def test_an_import_cut_short_goes_on(tmp_path: Path) -> None:
    rig = Rig(tmp_path).start()
    rig.mine(4, script=IMPORTED_SCRIPT)

    class Killed(Exception):
        pass

    def die(height: int, _of: int) -> None:
        if height == 2:
            raise Killed

    with pytest.raises(Killed):
        rig.restart(imported=IMPORTED, progress=die)
    assert rig.restart(imported=IMPORTED).wallet.balance() == Balance(0, 0, 4 * SUBSIDY)


def test_a_long_search_notes_how_far_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("misocoin.wallet.following.CATCH_UP_INTERVAL", 3)
    assert CATCH_UP_INTERVAL > 3
    rig = Rig(tmp_path).start()
    rig.mine(8, script=IMPORTED_SCRIPT)

    def die(height: int, _of: int) -> None:
        if height == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rig.restart(imported=IMPORTED, progress=die)
    searched: list[int] = []
    again = rig.restart(imported=IMPORTED, progress=lambda height, _of: searched.append(height))
    assert searched == [4, 5, 6, 7, 8]
    assert sum(again.wallet.balance()) == 8 * SUBSIDY


def test_a_key_put_into_the_file_by_hand_is_searched_for(tmp_path: Path) -> None:
    rig = Rig(tmp_path).start()
    rig.mine(2, script=IMPORTED_SCRIPT)
    rig.mine(1)
    path = tmp_path / "wallet.pem"
    write_keys(path, [*read_keys(path), IMPORTED])
    again = rig.restart()
    assert sum(again.wallet.balance()) == 3 * SUBSIDY
    assert again.wallet.addresses()[0] == rig.wallet.address


def test_a_key_taken_out_of_the_file_takes_its_coins_along(tmp_path: Path) -> None:
    rig = Rig(tmp_path).start(imported=IMPORTED)
    rig.mine(2)
    path = tmp_path / "wallet.pem"
    path.unlink()
    again = rig.restart()
    assert again.wallet.balance() == Balance(0, 0, 0)
    assert again.wallet.history() == []
    again.mine(1)
    assert len(restarted_equal(again).wallet.history()) == 1
    (tmp_path / "wallet.json").unlink()
    write_keys(path, [IMPORTED])
    assert sum(again.restart().wallet.balance()) == 2 * SUBSIDY


def test_two_wallets_share_a_key() -> None:
    rig = Rig()
    one = rig.add_wallet("one", imported=IMPORTED)
    two = rig.add_wallet("two", imported=IMPORTED)
    rig.mine(2)
    rig.mine(MATURITY, script=NOBODY)
    assert snapshot(one) == snapshot(two)
    paid = one.send(OTHER, 10 * COIN, 2_000, rig.pool.submit)
    assert snapshot(one) == snapshot(two)
    again = two.send(OTHER, 60 * COIN, 2_000, rig.pool.submit)  # does not spend the same coin
    assert paid.tx.vin[0].prevout not in {txin.prevout for txin in again.tx.vin}
    rig.mine(script=NOBODY)
    assert snapshot(one) == snapshot(two)
    assert one.balance().available == 2 * SUBSIDY - 70 * COIN - paid.fee - again.fee


def test_a_key_that_cannot_be_written_is_not_shown(tmp_path: Path) -> None:
    rig = Rig(tmp_path).start(imported=IMPORTED)
    (tmp_path / "wallet.pem").unlink()
    with pytest.raises(WalletError):
        rig.wallet.new_address()
    assert len(rig.wallet.addresses()) == 1


# -- a store that fails ------------------------------------------------------------------------


class FullDisk(WalletStore):
    """A store that can be told not to write."""

    is_full = False

    def save(self, rows: WalletRows) -> None:
        if self.is_full:
            raise StoreError("disk full")
        super().save(rows)


def test_what_could_not_be_written_is_written_with_the_next_change(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rig = Rig(tmp_path).start(store=FullDisk)
    wallet, store = rig.wallet, rig.wallet_store
    assert isinstance(store, FullDisk)
    rig.mine(1)
    store.is_full = True
    rig.mine(2)
    assert wallet.balance() == Balance(0, 0, 3 * SUBSIDY)
    assert caplog.text.count("disk full; it will be written") == 2
    wallet.new_address()
    store.is_full = False
    rig.mine(1)
    before = snapshot(wallet)
    again = rig.restart()
    assert snapshot(again.wallet) == before
    assert len(again.wallet.history()) == 4


def test_a_crash_before_it_was_written_costs_nothing(tmp_path: Path) -> None:
    rig = Rig(tmp_path).start(store=FullDisk)
    rig.mine(1)
    assert isinstance(rig.wallet_store, FullDisk)
    rig.wallet_store.is_full = True
    rig.mine(3)
    restarted_equal(rig)


class Noting(WalletStore):
    """A store that notes how many transactions each save wrote."""

    def __init__(self, path: Path | None) -> None:
        super().__init__(path)
        self.written: list[int] = []

    def save(self, rows: WalletRows) -> None:
        self.written.append(len(rows.transactions))
        super().save(rows)


def test_only_what_has_changed_is_written(tmp_path: Path) -> None:
    rig = Rig(tmp_path).start(store=Noting)
    store = rig.wallet_store
    assert isinstance(store, Noting)
    rig.mine(3)
    rig.mine(MATURITY, script=NOBODY)
    rig.send(COIN)
    rig.mine(script=NOBODY)
    assert store.written == [0, 1, 1, 1, 1, 1]
    rig.fork(1, 2)
    assert store.written[6:] == [1, 1]  # out of its block, into the mempool
    again = rig.beside(tmp_path).start(store=Noting)
    assert isinstance(again.wallet_store, Noting)
    assert again.wallet_store.written == [0, 1]  # nothing was missed; the mempool comes back


def test_a_crash_in_the_middle_of_a_reorg_that_is_given_up(tmp_path: Path) -> None:
    rig = Rig(tmp_path).start()
    rig.mine(2)
    before = snapshot(rig.wallet)
    # The wallet hears that the tip is gone; after the crash the chain stands there again.
    rig.wallet.handle(BlockDisconnected(rig.chain.tip, rig.chain.get_block(rig.chain.tip)))
    assert snapshot(rig.restart().wallet) == before


def test_damaged_history_says_what_to_do(tmp_path: Path) -> None:
    rig = Rig(tmp_path).start()
    rig.mine(1)
    store = WalletStore(tmp_path / "wallet.sqlite")
    rows = store.load()
    store.save(WalletRows([rows.transactions[0]._replace(data=b"\x00")], meta={"keys": b""}))
    store.close()
    with pytest.raises(StoreError, match="without its file the chain is read again"):
        rig.restart()


def test_locks_that_are_to_last_outlast_a_restart(tmp_path: Path) -> None:
    rig = Rig(tmp_path).start()
    rig.mine(3)
    rig.mine(MATURITY, script=NOBODY)
    lasting, passing, other = [each.coin.point for each in rig.wallet.unspent()]
    rig.wallet.locks.add([passing])
    rig.wallet.locks.add([lasting], lasts=True)
    rig.wallet.locks.add([lasting])  # that does not make it pass
    assert [each.point for each in rig.wallet.coins()] == [other]
    rig = rig.restart()
    assert rig.wallet.locks.points() == [lasting]
    rig.wallet.locks.remove()
    assert rig.restart().wallet.locks.points() == []
