"""Headers before bodies; blocks that break a rule, and whom they condemn."""

import pytest

from misocoin.chain import state
from misocoin.consensus.tree import HeaderNode
from misocoin.errors import ValidationError
from misocoin.primitives.block import Block
from misocoin.store.records import BlockStatus
from tests.builders import (
    KEY_SCRIPT,
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
from tests.unit.chain.driving import extend, refused

SUBSIDY = 5_000_000_000


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
    assert refused(chain, with_header(block, **changes)) == reason
    assert len(chain.tree) == 1
    assert chain.submit_block(block).in_chain


def test_a_block_from_the_future_may_come_again(store, params):
    times = [2_000_000_000]
    chain = open_chain(params, store, now=lambda: times[-1])
    block = make_block(chain.tip, params, time=2_000_010_000)
    assert refused(chain, block) == "time-too-new"
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
    blocks = extend(chain, 3)
    chain.check_offer(early.header)
    more = extend(chain, 1)
    chain.check_offer(early.header)
    extend(chain, 1)
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
    assert refused(chain, block) == "bad-txns-vout-empty"
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
    extend(chain)
    tip = chain.tip
    bad = make(chain)
    assert refused(chain, bad) == reason
    assert refused(chain, bad) == "duplicate-invalid"
    for again in (chain, open_chain(params, store)):
        node = again.find(bad.hash)
        assert again.status(node) & BlockStatus.FAILED
        assert not again.status(node) & BlockStatus.REFUSED
        assert refused(again, bad) == "duplicate-invalid"
        assert again.tip.hash == tip.hash
        assert again.best_header.hash == tip.hash
        child = make_block(node, params)
        assert refused(again, child) == "bad-prevblk"
        with pytest.raises(ValidationError, match="duplicate-invalid"):
            again.accept_headers([bad.header])
        assert not again.knows(child.hash)


def test_condemning_takes_all_that_builds_on_it(chain, params):
    good = extend(chain, 2)
    bad = make_block(chain.tip, params, fees=1)
    node = chain.accept_headers([bad.header])[0]
    children = grow(node, params, 2)
    chain.accept_headers([block.header for block in children])
    assert chain.best_header.height == 5
    assert refused(chain, bad) == "bad-cb-amount"
    assert chain.best_header.hash == good[1].hash
    assert refused(chain, children[0]) == "duplicate-invalid"
    assert refused(chain, children[1]) == "duplicate-invalid"
    sibling = make_block(chain.tip, params)
    assert chain.submit_block(sibling).in_chain


@pytest.fixture
def clothed(chain, params):
    """A right block with a witness, on the tip."""
    (first, _) = extend(chain, 2, script=KEY_SCRIPT)
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
        assert refused(chain, block) == reason
    assert chain.submit_block(clothed).in_chain


def test_a_repeated_tail_does_not_condemn_its_header(chain, params):
    (first, _) = extend(chain, 2)
    one = spend([first.transactions[0].outpoint(0)], [5])
    two = spend([one.outpoint(0)], [4])
    block = make_block(chain.tip, params, [one, two])
    assert refused(chain, Block(block.header, (*block.transactions, two))) == "bad-txns-duplicate"
    assert chain.submit_block(block).in_chain


def test_a_wrong_signature_in_a_block(chain, params, clothed):
    bad = make_block(chain.tip, params, [with_bad_signature(clothed.transactions[1])])
    before = stored_coins(chain)
    assert refused(chain, bad).startswith("block-script-verify-flag-failed (")
    assert stored_coins(chain) == before
    assert chain.submit_block(clothed).in_chain


def test_a_bad_block_in_the_middle_is_told_to_who_completed_the_branch(chain, params):
    root = chain.tip
    extend(chain, 1)
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
    assert refused(chain, bad) == "bad-cb-amount"
    assert chain.status(chain.find(last.hash)) & BlockStatus.FAILED
    assert chain.height == 1


def test_the_best_header_after_a_condemned_one_is_the_best_that_is_left(chain, params):
    extend(chain, 1)
    bad = make_block(chain.tip, params, fees=1)
    above = grow(HeaderNode(bad.header, chain.tip), params, 3)
    side = grow(chain.tip, params, 2, tag=b"side")
    chain.accept_headers([bad.header, *[block.header for block in (*above, *side)]])
    assert chain.best_header.hash == above[-1].hash
    assert refused(chain, bad) == "bad-cb-amount"
    assert chain.best_header.hash == side[-1].hash
