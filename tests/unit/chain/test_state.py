"""A chain that grows, and what it tells of it."""

import threading

import pytest

from misocoin.chain.events import BlockConnected, BlockDisconnected, TipChanged
from misocoin.consensus.coins import Coin
from misocoin.errors import NotFoundError
from misocoin.primitives.transaction import TxOut
from misocoin.store.records import BlockStatus
from tests.builders import (
    ANYONE,
    KEY_SCRIPT,
    grow,
    make_block,
    signed_spend,
    spend,
    stored_coins,
)
from tests.unit.chain.driving import extend, record

SUBSIDY = 5_000_000_000


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
    (block,) = extend(chain)
    result = chain.submit_block(block)
    assert (result.node, result.is_new, result.in_chain) == (chain.tip, False, True)
    assert chain.submit_block(params.genesis) == (chain.tree.genesis, False, True)


def test_spending(chain, params):
    (first, *_) = extend(chain, 2, script=KEY_SCRIPT)
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
    with pytest.raises(NotFoundError, match="not fully downloaded"):
        chain.get_block(node)
    with pytest.raises(NotFoundError, match="Undo data not available"):
        chain.get_undo(node)
    assert chain.status(node) == BlockStatus.NONE
    assert chain.tx_count(node) == 0


def test_medians_of_the_active_chain(chain):
    extend(chain, 5)
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


# -- events -----------------------------------------------------------------------------------


def test_what_is_told_of_a_block_on_the_tip(chain):
    heard = record(chain.events)
    root = chain.tip
    (block,) = extend(chain)
    assert heard == [
        BlockConnected(chain.tip, block),
        TipChanged(root, chain.tip, root),
    ]


def test_what_is_told_of_a_reorg(chain, params):
    root = chain.tip
    old = extend(chain, 2)
    old_nodes = [chain.find(block.hash) for block in old]
    new = grow(root, params, 3, tag=b"new")
    heard = record(chain.events)
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
    extend(chain, 2)
    heard = record(chain.events)
    (side,) = grow(root, params, 1, tag=b"side")
    assert not chain.submit_block(side).in_chain
    assert heard == []
