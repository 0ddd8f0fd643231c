"""Signing each standard form: what is signed holds by the rules of relay."""

import pytest

from misocoin.crypto.hashes import hash160, sha256
from misocoin.crypto.keys import PrivateKey
from misocoin.errors import WalletError
from misocoin.primitives.transaction import Transaction, TxIn, TxOut, outpoint
from misocoin.script import flags as verify_flags
from misocoin.script.inputs import verify_input
from misocoin.script.sighash import TxDigests
from misocoin.script.signing import KeyRing, output_key_of, sign_input, sign_transaction
from misocoin.script.taproot import KeyScript, TaprootOutput, key_script_from_bytes
from misocoin.script.templates import (
    multisig_script,
    nulldata_script,
    p2pk_script,
    p2pkh_script,
    p2sh_script,
    p2tr_script,
    p2wpkh_script,
    p2wsh_script,
)
from tests.unit.script.spends import KEYS, error_of, input_digests, with_input

KEY = KEYS[0]
LONG = PrivateKey(bytes((7,)) * 32, compressed=False)
HASH = hash160(KEY.public_key)
MULTISIG = multisig_script(2, tuple(key.public_key for key in KEYS[:3]))
WITNESS_MULTISIG = p2wsh_script(sha256(MULTISIG))
SCRIPTS = (MULTISIG, WITNESS_MULTISIG, p2pk_script(KEY.public_key), p2pkh_script(HASH))
NOBODY = bytes.fromhex("50929b74c1a04954b78b4b6035e97a5e078a5a0f28ec96d547bfee9ace803ac0")
XONLY = [key.xonly_public_key for key in KEYS[:3]]
UNKNOWN = KeyScript((NOBODY,)).serialize()
TAPROOT = {
    "P2TR, key before scripts": TaprootOutput(XONLY[0], UNKNOWN),
    "P2TR, a script": TaprootOutput(NOBODY, KeyScript((XONLY[1],)).serialize()),
    "P2TR, one of the scripts": TaprootOutput(
        NOBODY, (b"\x51", (UNKNOWN, KeyScript((XONLY[1],)).serialize()))
    ),
    "P2TR, multi_a": TaprootOutput(
        NOBODY, (UNKNOWN, KeyScript((NOBODY, *XONLY), required=2).serialize())
    ),
}
RING = KeyRing.build([*KEYS, LONG], SCRIPTS, TAPROOT.values())

OUTPUTS = {
    "P2PK": p2pk_script(KEY.public_key),
    "P2PK, long key": p2pk_script(LONG.public_key),
    "P2PKH": p2pkh_script(HASH),
    "P2PKH, long key": p2pkh_script(hash160(LONG.public_key)),
    "multisig": MULTISIG,
    "P2SH-P2PK": p2sh_script(hash160(p2pk_script(KEY.public_key))),
    "P2SH-P2PKH": p2sh_script(hash160(p2pkh_script(HASH))),
    "P2SH-multisig": p2sh_script(hash160(MULTISIG)),
    "P2WPKH": p2wpkh_script(HASH),
    "P2SH-P2WPKH": p2sh_script(hash160(p2wpkh_script(HASH))),
    "P2WSH-multisig": WITNESS_MULTISIG,
    "P2WSH-P2PK": p2wsh_script(sha256(p2pk_script(KEY.public_key))),
    "P2SH-P2WSH-multisig": p2sh_script(hash160(WITNESS_MULTISIG)),
    "P2TR": p2tr_script(output_key_of(KEY).xonly_public_key),
    "P2TR, the output key itself": p2tr_script(XONLY[0]),
    **{name: p2tr_script(output.output_key) for name, output in TAPROOT.items()},
}


@pytest.mark.parametrize("hash_type", [0, 1, 2, 3, 0x81, 0x82, 0x83], ids=hex)
@pytest.mark.parametrize("name", OUTPUTS)
def test_what_is_signed_holds(name, hash_type):
    digests = input_digests(OUTPUTS[name], index=1)
    signed = with_input(digests, 1, sign_input(digests, 1, RING, hash_type))
    assert error_of(signed, verify_flags.STANDARD, 1) == "OK"


@pytest.mark.parametrize("name", OUTPUTS)
def test_a_signature_is_of_this_transaction(name):
    digests = input_digests(OUTPUTS[name])
    signed = with_input(digests, 0, sign_input(digests, 0, RING)._replace(sequence=5))
    assert error_of(signed) != "OK"


def test_a_whole_transaction():
    vin = [TxIn(outpoint(bytes(32), n)) for n in range(len(OUTPUTS))]
    spent = tuple(TxOut(1000 + n, script) for n, script in enumerate(OUTPUTS.values()))
    tx = sign_transaction(Transaction.build(2, vin, [TxOut(9, b"\x51")], 7), spent, RING)
    digests = TxDigests(tx, spent)
    assert [verify_input(digests, n, verify_flags.STANDARD) for n in range(len(vin))] == (
        [None] * len(vin)
    )
    assert (tx.version, tx.locktime) == (2, 7)


def test_signing_again_replaces_what_was_there():
    digests = input_digests(OUTPUTS["P2PKH"], b"\x51", (b"old",))
    signed = sign_input(digests, 0, RING)
    assert signed.witness == ()
    digests = input_digests(OUTPUTS["P2WPKH"], b"\x51", (b"old",))
    assert sign_input(digests, 0, RING).script_sig == b""


@pytest.mark.parametrize("name", OUTPUTS)
def test_without_keys(name):
    empty = KeyRing.build([], SCRIPTS)
    with pytest.raises(WalletError):
        sign_input(input_digests(OUTPUTS[name]), 0, empty)


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (p2pkh_script(bytes(20)), "no key for input 0"),
        (p2tr_script(bytes(32)), "no key for input 0"),
        (p2sh_script(bytes(20)), "the script behind the hash of input 0 is not known"),
        (p2wsh_script(bytes(32)), "the script behind the hash of input 0 is not known"),
        (nulldata_script(b"x"), "cannot sign a nulldata output"),
        (b"\x51", "cannot sign a nonstandard output"),
    ],
)
def test_messages(script, message):
    with pytest.raises(WalletError, match=message):
        sign_input(input_digests(script), 0, RING)


def test_too_few_keys_for_a_multisig():
    ring = KeyRing.build([KEYS[2]], [MULTISIG])
    with pytest.raises(WalletError, match="needs 2 signatures, keys are here for 1"):
        sign_input(input_digests(MULTISIG), 0, ring)


def test_the_signatures_of_a_script_come_one_after_the_other():
    output = TaprootOutput(NOBODY, KeyScript((*XONLY,), required=2).serialize())
    digests = input_digests(p2tr_script(output.output_key))
    rings = [KeyRing.build([key], taproot=[output]) for key in KEYS[:3]]
    with pytest.raises(WalletError, match="no key for input 0"):
        sign_input(digests, 0, rings[2])
    half = with_input(digests, 0, sign_input(digests, 0, rings[2], is_partial=True))
    assert error_of(half) != "OK"
    assert [len(element) for element in half.tx.vin[0].witness[:3]] == [64, 0, 0]
    whole = with_input(half, 0, sign_input(half, 0, rings[0], is_partial=True))
    assert error_of(whole, verify_flags.STANDARD) == "OK"
    stranger = KeyRing.build([], taproot=[output])
    assert sign_input(whole, 0, stranger, is_partial=True).witness == whole.tx.vin[0].witness


@pytest.mark.parametrize("name", ["multisig", "P2SH-multisig", "P2SH-P2WSH-multisig"])
def test_the_signatures_of_a_multisig_come_one_after_the_other(name):
    digests = input_digests(OUTPUTS[name])
    half, whole = (KeyRing.build([key], SCRIPTS) for key in (KEYS[2], KEYS[0]))
    signed = with_input(digests, 0, sign_input(digests, 0, half, is_partial=True))
    assert error_of(signed) != "OK"
    signed = with_input(signed, 0, sign_input(signed, 0, whole, is_partial=True))
    assert error_of(signed, verify_flags.STANDARD) == "OK"


@pytest.mark.parametrize("name", OUTPUTS)
def test_several_rings_are_one(name):
    alone = [KeyRing.build([key]) for key in (*KEYS, LONG)]
    ring = KeyRing.of([*alone, KeyRing.build([], SCRIPTS, TAPROOT.values())])
    digests = input_digests(OUTPUTS[name])
    signed = with_input(digests, 0, sign_input(digests, 0, ring))
    assert error_of(signed, verify_flags.STANDARD) == "OK"


@pytest.mark.parametrize(
    "script",
    [
        b"",
        b"\x51",
        b"\x20" + NOBODY,
        b"\x20" + NOBODY + b"\xad",
        b"\x20" + NOBODY + b"\xac\x51",
        b"\x20" + NOBODY + b"\xac\x52\x9c",
        b"\x20" + NOBODY + b"\xac\x01\x01\x9c",
        b"\x20" + NOBODY + b"\xac\x20" + NOBODY + b"\xac\x51\x9c",
        b"\x20" + NOBODY[:-1],
    ],
)
def test_other_tapscripts_are_not_taken_for_those_of_keys(script):
    assert key_script_from_bytes(script) is None


def test_taproot_inside_p2sh_is_refused():
    taproot = OUTPUTS["P2TR"]
    ring = KeyRing.build(KEYS, [taproot])
    with pytest.raises(WalletError, match="cannot sign a witness_v1_taproot output"):
        sign_input(input_digests(p2sh_script(hash160(taproot))), 0, ring)


def test_single_without_its_output_is_refused_in_taproot():
    digests = input_digests(OUTPUTS["P2TR"], index=1, outputs=1)
    with pytest.raises(WalletError, match="cannot be signed with that hash type"):
        sign_input(digests, 1, RING, 3)


def test_bip86_first_receiving_key():
    """BIP86's public vector m/86'/0'/0'/0/0."""
    internal = bytes.fromhex("cc8a4bc64d897bddc5fbc2f670f7a8ba0b386779106cf1223c6fc5d7cd6fc115")
    secret = PrivateKey.from_hex("41f41d69260df4cf277826a9b65a3717e4eeddbeedf637f212ca096576479361")
    assert secret.xonly_public_key == internal
    assert output_key_of(secret).xonly_public_key.hex() == (
        "a60869f0dbcf1dc659c9cecbaf8050135ea9e8cdc487053f1dc6880949dc684c"
    )
