"""Payments: what may be paid at all, and what the transactions look like."""

import time

import pytest

from misocoin.crypto.keys import PrivateKey
from misocoin.errors import AmountError, InsufficientFunds, WalletError
from misocoin.params import regtest
from misocoin.policy.feerate import FeeRate
from misocoin.policy.standard import MAX_STANDARD_WEIGHT
from misocoin.primitives.transaction import TxOut
from misocoin.script.templates import p2pkh_script, p2tr_script, p2wpkh_script
from misocoin.wallet.ledger import OwnCoin
from misocoin.wallet.nodekeys import open_node_keys
from misocoin.wallet.spending import Payment, build_payment, check_payable
from tests.builders import make_outpoint

COIN = 100_000_000
PARAMS = regtest()
RECEIVER = p2wpkh_script(bytes(20))

KEYS = open_node_keys(regtest(), None, None, PrivateKey(bytes(31) + b"\x21"))
RING = KEYS.ring_for(KEYS.scripts)
OWN = KEYS.script


def own_coins(*values: int, script: bytes = OWN) -> list[OwnCoin]:
    return [
        OwnCoin(make_outpoint(n), value, script, 1, False, True) for n, value in enumerate(values)
    ]


def pay(coins: list[OwnCoin], *outputs: TxOut, rate: int = 1_000, tip: int = 7) -> Payment:
    def input_weight(script: bytes) -> int:
        return KEYS.scripts[script].input_weight

    return build_payment(outputs, coins, RING, input_weight, OWN, FeeRate(rate), tip)


# -- amounts ----------------------------------------------------------------------------------


@pytest.mark.parametrize("amount", [0, -1, -(10**20)])
def test_nothing_or_less_is_no_amount(amount: int) -> None:
    with pytest.raises(AmountError, match="more than zero"):
        check_payable(amount, RECEIVER, PARAMS)


@pytest.mark.parametrize("amount", [21_000_000 * COIN + 1, 10**30])
def test_more_than_all_money_is_no_amount(amount: int) -> None:
    with pytest.raises(AmountError, match=r"more than there will ever be: 21000000\.00000000"):
        check_payable(amount, RECEIVER, PARAMS)


@pytest.mark.parametrize(
    ("script", "least"),
    [(RECEIVER, 294), (p2pkh_script(bytes(20)), 546), (p2tr_script(bytes(32)), 330)],
)
def test_dust_is_refused(script: bytes, least: int) -> None:
    with pytest.raises(WalletError, match=f"at least 0.00000{least}") as caught:
        check_payable(least - 1, script, PARAMS)
    assert not isinstance(caught.value, InsufficientFunds)
    check_payable(least, script, PARAMS)
    check_payable(21_000_000 * COIN, script, PARAMS)


# -- transactions -----------------------------------------------------------------------------


def test_form() -> None:
    tx, fee, change = pay(own_coins(10 * COIN), TxOut(COIN, RECEIVER), tip=123)
    assert (tx.version, tx.locktime) == (2, 123)
    assert [txin.sequence for txin in tx.vin] == [0xFFFFFFFD]
    assert sorted(tx.vout) == sorted([TxOut(COIN, RECEIVER), TxOut(change, OWN)])
    assert (fee, change) == (141, 9 * COIN - 141)
    assert tx.vsize in (140, 141)


def test_several_outputs() -> None:
    outputs = [TxOut(n * 1_000, RECEIVER) for n in range(1, 301)]
    tx, fee, change = pay(own_coins(10 * COIN), *outputs)
    assert sorted(tx.vout) == sorted([*outputs, TxOut(change, OWN)])
    assert tx.vsize <= fee <= tx.vsize + 1


def test_change_that_makes_the_count_of_outputs_longer() -> None:
    outputs = [TxOut(1_000, RECEIVER)] * 252
    tx, fee, _ = pay(own_coins(10 * COIN), *outputs)
    assert len(tx.vout) == 253
    assert tx.vsize <= fee <= tx.vsize + 1


def test_the_place_of_the_change_is_left_to_chance() -> None:
    places = {
        pay(own_coins(10 * COIN), TxOut(COIN, RECEIVER)).tx.vout.index(TxOut(COIN, RECEIVER))
        for _ in range(64)
    }
    assert places == {0, 1}  # a fair coin fails this once in 2**63 runs


def test_the_count_of_many_inputs_is_paid_for() -> None:
    tx, fee, change = pay(own_coins(*[100_000] * 300), TxOut(260 * 99_932, RECEIVER))
    assert len(tx.vin) > 252
    assert tx.vsize <= fee
    assert change == 0 or fee < tx.vsize + len(tx.vin)


def test_a_full_transaction_is_standard_and_one_coin_more_is_refused() -> None:
    coins = own_coins(*[COIN] * 2_000)
    with pytest.raises(WalletError, match="at most ([0-9.]+) can be sent at once") as caught:
        pay(coins, TxOut(1_999 * COIN, RECEIVER))
    assert not isinstance(caught.value, InsufficientFunds)
    most = int(str(caught.value).split("at most ")[1].split()[0].replace(".", ""))
    tx, fee, change = pay(coins, TxOut(most, RECEIVER))
    assert MAX_STANDARD_WEIGHT - 272 - 2 * len(tx.vin) < tx.weight <= MAX_STANDARD_WEIGHT
    assert change == 0
    assert fee + most == len(tx.vin) * COIN
    assert tx.vsize <= fee
    with pytest.raises(WalletError):
        pay(coins, TxOut(most + 1, RECEIVER))


def test_large_coins_come_first_where_room_is_short() -> None:
    coins = own_coins(*[1_000] * 3_000, *[COIN] * 3)
    tx, _, _ = pay(coins, TxOut(3 * COIN - 500, RECEIVER))
    assert len(tx.vin) <= 4


def test_light_inputs_come_first_where_room_is_short() -> None:
    legacy = next(s for s, own in KEYS.scripts.items() if own.input_weight > 700)
    heavy = own_coins(*[COIN + 1] * 1_500, script=legacy)
    light = [
        c._replace(point=make_outpoint(n, 1)) for n, c in enumerate(own_coins(*[COIN] * 1_400))
    ]
    tx, _, _ = pay([*heavy, *light], TxOut(1_300 * COIN, RECEIVER))
    assert tx.weight <= MAX_STANDARD_WEIGHT
    assert len(tx.vin) < 1_320


def test_coins_not_worth_their_fee_are_left() -> None:
    with pytest.raises(InsufficientFunds, match=r"0\.00000000 can be spent"):
        pay(own_coins(*[680] * 100), TxOut(1_000, RECEIVER), rate=10_000)
    tx, _, _ = pay(own_coins(*[680] * 100, COIN), TxOut(1_000, RECEIVER), rate=10_000)
    assert len(tx.vin) == 1


def test_fifty_thousand_coins_are_no_burden() -> None:
    coins = own_coins(*[50 * COIN] * 25_000, *range(10_000, 35_000))
    began = time.process_time()
    pay(coins, TxOut(1_234 * COIN, RECEIVER))
    assert time.process_time() - began < 2  # about 0.2 on the machine it was written on
