"""Payments the wallet builds hold for mempool and consensus, and pay the rate they were asked."""

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from misocoin.consensus.coins import Coin
from misocoin.crypto.keys import PrivateKey
from misocoin.errors import InsufficientFunds, WalletError
from misocoin.params import regtest
from misocoin.policy.feerate import FeeRate
from misocoin.primitives.transaction import Transaction, TxOut
from misocoin.script.flags import STANDARD
from misocoin.script.inputs import verify_input
from misocoin.script.opcodes import OP_1
from misocoin.script.sighash import TxDigests
from misocoin.script.templates import p2pkh_script, p2sh_script, p2tr_script, p2wsh_script
from misocoin.wallet.ledger import OwnCoin
from misocoin.wallet.nodekeys import open_node_keys
from misocoin.wallet.spending import Payment, build_payment, check_payable
from tests.builders import make_outpoint
from tests.fakes.chain import FakeChain
from tests.fakes.pool import pool_on

KEYS = open_node_keys(regtest(), None, None, PrivateKey(bytes(31) + b"\x11"))
RING = KEYS.ring_for(KEYS.scripts)
SCRIPTS = tuple(KEYS.scripts)

values = st.one_of(st.integers(1, 100_000), st.integers(100_000, 10**10))
coins = st.lists(st.tuples(values, st.sampled_from(SCRIPTS)), min_size=1, max_size=8)
receivers = st.one_of(
    st.binary(min_size=20, max_size=20).map(p2pkh_script),
    st.binary(min_size=20, max_size=20).map(p2sh_script),
    st.binary(min_size=32, max_size=32).map(p2wsh_script),
    st.just(p2tr_script(PrivateKey(bytes(31) + b"\x12").xonly_public_key)),
    st.sampled_from(SCRIPTS[:4]),
)


def largest_weight(tx: Transaction, scripts: list[bytes]) -> int:
    """The weight if all signatures had their full size, as the wallet has to count them."""
    weight = tx.weight + (0 if tx.has_witness else 2)
    for txin, script in zip(tx.vin, scripts, strict=True):
        if txin.witness:
            weight += (64 if script[0] == OP_1 else 72) - len(txin.witness[0])
        else:
            signature_size = txin.script_sig[0]
            weight += 4 * (72 - signature_size) + (0 if tx.has_witness else 1)
        assert script in SCRIPTS
    return weight


def pay(held: list[tuple[int, bytes]], outputs: list[TxOut], rate: FeeRate) -> Payment:
    own = [
        OwnCoin(make_outpoint(n, n), value, script, 1, False, True)
        for n, (value, script) in enumerate(held)
    ]
    return build_payment(
        outputs, own, RING, lambda s: KEYS.scripts[s].input_weight, SCRIPTS[0], rate, 0
    )


@settings(max_examples=200)
@given(
    coins,
    receivers,
    st.integers(1_000, 300_000).map(FeeRate),
    st.one_of(st.integers(1, 10**6), st.integers(1, 10**11)),
)
def test_payments_are_accepted_at_the_rate_asked(
    held: list[tuple[int, bytes]], receiver: bytes, rate: FeeRate, amount: int
) -> None:
    chain = FakeChain()
    try:
        check_payable(amount, receiver, chain.params)
        payment = pay(held, [TxOut(amount, receiver)], rate)
    except InsufficientFunds:
        return
    except WalletError:
        assume(False)
    tx, fee, change = payment
    by_point = {make_outpoint(n, n): coin for n, coin in enumerate(held)}
    spent = [TxOut(*by_point[txin.prevout]) for txin in tx.vin]

    digests = TxDigests(tx, spent)
    assert all(verify_input(digests, index, STANDARD) is None for index in range(len(tx.vin)))

    assert TxOut(amount, receiver) in tx.vout
    if change:
        assert TxOut(change, SCRIPTS[0]) in tx.vout
        assert change >= 294
    assert len(tx.vout) == 1 + bool(change)
    assert sum(coin.value for coin in spent) == amount + change + fee

    vsize = -(-largest_weight(tx, [coin.script_pubkey for coin in spent]) // 4)
    due = -(-rate * vsize // 1000)
    assert vsize >= tx.vsize
    bound = -(-rate * 31 // 1000) + max(294, -(-rate * 68 // 1000) + 1)
    assert due <= fee <= due + (0 if change else bound)

    chain.coins.update(
        {p: Coin(value, script, 0, False) for p, (value, script) in by_point.items()}
    )
    pool = pool_on(chain)
    entry = pool.accept(tx, chain.now).added[-1]
    assert (entry.fee, entry.vsize) == (fee, tx.vsize)
