"""Whole chains in Bitcoin Core's engine and in ours: real ones, random trees, random damage.

`KERNEL_ROUNDS=1000 make test-tools` draws more, `KERNEL_SEED=2` others.
"""

import os
from random import Random

import pytest

from misocoin.params import Params, bitcoin, regtest
from misocoin.primitives.transaction import TxOut
from tests.builders import KEY_SCRIPT, make_block, spend
from tests.functional.conftest import MakeBoth
from tests.functional.framework.both import Both
from tests.functional.framework.random_blocks import (
    Leaf,
    damage_body,
    damage_bytes,
    damage_header,
    draw_payments,
    draw_spend,
    draw_tree,
    purse,
)
from tests.shared import shared_file

pytestmark = pytest.mark.tools

ROUNDS = 10
"""On each chain: regtest's rewards soon come to nothing."""
CHAINS = range(0, int(os.environ.get("KERNEL_ROUNDS", "40")), ROUNDS)
SEED = os.environ.get("KERNEL_SEED", "1")
COIN = 100_000_000


@pytest.mark.parametrize(
    ("params", "file", "height", "tip"),
    [
        (
            bitcoin(),
            "bitcoin-1-255.blk",
            255,
            "00000000d0a75c861fabf9ff7b92022f60e4afeed9331fe5aa073d8e4706fe3c",
        ),
        (
            regtest(),
            "regtest-182.blk",
            182,
            "3828f63bebec0af947d558e8a18e1b595d46dfd1c0d476f6552d9074971965a5",
        ),
    ],
    ids=["bitcoin", "regtest"],
)
def test_real_chains(make_both: MakeBoth, params: Params, file: str, height: int, tip: str) -> None:
    both = make_both(params)
    data, at, blocks = shared_file(f"chains/{file}").read_bytes(), 0, []
    while data[at : at + 4] == params.magic:
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        blocks.append(data[at + 8 : at + 8 + size])
        at += 8 + size
    assert both.submit_all(blocks) == [None] * len(blocks)
    assert both.tip.height == height
    assert both.tip.header.hash_hex == tip
    assert both.read_back(both.tip) == blocks[-1]


@pytest.fixture
def both(make_both: MakeBoth) -> Both:
    """A regtest chain with many coins that the next block may spend."""
    both = make_both(regtest())
    for _ in range(105):
        both.grow()
    for point in list(both.free_coins())[:4]:
        both.grow([spend([point], [COIN] * 10 + [TxOut(COIN, KEY_SCRIPT)] * 10)])
    return both


@pytest.mark.parametrize("start", CHAINS)
def test_random_trees_end_in_the_same_tip(both: Both, start: int) -> None:
    """After every single block both are at the same tip, also where branches have equal work."""
    for number in range(start, start + ROUNDS):
        random = Random(f"{SEED} {number}")
        root = Leaf(both.tip, both.chain.get_block(both.tip), purse(both.chain))
        leaves = draw_tree(random, root, both.params)
        if random.random() < 0.5:  # then bodies come in any order; else most are refused at first
            for leaf in leaves:
                both.submit_header(leaf.block.header)
        spread = random.choice([0, 3, 100])
        mixed = sorted(leaves, key=lambda leaf: leaf.node.height + spread * random.random())  # noqa: B023
        for leaf in [*mixed, *leaves]:
            both.submit(leaf.block)


@pytest.mark.parametrize("start", CHAINS)
def test_random_spends_in_blocks(both: Both, start: int) -> None:
    """Paid to in one block, spent in the next; nearly half of those are refused."""
    random = Random(f"spends {SEED} {start}")
    for _ in range(4 * ROUNDS):
        fund, spending = draw_spend(random, both.chain)
        both.grow([fund])
        both.submit(both.make_block([spending()]))


@pytest.mark.parametrize("start", CHAINS)
def test_damaged_blocks_meet_the_same_end(both: Both, start: int) -> None:
    random = Random(f"damage {SEED} {start}")
    for _ in range(10 * ROUNDS):
        payments = draw_payments(random, purse(both.chain))
        tag = random.randbytes(4)
        block = make_block(both.tip, both.params, payments, tag=tag)
        match random.randrange(5):
            case 0:
                both.submit(damage_bytes(random, block.serialize()))
            case 1:
                both.submit(damage_header(random, block))
            case _:
                both.submit(damage_body(random, block, both.tip.height + 1))
        if random.random() < 0.2:
            both.submit(block)
