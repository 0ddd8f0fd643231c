"""Descriptors: checksums and scripts of BIP380 to BIP386 and of Core's own help."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from misocoin.errors import KeyFormatError, ParseError
from misocoin.params import Params, bitcoin, regtest
from misocoin.script.descriptor import Descriptor, descriptors_from_text
from misocoin.script.descriptor_text import (
    descriptor_checksum,
    descriptor_from_script,
    with_checksum,
)
from misocoin.script.templates import template_from_script

KEY = "02c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5"
OTHER = "022f8bde4d1a07209355b4a7250a5c5128e88b84bddc619ab7cba8d569b240efe4"
THIRD = "025cbdf0646e5db4eaa398f365f2ea7a0e3d419b7e0330e39ce92bddedcac4f9bc"
XONLY = "a34b99f22c790c4e36b2b3c2c35a36db06226e41c692fc82b8b56ac1c540c5bd"
WIF = "L4rK1yDtCWekvXuE6oXD9jCYfFNV2cWRpVuPLBcCU2z8TrisoyY1"
WIF_KEY = "03a34b99f22c790c4e36b2b3c2c35a36db06226e41c692fc82b8b56ac1c540c5bd"


XPUB = (
    "xpub6ERApfZwUNrhLCkDtcHTcxd75RbzS1ed54G1LkBUHQVHQKqhMkhgbmJbZRkrgZw4koxb5JaHWkY4ALHY2grBGRjaD"
    "MzQLcgJvLJuZZvRcEL"
)
XPRV = (
    "xprvA1RpRA33e1JQ7ifknakTFpgNXPmW2YvmhqLQYMmrj4xJXXWYpDPS3xz7iAxn8L39njGVyuoseXzU6rcxFLJ8HFsTj"
    "SyQbLYnMpCqE2VbFWc"
)


def one(text: str, params: Params | None = None, *, require_checksum: bool = False) -> Descriptor:
    (found,) = descriptors_from_text(text, params or bitcoin(), require_checksum=require_checksum)
    return found


def scripts_of(text: str, params: Params | None = None, index: int = 0) -> list[str]:
    params = params or bitcoin()
    outputs = one(text, params).expand(params, index).outputs
    return [script.hex() for script, _ in outputs]


@pytest.mark.parametrize(
    "text",
    [
        "raw(deadbeef)#89f8spxm",
        f"pkh({KEY})#8fhd9pwu",
        f"multi(1,{OTHER},{THIRD})#hzhjw406",
        f"tr({XONLY})#dh4fyxrd",
    ],
)
def test_checksums(text: str) -> None:
    body, _, checksum = text.partition("#")
    assert descriptor_checksum(body) == checksum
    assert one(body).text == text
    assert one(text, require_checksum=True).text == text


@pytest.mark.parametrize(
    ("text", "scripts"),
    [
        ("raw(deadbeef)", ["deadbeef"]),
        (f"pk({WIF})", [f"21{WIF_KEY}ac"]),
        (f"pkh({WIF})", ["76a9149a1c78a507689f6f54b847ad1cef1e614ee23f1e88ac"]),
        (
            f"pkh([deadbeef/1/2'/3]{WIF_KEY})",
            ["76a9149a1c78a507689f6f54b847ad1cef1e614ee23f1e88ac"],
        ),
        (f"wpkh({WIF_KEY})", ["00149a1c78a507689f6f54b847ad1cef1e614ee23f1e"]),
        (f"sh(wpkh({WIF_KEY}))", ["a91484ab21b1b2fd065d4504ff693d832434b6108d7b87"]),
        (
            f"combo({WIF_KEY})",
            [
                f"21{WIF_KEY}ac",
                "76a9149a1c78a507689f6f54b847ad1cef1e614ee23f1e88ac",
                "00149a1c78a507689f6f54b847ad1cef1e614ee23f1e",
                "a91484ab21b1b2fd065d4504ff693d832434b6108d7b87",
            ],
        ),
        (f"tr({XONLY})", ["512077aab6e066f8a7419c5ab714c12c67d25007ed55a43cadcacb4d7a970a093f11"]),
        (f"rawtr({XONLY})", [f"5120{XONLY}"]),
        (f"multi(1,{OTHER},{THIRD})", [f"5121{OTHER}21{THIRD}52ae"]),
        (f"sortedmulti(1,{THIRD},{OTHER})", [f"5121{OTHER}21{THIRD}52ae"]),
    ],
)
def test_scripts(text: str, scripts: list[str]) -> None:
    assert scripts_of(text) == scripts


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not a valid descriptor function"),
        ("pkh", "not a valid descriptor function"),
        ("what(00)", "'what' is not a valid descriptor function"),
        ("raw(deadbeef)#", "Expected 8 character checksum, not 0 characters"),
        ("raw(deadbeef)#89f8spxn", "does not match computed checksum '89f8spxm'"),
        ("raw(zz)", "Raw script is not hex"),
        ("addr(nobody)", "Address is not valid"),
        ("pk(02)", "Pubkey '02' is invalid"),
        ("pk(xpub)", "key 'xpub' is not valid"),
        (f"sh(sh(pk({KEY})))", "Can only have sh() at top level"),
        (f"sh(tr({XONLY}))", "Can only have tr at top level"),
        (f"wsh(multi_a(1,{XONLY}))", "Can only have multi_a/sortedmulti_a inside tr()"),
        (f"multi(3,{KEY},{OTHER})", "threshold is 3 but only 2 keys"),
        (f"multi(x,{KEY})", "Multi threshold 'x' is not valid"),
        (f"multi(1,{KEY},{KEY},{KEY},{KEY})", "Cannot have 4 pubkeys in bare multisig"),
        (f"tr({XONLY},wpkh({KEY}))", "Can only have wpkh() at top level or inside sh()"),
        (f"tr({XONLY},{{pk({KEY})}})", "tr(): expected ','"),
        (f"tr({XONLY},{{pk({KEY}),pk({KEY})", "tr(): expected '}'"),
        ("raw(00)\n", "Invalid characters in payload"),
    ],
)
def test_bad_ones(text: str, words: str) -> None:
    with pytest.raises(ParseError, match=words.replace("(", r"\(").replace(")", r"\)")):
        one(text)


def test_an_uncompressed_key_has_no_place_in_segwit() -> None:
    key = "04" + "".join(
        (
            "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798",
            "483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8",
        )
    )
    assert len(scripts_of(f"combo({key})")) == 2
    with pytest.raises(ParseError, match="Uncompressed keys are not allowed"):
        one(f"wpkh({key})")


@pytest.mark.parametrize(
    ("script", "body"),
    [
        (f"21{KEY}ac", f"pk({KEY})"),
        ("21" + "02" + "ff" * 32 + "ac", "pk(02" + "ff" * 32 + ")"),
        ("41" + "06" + "ff" * 64 + "ac", "raw(41" + "06" + "ff" * 64 + "ac)"),
        (f"5121{OTHER}21{THIRD}52ae", f"multi(1,{OTHER},{THIRD})"),
        ("0014" + "751e76e8199196d454941c45d1b3a323f1433bd6", None),
        (f"5120{XONLY}", f"rawtr({XONLY})"),
        ("6a0101", "raw(6a0101)"),
        ("", "raw()"),
    ],
)
def test_what_is_inferred_of_a_script(script: str, body: str | None) -> None:
    code = bytes.fromhex(script)
    text, address = descriptor_from_script(code, template_from_script(code), regtest())
    assert text == with_checksum(body or f"addr({address})")
    if body is None:
        assert scripts_of(text, regtest()) == [script]


_WORDS = st.sampled_from(
    [
        *("pk(", "sh(", "wsh(", "multi(", "multi_a(", "tr(", "combo(", "addr(", "raw("),
        *(")", "{", "}", ",", "#", "1", "[deadbeef", "]", "/0", "/1h", "/<0;1>", "/*", "/*'"),
        *(KEY, XONLY, WIF, XPUB, XPRV),
    ]
)


@given(st.one_of(st.text(max_size=80), st.lists(_WORDS, max_size=12).map("".join)))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = descriptors_from_text(text, bitcoin())
    except ParseError:
        return
    for each in found:
        again = one(each.text, require_checksum=True)
        assert again.text == each.text
        with suppress(KeyFormatError):
            assert again.expand(bitcoin()) == each.expand(bitcoin())
