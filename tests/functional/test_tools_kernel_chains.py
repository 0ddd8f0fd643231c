"""Whole chains in Bitcoin Core's engine and in ours: real ones, random trees, random damage.

`KERNEL_ROUNDS=1000 make test-tools` draws more, `KERNEL_SEED=2` others.
"""

import os
from collections.abc import Mapping
from random import Random
from typing import NamedTuple

import pytest

from misocoin.consensus.coins import Coin
from misocoin.consensus.tree import HeaderNode
from misocoin.params import Params, bitcoin, regtest
from misocoin.primitives.block import Block, BlockHeader
from misocoin.primitives.transaction import OutPoint, Transaction, TxOut
from misocoin.script.sighash import TxDigests
from tests.builders import (
    ANYONE,
    KEY_SCRIPT,
    coins_after,
    make_block,
    make_coinbase,
    make_outpoint,
    mine,
    signed_spend,
    spend,
    with_commitment,
    with_transactions,
)
from tests.functional.conftest import MakeBoth
from tests.functional.framework.both import Both
from tests.shared import shared_file
from tests.unit.script.random_spends import PAYABLE_LOCKS, unlocked

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


def purse(both: Both) -> dict[OutPoint, Coin]:
    """Coins worth spending that are no rewards."""
    both.chain.flush()
    return {
        point: coin
        for point, coin in sorted(both.chain.iterate_coins())
        if not coin.is_coinbase and coin.value > 9 and coin.script_pubkey in (ANYONE, KEY_SCRIPT)
    }


def draw_payments(random: Random, coins: Mapping[OutPoint, Coin]) -> list[Transaction]:
    """Some payments, free and signed; at times one spends what another made."""
    made: list[Transaction] = []
    for point in random.sample(sorted(coins), min(random.randrange(4), len(coins))):
        coin = coins[point]
        outputs = [TxOut(coin.value // 2, random.choice([ANYONE, KEY_SCRIPT])), coin.value // 3]
        if coin.script_pubkey == ANYONE:
            made.append(spend([point], outputs))
        else:
            made.append(signed_spend({point: coin}, outputs))
        if random.random() < 0.3:
            made.append(spend([made[-1].outpoint(1)], [coin.value // 4, TxOut(0, b"\x6a")]))
    return made


# -- trees ------------------------------------------------------------------------------------


class Leaf(NamedTuple):
    """A block of a random tree."""

    node: HeaderNode
    block: Block
    coins: Mapping[OutPoint, Coin]
    """Coins for the payments of those that build on it."""


def draw_fault(random: Random, parent: HeaderNode, params: Params, tag: bytes) -> Block:
    """A block that breaks a rule, seen at once or when it is connected."""
    height = parent.height + 1
    match random.randrange(4):
        case 0:
            return make_block(parent, params, fees=1, tag=tag)
        case 1:
            return make_block(parent, params, [spend([make_outpoint(7)], [1])], tag=tag)
        case 2:
            return make_block(parent, params, coinbase=make_coinbase(height + 1, [1], tag=tag))
        case _:
            own = make_coinbase(height, [1], tag=tag)
            return make_block(parent, params, [spend([own.outpoint(0)], [1])], coinbase=own)


def draw_tree(random: Random, root: Leaf, params: Params) -> list[Leaf]:
    """Blocks on `root`, parents before children: branches that race each other."""
    leaves = [root]
    for number in range(random.randint(3, 14)):
        parent = leaves[max(0, len(leaves) - random.choice([1, 1, 2, 2, 3, 5]))]
        tag = number.to_bytes(2, "little") + random.randbytes(4)
        if random.random() < 0.12:
            block = draw_fault(random, parent.node, params, tag)
        else:
            payments = draw_payments(random, parent.coins)
            block = make_block(parent.node, params, payments, tag=tag)
        node = HeaderNode(block.header, parent.node)
        after = coins_after(parent.coins, block, node.height)
        coins = {point: coin for point, coin in after.items() if not coin.is_coinbase}
        leaves.append(Leaf(node, block, coins))
    return leaves[1:]


@pytest.mark.parametrize("start", CHAINS)
def test_random_trees_end_in_the_same_tip(both: Both, start: int) -> None:
    """After every single block both are at the same tip, also where branches have equal work."""
    for number in range(start, start + ROUNDS):
        random = Random(f"{SEED} {number}")
        root = Leaf(both.tip, both.chain.get_block(both.tip), purse(both))
        leaves = draw_tree(random, root, both.params)
        if random.random() < 0.5:  # then bodies come in any order; else most are refused at first
            for leaf in leaves:
                both.submit_header(leaf.block.header)
        spread = random.choice([0, 3, 100])
        mixed = sorted(leaves, key=lambda leaf: leaf.node.height + spread * random.random())  # noqa: B023
        for leaf in [*mixed, *leaves]:
            both.submit(leaf.block)


# -- spends of every kind ---------------------------------------------------------------------


@pytest.mark.parametrize("start", CHAINS)
def test_random_spends_in_blocks(both: Both, start: int) -> None:
    """Paid to in one block, spent in the next; nearly half of those are refused."""
    random = Random(f"spends {SEED} {start}")
    for _ in range(4 * ROUNDS):
        count = random.choice([1, 1, 1, 2, 4])
        locks = [random.choice(PAYABLE_LOCKS)(random) for _ in range(count)]
        point, value = next(
            (point, coin.value)
            for point, coin in purse(both).items()
            if coin.script_pubkey == ANYONE and coin.value > 10_000 * count
        )
        paid = [TxOut(10_000, lock.script_pubkey) for lock in locks]
        fund = spend([point], [*paid, value - 10_000 * count])
        both.grow([fund])
        points = [fund.outpoint(at) for at in range(count)]
        version = random.choice([1, 2])
        sequence = random.choice([0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFE, 0, 1, 5])
        tx = spend(points, [1, TxOut(0, b"\x6a")], version=version, sequence=sequence)
        digests = TxDigests(tx, fund.vout[:count])
        for index, lock in enumerate(locks):
            digests = unlocked(lock, digests, index)
        both.submit(both.make_block([digests.tx]))


# -- damage -----------------------------------------------------------------------------------


def damage_bytes(random: Random, raw: bytes) -> bytes:
    """A few bytes changed, put in or taken out."""
    data = bytearray(raw)
    for _ in range(random.choice([1, 1, 1, 2, 5])):
        at = random.randrange(max(1, len(data) - 1))
        match random.randrange(4):
            case 0 | 1:
                data[at] ^= 1 << random.randrange(8)
            case 2:
                data[at:at] = random.randbytes(random.choice([1, 1, 4]))
            case _:
                del data[at : at + random.choice([1, 1, 4, 32])]
                data = data or bytearray(1)
    return bytes(data)


def damage_header(random: Random, block: Block) -> Block:
    """A field changed; as often as not it has its proof of work again."""
    fields = list(block.header[:6])
    at = random.choice([0, 3, 3, 4])
    fields[at] += random.choice([1, -1, 600, -600, -5400, 7200, 1 << 20, -(1 << 24)])
    limit = 1 << 31 if at == 0 else 1 << 32
    fields[at] = (fields[at] + limit * (at == 0)) % (1 << 32) - limit * (at == 0)
    header = BlockHeader.build(*fields)
    if fields[4] == block.header.bits and random.random() < 0.7:
        header = mine(header)
    return Block(header, block.transactions)


INTERESTING = (0, 1, 2, 0xFFFFFFFF, 0x80000000, 0x400001, 500_000_000)


def damage_transaction(random: Random, tx: Transaction, height: int) -> Transaction:
    """A field of the transaction changed."""
    vin, vout, version, locktime = list(tx.vin), list(tx.vout), tx.version, tx.locktime
    at, out = random.randrange(len(vin)), random.randrange(len(vout))
    match random.randrange(10):
        case 0:
            version = random.choice([0, 1, 2, 3, -1, 2**31 - 1])
        case 1:
            locktime = random.choice([*INTERESTING, height, height - 1, height + 1])
            vin[at] = vin[at]._replace(sequence=0)
        case 2:
            vin[at] = vin[at]._replace(sequence=random.choice([*INTERESTING, *range(1, 9)]))
        case 3:
            value = vout[out].value + random.choice([1, -1, 10**8, -(10**8), 10**16, -(10**16)])
            vout[out] = vout[out]._replace(value=value)
        case 4:
            vout.append(TxOut(0, random.randbytes(random.choice([0, 1, 40]))))
        case 5:
            vin.append(random.choice(vin))
        case 6:
            script_sig = damage_bytes(random, vin[at].script_sig + b"\x51")
            vin[at] = vin[at]._replace(script_sig=script_sig)
        case 7:
            items = [damage_bytes(random, item + b"\x01") for item in vin[at].witness]
            vin[at] = vin[at]._replace(witness=tuple(items) or (b"w",))
        case 8:
            vin[at] = vin[at]._replace(
                prevout=OutPoint(damage_bytes(random, vin[at].prevout)[:36].ljust(36, b"\0"))
            )
        case _:
            del vout[out]
    return Transaction.build(version, vin, vout, locktime)


def damage_body(random: Random, block: Block, height: int) -> Block:
    """Transactions changed, moved, doubled or left out, and the header made for what came out."""
    coinbase, *others = block.transactions
    at = random.randrange(len(block.transactions))
    match random.randrange(6):
        case 0 if others:
            others.insert(random.randrange(len(others)), random.choice(others))
        case 1 if others:
            random.shuffle(others)
        case 2 if others:
            others.remove(random.choice(others))
        case 3:
            coinbase = damage_transaction(random, coinbase, height)
        case _ if others:
            others[at - 1] = damage_transaction(random, others[at - 1], height)
    if random.random() < 0.8 and any(tx.has_witness for tx in others):
        bare = Transaction.build(
            coinbase.version, coinbase.vin, coinbase.vout[:1], coinbase.locktime
        )
        coinbase = with_commitment(bare, others)
    return with_transactions(block, [coinbase, *others])


@pytest.mark.parametrize("start", CHAINS)
def test_damaged_blocks_meet_the_same_end(both: Both, start: int) -> None:
    random = Random(f"damage {SEED} {start}")
    for _ in range(10 * ROUNDS):
        payments = draw_payments(random, purse(both))
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
