"""Every way in which a transaction is refused, by Core's reject string; and what is taken."""

from dataclasses import replace

import pytest

from misocoin.chain.mempool import Mempool
from misocoin.crypto.hashes import sha256
from misocoin.errors import MissingInputsError, RejectCode, ValidationError
from misocoin.params import Activation, regtest
from misocoin.policy.settings import RelayPolicy
from misocoin.primitives.transaction import NULL_OUTPOINT, Transaction, TxIn, TxOut, outpoint
from misocoin.script.opcodes import OP_CHECKSIG
from misocoin.script.templates import multisig_script, p2wsh_script
from misocoin.units import COIN
from tests.fakes.chain import (
    ANYONE_SCRIPT,
    ANYONE_WITNESS,
    FakeChain,
    spend,
)
from tests.fakes.pool import MemoryStore, pool_on, refusal

DISABLE = 1 << 31
TIME_LOCK = 1 << 22


def refused(chain: FakeChain, pool: Mempool, tx: Transaction) -> str:
    """The reject string; the mempool is the same as before."""
    before = pool.entries(), pool.sequence
    error = refusal(pool, tx, chain.now)
    assert error is not None
    assert (pool.entries(), pool.sequence) == before
    return error.reason


def test_a_payment_is_taken(chain: FakeChain, pool: Mempool) -> None:
    coin = chain.spendable()[0]
    tx = spend([coin], [50 * COIN - 1_000])
    change = pool.accept(tx, chain.now)
    entry = change.added[-1]
    assert (entry.tx, entry.fee, entry.vsize) == (tx, 1_000, tx.vsize)
    assert (entry.time, entry.height) == (chain.now, 109)
    assert (entry.ancestor_count, entry.descendant_count) == (1, 1)
    assert change.removed == ()
    assert tx.txid in pool
    assert len(pool) == 1


def test_sanity(chain: FakeChain, pool: Mempool) -> None:
    coin = chain.spendable()[0]
    assert refused(chain, pool, spend([], [COIN])) == "bad-txns-vin-empty"
    assert refused(chain, pool, spend([coin], [])) == "bad-txns-vout-empty"
    assert refused(chain, pool, spend([coin], [-1])) == "bad-txns-vout-negative"
    assert refused(chain, pool, spend([coin, coin], [COIN])) == "bad-txns-inputs-duplicate"


def test_coinbase(chain: FakeChain, pool: Mempool) -> None:
    tx = Transaction.build(2, [TxIn(NULL_OUTPOINT, b"\x51\x51")], [TxOut(1, ANYONE_SCRIPT)])
    assert refused(chain, pool, tx) == "coinbase"


def test_standardness_is_asked(chain: FakeChain, pool: Mempool) -> None:
    coin = chain.spendable()[0]
    assert refused(chain, pool, spend([coin], [COIN], version=4)) == "version"
    assert refused(chain, pool, spend([coin], [TxOut(COIN, b"\x51")])) == "scriptpubkey"
    assert refused(chain, pool, spend([coin], [100])) == "dust"
    liberal = pool_on(chain, RelayPolicy(require_standard=False))
    for tx in (
        spend([coin], [COIN], version=4),
        spend([coin], [TxOut(COIN, b"\x51" * 5)]),
        spend([coin], [100]),
    ):
        liberal.check(tx, chain.now)


def test_size_small(chain: FakeChain) -> None:
    tx = spend([chain.spendable()[0]], [TxOut(0, b"\x6a\x01\x01")])
    assert tx.stripped_size == 63
    # Holds for those who take nonstandard transactions, too.
    liberal = pool_on(chain, RelayPolicy(require_standard=False))
    assert refused(chain, liberal, tx) == "tx-size-small"
    bigger = spend([chain.spendable()[0]], [TxOut(0, b"\x6a\x03abc")])
    assert bigger.stripped_size == 65
    liberal.check(bigger, chain.now)


def test_non_final(chain: FakeChain, pool: Mempool) -> None:
    coin = chain.spendable()[0]
    last = 0xFFFFFFFE
    assert refused(chain, pool, spend([coin], [COIN], locktime=110, sequence=last)) == "non-final"
    pool.check(spend([coin], [COIN], locktime=109, sequence=last), chain.now)
    pool.check(spend([coin], [COIN], locktime=110), chain.now)  # its sequence is final
    past = chain.tip.median_time_past
    assert refused(chain, pool, spend([coin], [COIN], locktime=past, sequence=last)) == "non-final"
    pool.check(spend([coin], [COIN], locktime=past - 1, sequence=last), chain.now)


def test_already_there(chain: FakeChain, pool: Mempool) -> None:
    coin = chain.spendable()[0]
    tx = spend([coin], [COIN])
    pool.accept(tx, chain.now)
    error = refusal(pool, tx, chain.now)
    assert error is not None
    assert (error.reason, error.code) == ("txn-already-in-mempool", RejectCode.DUPLICATE)
    twin = Transaction.build(2, [TxIn(coin, witness=(b"", *ANYONE_WITNESS))], tx.vout)
    assert (twin.txid, twin.wtxid) != (tx.txid, tx.wtxid)
    assert refused(chain, pool, twin) == "txn-same-nonwitness-data-in-mempool"


def test_already_in_a_block(chain: FakeChain, pool: Mempool) -> None:
    tx = spend([chain.spendable()[0]], [COIN, COIN])
    chain.mine([tx])
    assert refused(chain, pool, tx) == "txn-already-known"
    chain.mine([spend([tx.outpoint(0)], [COIN]), spend([tx.outpoint(1)], [COIN])])
    assert refused(chain, pool, tx) == "bad-txns-inputs-missingorspent"  # no trace of it is left


def test_missing_inputs(chain: FakeChain, pool: Mempool) -> None:
    tx = spend([chain.spendable()[0], outpoint(b"\x22" * 32, 7)], [COIN])
    with pytest.raises(MissingInputsError) as caught:
        pool.accept(tx, chain.now)
    assert caught.value.reason == "bad-txns-inputs-missingorspent"
    assert str(caught.value) == caught.value.reason
    # An output that a transaction of the mempool does not have.
    parent = spend([chain.spendable()[1]], [COIN])
    pool.accept(parent, chain.now)
    assert refused(chain, pool, spend([parent.outpoint(1)], [1, 1])) == "dust"
    child = spend([parent.outpoint(1)], [COIN // 2])
    assert refused(chain, pool, child) == "bad-txns-inputs-missingorspent"


def test_relative_locks(chain: FakeChain, pool: Mempool) -> None:
    coin = chain.spendable()[0]  # made at height 1

    def locked(sequence: int, version: int = 2) -> Transaction:
        return spend([coin], [COIN], sequence=sequence, version=version)

    pool.check(locked(109), chain.now)
    assert refused(chain, pool, locked(110)) == "non-BIP68-final"
    pool.check(locked(110 | DISABLE), chain.now)
    pool.check(locked(110, version=1), chain.now)
    units = (chain.tip.median_time_past - chain.median_time_past_at(0)) // 512
    pool.check(locked(units | TIME_LOCK), chain.now)
    assert refused(chain, pool, locked(units + 1 | TIME_LOCK)) == "non-BIP68-final"


def test_a_coin_of_the_mempool_counts_as_made_by_the_next_block(
    chain: FakeChain, pool: Mempool
) -> None:
    parent = spend([chain.spendable()[0]], [COIN])
    pool.accept(parent, chain.now)
    pool.check(spend([parent.outpoint(0)], [COIN // 2], sequence=0), chain.now)
    for sequence in (1, 1 | TIME_LOCK):
        child = spend([parent.outpoint(0)], [COIN // 2], sequence=sequence)
        assert refused(chain, pool, child) == "non-BIP68-final"


def test_immature_coinbase(chain: FakeChain, pool: Mempool) -> None:
    by_height = {coin.height: point for point, coin in chain.coins.items()}
    pool.check(spend([by_height[10]], [COIN]), chain.now)
    tx = spend([by_height[11]], [COIN])
    assert refused(chain, pool, tx) == "bad-txns-premature-spend-of-coinbase"


def test_amounts(chain: FakeChain, pool: Mempool) -> None:
    coin = chain.spendable()[0]
    assert refused(chain, pool, spend([coin], [50 * COIN + 1])) == "bad-txns-in-belowout"


def test_unknown_scripts(chain: FakeChain, pool: Mempool) -> None:
    odd = p2wsh_script(sha256(b"\xb0\x51"))  # NOP1 1: kept for a soft fork
    false = p2wsh_script(sha256(b"\x00"))
    bare = b"\x51"
    tx = spend([chain.spendable()[0]], [TxOut(COIN, script) for script in (bare, odd, false)])
    chain.mine([tx])
    pay = [TxOut(COIN // 2, ANYONE_SCRIPT)]
    nonstandard = Transaction.build(2, [TxIn(tx.outpoint(0))], pay)
    assert refused(chain, pool, nonstandard) == "bad-txns-nonstandard-inputs"
    oversized = Transaction.build(2, [TxIn(tx.outpoint(1), witness=(bytes(81), b"\xb0\x51"))], pay)
    assert refused(chain, pool, oversized) == "bad-witness-nonstandard"

    discouraged = Transaction.build(2, [TxIn(tx.outpoint(1), witness=(b"\xb0\x51",))], pay)
    error = refusal(pool, discouraged, chain.now)
    assert error is not None
    assert error.reason == (
        "mempool-script-verify-flag-failed (NOPx reserved for soft-fork upgrades)"
    )
    assert error.code is RejectCode.NONSTANDARD
    assert error.detail == (
        f"input 0 of {discouraged.txid_hex} (wtxid {discouraged.wtxid[::-1].hex()}), spending "
        f"{tx.txid_hex}:1"
    )

    wrong = Transaction.build(2, [TxIn(tx.outpoint(2), witness=(b"\x00",))], pay)
    error = refusal(pool, wrong, chain.now)
    assert error is not None
    assert error.reason == (
        "mempool-script-verify-flag-failed (Script evaluated without error but finished with a "
        "false/empty top stack element)"
    )
    assert error.code is RejectCode.INVALID


def test_too_many_sigops(chain: FakeChain, pool: Mempool) -> None:
    coin = chain.spendable()[0]
    key = b"\x02" + bytes(31) + b"\x01"
    multisig = TxOut(COIN // 100, multisig_script(1, (key,)))  # counts 20, in units of 4
    fits = spend([coin], [multisig] * 200)
    entry = pool.check(fits, chain.now)
    assert entry.sigop_cost == 16_000
    assert entry.vsize == 16_000 * 20 // 4  # it weighs what its signatures may cost
    error = refusal(pool, spend([coin], [multisig] * 201), chain.now)
    assert error is not None
    assert (error.reason, error.detail) == ("bad-txns-too-many-sigops", "16080")


def test_sigops_in_witness_count_once(chain: FakeChain, pool: Mempool) -> None:
    script = bytes((0x63, *(OP_CHECKSIG,) * 30, 0x68, 0x51))
    parent = spend([chain.spendable()[0]], [TxOut(COIN, p2wsh_script(sha256(script)))])
    chain.mine([parent])
    child = Transaction.build(
        2, [TxIn(parent.outpoint(0), witness=(b"", script))], [TxOut(COIN // 2, ANYONE_SCRIPT)]
    )
    entry = pool.accept(child, chain.now).added[-1]
    assert (entry.sigop_cost, entry.vsize) == (30, 30 * 20 // 4)


def test_min_relay_fee(chain: FakeChain, pool: Mempool) -> None:
    coin = chain.spendable()[0]
    vsize = spend([coin], [COIN]).vsize
    error = refusal(pool, spend([coin], [50 * COIN - vsize + 1]), chain.now)
    assert error is not None
    assert (error.reason, error.code) == ("min relay fee not met", RejectCode.INSUFFICIENT_FEE)
    assert error.detail == f"{vsize - 1} < {vsize}"
    pool.check(spend([coin], [50 * COIN - vsize]), chain.now)


def test_a_fee_delta_counts(chain: FakeChain, pool: Mempool) -> None:
    free = spend([chain.spendable()[0]], [50 * COIN])
    pool.prioritise(free.txid, 1_000)
    entry = pool.accept(free, chain.now).added[-1]
    assert (entry.fee, entry.fee_delta, entry.modified_fee) == (0, 1_000, 1_000)
    assert pool.info(chain.now).total_fee == 0


def test_no_witness_before_segwit() -> None:
    later = replace(regtest(), activation=Activation(1, 1, 1, 1, segwit=103))
    chain = FakeChain(later)
    chain.mine(count=101)
    pool = pool_on(chain)
    tx = spend([chain.spendable()[0]], [COIN])
    assert refused(chain, pool, tx) == "no-witness-yet"
    chain.mine()
    pool.check(tx, chain.now)


def test_a_check_changes_nothing(chain: FakeChain) -> None:
    store = MemoryStore()
    pool = pool_on(chain, store=store)
    parent = spend([chain.spendable()[0]], [49 * COIN, COIN // 2])
    pool.accept(parent, chain.now)
    before, calls = pool.entries(), store.calls
    child = spend([parent.outpoint(0)], [48 * COIN])
    entry = pool.check(child, chain.now)
    assert entry.parents == (parent.txid,)
    assert entry.ancestor_count == 2
    assert entry.ancestor_vsize == parent.vsize + child.vsize
    assert entry.ancestor_fee == 3 * COIN // 2
    assert (pool.entries(), store.calls) == (before, calls)
    assert pool.accept(child, chain.now).added[-1][:4] == entry[:4]


def test_a_refusal_says_why_in_one_line(chain: FakeChain, pool: Mempool) -> None:
    with pytest.raises(ValidationError, match=r"^min relay fee not met, 0 < \d+$"):
        pool.accept(spend([chain.spendable()[0]], [50 * COIN]), chain.now)
