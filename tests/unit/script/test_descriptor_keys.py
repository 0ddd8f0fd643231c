"""Keys in descriptors, ranges, paths and trees: the vectors of BIP380, 386, 387, 389 and Core's."""

import pytest

from misocoin.errors import KeyFormatError, ParseError
from misocoin.params import bitcoin, regtest
from misocoin.script.descriptor import Descriptor, descriptors_from_text
from misocoin.script.descriptor_text import with_checksum

WIF = "L4rK1yDtCWekvXuE6oXD9jCYfFNV2cWRpVuPLBcCU2z8TrisoyY1"
WIF_B = "KzoAz5CanayRKex3fSLQ2BwJpN7U52gZvxMyk78nDMHuqrUxuSJy"
KEY = "a34b99f22c790c4e36b2b3c2c35a36db06226e41c692fc82b8b56ac1c540c5bd"
KEY_B = "669b8afcec803a0d323e9a17f3ea8e68e8abe5a278020a929adbec52421adbd0"
KEY_C = "02df12b7035bdac8e3bab862a3a83d06ea6b17b6753d52edecba9be46f5d09e076"
NOBODY = "50929b74c1a04954b78b4b6035e97a5e078a5a0f28ec96d547bfee9ace803ac0"
XPRV = (
    "xprvA1RpRA33e1JQ7ifknakTFpgNXPmW2YvmhqLQYMmrj4xJXXWYpDPS3xz7iAxn8L39njGVyuoseXzU6rcxFLJ8HFsTj"
    "SyQbLYnMpCqE2VbFWc"
)
XPUB = (
    "xpub6ERApfZwUNrhLCkDtcHTcxd75RbzS1ed54G1LkBUHQVHQKqhMkhgbmJbZRkrgZw4koxb5JaHWkY4ALHY2grBGRjaD"
    "MzQLcgJvLJuZZvRcEL"
)
XPRV_B = (
    "xprv9uPDJpEQgRQfDcW7BkF7eTya6RPxXeJCqCJGHuCJ4GiRVLzkTXBAJMu2qaMWPrS7AANYqdq6vcBcBUdJCVVFceUvJ"
    "FjaPdGZ2y9WACViL4L"
)
XPRV_C = (
    "xprvA2JDeKCSNNZky6uBCviVfJSKyQ1mDYahRjijr5idH2WwLsEd4Hsb2Tyh8RfQMuPh7f7RtyzTtdrbdqqsunu5Mm3wD"
    "vUAKRHSC34sJ7in334"
)
MASTER = (
    "xprv9s21ZrQH143K31xYSDQpPDxsXRTUcvj2iNHm5NUtrGiGG5e2DtALGdso3pGz6ssrdK4PFmM8NSpSBHNqPqm55Qn3L"
    "qFtT2emdEXVYsCzC2U"
)
MASTER_PUB = (
    "xpub661MyMwAqRbcFW31YEwpkMuc5THy2PSt5bDMsktWQcFF8syAmRUapSCGu8ED9W6oDMSgv6Zz8idoc4a6mr8BDzTJY"
    "47LJhkJ8UB7WEGuduB"
)
RANGED = (
    "xpub69H7F5d8KSRgmmdJg2KhpAK8SR3DjMwAdkxj3ZuxV27CprR9LgpeyGmXUbC6wb7ERfvrnKZjXoUmmDznezpbZb7ap"
    "6r1D3tgFxHmwMkQTPH"
)
TEST_PRV = (
    "tprv8ZgxMBicQKsPd7Uf69XL1XwhmjHopUGep8GuEiJDZmbQz6o58LninorQAfcKZWARbtRtfnLcJ5MQ2AtHcQJCCRUcM"
    "RvmDUjyEmNUWwx8UbK"
)
TEST_PUB = (
    "tpubD6NzVbkrYhZ4WaWSyoBvQwbpLkojyoTZPRsgXELWz3Popb3qkjcJyJUGLnL4qHHoQvao8ESaAstxYSnhyswJ76uZP"
    "StJRJCTKvosUCJZL5B"
)


def one(text: str) -> Descriptor:
    (found,) = descriptors_from_text(text, bitcoin())
    return found


@pytest.mark.parametrize(
    ("text", "scripts"),
    [
        (
            f"pkh([01234567/10/20]{MASTER}/2147483647'/0)",
            ["76a914ebdc90806a9c4356c1c88e42216611e1cb4c1c1788ac"],
        ),
        (
            f"wpkh([ffffffff/13h]{RANGED}/1/2/*)",
            [
                "0014326b2249e3a25d5dc60935f044ee835d090ba859",
                "0014af0bd98abc2f2cae66e36896a39ffe2d32984fb7",
                "00141fa798efd1cbf95cebf912c031b8a4a6e9fb9f27",
            ],
        ),
        (
            f"tr({XPRV}/0/*,pk({XPRV}/1/*))",
            [
                "512078bc707124daa551b65af74de2ec128b7525e10f374dc67b64e00ce0ab8b3e12",
                "512001f0a02a17808c20134b78faab80ef93ffba82261ccef0a2314f5d62b6438f11",
                "512021024954fcec88237a9386fce80ef2ced5f1e91b422b26c59ccfc174c8d1ad25",
            ],
        ),
        (
            f"tr({KEY},pk({KEY_B}))",
            ["512017cf18db381d836d8923b1bdb246cfcd818da1a9f0e6e7907f187f0b2f937754"],
        ),
        (
            f"tr({KEY},{{pk({XPRV_C}/0),{{{{pk({XPUB}),pk({KEY_C})}},pk({WIF})}}}})",
            ["512071fff39599a7b78bc02623cbe814efebf1a404f5d8ad34ea80f213bd8943f574"],
        ),
        (
            f"tr({WIF},multi_a(1,{WIF_B}))",
            ["5120eb5bd3894327d75093891cc3a62506df7d58ec137fcd104cdd285d67816074f3"],
        ),
        (
            f"tr({NOBODY},multi_a(2,[00000000/111'/222]{XPRV},{XPRV_B}/0))",
            ["51202eea93581594a43c0c8423b70dc112e5651df63984d108d4fc8ccd3b63b4eafa"],
        ),
        (
            f"tr({NOBODY},sortedmulti_a(2,[00000000/111'/222]{XPRV},{XPRV_B}/0))",
            ["512016fa6a6ba7e98c54b5bf43b3144912b78a61b60b02f6a74172b8dcb35b12bc30"],
        ),
    ],
)
def test_scripts_of_a_range(text: str, scripts: list[str]) -> None:
    found = one(text)
    assert found.is_range == (len(scripts) > 1)
    for index, script in enumerate(scripts):
        ((output, _),) = found.expand(bitcoin(), index).outputs
        assert output.hex() == script


def test_a_secret_is_not_shown() -> None:
    for text, public in (
        (f"tr({WIF},pk({WIF_B}))", f"tr({KEY},pk({KEY_B}))"),
        (f"pkh([DEADBEEF/1']{MASTER}/7h/*')", f"pkh([deadbeef/1']{MASTER_PUB}/7h/*')"),
        (f"wpkh({XPRV})", f"wpkh({XPUB})"),
        (f"wsh(sortedmulti(1,{XPRV}/1/*,{KEY_C}))", f"wsh(sortedmulti(1,{XPUB}/1/*,{KEY_C}))"),
    ):
        found = one(text)
        assert found.has_private_keys
        assert found.text == with_checksum(public)
        assert not one(public).has_private_keys


def test_the_descriptor_of_one_script() -> None:
    """As Core's scantxoutset reports them (its test rpc_scantxoutset.py)."""
    for text, index, place, expected in (
        (
            f"combo({TEST_PRV}/0h/0h/*)",
            1,
            1,
            "pkh([0c5f9a1e/0h/0h/1]"
            "033e6f25d76c00bedb3a8993c7d5739ee806397f0529b1b31dda31ef890f19a60c)#mcjajulr",
        ),
        (
            f"combo({TEST_PUB}/1/1/*)",
            1500,
            1,
            "pkh([0c5f9a1e/1/1/1500]"
            "03832901c250025da2aebae2bfb38d5c703a57ab66ad477f9c578bfbcd78abca6f)#vchwd07g",
        ),
    ):
        (found,) = descriptors_from_text(text, regtest())
        assert found.expand(regtest(), index).outputs[place].text == expected


def test_several_paths() -> None:
    """Core's descriptor_tests.cpp."""
    found = descriptors_from_text(f"pkh({MASTER}/<0;1;2>)", bitcoin())
    assert [each.text for each in found] == [
        with_checksum(f"pkh({MASTER_PUB}/{number})") for number in range(3)
    ]
    scripts = [each.expand(bitcoin()).outputs[0].script.hex() for each in found]
    assert scripts == [
        "76a9145a61ff8eb7aaca3010db97ebda76121610b7809688ac",
        "76a9142f792a782cf4adbb321fe646c8e220563649b8fa88ac",
        "76a914dcc5b93b52177d78f97b3f2d259b9a86ee1403b188ac",
    ]
    second = descriptors_from_text(f"wpkh([ffffffff/13h]{RANGED}/<1;3>/2/*)", bitcoin())[1]
    outputs = second.expand(bitcoin(), 2).outputs
    assert outputs[0].script.hex() == "00146e92cbaa397f9caeccf9a049460258af6ccd67e2"
    assert outputs[0].text.startswith("wpkh([ffffffff/13h/3/2/2]")


def test_hardened_children_need_the_private_key() -> None:
    for text in (f"pkh({MASTER_PUB}/1h/2)", f"pkh({MASTER_PUB}/*h)"):
        with pytest.raises(KeyFormatError, match="Cannot derive script without private keys"):
            one(text).expand(bitcoin())
    assert one(f"pkh({MASTER}/*h)").expand(bitcoin(), 5)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"combo([012345678]{XPUB})", "Fingerprint is not 4 bytes (9 characters"),
        (f"pkh([0123456g]{XPUB})", "pkh(): Fingerprint '0123456g' is not hex"),
        (f"pkh(x[01234567]{XPUB})", "Key origin start '[ character expected"),
        (f"pkh([01234567]]{XPUB})", "Multiple ']' characters found"),
        (f"pkh({XPUB}/2147483648)", "pkh(): Key path value 2147483648 is out of range"),
        (f"pkh({XPUB}/1aa)", "pkh(): Key path value '1aa' is not a valid uint32"),
        (f"pkh({XPUB}/+1)", "pkh(): Key path value '+1' is not a valid uint32"),
        (f"pkh({XPUB}/*/1)", "Key path value '*' is not a valid uint32"),
        (f"pkh({XPUB}/)", "Key path value '' is not a valid uint32"),
        (f"pkh({TEST_PUB})", f"pkh(): key '{TEST_PUB}' is not valid"),
        (f"pkh({KEY_C}/0)", "is not valid"),
        (f"pkh({MASTER}/<0;1>/<2;3>)", "Multiple multipath key path specifiers found"),
        (f"pkh({MASTER}/<0>)", "must have at least two items"),
        (f"pkh({MASTER}/<0;0>)", "Duplicated key path value 0"),
        (f"pkh({MASTER}/<{';'.join(map(str, range(17)))}>)", "16 paths at most"),
        (f"pkh([deadbeef/<0;1>]{MASTER}/0)", "in a section where multipath is not allowed"),
        (f"multi(1,{XPUB}/<0;1>,{XPUB}/<0;1;2>)", "mismatched lengths"),
        ("pkh(06" + "11" * 64 + ")", "pkh(): "),
        (f"sh(multi(1,{','.join([KEY_C] * 16)}))", "P2SH script is too large, 547 bytes"),
        (f"wsh(multi(1,{','.join([KEY_C] * 21)}))", "Cannot have 21 keys in multi"),
        (f"tr({KEY},{'{' * 200}pk({KEY_B}){'}' * 200})", "tr(): expected ','"),
        (
            f"tr({KEY}," + f"{{pk({KEY_B})," * 130 + f"pk({KEY_B})" + "}" * 130 + ")",
            "tr() supports at most 128 nesting levels",
        ),
    ],
)
def test_bad_ones(text: str, words: str) -> None:
    with pytest.raises(ParseError) as caught:
        descriptors_from_text(text, bitcoin())
    assert words in str(caught.value)
