"""Core's methods on addresses, messages and the interface."""

import pytest

from misocoin.params import bitcoin
from misocoin.rpc.core.control import LOG_CATEGORIES
from misocoin.rpc.core.util import CoreUtil
from misocoin.rpc.declare import methods_of
from misocoin.rpc.registry import Registry
from tests.unit.rpc.core.conftest import MINER, MINER_WIF, CoreNode

KEYS = (
    "02fe6f0a5a297eb38c391581c4413e084773ea23954d93f7753db7dc0adc188b2f",
    "02ff12471208c14bd580709cb2358d98975247d8765f92bc25eab3b2763ed605f8",
)
SIGNATURE = (
    "INbVnW4e6PeRmsv2Qgu8NuopvrVjkcxob+sX8OcZG0SALhWybUjzMLPdAsXI46YZGb0KQTRii+wWIQzRpG/U+S0="
)


def test_an_address(core: CoreNode) -> None:
    assert core.validateaddress(MINER) == {
        "isvalid": True,
        "address": MINER,
        "scriptPubKey": "0014751e76e8199196d454941c45d1b3a323f1433bd6",
        "isscript": False,
        "iswitness": True,
        "witness_version": 0,
        "witness_program": "751e76e8199196d454941c45d1b3a323f1433bd6",
    }
    legacy = core.validateaddress("mrCDrCybB6J1vRfbwM5hemdJz73FwDBC8r")
    assert (legacy["isscript"], legacy["iswitness"]) == (False, False)


def test_what_is_wrong_with_an_address_and_where(core: CoreNode) -> None:
    assert core.validateaddress("bcrt1qdl4cnqgu8z0hm0p4m5xrz4k26g8rv8z4yremgg") == {
        "isvalid": False,
        "error_locations": [20],
        "error": "Invalid Bech32 checksum",
    }


def test_addresses_of_programs_to_come(core: CoreNode) -> None:
    anchor = core.validateaddress("bcrt1pfeesnyr2tx")
    assert anchor == {
        "isvalid": True,
        "address": "bcrt1pfeesnyr2tx",
        "scriptPubKey": "51024e73",
        "isscript": True,
        "iswitness": True,
    }
    later = core.validateaddress("bcrt1sf3qslnwqwv")
    assert "isscript" not in later
    assert (later["witness_version"], later["witness_program"]) == (16, "4c41")


def test_a_multisig_address_of_bip67_s_vector() -> None:
    registry = Registry(methods_of(CoreUtil(bitcoin())), check_results=True)
    made = registry.call("createmultisig", [2, list(KEYS)])
    assert made["address"] == "39bgKC7RFbpoCRbtD5KEdkYKtNyhpsNa3Z"
    assert made["redeemScript"] == f"5221{KEYS[0]}21{KEYS[1]}52ae"
    assert made["descriptor"].startswith(f"sh(multi(2,{KEYS[0]},{KEYS[1]}))#")


@pytest.mark.parametrize(
    ("kind", "start", "descriptor"),
    [("bech32", "bcrt1q", "wsh(multi("), ("p2sh-segwit", "2", "sh(wsh(multi(")],
)
def test_multisig_by_type(core: CoreNode, kind: str, start: str, descriptor: str) -> None:
    made = core.createmultisig(1, list(KEYS), kind)
    assert made["address"].startswith(start)
    assert made["descriptor"].startswith(descriptor)


@pytest.mark.parametrize(
    ("params", "code", "message"),
    [
        ((0, list(KEYS)), -8, "a multisignature address must require at least one key to redeem"),
        ((3, list(KEYS)), -8, "not enough keys supplied (got 2 keys, but need at least 3"),
        ((1, [KEYS[0]] * 17), -8, "redeemScript exceeds size limit: 582 > 520"),
        ((2, [KEYS[0]] * 21), -8, "Number of keys involved in the multisignature address creat"),
        ((1, ["zz"]), -5, 'Pubkey "zz" must be a hex string'),
        ((1, ["0202"]), -5, 'Pubkey "0202" must have a length of either 33 or 65 bytes'),
        ((1, [5]), -3, "JSON value of type number is not of expected type string"),
        ((1, ["0" * 66]), -5, f'Pubkey "{"0" * 66}" must be cryptographically valid.'),
        ((1, ["g" * 66]), -5, f'Pubkey "{"g" * 66}" must be a hex string'),
        ((1, list(KEYS), "bech32m"), -5, "createmultisig cannot create bech32m"),
        ((1, list(KEYS), "x"), -5, "Unknown address type 'x'"),
        ((16, [KEYS[0]] * 16), -8, "redeemScript exceeds size limit: 547 > 520"),
    ],
)
def test_a_multisig_that_cannot_be(
    core: CoreNode, params: tuple[object, ...], code: int, message: str
) -> None:
    found = core.error("createmultisig", *params)
    assert found[0] == code
    assert found[1].startswith(message)


def test_a_multisig_of_more_keys_than_legacy_holds(core: CoreNode) -> None:
    made = core.createmultisig(2, [KEYS[0]] * 20, "bech32")
    assert made["redeemScript"].endswith("0114ae")


def test_a_key_in_hybrid_form_stands_in_no_descriptor(core: CoreNode) -> None:
    # The generator of secp256k1, whose y is even.
    key = (
        "0679be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
        "483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8"
    )
    made = core.createmultisig(1, [key])
    assert made["descriptor"] == "addr(2Mxad18poAsccwB4mxvaXPXbb23rLxKZBee)#6rqg3pus"


def test_a_message_signed_and_verified_as_core_s_own_tests_do(core: CoreNode) -> None:
    key = "cUeKHd5orzT3mz8P9pxyREHfsWtVfgsfDjiZZBcjUBAaGk1BTj7N"
    address, message = "mpLQjfK79b7CCV4VMJWEWAj5Mpx8Up5zxB", "This is just a test message"
    assert core.signmessagewithprivkey(key, message) == SIGNATURE
    assert core.verifymessage(address, SIGNATURE, message) is True
    assert core.verifymessage(address, SIGNATURE, message + ".") is False
    own = core.signmessagewithprivkey(MINER_WIF, "x")
    assert core.verifymessage(MINER, own, "x") is True


def test_messages_that_cannot_be(core: CoreNode) -> None:
    assert core.error("signmessagewithprivkey", "x", "y") == (-5, "Invalid private key")
    assert core.error("verifymessage", "x", SIGNATURE, "y") == (-5, "Invalid address")
    for malformed in ("", "%", "AAA", f" {SIGNATURE}", f"{SIGNATURE}\n"):
        assert core.error("verifymessage", MINER, malformed, "y") == (
            -3,
            "Malformed base64 encoding",
        )
    for short in ("AAAA", SIGNATURE[:-4]):
        assert core.verifymessage(MINER, short, "y") is False
    taproot = core.createmultisig(1, list(KEYS), "bech32")["address"]
    assert core.error("verifymessage", taproot, SIGNATURE, "y") == (
        -3,
        "Address does not refer to key",
    )


def test_the_interface(core: CoreNode) -> None:
    assert core.getrpcinfo() == {"active_commands": [], "logpath": ""}
    assert core.getzmqnotifications() == []
    assert core.uptime() >= 0
    assert core.help("getnetworkinfo").startswith("getnetworkinfo")


def test_no_memory_is_locked(core: CoreNode) -> None:
    assert set(core.getmemoryinfo()["locked"].values()) == {0}
    assert core.error("getmemoryinfo", "mallocinfo") == (-8, "mallocinfo mode not available")
    assert core.error("getmemoryinfo", "x") == (-8, "unknown mode x")


def test_what_is_logged_in_detail(core: CoreNode, caplog: pytest.LogCaptureFixture) -> None:
    nothing = dict.fromkeys(LOG_CATEGORIES, False)
    assert core.logging() == nothing
    try:
        assert core.logging(["rpc", "validation"], ["rpc"]) == {**nothing, "validation": True}
        (block,) = core.generatetoaddress(1, MINER)
        assert [each.message for each in caplog.records if block in each.message]
        assert set(core.logging(["all"]).values()) == {True}
        assert core.error("logging", ["net", "x"]) == (-8, "unknown logging category x")
        assert core.error("logging", [], [[]])[0] == -3
    finally:
        assert core.logging([], ["all"]) == nothing
    caplog.clear()
    core.generatetoaddress(1, MINER)
    assert not caplog.records
