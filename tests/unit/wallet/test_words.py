"""Words: BIP39's vectors, and what people mistype."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from misocoin.errors import KeyFormatError
from misocoin.wallet.words import (
    COUNTS,
    new_words,
    seed_from_words,
    words_from_entropy,
    words_from_text,
)

ABANDON = "abandon " * 11 + "about"

# The reference implementation's vectors (trezor/python-mnemonic, vectors.json), passphrase TREZOR.
VECTORS = [
    (
        "00000000000000000000000000000000",
        ABANDON,
        "c55257c360c07c72029aebc1b53c05ed0362ada38ead3e3e9efa3708e53495531f09a6987599d18264c1e1c92f"
        "2cf141630c7a3c4ab7c81b2f001698e7463b04",
    ),
    (
        "7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f",
        "legal winner thank year wave sausage worth useful legal winner thank yellow",
        "2e8905819b8723fe2c1d161860e5ee1830318dbf49a83bd451cfb8440c28bd6fa457fe1296106559a3c80937a1"
        "c1069be3a3a5bd381ee6260e8d9739fce1f607",
    ),
    (
        "ffffffffffffffffffffffffffffffff",
        "zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo wrong",
        "ac27495480225222079d7be181583751e86f571027b0497b5b5d11218e0a8a13332572917f0f8e5a589620c6f1"
        "5b11c61dee327651a14c34e18231052e48c069",
    ),
]


@pytest.mark.parametrize(("entropy", "words", "seed"), VECTORS)
def test_vectors(entropy, words, seed):
    assert words_from_entropy(bytes.fromhex(entropy)) == words
    assert words_from_text(words) == words
    assert seed_from_words(words, "TREZOR").hex() == seed


def test_another_passphrase_is_another_wallet():
    assert seed_from_words(ABANDON) != seed_from_words(ABANDON, "x")
    assert seed_from_words(ABANDON, "é") == seed_from_words(ABANDON, "é")


@pytest.mark.parametrize("count", COUNTS)
def test_new_words_are_words(count):
    words = new_words(count)
    assert len(words.split()) == count
    assert words_from_text(words) == words
    assert new_words(count) != words


def test_typing_is_forgiven_where_nothing_is_in_doubt():
    assert words_from_text(f"  {ABANDON.upper()}\n".replace(" ", "  ")) == ABANDON


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "0 words"),
        (ABANDON + " about", "13 words"),
        (ABANDON.replace("about", "abouf"), "word 12 is not of the BIP39 list: is there a typing"),
        ("qqqqqqqqq" + ABANDON[7:], "word 1 is not of the BIP39 list$"),
        ("abandon " * 12, "checksum"),
    ],
)
def test_errors_tell_the_place_and_no_word(text, reason):
    with pytest.raises(KeyFormatError, match=reason) as error:
        words_from_text(text)
    assert "abou" not in str(error.value)
    assert "qqq" not in str(error.value)


def test_counts_are_bounded():
    with pytest.raises(KeyFormatError, match="or 24 words"):
        new_words(13)


@given(st.text(max_size=200))
def test_any_text_is_refused(text):
    with pytest.raises(KeyFormatError):
        words_from_text(text)
