import sqlite3
import threading

import pytest

from misocoin.consensus.coins import Coin
from misocoin.errors import StoreError
from misocoin.store.records import BlockStatus, Changes, StoredHeader, StoredTransaction
from misocoin.store.store import BATCH, Store
from tests.builders import make_outpoint

GENESIS = b"g" * 32
A, B, C = b"a" * 32, b"b" * 32, b"c" * 32
P1, P2, P3 = (make_outpoint(number) for number in (1, 2, 3))
COIN = Coin(5, b"\x51", 7, True)


@pytest.fixture(params=["memory", "file"])
def store(request, tmp_path):
    path = None if request.param == "memory" else tmp_path / "chain.sqlite"
    opened = Store(path, GENESIS)
    yield opened
    opened.close()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "chain.sqlite"


def _reopened(path, genesis=GENESIS):
    return Store(path, genesis)


# -- what is kept -----------------------------------------------------------------------------


def test_meta(store):
    assert store.get_meta("key") is None
    store.set_meta("key", b"one")
    store.set_meta("key", b"two")
    assert store.get_meta("key") == b"two"
    store.delete_meta("key")
    store.delete_meta("key")
    assert store.get_meta("key") is None


def test_headers_come_back_in_order_of_arrival(store):
    store.apply(Changes(headers=[(C, b"c" * 80), (A, b"a" * 80)]))
    store.apply(Changes(headers=[(B, b"b" * 80), (A, b"other" * 16)]))
    store.apply(Changes(statuses={A: (BlockStatus.DATA | BlockStatus.FAILED, 3)}))
    assert list(store.load_headers()) == [
        StoredHeader(C, b"c" * 80, BlockStatus.NONE, 0),
        StoredHeader(A, b"a" * 80, BlockStatus.DATA | BlockStatus.FAILED, 3),
        StoredHeader(B, b"b" * 80, BlockStatus.NONE, 0),
    ]


def test_a_header_and_its_status_may_come_together(store):
    store.apply(Changes(headers=[(A, b"a" * 80)], statuses={A: (BlockStatus.DATA, 1)}))
    assert list(store.load_headers()) == [StoredHeader(A, b"a" * 80, BlockStatus.DATA, 1)]


def test_bodies_and_undo_data(store):
    assert store.get_block(A) is None
    assert store.get_undo(A) is None
    store.apply(Changes(bodies=[(A, b"body")], undo=[(A, b"undo")]))
    assert store.get_block(A) == b"body"
    assert store.get_undo(A) == b"undo"
    store.apply(Changes(bodies=[(A, b"again")], undo=[(A, b"")]))
    assert store.get_block(A) == b"again"
    assert store.get_undo(A) == b""


def test_the_index_of_transactions(store):
    store.apply(Changes(transactions=[(A, B), (C, B)]))
    store.apply(Changes(transactions=[(A, C)]))
    assert store.find_transaction(A) == C
    assert store.find_transaction(C) == B
    assert store.find_transaction(B) is None


def test_coins_and_the_tip_they_stand_for(store):
    other = Coin(2**62, b"", 0, False)
    store.flush_coins(A, [], {P2: COIN, P1: other})
    assert store.get_coins([P1, P2, P3]) == {P1: other, P2: COIN}
    assert list(store.iterate_coins()) == [(P1, other), (P2, COIN)]
    assert store.get_meta("coins_tip") == A
    store.flush_coins(B, [P1, P3, P2], {P2: other})
    assert store.get_coins([P1, P2, P3]) == {P2: other}
    assert store.get_meta("coins_tip") == B
    assert store.find_coins(b"") == {P2: other}
    assert store.find_coins(b"\x51") == {}


def test_the_coins_of_a_transaction(store):
    ends = {make_outpoint(5, index): COIN for index in (0, 1, 2**32 - 1)}
    others = {make_outpoint(4, 2**32 - 1): COIN, make_outpoint(6): COIN}
    store.flush_coins(A, [], {**ends, **others})
    assert store.find_coins_of(make_outpoint(5)[:32]) == ends
    assert store.find_coins_of(make_outpoint(7)[:32]) == {}


def test_many_coins_at_once(store):
    coins = {make_outpoint(number): Coin(number, b"", 1, False) for number in range(2 * BATCH + 1)}
    store.flush_coins(A, [], coins)
    assert store.get_coins(coins) == coins
    assert store.get_coins([]) == {}


def test_the_mempools_transactions(store):
    one, two, three = (
        StoredTransaction(key, key[:3], number, -number) for number, key in enumerate((A, B, C))
    )
    store.save_mempool([two, one], [])
    store.save_mempool([three], [B])
    assert store.load_mempool() == [one, three]
    store.save_mempool([one._replace(fee_delta=9)], [])
    assert store.load_mempool() == [three, one._replace(fee_delta=9)]


# -- all or nothing ---------------------------------------------------------------------------


def test_changes_that_cannot_all_be_written_are_not_written_at_all(store):
    bad = StoredTransaction(A, None, 0, 0)
    changes = Changes(
        headers=[(A, b"a" * 80)],
        bodies=[(A, b"body")],
        undo=[(A, b"undo")],
        transactions=[(A, B)],
        pool_added=[bad],
        meta={"active_tip": A},
    )
    with pytest.raises(StoreError, match="NOT NULL"):
        store.apply(changes)
    assert list(store.load_headers()) == []
    assert store.get_block(A) is store.get_undo(A) is store.find_transaction(A) is None
    assert store.get_meta("active_tip") is None
    changes.pool_added = []
    store.apply(changes)
    assert store.get_block(A) == b"body"


def test_coins_and_tip_change_together_or_not_at_all(store):
    store.flush_coins(A, [], {P1: COIN})
    with pytest.raises(StoreError, match="UNIQUE"):
        store.flush_coins(B, [P2], {P3: COIN, P1: COIN})
    assert store.get_coins([P1, P2, P3]) == {P1: COIN}
    assert store.get_meta("coins_tip") == A


def test_what_was_written_is_seen_by_another_connection(path):
    store = Store(path, GENESIS)
    store.apply(Changes(bodies=[(A, b"body")]))
    with sqlite3.connect(path) as other:
        assert other.execute("SELECT data FROM blocks").fetchall() == [(b"body",)]
    other.close()
    store.close()


def test_a_commit_reaches_the_disk_itself(path):
    """WAL with synchronous=FULL: what was acknowledged survives a power cut."""
    store = Store(path, GENESIS)
    with store._write() as connection:  # the one that writes
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
    store.close()


def test_all_is_there_after_opening_anew(path):
    store = Store(path, GENESIS)
    store.apply(Changes(headers=[(A, b"a" * 80)], bodies=[(A, b"body")], meta={"x": b"y"}))
    store.flush_coins(A, [], {P1: COIN})
    store.close()
    again = _reopened(path)
    assert [row.hash for row in again.load_headers()] == [A]
    assert again.get_block(A) == b"body"
    assert again.get_meta("x") == b"y"
    assert dict(again.iterate_coins()) == {P1: COIN}
    again.close()


def test_all_is_there_without_a_clean_end(path):
    """What a killed process leaves: a database and its log, copied while it is open."""
    store = Store(path, GENESIS)
    store.apply(Changes(bodies=[(A, b"body")]))
    copy = path.with_name("copy.sqlite")
    for suffix in ("", "-wal"):
        source = path.with_name(path.name + suffix)
        copy.with_name(copy.name + suffix).write_bytes(source.read_bytes())
    store.close()
    again = _reopened(copy)
    assert again.get_block(A) == b"body"
    again.close()


def test_a_write_that_was_not_finished_is_not_there(path):
    store = Store(path, GENESIS)
    with pytest.raises(RuntimeError), store._write() as connection:
        connection.exec_driver_sql("INSERT INTO blocks VALUES (?, ?)", (A, b"body"))
        raise RuntimeError
    assert store.get_block(A) is None
    store.apply(Changes(bodies=[(B, b"next")]))
    assert store.get_block(A) is None
    store.close()


def test_readers_in_other_threads(store):
    store.apply(Changes(bodies=[(A, b"body")]))
    found = []

    def read():
        found.append((store.get_block(A), store.get_meta("genesis"), store.get_coins([P1])))

    threads = [threading.Thread(target=read) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [(b"body", GENESIS, {})] * 12


# -- what cannot be used ----------------------------------------------------------------------


def _refused(path, genesis=GENESIS):
    with pytest.raises(StoreError) as caught:
        Store(path, genesis)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_another_chains_store(path):
    Store(path, GENESIS).close()
    assert _refused(path, b"other" * 6 + b"!!") == f"{path} belongs to another chain"
    Store(path, GENESIS).close()


def test_another_versions_store(path):
    store = Store(path, GENESIS)
    assert store.get_meta("schema") == b"\x01\x00\x00\x00"
    store.set_meta("schema", b"\x02\x00\x00\x00")
    store.close()
    assert _refused(path) == f"{path} was made by another version of this program"


def test_a_file_that_is_no_database(path):
    path.write_bytes(b"this is not a database\n" * 100)
    assert _refused(path) == "the chain's database cannot be used: file is not a database"


def test_a_database_cut_short(path):
    store = Store(path, GENESIS)
    store.apply(Changes(bodies=[(bytes([n]) * 32, bytes(5000)) for n in range(50)]))
    store.close()
    path.write_bytes(path.read_bytes()[:20_000])
    assert "the chain's database cannot be used" in _refused(path)


def test_a_damaged_page_is_told_when_it_is_met(path):
    store = Store(path, GENESIS)
    store.apply(Changes(bodies=[(bytes([n]) * 32, bytes(900)) for n in range(200)]))
    store.close()
    data = path.read_bytes()
    path.write_bytes(data[:4096] + bytes([0xEE]) * (len(data) - 4096))
    assert "the chain's database cannot be used" in _refused(path)


def test_a_folder_that_is_not_there(path):
    message = _refused(path / "missing" / "chain.sqlite")
    assert message == "the chain's database cannot be used: unable to open database file"


def test_a_closed_store(store):
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.set_meta("key", b"")


@pytest.mark.parametrize("name", ["with space", "what?is=this", "a#b", "100%41", "ü"])
def test_any_name_of_a_folder_will_do(tmp_path, name):
    folder = tmp_path / name
    folder.mkdir()
    store = Store(folder / "chain.sqlite", GENESIS)
    store.set_meta("key", b"value")
    store.close()
    assert (folder / "chain.sqlite").stat().st_size > 0
    again = _reopened(folder / "chain.sqlite")
    assert again.get_meta("key") == b"value"
    again.close()
