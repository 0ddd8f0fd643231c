"""What is there after opening anew, and what a damaged or full disk does."""

import pytest

from misocoin.chain import lookup
from misocoin.chain.events import BlockConnected, EventBus, TipChanged
from misocoin.chain.script_checks import ScriptChecks
from misocoin.chain.state import ChainOptions, ChainState
from misocoin.errors import StoreError
from misocoin.store.records import BlockStatus, Changes
from tests.builders import (
    LATE,
    coins_after,
    grow,
    make_block,
    open_chain,
    spend,
    stored_coins,
)
from tests.unit.chain.driving import extend, record

# -- disk -------------------------------------------------------------------------------------


def test_a_chain_is_there_after_opening_anew(store, params):
    chain = open_chain(params, store)
    extend(chain, 4)
    waiting = grow(chain.tip, params, 2, tag=b"headers only")
    chain.accept_headers([block.header for block in waiting])
    chain.flush()
    again = open_chain(params, store)
    assert again.tip.hash == chain.tip.hash
    assert again.best_header.hash == waiting[1].hash
    assert list(map(again.tx_count, again.tree)) == [1, 1, 1, 1, 1, 0, 0]
    assert stored_coins(again) == stored_coins(chain)


def test_without_a_flush_blocks_are_connected_again(store, params):
    chain = open_chain(params, store)
    blocks = extend(chain, 3)
    chain.flush()
    blocks += extend(chain, 4)
    assert store.get_meta("coins_tip") == blocks[2].hash
    again = open_chain(params, store)
    assert again.tip.hash == blocks[6].hash
    expected = {}
    for height, block in enumerate(blocks, 1):
        expected = coins_after(expected, block, height)
    assert stored_coins(again) == expected


def test_a_flush_moves_on_where_no_coin_changed(store, params):
    chain = open_chain(params, store)
    chain.flush()
    assert store.get_meta("coins_tip") is None
    (block,) = extend(chain, script=b"\x6a")
    chain.flush()
    assert store.get_meta("coins_tip") == block.hash


def test_the_load_tells_how_far_it_is(store, params):
    chain = open_chain(params, store)
    extend(chain, 3)
    seen = []
    again = type(chain)(params, store, chain._scripts, EventBus(), chain.now)
    again.load(lambda height, of: seen.append((height, of)))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_coins_are_flushed_when_they_take_too_much_memory(store, params):
    chain = open_chain(params, store, options=ChainOptions(coin_cache_bytes=0))
    (first, _) = extend(chain, 2)
    many = spend([first.transactions[0].outpoint(0)], [1] * 1200)
    assert store.get_meta("coins_tip") is None
    block = make_block(chain.tip, params, [many])
    chain.submit_block(block)
    assert store.get_meta("coins_tip") == block.hash
    assert len(dict(store.iterate_coins())) == 1202


def test_of_equal_branches_a_restart_stays_where_it_was(store, params):
    chain = open_chain(params, store)
    (one,) = grow(chain.tip, params, 1, tag=b"1")
    (two,) = grow(chain.tip, params, 1, tag=b"2")
    chain.accept_headers([one.header, two.header])
    chain.submit_block(two)
    chain.submit_block(one)
    assert chain.tip.hash == two.hash
    for flush in (False, True):
        again = open_chain(params, store)
        assert again.tip.hash == two.hash
        if flush:
            again.flush()


def test_a_body_whose_parent_is_missing_survives_a_restart(store, params):
    chain = open_chain(params, store)
    blocks = grow(chain.tip, params, 3)
    chain.accept_headers([block.header for block in blocks])
    chain.submit_block(blocks[2])
    chain.submit_block(blocks[1])
    again = open_chain(params, store)
    assert again.height == 0
    assert again.submit_block(blocks[0]).in_chain
    assert again.height == 3


NO_COIN = b"\x6a"


def test_the_index_of_transactions(store, params):
    chain = open_chain(params, store, options=ChainOptions(txindex=True))
    root = chain.tip
    (block,) = extend(chain, script=NO_COIN)
    txid = block.transactions[0].txid
    assert chain.find_transaction_block(txid) is chain.tip
    assert chain.find_transaction_block(b"?" * 32) is None
    for other in grow(root, params, 2, tag=b"other"):
        chain.submit_block(other)
    assert chain.find_transaction_block(txid) is None
    assert chain.find_transaction_block(other.transactions[0].txid) is chain.tip


def test_the_index_is_made_when_it_is_first_asked_for(store, params):
    chain = open_chain(params, store)
    (block,) = extend(chain, script=NO_COIN)
    assert chain.find_transaction_block(block.transactions[0].txid) is None
    chain.flush()
    (late,) = extend(chain, script=NO_COIN)
    again = open_chain(params, store, options=ChainOptions(txindex=True))
    for known in (block, late):
        assert again.find_transaction_block(known.transactions[0].txid).hash == known.hash
    # left out for a while, it is made anew
    third = open_chain(params, store)
    (missed,) = extend(third, script=NO_COIN)
    third.flush()
    fourth = open_chain(params, store, options=ChainOptions(txindex=True))
    assert fourth.find_transaction_block(missed.transactions[0].txid).hash == missed.hash


def test_the_index_of_a_long_chain_is_made_in_pieces(store, params, monkeypatch):
    monkeypatch.setattr(lookup, "BATCH", 2)
    chain = open_chain(params, store)
    blocks = extend(chain, 7, script=NO_COIN)
    chain.flush()
    chain = ChainState(
        params, store, ScriptChecks(1), EventBus(), lambda: LATE, ChainOptions(txindex=True)
    )
    seen = []
    chain.load(lambda height, of: seen.append((height, of)))
    assert seen == [(height, 7) for height in range(1, 8)]
    for block in blocks:
        assert chain.find_transaction_block(block.transactions[0].txid).hash == block.hash


def test_without_the_index_an_unspent_output_tells_the_block(chain, params):
    (first, second) = extend(chain, 2)
    txid = first.transactions[0].txid
    assert chain.find_transaction_block(txid).hash == first.hash
    chain.flush()
    assert chain.find_transaction_block(txid).hash == first.hash
    chain.submit_block(
        make_block(chain.tip, params, [spend([first.transactions[0].outpoint(0)], [1])])
    )
    assert chain.find_transaction_block(txid) is None
    assert chain.find_transaction_block(second.transactions[0].txid).hash == second.hash


# -- a damaged store --------------------------------------------------------------------------


@pytest.fixture
def grown(store, params):
    """Four blocks, the coins of two of them on disk."""
    chain = open_chain(params, store)
    blocks = extend(chain, 2)
    chain.flush()
    blocks += extend(chain, 2)
    return blocks


def _load_error(params, store):
    with pytest.raises(StoreError) as caught:
        open_chain(params, store)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def _sql(store, query, *values):
    with store._write() as connection:
        connection.exec_driver_sql(query, values)


def test_a_missing_header(store, params, grown):
    _sql(store, "DELETE FROM headers WHERE hash = ?", grown[1].hash)
    assert "header tree is damaged: prev-blk-not-found" in _load_error(params, store)


def test_a_changed_header(store, params, grown):
    data = grown[3].header.serialize()
    _sql(store, "UPDATE headers SET header = ? WHERE hash = ?", data[:-1] + b"!", grown[3].hash)
    assert "is damaged on disk" in _load_error(params, store)


def test_a_header_of_another_size(store, params, grown):
    _sql(store, "UPDATE headers SET header = ? WHERE hash = ?", b"short", grown[3].hash)
    assert "a block header is 80 bytes, not 5" in _load_error(params, store)


def test_coins_of_a_block_that_is_not_there(store, params, grown):
    store.set_meta("coins_tip", b"?" * 32)
    assert _load_error(params, store) == "the coins stand for a block that is not in the store"
    store.set_meta("coins_tip", grown[1].hash)
    store.apply(Changes(statuses={grown[0].hash: (BlockStatus.NONE, 0)}))
    assert _load_error(params, store) == "the coins stand for a block that is not in the store"


def test_a_missing_body(store, params, grown):
    _sql(store, "DELETE FROM blocks WHERE hash = ?", grown[3].hash)
    assert "not fully downloaded" in _load_error(params, store)


@pytest.mark.parametrize("damage", ["cut", "another block", "another transaction"])
def test_a_damaged_body_is_the_disks_fault_and_condemns_nothing(store, params, grown, damage):
    good = grown[3].serialize()
    bad = {
        "cut": good[:-1],
        "another block": grown[2].serialize(),
        "another transaction": good.replace(b"\x54", b"\x53", 1),
    }[damage]
    assert bad != good
    store.apply(Changes(bodies=[(grown[3].hash, bad)]))
    assert "is damaged on disk" in _load_error(params, store)
    store.apply(Changes(bodies=[(grown[3].hash, good)]))
    assert open_chain(params, store).tip.hash == grown[3].hash


@pytest.mark.parametrize("damage", ["missing", "cut", "another block's"])
def test_undo_data_that_cannot_be_used(store, params, damage):
    chain = open_chain(params, store)
    root = chain.tip
    (first, _) = extend(chain, 2)
    block = make_block(chain.tip, params, [spend([first.transactions[0].outpoint(0)], [1])])
    chain.submit_block(block)
    coins = stored_coins(chain)
    if damage == "missing":
        _sql(store, "DELETE FROM undo WHERE hash = ?", block.hash)
    else:
        wrong = b"" if damage == "cut" else store.get_undo(first.hash)
        store.apply(Changes(undo=[(block.hash, wrong)]))
    branch = grow(root, params, 4, tag=b"branch")
    for side in branch[:3]:
        assert not chain.submit_block(side).in_chain
    with pytest.raises(StoreError, match="undo"):
        chain.submit_block(branch[3])
    assert chain.tip.hash == block.hash
    assert stored_coins(chain) == coins


def test_a_store_that_fails_does_not_confuse_the_chain(chain, params, store, monkeypatch):
    extend(chain, 2)
    before = stored_coins(chain)
    block = make_block(chain.tip, params)
    side = grow(chain.tree.genesis, params, 1, tag=b"side")[0]

    def fail(_changes):
        raise StoreError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(store, "apply", fail)
        for refused in (block, side):
            with pytest.raises(StoreError, match="full"):
                chain.submit_block(refused)
            assert not chain.status(chain.find(refused.hash)) & BlockStatus.DATA
    assert stored_coins(chain) == before
    assert chain.submit_block(side).is_new
    assert chain.submit_block(block).in_chain
    assert stored_coins(chain) == coins_after(before, block, 3)


def test_a_full_disk_at_the_flush_leaves_a_chain_that_goes_on(chain, params, monkeypatch):
    extend(chain, 2)
    fork = chain.tip

    def refuse(*_args):
        raise StoreError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(chain._store, "flush_coins", refuse)
        patch.setattr("misocoin.chain.state.FLUSH_INTERVAL", -1.0)
        heard = record(chain.events)
        extend(chain)
        assert [type(event) for event in heard] == [BlockConnected, TipChanged]
    rivals = grow(fork, params, 2, tag=b"rival")
    for block in rivals:
        chain.submit_block(block)
    assert chain.tip.hash == rivals[-1].hash
    assert len(stored_coins(chain)) == chain.height


def test_a_disk_that_breaks_in_a_reorg_is_told_of_where_the_chain_stands(
    chain, params, monkeypatch
):
    extend(chain, 3)
    old, fork = chain.tip, chain.at_height(1)
    rivals = grow(fork, params, 3, tag=b"rival")
    for block in rivals[:2]:
        chain.submit_block(block)
    heard = record(chain.events)

    def refuse(_node):
        raise StoreError("the disk is broken")

    with monkeypatch.context() as patch:
        patch.setattr(chain, "_checked_block", refuse)
        with pytest.raises(StoreError, match="broken"):
            chain.submit_block(rivals[2])
    assert chain.tip is fork
    assert heard[-1] == TipChanged(old, fork, fork)
    (block,) = grow(chain.find(rivals[2].hash), params, 1)
    chain.submit_block(block)
    assert chain.tip.hash == block.hash
    assert heard[-1] == TipChanged(fork, chain.tip, fork)
