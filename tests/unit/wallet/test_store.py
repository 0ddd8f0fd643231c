"""The wallet's database: what was saved comes back, whatever happens in between."""

import sqlite3
import stat
import time
from pathlib import Path

import pytest

from misocoin.errors import StoreError
from misocoin.wallet.ledger import OwnOutput
from misocoin.wallet.store import StoredSpend, StoredWalletTx, WalletRows, WalletStore
from tests.builders import make_outpoint

FIRST = StoredWalletTx(b"\x01" * 32, b"data", 5, b"\x05" * 32, 1_000)
SECOND = StoredWalletTx(b"\x02" * 32, b"more", -1, None, 2_000)
OUTPUT = OwnOutput(make_outpoint(1), 50, b"script")
SPEND = StoredSpend(b"\x02" * 32, make_outpoint(1))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "wallet.sqlite"


def test_empty() -> None:
    store = WalletStore(None)
    assert store.load() == WalletRows([], [], [], {})
    store.close()


def test_what_is_saved_comes_back(path: Path) -> None:
    store = WalletStore(path)
    rows = WalletRows([SECOND, FIRST], [OUTPUT], [SPEND], {"tip": b"\x09" * 32})
    store.save(rows)
    assert store.load() == rows
    store.close()
    again = WalletStore(path)
    assert again.load() == rows
    again.close()


def test_without_a_close_it_comes_back_too(path: Path) -> None:
    killed = WalletStore(path)
    killed.save(WalletRows([FIRST]))
    again = WalletStore(path)
    assert again.load().transactions == [FIRST]
    again.close()
    killed.close()


def test_saving_again_changes_the_row_and_keeps_the_order(path: Path) -> None:
    store = WalletStore(path)
    store.save(WalletRows([SECOND, FIRST], [OUTPUT], [SPEND], {"tip": b"1"}))
    mined = SECOND._replace(height=7, block_hash=bytes(32))
    store.save(WalletRows([mined], [OUTPUT], [SPEND], {"tip": b"2"}))
    assert store.load() == WalletRows([mined, FIRST], [OUTPUT], [SPEND], {"tip": b"2"})
    store.close()


def test_a_save_is_all_or_nothing(path: Path) -> None:
    store = WalletStore(path)
    store.save(WalletRows([FIRST]))
    broken = SECOND._replace(data=None)  # type: ignore[arg-type]
    with pytest.raises(StoreError, match=r"wallet\.sqlite cannot be used: NOT NULL"):
        store.save(WalletRows([SECOND._replace(txid=b"\x03" * 32), broken], meta={"tip": b"x"}))
    assert store.load() == WalletRows([FIRST], [], [], {})
    store.save(WalletRows([SECOND]))
    assert store.load().transactions == [FIRST, SECOND]
    store.close()


def test_only_the_owner_can_read_it(path: Path) -> None:
    store = WalletStore(path)
    store.save(WalletRows([FIRST]))
    for file in path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) & 0o077 == 0, file.name
    store.close()


@pytest.mark.parametrize("name", ["a?mode=memory.sqlite", "ä b#c%20.sqlite", "file:x.sqlite"])
def test_any_name_will_do(tmp_path: Path, name: str) -> None:
    store = WalletStore(tmp_path / name)
    store.save(WalletRows([FIRST]))
    store.close()
    again = WalletStore(tmp_path / name)
    assert again.load().transactions == [FIRST]
    again.close()
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_foreign_bytes_are_an_error(path: Path) -> None:
    path.write_bytes(b"this is no database, but long enough to be taken for one" * 100)
    with pytest.raises(StoreError, match=r"wallet\.sqlite cannot be used: file is not a database"):
        WalletStore(path)


def test_another_version_is_an_error(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StoreError, match="another version"):
        WalletStore(path)


def test_a_table_of_another_form_is_an_error(path: Path) -> None:
    WalletStore(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("ALTER TABLE wallet_transactions DROP COLUMN time")
    connection.close()
    store = WalletStore(path)
    with pytest.raises(StoreError, match="no such column"):
        store.load()
    store.close()


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="No such file"):
        WalletStore(tmp_path / "nowhere" / "wallet.sqlite")


def test_a_long_history_loads_fast(path: Path) -> None:
    store = WalletStore(path)
    rows = [FIRST._replace(txid=n.to_bytes(32, "big"), data=bytes(200)) for n in range(20_000)]
    outputs = [OwnOutput(make_outpoint(n), 15, bytes(22)) for n in range(20_000)]
    store.save(WalletRows(rows, outputs))
    began = time.process_time()
    loaded = store.load()
    assert time.process_time() - began < 1  # 0.05 s on the machine it was written on
    assert len(loaded.transactions) == len(loaded.outputs) == 20_000
    store.close()
