"""Core's methods on transactions: made, shown, tried, handed in."""

from decimal import Decimal
from typing import Any

import pytest

from misocoin.primitives.transaction import Transaction, transaction_from_bytes
from tests.unit.rpc.core.conftest import KEYS, MINER, MINER_WIF, Coins, CoreNode, first_output, pay


def test_from_nothing_to_a_block(core: CoreNode, coins: Coins) -> None:
    raw = pay(core, coins.take(), 49.999)
    txid = core.sendrawtransaction(raw)
    assert core.sendrawtransaction(raw) == txid  # again: no harm
    assert core.getrawmempool() == [txid]
    shown = core.getrawtransaction(txid, 2)
    assert shown["fee"] == 0.001
    assert shown["vin"][0]["prevout"]["value"] == 50
    assert "confirmations" not in shown
    (block,) = core.generatetoaddress(1, MINER)
    shown = core.getrawtransaction(txid, 1)
    assert (shown["blockhash"], shown["confirmations"]) == (block, 1)
    assert "in_active_chain" not in shown
    named = core.getrawtransaction(txid, 2, block)
    assert named["in_active_chain"]
    assert named["fee"] == 0.001
    assert core.getrawtransaction(txid) == raw
    assert core.error("sendrawtransaction", raw) == (-27, "Transaction outputs already in utxo set")
    spent = core.gettxspendingprevout([{"txid": named["vin"][0]["txid"], "vout": 0}])
    assert spent[0]["spendingtxid"] == txid
    assert spent[0]["blockhash"] == block


def test_what_is_there_already_may_be_sent_again(core: CoreNode, coins: Coins) -> None:
    point = coins.take()
    coinbase = core.getrawtransaction(point["txid"])
    in_a_block = (-27, "Transaction outputs already in utxo set")
    assert core.error("sendrawtransaction", coinbase) == in_a_block
    raw = pay(core, point, 49.99)
    txid = core.sendrawtransaction(raw)
    tx = transaction_from_bytes(bytes.fromhex(raw))
    twin = Transaction.build(tx.version, [tx.vin[0]._replace(witness=())], tx.vout, tx.locktime)
    assert core.sendrawtransaction(twin.serialize().hex()) == txid  # as Core: the first one stays
    assert core.getrawtransaction(txid) == raw
    core.generatetoaddress(1, MINER)
    assert core.error("sendrawtransaction", coinbase) == (-26, "coinbase")  # spent, and forgotten
    assert core.error("sendrawtransaction", raw, 0.00000001) == in_a_block


def test_transactions_that_nobody_knows(core: CoreNode) -> None:
    code, message = core.error("getrawtransaction", "00" * 32)
    assert code == -5
    assert message.startswith("No such mempool or blockchain transaction")
    genesis = core.getblock(core.getblockhash(0))["tx"][0]
    assert core.error("getrawtransaction", genesis)[1].startswith("The genesis block coinbase")
    assert core.error("getrawtransaction", "00" * 32, 1, "00" * 32) == (-5, "Block hash not found")
    code, message = core.error("getrawtransaction", "00" * 32, 0, core.getbestblockhash())
    assert message.startswith("No such transaction found in the provided block")


def test_what_can_be_asked_of_a_new_transaction(core: CoreNode) -> None:
    vin = {"txid": "11" * 32, "vout": 3}
    plain = core.decoderawtransaction(core.createrawtransaction([vin], {MINER: 1}))
    assert plain["vin"][0]["sequence"] == 0xFFFFFFFD
    assert "hex" not in plain
    final = core.createrawtransaction([vin], {"data": "00ff"}, 0, False)
    shown = core.decoderawtransaction(final)
    assert shown["vin"][0]["sequence"] == 0xFFFFFFFF
    assert shown["vout"][0]["scriptPubKey"]["type"] == "nulldata"
    locked = core.decoderawtransaction(core.createrawtransaction([vin], {}, 500, False, 3))
    assert (locked["locktime"], locked["version"]) == (500, 3)
    assert locked["vin"][0]["sequence"] == 0xFFFFFFFE
    empty = core.createrawtransaction([], {MINER: 1})
    assert core.decoderawtransaction(empty)["vin"] == []
    assert core.decoderawtransaction(empty, False)["vin"] == []


@pytest.mark.parametrize(
    ("params", "code", "words"),
    [
        ([[{"txid": "11"}], {}], -8, "txid must be of length 64"),
        ([[5], {}], -3, "JSON value of type number is not of expected type object"),
        ([[{"vout": 0}], {}], -3, "JSON value of type null is not of expected type string"),
        ([[{"txid": "11" * 32}], {}], -8, "Invalid parameter, missing vout key"),
        ([[{"txid": "11" * 32, "vout": "0"}], {}], -8, "Invalid parameter, missing vout key"),
        ([[{"txid": "11" * 32, "vout": -1}], {}], -8, "vout cannot be negative"),
        ([[{"txid": "11" * 32, "vout": 1.5}], {}], -1, "JSON integer out of range"),
        ([[{"txid": "11" * 32, "vout": 1 << 31}], {}], -1, "JSON integer out of range"),
        (
            [[{"txid": "11" * 32, "vout": 0, "sequence": 0xFFFFFFFE}], {}, 0, True],
            -8,
            "Invalid parameter combination: Sequence number(s) contradict replaceable option",
        ),
        ([[{"txid": "11" * 32, "vout": 0, "sequence": -1}], {}], -8, "sequence number"),
        ([[], {"nobody": 1}], -5, "Invalid Bitcoin address: nobody"),
        ([[], {MINER: -1}], -3, "Amount out of range"),
        ([[], {MINER: "x"}], -3, "Invalid amount"),
        ([[], {MINER: None}], -3, "Amount is not a number or string"),
        ([[], {MINER: 21_000_001}], -3, "Amount out of range"),
        ([[], [{MINER: 1}, {MINER.upper(): 1}]], -8, f"duplicated address: {MINER.upper()}"),
        ([[], [{"data": "00"}, {"data": "01"}]], -8, "duplicate key: data"),
        ([[], [5]], -8, "Invalid parameter, key-value pair not an object as expected"),
        ([[], {"data": ""}], -8, "Data must be hexadecimal string (not '')"),
        ([[], None], -8, "Invalid parameter, output argument must be non-null"),
        ([[], "x"], -3, "JSON value of type string is not of expected type array"),
        ([[], [{MINER: 1}, {MINER: 1}]], -8, "duplicated address"),
        ([[], [{MINER: 1, "data": "00"}]], -8, "exactly one key"),
        ([[], {"data": "x"}], -8, "Data must be hexadecimal string (not 'x')"),
        ([[], {}, -1], -8, "Invalid parameter, locktime out of range"),
        ([[], {}, 0, True, 9], -8, "Invalid parameter, version out of range(1~3)"),
        ([[]], -1, "createrawtransaction"),
        ([1, {}], -3, "Wrong type passed"),
    ],
)
def test_what_no_transaction_is_made_of(
    core: CoreNode, params: list[Any], code: int, words: str
) -> None:
    found, message = core.error("createrawtransaction", *params)
    assert found == code
    assert words in message


def test_a_sequence_that_is_no_number_is_the_usual_one(core: CoreNode) -> None:
    place = {"txid": "11" * 32, "vout": 0}
    assert core.createrawtransaction([place | {"sequence": "x"}], {}) == (
        core.createrawtransaction([place], {})
    )


@pytest.mark.parametrize("bad", ["", "zz", "0", "00", "0200"])
def test_what_is_no_transaction(core: CoreNode, bad: str) -> None:
    hint = "Make sure the tx has at least one input."
    for name, params, words in (
        ("decoderawtransaction", [bad], "TX decode failed"),
        ("sendrawtransaction", [bad], f"TX decode failed. {hint}"),
        ("testmempoolaccept", [[bad]], f"TX decode failed: {bad} {hint}"),
        ("submitpackage", [[bad]], f"TX decode failed: {bad} {hint}"),
        ("signrawtransactionwithkey", [bad, []], f"TX decode failed. {hint}"),
        ("signrawtransactionwithwallet", [bad], f"TX decode failed. {hint}"),
    ):
        assert core.error(name, *params) == (-22, words)


def test_a_transaction_without_inputs_is_refused_for_that(core: CoreNode) -> None:
    (trial,) = core.testmempoolaccept(["02000000000000000000"])
    assert trial["reject-reason"] == "bad-txns-vin-empty"


def test_the_form_of_a_package_counts_before_what_is_in_it_twice(core: CoreNode) -> None:
    tx = core.createrawtransaction([{"txid": "11" * 32, "vout": 0}], {MINER: 1})
    assert core.error("submitpackage", [tx, tx])[0] == -25


@pytest.mark.parametrize(
    ("script", "fields"),
    [
        ("50b1b2ae674f", {"type": "nonstandard"}),  # OP_RESERVED is for tapscript to come
        ("ba", {"type": "nonstandard"}),
        ("51", {"type": "nonstandard", "p2sh": "2MtYjSMbW9vXRPMwR3gLTGGMkV4ECWBFoLf"}),
    ],
)
def test_what_is_wrapped(core: CoreNode, script: str, fields: dict[str, str]) -> None:
    shown = core.decodescript(script)
    assert ("p2sh" in shown, "segwit" in shown) == ("p2sh" in fields, "p2sh" in fields)
    assert shown["type"] == fields["type"]


def test_the_descriptor_of_a_wrapped_multisig(core: CoreNode) -> None:
    key = "03eafad12fc68f35045343d4882fc2bbd461ddac1cb5392dd64e6ce451e81ae019"
    shown = core.decodescript(f"5121{key}51ae")
    assert shown["desc"] == f"multi(1,{key})#vd6tmttq"
    assert shown["segwit"]["desc"] == f"wsh(multi(1,{key}))#6kafzxlu"
    assert shown["segwit"]["p2sh-segwit"] == "2N4tHeKDpKd97CjUHvPR8T1vEJi9zXkXJPD"


def test_limits_of_what_is_sent(core: CoreNode, coins: Coins) -> None:
    vin = coins.take()
    dear = pay(core, vin, 40)
    assert core.error("sendrawtransaction", dear) == (
        -25,
        "Fee exceeds maximum configured by user (e.g. -maxtxfee, maxfeerate)",
    )
    (trial,) = core.testmempoolaccept([dear])
    assert trial["reject-reason"] == "max-fee-exceeded"
    (trial,) = core.testmempoolaccept([dear], 0)
    assert trial["allowed"]
    burn = core.createrawtransaction([vin], [{"data": "00"}])
    assert core.error("sendrawtransaction", burn)[0] in (-25, -26)
    missing = core.createrawtransaction([{"txid": "22" * 32, "vout": 0}], [{MINER: 1}])
    code, message = core.error("sendrawtransaction", missing)
    assert code == -25
    assert message.startswith("bad-txns-inputs-missingorspent")
    unsigned = core.createrawtransaction([vin], [{MINER: 49.99}])
    code, message = core.error("sendrawtransaction", unsigned)
    assert code == -26
    assert "script-verify-flag" in message


def test_a_trial_changes_nothing(core: CoreNode, coins: Coins) -> None:
    before = core.getrawmempool()
    parent = pay(core, coins.take(), 49.999)
    (trial,) = core.testmempoolaccept([parent])
    assert trial["allowed"]
    assert trial["fees"]["base"] == 0.001
    assert trial["fees"]["effective-includes"] == [trial["wtxid"]]
    raw = core.createrawtransaction([first_output(core, parent)], [{MINER: 49.998}])
    prev = {
        **first_output(core, parent),
        "scriptPubKey": core.decoderawtransaction(parent)["vout"][0]["scriptPubKey"]["hex"],
        "amount": 49.999,
    }
    child = core.signrawtransactionwithkey(raw, [MINER_WIF], [prev])["hex"]
    (alone,) = core.testmempoolaccept([child])
    assert (alone["allowed"], alone["reject-reason"]) == (False, "missing-inputs")
    both = core.testmempoolaccept([parent, child])
    assert [each["allowed"] for each in both] == [True, True]
    wrong = core.testmempoolaccept([child, parent])
    assert [each["package-error"] for each in wrong] == ["package-not-sorted"] * 2
    assert core.getrawmempool() == before
    assert core.error("testmempoolaccept", [])[0] == -8
    done = core.submitpackage([parent, child])
    assert done["package_msg"] == "success"
    results = done["tx-results"]
    assert [results[each["wtxid"]]["fees"]["base"] for each in both] == [0.001, 0.001]
    assert core.getmempoolancestors(both[1]["txid"]) == [both[0]["txid"]]
    assert list(core.getmempooldescendants(both[0]["txid"], True)) == [both[1]["txid"]]
    entry = core.getmempoolentry(both[1]["txid"])
    assert (entry["ancestorcount"], entry["bip125-replaceable"]) == (2, True)
    assert entry["depends"] == [both[0]["txid"]]
    spent = core.gettxspendingprevout([first_output(core, parent)], {"return_spending_tx": True})
    assert spent[0]["spendingtx"] == child
    again = core.submitpackage([parent, child])
    assert "effective-feerate" not in again["tx-results"][both[0]["wtxid"]]["fees"]
    core.generatetoaddress(1, MINER)


def test_a_package_that_is_none(core: CoreNode, coins: Coins) -> None:
    one, other = (pay(core, coins.take(), 49.999) for _ in range(2))
    code, message = core.error("submitpackage", [one, other])
    assert code == -25
    assert message.startswith("package topology disallowed")
    result = core.submitpackage([one])
    assert result["package_msg"] == "success"
    core.generatetoaddress(1, MINER)


def test_priorities(core: CoreNode, coins: Coins) -> None:
    core.generatetoaddress(1, MINER)  # nothing waits any more
    txid = core.sendrawtransaction(pay(core, coins.take(), 49.999))
    assert core.prioritisetransaction(txid, 0, 1000) is True
    assert core.getmempoolentry(txid)["fees"]["modified"] == 0.00101
    assert core.getprioritisedtransactions() == {
        txid: {"fee_delta": 1000, "in_mempool": True, "modified_fee": 101_000}
    }
    assert core.error("prioritisetransaction", txid, 1.5, 1)[0] == -8
    assert core.getrawmempool(True)[txid]["fees"]["base"] == 0.001
    assert core.getrawmempool(False, True)["txids"] == [txid]
    info = core.getmempoolinfo()
    assert info["size"] == 1
    assert Decimal(str(info["total_fee"])) == Decimal("0.001")
    core.generatetoaddress(1, MINER)


def test_errors_of_the_mempool(core: CoreNode) -> None:
    for name in ("getmempoolentry", "getmempoolancestors", "getmempooldescendants"):
        assert core.error(name, "00" * 32) == (-5, "Transaction not in mempool")
    assert core.error("getrawmempool", True, True)[0] == -8
    assert core.error("gettxspendingprevout", [])[0] == -8
    assert core.error("gettxspendingprevout", [{"txid": "00" * 32, "vout": -1}])[0] == -8
    assert core.error("gettxspendingprevout", [{"txid": "00" * 32, "vout": 0}], {"x": 1})[0] == -8


def test_the_reason_of_the_rules_of_relay_is_told(core: CoreNode, coins: Coins) -> None:
    raw = core.createrawtransaction([coins.take()], [{MINER: 49.99}])
    signed = core.signrawtransactionwithkey(raw, [MINER_WIF])["hex"]
    little = round(49.99e8).to_bytes(8, "little").hex()
    other = signed.replace(little, round(49.98e8).to_bytes(8, "little").hex())
    (trial,) = core.testmempoolaccept([other])
    assert trial["reject-reason"] == (
        "mempool-script-verify-flag-failed "
        "(Signature must be zero for failed CHECK(MULTI)SIG operation)"
    )
    assert (
        f"), input 0 of {trial['txid']} (wtxid {trial['wtxid']}), spending "
        in (trial["reject-details"])
    )
    (missing,) = core.testmempoolaccept(
        [core.createrawtransaction([{"txid": "33" * 32, "vout": 0}], [{MINER: 1}])]
    )
    assert missing["reject-reason"] == "missing-inputs"
    assert "reject-details" not in missing


def test_scripts_and_what_can_stand_for_them(core: CoreNode) -> None:
    key = KEYS[0].public_key.hex()
    shown = core.decodescript(f"21{key}ac")
    assert shown["type"] == "pubkey"
    assert shown["desc"].startswith(f"pk({key})#")
    assert shown["segwit"]["type"] == "witness_v0_keyhash"
    assert {"p2sh", "asm"} <= set(shown)
    assert "hex" not in shown
    plain = core.decodescript("51")
    assert plain["segwit"]["type"] == "witness_v0_scripthash"
    data = core.decodescript("6a0100")
    assert (data["type"], "p2sh" in data) == ("nulldata", False)
    nested = core.decodescript(core.gettxout(*_miner_coin(core))["scriptPubKey"]["hex"])
    assert nested["address"] == MINER
    assert "segwit" not in nested
    assert core.error("decodescript", "0")[0] == -8


def _miner_coin(core: CoreNode) -> tuple[str, int]:
    return core.getblock(core.getblockhash(100))["tx"][0], 0
