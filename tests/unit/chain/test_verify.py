from contextlib import contextmanager

import pytest

from misocoin.chain.script_checks import ScriptChecks
from misocoin.chain.verify import verify_chain, verify_recent
from misocoin.consensus.connect import serialize_undo
from misocoin.errors import StoreError
from misocoin.primitives.block import Block
from misocoin.primitives.transaction import TxOut
from misocoin.store.records import Changes
from tests.builders import (
    KEY_SCRIPT,
    grow,
    make_block,
    make_outpoint,
    open_chain,
    signed_spend,
    small_params,
    with_bad_signature,
)

PARAMS = small_params()
SUBSIDY = 5_000_000_000


@pytest.fixture
def params():
    return PARAMS


@pytest.fixture
def chain(store):
    """Six blocks; the fourth spends the first's coinbase."""
    made = open_chain(PARAMS, store)
    for _ in range(3):
        made.submit_block(make_block(made.tip, PARAMS, script=KEY_SCRIPT))
    point = made.get_block(made.at_height(1)).transactions[0].outpoint(0)
    payment = signed_spend(made.get_coins([point]), [TxOut(1000, KEY_SCRIPT), 500])
    made.submit_block(make_block(made.tip, PARAMS, [payment], fees=7))
    for block in grow(made.tip, PARAMS, 2):
        made.submit_block(block)
    made.flush()
    return made


def _verify(chain, progress=lambda _height, _of: None):
    return verify_chain(chain, ScriptChecks(1), progress)


def _difference(chain):
    with pytest.raises(StoreError) as caught:
        _verify(chain)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def _sql(store, query, *values):
    with store._write() as connection:
        connection.exec_driver_sql(query, values)


def _paying(chain):
    """The block with the payment, and its node."""
    node = chain.at_height(4)
    return chain.get_block(node), node


def test_what_a_right_chain_is_found_to_hold(chain):
    seen = []
    result = _verify(chain, lambda height, of: seen.append((height, of)))
    assert result == (6, chain.tip.hash, 8, 7, 5 * SUBSIDY + 7 + 1500)
    assert seen == [(height, 6) for height in range(1, 7)]


def test_a_chain_of_genesis_alone(store):
    chain = open_chain(PARAMS, store)
    assert _verify(chain) == (0, PARAMS.genesis.hash, 1, 0, 0)


def test_coins_that_are_not_flushed_yet_count(chain):
    chain.submit_block(make_block(chain.tip, PARAMS))
    assert _verify(chain).coins == 8


def test_blocks_that_come_meanwhile_are_replayed_too(chain):
    late = grow(chain.tip, PARAMS, 2)

    def progress(height, of):
        if (height, of) == (3, 6):
            for block in late:
                chain.submit_block(block)

    assert _verify(chain, progress).height == 8


def test_a_reorg_meanwhile_starts_the_replay_anew(chain):
    side = grow(chain.at_height(2), PARAMS, 5, tag=b"side")

    def progress(height, of):
        if (height, of) == (6, 6):
            for block in side:
                chain.submit_block(block)

    result = _verify(chain, progress)
    assert (result.height, result.transactions) == (7, 8)


def test_a_clock_set_back_breaks_no_chain(chain):
    chain.now = lambda: 0
    assert _verify(chain).height == 6


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ("UPDATE coins SET value = value + 1 WHERE outpoint = ?", "stored Coin(value=5000000001"),
        ("UPDATE coins SET height = 1 WHERE outpoint = ?", "height=1, is_coinbase=True), by the"),
        ("UPDATE coins SET coinbase = 0 WHERE outpoint = ?", "is_coinbase=False), by the blocks"),
        ("UPDATE coins SET script = x'52' WHERE outpoint = ?", "script_pubkey=b'R'"),
        ("DELETE FROM coins WHERE outpoint = ?", "stored None, by the blocks Coin(value=5000"),
    ],
)
def test_a_changed_coin(chain, store, change, difference):
    tx = chain.get_block(chain.at_height(5)).transactions[0]
    _sql(store, change, tx.outpoint(0))
    message = _difference(open_chain(PARAMS, store))
    assert message.startswith(f"coin {tx.txid_hex}:0: ")
    assert difference in message


def test_a_coin_too_many(chain, store):
    point = make_outpoint(1, 3)
    _sql(store, "INSERT INTO coins VALUES (?, 5, x'51', 2, 0)", point)
    message = _difference(open_chain(PARAMS, store))
    assert message.startswith("coin 01000000")
    assert ":3: stored Coin(value=5, " in message
    assert message.endswith("by the blocks None")


def test_changed_undo_data(chain, store):
    _, node = _paying(chain)
    ((coin,),) = chain.get_undo(node)
    store.apply(Changes(undo=[(node.hash, serialize_undo([[coin._replace(value=1)]]))]))
    assert _difference(chain).endswith("the undo data is not what the block spends")
    store.apply(Changes(undo=[(node.hash, b"\x01")]))
    assert "undo data of block 4" in _difference(chain)
    _sql(store, "DELETE FROM undo WHERE hash = ?", node.hash)
    assert "Undo data not available" in _difference(chain)


def test_a_changed_block(chain, store):
    block, node = _paying(chain)
    coinbase, payment = block.transactions
    torn = Block(block.header, (coinbase, with_bad_signature(payment)))
    for data, message in (
        (block.serialize()[:-1], "is damaged on disk"),
        (chain.get_block_bytes(chain.at_height(3)), "its header is another"),
        (Block(block.header, (coinbase,)).serialize(), "bad-txnmrklroot"),
        (torn.serialize(), "bad-witness-merkle-match"),
    ):
        store.apply(Changes(bodies=[(node.hash, data)]))
        difference = _difference(chain)
        assert message in difference
        assert "block 4 (" in difference
    _sql(store, "DELETE FROM blocks WHERE hash = ?", node.hash)
    assert "not fully downloaded" in _difference(chain)


class _BelievesAll:
    """Script checks that check nothing."""

    @contextmanager
    def collect(self):
        yield None


def test_a_wrong_signature_that_was_never_checked(chain, store):
    """Scripts are run again, whatever was believed when the block came."""
    point = chain.get_block(chain.at_height(2)).transactions[0].outpoint(0)
    bad = with_bad_signature(signed_spend(chain.get_coins([point]), [1]))
    chain = open_chain(PARAMS, store, scripts=_BelievesAll())
    assert chain.submit_block(make_block(chain.tip, PARAMS, [bad])).in_chain
    message = _difference(chain)
    assert message.startswith("block 7 (")
    assert "block-script-verify-flag-failed" in message


def test_a_false_filter_is_found(chain, store):
    node = chain.at_height(4)
    _sql(store, "UPDATE filters SET data = ? WHERE hash = ?", b"\x00", node.hash)
    assert _difference(chain).startswith("block 4 (")
    assert _difference(chain).endswith("the filter is not what the block makes")
    _sql(store, "DELETE FROM filters WHERE hash = ?", node.hash)
    assert _verify(chain).height == 6  # one that is yet to be made is no difference


# -- the last blocks --------------------------------------------------------------------------


def _recent(chain, level, count=0):
    verify_recent(chain, ScriptChecks(1), level, count)


@pytest.mark.parametrize("level", range(5))
@pytest.mark.parametrize("count", [0, 1, 3, 100])
def test_the_last_blocks_of_a_right_chain_are_well(chain, level, count):
    before = dict(chain.iterate_coins())
    _recent(chain, level, count)
    assert dict(chain.iterate_coins()) == before
    assert chain.height == 6


def test_a_block_that_cannot_be_read_is_found_if_it_is_looked_at(store, chain):
    _, node = _paying(chain)
    _sql(store, "UPDATE blocks SET data = ? WHERE hash = ?", b"x", node.hash)
    _recent(chain, 4, 2)
    with pytest.raises(StoreError, match="block 4"):
        _recent(chain, 0, 3)


def test_undo_data_is_looked_at_from_level_two_on(store, chain):
    _, node = _paying(chain)
    _sql(store, "DELETE FROM undo WHERE hash = ?", node.hash)
    _recent(chain, 1)
    with pytest.raises(StoreError, match="block 4"):
        _recent(chain, 2)


def test_coins_that_are_not_the_blocks_are_found_from_level_three_on(store, chain):
    block, _ = _paying(chain)
    point = block.transactions[1].outpoint(0)
    _sql(store, "DELETE FROM coins WHERE outpoint = ?", point)
    again = open_chain(PARAMS, store)
    _recent(again, 2)
    with pytest.raises(StoreError, match="is not as the block made it"):
        _recent(again, 3)


def test_scripts_are_looked_at_on_level_four(store, chain):
    block, node = _paying(chain)
    undo = ((chain.get_undo(node)[0][0]._replace(script_pubkey=b"\x51"),),)
    _sql(store, "UPDATE undo SET data = ? WHERE hash = ?", serialize_undo(undo), node.hash)
    _recent(chain, 3)
    with pytest.raises(StoreError, match="script-verify-flag-failed"):
        _recent(chain, 4, 3)
    with pytest.raises(StoreError, match="the undo data is not what the block spends"):
        _recent(chain, 4)
