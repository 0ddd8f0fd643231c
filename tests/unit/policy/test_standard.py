"""What is standard and what is not, each case by its reject string; limits in literal numbers."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from misocoin.consensus.coins import Coin
from misocoin.crypto.hashes import hash160
from misocoin.errors import RejectCode, ValidationError
from misocoin.policy.dust import calculate_dust_threshold, dust_outputs, is_dust
from misocoin.policy.settings import RelayPolicy
from misocoin.policy.standard import (
    MAX_STANDARD_SIGOPS_COST,
    MIN_STANDARD_STRIPPED_SIZE,
    check_standard,
    check_standard_inputs,
    check_standard_witness,
)
from misocoin.primitives.transaction import Transaction, TxIn, TxOut, outpoint
from misocoin.script.opcodes import OP_CHECKSIG
from misocoin.script.script import push_data
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

POLICY = RelayPolicy()
KEY = b"\x02" + bytes(31) + b"\x01"
P2PKH = p2pkh_script(bytes(20))
P2WSH = p2wsh_script(bytes(32))
P2TR = p2tr_script(bytes(32))


def tx_of(
    *,
    version: int = 2,
    script_sig: bytes = b"",
    witness: tuple[bytes, ...] = (),
    outputs: tuple[TxOut, ...] = (TxOut(10_000, P2PKH),),
) -> Transaction:
    return Transaction.build(
        version, [TxIn(outpoint(b"\x11" * 32, 0), script_sig, witness=witness)], outputs
    )


def coin_of(script: bytes) -> Coin:
    return Coin(100_000, script, 1, False)


def verdict(check: Callable[[], None]) -> str:
    """The reject string of a check, empty where it passes."""
    try:
        check()
    except ValidationError as error:
        refusal = error
    else:
        return ""
    assert refusal.code is RejectCode.NONSTANDARD
    return refusal.reason


def reason(tx: Transaction, policy: RelayPolicy = POLICY) -> str:
    return verdict(lambda: check_standard(tx, policy))


@pytest.mark.parametrize(
    ("script", "threshold"),
    [
        (p2pkh_script(bytes(20)), 546),
        (p2sh_script(bytes(20)), 540),
        (p2wpkh_script(bytes(20)), 294),
        (p2wsh_script(bytes(32)), 330),
        (p2tr_script(bytes(32)), 330),
        (witness_script(1, b"\x4e\x73"), 240),
        (p2pk_script(KEY), 576),
        (nulldata_script(b"text"), 0),
        (b"\x51" * 10_001, 0),
        (b"\x51" * 10_000, 3 * (8 + 3 + 10_000 + 148)),
    ],
)
def test_dust_threshold_by_output(script: bytes, threshold: int) -> None:
    assert calculate_dust_threshold(TxOut(0, script), 3_000) == threshold
    assert not is_dust(TxOut(threshold, script), 3_000)
    assert is_dust(TxOut(threshold - 1, script), 3_000)


def test_dust_outputs_are_named_by_index() -> None:
    tx = tx_of(outputs=(TxOut(545, P2PKH), TxOut(546, P2PKH), TxOut(0, P2TR)))
    assert dust_outputs(tx, 3_000) == (0, 2)
    assert dust_outputs(tx, 0) == ()


@pytest.mark.parametrize(
    "script",
    [
        P2PKH,
        P2WSH,
        P2TR,
        p2sh_script(bytes(20)),
        p2wpkh_script(bytes(20)),
        p2pk_script(KEY),
        p2pk_script(b"\x04" + bytes(64)),
        multisig_script(1, (KEY,)),
        multisig_script(3, (KEY, KEY, KEY)),
        witness_script(1, b"\x4e\x73"),
        witness_script(16, bytes(40)),
        nulldata_script(bytes(80)),  # 83 bytes of script
    ],
)
def test_standard_outputs(script: bytes) -> None:
    assert reason(tx_of(outputs=(TxOut(100_000, script),))) == ""


@pytest.mark.parametrize(
    "script",
    [
        b"",
        b"\x51",
        b"\x00\x15" + bytes(21),
        multisig_script(1, (KEY, KEY, KEY, KEY)),
        nulldata_script(bytes(81)),
        nulldata_script(bytes(40), bytes(41)),
        P2PKH + b"\x61",
    ],
)
def test_nonstandard_outputs(script: bytes) -> None:
    assert reason(tx_of(outputs=(TxOut(100_000, script),))) == "scriptpubkey"


@pytest.mark.parametrize(
    ("version", "ok"), [(0, False), (1, True), (2, True), (3, True), (4, False), (-1, False)]
)
def test_version(version: int, ok: bool) -> None:
    assert reason(tx_of(version=version)) == ("" if ok else "version")


def test_weight() -> None:
    room = 400_000 - tx_of(outputs=()).weight
    outputs = (TxOut(10_000, P2PKH),) * (room // (4 * 34) - 10)
    tx = tx_of(outputs=outputs)
    witness_size = 400_000 - tx.weight - 2 - 1 - 5  # marker, count, length
    fits = tx_of(outputs=outputs, witness=(bytes(witness_size),))
    assert 399_990 < fits.weight <= 400_000
    assert reason(fits) == ""
    assert reason(tx_of(outputs=outputs, witness=(bytes(witness_size + 10),))) == "tx-size"


def test_script_sig() -> None:
    pushes = push_data(bytes(400)) * 4
    rest = 1_650 - len(pushes)
    assert reason(tx_of(script_sig=pushes + push_data(bytes(rest - 1)))) == ""
    assert reason(tx_of(script_sig=pushes + push_data(bytes(rest)))) == "scriptsig-size"
    assert reason(tx_of(script_sig=b"\x61")) == "scriptsig-not-pushonly"
    assert reason(tx_of(script_sig=b"\x05")) == "scriptsig-not-pushonly"


def test_bare_multisig_by_choice() -> None:
    tx = tx_of(outputs=(TxOut(10_000, multisig_script(1, (KEY, KEY))),))
    assert reason(tx) == ""
    assert reason(tx, replace(POLICY, permit_bare_multisig=False)) == "bare-multisig"


def test_dust_is_refused() -> None:
    dust, enough = TxOut(545, P2PKH), TxOut(546, P2PKH)
    assert reason(tx_of(outputs=(dust, dust))) == "dust"
    assert reason(tx_of(outputs=(dust, enough, enough))) == ""  # if it pays no fee
    assert reason(tx_of(outputs=(dust, dust)), replace(POLICY, dust_feerate=0)) == ""


def test_one_data_carrier() -> None:
    data = TxOut(0, nulldata_script(b"a"))
    pay = TxOut(10_000, P2PKH)
    assert reason(tx_of(outputs=(pay, data))) == ""
    assert reason(tx_of(outputs=(data, pay, data))) == "multi-op-return"
    assert reason(tx_of(outputs=(data,)), replace(POLICY, max_data_carrier=0)) == "scriptpubkey"


def input_reason(script: bytes, script_sig: bytes = b"") -> str:
    tx = tx_of(script_sig=script_sig)
    return verdict(lambda: check_standard_inputs(tx, [coin_of(script)]))


@pytest.mark.parametrize("script", [P2PKH, P2WSH, P2TR, multisig_script(1, (KEY,))])
def test_standard_inputs(script: bytes) -> None:
    assert input_reason(script) == ""


@pytest.mark.parametrize("script", [b"\x51", witness_script(2, bytes(32)), b""])
def test_unknown_scripts_are_not_spent(script: bytes) -> None:
    assert input_reason(script) == "bad-txns-nonstandard-inputs"


def test_sigops_behind_a_script_hash() -> None:
    fits, over = bytes((OP_CHECKSIG,)) * 15, bytes((OP_CHECKSIG,)) * 16
    bad = "bad-txns-nonstandard-inputs"
    assert input_reason(p2sh_script(hash160(fits)), push_data(fits)) == ""
    assert input_reason(p2sh_script(hash160(over)), push_data(over)) == bad
    # Exact counts: a multisig of the small number before it.
    keys = multisig_script(2, (KEY,) * 15)
    assert input_reason(p2sh_script(hash160(keys)), push_data(keys)) == ""
    assert input_reason(p2sh_script(bytes(20)), b"") == bad
    assert input_reason(p2sh_script(bytes(20)), b"\x61") == bad
    assert input_reason(p2sh_script(bytes(20)), b"\x02\x01") == bad
    assert input_reason(p2sh_script(bytes(20)), b"\x51") == ""  # the script 01
    assert input_reason(p2sh_script(bytes(20)), push_data(bytes(521))) == bad


def has_standard_witness(
    script: bytes, witness: tuple[bytes, ...], script_sig: bytes = b""
) -> bool:
    tx = tx_of(script_sig=script_sig, witness=witness)
    refusal = verdict(lambda: check_standard_witness(tx, [coin_of(script)]))
    assert refusal in ("", "bad-witness-nonstandard")
    return not refusal


def test_no_witness_is_always_standard() -> None:
    check_standard_witness(tx_of(), [coin_of(b"\x51")])


def test_a_witness_needs_a_program() -> None:
    assert not has_standard_witness(P2PKH, (b"a",))
    assert not has_standard_witness(p2sh_script(bytes(20)), (b"a",), push_data(P2PKH))
    assert not has_standard_witness(p2sh_script(bytes(20)), (b"a",))
    assert has_standard_witness(
        p2sh_script(bytes(20)), (b"a",), push_data(p2wpkh_script(bytes(20)))
    )
    assert has_standard_witness(p2wpkh_script(bytes(20)), (b"a", b"b"))
    assert not has_standard_witness(witness_script(1, b"\x4e\x73"), (b"",))


def test_p2wsh_witness_limits() -> None:
    nested = p2sh_script(hash160(P2WSH)), push_data(P2WSH)
    for script, script_sig in ((P2WSH, b""), nested):
        for stack, ok in (
            ((bytes(3_600),), True),
            ((bytes(3_601),), False),
            ((b"",) * 100 + (b"\x51",), True),
            ((b"",) * 101 + (b"\x51",), False),
            ((bytes(80), b"\x51"), True),
            ((bytes(81), b"\x51"), False),
        ):
            assert has_standard_witness(script, stack, script_sig) is ok


@pytest.mark.parametrize(
    ("stack", "ok"),
    [
        ((bytes(64),), True),
        ((bytes(64), b"\x50annex"), False),
        ((bytes(80), b"\x51", b"\xc0" + bytes(32)), True),
        ((bytes(81), b"\x51", b"\xc1" + bytes(32)), False),
        ((bytes(81), b"\x51", b"\xc2" + bytes(32)), True),  # no tapscript
        ((b"\x51", b""), False),
        ((bytes(200), b"\xc0" + bytes(32)), True),  # the script itself may be long
    ],
)
def test_taproot_witness(stack: tuple[bytes, ...], ok: bool) -> None:
    assert has_standard_witness(P2TR, stack) is ok


def test_taproot_in_p2sh_has_no_meaning_and_no_limit() -> None:
    assert has_standard_witness(p2sh_script(hash160(P2TR)), (bytes(64), b"\x50"), push_data(P2TR))


def test_constants_in_literals() -> None:
    assert MAX_STANDARD_SIGOPS_COST == 16_000
    assert MIN_STANDARD_STRIPPED_SIZE == 65
    assert (POLICY.min_relay_feerate, POLICY.incremental_feerate) == (1_000, 1_000)
    assert POLICY.require_standard
