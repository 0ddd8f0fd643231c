"""The wallet on a real chain: it follows blocks, reorgs and the mempool."""

from collections.abc import Callable
from pathlib import Path

import pytest

from misocoin.chain.events import BlockConnected, TransactionAdded
from misocoin.crypto.hashes import hash160
from misocoin.crypto.keys import PrivateKey
from misocoin.errors import ValidationError
from misocoin.primitives.transaction import Transaction, TxIn, TxOut
from misocoin.script.signing import KeyRing, sign_transaction
from misocoin.script.templates import p2pk_script, p2pkh_script, p2sh_script, p2wpkh_script
from misocoin.wallet.keyfile import read_keys
from misocoin.wallet.ledger import Balance, TxState
from tests.builders import make_block
from tests.unit.wallet.rig import (
    COIN,
    MATURITY,
    NOBODY,
    OTHER_KEY,
    SUBSIDY,
    Rig,
    rig_params,
    snapshot,
)

IMPORTED = PrivateKey(bytes(31) + b"\x77")
IMPORTED_SCRIPT = p2wpkh_script(hash160(IMPORTED.public_key))


def pay_from_outside(rig: Rig, script: bytes, amount: int) -> Transaction:
    """A payment by somebody else, in the mempool; needs a mature block of OTHER_KEY's."""
    theirs = p2wpkh_script(hash160(OTHER_KEY.public_key))
    points = [
        (tx.outpoint(0), tx.vout[0])
        for height in range(1, rig.chain.height + 1)
        for tx in rig.chain.get_block(rig.chain.at_height(height)).transactions[:1]
        if tx.vout[0].script_pubkey == theirs
        and rig.chain.get_coins([tx.outpoint(0)])
        and rig.pool.mempool.get_coins([tx.outpoint(0)])
    ]
    point, coin = points[0]
    tx = Transaction.build(
        2, [TxIn(point)], [TxOut(amount, script), TxOut(coin.value - amount - 1_000, NOBODY)]
    )
    signed = sign_transaction(tx, [coin], KeyRing.build([OTHER_KEY]))
    rig.pool.submit(signed)
    return signed


# -- following the chain ----------------------------------------------------------------------


def test_a_new_wallet_is_empty() -> None:
    wallet = Rig().start().wallet
    assert wallet.balance() == Balance(0, 0, 0)
    assert wallet.history() == []
    assert wallet.addresses() == [wallet.address]
    assert wallet.balances_by_address() == {wallet.address: 0}
    assert wallet.address.startswith("bcrt1q")


def test_mined_coins_ripen() -> None:
    rig = Rig().start()
    rig.mine()
    for _ in range(MATURITY - 1):
        assert rig.wallet.balance().available == 0
        assert rig.wallet.coins() == []
        rig.mine(script=NOBODY)
    assert rig.wallet.balance() == Balance(SUBSIDY, 0, 0)
    assert [coin.value for coin in rig.wallet.coins()] == [SUBSIDY]
    (entry,) = rig.wallet.history()
    assert (entry.received, entry.spent, entry.confirmations) == (SUBSIDY, 0, MATURITY)
    assert (entry.entry.state, entry.entry.height) == (TxState.CONFIRMED, 1)


def test_a_payment_goes_out_and_its_change_comes_back() -> None:
    rig = Rig().start()
    rig.mine()
    rig.mine(MATURITY, script=NOBODY)
    tx = rig.send(10 * COIN)
    fee = SUBSIDY - sum(out.value for out in tx.vout)
    change = SUBSIDY - 10 * COIN - fee
    assert rig.wallet.balance() == Balance(change, 0, 0)
    entry = rig.wallet.history()[-1]
    assert (entry.received, entry.spent, entry.confirmations) == (change, SUBSIDY, 0)
    assert entry.entry.state is TxState.POOLED
    rig.mine(script=NOBODY)
    assert rig.wallet.balance() == Balance(change, 0, 0)
    entry = rig.wallet.history()[-1]
    assert (entry.entry.state, entry.confirmations) == (TxState.CONFIRMED, 1)
    assert rig.wallet.find(tx.txid) == entry.entry
    assert entry.entry.tx == tx


@pytest.mark.parametrize(
    "form",
    [
        lambda key: p2wpkh_script(hash160(key.public_key)),
        lambda key: p2pkh_script(hash160(key.public_key)),
        lambda key: p2sh_script(hash160(p2wpkh_script(hash160(key.public_key)))),
        lambda key: p2pk_script(key.public_key),
        lambda key: p2pkh_script(hash160(PrivateKey(key.secret, compressed=False).public_key)),
        lambda key: p2pk_script(PrivateKey(key.secret, compressed=False).public_key),
    ],
    ids=["p2wpkh", "p2pkh", "p2sh-p2wpkh", "p2pk", "p2pkh long", "p2pk long"],
)
def test_every_form_of_a_key_is_received_and_spent(form: Callable[[PrivateKey], bytes]) -> None:
    rig = Rig().start(imported=IMPORTED)
    rig.mine(script=form(IMPORTED))
    rig.mine(MATURITY, script=NOBODY)
    assert rig.wallet.balance().available == SUBSIDY
    assert rig.wallet.balances_by_address() == {rig.wallet.address: SUBSIDY}
    tx = rig.send(COIN)
    rig.mine(script=NOBODY)
    assert rig.wallet.find(tx.txid).height == MATURITY + 2
    assert SUBSIDY - COIN - 1_000 < rig.wallet.balance().available < SUBSIDY - COIN


def test_a_payment_from_outside_is_pending_until_mined() -> None:
    rig = Rig().start()
    rig.mine(script=p2wpkh_script(hash160(OTHER_KEY.public_key)))
    rig.mine(MATURITY, script=NOBODY)
    tx = pay_from_outside(rig, rig.wallet.script, 3 * COIN)
    assert rig.wallet.balance() == Balance(0, 3 * COIN, 0)
    assert rig.wallet.coins() == []
    rig.mine(script=NOBODY)
    assert rig.wallet.balance() == Balance(3 * COIN, 0, 0)
    assert [(h.entry.txid, h.received, h.spent) for h in rig.wallet.history()] == [
        (tx.txid, 3 * COIN, 0)
    ]


def test_paying_oneself_costs_the_fee_alone() -> None:
    rig = Rig().start()
    rig.mine()
    rig.mine(MATURITY, script=NOBODY)
    tx = rig.send(10 * COIN, rig.wallet.address)
    fee = SUBSIDY - sum(out.value for out in tx.vout)
    assert rig.wallet.balance() == Balance(SUBSIDY - fee, 0, 0)
    entry = rig.wallet.history()[-1]
    assert (entry.received, entry.spent) == (SUBSIDY - fee, SUBSIDY)


# -- reorgs ------------------------------------------------------------------------------------


def test_a_reorg_takes_mined_coins_away() -> None:
    rig = Rig().start()
    rig.mine(3)
    rig.fork(2, 3)
    assert rig.wallet.balance() == Balance(0, 0, SUBSIDY)
    states = [h.entry.state for h in rig.wallet.history()]
    assert states == [TxState.CONFIRMED, TxState.DROPPED, TxState.DROPPED]


def test_a_payment_returns_to_the_mempool_and_is_mined_again() -> None:
    rig = Rig().start()
    rig.mine()
    rig.mine(MATURITY, script=NOBODY)
    tx = rig.send(10 * COIN)
    rig.mine(script=NOBODY)
    before = rig.wallet.balance()
    rig.fork(1, 2)
    assert tx.txid in rig.pool.mempool
    assert rig.wallet.find(tx.txid).state is TxState.POOLED
    assert rig.wallet.balance() == before
    rig.mine(script=NOBODY)
    assert rig.wallet.find(tx.txid).height == rig.chain.height
    assert rig.wallet.balance() == before


def test_a_payment_that_another_takes_the_coin_from_is_dropped() -> None:
    rig = Rig().start(imported=IMPORTED)
    rig.mine()
    rig.mine(MATURITY, script=NOBODY)
    tx = rig.send(10 * COIN)
    ring = KeyRing.build([IMPORTED])
    spent = TxOut(SUBSIDY, IMPORTED_SCRIPT)
    rival = sign_transaction(
        Transaction.build(2, [TxIn(tx.vin[0].prevout)], [TxOut(SUBSIDY, NOBODY)]), [spent], ring
    )
    rig.mine(transactions=[rival], script=NOBODY)
    assert tx.txid not in rig.pool.mempool
    assert rig.wallet.find(tx.txid).state is TxState.DROPPED
    assert rig.wallet.find(rival.txid).state is TxState.CONFIRMED
    assert rig.wallet.balance() == Balance(0, 0, 0)
    rig.fork(1, 2)  # the rival returns to the mempool, the coin is spent still
    assert rig.wallet.find(rival.txid).state is TxState.POOLED
    assert rig.wallet.balance() == Balance(0, 0, 0)


def test_a_coinbase_that_is_gone_takes_what_spends_it_along() -> None:
    rig = Rig().start()
    rig.mine()
    rig.mine(MATURITY, script=NOBODY)
    tx = rig.send(10 * COIN)
    rig.fork(MATURITY + 1, MATURITY + 2)
    assert tx.txid not in rig.pool.mempool
    assert {h.entry.state for h in rig.wallet.history()} == {TxState.DROPPED}
    assert rig.wallet.balance() == Balance(0, 0, 0)


def test_a_branch_that_fails_half_way_leaves_everything_as_it_was() -> None:
    rig = Rig().start()
    rig.mine()
    rig.mine(MATURITY, script=NOBODY)
    tx = rig.send(10 * COIN)
    rig.mine(transactions=[], script=NOBODY)
    tip, before = rig.chain.tip, snapshot(rig.wallet)
    assert tip.parent is not None
    middle = make_block(tip.parent, rig.params, [tx], time=tip.header.time + 1)
    node = rig.chain.submit_block(middle).node
    with pytest.raises(ValidationError, match="bad-cb-amount"):
        rig.chain.submit_block(make_block(node, rig.params, fees=1))
    assert any(isinstance(e, BlockConnected) and e.node is node for e in rig.seen)
    assert rig.chain.tip is tip
    assert tx.txid in rig.pool.mempool
    assert snapshot(rig.wallet) == before
    rig.mine(script=NOBODY)
    assert rig.wallet.find(tx.txid).height == rig.chain.height


def test_a_mined_payment_whose_coin_is_gone_is_dropped() -> None:
    rig = Rig().start()
    rig.mine()
    rig.mine(MATURITY, script=NOBODY)
    tx = rig.send(10 * COIN)
    rig.mine(script=NOBODY)
    assert rig.wallet.find(tx.txid).state is TxState.CONFIRMED
    rig.fork(MATURITY + 2, MATURITY + 3)
    assert tx.txid not in rig.pool.mempool
    assert rig.wallet.find(tx.txid).state is TxState.DROPPED


# -- views -------------------------------------------------------------------------------------


def test_history_in_parts() -> None:
    rig = Rig().start()
    rig.mine(5)
    everything = rig.wallet.history()
    assert [h.entry.height for h in everything] == [1, 2, 3, 4, 5]
    assert [h.confirmations for h in everything] == [5, 4, 3, 2, 1]
    assert rig.wallet.history(2) == everything[3:]
    assert rig.wallet.history(2, skip=1) == everything[2:4]
    assert rig.wallet.history(9, skip=4) == everything[:1]
    assert rig.wallet.history(0) == []


def test_secrets_are_in_no_repr(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    rig = Rig(tmp_path).start(imported=IMPORTED)
    rig.mine(MATURITY + 1)
    rig.send(COIN)
    rig.wallet.new_address()
    everything = repr(vars(rig.wallet)) + repr(rig.wallet.keys) + caplog.text
    for secret in [IMPORTED.secret, *[key.secret for key in read_keys(tmp_path / "wallet.pem")]]:
        assert secret.hex() not in everything
        assert repr(secret) not in everything


def test_what_has_nothing_to_do_with_it_is_not_kept() -> None:
    rig = Rig().start()
    rig.mine(1, script=p2wpkh_script(hash160(OTHER_KEY.public_key)))
    rig.mine(MATURITY, script=NOBODY)
    tx = pay_from_outside(rig, NOBODY, COIN)
    assert any(isinstance(event, TransactionAdded) for event in rig.seen)
    rig.mine(script=NOBODY)
    assert rig.wallet.find(tx.txid) is None
    assert rig.wallet.history() == []


def test_maturity_is_the_networks() -> None:
    rig = Rig(params=rig_params(2)).start()
    rig.mine(2)
    assert rig.wallet.balance() == Balance(SUBSIDY, 0, SUBSIDY)
