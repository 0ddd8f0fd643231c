"""Signed messages: signatures of others, every form of address, what is no signature."""

from base64 import b64decode, b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from misocoin.codec import compact_size
from misocoin.crypto.hashes import hash160, sha256d
from misocoin.crypto.keys import PrivateKey
from misocoin.errors import AddressError, ParseError
from misocoin.params import bitcoin, miso, regtest
from misocoin.script.address import address_from_script
from misocoin.script.messages import (
    is_signed_by,
    message_digest,
    recover_signer,
    sign_message,
    skewed_size,
)
from misocoin.script.templates import (
    p2pkh_script,
    p2sh_script,
    p2tr_script,
    p2wpkh_script,
    p2wsh_script,
)

# Bitcoin Core, src/test/util_tests.cpp, message_sign and message_verify.
KEY = PrivateKey.from_hex("d97f5108f11cda6eeebaaa420fef0726b1f898060b98489fa3098463c0032866")
SIGNATURE = (
    "IPojfrX2dfPnH26UegfbGQQLrdK844DlHq5157/P6h57WyuS/Qsl+h/WSVGDF4MUi4rWSswW38oimDYfNNUBUOk="
)
ADDRESS = "15CRxFdyRpGZLW9w8HnHvVduizdL5jKNbs"
CRAFTED = (
    "11canuhp9X2NocwCq7xNrQYTmUgZAnLK3",
    "IIcaIENoYW5jZWxsb3Igb24gYnJpbmsgb2Ygc2Vjb25kIGJhaWxvdXQgZm9yIGJhbmtzIAaHRtbCeDZINyavx14=",
    "Trust me",
)
KEY_HASH = hash160(KEY.public_key)


def test_signs_as_core_does():
    assert sign_message(KEY, "Trust no one") == SIGNATURE
    assert is_signed_by(ADDRESS, SIGNATURE, "Trust no one")
    assert is_signed_by(ADDRESS, SIGNATURE, b"Trust no one")
    assert is_signed_by(*CRAFTED)
    assert not is_signed_by(ADDRESS, SIGNATURE, "Trust no one ")
    assert not is_signed_by(ADDRESS, CRAFTED[1], "Trust no one")


@pytest.mark.parametrize(
    "address",
    [
        *(
            address_from_script(script, params)
            for params in (miso(), regtest(), bitcoin())
            for script in (
                p2pkh_script(KEY_HASH),
                p2wpkh_script(KEY_HASH),
                p2sh_script(hash160(p2wpkh_script(KEY_HASH))),
            )
        ),
        KEY_HASH.hex(),
        KEY_HASH.hex().upper(),
        f"  {ADDRESS}\n",
    ],
)
def test_every_form_of_the_keys_address_is_signed_for(address):
    assert is_signed_by(address, SIGNATURE, "Trust no one")
    assert not is_signed_by(address, SIGNATURE, "Trust no two")
    raw = b64decode(SIGNATURE)
    for header in (35 + 1, 39 + 1):  # BIP137's names of the same recovery id
        assert is_signed_by(address, b64encode(bytes((header,)) + raw[1:]).decode(), "Trust no one")


def test_uncompressed_keys_sign_for_their_own_address_and_for_no_segwit_one():
    key = PrivateKey(KEY.secret, compressed=False)
    key_hash = hash160(key.public_key)
    signature = sign_message(key, "text")
    assert b64decode(signature)[0] in range(27, 31)
    assert is_signed_by(key_hash.hex(), signature, "text")
    assert is_signed_by(address_from_script(p2pkh_script(key_hash), miso()), signature, "text")
    assert not is_signed_by(address_from_script(p2wpkh_script(key_hash), miso()), signature, "text")
    assert not is_signed_by(ADDRESS, signature, "text")


@pytest.mark.parametrize(
    "address",
    [
        "",
        "nobody",
        ADDRESS[:-1] + "t",
        "g" * 40,
        "1Wh4bh",
        "xpub661MyMwAqRbcFtXgS5sYJABqqG9YLmC4Q1Rdap9gSE8NqtwybGhePY2gZ29ESFjqJoCu1Rupje8YtGqsefD265TMg7usUDFdp6W1EGMcet8",
        address_from_script(p2wsh_script(bytes(32)), miso()),
        address_from_script(p2tr_script(KEY.xonly_public_key), miso()),
    ],
)
def test_what_names_no_key_is_refused(address):
    with pytest.raises(AddressError):
        is_signed_by(address, SIGNATURE, "Trust no one")


@pytest.mark.parametrize("signature", ["", "no base64", SIGNATURE[:-4], "é", SIGNATURE + "AAAA"])
def test_what_is_no_signature_is_refused(signature):
    with pytest.raises(ParseError):
        is_signed_by(ADDRESS, signature, "Trust no one")


def test_headers_outside_the_forms_are_nobodys():
    for header in (0, 26, 43, 255):
        signature = b64encode(bytes((header,)) + b64decode(SIGNATURE)[1:]).decode()
        assert recover_signer(signature, "Trust no one") is None
        assert not is_signed_by(ADDRESS, signature, "Trust no one")


def test_lengths_are_written_in_both_ways():
    assert [skewed_size(n) for n in (0, 252)] == [b"\0", b"\xfc"]
    assert skewed_size(291) == bytes.fromhex("fd2391")
    assert compact_size(291) == bytes.fromhex("fd2301")
    assert skewed_size(65536) == compact_size(65536)
    text = "x" * 291
    assert message_digest(text, skewed_size) == sha256d(
        b"\x18Bitcoin Signed Message:\n\xfd\x23\x91" + text.encode()
    )
    signature = sign_message(KEY, text, skewed_size)
    assert is_signed_by(ADDRESS, signature, text, skewed_size)
    assert not is_signed_by(ADDRESS, signature, text)


@given(st.text(max_size=300), st.text(max_size=100) | st.binary(max_size=66))
def test_anything_is_verified_or_refused(message, other):
    assert is_signed_by(ADDRESS, sign_message(KEY, message), message)
    signature = b64encode(other).decode() if isinstance(other, bytes) else other
    for address in (ADDRESS, signature):
        try:
            assert not is_signed_by(address, signature, message)
        except ParseError:
            continue
