"""Core's methods that sign: by keys, by the wallet, several one after the other."""

from typing import Any

import pytest

from misocoin.crypto.hashes import hash160, sha256
from misocoin.crypto.wif import wif_from_key
from misocoin.params import regtest
from misocoin.script.address import address_from_script
from misocoin.script.templates import multisig_script, p2sh_script, p2wsh_script
from tests.unit.rpc.core.conftest import KEYS, MINER, MINER_WIF, Coins, CoreNode, first_output, pay

WIFS = [wif_from_key(key, 239) for key in KEYS]


@pytest.mark.parametrize("in_segwit", [False, True])
def test_a_multisig_is_signed_by_one_after_the_other(
    core: CoreNode, coins: Coins, in_segwit: bool
) -> None:
    script = multisig_script(2, tuple(key.public_key for key in KEYS))
    program = p2wsh_script(sha256(script))
    output = p2sh_script(hash160(program if in_segwit else script))
    address = address_from_script(output, regtest())
    assert address is not None
    funding = pay(core, coins.take(), 49.999, address)
    core.sendrawtransaction(funding)
    vin = first_output(core, funding)
    prev = {**vin, "scriptPubKey": output.hex(), "amount": 49.999}
    prev |= (
        {"redeemScript": program.hex(), "witnessScript": script.hex()}
        if in_segwit
        else {"redeemScript": script.hex()}
    )
    raw = core.createrawtransaction([vin], [{MINER: 49.99}])
    half = core.signrawtransactionwithkey(raw, WIFS[:1], [prev])
    assert not half["complete"]
    assert half["errors"][0]["txid"] == vin["txid"]
    whole = core.signrawtransactionwithkey(half["hex"], WIFS[1:], [prev])
    assert whole["complete"], whole
    core.sendrawtransaction(whole["hex"])
    core.generatetoaddress(1, MINER)


def test_the_signatures_of_several_are_combined(core: CoreNode, coins: Coins) -> None:
    made = core.createmultisig(2, [key.public_key.hex() for key in KEYS], "bech32")
    script = core.validateaddress(made["address"])["scriptPubKey"]
    funding = core.createrawtransaction([coins.take()], [{made["address"]: 49.99}])
    funded = core.signrawtransactionwithkey(funding, [MINER_WIF])["hex"]
    vin = {"txid": core.sendrawtransaction(funded), "vout": 0}
    raw = core.createrawtransaction([vin], [{MINER: 49.98}])
    prev = {**vin, "scriptPubKey": script, "witnessScript": made["redeemScript"], "amount": 49.99}
    parts = [core.signrawtransactionwithkey(raw, [wif], [prev])["hex"] for wif in WIFS]
    whole = core.combinerawtransaction(parts[::-1])
    assert core.combinerawtransaction([whole, raw]) == whole
    assert core.testmempoolaccept([whole])[0]["allowed"]
    nothing = core.signrawtransactionwithkey(raw, [], [prev])
    # As Core: one empty element for every two signatures that are missing.
    assert core.decoderawtransaction(nothing["hex"])["vin"][0]["txinwitness"] == [
        "",
        "",
        made["redeemScript"],
    ]
    hint = "Make sure the tx has at least one input."
    assert core.error("combinerawtransaction", []) == (-22, "Missing transactions")
    assert core.error("combinerawtransaction", [raw, "00"]) == (
        -22,
        f"TX decode failed for tx 1. {hint}",
    )
    unknown = core.createrawtransaction([{"txid": "33" * 32, "vout": 0}], [{MINER: 1}])
    assert core.error("combinerawtransaction", [unknown]) == (
        -25,
        "Input not found or already spent",
    )


@pytest.mark.parametrize(
    ("more", "code", "words"),
    [
        ({"txid": "00"}, -8, "txid must be of length 64 (not 2, for '00')"),
        (
            {"txid": 5},
            -3,
            "JSON value of type number for field txid is not of expected type string",
        ),
        ({"vout": -1}, -22, "vout cannot be negative"),
        ({"vout": 1.5}, -1, "JSON integer out of range"),
        ({"vout": None}, -3, "Missing vout"),
        ({"scriptPubKey": ""}, -8, "scriptPubKey must be hexadecimal string (not '')"),
        ({"amount": "x"}, -3, "Invalid amount"),
        ({}, -8, "Missing redeemScript/witnessScript"),
        ({"redeemScript": "52"}, -8, "redeemScript/witnessScript does not match scriptPubKey"),
        (
            {"redeemScript": "51", "witnessScript": "52"},
            -8,
            "redeemScript does not correspond to witnessScript",
        ),
    ],
)
def test_an_output_that_is_told_of_wrongly(
    core: CoreNode, more: dict[str, Any], code: int, words: str
) -> None:
    vin = {"txid": "44" * 32, "vout": 0}
    raw = core.createrawtransaction([vin], [{MINER: 1}])
    # The hash of the script OP_1.
    script = "a914da1745e9b549bd0bfa1a569971c77eba30cd5a4b87"
    told = {**vin, "scriptPubKey": script, **more}
    assert core.error("signrawtransactionwithkey", raw, [MINER_WIF], [told]) == (code, words)


def test_signing_without_keys_or_coins(core: CoreNode, coins: Coins) -> None:
    raw = core.createrawtransaction([coins.take()], [{MINER: 1}])
    error = core.signrawtransactionwithkey(raw, [])["errors"][0]["error"]
    assert error == "Witness program hash mismatch"
    unknown = core.createrawtransaction([{"txid": "33" * 32, "vout": 0}], [{MINER: 1}])
    error = core.signrawtransactionwithkey(unknown, [MINER_WIF])["errors"][0]["error"]
    assert error == "Input not found or already spent"
    assert core.error("signrawtransactionwithkey", raw, ["x"]) == (-5, "Invalid private key")
    assert core.error("signrawtransactionwithkey", raw, [], [], "SOME")[0] == -8
    assert core.error("signrawtransactionwithkey", raw, [], [{"txid": "00" * 32}])[0] == -3


def test_what_is_told_of_an_output(core: CoreNode, coins: Coins) -> None:
    vin = coins.take()
    raw = core.createrawtransaction([vin], [{MINER: 49.99}])
    script = core.gettxout(vin["txid"], 0)["scriptPubKey"]["hex"]
    # The amount of a coin that is known need not be told; that of another must, for a witness.
    known = core.signrawtransactionwithkey(raw, [MINER_WIF], [{**vin, "scriptPubKey": script}])
    assert known["complete"]
    assert core.testmempoolaccept([known["hex"]])[0]["allowed"]
    mismatch = {**vin, "scriptPubKey": "51"}
    assert core.error("signrawtransactionwithkey", raw, [MINER_WIF], [mismatch]) == (
        -22,
        "Previous output scriptPubKey mismatch:",  # and both
    )
    other = {"txid": "44" * 32, "vout": 0}
    raw = core.createrawtransaction([other], [{MINER: 1}])
    told = {**other, "scriptPubKey": script}
    assert core.error("signrawtransactionwithkey", raw, [MINER_WIF], [told]) == (
        -3,
        f"Missing amount for CTxOut(nValue=21000000.00000000, scriptPubKey={script[:30]})",
    )
    whole = core.signrawtransactionwithkey(raw, [MINER_WIF], [{**told, "amount": 2}])
    assert whole["complete"]


def test_the_wallet_signs_what_is_its_own(core: CoreNode) -> None:
    own = core.get_new_address()
    core.generatetoaddress(1, own)
    txid = core.getblock(core.getbestblockhash())["tx"][0]
    raw = core.createrawtransaction([{"txid": txid, "vout": 0}], [{MINER: 1}])
    assert core.signrawtransactionwithwallet(raw)["complete"]
    assert core.error("signrawtransactionwithwallet", raw, [], "SOME")[0] == -8


def test_taproot_is_signed_by_the_script_of_a_descriptor(core: CoreNode, coins: Coins) -> None:
    keys = ",".join([key.public_key.hex() for key in KEYS])
    nobody = "50929b74c1a04954b78b4b6035e97a5e078a5a0f28ec96d547bfee9ace803ac0"
    desc = core.getdescriptorinfo(f"tr({nobody},{{pk({nobody}),multi_a(2,{keys})}})")["descriptor"]
    (address,) = core.deriveaddresses(desc)
    vin = first_output(core, paid := pay(core, coins.take(), 49.999, address))
    core.sendrawtransaction(paid)
    script = core.validateaddress(address)["scriptPubKey"]
    told = [{**vin, "scriptPubKey": script, "amount": 49.999, "desc": desc}]
    raw = core.createrawtransaction([vin], [{MINER: 49.99}])
    alone = core.signrawtransactionwithkey(raw, [WIFS[0]])
    assert alone["errors"][0]["error"] == "Witness program was passed an empty witness"
    half = core.signrawtransactionwithkey(raw, [WIFS[0]], told)
    assert not half["complete"]
    whole = core.signrawtransactionwithkey(half["hex"], [WIFS[1]], told)
    assert whole == {"hex": whole["hex"], "complete": True}
    core.sendrawtransaction(whole["hex"])

    def error(**wrong: str) -> tuple[int, str]:
        return core.error("signrawtransactionwithkey", raw, [WIFS[0]], [{**told[0], **wrong}])

    assert error(desc=f"addr({MINER})") == (-8, "desc does not stand for scriptPubKey")
    assert error(desc="tr()")[0] == -5


def test_the_scripts_behind_a_hash_follow_from_a_descriptor(core: CoreNode, coins: Coins) -> None:
    multi = f"sh(wsh(multi(2,{','.join([key.public_key.hex() for key in KEYS])})))"
    address = core.deriveaddresses(core.getdescriptorinfo(multi)["descriptor"])[0]
    vin = first_output(core, paid := pay(core, coins.take(), 49.999, address))
    core.sendrawtransaction(paid)
    script = core.validateaddress(address)["scriptPubKey"]
    raw = core.createrawtransaction([vin], [{MINER: 49.99}])
    told = [{**vin, "scriptPubKey": script, "amount": 49.999, "desc": multi}]
    signed = core.signrawtransactionwithkey(raw, WIFS, told)
    assert signed["complete"]
    core.sendrawtransaction(signed["hex"])
