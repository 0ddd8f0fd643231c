import pytest

from misocoin.consensus.coins import Coin
from misocoin.consensus.tx_rules import (
    NO_LOCKS,
    SequenceLocks,
    are_locks_met,
    calculate_sequence_locks,
    calculate_sigop_cost,
    check_inputs,
    check_transaction,
    count_legacy_sigops,
    is_final,
)
from misocoin.errors import MissingInputsError, RejectCode, ValidationError
from misocoin.params import miso, regtest
from misocoin.primitives.transaction import NULL_OUTPOINT, Transaction, TxIn, TxOut, outpoint
from misocoin.script import flags as verify
from tests.builders import ANYONE, make_coinbase, make_outpoint, spend, with_witness

MAX_MONEY = 2_100_000_000_000_000
P1, P2, P3 = (make_outpoint(number) for number in (1, 2, 3))


# -- sanity -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tx", "reason"),
    [
        pytest.param(Transaction.build(2, [], [TxOut(1, ANYONE)]), "bad-txns-vin-empty", id="vin"),
        pytest.param(spend([P1], []), "bad-txns-vout-empty", id="vout"),
        pytest.param(
            spend([P1], [TxOut(1, bytes(1_000_000))]), "bad-txns-oversize", id="a megabyte"
        ),
        pytest.param(spend([P1], [5, -1]), "bad-txns-vout-negative", id="negative"),
        pytest.param(spend([P1], [MAX_MONEY + 1]), "bad-txns-vout-toolarge", id="one too large"),
        pytest.param(
            spend([P1], [MAX_MONEY, 1]), "bad-txns-txouttotal-toolarge", id="total too large"
        ),
        pytest.param(spend([P1, P2, P1], [1]), "bad-txns-inputs-duplicate", id="twice the same"),
        pytest.param(
            spend([NULL_OUTPOINT, NULL_OUTPOINT], [1]),
            "bad-txns-inputs-duplicate",
            id="twice null",
        ),
        pytest.param(
            make_coinbase(1, [1], script_sig=b"\x51"), "bad-cb-length", id="coinbase of 1 byte"
        ),
        pytest.param(
            make_coinbase(1, [1], script_sig=bytes(101)),
            "bad-cb-length",
            id="coinbase of 101 bytes",
        ),
        pytest.param(spend([P1, NULL_OUTPOINT], [1]), "bad-txns-prevout-null", id="null second"),
        pytest.param(spend([NULL_OUTPOINT, P1], [1]), "bad-txns-prevout-null", id="null first"),
    ],
)
def test_transactions_that_are_wrong_alone(tx, reason):
    with pytest.raises(ValidationError) as caught:
        check_transaction(tx, regtest())
    assert caught.value.reason == reason
    assert not caught.value.mutated


def test_the_size_without_witness_may_be_a_million_bytes():
    bare = spend([P1], [TxOut(1, bytes(70_000))])
    room = 1_000_000 - bare.size
    full = spend([P1], [TxOut(1, bytes(70_000 + room))])
    assert full.stripped_size == 1_000_000
    check_transaction(full, regtest())
    check_transaction(with_witness(full, [bytes(500_000)]), regtest())
    with pytest.raises(ValidationError, match="bad-txns-oversize"):
        check_transaction(spend([P1], [TxOut(1, bytes(70_001 + room))]), regtest())


@pytest.mark.parametrize(
    "tx",
    [
        spend([P1], [0]),
        spend([P1], [MAX_MONEY]),
        spend([P1], [MAX_MONEY - 1, 1]),
        spend([P1, P2], [1]),
        spend([outpoint(bytes(32), 0)], [1]),
        make_coinbase(1, [1], script_sig=b"\x51\x51"),
        make_coinbase(1, [1], script_sig=bytes(100)),
    ],
)
def test_transactions_that_are_right_alone(tx):
    check_transaction(tx, regtest())


def test_the_limit_of_money_is_the_networks():
    tx = spend([P1], [12_600_000_000_000_000])
    check_transaction(tx, miso())
    with pytest.raises(ValidationError, match="bad-txns-vout-toolarge"):
        check_transaction(tx, regtest())


# -- lock times -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("locktime", "sequence", "height", "time", "expected"),
    [
        (0, 0, 0, 0, True),
        (100, 0, 100, 10**9, False),
        (100, 0, 101, 0, True),
        (100, 0xFFFFFFFF, 50, 0, True),
        (100, 0xFFFFFFFE, 50, 0, False),
        (499_999_999, 0, 499_999_999, 2 * 10**9, False),
        (499_999_999, 0, 500_000_000, 0, True),
        (500_000_000, 0, 10**9, 500_000_000, False),
        (500_000_000, 0, 0, 500_000_001, True),
        (0xFFFFFFFF, 0, 10**9, 0xFFFFFFFF, False),
        (0xFFFFFFFF, 0xFFFFFFFF, 0, 0, True),
    ],
)
def test_finality(locktime, sequence, height, time, expected):
    tx = spend([P1], [1], locktime=locktime, sequence=sequence)
    assert is_final(tx, height, time) is expected


def test_every_input_must_be_final_to_switch_the_lock_time_off():
    inputs = [TxIn(P1), TxIn(P2, b"", 0xFFFFFFFE)]
    assert not is_final(Transaction.build(2, inputs, [], 100), 50, 0)
    assert is_final(Transaction.build(2, inputs[:1], [], 100), 50, 0)


TYPE_TIME, DISABLED = 1 << 22, 1 << 31


def _median_time(height):
    return 1_000_000 + 600 * height


@pytest.mark.parametrize(
    ("sequences", "heights", "expected"),
    [
        pytest.param([0], [100], (99, -1), id="no lock beyond its own block"),
        pytest.param([10], [100], (109, -1), id="10 blocks"),
        pytest.param([0xFFFF], [100], (65_634, -1), id="the most blocks"),
        pytest.param([10 | DISABLED], [100], (-1, -1), id="disabled"),
        pytest.param([10 | 0x00010000], [100], (109, -1), id="bits outside the mask"),
        pytest.param([0xFFFFFFFF], [100], (-1, -1), id="final"),
        pytest.param(
            [TYPE_TIME | 1], [100], (-1, 1_000_000 + 600 * 99 + 511), id="one unit of 512 seconds"
        ),
        pytest.param([TYPE_TIME], [100], (-1, 1_000_000 + 600 * 99 - 1), id="no time"),
        pytest.param([TYPE_TIME | 1], [0], (-1, 1_000_511), id="coin of genesis"),
        pytest.param(
            [TYPE_TIME | 0xFFFF], [100], (-1, 1_059_400 + 65_535 * 512 - 1), id="the most time"
        ),
        pytest.param([5, 50, 7], [100, 10, 99], (105, -1), id="the latest of several heights"),
        pytest.param(
            [TYPE_TIME | 2, 3, TYPE_TIME | 9],
            [100, 200, 1],
            (202, 1_000_000 + 600 * 99 + 1023),
            id="heights and times apart",
        ),
    ],
)
def test_relative_locks(sequences, heights, expected):
    inputs = [TxIn(make_outpoint(n), b"", sequence) for n, sequence in enumerate(sequences)]
    for version in (2, 3, -1, -(2**31)):
        tx = Transaction.build(version, inputs, [])
        assert calculate_sequence_locks(tx, heights, _median_time) == SequenceLocks(*expected)
    for version in (0, 1):
        tx = Transaction.build(version, inputs, [])
        assert calculate_sequence_locks(tx, heights, _median_time) == NO_LOCKS == (-1, -1)


@pytest.mark.parametrize(
    ("locks", "height", "median_time", "expected"),
    [
        ((-1, -1), 0, 0, True),
        ((99, -1), 99, 0, False),
        ((99, -1), 100, 0, True),
        ((-1, 500), 10**6, 500, False),
        ((-1, 500), 0, 501, True),
        ((99, 500), 100, 500, False),
        ((99, 500), 99, 501, False),
        ((99, 500), 100, 501, True),
    ],
)
def test_locks_are_the_last_moment_at_which_they_hold(locks, height, median_time, expected):
    assert are_locks_met(SequenceLocks(*locks), height, median_time) is expected


# -- inputs -----------------------------------------------------------------------------------


def _coin(value, *, height=1, is_coinbase=False, script=ANYONE):
    return Coin(value, script, height, is_coinbase)


def test_the_fee_is_what_comes_in_less_what_goes_out():
    tx = spend([P1, P2], [7, 1])
    assert check_inputs(tx, [_coin(5), _coin(4)], 10, regtest()) == 1
    assert check_inputs(tx, [_coin(5), _coin(3)], 10, regtest()) == 0
    assert check_inputs(tx, [_coin(0), _coin(8)], 10, regtest()) == 0


def test_a_missing_input_is_told_before_anything_else():
    young = _coin(5, height=9, is_coinbase=True)
    for coins in ([None], [young, None], [None, young], [_coin(MAX_MONEY + 1), None]):
        tx = spend([P1, P2][: len(coins)], [1])
        with pytest.raises(MissingInputsError) as caught:
            check_inputs(tx, coins, 10, regtest())
        assert caught.value.reason == "bad-txns-inputs-missingorspent"


def test_coinbases_mature_after_100_blocks():
    tx = spend([P1], [5])
    coin = _coin(5, height=7, is_coinbase=True)
    assert check_inputs(tx, [coin], 107, regtest()) == 0
    with pytest.raises(ValidationError) as caught:
        check_inputs(tx, [coin], 106, regtest())
    assert str(caught.value) == (
        "bad-txns-premature-spend-of-coinbase, tried to spend coinbase at depth 99"
    )
    assert check_inputs(tx, [_coin(5, height=7)], 7, regtest()) == 0


@pytest.mark.parametrize(
    "values",
    [[MAX_MONEY + 1], [-1], [MAX_MONEY, 1], [5, -1, 5]],
)
def test_input_values_out_of_range(values):
    tx = spend([P1, P2, P3][: len(values)], [1])
    with pytest.raises(ValidationError) as caught:
        check_inputs(tx, [_coin(value) for value in values], 10, regtest())
    assert caught.value.reason == "bad-txns-inputvalues-outofrange"


def test_input_values_may_reach_the_limit():
    tx = spend([P1, P2], [MAX_MONEY])
    assert check_inputs(tx, [_coin(MAX_MONEY - 1), _coin(1)], 10, regtest()) == 0


def test_spending_more_than_comes_in():
    with pytest.raises(ValidationError) as caught:
        check_inputs(spend([P1], [6]), [_coin(5)], 10, regtest())
    assert str(caught.value) == (
        "bad-txns-in-belowout, value in (0.00000005) < value out (0.00000006)"
    )
    assert caught.value.code is RejectCode.INVALID


# -- signature operations ---------------------------------------------------------------------

CHECKSIG, CHECKSIGVERIFY = b"\xac", b"\xad"
TWO_OF_THREE = b"\x52" + (b"\x21" + bytes(33)) * 3 + b"\x53\xae"
P2SH = b"\xa9\x14" + bytes(20) + b"\x87"
P2WPKH = b"\x00\x14" + bytes(20)
P2WSH = b"\x00\x20" + bytes(32)
P2TR = b"\x51\x20" + bytes(32)
SEGWIT = verify.P2SH | verify.WITNESS


def _push(data):
    return bytes([len(data)]) + data if len(data) < 76 else b"\x4c" + bytes([len(data)]) + data


def test_legacy_sigops_count_in_all_scripts_and_multisig_as_20():
    tx = Transaction.build(
        1,
        [TxIn(P1, CHECKSIG), TxIn(P2, b"")],
        [TxOut(1, CHECKSIGVERIFY + CHECKSIG), TxOut(1, TWO_OF_THREE), TxOut(1, P2SH)],
    )
    assert count_legacy_sigops(tx) == 1 + 2 + 20
    assert count_legacy_sigops(spend([P1], [1], script_sig=TWO_OF_THREE)) == 20
    assert calculate_sigop_cost(tx, [_coin(1), _coin(1)], SEGWIT) == 4 * 23


def test_a_coinbase_costs_its_legacy_sigops_only():
    tx = make_coinbase(1, [TxOut(1, CHECKSIG)], script_sig=CHECKSIG * 2)
    assert calculate_sigop_cost(tx, [], SEGWIT) == 12


@pytest.mark.parametrize(
    ("script", "script_sig", "witness", "flags", "cost"),
    [
        pytest.param(P2SH, _push(TWO_OF_THREE), (), SEGWIT, 12, id="p2sh: exact, times 4"),
        pytest.param(P2SH, _push(TWO_OF_THREE), (), 0, 0, id="before p2sh"),
        pytest.param(P2SH, b"\x61" + _push(TWO_OF_THREE), (), SEGWIT, 0, id="p2sh: not a push"),
        pytest.param(P2WPKH, b"", (b"s", b"k"), SEGWIT, 1, id="p2wpkh"),
        pytest.param(P2WPKH, b"", (b"s", b"k"), verify.P2SH, 0, id="before segwit"),
        pytest.param(P2WPKH, b"\x51", (b"s", b"k"), SEGWIT, 1, id="p2wpkh with a scriptSig"),
        pytest.param(P2WPKH, b"", (), SEGWIT, 1, id="p2wpkh without witness"),
        pytest.param(P2WSH, b"", (b"", TWO_OF_THREE), SEGWIT, 3, id="p2wsh"),
        pytest.param(P2WSH, b"", (), SEGWIT, 0, id="p2wsh without witness"),
        pytest.param(P2WSH, b"", (CHECKSIG * 500,), SEGWIT, 500, id="p2wsh, many"),
        pytest.param(P2SH, _push(P2WPKH), (b"s", b"k"), SEGWIT, 1, id="p2wpkh in p2sh"),
        pytest.param(P2SH, _push(P2WSH), (TWO_OF_THREE,), SEGWIT, 3, id="p2wsh in p2sh"),
        pytest.param(P2SH, b"\x61" + _push(P2WPKH), (b"s",), SEGWIT, 0, id="nested, not a push"),
        pytest.param(P2SH, b"\x51", (b"s",), SEGWIT, 0, id="p2sh of a number"),
        pytest.param(P2SH, b"", (), SEGWIT, 0, id="p2sh of nothing"),
        pytest.param(P2TR, b"", (b"s",), SEGWIT, 0, id="taproot"),
        pytest.param(b"", b"", (b"s",), SEGWIT, 0, id="empty script"),
    ],
)
def test_sigop_cost_of_a_spend(script, script_sig, witness, flags, cost):
    tx = Transaction.build(2, [TxIn(P1, script_sig, 0, witness)], [TxOut(1, ANYONE)])
    assert calculate_sigop_cost(tx, [_coin(1, script=script)], flags) == cost
