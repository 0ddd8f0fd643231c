"""The ledger, case by case; a property test holds it to a model."""

import time

import pytest

from misocoin.errors import ParseError
from misocoin.primitives.transaction import OutPoint, Transaction, TxIn, TxOut
from misocoin.wallet.ledger import (
    UNCONFIRMED,
    Balance,
    Effects,
    Ledger,
    OwnOutput,
    TxState,
    WalletTx,
    is_mature,
)
from tests.builders import make_coinbase, make_outpoint

OWN = b"own"
FOREIGN = b"foreign"
MATURITY = 100


def tx_of(points: list[OutPoint], *outputs: TxOut) -> Transaction:
    return Transaction.build(2, map(TxIn, points), outputs)


@pytest.fixture
def ledger() -> Ledger:
    return Ledger({OWN}.__contains__)


def test_empty(ledger: Ledger) -> None:
    assert list(ledger) == []
    assert list(ledger.coins()) == []
    assert ledger.balance(0, MATURITY) == Balance(0, 0, 0)
    assert ledger.get(bytes(32)) is None
    assert not ledger.set_state(bytes(32), TxState.DROPPED)
    with pytest.raises(KeyError):
        ledger.amounts(bytes(32))


def test_relevant_is_what_pays_or_spends(ledger: Ledger) -> None:
    paid = tx_of([make_outpoint(1)], TxOut(5, FOREIGN), TxOut(7, OWN))
    assert ledger.is_relevant(paid)
    spends = tx_of([paid.outpoint(1)], TxOut(6, FOREIGN))
    assert not ledger.is_relevant(spends)
    ledger.note(paid, TxState.DROPPED, 1)
    assert ledger.is_relevant(spends)
    assert not ledger.is_relevant(tx_of([paid.outpoint(0)], TxOut(4, FOREIGN)))
    assert ledger.own_output(paid.outpoint(1)) == OwnOutput(paid.outpoint(1), 7, OWN)
    assert ledger.own_output(paid.outpoint(0)) is None


def test_a_coinbase_matures_after_its_hundredth_block(ledger: Ledger) -> None:
    ledger.note(make_coinbase(7, [TxOut(50, OWN)]), TxState.CONFIRMED, 1, 7, bytes(32))
    (coin,) = ledger.coins()
    for tip, balance in (
        (7, Balance(0, 0, 50)),
        (105, Balance(0, 0, 50)),
        (106, Balance(50, 0, 0)),
        (10_000, Balance(50, 0, 0)),
    ):
        assert ledger.balance(tip, MATURITY) == balance
        assert is_mature(coin, tip, MATURITY) is (balance.immature == 0)


def test_a_coinbase_with_outputs_of_nothing_comes_and_goes(ledger: Ledger) -> None:
    mined = make_coinbase(7, [TxOut(0, OWN), TxOut(50, OWN), TxOut(0, OWN)])
    for _ in range(2):
        ledger.note(mined, TxState.CONFIRMED, 1, 7, bytes(32))
        assert len(list(ledger.coins())) == 3
        assert ledger.balance(7, MATURITY) == Balance(0, 0, 50)
        ledger.set_state(mined.txid, TxState.DROPPED)
        assert ledger.balance(7, MATURITY) == Balance(0, 0, 0)


def test_payments_of_others_are_pending_until_mined(ledger: Ledger) -> None:
    paid = tx_of([make_outpoint(1)], TxOut(7, OWN))
    ledger.note(paid, TxState.POOLED, 1)
    assert ledger.balance(5, MATURITY) == Balance(0, 7, 0)
    ledger.note(paid, TxState.CONFIRMED, 2, 5, bytes(32))
    assert ledger.balance(5, MATURITY) == Balance(7, 0, 0)


def test_change_can_be_spent_at_once_unless_it_hangs_on_others(ledger: Ledger) -> None:
    theirs = tx_of([make_outpoint(1)], TxOut(100, OWN))
    change = tx_of([theirs.outpoint(0)], TxOut(30, FOREIGN), TxOut(70, OWN))
    ledger.note(theirs, TxState.POOLED, 1)
    ledger.note(change, TxState.POOLED, 2)
    assert ledger.balance(5, MATURITY) == Balance(0, 70, 0)
    ledger.note(theirs, TxState.CONFIRMED, 3, 5, bytes(32))
    assert ledger.balance(5, MATURITY) == Balance(70, 0, 0)
    assert [coin.is_trusted for coin in ledger.coins()] == [True]


def test_a_payment_with_a_foreign_input_is_not_ours(ledger: Ledger) -> None:
    mined = make_coinbase(1, [TxOut(50, OWN)])
    ledger.note(mined, TxState.CONFIRMED, 1, 1, bytes(32))
    joint = tx_of([mined.outpoint(0), make_outpoint(1)], TxOut(60, OWN))
    ledger.note(joint, TxState.POOLED, 2)
    assert ledger.balance(200, MATURITY) == Balance(0, 60, 0)


def test_of_two_that_conflict_each_keeps_the_coin_spent(ledger: Ledger) -> None:
    mined = make_coinbase(1, [TxOut(50, OWN)])
    ledger.note(mined, TxState.CONFIRMED, 1, 1, bytes(32))
    point = mined.outpoint(0)
    one, two = tx_of([point], TxOut(49, FOREIGN)), tx_of([point], TxOut(48, FOREIGN))
    ledger.note(one, TxState.POOLED, 2)
    ledger.note(two, TxState.CONFIRMED, 3, 2, bytes(32))
    ledger.set_state(one.txid, TxState.DROPPED)
    assert ledger.is_spent(point)
    assert list(ledger.coins()) == []
    ledger.set_state(two.txid, TxState.DROPPED)
    assert not ledger.is_spent(point)
    assert [coin.point for coin in ledger.coins()] == [point]


def test_the_time_of_arrival_stays(ledger: Ledger) -> None:
    paid = tx_of([make_outpoint(1)], TxOut(7, OWN))
    ledger.note(paid, TxState.POOLED, 1_000)
    entry = ledger.note(paid, TxState.CONFIRMED, 2_000, 5, bytes(32))
    assert entry == ledger.get(paid.txid)
    assert (entry.time, entry.height, entry.tx) == (1_000, 5, paid)
    ledger.set_state(paid.txid, TxState.DROPPED)
    dropped = ledger.get(paid.txid)
    assert dropped is not None
    assert (dropped.height, dropped.block_hash) == (UNCONFIRMED, None)


def test_latest_comes_first(ledger: Ledger) -> None:
    txids = []
    for n in range(5):
        tx = tx_of([make_outpoint(n)], TxOut(1, OWN))
        txids.append(tx.txid)
        ledger.note(tx, TxState.POOLED, n)
    ledger.note(tx_of([make_outpoint(0)], TxOut(1, OWN)), TxState.CONFIRMED, 9, 1, bytes(32))
    assert [entry.txid for entry in ledger] == txids
    assert [entry.txid for entry in ledger.latest(2)] == [txids[4], txids[3]]
    assert [entry.txid for entry in ledger.latest(9, skip=3)] == [txids[1], txids[0]]
    assert ledger.latest(3, skip=5) == []
    assert len(ledger) == 5


def test_damaged_data_is_a_parse_error() -> None:
    with pytest.raises(ParseError):
        _ = WalletTx(bytes(32), b"\x01", TxState.DROPPED, -1, None, 0).tx


def test_a_long_unconfirmed_chain_is_no_recursion(ledger: Ledger) -> None:
    mined = make_coinbase(1, [TxOut(50, OWN)])
    chain = [mined]
    for _ in range(3_000):
        chain.append(tx_of([chain[-1].outpoint(0)], TxOut(50, OWN)))
    ledger.note(mined, TxState.CONFIRMED, 1, 1, bytes(32))
    for tx in reversed(chain[1:]):
        ledger.note(tx, TxState.POOLED, 1)
    assert ledger.balance(200, MATURITY) == Balance(50, 0, 0)


def test_a_hundred_thousand_coinbases_cost_a_balance_nothing(ledger: Ledger) -> None:
    for height in range(1, 100_001):
        txid = height.to_bytes(32, "big")
        point = OutPoint(txid + bytes(4))
        entry = WalletTx(txid, b"", TxState.CONFIRMED, height, txid, height)
        ledger.put(entry, Effects((OwnOutput(point, 15, OWN),), ()))
    began = time.process_time()
    for _ in range(100):
        balance = ledger.balance(100_000, MATURITY)
    assert (time.process_time() - began) / 100 < 0.005  # 10 us on the machine it was written on
    assert balance == Balance(15 * 99_901, 0, 15 * 99)
    began = time.process_time()
    assert sum(1 for _ in ledger.coins()) == 100_000
    assert time.process_time() - began < 0.25  # 3 ms
