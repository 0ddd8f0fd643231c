"""The wallet's methods: what a real bitcoind answers, and ours with the same keys and chain."""

import pytest

from tests.functional.conftest import MakeTwins
from tests.functional.framework.answers import Twins
from tests.functional.framework.differences import ignored, ours_lacks
from tests.functional.framework.same_keys import NOBODY, OPTIONS, share_keys

pytestmark = pytest.mark.tools

TIME = 1_800_000_000
KINDS = ("bech32", "bech32m", "legacy", "p2sh-segwit")
UNKNOWN = "00" * 32

MORE_WORDS = {"$.message": ignored("ours begins so, and says how much there is")}
WHICH = {"$.message": ignored("ours says which rule an address breaks, in other words")}


@pytest.fixture(scope="module")
def twins(make_twins: MakeTwins) -> Twins:
    """Both wallets with five mature rewards, and a payment made by each to itself and others."""
    twins = make_twins(*OPTIONS)
    twins.set_time(TIME)
    share_keys(twins)
    mined = twins.same("getnewaddress", "mined")
    twins.grow(5, mined)
    twins.grow(101, NOBODY)
    return twins


# -- addresses ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_addresses(twins: Twins, kind: str) -> None:
    for _ in range(3):
        address = twins.same("getnewaddress", f"of {kind}", kind)
        twins.same("getaddressinfo", address)
        change = twins.same("getrawchangeaddress", kind)
        twins.same("getaddressinfo", change)
    twins.same("getaddressesbylabel", f"of {kind}")


def test_addresses_of_others_and_none(twins: Twins) -> None:
    for address in (NOBODY, "2N2JD6wb56AfK4tfmM6PwdVmoYk2dCKf4Br"):
        twins.same("getaddressinfo", address)
    for label in ("*", 5):
        twins.same("getnewaddress", label)
    twins.same("getnewaddress", "", "x")
    twins.same("getrawchangeaddress", "x")


def test_labels(twins: Twins) -> None:
    address = twins.same("getnewaddress")
    for label in ("one", "two", ""):
        twins.same("setlabel", address, label)
        twins.same("getaddressinfo", address)
    twins.same("setlabel", NOBODY, "shop")
    twins.same("getaddressinfo", NOBODY)
    for purpose in ("send", "receive", "x", ""):
        twins.same("listlabels", purpose)
    for label in ("shop", "mined", "", "none", "*"):
        twins.same("getaddressesbylabel", label)
    twins.same("setlabel", "x", "y")
    twins.same("setlabel", address, "*")


# -- what it holds, and how that came -------------------------------------------------------------


def look_at_everything(twins: Twins, *txids: str) -> None:
    # With a depth Knots takes later payments from what is as deep, as Cores before 0.19 did.
    twins.same("getbalance", "*", 0)
    for minconf in (0, 1, 6):
        twins.same("listunspent", minconf)
        twins.same("listreceivedbyaddress", minconf, True)
        twins.same("listreceivedbylabel", minconf, True)
    for method in ("getbalances", "getwalletinfo", "listaddressgroupings", "listsinceblock"):
        twins.same(method)
    for count in (1, 3, 100):
        for skip in (0, 2):
            twins.same("listtransactions", "*", count, skip)
    for txid in txids:
        twins.same("gettransaction", txid)
        twins.same("gettransaction", txid, True, True)


def test_payments_of_each_from_the_pool_into_a_block(twins: Twins) -> None:
    paid = twins.same("getnewaddress", "paid", "bech32m")
    twins.set_time(TIME + 10)
    ours = twins.ours.rpc.sendtoaddress(NOBODY, 3)
    twins.share_pool()
    twins.set_time(TIME + 20)
    theirs = twins.theirs.call("sendmany", "", {NOBODY: 2, paid: 4})
    twins.share_pool()
    twins.set_time(TIME + 30)
    within = twins.ours.rpc.sendtoaddress(paid, 1)
    twins.share_pool()
    look_at_everything(twins, ours, theirs, within)
    twins.grow(1, NOBODY)
    look_at_everything(twins, ours, theirs, within)
    for minconf in (0, 1, 2):
        twins.same("getreceivedbyaddress", paid, minconf)
        twins.same("getreceivedbylabel", "paid", minconf)
    twins.same("listtransactions", "paid")
    twins.same("listreceivedbyaddress", 1, False, True, paid)
    height = twins.same("getblockcount")
    for depth in (height, 1, 0):
        block = twins.same("getblockhash", height - depth)
        for more in ((), (3,), (1, True, True, True), (1, True, True, False, "paid")):
            twins.same("listsinceblock", block, *more)
    for options in (
        {"minimumAmount": 3},
        {"maximumAmount": 3},
        {"minimumAmount": "4.5", "maximumAmount": 100},
        {"maximumCount": 1000},
    ):
        twins.same("listunspent", 1, 999, [], True, options)
    twins.same("listunspent", 1, 999, [paid], False)


def test_coinbases_young_and_lost(twins: Twins) -> None:
    address = twins.same("getnewaddress", "young")
    before = twins.same("getbestblockhash")
    first, second = twins.grow(2, address)
    (lost,) = twins.same("getblock", second)["tx"]
    look_at_everything(twins, lost)
    twins.same("listunspent", 0, 99, [address], True, {"include_immature_coinbase": True})
    for immature in (False, True):
        twins.same("getreceivedbyaddress", address, 1, immature)
        twins.same("getreceivedbylabel", "young", 1, immature)
    twins.both("invalidateblock", second)
    look_at_everything(twins, lost)
    for since in (before, first, second):
        twins.same("listsinceblock", since)
    twins.both("reconsiderblock", second)
    look_at_everything(twins, lost)


def test_a_fee_raised_by_each(twins: Twins) -> None:
    twins.set_time(TIME + 100)
    address = twins.same("getnewaddress", "raised")
    old = twins.ours.rpc.sendtoaddress(NOBODY, 1)
    twins.share_pool()
    theirs = twins.theirs.call("bumpfee", old, {"fee_rate": 5})["txid"]
    twins.send(twins.theirs.call("getrawtransaction", theirs))
    own_words = {"$.replaces_txid": ours_lacks("who raises a fee notes it in its own wallet")}
    twins.same("gettransaction", theirs, but=own_words)
    own_words = {"$.replaced_by_txid": ours_lacks("the same")}
    twins.same("gettransaction", old, but=own_words)
    ours = twins.ours.rpc.bumpfee(theirs, {"fee_rate": 10})["txid"]
    twins.send(twins.ours.rpc.getrawtransaction(ours))
    twins.same("getbalances")
    twins.grow(1, address)
    twins.same("getbalances")
    twins.same("listunspent")
    assert twins.ours.rpc.gettransaction(old)["confirmations"] == -1
    assert twins.theirs.call("gettransaction", old)["confirmations"] == -1


def test_coins_held_back(twins: Twins) -> None:
    coin = max(twins.same("listunspent"), key=lambda each: each["amount"])
    point = {"txid": coin["txid"], "vout": coin["vout"]}
    for given in (
        (False, [point]),
        (False, [point]),
        (False, [point], True),
        (True, [point]),
        (True, [point]),
        (False,),
        (False, [{**point, "vout": 7}]),
        (False, [{**point, "vout": -1}]),
        (False, [{"txid": UNKNOWN, "vout": 0}]),
        (False, [{"txid": coin["txid"]}]),
        (False, [5]),
        (False, [point]),
    ):
        twins.same("lockunspent", *given)
        twins.same("listlockunspent")
    twins.same("listunspent")
    twins.same("getbalances")
    twins.same("lockunspent", True)
    twins.same("listlockunspent")


# -- errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("getbalance", ("x",)),
        ("getbalance", ("*", 1, False, True)),
        ("getbalance", ("*", "a")),
        ("listtransactions", ("*", -1)),
        ("listtransactions", ("*", 1, -1)),
        ("listtransactions", ("",)),
        ("listtransactions", ("none",)),
        ("listsinceblock", (UNKNOWN,)),
        ("listsinceblock", ("xx",)),
        ("listsinceblock", ("", 0)),
        ("listsinceblock", ("", 1, True, True, False, "*")),
        ("listunspent", (1, 9, ["x"])),
        ("listunspent", (1, 9, [5])),
        ("listunspent", (1, 9, [NOBODY, NOBODY])),
        ("listunspent", (1, 9, [], True, {"x": 1})),
        ("listunspent", (1, 9, [], True, {"minimumAmount": -1})),
        ("gettransaction", (UNKNOWN,)),
        ("gettransaction", ("x",)),
        ("getreceivedbyaddress", (NOBODY,)),
        ("getreceivedbyaddress", ("x",)),
        ("getreceivedbylabel", ("none",)),
        ("listreceivedbyaddress", (1, False, True, "x")),
        ("abandontransaction", (UNKNOWN,)),
        ("abandontransaction", ("x",)),
        ("signmessage", ("x", "h")),
        ("signmessage", (NOBODY, "h")),
        ("rescanblockchain", (-1,)),
        ("rescanblockchain", (5000,)),
        ("rescanblockchain", (5, 3)),
        ("rescanblockchain", (1, 5000)),
        ("rescanblockchain", (5, 7)),
        ("abortrescan", ()),
        ("keypoolrefill", (-1,)),
        ("loadwallet", ("w",)),
        ("walletlock", ()),
        ("walletpassphrase", ("x", 1)),
        ("walletpassphrasechange", ("x", "y")),
        ("encryptwallet", ("",)),
        ("simulaterawtransaction", ([],)),
        ("simulaterawtransaction", (["x"],)),
        ("sendtoaddress", ("x", 1)),
        ("sendtoaddress", (NOBODY, 0)),
        ("sendtoaddress", (NOBODY, -1)),
        ("sendtoaddress", (NOBODY, "0.123456789")),
        ("sendtoaddress", (NOBODY, "abc")),
        ("sendtoaddress", (NOBODY, 0.00000001)),
        ("sendtoaddress", (NOBODY, True)),
        ("sendtoaddress", (NOBODY, None)),
        ("sendtoaddress", (NOBODY, 1, 5)),
        ("sendtoaddress", (NOBODY, 1, "", "", False, True, 0)),
        ("sendtoaddress", (NOBODY, 1, "", "", False, True, None, "x")),
        ("sendtoaddress", (NOBODY, 1, "", "", False, True, 6, "unset", None, 2)),
        ("sendtoaddress", (NOBODY, 1, "", "", False, True, None, "economical", None, 2)),
        ("sendtoaddress", (NOBODY, 1, "", "", False, True, None, "unset", None, 0.1)),
        ("sendtoaddress", (NOBODY, 1, "", "", False, True, None, "unset", None, 1.2345)),
        ("sendtoaddress", (NOBODY, 1, "", "", False, True, None, "unset", None, -1)),
        ("sendtoaddress", (NOBODY, 1, "", "", False, True, None, "unset", None, "x")),
        ("sendtoaddress", (NOBODY, 1, "", "", False, True, None, "unset", True)),
        ("sendmany", ("x", {NOBODY: 1})),
        ("sendmany", ("", {})),
        ("sendmany", ("", {"x": 1})),
        ("sendmany", ("", {NOBODY: 0})),
        ("sendmany", ("", {NOBODY: -1})),
        ("sendmany", ("", {NOBODY: 1}, 0, "", ["y"])),
        ("sendmany", ("", {NOBODY: 1}, 0, "", [NOBODY, NOBODY])),
        ("sendmany", ("", {NOBODY: 1}, 0, "", [3])),
        ("send", ({"x": 1},)),
        ("send", ({NOBODY: -1},)),
        ("send", ({NOBODY: 0.00000001},)),
        ("send", ({},)),
        ("send", ([{NOBODY: 1}, {NOBODY: 1}],)),
        ("send", (5,)),
        ("send", ({NOBODY: 1}, 6)),
        ("send", ({NOBODY: 1}, None, "economical")),
        ("send", ({NOBODY: 1}, None, "unset", 2, {"fee_rate": 2})),
        ("send", ({NOBODY: 1}, None, "unset", 2, {"x": 2})),
        ("send", ({NOBODY: 1}, None, "unset", 2, {"inputs": [5]})),
        ("send", ({NOBODY: 1}, None, "unset", 2, {"change_type": "x"})),
        ("send", ({NOBODY: 1}, None, "unset", 2, {"subtract_fee_from_outputs": [3]})),
        ("send", ({NOBODY: 1}, None, "unset", 2, {"add_to_wallet": 5})),
        ("send", ({NOBODY: 1}, None, "unset", 2, {"locktime": -1})),
        ("send", ({"data": "zz"},)),
        ("sendall", (["x"],)),
        ("sendall", ([],)),
        ("sendall", ([{NOBODY: 1}],)),
        ("sendall", ([NOBODY, NOBODY],)),
        ("sendall", ([NOBODY, {"2N2JD6wb56AfK4tfmM6PwdVmoYk2dCKf4Br": 5000}],)),
        ("sendall", ([NOBODY], None, "unset", None, {"send_max": True, "inputs": []})),
        (
            "sendall",
            ([NOBODY], None, "unset", None, {"inputs": [{"txid": UNKNOWN, "vout": 0}]}),
        ),
        ("sendall", ([NOBODY], None, "unset", None, {"minconf": 1000})),
        ("sendall", ([NOBODY], None, "unset", 0.5)),
        ("walletcreatefundedpsbt", ([], {NOBODY: 1}, 0, {"x": 1})),
        ("walletcreatefundedpsbt", ([], [])),
        ("walletcreatefundedpsbt", ([5], {NOBODY: 1})),
        ("walletcreatefundedpsbt", ([], {NOBODY: 1}, -1)),
        ("walletprocesspsbt", ("x",)),
        ("bumpfee", (UNKNOWN,)),
        ("bumpfee", ("x",)),
        ("psbtbumpfee", (UNKNOWN,)),
    ],
)
def test_what_is_refused(twins: Twins, method: str, params: tuple[object, ...]) -> None:
    twins.same(method, *params)


@pytest.mark.parametrize(
    "options",
    [
        {"feeRate": 0.0001, "fee_rate": 2},
        {"changeAddress": "x"},
        {"changeAddress": NOBODY, "change_type": "bech32"},
        {"change_type": "x"},
        {"changePosition": 5},
        {"x": 1},
        {"subtractFeeFromOutputs": [0, 0]},
        {"subtractFeeFromOutputs": [1]},
        {"subtractFeeFromOutputs": [-1]},
        {"fee_rate": "a"},
        {"feeRate": "a"},
        {"conf_target": 0},
        {"add_inputs": False},
        {"minconf": 3, "maxconf": 1},
        {"lockUnspents": 5},
        5,
    ],
)
def test_what_funding_refuses(twins: Twins, options: object) -> None:
    raw = twins.same("createrawtransaction", [], {NOBODY: 1})
    twins.same("fundrawtransaction", raw, options)


def test_too_little_money(twins: Twins) -> None:
    raw = twins.same("createrawtransaction", [], {NOBODY: 1000})
    for method, *params in (
        ("sendtoaddress", NOBODY, 1000),
        ("sendmany", "", {NOBODY: 1000}),
        ("send", {NOBODY: 1000}),
        ("fundrawtransaction", raw, {"fee_rate": 1}),
        ("walletcreatefundedpsbt", [], {NOBODY: 1000}),
    ):
        answer = twins.same(method, *params, but=MORE_WORDS)
        assert answer.message == "Insufficient funds"


def test_what_bumpfee_refuses(twins: Twins) -> None:
    txid = twins.ours.rpc.sendtoaddress(NOBODY, 1)
    twins.share_pool()
    for options in (
        {"x": 1},
        {"conf_target": 0},
        {"fee_rate": 3, "conf_target": 3},
        {"outputs": [{NOBODY: 2}], "original_change_index": 0},
        {"original_change_index": 9},
        {"outputs": []},
        {"fee_rate": 100_000_000},
    ):
        twins.same("bumpfee", txid, options)
        twins.same("psbtbumpfee", txid, options)
    twins.grow(1, NOBODY)


# -- PSBT -----------------------------------------------------------------------------------------


def test_psbts_of_each_are_the_same_to_both(twins: Twins) -> None:
    given = ([], [{NOBODY: 1}], 0, {"fee_rate": 2, "change_position": 0})
    for psbt in (
        twins.ours.rpc.walletcreatefundedpsbt(*given)["psbt"],
        twins.theirs.call("walletcreatefundedpsbt", *given)["psbt"],
    ):
        twins.same("walletprocesspsbt", psbt, False)
        twins.same("walletprocesspsbt", psbt, True, "X")
        for answer in twins.both("walletprocesspsbt", psbt):
            assert answer["complete"] is True
            (trial,) = twins.theirs.call("testmempoolaccept", [answer["hex"]])
            assert trial["allowed"] is True, trial
        for answer in twins.both("walletprocesspsbt", psbt, True, "ALL", True, False):
            assert answer["complete"] is False


def test_a_multisig_with_one_key_in_each(twins: Twins) -> None:
    ours = twins.ours.rpc.getaddressinfo(twins.same("getnewaddress"))
    origin = ours["desc"].partition("(")[2].partition(")")[0]
    twins.theirs.call("createwallet", "partner")
    try:
        partner = twins.theirs.wallet("partner")
        info = partner.call("getaddressinfo", partner.call("getnewaddress"))
        key = info["desc"].partition("(")[2].partition(")")[0]
        body = f"wsh(sortedmulti(2,{origin},{key}))"
        descriptor = twins.same("getdescriptorinfo", body)["descriptor"]
        (address,) = twins.same("deriveaddresses", descriptor)
        twins.theirs.call("createwallet", "watching", True, True)
        watching = twins.theirs.wallet("watching")
        watching.call("importdescriptors", [{"desc": descriptor, "timestamp": "now"}])
        twins.ours.rpc.sendtoaddress(address, 2)
        twins.share_pool()
        made = watching.call(
            "walletcreatefundedpsbt", [], [{NOBODY: 1}], 0,
            {"change_address": address, "fee_rate": 5, "include_unsafe": True},
        )["psbt"]  # fmt: skip
        first = twins.ours.rpc.walletprocesspsbt(made)
        assert first["complete"] is False
        second = partner.call("walletprocesspsbt", first["psbt"])
        assert second["complete"] is True
        twins.send(second["hex"])
    finally:
        for name in ("partner", "watching"):
            twins.theirs.call("unloadwallet", name)
    twins.grow(1, NOBODY)


# -- descriptors ----------------------------------------------------------------------------------


def test_descriptors(twins: Twins) -> None:
    """Both show the same keys; theirs were restored from ours."""
    ours, theirs = twins.both("listdescriptors")
    assert [row["desc"] for row in ours["descriptors"]] == [
        row["desc"] for row in theirs["descriptors"]
    ]
    assert [row["next_index"] for row in ours["descriptors"]] == [
        row["next_index"] for row in theirs["descriptors"]
    ]
    twins.same("gethdkeys")
    twins.same("gethdkeys", {"private": True})


def test_what_payments_would_change(twins: Twins) -> None:
    coin = twins.same("listunspent")[0]
    raw = twins.same("createrawtransaction", [coin], [{NOBODY: 1}, {coin["address"]: 2}])
    for given in ([raw], [raw, raw], []):
        twins.same("simulaterawtransaction", given)


# -- passphrase: last, for it stays ---------------------------------------------------------------


def test_a_passphrase(twins: Twins) -> None:
    legacy = twins.same("getnewaddress", "", "legacy")
    twins.both("encryptwallet", "secret")
    for method, *params in (
        ("sendtoaddress", NOBODY, 1),
        ("signmessage", legacy, "x"),
        ("keypoolrefill",),
        ("listdescriptors", True),
        ("walletpassphrase", "wrong", 5),
        ("walletpassphrase", "", 5),
        ("walletpassphrase", "secret", -1),
        ("walletpassphrasechange", "wrong", "y"),
        ("walletpassphrasechange", "secret", ""),
        ("encryptwallet", "again"),
        ("walletpassphrase", "secret", 100),
        ("signmessage", legacy, "x"),
        ("walletlock",),
        ("walletlock",),
        ("signmessage", legacy, "x"),
    ):
        twins.same(method, *params)
    assert twins.same("getbalances")["mine"]["trusted"] > 0


# -- the other way round --------------------------------------------------------------------------


def test_a_bitcoind_s_wallet_restored_in_ours(make_twins: MakeTwins) -> None:
    twins = make_twins(*OPTIONS)
    twins.set_time(TIME)
    twins.theirs.call("createwallet", "native")
    for kind in KINDS:
        twins.grow(1, twins.theirs.call("getnewaddress", "", kind))
    twins.grow(101, NOBODY)
    paid = twins.theirs.call("getnewaddress")
    twins.theirs.call("sendtoaddress", paid, 60)
    twins.share_pool()
    backup = twins.theirs.call("listdescriptors", True)["descriptors"]
    answers = twins.ours.rpc.importdescriptors(backup)
    assert answers == [{"success": True}] * len(backup)
    twins.same("getbalances")
    twins.same("listunspent", 0)
    for kind in KINDS:
        address = twins.same("getnewaddress", "", kind)
        born = {"$.timestamp": ignored("ours does not know when the keys were made")}
        twins.same("getaddressinfo", address, but=born)
    kept = {row["desc"] for row in twins.ours.rpc.listdescriptors(True)["descriptors"]}
    assert kept.issuperset(row["desc"] for row in backup)
    twins.ours.rpc.sendtoaddress(NOBODY, 150)
    twins.share_pool()
    twins.same("getbalances")
    twins.grow(1, NOBODY)
    twins.same("getbalances")
    twins.same("listunspent")
