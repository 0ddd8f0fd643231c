"""What the wallet's methods answer, as a real bitcoind was seen to answer."""

import pytest

from tests.unit.rpc.core.conftest import MINER, CoreNode, core_node

pytestmark = pytest.mark.usefixtures("settled")

STRANGER = MINER


def words(text: str) -> list[str]:
    return text.split()


# -- addresses ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "form", "more"),
    [
        ("legacy", "pkh([F/44h/1h/0h/0/N]", ["pubkey", "iscompressed"]),
        (
            "p2sh-segwit",
            "sh(wpkh([F/49h/1h/0h/0/N]",
            ["script", "hex", "pubkey", "embedded"],
        ),
        (
            "bech32",
            "wpkh([F/84h/1h/0h/0/N]",
            ["witness_version", "witness_program", "pubkey"],
        ),
        ("bech32m", "tr([F/86h/1h/0h/0/N]", ["witness_version", "witness_program"]),
    ],
)
def test_getaddressinfo_of_an_own_address(
    wallet: CoreNode, kind: str, form: str, more: list[str]
) -> None:
    info = wallet.getaddressinfo(wallet.getnewaddress("", kind))
    assert list(info) == [
        *words("address scriptPubKey ismine solvable desc parent_desc iswatchonly isscript"),
        *("iswitness", *more),
        *words("ischange timestamp hdkeypath hdseedid hdmasterfingerprint labels"),
    ]
    number = info["hdkeypath"].rpartition("/")[2]
    start = form.replace("F", info["hdmasterfingerprint"]).replace("N", number)
    assert info["desc"].startswith(start)
    key = info["desc"].removeprefix(start).split(")")[0]
    assert len(key) == (64 if kind == "bech32m" else 66)
    assert "]tpub" in info["parent_desc"]
    assert "/0/*)" in info["parent_desc"]
    assert (info["ischange"], info["labels"], info["timestamp"]) == (False, [""], 1)
    assert info["hdkeypath"] == "m" + start.rpartition("[")[2][8:].rstrip("]")
    if kind == "p2sh-segwit":
        inner = info["embedded"]
        assert wallet.validateaddress(inner["address"])["scriptPubKey"] == info["hex"]
        assert inner["pubkey"] == info["pubkey"]
        assert info["script"] == "witness_v0_keyhash"


def test_getaddressinfo_of_change_and_of_what_nobody_was_told(wallet: CoreNode) -> None:
    change = wallet.getrawchangeaddress()
    assert wallet.getrawchangeaddress() != change  # a fresh one each time
    info = wallet.getaddressinfo(change)
    assert (info["ischange"], info["labels"]) == (True, [])
    wallet.setlabel(change, "mine")
    info = wallet.getaddressinfo(change)
    assert (info["ischange"], info["labels"]) == (False, ["mine"])
    wallet.setlabel(change, "")


def test_getaddressinfo_of_an_imported_key(wallet: CoreNode) -> None:
    wif = "cVt4o7BGAig1UXywgGSmARhxMdzP5qvQsxKkSsc1XEkw3tDTQFpy"
    wallet.importprivkey(wif, "one")
    (address,) = wallet.getaddressesbylabel("one")
    info = wallet.getaddressinfo(address)
    assert info["desc"].startswith(f"wpkh([{info['hdmasterfingerprint']}]")
    assert info["parent_desc"].startswith("combo(")
    assert (info["hdkeypath"], info["labels"], info["ischange"]) == ("m", ["one"], False)


def test_labels_and_their_book(wallet: CoreNode) -> None:
    unnamed = wallet.getnewaddress()
    assert wallet.getaddressesbylabel("")[unnamed] == {"purpose": "receive"}
    assert "" in wallet.listlabels()
    for method, *params in (
        ("getnewaddress", "*"),
        ("setlabel", unnamed, "*"),
        ("getaddressesbylabel", "*"),
        ("getreceivedbylabel", "*"),
    ):
        assert wallet.error(method, *params) == (-11, "Invalid label name")
    assert wallet.error("setlabel", "x", "y") == (-5, "Invalid Bitcoin address")


# -- coins ----------------------------------------------------------------------------------------


def test_listunspent_in_a_block_and_before(wallet: CoreNode) -> None:
    address = wallet.getnewaddress("nested", "p2sh-segwit")
    txid = wallet.sendtoaddress(address, 1)
    coins = {coin["address"]: coin for coin in wallet.listunspent(0, 0)}
    paid = coins.pop(address)
    assert list(paid) == words(
        "txid vout address label redeemScript scriptPubKey amount confirmations "
        "ancestorcount ancestorsize ancestorfees spendable solvable desc parent_descs safe"
    )
    assert (paid["ancestorcount"], paid["txid"], paid["label"]) == (1, txid, "nested")
    assert paid["redeemScript"] == wallet.getaddressinfo(address)["hex"]
    (change,) = coins.values()
    assert "label" not in change
    assert "/1/*)" in change["parent_descs"][0]
    wallet.generatetoaddress(1, STRANGER)
    (paid,) = wallet.listunspent(1, 1, [address])
    assert "ancestorcount" not in paid
    young = wallet.getnewaddress()
    wallet.generatetoaddress(1, young)
    assert wallet.listunspent(0, 99, [young]) == []
    (coin,) = wallet.listunspent(0, 99, [young], True, {"include_immature_coinbase": True})
    assert coin["confirmations"] == 1


def test_coins_that_are_locked(wallet: CoreNode) -> None:
    coins = wallet.listunspent()
    points = [{"txid": each["txid"], "vout": each["vout"]} for each in coins]
    balance = wallet.getbalance()
    assert wallet.lockunspent(False, points[:1]) is True
    assert wallet.listlockunspent() == points[:1]
    assert len(wallet.listunspent()) == len(coins) - 1
    assert wallet.getbalance() == balance  # it is still the wallet's
    assert wallet.lockunspent(False, points[1:]) is True
    assert wallet.error("sendtoaddress", STRANGER, 1)[0] == -6
    assert wallet.error("lockunspent", False, points[:1]) == (
        -8,
        "Invalid parameter, output already locked",
    )
    assert wallet.lockunspent(False, points[:1], True) is True  # for good, now
    assert wallet.lockunspent(True, points[1:]) is True
    assert wallet.error("lockunspent", True, points[1:2]) == (
        -8,
        "Invalid parameter, expected locked output",
    )
    wallet.sendtoaddress(STRANGER, 1)
    assert wallet.lockunspent(True) is True
    assert wallet.listlockunspent() == []


def test_what_cannot_be_locked(wallet: CoreNode) -> None:
    coin = wallet.listunspent()[0]
    for given, code, message in (
        ({"txid": coin["txid"], "vout": 7}, -8, "Invalid parameter, vout index out of bounds"),
        ({"txid": "00" * 32, "vout": 0}, -8, "Invalid parameter, unknown transaction"),
        ({"txid": coin["txid"], "vout": -1}, -8, "Invalid parameter, vout cannot be negative"),
        ({"txid": coin["txid"]}, -3, "Missing vout"),
        (5, -3, "JSON value of type number is not of expected type object"),
    ):
        assert wallet.error("lockunspent", False, [given]) == (code, message)
    assert wallet.lockunspent(False) is True  # nothing is named: nothing happens
    assert wallet.listlockunspent() == []


def test_spending_by_hand_ends_a_lock(wallet: CoreNode) -> None:
    coin = wallet.listunspent()[0]
    wallet.lockunspent(False, [coin])
    raw = wallet.createrawtransaction([coin], [{STRANGER: coin["amount"] - 0.001}])
    wallet.sendrawtransaction(wallet.signrawtransactionwithwallet(raw)["hex"])
    assert wallet.listlockunspent() == []
    point = {"txid": coin["txid"], "vout": coin["vout"]}
    assert wallet.error("lockunspent", False, [point]) == (
        -8,
        "Invalid parameter, expected unspent output",
    )


def test_getwalletinfo(wallet: CoreNode) -> None:
    info = wallet.getwalletinfo()
    assert list(info) == words(
        "walletname walletversion format txcount keypoolsize keypoolsize_hd_internal "
        "private_keys_enabled avoid_reuse scanning descriptors external_signer blank "
        "birthtime flags lastprocessedblock"
    )
    assert info["keypoolsize"] == 80  # 20 of each type
    assert wallet.error("getbalance", "*", 0, False, True) == (
        -4,
        'wallet does not have the "avoid reuse" feature enabled',
    )


# -- history --------------------------------------------------------------------------------------


def test_effects_of_a_payment_to_oneself(wallet: CoreNode) -> None:
    address = wallet.getnewaddress("self")
    txid = wallet.sendtoaddress(address, 2, "a note", "a friend")
    shown = wallet.gettransaction(txid)
    assert [each["category"] for each in shown["details"]] == ["send", "receive"]
    assert list(shown["details"][0]) == words("address category amount label vout fee abandoned")
    assert list(shown["details"][1]) == (
        words("address parent_descs category amount label vout abandoned")
    )
    # Latest last, and of one transaction what came in before what went out.
    came, went = wallet.listtransactions("*", 2)
    assert (came["category"], went["category"]) == ("receive", "send")
    assert (list(went)[-1], list(came)[6]) == ("abandoned", "abandoned")
    # By a label only what came in.
    assert [each["category"] for each in wallet.listtransactions("self")] == ["receive"]
    last = wallet.listsinceblock("", 1, True, True, False, "self")["transactions"]
    assert [each["category"] for each in last] == ["receive"]
    (block,) = wallet.generatetoaddress(1, STRANGER)
    mined = wallet.gettransaction(txid, True, True)
    assert (mined["blockhash"], mined["blockindex"]) == (block, 1)
    assert "hex" not in mined["decoded"]
    with_change = wallet.listsinceblock(
        wallet.getblockhash(mined["blockheight"] - 1), 1, True, True, True
    )
    assert len(with_change["transactions"]) == 4
    assert (mined["comment"], mined["to"]) == ("a note", "a friend")


def test_errors_of_lists(wallet: CoreNode) -> None:
    assert wallet.error("listreceivedbyaddress", 1, False, True, "x") == (
        -4,
        "address_filter parameter was invalid",
    )
    assert wallet.error("getreceivedbyaddress", "x") == (-5, "Invalid Bitcoin address")
    assert wallet.error("listreceivedbylabel", "x")[0] == -3
    assert wallet.error("getreceivedbylabel", "none") == (-4, "Label not found in wallet")
    txid = wallet.sendtoaddress(STRANGER, 1)
    assert wallet.error("abandontransaction", txid) == (
        -5,
        "Transaction not eligible for abandonment",
    )
    address = wallet.getnewaddress()
    assert wallet.error("listunspent", 1, 9, [address, address]) == (
        -8,
        f"Invalid parameter, duplicated address: {address}",
    )


def test_what_labels_have_received(wallet: CoreNode) -> None:
    one, two = wallet.getnewaddress("both"), wallet.getnewaddress("both", "bech32m")
    wallet.sendmany("", {one: 1, two: 2})
    assert wallet.getreceivedbylabel("both") == 0
    assert wallet.getreceivedbylabel("both", 0) == 3
    wallet.generatetoaddress(1, STRANGER)
    by_label = {each["label"]: each for each in wallet.listreceivedbylabel(1, True)}
    assert by_label["both"] == {"amount": 3, "confirmations": 1, "label": "both"}
    (found,) = wallet.listreceivedbyaddress(1, False, True, two)
    assert (found["amount"], found["label"], len(found["txids"])) == (2, "both", 1)


def test_a_coinbase_that_lost_its_block(wallet: CoreNode) -> None:
    address = wallet.getnewaddress("orphan")
    (block,) = wallet.generatetoaddress(1, address)
    (txid,) = wallet.getblock(block)["tx"]
    assert wallet.gettransaction(txid)["amount"] == 0  # young
    wallet.invalidateblock(block)
    shown = wallet.gettransaction(txid)
    (detail,) = shown["details"]
    assert (detail["category"], detail["abandoned"]) == ("orphan", True)
    assert (shown["confirmations"], shown["bip125-replaceable"]) == (0, "unknown")
    assert shown["trusted"] is False


def test_descriptors_and_their_keys(wallet: CoreNode) -> None:
    shown = wallet.listdescriptors()["descriptors"]
    ranged = [row for row in shown if row["active"]]
    assert [row["desc"].split("(")[0] for row in ranged] == words("pkh pkh sh sh tr tr wpkh wpkh")
    assert [row["internal"] for row in ranged] == [False, True] * 4
    assert list(ranged[0]) == words("desc timestamp active internal range next next_index")
    for row in ranged:
        addresses = wallet.deriveaddresses(row["desc"], row["range"])
        assert all(wallet.getaddressinfo(each)["ismine"] for each in addresses)
        assert wallet.getaddressinfo(addresses[0])["parent_desc"] == row["desc"]
    (key,) = wallet.gethdkeys()
    assert [row["desc"] for row in key["descriptors"]] == [row["desc"] for row in ranged]
    (secret,) = wallet.gethdkeys({"private": True})
    private = wallet.listdescriptors(True)["descriptors"]
    assert all(secret["xprv"] in row["desc"] for row in private if row["active"])
    # What is private stands for the same addresses.
    public = {wallet.getdescriptorinfo(row["desc"])["descriptor"] for row in private}
    assert len(public) == len(private) == len(shown)
    for row in private:
        span = ([0, 2],) if row["active"] else ()
        for address in wallet.deriveaddresses(row["desc"], *span):
            assert wallet.getaddressinfo(address)["ismine"] is True
    assert wallet.error("listdescriptors", 5)[0] == -3
    assert wallet.error("gethdkeys", {"x": 1})[0] == -3


def test_addresses_that_belong_together(wallet: CoreNode) -> None:
    one, two = wallet.getnewaddress("one"), wallet.getnewaddress("two")
    alone = wallet.getnewaddress("alone")
    wallet.sendmany("", {one: 1, two: 1, alone: 1})
    wallet.generatetoaddress(1, STRANGER)
    coins = wallet.listunspent(1, 1, [one, two])
    raw = wallet.createrawtransaction(coins, [{STRANGER: 1.9999}])
    change = wallet.simulaterawtransaction([raw])
    assert change == {"balance_change": -2}
    wallet.sendrawtransaction(wallet.signrawtransactionwithwallet(raw)["hex"])
    groups = [[member[0] for member in group] for group in wallet.listaddressgroupings()]
    (together,) = [group for group in groups if one in group]
    assert two in together
    assert alone not in together
    (group,) = [group for group in wallet.listaddressgroupings() if group[0][0] == alone]
    assert group == [[alone, 1, "alone"]]


def test_what_is_simulated_can_be(wallet: CoreNode) -> None:
    assert wallet.simulaterawtransaction([]) == {"balance_change": 0}
    coin = wallet.listunspent()[0]
    first = wallet.createrawtransaction([coin], [{wallet.getnewaddress(): 1}])
    txid = wallet.decoderawtransaction(first)["txid"]
    second = wallet.createrawtransaction([{"txid": txid, "vout": 0}], [{STRANGER: 1}])
    both = wallet.simulaterawtransaction([first, second])["balance_change"]
    assert both == -coin["amount"]
    for given, code, message in (
        (["x"], -22, "Transaction hex string decoding failure."),
        ([first, first], -8, "Transaction(s) are spending the same output more than once"),
        ([second], -8, "One or more transaction inputs are missing or have been spent already"),
    ):
        assert wallet.error("simulaterawtransaction", given) == (code, message)


def test_searching_again(wallet: CoreNode) -> None:
    assert wallet.rescanblockchain(5, 7) == {"start_height": 5, "stop_height": 7}
    height = wallet.getblockcount()
    assert wallet.rescanblockchain() == {"start_height": 0, "stop_height": height}
    assert wallet.error("rescanblockchain", 5, 3) == (
        -8,
        "stop_height must be greater than start_height",
    )
    assert wallet.error("rescanblockchain", 1, 5000) == (-8, "Invalid stop_height")
    assert wallet.abortrescan() is False
    assert wallet.keypoolrefill() is None
    assert wallet.error("keypoolrefill", -1) == (-8, "Invalid parameter, expected valid size.")


def test_labels_of_others_have_received_nothing(wallet: CoreNode) -> None:
    wallet.setlabel(STRANGER, "shop")
    by_address = {each["address"]: each for each in wallet.listreceivedbyaddress(0, True)}
    assert by_address[STRANGER]["amount"] == 0
    assert wallet.error("getreceivedbylabel", "shop") == (-4, "Label not found in wallet")
    wallet.setlabel(STRANGER, "")


def test_descriptors_restore_a_wallet(
    wallet: CoreNode, tmp_path_factory: pytest.TempPathFactory
) -> None:
    kinds = words("legacy p2sh-segwit bech32 bech32m")
    given = {kind: wallet.getnewaddress("", kind) for kind in kinds}
    wallet.sendmany("", dict.fromkeys(given.values(), 0.5))
    wallet.generatetoaddress(1, STRANGER)
    private = wallet.listdescriptors(True)["descriptors"]
    with core_node(tmp_path_factory.mktemp("other")) as other:
        for height in range(1, wallet.getblockcount() + 1):
            other.submitblock(wallet.getblock(wallet.getblockhash(height), 0))
        assert other.getbestblockhash() == wallet.getbestblockhash()
        assert other.getbalance() == 0
        answers = other.importdescriptors(private)
        assert answers == [{"success": True}] * len(private)
        assert other.getbalances() == wallet.getbalances()
        assert sorted(each["txid"] for each in other.listunspent()) == sorted(
            each["txid"] for each in wallet.listunspent()
        )
        for kind in kinds:
            assert other.getnewaddress("", kind) == wallet.getnewaddress("", kind)
        back = {row["desc"] for row in other.listdescriptors(True)["descriptors"]}
        assert back.issuperset(row["desc"] for row in private)
        # It can spend, and stays what it is under a passphrase and in a backup.
        assert other.sendall([STRANGER], options={"psbt": True})["complete"] is True
        other.encryptwallet("secret")
        assert other.error("importdescriptors", private)[0] == -13
        other.walletpassphrase("secret", 100)
        assert other.sendall([STRANGER], options={"psbt": True})["complete"] is True
        assert other.importdescriptors(private[:1]) == [{"success": True}]


def test_descriptors_that_cannot_be_imported(wallet: CoreNode) -> None:
    no_keys = "Cannot import descriptor without private keys to a wallet with private keys enabled"
    rows = wallet.listdescriptors()["descriptors"]
    watched = next(row["desc"] for row in rows if row["active"])
    wif = "cMahea7zqjxrtgAbB7LSGbcQUr1uX1ojuat9jZodMN87JcbXMTcA"
    multi = f"wsh(multi(1,{wif}))"
    multi += "#" + wallet.getdescriptorinfo(multi)["checksum"]
    plain = f"wpkh({wif})"
    plain += "#" + wallet.getdescriptorinfo(plain)["checksum"]
    for request, code, message in (
        ({"desc": "x"}, -5, "Missing checksum"),
        ({"desc": watched}, -4, no_keys),
        ({"desc": multi}, -4, "this wallet takes descriptors of one key alone"),
        ({"desc": plain, "active": True}, -8, "Active descriptors must be ranged"),
        ({}, -8, "Descriptor not found."),
    ):
        (answer,) = wallet.importdescriptors([{**request, "timestamp": "now"}])
        assert answer == {"success": False, "error": {"code": code, "message": message}}
    assert wallet.importdescriptors([]) == []
    assert wallet.error("importdescriptors", [{"desc": plain}]) == (
        -3,
        "Missing required timestamp field for key",
    )
    rows = wallet.listdescriptors(True)["descriptors"]
    ranged = {"desc": next(row["desc"] for row in rows if row["active"]), "timestamp": "now"}
    for more in ({"label": "x"}, {"next_index": -1}, {"range": [0, -1]}):
        (answer,) = wallet.importdescriptors([{**ranged, **more}])
        assert answer["error"]["code"] == -8
