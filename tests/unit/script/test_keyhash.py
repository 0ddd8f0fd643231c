"""The short cut for P2PKH and P2WPKH: what it takes, and what it leaves to the interpreter."""

import pytest

from misocoin.crypto.hashes import hash160
from misocoin.crypto.keys import PrivateKey, public_key_in_form
from misocoin.script import flags as verify_flags
from misocoin.script.inputs import check_input_deferred
from misocoin.script.keyhash import key_hash_job
from misocoin.script.result import ScriptError
from misocoin.script.script import push_data
from misocoin.script.sighash import legacy_sighash, segwit_sighash
from misocoin.script.signing import KeyRing, sign_input
from misocoin.script.templates import p2pkh_script, p2wpkh_script
from tests.unit.script.spends import CONSENSUS, KEYS, error_of, input_digests, with_input

KEY, PUBLIC = KEYS[0], KEYS[0].public_key
HASH = hash160(PUBLIC)
SIGNATURE = KEY.sign_ecdsa(bytes(32)) + b"\x01"
LONG = PrivateKey(KEY.secret, compressed=False)


def p2pkh_spend(script_sig: bytes, witness: tuple[bytes, ...] = (), key: bytes = PUBLIC):
    return input_digests(p2pkh_script(hash160(key)), script_sig, witness)


def p2wpkh_spend(*witness: bytes, script_sig: bytes = b"", key: bytes = PUBLIC):
    return input_digests(p2wpkh_script(hash160(key)), script_sig, witness)


def test_p2pkh():
    spend = p2pkh_spend(push_data(SIGNATURE) + push_data(PUBLIC))
    job = key_hash_job(spend, 0, CONSENSUS)
    digest = legacy_sighash(spend, 0, p2pkh_script(HASH), 1)
    assert job == (0, PUBLIC, SIGNATURE[:-1], digest)


def test_p2pkh_with_a_long_key():
    spend = p2pkh_spend(push_data(SIGNATURE) + push_data(LONG.public_key), key=LONG.public_key)
    assert key_hash_job(spend, 0, verify_flags.STANDARD) is not None


def test_p2wpkh():
    spend = p2wpkh_spend(SIGNATURE, PUBLIC)
    job = key_hash_job(spend, 0, CONSENSUS)
    digest = segwit_sighash(spend, 0, p2pkh_script(HASH), 1)
    assert job == (0, PUBLIC, SIGNATURE[:-1], digest)


HYBRID = bytes((6 + (PUBLIC[0] & 1),)) + public_key_in_form(PUBLIC, compressed=False)[1:]
LEFT = {
    "nothing": p2pkh_spend(b""),
    "signature alone": p2pkh_spend(push_data(SIGNATURE)),
    "signature cut off": p2pkh_spend(push_data(SIGNATURE)[:-1]),
    "signature and a length": p2pkh_spend(push_data(SIGNATURE) + b"\x21"),
    "key cut off": p2pkh_spend(push_data(SIGNATURE) + push_data(PUBLIC)[:-1]),
    "a byte too many": p2pkh_spend(push_data(SIGNATURE) + push_data(PUBLIC) + b"\x61"),
    "another length before the key": p2pkh_spend(push_data(SIGNATURE) + b"\x20" + PUBLIC),
    "long push of the signature": p2pkh_spend(b"\x4c\x47" + SIGNATURE + push_data(PUBLIC)),
    "empty signature": p2pkh_spend(b"\x00" + push_data(PUBLIC)),
    "signature as long as the hash": p2pkh_spend(push_data(HASH) + push_data(PUBLIC)),
    "another key": p2pkh_spend(push_data(SIGNATURE) + push_data(KEYS[1].public_key)),
    "hybrid key": p2pkh_spend(push_data(SIGNATURE) + push_data(HYBRID), key=HYBRID),
    "a witness": p2pkh_spend(push_data(SIGNATURE) + push_data(PUBLIC), (b"",)),
    "hash type not of DER": p2pkh_spend(push_data(SIGNATURE + b"\x01") + push_data(PUBLIC)),
    "no witness": p2wpkh_spend(),
    "one element": p2wpkh_spend(SIGNATURE),
    "three elements": p2wpkh_spend(SIGNATURE, PUBLIC, b""),
    "empty signature in the witness": p2wpkh_spend(b"", PUBLIC),
    "long signature": p2wpkh_spend(bytes(76), PUBLIC),
    "a scriptSig": p2wpkh_spend(SIGNATURE, PUBLIC, script_sig=b"\x00"),
    "another key in the witness": p2wpkh_spend(SIGNATURE, KEYS[1].public_key),
    "long key in the witness": p2wpkh_spend(SIGNATURE, LONG.public_key, key=LONG.public_key),
    "no key": input_digests(p2wpkh_script(hash160(b"")), b"", (SIGNATURE, b"")),
    "another form": input_digests(p2pkh_script(HASH) + b"\x61", push_data(SIGNATURE)),
    "like P2PKH": input_digests(p2pkh_script(HASH)[:-1] + b"\xad", push_data(SIGNATURE)),
    "like P2WPKH": input_digests(b"\x51" + p2wpkh_script(HASH)[1:], b"", (SIGNATURE, PUBLIC)),
}


@pytest.mark.parametrize("name", LEFT)
def test_left_to_the_interpreter(name):
    assert key_hash_job(LEFT[name], 0, CONSENSUS) is None
    error_of(LEFT[name])  # which compares the deferred result with the exact one


def test_a_first_byte_that_is_no_length():
    # 0x4c is PUSHDATA1: what follows it is a length, not a signature of 76 bytes.
    spend = p2pkh_spend(b"\x4c" + b"\x30" * 76 + push_data(PUBLIC))
    assert key_hash_job(spend, 0, verify_flags.P2SH) is None


def test_before_segwit_p2wpkh_is_anyones():
    spend = p2wpkh_spend(SIGNATURE, PUBLIC)
    assert key_hash_job(spend, 0, verify_flags.P2SH) is None
    assert check_input_deferred(spend, 0, verify_flags.P2SH) == ()


def test_the_encoding_of_the_signature_is_checked():
    ring = KeyRing.build(KEYS)
    for output in (p2pkh_script(HASH), p2wpkh_script(HASH)):
        digests = input_digests(output)
        spend = with_input(digests, 0, sign_input(digests, 0, ring))
        txin = spend.tx.vin[0]
        odd = with_input(
            spend,
            0,
            txin._replace(
                script_sig=txin.script_sig.replace(b"\x01\x21" + PUBLIC, b"\x05\x21" + PUBLIC),
                witness=tuple(item[:-1] + b"\x05" for item in txin.witness[:1]) + txin.witness[1:],
            ),
        )
        assert key_hash_job(odd, 0, CONSENSUS) is not None
        assert key_hash_job(odd, 0, verify_flags.STANDARD) is None
        result = check_input_deferred(odd, 0, verify_flags.STANDARD)
        assert result is ScriptError.SIG_HASHTYPE
