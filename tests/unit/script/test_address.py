"""Addresses: Core's key_io vectors, and messages that say what is wrong."""

from dataclasses import replace

import pytest

from misocoin.crypto.wif import key_from_wif, wif_from_key
from misocoin.errors import AddressError, KeyFormatError
from misocoin.params import bitcoin, miso, regtest
from misocoin.script.address import (
    address_from_script,
    decode_address,
    encode_address,
    script_from_address,
)
from misocoin.script.templates import multisig_script, nulldata_script, p2pk_script, p2wpkh_script
from tests.shared import vectors

TESTNET = replace(regtest().address, hrp="tb")  # testnet and signet: regtest's but for the name
CHAINS = {
    "main": bitcoin().address,
    "regtest": regtest().address,
    "test": TESTNET,
    "signet": TESTNET,
}
VALID_COUNT = {"main": 18, "test": 18, "signet": 18, "regtest": 16}
INVALID_COUNT = 70


@pytest.mark.parametrize(
    "chain", [pytest.param(c, id=f"{c}: {n} cases") for c, n in VALID_COUNT.items()]
)
def test_key_io_valid(chain):
    cases = [case for case in vectors("key_io_valid.json") if case[2]["chain"] == chain]
    assert len(cases) == VALID_COUNT[chain]
    prefixes = CHAINS[chain]
    for text, payload, about in cases:
        if about["isPrivkey"]:
            key = key_from_wif(text, prefixes.wif)
            assert (key.secret.hex(), key.compressed) == (payload, about["isCompressed"])
            assert wif_from_key(key, prefixes.wif) == text
            with pytest.raises(AddressError):
                decode_address(text, prefixes)
            continue
        script = bytes.fromhex(payload)
        assert decode_address(text, prefixes) == script
        assert encode_address(script, prefixes) == text
        if about.get("tryCaseFlip"):
            assert decode_address(text.swapcase(), prefixes) == script
        with pytest.raises(KeyFormatError):
            key_from_wif(text, prefixes.wif)


@pytest.mark.parametrize("chain", CHAINS, ids=lambda chain: f"{chain}: {INVALID_COUNT} cases")
def test_key_io_invalid(chain):
    cases = vectors("key_io_invalid.json")
    assert len(cases) == INVALID_COUNT
    for (text,) in cases:
        with pytest.raises(AddressError):
            decode_address(text, CHAINS[chain])
        with pytest.raises(KeyFormatError):
            key_from_wif(text, CHAINS[chain].wif)


@pytest.mark.parametrize("params", [miso(), regtest(), bitcoin()], ids=lambda params: params.name)
def test_key_io_invalid_with_names(params):
    for (text,) in vectors("key_io_invalid.json"):
        with pytest.raises(AddressError) as caught:
            script_from_address(text, params)
        assert "\n" not in str(caught.value)


HASH = bytes.fromhex("751e76e8199196d454941c45d1b3a323f1433bd6")
BIP173 = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"
SATOSHI = "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2"


def test_known_addresses():
    assert script_from_address(BIP173, bitcoin()) == p2wpkh_script(HASH)
    assert script_from_address(f"  {BIP173.upper()}\n", bitcoin()) == p2wpkh_script(HASH)
    assert script_from_address(SATOSHI, bitcoin()).hex() == (
        "76a91477bff20c60e522dfaa3350c39b030a5d004e839a88ac"
    )
    taproot = "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0"
    assert script_from_address(taproot, bitcoin()).hex() == (
        "512079be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
    )


def test_addresses_of_miso():
    address = address_from_script(p2wpkh_script(HASH), miso())
    assert address == "miso1qw508d6qejxtdg4y5r3zarvary0c5xw7k6urggn"
    assert script_from_address(address, miso()) == p2wpkh_script(HASH)


@pytest.mark.parametrize("params", [miso(), regtest(), bitcoin()], ids=lambda params: params.name)
def test_forty_hex_digits_are_a_key_hash(params):
    for text in (HASH.hex(), HASH.hex().upper()):
        assert script_from_address(text, params) == p2wpkh_script(HASH)


def test_scripts_without_an_address():
    key = b"\x02" + bytes(32)
    for script in (
        b"",
        p2pk_script(key),
        multisig_script(1, (key,)),
        nulldata_script(b"x"),
        b"\x00\x02ab",
    ):
        assert address_from_script(script, bitcoin()) is None


@pytest.mark.parametrize(
    ("text", "params", "message"),
    [
        (BIP173[:-1] + "5", bitcoin(), "checksum"),
        (BIP173.replace("w", "q", 1), bitcoin(), "checksum"),
        (SATOSHI[:-1] + "3", bitcoin(), "checksum"),
        (BIP173, miso(), "is an address of chain bitcoin, not of miso"),
        (SATOSHI, miso(), "is an address of chain bitcoin, not of miso"),
        (BIP173, regtest(), "is an address of chain bitcoin, not of regtest"),
        (
            "miso1qw508d6qejxtdg4y5r3zarvary0c5xw7k6urggn",
            bitcoin(),
            "is an address of chain miso, not of bitcoin",
        ),
        ("mfWxJ45yp2SFn7UciZyNpvDKrzbhyfKrY8", bitcoin(), "of chain regtest, not of bitcoin"),
        ("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3tb", bitcoin(), "'b' does not occur"),
        ("Bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", bitcoin(), "upper and lower case"),
        ("tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx", miso(), "the prefix is 'tb'"),
        ("", miso(), "is not an address"),
        ("hello", miso(), "is not an address"),
        (HASH.hex()[:-1], miso(), "is not an address"),
        ("x" * 100_000, miso(), "is not an address"),
        ("5KcrFZvJ2p4dM6QVUPu53cKXcCfozA1PJLHm1mNAxkDYhgThLu4", bitcoin(), "is not an address"),
    ],
)
def test_messages(text, params, message):
    with pytest.raises(AddressError) as caught:
        script_from_address(text, params)
    error = str(caught.value)
    assert message in error
    assert "\n" not in error
    assert len(error) < 300
