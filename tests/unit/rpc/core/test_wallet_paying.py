"""How the wallet pays, and in which words it refuses, as a real bitcoind was seen to do."""

from typing import Any

import pytest

from tests.unit.rpc.core.conftest import MINER, CoreNode

pytestmark = pytest.mark.usefixtures("settled")

STRANGER = MINER
COIN = 100_000_000
UNKNOWN = {"txid": "00" * 32, "vout": 0}


def sats(value: float) -> int:
    return round(value * COIN)


BOTH_FEES = (
    "Cannot specify both conf_target and fee_rate. Please provide either a confirmation target in "
    "blocks for automatic fee estimation, or an explicit fee rate."
)
LOW = "Fee rate (0.990 sat/vB) is lower than the minimum fee rate setting (1.000 sat/vB)"
MODES = 'Invalid estimate_mode parameter, must be one of: "unset", "economical", "conservative"'


@pytest.mark.parametrize(
    ("amount", "named", "code", "message"),
    [
        (0, {}, -6, "Transaction amount too small"),
        (0.00000001, {}, -6, "Transaction amount too small"),
        (-1, {}, -3, "Amount out of range"),
        ("-1", {}, -3, "Amount out of range"),
        ("0.123456789", {}, -3, "Invalid amount"),
        ("abc", {}, -3, "Invalid amount"),
        (30_000_000, {}, -3, "Amount out of range"),
        (True, {}, -3, "Amount is not a number or string"),
        (None, {}, -3, "Amount is not a number or string"),
        (0.000001, {"subtractfeefromamount": True}, -6, "Transaction amount too small"),
        (1, {"fee_rate": 0.99}, -6, LOW),
        (1, {"fee_rate": -1}, -3, "Amount out of range"),
        (1, {"fee_rate": "x"}, -3, "Invalid amount"),
        (1, {"fee_rate": 1.2345}, -3, "Invalid amount"),
        (1, {"conf_target": 0}, -8, "Invalid conf_target, must be between 1 and 1008"),
        (1, {"conf_target": 1009}, -8, "Invalid conf_target, must be between 1 and 1008"),
        (1, {"estimate_mode": "x"}, -8, MODES),
        (
            1,
            {"estimate_mode": "economical", "fee_rate": 3},
            -8,
            "Cannot specify both estimate_mode and fee_rate",
        ),
        (1, {"conf_target": 6, "fee_rate": 3}, -8, BOTH_FEES),
        (
            1,
            {"avoid_reuse": True},
            -4,
            'wallet does not have the "avoid reuse" feature enabled',
        ),
    ],
)
def test_what_sendtoaddress_refuses(
    wallet: CoreNode, amount: Any, named: dict[str, Any], code: int, message: str
) -> None:
    assert wallet.error("sendtoaddress", STRANGER, amount, **named) == (code, message)


def test_too_little_money(wallet: CoreNode) -> None:
    start = "Insufficient funds: 1000.00000000"
    raw = wallet.createrawtransaction([], {STRANGER: 1000})
    for code, method, params in (
        (-6, "sendtoaddress", (STRANGER, 1000)),
        (-6, "sendmany", ("", {STRANGER: 1000})),
        (-4, "send", ({STRANGER: 1000},)),
        (-4, "fundrawtransaction", (raw,)),
        (-4, "walletcreatefundedpsbt", ([], {STRANGER: 1000})),
    ):
        found, message = wallet.error(method, *params)
        assert (found, message[: len(start)]) == (code, start), method


def test_what_sendmany_refuses(wallet: CoreNode) -> None:
    start = "Invalid parameter 'subtract fee from output', "
    other = wallet.getnewaddress()
    for amounts, subtract, code, message in (
        ({}, [], -6, "Transaction must have at least one recipient"),
        ({"x": 1}, [], -5, "Invalid Bitcoin address: x"),
        ({STRANGER: 1}, ["y"], -8, f"{start}destination y not found in tx outputs"),
        ({STRANGER: 1}, [other], -8, f"{start}destination {other} not found in tx outputs"),
        ({STRANGER: 1}, [STRANGER, STRANGER], -8, f"{start}duplicated position: 0"),
        ({STRANGER: 1}, [3], -8, f"{start}position too large: 3"),
    ):
        assert wallet.error("sendmany", "", amounts, 1, "", subtract) == (code, message)


def test_the_fee_comes_out_of_what_is_paid(wallet: CoreNode) -> None:
    other = wallet.getnewaddress("", "legacy")
    raw = wallet.createrawtransaction([], [{STRANGER: 1}, {other: 2}])
    funded = wallet.fundrawtransaction(
        raw, {"subtractFeeFromOutputs": [0, 1], "fee_rate": 3, "changePosition": 2}
    )
    tx = wallet.decoderawtransaction(funded["hex"])
    values = [sats(out["value"]) for out in tx["vout"]]
    fee = sats(funded["fee"])
    assert (values[0], values[1]) == (COIN - fee // 2 - fee % 2, 2 * COIN - fee // 2)
    signed = wallet.signrawtransactionwithwallet(funded["hex"])["hex"]
    vsize = wallet.decoderawtransaction(signed)["vsize"]
    assert 0 <= fee - 3 * vsize <= 6  # signatures may be shorter than thought
    # All there is, less the fee.
    balance = wallet.getbalance()
    txid = wallet.sendtoaddress(wallet.getnewaddress(), balance, "", "", True)
    assert len(wallet.getrawtransaction(txid, 1)["vout"]) == 1


def test_what_fundrawtransaction_refuses(wallet: CoreNode) -> None:
    raw = wallet.createrawtransaction([], [{STRANGER: 1}])
    for options, code, message in (
        ({"changePosition": 5}, -8, "changePosition out of bounds"),
        ({"changeAddress": "x"}, -5, "Change address must be a valid bitcoin address"),
        ({"change_type": "x"}, -5, "Unknown change type 'x'"),
        (
            {"changeAddress": STRANGER, "change_type": "bech32"},
            -8,
            "Cannot specify both change address and address type options",
        ),
        (
            {"fee_rate": 1, "feeRate": 0.1},
            -8,
            "Cannot specify both fee_rate (sat/vB) and feeRate (BTC/kvB)",
        ),
        ({"fee_rate": "a"}, -3, "Invalid amount"),
        ({"minconf": 3, "maxconf": 1}, -8, "maxconf can't be lower than minconf: 1 < 3"),
        ({"minconf": -1}, -8, "Negative minconf"),
        ({"max_tx_weight": 5}, -4, "Maximum transaction weight must be between 240 and 400000"),
        (
            {"lockUnspents": 5},
            -3,
            "JSON value of type number for field lockUnspents is not of expected type bool",
        ),
        (
            {"add_inputs": False},
            -4,
            "The preselected coins total amount does not cover the transaction target. Please "
            "allow other inputs to be automatically selected or include more coins manually",
        ),
        (5, -3, "JSON value of type number is not of expected type object"),
    ):
        assert wallet.error("fundrawtransaction", raw, options) == (code, message)
    assert wallet.error("fundrawtransaction", "x") == (-22, "TX decode failed")


def test_inputs_that_are_there_already(wallet: CoreNode) -> None:
    address = wallet.getnewaddress()
    wallet.sendtoaddress(address, 3)
    wallet.generatetoaddress(1, STRANGER)
    (coin,) = wallet.listunspent(1, 9, [address])
    # It pays alone, with change; without other coins, and with some for more than it holds.
    raw = wallet.createrawtransaction([coin], [{STRANGER: 1}])
    funded = wallet.fundrawtransaction(raw, {"add_inputs": False, "change_type": "bech32m"})
    tx = wallet.decoderawtransaction(funded["hex"])
    assert len(tx["vin"]) == 1
    change = tx["vout"][funded["changepos"]]
    assert change["scriptPubKey"]["type"] == "witness_v1_taproot"
    more = wallet.createrawtransaction([coin], [{STRANGER: coin["amount"] + 1}])
    funded = wallet.fundrawtransaction(more, {"fee_rate": 2, "lockUnspents": True})
    tx = wallet.decoderawtransaction(funded["hex"])
    assert tx["vin"][0]["txid"] == coin["txid"]
    assert len(tx["vin"]) == 2 == len(wallet.listlockunspent())
    signed = wallet.signrawtransactionwithwallet(funded["hex"])["hex"]
    vsize = wallet.decoderawtransaction(signed)["vsize"]
    assert 0 <= sats(funded["fee"]) - 2 * vsize <= 4
    wallet.sendrawtransaction(signed)


def test_send(wallet: CoreNode) -> None:
    sent = wallet.send({STRANGER: 1}, None, "unset", 5)
    assert list(sent) == ["txid", "complete"]
    assert sent["txid"] in wallet.getrawmempool()
    for options in ({"psbt": True}, {"add_to_wallet": False}):
        made = wallet.send({STRANGER: 1}, options=options)
        assert list(made) == ["psbt", "txid", "hex", "complete"]
        assert made["txid"] not in wallet.getrawmempool()
        (trial,) = wallet.testmempoolaccept([made["hex"]])
        assert trial["allowed"] is True
    locked = wallet.send(
        [{STRANGER: 1}, {"data": "aabb"}],
        options={"subtract_fee_from_outputs": [0], "locktime": 5, "change_position": 0,
                 "replaceable": False, "lock_unspents": True, "psbt": True},
    )  # fmt: skip
    tx = wallet.decoderawtransaction(locked["hex"])
    assert (tx["locktime"], tx["vin"][0]["sequence"]) == (5, 0xFFFFFFFE)
    assert tx["vout"][1]["value"] < 1
    assert len(wallet.listlockunspent()) == 1


def test_what_send_refuses(wallet: CoreNode) -> None:
    for outputs, named, code, message in (
        ({}, {}, -8, "TX must have at least one output"),
        ({"x": 1}, {}, -5, "Invalid Bitcoin address: x"),
        ({STRANGER: -1}, {}, -3, "Amount out of range"),
        ([{STRANGER: 1}] * 2, {}, -8, f"Invalid parameter, duplicated address: {STRANGER}"),
        ([5], {}, -8, "Invalid parameter, key-value pair not an object as expected"),
        ([{}], {}, -8, "Invalid parameter, key-value pair must contain exactly one key"),
        (5, {}, -3, "JSON value of type number is not of expected type array"),
        ({"data": "zz"}, {}, -8, "Data must be hexadecimal string (not 'zz')"),
        ({STRANGER: 1}, {"conf_target": 6}, -8, "Specify estimate_mode"),
        (
            {STRANGER: 1},
            {"estimate_mode": "economical"},
            -8,
            "estimate_mode should be passed with conf_target",
        ),
        (
            {STRANGER: 1},
            {"fee_rate": 1, "options": {"fee_rate": 1}},
            -8,
            "Pass the fee_rate either as an argument, or in the options object, but not both",
        ),
        ({STRANGER: 1}, {"options": {"x": 1}}, -3, "Unexpected key x"),
        (
            {STRANGER: 1},
            {"options": {"locktime": -1}},
            -8,
            "Invalid parameter, locktime out of range",
        ),
    ):
        assert wallet.error("send", outputs, **named) == (code, message)


def test_sendall(wallet: CoreNode) -> None:
    other = wallet.getnewaddress()
    balance = sats(wallet.getbalance())
    made = wallet.sendall([other, {STRANGER: 1}], options={"psbt": True, "fee_rate": 2})
    tx = wallet.decoderawtransaction(made["hex"])
    values = {out["scriptPubKey"]["address"]: sats(out["value"]) for out in tx["vout"]}
    assert values[STRANGER] == COIN
    assert 0 <= balance - sum(values.values()) - 2 * tx["vsize"] <= 2 * len(tx["vin"])
    coin = wallet.listunspent()[0]
    few = wallet.sendall([other], options={"inputs": [coin], "add_to_wallet": False})
    assert len(wallet.decoderawtransaction(few["hex"])["vin"]) == 1
    sent = wallet.sendall([other], fee_rate=1)
    assert sent["complete"] is True
    assert wallet.getmempoolentry(sent["txid"])["fees"]["base"] > 0


def test_what_sendall_refuses(wallet: CoreNode) -> None:
    low = (
        "Total value of UTXO pool too low to pay for transaction. Try using lower feerate or "
        "excluding uneconomic UTXOs with 'send_max' option."
    )
    alone = "Must provide at least one address without a specified amount"
    for recipients, named, code, message in (
        ([], {}, -8, alone),
        ([{STRANGER: 1}], {}, -8, alone),
        ([STRANGER, STRANGER], {}, -8, f"Invalid parameter, duplicated address: {STRANGER}"),
        (["x"], {}, -5, "Invalid Bitcoin address: x"),
        (
            [wallet.getnewaddress(), {STRANGER: 5000}],
            {},
            -6,
            "Assigned more value to outputs than available funds.",
        ),
        (
            [STRANGER],
            {"options": {"send_max": True, "inputs": []}},
            -8,
            "Cannot combine send_max with specific inputs.",
        ),
        (
            [STRANGER],
            {"options": {"inputs": [UNKNOWN]}},
            -8,
            f"Input not found. UTXO ({'00' * 32}:0) is not part of wallet.",
        ),
        ([STRANGER], {"options": {"minconf": 1000}}, -6, low),
        ([STRANGER], {"fee_rate": 0.99}, -8, LOW),
    ):
        assert wallet.error("sendall", recipients, **named) == (code, message)


# -- PSBT -----------------------------------------------------------------------------------------


def test_a_psbt_is_made_signed_and_sent(wallet: CoreNode) -> None:
    made = wallet.walletcreatefundedpsbt(
        [], [{STRANGER: 1}], 0, {"fee_rate": 2, "change_position": 0}
    )
    assert made["changepos"] == 0
    looked_at = wallet.walletprocesspsbt(made["psbt"], False)
    assert looked_at == {"psbt": made["psbt"], "complete": False}
    partial = wallet.walletprocesspsbt(made["psbt"], True, "ALL", True, False)
    assert partial["complete"] is False  # it is not until it is finished
    assert partial["psbt"] != made["psbt"]
    signed = wallet.walletprocesspsbt(made["psbt"])
    assert list(signed) == ["psbt", "complete", "hex"]
    assert signed["complete"] is True
    assert wallet.sendrawtransaction(signed["hex"]) in wallet.getrawmempool()


def test_a_psbt_that_cannot_be_processed(wallet: CoreNode) -> None:
    made = wallet.walletcreatefundedpsbt([], {STRANGER: 1})["psbt"]
    assert wallet.error("walletprocesspsbt", made, True, "X") == (
        -8,
        "'X' is not a valid sighash parameter.",
    )
    assert wallet.error("walletprocesspsbt", made, True, "NONE")[0] == -4
    assert wallet.error("walletprocesspsbt", "x")[0] == -22
    assert wallet.error("walletcreatefundedpsbt", [UNKNOWN], {STRANGER: 1})[0] == -4
    assert wallet.error("walletcreatefundedpsbt", [5], {STRANGER: 1})[0] == -3


# -- raising a fee --------------------------------------------------------------------------------


def test_bumpfee(wallet: CoreNode) -> None:
    old = wallet.sendtoaddress(STRANGER, 1, "a note", "a friend", fee_rate=2)
    before = wallet.gettransaction(old)
    bumped = wallet.bumpfee(old, {"fee_rate": 20})
    assert list(bumped) == ["txid", "origfee", "fee", "errors"]
    assert sats(bumped["origfee"]) == -sats(before["fee"])
    assert wallet.getrawmempool() == [bumped["txid"]]
    after, new = wallet.gettransaction(old), wallet.gettransaction(bumped["txid"])
    assert (after["replaced_by_txid"], new["replaces_txid"]) == (bumped["txid"], old)
    assert (new["comment"], new["to"]) == ("a note", "a friend")
    assert after["walletconflicts"] == after["mempoolconflicts"] == [bumped["txid"]]
    assert (new["walletconflicts"], new["mempoolconflicts"]) == ([old], [])
    assert (after["confirmations"], after["trusted"]) == (0, False)
    assert (new["trusted"], new["bip125-replaceable"]) == (True, "yes")
    assert wallet.error("bumpfee", old) == (
        -4,
        f"Cannot bump transaction {old} which was already bumped by transaction {bumped['txid']}",
    )
    again = wallet.bumpfee(bumped["txid"])
    vsize = wallet.gettransaction(again["txid"], True, True)["decoded"]["vsize"]
    assert sats(again["fee"] - bumped["fee"]) >= 5 * vsize
    wallet.generatetoaddress(1, STRANGER)
    assert wallet.gettransaction(old)["confirmations"] == -1
    assert wallet.error("bumpfee", again["txid"]) == (
        -4,
        "Transaction has been mined, or is conflicted with a mined transaction",
    )


def test_psbtbumpfee_and_other_outputs(wallet: CoreNode) -> None:
    old = wallet.sendtoaddress(STRANGER, 1, fee_rate=2)
    made = wallet.psbtbumpfee(old, {"fee_rate": 10})
    signed = wallet.walletprocesspsbt(made["psbt"])
    assert signed["complete"] is True
    other = wallet.getnewaddress()
    bumped = wallet.bumpfee(old, {"fee_rate": 10, "outputs": [{other: 2}]})
    paid = {out["value"] for out in wallet.getrawtransaction(bumped["txid"], 1)["vout"]}
    assert 2 in paid
    assert 1 not in paid


def test_what_bumpfee_refuses(wallet: CoreNode) -> None:
    txid = wallet.sendtoaddress(STRANGER, 1, fee_rate=2)
    both = (
        "The options 'outputs' and 'original_change_index' are incompatible. You can only either "
        "specify a new set of outputs, or designate a change output to be recycled."
    )
    for options, code, message in (
        ({"x": 1}, -3, "Unexpected key x"),
        ({"conf_target": 0}, -8, "Invalid conf_target, must be between 1 and 1008"),
        ({"fee_rate": 3, "conf_target": 3}, -8, BOTH_FEES),
        ({"outputs": [{STRANGER: 2}], "original_change_index": 0}, -8, both),
        ({"original_change_index": 9}, -8, "Change position is out of range"),
        ({"outputs": []}, -8, "Invalid parameter, output argument cannot be an empty array"),
    ):
        assert wallet.error("bumpfee", txid, options) == (code, message)
        assert wallet.error("psbtbumpfee", txid, options) == (code, message)
    code, message = wallet.error("bumpfee", txid, {"fee_rate": 2})
    # 140 or 141 virtual bytes: signatures are not all of one length.
    assert (code, message[:32]) == (-8, "Insufficient total fee 0.0000028")
    code, message = wallet.error("bumpfee", txid, {"fee_rate": 1_000_000})
    assert code == -4
    assert message.endswith("is too high (cannot be higher than -maxtxfee 0.10)")
    assert wallet.error("bumpfee", "00" * 32) == (-5, "Invalid or non-wallet transaction id")
    mined = wallet.listtransactions("mined", 1)[0]["txid"]
    assert wallet.error("bumpfee", mined)[0] in (-4, -8)
    child = wallet.sendall([STRANGER])
    assert child["complete"] is True
    assert wallet.error("bumpfee", txid) == (-8, "Transaction has descendants in the wallet")
