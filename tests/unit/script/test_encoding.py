"""Forms of signatures and public keys."""

import pytest

from misocoin.crypto.der import ORDER
from misocoin.script import flags as verify_flags
from misocoin.script.encoding import (
    has_public_key_form,
    is_defined_hash_type,
    is_low_s,
    is_strict_der,
    public_key_encoding_error,
    signature_encoding_error,
)
from misocoin.script.result import ScriptError


def der(r: bytes, s: bytes, hash_type: int = 1) -> bytes:
    body = b"\x02" + bytes((len(r),)) + r + b"\x02" + bytes((len(s),)) + s
    return b"\x30" + bytes((len(body),)) + body + bytes((hash_type,))


GOOD = der(b"\x01" * 32, b"\x02" * 32)

BROKEN = {
    "too short": b"\x30\x05\x02\x01\x01\x02\x00\x01",
    "too long": der(b"\x01" * 33, b"\x01" * 34),
    "no sequence": b"\x31" + GOOD[1:],
    "length over": GOOD[:1] + bytes((GOOD[1] + 1,)) + GOOD[2:],
    "length under": GOOD[:1] + bytes((GOOD[1] - 1,)) + GOOD[2:],
    "byte in front of the hash type": GOOD[:-1] + b"\x00\x01",
    "R runs over S": GOOD[:3] + b"\x60" + GOOD[4:],
    "S too long": GOOD[:37] + b"\x21" + GOOD[38:],
    "S too short": GOOD[:37] + b"\x1f" + GOOD[38:],
    "R no integer": GOOD[:2] + b"\x03" + GOOD[3:],
    "S no integer": GOOD[:36] + b"\x03" + GOOD[37:],
    "R empty": der(b"", b"\x01\x01"),
    "S empty": der(b"\x01\x01", b""),
    "R negative": der(b"\x81", b"\x01"),
    "S negative": der(b"\x01", b"\x81"),
    "R padded": der(b"\x00\x01", b"\x01"),
    "S padded": der(b"\x01", b"\x00\x01"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_not_strict_der(name):
    assert not is_strict_der(BROKEN[name])


@pytest.mark.parametrize(
    "signature",
    [GOOD, der(b"\x01", b"\x01"), der(b"\x00\x81", b"\x00\xff"), der(b"\x00", b"\x00")],
    ids=bytes.hex,
)
def test_strict_der(signature):
    assert is_strict_der(signature)


@pytest.mark.parametrize("size", range(12))
def test_short_byte_strings(size):
    assert not is_strict_der(b"\x30" * size)


HALF = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0


def number(value: int) -> bytes:
    return value.to_bytes(value.bit_length() // 8 + 1, "big")


def test_low_s():
    assert is_low_s(der(b"\x01", number(1)))
    assert is_low_s(der(b"\x01", number(HALF)))
    assert not is_low_s(der(b"\x01", number(HALF + 1)))
    assert not is_low_s(der(b"\x01", number(ORDER - 1)))


def test_numbers_beyond_the_order_pass_as_low():
    assert is_low_s(der(b"\x01", number(ORDER)))
    assert is_low_s(der(number(ORDER), number(HALF + 1)))
    assert not is_low_s(der(number(ORDER - 1), number(HALF + 1)))


@pytest.mark.parametrize("hash_type", range(256))
def test_hash_types(hash_type):
    defined = hash_type in {1, 2, 3, 0x81, 0x82, 0x83}
    assert is_defined_hash_type(bytes((hash_type,))) == defined


HIGH_S = der(b"\x01", number(HALF + 1), 4)


@pytest.mark.parametrize(
    ("signature", "flags", "error"),
    [
        (b"", verify_flags.STANDARD, None),
        (b"\x01", 0, None),
        (b"\x01", verify_flags.DERSIG, ScriptError.SIG_DER),
        (b"\x01", verify_flags.LOW_S, ScriptError.SIG_DER),
        (b"\x01", verify_flags.STRICTENC, ScriptError.SIG_DER),
        (HIGH_S, verify_flags.DERSIG, None),
        (HIGH_S, verify_flags.LOW_S, ScriptError.SIG_HIGH_S),
        (HIGH_S, verify_flags.STRICTENC, ScriptError.SIG_HASHTYPE),
        (HIGH_S, verify_flags.STRICTENC | verify_flags.LOW_S, ScriptError.SIG_HIGH_S),
        (GOOD, verify_flags.STANDARD, None),
    ],
)
def test_signature_encoding(signature, flags, error):
    assert signature_encoding_error(signature, flags) is error


SHORT, LONG, HYBRID = b"\x03" + bytes(32), b"\x04" + bytes(64), b"\x06" + bytes(64)


@pytest.mark.parametrize(
    ("key", "flags", "segwit", "error"),
    [
        (SHORT, verify_flags.STANDARD, True, None),
        (LONG, verify_flags.STANDARD, False, None),
        (LONG, verify_flags.STRICTENC, True, None),
        (LONG, verify_flags.WITNESS_PUBKEYTYPE, True, ScriptError.WITNESS_PUBKEYTYPE),
        (LONG, verify_flags.WITNESS_PUBKEYTYPE, False, None),
        (HYBRID, 0, False, None),
        (HYBRID, verify_flags.STANDARD, True, ScriptError.PUBKEYTYPE),
        (HYBRID, verify_flags.WITNESS_PUBKEYTYPE, True, ScriptError.WITNESS_PUBKEYTYPE),
        (b"", verify_flags.STRICTENC, False, ScriptError.PUBKEYTYPE),
        (b"", 0, False, None),
        (SHORT[:-1], verify_flags.STRICTENC, False, ScriptError.PUBKEYTYPE),
        (LONG[:33], verify_flags.STRICTENC, False, ScriptError.PUBKEYTYPE),
    ],
)
def test_public_key_encoding(key, flags, segwit, error):
    assert public_key_encoding_error(key, flags, segwit=segwit) is error


def test_public_key_form():
    assert has_public_key_form(SHORT)
    assert has_public_key_form(LONG)
    assert has_public_key_form(HYBRID)
    assert has_public_key_form(b"\x07" + bytes(64))
    for other in (b"", b"\x02", SHORT + b"\x00", LONG[:-1], b"\x05" + bytes(64), b"\x04" + SHORT):
        assert not has_public_key_form(other)
