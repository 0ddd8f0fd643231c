"""Blocks on either side of every rule, made for the tip of a regtest chain."""

import time
from collections.abc import Callable

from misocoin.consensus.subsidy import calculate_subsidy
from misocoin.crypto.hashes import hash160, sha256
from misocoin.primitives.block import Block, BlockHeader
from misocoin.primitives.transaction import NULL_OUTPOINT, Transaction, TxOut
from misocoin.script.script import push_data, push_int
from misocoin.script.templates import p2sh_script, p2wsh_script, witness_script
from tests.builders import (
    KEY_SCRIPT,
    make_coinbase,
    make_outpoint,
    mine,
    signed_spend,
    spend,
    with_bad_signature,
    with_commitment,
    with_header,
    with_transactions,
    with_witness,
)
from tests.functional.framework.both import SCRIPTS, Both

COIN = 100_000_000
MAX_MONEY = 21_000_000 * COIN

# -- blocks that break one rule ---------------------------------------------------------------

Make = Callable[[Both], Block | bytes]
BROKEN: dict[str, tuple[Make, str]] = {}


def broken(reason: str) -> Callable[[Make], Make]:
    """Note a block that both must refuse for that reason."""

    def note(make: Make) -> Make:
        BROKEN[make.__name__.strip("_").replace("_", " ")] = (make, reason)
        return make

    return note


def pay(both: Both, *outputs: int | TxOut, at: int = 0, **options: object) -> Transaction:
    """Spend a coin of ANYONE."""
    return spend([list(both.free_coins())[at]], outputs, **options)


def with_coinbase(both: Both, coinbase: Transaction, *others: Transaction) -> Block:
    return with_transactions(both.make_block(), [coinbase, *others])


def coinbase_of(both: Both, **options: object) -> Transaction:
    height = both.tip.height + 1
    return make_coinbase(height, [calculate_subsidy(height, both.params)], **options)


@broken("high-hash")
def _no_proof_of_work(both):
    block = both.make_block()
    return Block(mine(block.header, fail=True), block.transactions)


@broken("high-hash")
def _a_target_above_the_limit(both):
    block = both.make_block()
    return Block(BlockHeader.build(*block.header[:4], 0x2100FFFF, 0), block.transactions)


@broken("high-hash")
def _a_negative_target(both):
    block = both.make_block()
    return Block(BlockHeader.build(*block.header[:4], 0x20FFFFFF, 0), block.transactions)


@broken("bad-diffbits")
def _another_difficulty(both):
    return with_header(both.make_block(), bits=0x207FFFFE)


@broken("bad-diffbits")
def _a_harder_target(both):
    return with_header(both.make_block(), bits=0x2000FFFF)


@broken("time-too-old")
def _the_median_time(both):
    return both.make_block(time=both.tip.median_time_past)


@broken("time-too-new")
def _a_time_in_the_future(both):
    return both.make_block(time=int(time.time()) + 7_300)


@broken("bad-version(0x00000003)")
def _version_3(both):
    return both.make_block(version=3)


@broken("bad-version(0xffffffff)")
def _a_negative_version(both):
    return both.make_block(version=-1)


@broken("prev-blk-not-found")
def _an_unknown_parent(both):
    return with_header(both.make_block(), prev_hash=bytes(31) + b"\x01")


@broken("bad-txnmrklroot")
def _another_root(both):
    return with_header(both.make_block(), merkle_root=bytes(32))


@broken("bad-txns-duplicate")
def _the_last_transaction_twice(both):
    block = both.make_block([pay(both, 1), pay(both, 1, at=1)])
    return Block(block.header, (*block.transactions, block.transactions[-1]))


@broken("bad-blk-length")
def _no_transaction(both):
    return with_transactions(both.make_block(), [])


@broken("bad-blk-length")
def _a_million_bytes_and_one(both):
    return sized_block(both, 1_000_001)


@broken("bad-blk-weight")
def _four_million_weight_units_and_one(both):
    return weighty_block(both, 4_000_001)


@broken("bad-cb-missing")
def _no_coinbase(both):
    return with_transactions(both.make_block(), [pay(both, 1)])


@broken("bad-cb-missing")
def _the_coinbase_second(both):
    return with_transactions(both.make_block(), [pay(both, 1), coinbase_of(both)])


@broken("bad-cb-multiple")
def _two_coinbases(both):
    return with_coinbase(both, coinbase_of(both), coinbase_of(both, tag=b"two"))


@broken("bad-cb-length")
def _a_coinbase_script_of_one_byte(both):
    return with_coinbase(both, coinbase_of(both, script_sig=b"\x51"))


@broken("bad-cb-length")
def _a_coinbase_script_of_101_bytes(both):
    height = push_int(both.tip.height + 1)
    return with_coinbase(both, coinbase_of(both, script_sig=height.ljust(101, b"\0")))


@broken("bad-cb-height")
def _another_height(both):
    return with_coinbase(both, make_coinbase(both.tip.height + 2, [1]))


@broken("bad-cb-height")
def _a_height_with_a_zero_too_many(both):
    height = push_data((both.tip.height + 1).to_bytes(3, "little"))
    return with_coinbase(both, coinbase_of(both, script_sig=height))


@broken("bad-cb-amount")
def _a_reward_too_high(both):
    return both.make_block(fees=1)


@broken("bad-cb-amount")
def _fees_that_nobody_paid(both):
    (point, coin), *_ = both.free_coins().items()
    return both.make_block([spend([point], [coin.value - 7])], fees=8)


@broken("bad-txns-vout-empty")
def _no_output(both):
    return both.make_block([pay(both)])


@broken("unreadable")
def _no_input(both):
    return both.make_block([spend([], [1])])


@broken("bad-txns-vout-negative")
def _a_negative_output(both):
    return both.make_block([pay(both, -1)])


@broken("bad-txns-vout-toolarge")
def _an_output_of_all_money_and_one(both):
    return both.make_block([pay(both, MAX_MONEY + 1)])


@broken("bad-txns-txouttotal-toolarge")
def _outputs_that_add_up_to_too_much(both):
    return both.make_block([pay(both, MAX_MONEY, 1)])


@broken("bad-txns-in-belowout")
def _more_out_than_in(both):
    (point, coin), *_ = both.free_coins().items()
    return both.make_block([spend([point], [coin.value, 1])])


@broken("bad-txns-inputs-duplicate")
def _an_input_twice(both):
    point = next(iter(both.free_coins()))
    return both.make_block([spend([point, point], [1])])


@broken("bad-txns-prevout-null")
def _a_null_input(both):
    return both.make_block([spend([next(iter(both.free_coins())), NULL_OUTPOINT], [1])])


@broken("bad-txns-inputs-missingorspent")
def _an_unknown_coin(both):
    return both.make_block([spend([make_outpoint(1)], [1])])


@broken("bad-txns-inputs-missingorspent")
def _a_coin_twice(both):
    return both.make_block([pay(both, 1), pay(both, 2)])


@broken("bad-txns-inputs-missingorspent")
def _a_coin_that_comes_later_in_the_block(both):
    first = pay(both, 10)
    return both.make_block([spend([first.outpoint(0)], [1]), first])


@broken("bad-txns-inputs-missingorspent")
def _an_output_that_nobody_can_spend(both):
    first = pay(both, TxOut(10, b"\x6a"))
    return both.make_block([first, spend([first.outpoint(0)], [1])])


@broken("bad-txns-inputs-missingorspent")
def _an_output_whose_script_is_too_long(both):
    first = pay(both, TxOut(10, bytes(10_001)))
    return both.make_block([first, spend([first.outpoint(0)], [1])])


@broken("bad-txns-premature-spend-of-coinbase")
def _a_reward_99_blocks_deep(both):
    return both.make_block([spend_reward(both, 99)])


@broken("bad-txns-premature-spend-of-coinbase")
def _the_blocks_own_reward(both):
    own = coinbase_of(both)
    return with_coinbase(both, own, spend([own.outpoint(0)], [1]))


@broken("bad-txns-nonfinal")
def _locked_until_the_next_height(both):
    return both.make_block([pay(both, 1, locktime=both.tip.height + 1, sequence=0)])


@broken("bad-txns-nonfinal")
def _locked_until_the_median_time(both):
    return both.make_block([pay(both, 1, locktime=both.tip.median_time_past, sequence=0)])


@broken("bad-txns-nonfinal")
def _a_coinbase_that_is_locked(both):
    coinbase = coinbase_of(both)
    txin = coinbase.vin[0]._replace(sequence=0)
    locked = Transaction.build(2, [txin], coinbase.vout, both.tip.height + 1)
    return with_coinbase(both, locked)


@broken("bad-txns-nonfinal")
def _a_coin_not_old_enough_in_blocks(both):
    return both.make_block([aged_spend(both, 1)])


@broken("bad-txns-nonfinal")
def _a_coin_not_old_enough_in_seconds(both):
    return both.make_block([aged_spend(both, 1, seconds=True)])


@broken("bad-txns-nonfinal")
def _a_relative_lock_in_a_transaction_of_negative_version(both):
    return both.make_block([pay(both, 1, sequence=0xFFFF, version=-1)])


@broken("bad-blk-sigops")
def _20001_signature_operations(both):
    return both.make_block([pay(both, TxOut(0, b"\xac" * 20_001))])


@broken("bad-blk-sigops")
def _80001_signature_operations_in_scripts_and_witnesses(both):
    return sigop_block(both, 1)


@broken("unexpected-witness")
def _a_witness_and_no_commitment(both):
    return with_coinbase(both, coinbase_of(both), with_witness(pay(both, 1), [b"w"]))


@broken("bad-witness-nonce-size")
def _no_reserved_value(both):
    tx = with_witness(pay(both, 1), [b"w"])
    return with_coinbase(both, with_witness(with_commitment(coinbase_of(both), [tx]), []), tx)


@broken("bad-witness-nonce-size")
def _a_reserved_value_of_31_bytes(both):
    tx = with_witness(pay(both, 1), [b"w"])
    coinbase = with_commitment(coinbase_of(both), [tx])
    return with_coinbase(both, with_witness(coinbase, [bytes(31)]), tx)


@broken("bad-witness-merkle-match")
def _another_witness(both):
    tx = pay(both, 1)
    coinbase = with_commitment(coinbase_of(both), [with_witness(tx, [b"w"])])
    return with_coinbase(both, coinbase, with_witness(tx, [b"x"]))


@broken("bad-witness-merkle-match")
def _a_commitment_to_nothing(both):
    coinbase = with_witness(coinbase_of(both), [bytes(32)])
    output = TxOut(0, bytes.fromhex("6a24aa21a9ed") + bytes(32))
    coinbase = Transaction.build(2, coinbase.vin, [*coinbase.vout, output])
    return with_coinbase(both, coinbase)


@broken(SCRIPTS)
def _a_script_that_fails(both):
    first = pay(both, TxOut(10, b"\x00"))
    return both.make_block([first, spend([first.outpoint(0)], [1])])


@broken(SCRIPTS)
def _a_signature_of_something_else(both):
    return both.make_block([with_bad_signature(pay_by_key(both))])


@broken(SCRIPTS)
def _a_witness_where_none_belongs(both):
    return both.make_block([with_witness(pay(both, 1), [b"w"])])


# -- what the cases share ---------------------------------------------------------------------


def pay_by_key(both: Both, *outputs: int | TxOut) -> Transaction:
    """Spend a coin of KEY_SCRIPT."""
    both.chain.flush()
    coins = sorted(
        (point, coin)
        for point, coin in both.chain.iterate_coins()
        if coin.script_pubkey == KEY_SCRIPT
    )
    return signed_spend(dict(coins[:1]), outputs or [1])


def spend_reward(both: Both, depth: int) -> Transaction:
    """Spend the reward of a block that the next one has that far below it."""
    node = both.tip.ancestor(both.tip.height + 1 - depth)
    return spend([both.chain.get_block(node).transactions[0].outpoint(0)], [1])


def aged_spend(both: Both, beyond: int, *, seconds: bool = False) -> Transaction:
    """Spend the oldest coin with a relative lock that the next block meets, or misses (BIP68)."""
    (point, coin), *_ = both.free_coins().items()
    if seconds:
        start = both.tip.ancestor(coin.height - 1).median_time_past
        age = ((both.tip.median_time_past - start) >> 9) + beyond
        return spend([point], [1], sequence=1 << 22 | age)
    return spend([point], [1], sequence=both.tip.height + 1 - coin.height + beyond)


def sized_block(both: Both, size: int) -> Block:
    """A block of so many bytes without witnesses."""
    small = both.make_block([pay(both, TxOut(0, bytes(70_000)))])
    room = size - small.stripped_size
    return both.make_block([pay(both, TxOut(0, bytes(70_000 + room)))])


def weighty_block(both: Both, weight: int) -> Block:
    """A block of that weight, most of it in a witness of a version that has no rules yet."""
    first = pay(both, TxOut(10, witness_script(2, b"\x01" * 32)))
    second = spend([first.outpoint(0)], [1])

    def with_bytes(count: int) -> Block:
        return both.make_block([first, with_witness(second, [bytes(count)])])

    return with_bytes(70_000 + weight - with_bytes(70_000).weight)


def sigop_block(both: Both, beyond: int) -> Block:
    """A block whose signature operations cost 80,000 and `beyond`, in all places they count."""

    def never_run(count: int) -> bytes:
        return b"\x00\x63" + b"\xac" * count + b"\x68\x51"

    redeem, witness = never_run(50), never_run(48 + beyond)
    first = pay(
        both, TxOut(10, p2sh_script(hash160(redeem))), TxOut(10, p2wsh_script(sha256(witness)))
    )
    nested = spend([first.outpoint(0)], [1], script_sig=push_data(redeem))
    by_witness = with_witness(spend([first.outpoint(1)], [1]), [witness])
    # Those in the witness cost one each, all others four.
    legacy = pay(both, TxOut(0, b"\xac" * ((80_000 - 48) // 4 - 50)), at=1)
    return both.make_block([first, nested, by_witness, legacy])


# -- blocks that just hold --------------------------------------------------------------------

HOLDING: dict[str, Callable[[Both], Block]] = {
    "a second after the median time": lambda both: both.make_block(
        time=both.tip.median_time_past + 1
    ),
    "version 4": lambda both: both.make_block(version=4),
    "the highest version": lambda both: both.make_block(version=2**31 - 1),
    "a reward too low": lambda both: with_coinbase(both, make_coinbase(both.tip.height + 1, [0])),
    "a coinbase script of 100 bytes": lambda both: with_coinbase(
        both,
        coinbase_of(both, script_sig=push_int(both.tip.height + 1).ljust(100, b"\xff")),
    ),
    "a million bytes": lambda both: sized_block(both, 1_000_000),
    "four million weight units": lambda both: weighty_block(both, 4_000_000),
    "80,000 signature operations": lambda both: sigop_block(both, 0),
    "a reward 100 blocks deep": lambda both: both.make_block([spend_reward(both, 100)]),
    "locked until this height": lambda both: both.make_block(
        [pay(both, 1, locktime=both.tip.height, sequence=0)]
    ),
    "locked until a second before the median time": lambda both: both.make_block(
        [pay(both, 1, locktime=both.tip.median_time_past - 1, sequence=0)]
    ),
    "locked for ever, but final": lambda both: both.make_block([pay(both, 1, locktime=2**32 - 1)]),
    "a coin just old enough in blocks": lambda both: both.make_block([aged_spend(both, 0)]),
    "a coin just old enough in seconds": lambda both: both.make_block(
        [aged_spend(both, 0, seconds=True)]
    ),
    "a relative lock that version 1 does not know": lambda both: both.make_block(
        [pay(both, 1, sequence=0xFFFF, version=1)]
    ),
    "coins of the same block": lambda both: both.make_block(
        [first := pay(both, 10, 10), spend([first.outpoint(0), first.outpoint(1)], [20])]
    ),
    "a commitment without a witness": lambda both: with_coinbase(
        both, with_commitment(coinbase_of(both), [])
    ),
    "a signature": lambda both: both.make_block([pay_by_key(both)]),
}
