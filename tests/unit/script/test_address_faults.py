"""What is wrong with an address and where, as Bitcoin Core says it (its answers, restated)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from misocoin.crypto.bech32 import ALPHABET
from misocoin.params import regtest
from misocoin.script.address_faults import address_fault

PARAMS = regtest().address

MINER = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"


@pytest.mark.parametrize(
    ("address", "error", "places"),
    [
        ("", "Invalid checksum or length of Base58 address (P2PKH or P2SH)", []),
        ("bcrt1q", "Invalid separator position", [4]),
        (
            "1BoatSLRHtKNngkdXEeobR76b53LETtpyT",
            "Invalid or unsupported Base58-encoded address.",
            [],
        ),
        (
            "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
            "Invalid or unsupported Segwit (Bech32) or Base58 encoding.",
            [],
        ),
        ("bcrt1q049edschfnwystcqnsvyfpj23mpsg3jcedq9xx", "Invalid Bech32 checksum", [9, 43]),
        ("bcrt1qdl4cnqgu8z0hm0v4m5xrz4k26g8rv8z4yremggq", "Invalid Bech32 checksum", [43, 44]),
        ("bcrt1qdl4cnqgu8z0hm0p4m5xrz4k26g8rv8z4yremgg", "Invalid Bech32 checksum", [20]),
        ("bcrt1qdl4cnqgu8z0hm0b4m5xrz4k26g8rv8z4yremgg", "Invalid Base 32 character", [20]),
        ("bcrt1Q049edschfnwystcqnsvyfpj23mpsg3jcedq9xv", "Invalid character or mixed case", [5]),
        ("bcrt1qdl4cnqgu8z0hm0v4m5xrz4k26g8rv8z4yremg", "Invalid checksum", []),
        (
            "bcrt1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqc8gmaq",
            "Invalid Bech32m checksum",
            [63],
        ),
        ("bcrt1" + "q" * 90, "Bech32 string too long", [90, 91, 92, 93, 94]),
        ("bcrt1\u00e9", "Invalid character or mixed case", [5, 6]),
        (" " + MINER, "Invalid or unsupported Segwit (Bech32) or Base58 encoding.", []),
        (MINER + " ", "Invalid character or mixed case", [44]),
        ("bcrt17capp7", "Empty Bech32 data section", []),
        (
            "bcrt1qqqqsyqcyq5rqwzqfpg9scrgwpugpzysnglaruv",
            "Version 0 witness address must use Bech32 checksum",
            [],
        ),
        (
            "bcrt1pqqqsyqcyq5rqwzqfpg9scrgwpugpzysnzs23v9ccrydpk8qarc0s8e87e4",
            "Version 1+ witness address must use Bech32m checksum",
            [],
        ),
        (
            "bcrt1qqqqsyqcyq5rqwzqfpg9scrgwpupkf6zw",
            "Invalid Bech32 v0 address program size (16 bytes), per BIP141",
            [],
        ),
        (
            "bcrt1qqy8u65u4",
            "Invalid Bech32 v0 address program size (1 byte), per BIP141",
            [],
        ),
        (
            "bcrt13qqqsyqcyq5rqwzqfpg9scrgwpugpzysnzs23v9ccrydpk8qarc0sw3dsfm",
            "Invalid Bech32 address witness version",
            [],
        ),
        ("bcrt1rqy5x3gmk", "Invalid Bech32 address program size (1 byte)", []),
        (
            "bcrt1pqqqsyqcyq5rqwzqfpg9scrgwpugpzysnzs23v9ccrydpk8qarc0p6jtl5k",
            "Invalid padding in Bech32 data section",
            [],
        ),
        (
            "bcrt21qqqqsyqcyq5rqwzqfpg9scrgwpugpzysnn87m7t",
            "Invalid or unsupported prefix for Segwit (Bech32) address (expected bcrt, got bcrt2).",
            [],
        ),
        ("bcrtqqqqqqqqq", "Missing separator", []),
        (
            "B7v1J1FGbDZTTXvP94Pk1SCQJfsx3hKN4",
            "Invalid length for Base58 address (P2PKH or P2SH)",
            [],
        ),
        (
            "MXEmDYChDCdgi77RFPzFjPt86j97MwEZsu",
            "Invalid or unsupported Base58-encoded address.",
            [],
        ),
        ("1" * 200, "Invalid or unsupported Segwit (Bech32) or Base58 encoding.", []),
    ],
)
def test_words_and_places(address: str, error: str, places: list[int]) -> None:
    assert address_fault(address, PARAMS) == (error, places)


@given(
    st.lists(
        st.tuples(st.integers(5, len(MINER) - 1), st.integers(1, 31)),
        min_size=1,
        max_size=2,
        unique_by=lambda change: change[0],
    )
)
def test_the_places_of_two_wrong_characters_are_told(changes: list[tuple[int, int]]) -> None:
    letters = list(MINER)
    for place, added in changes:
        letters[place] = ALPHABET[(ALPHABET.index(letters[place]) + added) % 32]
    error, places = address_fault("".join(letters), PARAMS)
    assert error.endswith("checksum")
    assert places == sorted(place for place, _ in changes)


@given(st.text(max_size=100), st.sampled_from(["", "bcrt1", "bcrt1q", "1", "m"]))
def test_any_text_gets_an_answer(text: str, start: str) -> None:
    error, _ = address_fault(start + text, PARAMS)
    assert error
