"""A regtest chain with something of every kind, the same in our daemon and in a real bitcoind."""

from collections.abc import Sequence
from typing import NamedTuple

from misocoin.consensus.coins import Coin
from misocoin.crypto.hashes import hash160, sha256
from misocoin.crypto.keys import PrivateKey
from misocoin.params import regtest
from misocoin.primitives.block import Block, BlockHeader, block_from_bytes
from misocoin.primitives.transaction import (
    SEQUENCE_FINAL,
    OutPoint,
    Transaction,
    TxOut,
    outpoint,
)
from misocoin.script.address import address_from_script
from misocoin.script.signing import KeyRing, output_key_of, sign_transaction
from misocoin.script.templates import (
    multisig_script,
    nulldata_script,
    p2pk_script,
    p2pkh_script,
    p2sh_script,
    p2tr_script,
    p2wpkh_script,
    p2wsh_script,
    witness_script,
)
from tests.builders import (
    ANYONE,
    COIN,
    KEY,
    KEY_SCRIPT,
    make_coinbase,
    merkle_root,
    mine,
    spend,
    with_commitment,
)
from tests.functional.framework.answers import Twins

START = 1_700_000_000
"""The clock of both while the chain grows."""

FEE = 2_000

OTHERS = tuple(PrivateKey(bytes(31) + bytes((number,))) for number in (11, 12, 13))
BARE = multisig_script(1, tuple(key.public_key for key in OTHERS[:2]))
TWO_OF_THREE = multisig_script(2, tuple(key.public_key for key in OTHERS))
LOOSE = PrivateKey(bytes(31) + b"\x09", compressed=False)
"""A key whose public key is written in 65 bytes."""
RING = KeyRing.build([KEY, LOOSE, *OTHERS], [TWO_OF_THREE, ANYONE])
PAY = str(address_from_script(KEY_SCRIPT, regtest()))
"""The address of KEY_SCRIPT: the blocks pay it."""

SIGNED = (
    p2pk_script(KEY.public_key),
    p2pk_script(LOOSE.public_key),
    p2pkh_script(hash160(KEY.public_key)),
    p2sh_script(hash160(p2wpkh_script(hash160(KEY.public_key)))),
    p2sh_script(hash160(TWO_OF_THREE)),
    p2wpkh_script(hash160(KEY.public_key)),
    p2wsh_script(sha256(TWO_OF_THREE)),
    BARE,
    TWO_OF_THREE,
)
"""Scripts of outputs that a signature spends."""

FREE = (
    ANYONE,
    witness_script(1, b"\x4e\x73"),  # pay to anchor
    witness_script(16, b"\x01" * 40),
    witness_script(2, b"\x01\x02"),
    witness_script(1, b"\x03" * 20),
)
"""Scripts of outputs that nothing but an input is needed for."""

DEAD = (
    p2tr_script(output_key_of(KEY).xonly_public_key),
    nulldata_script(b"misocoin"),
    nulldata_script(bytes(200)),
    b"\x6a",
    b"\x6a\x01",
    b"\x6a" + b"\x51" * 20,
    b"\x4c\xff\x00",  # a push that does not end
    b"\x00\x15" + bytes(21),  # version 0 of a wrong length
    b"\x76\xa9\x14" + bytes(20) + b"\x88\xac\x61",
    b"\x52\xae",
    b"\x00\x00\x51\xae",
    b"\x04\xff\xff\xff\x7f\x05\xff\xff\xff\xff\x7f\x93\xba\xfe",
    b"\x51" * 10_001,  # longer than a script may be
    p2sh_script(hash160(ANYONE)),
    b"",
)
"""Scripts of outputs that nothing here spends."""


class RichChain(NamedTuple):
    """What a test may ask for: hashes and ids as they are shown."""

    every_script: str
    """The block with an output of every kind."""
    spending: str
    """The block that spends most of them."""
    stale: str
    """A block that was on the best chain once."""
    behind: str
    """A block with less work that never was."""
    invalid: str
    """A block that broke a rule."""
    header: str
    """A block of which the header alone is known."""
    waiting: tuple[str, ...]
    """Transactions of the pool, parents before children."""

    def blocks(self) -> tuple[str, ...]:
        """All of these blocks."""
        return self[:6]


def coins_of(twins: Twins, block_hash: str, number: int = 0) -> dict[OutPoint, Coin]:
    """The outputs of a transaction of a block of theirs."""
    block = block_from_bytes(bytes.fromhex(twins.theirs.call("getblock", block_hash, 0)))
    return coins_from(block.transactions[number])


def coins_from(tx: Transaction, height: int = 1) -> dict[OutPoint, Coin]:
    """A transaction's outputs."""
    return {
        outpoint(tx.txid, index): Coin(output.value, output.script_pubkey, height, False)
        for index, output in enumerate(tx.vout)
    }


def signed(
    coins: dict[OutPoint, Coin],
    outputs: Sequence[int | TxOut],
    *,
    sequence: int = SEQUENCE_FINAL,
    version: int = 2,
) -> Transaction:
    """Spend coins of the keys here."""
    plain = spend(coins, outputs, sequence=sequence, version=version)
    return sign_transaction(plain, list(coins.values()), RING)


def block_on(
    twins: Twins,
    parent: str,
    transactions: Sequence[Transaction] = (),
    *,
    extra: int = 0,
    tag: bytes = b"",
) -> Block:
    """A block on one of theirs; its coinbase takes `extra` beside the subsidy."""
    above = twins.theirs.call("getblockheader", parent)
    coinbase = make_coinbase(
        above["height"] + 1, [TxOut(50 * COIN + extra, KEY_SCRIPT)], tag=tag or b"made"
    )
    if transactions:
        coinbase = with_commitment(coinbase, transactions)
    whole = (coinbase, *transactions)
    header = BlockHeader.build(
        0x20000000,
        bytes.fromhex(parent)[::-1],
        merkle_root(whole),
        above["time"] + 600,
        0x207FFFFF,
        0,
    )
    return Block(mine(header), whole)


def submit(twins: Twins, block: Block) -> str:
    """Give a block to both, which must say the same of it; its hash."""
    twins.same("submitblock", block.serialize().hex())
    return block.header.hash_hex


def build(twins: Twins) -> RichChain:
    """Grow it on genesis, and fill the pools."""
    twins.set_time(START)
    early = twins.grow(120, PAY)
    every_script = _every_script(twins, early)
    spending = _spending(twins, every_script)
    tip = twins.grow(1, PAY)[0]
    stale = submit(twins, block_on(twins, tip, tag=b"stale"))
    fork = submit(twins, block_on(twins, tip, tag=b"fork"))
    best = submit(twins, block_on(twins, fork))
    behind = submit(twins, block_on(twins, tip, tag=b"behind"))
    invalid = submit(twins, block_on(twins, best, extra=1))
    ahead = block_on(twins, best, tag=b"header")
    twins.same("submitheader", ahead.header.serialize().hex())
    twins.check_tip()
    return RichChain(
        every_script,
        spending,
        stale,
        behind,
        invalid,
        ahead.header.hash_hex,
        tuple(_pool(twins, early)),
    )


def _every_script(twins: Twins, early: Sequence[str]) -> str:
    coins = coins_of(twins, early[0])
    point, coin = next((p, c) for p, c in coins.items() if c.script_pubkey == KEY_SCRIPT)
    scripts = (*SIGNED, *FREE, *DEAD)
    value = (coin.value - 10 * FEE) // len(scripts)
    first = signed({point: coin}, [TxOut(value, script) for script in scripts])
    zero = signed(
        _coinbase_coin(twins, early[1]), [TxOut(0, ANYONE), 21 * COIN, TxOut(546, KEY_SCRIPT)]
    )
    return submit(twins, block_on(twins, early[-1], [first, zero]))


def _coinbase_coin(twins: Twins, block_hash: str) -> dict[OutPoint, Coin]:
    coins = coins_of(twins, block_hash)
    return {point: coin for point, coin in coins.items() if coin.script_pubkey == KEY_SCRIPT}


def _spending(twins: Twins, every_script: str) -> str:
    coins = coins_of(twins, every_script, 1)
    points = list(coins)
    singles = [
        signed({points[index]: coins[points[index]]}, [coins[points[index]].value - FEE - index])
        for index in range(len(SIGNED))
    ]
    free = {point: coin for point, coin in coins.items() if coin.script_pubkey in FREE}
    paid = sum(coin.value for coin in free.values())
    many = spend(free, [paid - 50_000, TxOut(1_000, nulldata_script(b"\x01"))], locktime=5)
    chained = spend([outpoint(many.txid, 0)], [paid - 60_000], version=1)
    return submit(twins, block_on(twins, every_script, [*singles, many, chained]))


def _pool(twins: Twins, early: Sequence[str]) -> list[str]:
    """A parent that pays little, its children, a replacement, and some of their own."""
    value = 50 * COIN
    parent = signed(_coinbase_coin(twins, early[2]), _halves(value - 200))
    first, second = [{point: coin} for point, coin in coins_from(parent).items()]
    child = signed(first, [TxOut(value // 2 - 10_000, KEY_SCRIPT)], sequence=0xFFFFFFFD)
    other = signed(second, _halves(value // 2 - 3_000))
    point, coin = next(iter(coins_from(other).items()))
    grandchild = signed(
        {**coins_from(child), point: coin}, [TxOut(3 * value // 4 - 20_000, KEY_SCRIPT)]
    )
    replaced = signed(_coinbase_coin(twins, early[3]), [TxOut(value - 1_000, KEY_SCRIPT)])
    replacement = signed(
        _coinbase_coin(twins, early[3]),
        [TxOut(value - 9_000, KEY_SCRIPT), TxOut(0, nulldata_script(b"again"))],
        sequence=1,
    )
    alone = signed(
        _coinbase_coin(twins, early[4]), [TxOut(value - 777, p2wsh_script(sha256(TWO_OF_THREE)))]
    )
    old = signed(_coinbase_coin(twins, early[5]), [TxOut(value - 900, KEY_SCRIPT)], version=1)
    sent = [parent, child, other, grandchild, replaced, replacement, alone, old]
    for number, tx in enumerate(sent):
        twins.set_time(START + 100 + number)
        twins.send(tx.serialize().hex())
    return [tx.txid[::-1].hex() for tx in sent if tx is not replaced]


def _halves(value: int) -> list[TxOut]:
    return [TxOut(value // 2, KEY_SCRIPT), TxOut(value - value // 2, KEY_SCRIPT)]
