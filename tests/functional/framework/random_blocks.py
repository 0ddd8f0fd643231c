"""Blocks drawn at random: payments, trees with faults in them, spends of every kind, damage."""

from collections.abc import Callable, Mapping
from random import Random
from typing import NamedTuple

from misocoin.chain.state import ChainState
from misocoin.consensus.coins import Coin
from misocoin.consensus.tree import HeaderNode
from misocoin.params import Params
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
from tests.unit.script.random_spends import PAYABLE_LOCKS, unlocked


def purse(chain: ChainState) -> dict[OutPoint, Coin]:
    """Coins worth spending that are no rewards."""
    chain.flush()
    return {
        point: coin
        for point, coin in sorted(chain.iterate_coins())
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


# -- spends of every kind ---------------------------------------------------------------------


def draw_spend(random: Random, chain: ChainState) -> tuple[Transaction, Callable[[], Transaction]]:
    """Payments to outputs of random kinds, and what makes one that spends them, right or wrong.

    The second belongs into a later block than the first.
    """
    count = random.choice([1, 1, 1, 2, 4])
    locks = [random.choice(PAYABLE_LOCKS)(random) for _ in range(count)]
    point, value = next(
        (point, coin.value)
        for point, coin in purse(chain).items()
        if coin.script_pubkey == ANYONE and coin.value > 10_000 * count
    )
    paid = [TxOut(10_000, lock.script_pubkey) for lock in locks]
    fund = spend([point], [*paid, value - 10_000 * count])

    def spending() -> Transaction:
        points = [fund.outpoint(at) for at in range(count)]
        version = random.choice([1, 2])
        sequence = random.choice([0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFE, 0, 1, 5])
        tx = spend(points, [1, TxOut(0, b"\x6a")], version=version, sequence=sequence)
        digests = TxDigests(tx, fund.vout[:count])
        for index, lock in enumerate(locks):
            digests = unlocked(lock, digests, index)
        return digests.tx

    return fund, spending


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
