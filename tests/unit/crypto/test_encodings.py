"""Base58, bech32, WIF: published vectors, and what a person's typing error leads to."""

import pytest

from misocoin.crypto import base58, bech32, wif
from misocoin.crypto.keys import PrivateKey
from misocoin.errors import AddressError, KeyFormatError
from tests.shared import vectors

BASE58 = [
    ("", ""),
    ("61", "2g"),
    ("626262", "a3gV"),
    ("73696d706c792061206c6f6e6720737472696e67", "2cFupjhnEsSn59qHXstmK2ffpLv2"),
    ("00eb15231dfceb60925886b67d065299925915aeb172c06647", "1NS17iag9jJgTHD1VXjvLCEnZuQ3rJDE9L"),
    ("00000000000000000000", "1111111111"),
]


@pytest.mark.parametrize(("data", "text"), BASE58)
def test_base58(data, text):
    assert base58.text_from_bytes(bytes.fromhex(data)) == text
    assert base58.bytes_from_text(text).hex() == data


def test_base58_vectors_of_core():
    cases = vectors("base58_encode_decode.json")
    for data, text in cases:
        assert base58.text_from_bytes(bytes.fromhex(data)) == text
        assert base58.bytes_from_text(text).hex() == data
    assert len(cases) == 14


@pytest.mark.parametrize("text", ["0", "O", "I", "l", "3mJr0", " 1", "1 ", "é", "\x00"])
def test_base58_refuses_other_characters(text):
    with pytest.raises(AddressError, match="not a base58 character"):
        base58.bytes_from_text(text)


def test_base58_refuses_what_takes_long():
    with pytest.raises(AddressError, match="too many"):
        base58.bytes_from_text("2" * 513)


def test_base58check_of_the_genesis_coinbase():
    # The address of the public key in Bitcoin's first block.
    address = "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"
    payload = bytes.fromhex("0062e907b15cbf27d5425399ebf6f0fb50ebb88f18")
    assert base58.checked_text_from_bytes(payload) == address
    assert base58.bytes_from_checked_text(address) == payload


def test_base58check_names_a_typing_error():
    with pytest.raises(AddressError, match="checksum"):
        base58.bytes_from_checked_text("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb")
    with pytest.raises(AddressError, match="too short"):
        base58.bytes_from_checked_text("11")


# BIP173 and BIP350, "Test vectors".
BECH32 = [
    "A12UEL5L",
    "an83characterlonghumanreadablepartthatcontainsthenumber1andtheexcludedcharactersbio1tt5tgs",
    "abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw",
    "11qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqc8247j",
    "split1checkupstagehandshakeupstreamerranterredcaperred2y9e3w",
    "?1ezyfcl",
]
BECH32M = [
    "A1LQFN3A",
    "a1lqfn3a",
    "an83characterlonghumanreadablepartthatcontainsthetheexcludedcharactersbioandnumber11sg7hg6",
    "abcdef1l7aum6echk45nj3s0wdvt2fg8x9yrzpqzd3ryx",
    "11llllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllludsr8",
    "split1checkupstagehandshakeupstreamerranterredcaperredlc445v",
    "?1v759aa",
]


@pytest.mark.parametrize(
    ("text", "encoding"),
    [(text, bech32.Encoding.BECH32) for text in BECH32]
    + [(text, bech32.Encoding.BECH32M) for text in BECH32M],
)
def test_bech32_is_read_and_written_back(text, encoding):
    prefix, digits, found = bech32.digits_from_text(text)
    assert found is encoding
    assert bech32.text_from_digits(prefix, digits, encoding) == text.lower()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("\x201xj0phk", "outside ASCII"),
        ("\x7f1g6xzxy", "outside ASCII"),
        ("\x801vctc34", "outside ASCII"),
        (
            "an84characterslonghumanreadablepartthatcontainsthetheexcludedcharactersbioandnumber1"
            "1d6pts4",
            "91 characters are too many",
        ),
        ("qyrz8wqd2c9m", "no prefix"),
        ("1qyrz8wqd2c9m", "no prefix"),
        ("y1b0jsk6g", "'b' does not occur"),
        ("lt1igcx5c0", "'i' does not occur"),
        ("in1muywd", "too short"),
        ("mm1crxm3i", "'i' does not occur"),
        ("au1s5cgom", "'o' does not occur"),
        ("M1VUXWEZ", "checksum"),
        ("16plkw9", "no prefix"),
        ("1p2gdwpf", "no prefix"),
    ],
)
def test_bech32m_refuses(text, reason):
    with pytest.raises(AddressError, match=reason):
        bech32.digits_from_text(text)


@pytest.mark.parametrize(
    ("prefix", "text", "version", "program"),
    [
        (
            "bc",
            "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4",
            0,
            "751e76e8199196d454941c45d1b3a323f1433bd6",
        ),
        (
            "tb",
            "tb1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3q0sl5k7",
            0,
            "1863143c14c5166804bd19203356da136c985678cd4d27a1b8c6329604903262",
        ),
        (
            "bc",
            "bc1pw508d6qejxtdg4y5r3zarvary0c5xw7kw508d6qejxtdg4y5r3zarvary0c5xw7kt5nd6y",
            1,
            "751e76e8199196d454941c45d1b3a323f1433bd6751e76e8199196d454941c45d1b3a323f1433bd6",
        ),
        ("bc", "BC1SW50QGDZ25J", 16, "751e"),
        (
            "bc",
            "bc1zw508d6qejxtdg4y5r3zarvaryvaxxpcs",
            2,
            "751e76e8199196d454941c45d1b3a323",
        ),
        (
            "tb",
            "tb1qqqqqp399et2xygdj5xreqhjjvcmzhxw4aywxecjdzew6hylgvsesrxh6hy",
            0,
            "000000c4a5cad46221b2a187905e5266362b99d5e91c6ce24d165dab93e86433",
        ),
        (
            "tb",
            "tb1pqqqqp399et2xygdj5xreqhjjvcmzhxw4aywxecjdzew6hylgvsesf3hn0c",
            1,
            "000000c4a5cad46221b2a187905e5266362b99d5e91c6ce24d165dab93e86433",
        ),
        (
            "bc",
            "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",
            1,
            "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798",
        ),
    ],
)
def test_segwit_addresses(prefix, text, version, program):
    assert bech32.program_from_segwit_address(prefix, text) == (version, bytes.fromhex(program))
    assert bech32.segwit_address(prefix, version, bytes.fromhex(program)) == text.lower()


@pytest.mark.parametrize(
    ("prefix", "text", "reason"),
    [
        (
            "bc",
            "tc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vq5zuyut",
            "the prefix is 'tc', this network's is 'bc'",
        ),
        (
            "bc",
            "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqh2y7hd",
            "checksum is of the wrong kind for witness version 1",
        ),
        (
            "tb",
            "tb1z0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqglt7rf",
            "checksum is of the wrong kind for witness version 2",
        ),
        (
            "bc",
            "BC1S0XLXVLHEMJA6C4DQV22UAPCTQUPFHLXM9H8Z3K2E72Q4K9HCZ7VQ54WELL",
            "checksum is of the wrong kind for witness version 16",
        ),
        (
            "bc",
            "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kemeawh",
            "checksum is of the wrong kind for witness version 0",
        ),
        (
            "tb",
            "tb1q0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vq24jc47",
            "checksum is of the wrong kind for witness version 0",
        ),
        (
            "bc",
            "bc1p38j9r5y49hruaue7wxjce0updqjuyyx0kh56v8s25huc6995vvpql3jow4",
            "'o' does not occur",
        ),
        (
            "bc",
            "BC130XLXVLHEMJA6C4DQV22UAPCTQUPFHLXM9H8Z3K2E72Q4K9HCZ7VQ7ZWS8R",
            "witness version 17 does not exist",
        ),
        ("bc", "bc1pw5dgrnzv", "1 bytes, not 2 to 40"),
        (
            "bc",
            "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7v8n0nx0muaewav253zgeav",
            "41 bytes, not 2 to 40",
        ),
        ("bc", "BC1QR508D6QEJXTDG4Y5R3ZARVARYV98GJ9P", "20 or 32 bytes, not 16"),
        (
            "tb",
            "tb1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vq47Zagq",
            "mixed",
        ),
        (
            "bc",
            "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7v07qwwzcrf",
            "padding",
        ),
        (
            "tb",
            "tb1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vpggkg4j",
            "padding",
        ),
        ("bc", "bc1gmk9yu", "version is missing"),
    ],
)
def test_segwit_addresses_that_are_refused(prefix, text, reason):
    with pytest.raises(AddressError, match=reason):
        bech32.program_from_segwit_address(prefix, text)


@pytest.mark.parametrize(("version", "size"), [(17, 32), (-1, 32), (0, 21), (1, 1), (1, 41)])
def test_programs_without_an_address(version, size):
    with pytest.raises(AddressError):
        bech32.segwit_address("bc", version, bytes(size))


KEY = PrivateKey.from_hex("0c28fca386c7a227600b2fe50b7cae11ec86d3bf1fbe471be89827e19d72aa1d")
WIF_UNCOMPRESSED = "5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvyTJ"
WIF_COMPRESSED = "KwdMAjGmerYanjeui5SHS7JkmpZvVipYvB2LJGU1ZxJwYvP98617"


def test_wif():
    assert wif.wif_from_key(KEY, 128) == WIF_COMPRESSED
    assert wif.wif_from_key(PrivateKey(KEY.secret, compressed=False), 128) == WIF_UNCOMPRESSED
    assert wif.key_from_wif(WIF_COMPRESSED, 128) == KEY
    assert wif.key_from_wif(WIF_UNCOMPRESSED, 128) == PrivateKey(KEY.secret, compressed=False)


@pytest.mark.parametrize(
    ("text", "version", "reason"),
    [
        (WIF_COMPRESSED, 239, "another network"),
        (WIF_COMPRESSED[:-1] + "8", 128, "typing error"),
        ("", 128, "typing error"),
        ("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", 128, "wrong length"),
        (base58.checked_text_from_bytes(b"\x80" + KEY.secret + b"\x02"), 128, "wrong length"),
        (base58.checked_text_from_bytes(b"\x80" + bytes(32) + b"\x01"), 128, "order of the curve"),
    ],
)
def test_wif_refuses(text, version, reason):
    with pytest.raises(KeyFormatError, match=reason):
        wif.key_from_wif(text, version)
