"""Blocks on either side of every rule: Core's engine takes what we take, or says why as we do."""

import pytest

from misocoin.consensus.tree import HeaderNode
from misocoin.params import regtest
from misocoin.primitives.block import Block
from misocoin.primitives.transaction import TxOut
from tests.builders import (
    KEY_SCRIPT,
    make_block,
    spend,
    with_witness,
)
from tests.functional.conftest import MakeBoth
from tests.functional.framework.both import Both
from tests.functional.framework.edge_blocks import BROKEN, COIN, HOLDING, pay, pay_by_key

pytestmark = pytest.mark.tools


@pytest.fixture(scope="module")
def both(make_both: MakeBoth) -> Both:
    """A regtest chain with coins to spend."""
    both = make_both(regtest())
    for _ in range(150):
        both.grow()
    point = next(iter(both.free_coins()))
    both.grow([spend([point], [COIN] * 40 + [TxOut(COIN, KEY_SCRIPT)] * 5)])
    both.grow()
    return both


@pytest.mark.parametrize("name", BROKEN)
def test_both_refuse_what_breaks_a_rule(both: Both, name: str) -> None:
    make, reason = BROKEN[name]
    tip = both.tip
    assert both.submit(make(both)) == reason
    assert both.tip is tip


@pytest.mark.parametrize("name", HOLDING)
def test_both_take_what_just_holds(both: Both, name: str) -> None:
    block = HOLDING[name](both)
    assert both.submit(block) is None
    assert both.tip.hash == block.hash
    assert both.read_back(both.tip) == block.serialize()
    assert both.submit(block) is None  # once more changes nothing


def test_what_builds_on_an_invalid_block_is_refused_and_so_is_the_block_again(both: Both) -> None:
    bad = both.make_block(fees=1)
    child = make_block(HeaderNode(bad.header, both.tip), both.params)
    assert both.submit_all([bad, bad, child]) == [
        "bad-cb-amount",
        "duplicate-invalid",
        "bad-prevblk",
    ]


def test_a_body_in_wrong_clothes_does_not_condemn_its_header(both: Both) -> None:
    tx = with_witness(pay(both, 1), [])
    block = both.make_block([tx, pay_by_key(both)])
    bare = Block(
        block.header,
        tuple(with_witness(each, *[[]] * len(each.vin)) for each in block.transactions),
    )
    twice = Block(block.header, (*block.transactions, block.transactions[-1]))
    assert both.submit_all([bare, twice, block]) == [
        "bad-witness-nonce-size",
        "bad-txns-duplicate",
        None,
    ]
    assert both.tip.hash == block.hash
