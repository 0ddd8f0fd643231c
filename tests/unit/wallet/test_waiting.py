"""Payments that leave the mempool unmined: they keep their coins and are sent again."""

import logging
import threading
from pathlib import Path

import pytest

from misocoin.chain.events import TipChanged, TransactionAdded
from misocoin.errors import InsufficientFunds, NotFoundError, ValidationError, WalletError
from misocoin.primitives.transaction import Transaction, TxIn, TxOut
from misocoin.script.signing import sign_transaction
from misocoin.wallet.ledger import Balance, TxState
from misocoin.wallet.resending import Resender
from tests.unit.wallet.rig import COIN, MATURITY, NOBODY, OTHER, SUBSIDY, Rig

FAR = 1 << 40


def rich(folder: Path | None = None, blocks: int = 1) -> Rig:
    """A wallet with so many coins."""
    rig = Rig(folder).start()
    rig.mine(blocks)
    rig.mine(MATURITY, script=NOBODY)
    return rig


def expire(rig: Rig) -> None:
    """Have everything in the mempool be too old for it."""
    with rig.chain.lock:
        rig.pool._publish(rig.pool.mempool.expire(FAR))
    assert not rig.pool.mempool.entries()


def state(rig: Rig, tx: Transaction) -> TxState:
    entry = rig.wallet.find(tx.txid)
    assert entry is not None
    return entry.state


def rival_of(rig: Rig, tx: Transaction, fee: int = COIN) -> Transaction:
    """Another payment with a coin of `tx`, signed with the same keys."""
    point = tx.vin[0].prevout
    spent = rig.wallet._follower.ledger.own_output(point)
    assert spent is not None
    output = TxOut(spent.value, spent.script_pubkey)
    bare = Transaction.build(2, [TxIn(point)], [TxOut(spent.value - fee, NOBODY)])
    return sign_transaction(bare, [output], rig.wallet.keys)


def test_an_expired_payment_keeps_its_coins_and_is_sent_again() -> None:
    rig = rich()
    tx = rig.send(10 * COIN)
    before = rig.wallet.balance()
    expire(rig)
    assert state(rig, tx) is TxState.WAITING
    assert rig.wallet.coins() == []
    assert rig.wallet.balance() == Balance(0, before.available, 0)
    with pytest.raises(InsufficientFunds):
        rig.send(COIN)
    assert rig.wallet.has_waiting
    assert rig.wallet.resend(rig.pool.submit) == 1
    assert state(rig, tx) is TxState.POOLED
    assert rig.wallet.balance() == before
    assert not rig.wallet.has_waiting
    rig.mine(script=NOBODY)
    assert state(rig, tx) is TxState.CONFIRMED


def test_a_chain_of_payments_is_sent_in_its_order() -> None:
    rig = rich()
    payments = [rig.send(COIN), rig.send(2 * COIN), rig.send(3 * COIN)]
    expire(rig)
    assert [state(rig, tx) for tx in payments] == [TxState.WAITING] * 3
    assert rig.wallet.resend(rig.pool.submit) == 3
    assert [state(rig, tx) for tx in payments] == [TxState.POOLED] * 3


def test_it_waits_over_a_restart(tmp_path: Path) -> None:
    rig = rich(tmp_path)
    tx = rig.send(10 * COIN)
    expire(rig)
    rig.wallet.close()
    again = rig.restart()
    assert state(again, tx) is TxState.WAITING
    assert again.wallet.coins() == []
    assert again.wallet.resend(again.pool.submit) == 1


def test_what_cannot_be_sent_yet_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    rig = rich()
    tx = rig.send(10 * COIN)
    expire(rig)

    def refuse(_tx: Transaction) -> None:
        raise ValidationError("mempool full")

    for _ in range(3):
        assert rig.wallet.resend(refuse) == 0
    assert caplog.text.count(f"payment {tx.txid_hex} cannot be sent now: mempool full") == 1
    assert state(rig, tx) is TxState.WAITING


def test_a_conflict_is_said_and_frees_what_is_left(caplog: pytest.LogCaptureFixture) -> None:
    rig = rich(blocks=2)
    tx = rig.send(60 * COIN)  # takes both coins
    expire(rig)
    rival = rival_of(rig, tx)
    rig.mine(transactions=[rival], script=NOBODY)
    assert state(rig, tx) is TxState.DROPPED
    assert f"payment {tx.txid_hex} will not be mined: {rival.txid_hex} spends" in caplog.text
    assert rig.wallet.balance() == Balance(SUBSIDY, 0, 0)
    rig.fork(1, 2)  # the rival is in the mempool again: it still comes first
    assert state(rig, tx) is TxState.DROPPED
    assert rig.wallet.resend(rig.pool.submit) == 0


def test_a_rival_that_is_gone_gives_way_again() -> None:
    rig = rich()
    tx = rig.send(10 * COIN)
    expire(rig)
    rival = rival_of(rig, tx, fee=150)  # too little to replace it
    rig.mine(transactions=[rival], script=NOBODY)
    assert state(rig, tx) is TxState.DROPPED
    rig.fork(1, 2)
    expire(rig)
    assert {state(rig, tx), state(rig, rival)} == {TxState.WAITING}
    assert rig.wallet.resend(rig.pool.submit) == 1  # the first is back, the other one in its way
    assert state(rig, tx) is TxState.POOLED
    assert state(rig, rival) is TxState.DROPPED


def test_a_replaced_payment_is_dropped() -> None:
    rig = rich()
    tx = rig.send(10 * COIN)
    rival = rival_of(rig, tx)
    rig.pool.submit(rival)
    assert state(rig, tx) is TxState.DROPPED
    assert state(rig, rival) is TxState.POOLED


def test_what_spends_a_dropped_payment_is_dropped() -> None:
    rig = rich()
    tx = rig.send(10 * COIN)
    child = rig.send(5 * COIN)
    expire(rig)
    rig.mine(transactions=[rival_of(rig, tx)], script=NOBODY)
    assert [state(rig, tx), state(rig, child)] == [TxState.DROPPED] * 2


def test_giving_up_frees_the_coins(tmp_path: Path) -> None:
    rig = rich(tmp_path)
    tx = rig.send(10 * COIN)
    child = rig.send(5 * COIN)
    with pytest.raises(WalletError, match="only a payment that waits"):
        rig.wallet.abandon(tx.txid)
    with pytest.raises(NotFoundError):
        rig.wallet.abandon(bytes(32))
    expire(rig)
    rig.wallet.abandon(tx.txid)
    assert [state(rig, tx), state(rig, child)] == [TxState.DROPPED] * 2
    assert rig.wallet.balance() == Balance(SUBSIDY, 0, 0)
    again = rig.restart()
    assert state(again, tx) is TxState.DROPPED
    assert again.wallet.balance() == Balance(SUBSIDY, 0, 0)
    again.send(20 * COIN)
    again.mine(script=NOBODY)
    assert 29 * COIN < again.wallet.balance().available < 30 * COIN


def test_somebody_elses_payment_is_not_sent_again() -> None:
    rig = rich()
    other = Rig().start()
    incoming = rig.send(COIN, OTHER)
    del other
    assert rig.wallet._follower.ledger.is_payment(incoming.txid)
    coinbase = rig.wallet.history()[0].entry
    assert not rig.wallet._follower.ledger.is_payment(coinbase.txid)
    rig.fork(MATURITY + 1, MATURITY + 2)
    assert rig.wallet.find(coinbase.txid).state is TxState.DROPPED
    assert rig.wallet.resend(rig.pool.submit) == 0


def test_the_log_says_whose_a_payment_is() -> None:
    rig = rich()
    tx = rig.send(10 * COIN)
    assert rig.wallet.role_of(tx) == "a payment of ours"
    coinbase = rig.wallet.history()[0].entry.tx
    assert rig.wallet.role_of(coinbase) == "pays us 50.00000000"
    bare = Transaction.build(2, [TxIn(tx.vin[0].prevout[:32] + bytes(4))], [TxOut(1, NOBODY)])
    assert rig.wallet.role_of(bare) == "a payment of ours"
    assert rig.wallet.role_of(Transaction.build(2, [], [TxOut(1, NOBODY)])) == ""


# -- the thread -------------------------------------------------------------------------------


def test_the_resender_tries_at_the_start_and_after_each_event() -> None:
    tried = threading.Semaphore(0)
    resender = Resender(tried.release, interval=1000, least_interval=0)
    resender.start()
    assert tried.acquire(timeout=60)
    assert not tried.acquire(timeout=0.05)
    rig = Rig().start()
    resender.handle(TipChanged(rig.chain.tip, rig.chain.tip, rig.chain.tip))
    assert tried.acquire(timeout=60)
    resender.handle(TransactionAdded(Transaction.build(2, [], []), 0))
    assert not tried.acquire(timeout=0.05)
    resender.stop()


def test_the_resender_survives_an_error(caplog: pytest.LogCaptureFixture) -> None:
    tried = threading.Semaphore(0)

    def fail() -> None:
        tried.release()
        raise RuntimeError("broken")

    resender = Resender(fail, interval=0.01, least_interval=0)
    resender.start()
    assert tried.acquire(timeout=60)
    assert tried.acquire(timeout=60)
    resender.stop()
    assert "could not be sent again" in caplog.text
