import threading

import pytest

from misocoin.chain import lookup, state
from misocoin.chain.events import BlockConnected, BlockDisconnected, EventBus, TipChanged
from misocoin.chain.script_checks import ScriptChecks
from misocoin.chain.state import ChainOptions, ChainState
from misocoin.consensus.coins import Coin
from misocoin.consensus.tree import HeaderNode
from misocoin.errors import NotFoundError, StoreError, ValidationError
from misocoin.primitives.block import Block
from misocoin.primitives.transaction import TxOut
from misocoin.store.records import BlockStatus, Changes
from tests.builders import (
    ANYONE,
    KEY_SCRIPT,
    LATE,
    coins_after,
    grow,
    make_block,
    make_coinbase,
    make_outpoint,
    mine,
    open_chain,
    signed_spend,
    small_params,
    spend,
    stored_coins,
    with_bad_signature,
    with_header,
    with_transactions,
    with_witness,
)

SUBSIDY = 5_000_000_000


def _refused(chain, block):
    with pytest.raises(ValidationError) as caught:
        chain.submit_block(block)
    return caught.value.reason


def _record(events):
    heard = []
    events.subscribe(heard.append)
    return heard


def _extend(chain, count=1, **options):
    blocks = []
    for _ in range(count):
        block = make_block(chain.tip, chain.params, **options)
        assert chain.submit_block(block).in_chain
        blocks.append(block)
    return blocks


# -- a chain that grows -----------------------------------------------------------------------


def test_a_new_chain_stands_at_genesis(chain, params):
    assert chain.tip is chain.best_header is chain.tree.genesis
    assert chain.height == 0
    assert chain.get_block(chain.tip) == params.genesis
    assert chain.get_undo(chain.tip) == ()
    assert chain.tx_count(chain.tip) == 1
    assert chain.status(chain.tip) == BlockStatus.DATA | BlockStatus.CONNECTED
    assert stored_coins(chain) == {}


def test_a_block_on_the_tip(chain, params):
    block = make_block(chain.tip, params)
    result = chain.submit_block(block)
    assert (result.is_new, result.in_chain) == (True, True)
    node = result.node
    assert chain.tip is chain.best_header is chain.find(block.hash) is chain.at_height(1) is node
    assert chain.get_block(node) == block
    assert chain.get_block_bytes(node) == block.serialize()
    assert chain.status(node) == BlockStatus.DATA | BlockStatus.CONNECTED
    assert chain.tx_count(node) == 1
    assert chain.knows(block.hash)
    assert chain.is_active(node)
    point = block.transactions[0].outpoint(0)
    assert chain.get_coins([point]) == {point: Coin(SUBSIDY, ANYONE, 1, True)}


def test_a_known_block_is_no_news(chain, params):
    (block,) = _extend(chain)
    result = chain.submit_block(block)
    assert (result.node, result.is_new, result.in_chain) == (chain.tip, False, True)
    assert chain.submit_block(params.genesis) == (chain.tree.genesis, False, True)


def test_spending(chain, params):
    (first, *_) = _extend(chain, 2, script=KEY_SCRIPT)
    point = first.transactions[0].outpoint(0)
    coins = chain.get_coins([point])
    payment = signed_spend(coins, [TxOut(SUBSIDY - 100, ANYONE)])
    child = spend([payment.outpoint(0)], [1, 2])
    block = make_block(chain.tip, params, [payment, child], fees=SUBSIDY - 3)
    chain.submit_block(block)
    assert chain.get_undo(chain.tip) == (
        (coins[point],),
        (Coin(SUBSIDY - 100, ANYONE, 3, False),),
    )
    assert chain.tx_count(chain.tip) == 3
    assert point not in stored_coins(chain)
    assert chain.coins_of(KEY_SCRIPT) == {
        tx.outpoint(0): Coin(SUBSIDY, KEY_SCRIPT, 2, True)
        for tx in chain.get_block(chain.at_height(2)).transactions
    }


def test_what_is_not_there(chain, params):
    block = make_block(chain.tip, params)
    with pytest.raises(NotFoundError, match="Block not found"):
        chain.find(block.hash)
    for height in (1, -1):
        with pytest.raises(NotFoundError, match=f"Block height {height} out of range"):
            chain.at_height(height)
    (node,) = chain.accept_headers([block.header])
    with pytest.raises(NotFoundError, match="only its header is known"):
        chain.get_block(node)
    with pytest.raises(NotFoundError, match="never connected"):
        chain.get_undo(node)
    assert chain.status(node) == BlockStatus.NONE
    assert chain.tx_count(node) == 0


def test_medians_of_the_active_chain(chain):
    _extend(chain, 5)
    genesis_time = chain.params.genesis.header.time
    assert chain.median_time_past_at(5) == genesis_time + 3 * 600
    assert chain.median_time_past_at(0) == genesis_time


def test_waiting_for_another_tip(chain, params):
    old = chain.tip
    assert chain.wait_for_tip(b"another", 60) is old
    assert chain.wait_for_tip(old.hash, 0) is old
    block = make_block(old, params)
    thread = threading.Thread(target=chain.submit_block, args=(block,))
    thread.start()
    assert chain.wait_for_tip(old.hash, 60).hash == block.hash
    thread.join()


# -- headers ----------------------------------------------------------------------------------


def test_headers_come_before_bodies(chain, params):
    blocks = grow(chain.tip, params, 3)
    nodes = chain.accept_headers([block.header for block in blocks])
    assert [node.height for node in nodes] == [1, 2, 3]
    assert chain.best_header is nodes[2]
    assert chain.height == 0
    assert chain.accept_headers([blocks[0].header]) == [nodes[0]]
    for block, height in ((blocks[2], 0), (blocks[1], 0), (blocks[0], 3)):
        result = chain.submit_block(block)
        assert (result.is_new, result.in_chain) == (True, height == 3)
        assert chain.height == height


def test_headers_up_to_the_first_bad_one_stay(chain, params):
    blocks = grow(chain.tip, params, 2)
    unmined = mine(blocks[1].header, fail=True)
    with pytest.raises(ValidationError, match="high-hash"):
        chain.accept_headers([blocks[0].header, unmined])
    assert chain.knows(blocks[0].hash)
    assert not chain.knows(unmined.hash)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"prev_hash": b"?" * 32}, "prev-blk-not-found"),
        ({"time": 1296688602}, "time-too-old"),
        ({"time": 2_000_000_000 + 7201}, "time-too-new"),
        ({"bits": 0x207FFFFE}, "bad-diffbits"),
        ({"version": 1}, "bad-version(0x00000001)"),
    ],
)
def test_bad_headers(store, params, changes, reason):
    chain = open_chain(params, store, now=lambda: 2_000_000_000)
    block = make_block(chain.tip, params)
    assert _refused(chain, with_header(block, **changes)) == reason
    assert len(chain.tree) == 1
    assert chain.submit_block(block).in_chain


def test_a_block_from_the_future_may_come_again(store, params):
    times = [2_000_000_000]
    chain = open_chain(params, store, now=lambda: times[-1])
    block = make_block(chain.tip, params, time=2_000_010_000)
    assert _refused(chain, block) == "time-too-new"
    times.append(2_000_002_800)
    assert chain.submit_block(block).in_chain


def _offer_refused(chain, header):
    with pytest.raises(ValidationError) as caught:
        chain.check_offer(header)
    return caught.value.reason


def test_a_strangers_block_is_worth_reading_near_the_tip(store, params, monkeypatch):
    monkeypatch.setattr(state, "NEAR_BLOCKS", 3)
    chain = open_chain(params, store)
    root = chain.tip
    early = grow(root, params, 1, tag=b"early")[0]
    blocks = _extend(chain, 3)
    chain.check_offer(early.header)
    more = _extend(chain, 1)
    chain.check_offer(early.header)
    _extend(chain, 1)
    assert _offer_refused(chain, early.header) == "too-little-chainwork"
    for known in (*blocks, *more, params.genesis):
        chain.check_offer(known.header)
    near = make_block(chain.at_height(1), params, tag=b"near")
    chain.check_offer(near.header)
    (orphan,) = grow(chain.tree.genesis, small_params(), 1, tag=b"orphan")
    orphan = with_header(orphan, prev_hash=b"?" * 32)
    assert _offer_refused(chain, orphan.header) == "prev-blk-not-found"
    assert _offer_refused(chain, mine(near.header, fail=True)) == "high-hash"
    assert not chain.knows(near.hash)


def test_a_strangers_block_may_be_144_behind():
    assert state.NEAR_BLOCKS == 144


# -- bad blocks -------------------------------------------------------------------------------


def test_a_block_that_breaks_a_rule_of_its_own_leaves_no_trace(chain, params):
    block = make_block(chain.tip, params, [spend([make_outpoint(1)], [])])
    assert _refused(chain, block) == "bad-txns-vout-empty"
    assert not chain.knows(block.hash)


def _too_much(chain):
    return make_block(chain.tip, chain.params, fees=1)


def _wrong_height(chain):
    return make_block(chain.tip, chain.params, coinbase=make_coinbase(9, [1]))


@pytest.mark.parametrize(
    ("make", "reason"), [(_too_much, "bad-cb-amount"), (_wrong_height, "bad-cb-height")]
)
def test_a_condemned_block_stays_condemned(store, params, make, reason):
    chain = open_chain(params, store)
    _extend(chain)
    tip = chain.tip
    bad = make(chain)
    assert _refused(chain, bad) == reason
    assert _refused(chain, bad) == "duplicate-invalid"
    for again in (chain, open_chain(params, store)):
        node = again.find(bad.hash)
        assert again.status(node) & BlockStatus.FAILED
        assert _refused(again, bad) == "duplicate-invalid"
        assert again.tip.hash == tip.hash
        assert again.best_header.hash == tip.hash
        child = make_block(node, params)
        assert _refused(again, child) == "bad-prevblk"
        with pytest.raises(ValidationError, match="duplicate-invalid"):
            again.accept_headers([bad.header])
        assert not again.knows(child.hash)


def test_condemning_takes_all_that_builds_on_it(chain, params):
    good = _extend(chain, 2)
    bad = make_block(chain.tip, params, fees=1)
    node = chain.accept_headers([bad.header])[0]
    children = grow(node, params, 2)
    chain.accept_headers([block.header for block in children])
    assert chain.best_header.height == 5
    assert _refused(chain, bad) == "bad-cb-amount"
    assert chain.best_header.hash == good[1].hash
    assert _refused(chain, children[0]) == "duplicate-invalid"
    assert _refused(chain, children[1]) == "duplicate-invalid"
    sibling = make_block(chain.tip, params)
    assert chain.submit_block(sibling).in_chain


@pytest.fixture
def clothed(chain, params):
    """A right block with a witness, on the tip."""
    (first, _) = _extend(chain, 2, script=KEY_SCRIPT)
    coins = chain.get_coins([first.transactions[0].outpoint(0)])
    return make_block(chain.tip, params, [signed_spend(coins, [1])])


def test_a_mutated_body_does_not_condemn_its_header(chain, clothed):
    coinbase, payment = clothed.transactions
    torn = Block(clothed.header, (coinbase, with_bad_signature(payment)))
    naked = Block(clothed.header, (coinbase, with_witness(payment, ())))
    twice = Block(clothed.header, (*clothed.transactions, payment))
    short = Block(clothed.header, (coinbase,))
    for block, reason in (
        (torn, "bad-witness-merkle-match"),
        (naked, "bad-witness-merkle-match"),
        (twice, "bad-txnmrklroot"),
        (short, "bad-txnmrklroot"),
    ):
        assert _refused(chain, block) == reason
    assert chain.submit_block(clothed).in_chain


def test_a_repeated_tail_does_not_condemn_its_header(chain, params):
    (first, _) = _extend(chain, 2)
    one = spend([first.transactions[0].outpoint(0)], [5])
    two = spend([one.outpoint(0)], [4])
    block = make_block(chain.tip, params, [one, two])
    assert _refused(chain, Block(block.header, (*block.transactions, two))) == "bad-txns-duplicate"
    assert chain.submit_block(block).in_chain


def test_a_wrong_signature_in_a_block(chain, params, clothed):
    bad = make_block(chain.tip, params, [with_bad_signature(clothed.transactions[1])])
    before = stored_coins(chain)
    assert _refused(chain, bad).startswith("block-script-verify-flag-failed (")
    assert stored_coins(chain) == before
    assert chain.submit_block(clothed).in_chain


# -- events -----------------------------------------------------------------------------------


def test_what_is_told_of_a_block_on_the_tip(chain):
    heard = _record(chain.events)
    root = chain.tip
    (block,) = _extend(chain)
    assert heard == [
        BlockConnected(chain.tip, block),
        TipChanged(root, chain.tip, root),
    ]


def test_what_is_told_of_a_reorg(chain, params):
    root = chain.tip
    old = _extend(chain, 2)
    old_nodes = [chain.find(block.hash) for block in old]
    new = grow(root, params, 3, tag=b"new")
    heard = _record(chain.events)
    for block in new:
        chain.submit_block(block)
    new_nodes = [chain.find(block.hash) for block in new]
    assert heard == [
        BlockDisconnected(old_nodes[1], old[1]),
        BlockDisconnected(old_nodes[0], old[0]),
        *[BlockConnected(node, block) for node, block in zip(new_nodes, new, strict=True)],
        TipChanged(old_nodes[1], new_nodes[2], root),
    ]


def test_nothing_is_told_of_a_block_beside_the_chain(chain, params):
    root = chain.tip
    _extend(chain, 2)
    heard = _record(chain.events)
    (side,) = grow(root, params, 1, tag=b"side")
    assert not chain.submit_block(side).in_chain
    assert heard == []


# -- disk -------------------------------------------------------------------------------------


def test_a_chain_is_there_after_opening_anew(store, params):
    chain = open_chain(params, store)
    _extend(chain, 4)
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
    blocks = _extend(chain, 3)
    chain.flush()
    blocks += _extend(chain, 4)
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
    (block,) = _extend(chain, script=b"\x6a")
    chain.flush()
    assert store.get_meta("coins_tip") == block.hash


def test_the_load_tells_how_far_it_is(store, params):
    chain = open_chain(params, store)
    _extend(chain, 3)
    seen = []
    again = type(chain)(params, store, chain._scripts, EventBus(), chain.now)
    again.load(lambda height, of: seen.append((height, of)))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_coins_are_flushed_when_they_take_too_much_memory(store, params):
    chain = open_chain(params, store, options=ChainOptions(coin_cache_bytes=0))
    (first, _) = _extend(chain, 2)
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
    (block,) = _extend(chain, script=NO_COIN)
    txid = block.transactions[0].txid
    assert chain.find_transaction_block(txid) is chain.tip
    assert chain.find_transaction_block(b"?" * 32) is None
    for other in grow(root, params, 2, tag=b"other"):
        chain.submit_block(other)
    assert chain.find_transaction_block(txid) is None
    assert chain.find_transaction_block(other.transactions[0].txid) is chain.tip


def test_the_index_is_made_when_it_is_first_asked_for(store, params):
    chain = open_chain(params, store)
    (block,) = _extend(chain, script=NO_COIN)
    assert chain.find_transaction_block(block.transactions[0].txid) is None
    chain.flush()
    (late,) = _extend(chain, script=NO_COIN)
    again = open_chain(params, store, options=ChainOptions(txindex=True))
    for known in (block, late):
        assert again.find_transaction_block(known.transactions[0].txid).hash == known.hash
    # left out for a while, it is made anew
    third = open_chain(params, store)
    (missed,) = _extend(third, script=NO_COIN)
    third.flush()
    fourth = open_chain(params, store, options=ChainOptions(txindex=True))
    assert fourth.find_transaction_block(missed.transactions[0].txid).hash == missed.hash


def test_the_index_of_a_long_chain_is_made_in_pieces(store, params, monkeypatch):
    monkeypatch.setattr(lookup, "BATCH", 2)
    chain = open_chain(params, store)
    blocks = _extend(chain, 7, script=NO_COIN)
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
    (first, second) = _extend(chain, 2)
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
    blocks = _extend(chain, 2)
    chain.flush()
    blocks += _extend(chain, 2)
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
    assert "only its header is known" in _load_error(params, store)


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
    (first, _) = _extend(chain, 2)
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
    _extend(chain, 2)
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


def test_a_bad_block_in_the_middle_is_told_to_who_completed_the_branch(chain, params):
    root = chain.tip
    _extend(chain, 1)
    start = grow(root, params, 1, tag=b"b")[0]
    chain.submit_block(start)
    parent = chain.find(start.hash)
    bad = with_transactions(
        make_block(parent, params), [make_coinbase(2, [SUBSIDY + 1], tag=b"too much")]
    )
    chain.accept_headers([bad.header])
    last = make_block(chain.find(bad.hash), params)
    chain.accept_headers([last.header])
    assert not chain.submit_block(last).in_chain  # its parent's body is missing
    assert _refused(chain, bad) == "bad-cb-amount"
    assert chain.status(chain.find(last.hash)) & BlockStatus.FAILED
    assert chain.height == 1


def test_a_full_disk_at_the_flush_leaves_a_chain_that_goes_on(chain, params, monkeypatch):
    _extend(chain, 2)
    fork = chain.tip

    def refuse(*_args):
        raise StoreError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(chain._store, "flush_coins", refuse)
        patch.setattr("misocoin.chain.state.FLUSH_INTERVAL", -1.0)
        heard = _record(chain.events)
        _extend(chain)
        assert [type(event) for event in heard] == [BlockConnected, TipChanged]
    rivals = grow(fork, params, 2, tag=b"rival")
    for block in rivals:
        chain.submit_block(block)
    assert chain.tip.hash == rivals[-1].hash
    assert len(stored_coins(chain)) == chain.height


def test_a_disk_that_breaks_in_a_reorg_is_told_of_where_the_chain_stands(
    chain, params, monkeypatch
):
    _extend(chain, 3)
    old, fork = chain.tip, chain.at_height(1)
    rivals = grow(fork, params, 3, tag=b"rival")
    for block in rivals[:2]:
        chain.submit_block(block)
    heard = _record(chain.events)

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


def test_the_best_header_after_a_condemned_one_is_the_best_that_is_left(chain, params):
    _extend(chain, 1)
    bad = make_block(chain.tip, params, fees=1)
    above = grow(HeaderNode(bad.header, chain.tip), params, 3)
    side = grow(chain.tip, params, 2, tag=b"side")
    chain.accept_headers([bad.header, *[block.header for block in (*above, *side)]])
    assert chain.best_header.hash == above[-1].hash
    assert _refused(chain, bad) == "bad-cb-amount"
    assert chain.best_header.hash == side[-1].hash
