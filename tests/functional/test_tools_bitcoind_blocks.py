"""Our chains in a real bitcoind: every block meets the same end in both, and leaves the same coins.

`KERNEL_ROUNDS=1000 make test-tools` draws more, `KERNEL_SEED=2` others.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from random import Random
from typing import Any

import pytest

from misocoin.chain.state import ChainState
from misocoin.errors import ParseError, ValidationError
from misocoin.http.errors import RpcError
from misocoin.params import regtest
from misocoin.primitives.block import Block, block_from_bytes
from misocoin.primitives.transaction import Transaction, TxOut
from tests.builders import KEY_SCRIPT, make_block, memory_chain, spend
from tests.functional.conftest import MakeTwins
from tests.functional.framework.answers import Twins
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

pytestmark = pytest.mark.tools

PARAMS = regtest()
ROUNDS = 10
"""On each chain: regtest's rewards soon come to nothing."""
CHAINS = range(0, int(os.environ.get("KERNEL_ROUNDS", "20")), ROUNDS)
SEED = os.environ.get("KERNEL_SEED", "1")
COIN = 100_000_000


OLD_NAME, NEW_NAME = "mandatory-script-verify-flag-failed", "block-script-verify-flag-failed"
"""Why a block's script fails: as it is called up to version 29, and from 30 on."""

LATER = {("duplicate-invalid", "duplicate"), ("duplicate-invalid", "inconclusive")}
"""Ours and theirs. Up to version 29 not all that builds on an invalid block is marked as invalid at
once; from 30 on it is."""


def result_or_error(call: Callable[[str], Any], argument: str) -> str:
    """What a call gives or refuses, as text; empty for nothing."""
    try:
        return call(argument) or ""
    except RpcError as error:
        return str(error)


def is_odd_to_knots(raw: bytes) -> bool:
    """Whether a header's version is negative: Knots cannot read such a one, Core can."""
    return len(raw) >= 4 and raw[3] >= 0x80


def is_told_by_chance(ours: str, theirs: str, raw: bytes) -> bool:
    """Whether both refuse a block that breaks two rules at least, a script among them.

    Which of those is told depends on threads, in Core as well.
    """
    by_script = [answer.startswith(NEW_NAME) for answer in (ours, theirs)]
    if not any(by_script) or {ours, theirs} & {"", "inconclusive"}:
        return False
    transactions = block_from_bytes(raw).transactions[1:]
    return not all(by_script) or sum(len(tx.vin) for tx in transactions) > 1


class Trio:
    """Both daemons, and a chain in this process to draw blocks on; all have the same blocks."""

    def __init__(self, twins: Twins, chain: ChainState) -> None:
        self.twins = twins
        self.chain = chain

    def submit(self, block: Block | bytes) -> str | None:
        """What both answer to a block; they have one best block then."""
        raw = block.serialize() if isinstance(block, Block) else block
        ours, theirs = (
            result_or_error(call, raw.hex())
            for call in (self.twins.ours.rpc.submitblock, self._submit_to_theirs)
        )
        if theirs.startswith(OLD_NAME):
            theirs = theirs.replace(OLD_NAME, NEW_NAME, 1)
        if is_odd_to_knots(raw) or is_told_by_chance(ours, theirs, raw):
            ours = theirs
        if ours != theirs and (ours, theirs) not in LATER:
            raise AssertionError(f"ours {ours}, theirs {theirs}: {raw.hex()[:2000]}")
        with suppress(ParseError, ValidationError):
            self.chain.submit_block(block_from_bytes(raw), raw)
        self.twins.check_tip()
        return ours or None

    def _submit_to_theirs(self, raw_hex: str) -> Any:
        return self.twins.theirs.call("submitblock", raw_hex)

    def grow(self, *transactions: Transaction) -> None:
        """A block that both take."""
        assert self.submit(make_block(self.chain.tip, PARAMS, transactions)) is None

    def check_coins(self) -> None:
        """Both have the same coins, filters and statistics."""
        same = self.twins.same
        for kind in ("hash_serialized_3", "muhash", "none"):
            same("gettxoutsetinfo", kind)
        tip = self.chain.tip
        for node in list(tip.back_to(tip.ancestor(max(0, tip.height - 20)))):
            name = node.header.hash_hex
            same("getblockstats", name)
            same("getblockfilter", name)
            self.twins.same_get(f"/rest/blockfilter/basic/{name}.bin")
            self.twins.same_get(f"/rest/spenttxouts/{name}.bin")
            self.twins.same_get(f"/rest/block/{name}.bin")
        first = tip.ancestor(0).header.hash_hex
        self.twins.same_get(f"/rest/blockfilterheaders/basic/2000/{first}.bin")
        self.twins.same_get(f"/rest/headers/2000/{first}.bin")


@pytest.fixture
def trio(make_twins: MakeTwins) -> Iterator[Trio]:
    """Many coins that the next block may spend."""
    twins = make_twins("-blockfilterindex")
    with memory_chain(PARAMS) as chain:
        trio = Trio(twins, chain)
        for _ in range(105):
            trio.grow()
        for number in range(1, 5):
            coinbase = chain.get_block(chain.at_height(number)).transactions[0]
            outputs = [COIN] * 10 + [TxOut(COIN, KEY_SCRIPT)] * 10
            trio.grow(spend([coinbase.outpoint(0)], outputs))
        yield trio
        twins.ours.stop()
        twins.theirs.stop()


@pytest.mark.parametrize("start", CHAINS)
def test_random_trees(trio: Trio, start: int) -> None:
    for number in range(start, start + ROUNDS):
        random = Random(f"{SEED} {number}")
        root = Leaf(trio.chain.tip, trio.chain.get_block(trio.chain.tip), purse(trio.chain))
        leaves = draw_tree(random, root, PARAMS)
        if random.random() < 0.5:  # then bodies come in any order; else most are refused at first
            for leaf in leaves:
                trio.twins.same("submitheader", leaf.block.header.serialize().hex())
        spread = random.choice([0, 3, 100])
        mixed = sorted(leaves, key=lambda leaf: leaf.node.height + spread * random.random())  # noqa: B023
        for leaf in [*mixed, *leaves]:
            trio.submit(leaf.block)
    trio.check_coins()


@pytest.mark.parametrize("start", CHAINS)
def test_random_spends_in_blocks(trio: Trio, start: int) -> None:
    """Paid to in one block, spent in the next; nearly half of those are refused."""
    random = Random(f"spends {SEED} {start}")
    for _ in range(4 * ROUNDS):
        fund, spending = draw_spend(random, trio.chain)
        trio.grow(fund)
        trio.submit(make_block(trio.chain.tip, PARAMS, [spending()]))
    trio.check_coins()


@pytest.mark.parametrize("start", CHAINS)
def test_damaged_blocks(trio: Trio, start: int) -> None:
    random = Random(f"damage {SEED} {start}")
    for _ in range(10 * ROUNDS):
        payments = draw_payments(random, purse(trio.chain))
        block = make_block(trio.chain.tip, PARAMS, payments, tag=random.randbytes(4))
        match random.randrange(5):
            case 0:
                trio.submit(damage_bytes(random, block.serialize()))
            case 1:
                trio.submit(damage_header(random, block))
            case _:
                trio.submit(damage_body(random, block, trio.chain.tip.height + 1))
        if random.random() < 0.2:
            trio.submit(block.serialize() + random.randbytes(random.choice([0, 1, 100])))
        header = damage_header(random, make_block(trio.chain.tip, PARAMS)).header.serialize()
        damaged = random.choice([header, header[:-1], header + b"\0", damage_bytes(random, header)])
        if not is_odd_to_knots(damaged):
            trio.twins.same("submitheader", damaged.hex())
    trio.check_coins()
