"""Reorganisations: whatever happened on the way, the end is what a fresh node gets."""

import pytest

from misocoin.chain.events import BlockConnected, BlockDisconnected
from misocoin.chain.script_checks import ScriptChecks
from misocoin.chain.verify import verify_chain
from misocoin.consensus.coins import Coin
from misocoin.consensus.tree import HeaderNode
from misocoin.errors import ValidationError
from misocoin.primitives.transaction import TxOut
from tests.builders import (
    KEY_SCRIPT,
    coins_after,
    make_block,
    make_coinbase,
    memory_chain,
    open_chain,
    signed_spend,
    small_params,
    spend,
    stored_coins,
    with_bad_signature,
)

PARAMS = small_params()
SUBSIDY = 5_000_000_000
NOTE = b"\x6a"


def _make_trunk():
    """Four blocks on genesis, their coinbases paid to KEY_SCRIPT; the node of the last."""
    blocks, node = [], HeaderNode(PARAMS.genesis.header, None)
    for _ in range(4):
        blocks.append(make_block(node, PARAMS, script=KEY_SCRIPT))
        node = HeaderNode(blocks[-1].header, node)
    return blocks, node


TRUNK, FORK = _make_trunk()
FIRST, SECOND = (
    {block.transactions[0].outpoint(0): Coin(SUBSIDY, KEY_SCRIPT, height, True)}
    for height, block in enumerate(TRUNK[:2], 1)
)


FAULTS = {
    "signature": "block-script-verify-flag-failed",
    "double spend": "bad-txns-inputs-missingorspent",
    "amount": "bad-cb-amount",
}


def _branch(name, length, bad_at=None, fault=None):
    """Blocks on the trunk that pay its first coin on and on, each branch in a way of its own.

    At position `bad_at` stands a block with a `fault`; the others build on it all the same.
    """
    blocks, node, value = [], FORK, SUBSIDY
    payment = signed_spend(FIRST, [value, TxOut(0, NOTE + name)])
    for position in range(length):
        split = spend([payment.outpoint(0)], [value - 1, 1])
        transactions, coinbase = [payment, split], None
        if position == bad_at:
            if fault == "signature":
                transactions.append(with_bad_signature(signed_spend(SECOND, [1])))
            elif fault == "double spend":
                transactions.append(spend([payment.outpoint(0)], [2]))
            else:
                transactions = []
                coinbase = make_coinbase(node.height + 1, [SUBSIDY + 1], tag=name)
        blocks.append(make_block(node, PARAMS, transactions, coinbase=coinbase, tag=name))
        node = HeaderNode(blocks[-1].header, node)
        value -= 1
        payment = spend([split.outpoint(0)], [value])
    return blocks


def _expected_coins(*blocks):
    coins = {}
    for height, block in enumerate([*TRUNK, *blocks], 1):
        coins = coins_after(coins, block, height)
    return coins


def _fresh(blocks):
    """Tip and coins of a node that was given these blocks alone."""
    with memory_chain(PARAMS, [*TRUNK, *blocks]) as chain:
        return chain.tip.hash, stored_coins(chain)


def _check(chain, blocks):
    """The chain is in the state that `blocks` on the trunk make, and so it says itself."""
    assert chain.tip.hash == blocks[-1].hash
    coins = stored_coins(chain)
    assert coins == _expected_coins(*blocks)
    assert (chain.tip.hash, coins) == _fresh(blocks)
    verified = verify_chain(chain, ScriptChecks(1))
    assert verified[:2] == (len(TRUNK) + len(blocks), chain.tip.hash)
    assert verified.coins == len(coins)


@pytest.fixture
def chain(store):
    made = open_chain(PARAMS, store)
    for block in TRUNK:
        made.submit_block(block)
    return made


@pytest.fixture
def params():
    return PARAMS


@pytest.mark.parametrize("depth", range(1, 11))
def test_a_reorg_of_depth(chain, store, depth):
    old = _branch(b"old", depth)
    new = _branch(b"new branch", depth + 1)
    for block in old:
        chain.submit_block(block)
    if depth % 2:
        chain.flush()
    for block in new[:-1]:
        assert not chain.submit_block(block).in_chain
    _check(chain, old)
    assert chain.submit_block(new[-1]).in_chain
    _check(chain, new)
    _check(open_chain(PARAMS, store), new)


@pytest.mark.parametrize("depth", range(1, 11))
def test_back_and_forth(chain, depth):
    """The first branch overtakes the second: what is connected again was checked before."""
    old = _branch(b"old", depth + 2)
    new = _branch(b"new branch", depth + 1)
    for block in [*old[:depth], *new]:
        chain.submit_block(block)
    assert chain.tip.hash == new[-1].hash
    assert not chain.submit_block(old[-2]).in_chain
    assert chain.submit_block(old[-1]).in_chain
    _check(chain, old)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("depth", range(1, 11))
def test_an_invalid_block_on_the_longer_side(chain, store, depth, fault):
    """The branch fails at every place in turn, and the chain goes back to where it was."""
    old = _branch(b"old", depth)
    bad_at = (depth * 7 + len(fault)) % (depth + 1)
    new = _branch(b"new branch", depth + 1, bad_at, fault)
    for block in old:
        chain.submit_block(block)
    for block in new[:-1]:
        assert not chain.submit_block(block).in_chain
    with pytest.raises(ValidationError) as caught:
        chain.submit_block(new[-1])
    assert caught.value.reason.startswith(FAULTS[fault])
    _check(chain, old)
    _check(open_chain(PARAMS, store), old)
    for position, block in enumerate(new):
        if position >= bad_at:
            with pytest.raises(ValidationError, match="duplicate-invalid"):
                chain.submit_block(block)
    # a valid branch of the same length wins all the same
    other = _branch(b"yet another", depth + 1)
    for block in other:
        chain.submit_block(block)
    _check(chain, other)


def test_the_valid_part_of_a_failed_branch_wins_if_it_has_more_work(chain):
    old = _branch(b"old", 2)
    new = _branch(b"new branch", 5, 3, "double spend")
    for block in old:
        chain.submit_block(block)
    chain.accept_headers([block.header for block in new])
    for block in [*new[1:4], new[4]]:
        assert not chain.submit_block(block).in_chain
    # the first body completes the branch, which fails at its fourth block
    assert chain.submit_block(new[0]).in_chain
    _check(chain, new[:3])


def test_of_equal_work_the_valid_part_of_a_failed_branch_does_not_win(chain):
    old = _branch(b"old", 3)
    new = _branch(b"new branch", 5, 3, "double spend")
    for block in old:
        chain.submit_block(block)
    chain.accept_headers([block.header for block in new])
    heard = []
    chain.events.subscribe(heard.append)
    for block in new[1:]:
        assert not chain.submit_block(block).in_chain
    assert not chain.submit_block(new[0]).in_chain
    _check(chain, old)
    # it was tried and taken back
    told = [(type(event), event.block.hash) for event in heard]
    there = [(BlockConnected, block.hash) for block in new[:3]]
    back = [(BlockDisconnected, block.hash) for block in reversed(new[:3])]
    assert told == [
        *[(BlockDisconnected, block.hash) for block in reversed(old)],
        *there,
        *back,
        *[(BlockConnected, block.hash) for block in old],
    ]


def test_the_second_best_branch_is_taken_when_the_best_fails(chain):
    old = _branch(b"old", 2)
    best = _branch(b"best", 5, 0, "amount")
    second = _branch(b"second", 4)
    for block in old:
        chain.submit_block(block)
    chain.accept_headers([block.header for block in [*best, *second]])
    for block in [*best[1:], *second[1:]]:
        chain.submit_block(block)
    with pytest.raises(ValidationError, match="bad-cb-amount"):
        chain.submit_block(best[0])
    _check(chain, old)
    assert chain.submit_block(second[0]).in_chain
    _check(chain, second)


def test_coins_flushed_in_the_middle_of_a_branch(chain, store):
    """The flushed tip may lie on a branch that has lost: a restart walks back from there."""
    old = _branch(b"old", 4)
    new = _branch(b"new branch", 6)
    for block in old[:3]:
        chain.submit_block(block)
    chain.flush()
    for block in [old[3], *new]:
        chain.submit_block(block)
    assert store.get_meta("coins_tip") == old[2].hash
    _check(open_chain(PARAMS, store), new)
