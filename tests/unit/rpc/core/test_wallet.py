"""Core's wallet methods over the node's one wallet."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.rpc.core.conftest import MINER, MINER_WIF, CoreNode, core_node

STRANGER = MINER
COIN = 100_000_000


@pytest.fixture
def core(tmp_path: Path) -> Iterator[CoreNode]:
    """One for each test: what happens to a wallet stays with it."""
    with core_node(tmp_path) as made:
        yield made


@pytest.fixture
def wallet(core: CoreNode) -> CoreNode:
    """The node with three mature rewards in its wallet."""
    core.generatetoaddress(3, core.getnewaddress("mined"))
    core.generatetoaddress(98, STRANGER)
    # As everybody's first test of a wallet on regtest has it: 101 blocks, 50 coins.
    assert core.getbalance() == core.getbalances()["mine"]["trusted"] == 50
    assert core.getbalances()["mine"]["immature"] == 100
    assert len(core.listunspent()) == 1
    core.generatetoaddress(2, STRANGER)
    return core


@pytest.fixture(autouse=True)
def settled(wallet: CoreNode) -> Iterator[None]:
    """Every test finds an empty mempool."""
    yield
    wallet.generatetoaddress(1, STRANGER)


def sats(value: float) -> int:
    return round(value * COIN)


@pytest.mark.parametrize(
    ("kind", "start", "descriptor", "path"),
    [
        ("bech32", "bcrt1q", "wpkh([", "m/84"),
        ("bech32m", "bcrt1p", "tr([", "m/86"),
        ("p2sh-segwit", "2", "sh(wpkh([", "m/49"),
        ("legacy", ("m", "n"), "pkh([", "m/44"),
    ],
)
def test_addresses_of_all_four_types(
    wallet: CoreNode, kind: str, start: str, descriptor: str, path: str
) -> None:
    address = wallet.getnewaddress("four", kind)
    assert address.startswith(start)
    info = wallet.getaddressinfo(address)
    assert info["ismine"] is info["solvable"] is True
    assert info["labels"] == ["four"]
    assert info["desc"].startswith(descriptor)
    assert info["hdkeypath"].startswith(path)
    assert info["scriptPubKey"] == wallet.validateaddress(address)["scriptPubKey"]
    assert address in wallet.getaddressesbylabel("four")
    assert wallet.getrawchangeaddress(kind).startswith(start)
    txid = wallet.sendtoaddress(address, 0.1)
    wallet.generatetoaddress(1, STRANGER)
    (coin,) = wallet.listunspent(1, 9999999, [address])
    assert (coin["txid"], sats(coin["amount"]), coin["label"]) == (txid, 10_000_000, "four")
    assert wallet.getreceivedbyaddress(address) == 0.1
    # It can be spent: by the wallet, and by the key that it gives out.
    raw = wallet.createrawtransaction([coin], [{STRANGER: 0.0999}])
    by_wallet = wallet.signrawtransactionwithwallet(raw)
    by_key = wallet.signrawtransactionwithkey(raw, [wallet.dumpprivkey(address)])
    assert by_wallet["complete"] is by_key["complete"] is True
    wallet.sendrawtransaction(by_key["hex"])


def test_somebody_else_s_address(wallet: CoreNode) -> None:
    info = wallet.getaddressinfo(STRANGER)
    assert (info["ismine"], info["solvable"], info["labels"]) == (False, False, [])
    assert wallet.error("getaddressinfo", "x")[0] == -5
    assert wallet.error("dumpprivkey", STRANGER) == (
        -4,
        f"Private key for address {STRANGER} is not known",
    )
    assert wallet.error("getreceivedbyaddress", STRANGER) == (-4, "Address not found in wallet")
    unknown = (-5, "Unknown address type 'x'")
    assert wallet.error("getnewaddress", "", "x") == unknown
    assert wallet.error("getrawchangeaddress", "x") == unknown
    assert wallet.error("setlabel", "x", "y")[0] == -5
    assert wallet.error("setlabel", STRANGER, "two\nlines")[0] == -4


def test_labels(wallet: CoreNode) -> None:
    wallet.setlabel(STRANGER, "shop")
    assert "shop" in wallet.listlabels()
    assert "shop" in wallet.listlabels("send")
    assert "shop" not in wallet.listlabels("receive")
    assert wallet.getaddressesbylabel("shop") == {STRANGER: {"purpose": "send"}}
    assert wallet.error("getaddressesbylabel", "none")[0] == -11
    assert wallet.error("listlabels", "x")[0] == -8
    wallet.setlabel(STRANGER, "")


def test_balances(wallet: CoreNode) -> None:
    balances = wallet.getbalances()
    assert wallet.getbalance() == balances["mine"]["trusted"] == wallet.getbalance("*", 1)
    assert wallet.getbalance("*", 1_000_000) == 0
    assert balances["lastprocessedblock"]["hash"] == wallet.getbestblockhash()
    assert wallet.error("getbalance", "x")[0] == -32
    info = wallet.getwalletinfo()
    assert (info["walletname"], info["scanning"]) == ("", False)
    assert "unlocked_until" not in info
    assert info["txcount"] >= 3


def test_a_payment_from_its_sending_to_its_block(wallet: CoreNode) -> None:
    before = sats(wallet.getbalance())
    txid = wallet.sendtoaddress(STRANGER, 1.5, "for tea")
    (sent,) = wallet.listtransactions("*", 1)
    assert (sent["category"], sent["amount"], sent["address"]) == ("send", -1.5, STRANGER)
    assert (sent["confirmations"], sent["trusted"], sent["comment"]) == (0, True, "for tea")
    shown = wallet.gettransaction(txid, True, True)
    assert shown["amount"] == -1.5
    assert sats(wallet.getbalance()) == before - 150_000_000 + sats(shown["fee"])
    assert shown["decoded"]["txid"] == txid
    assert shown["hex"] == wallet.getrawtransaction(txid)
    assert [each["category"] for each in shown["details"]] == ["send"]
    last = wallet.getbestblockhash()
    (block,) = wallet.generatetoaddress(1, STRANGER)
    shown = wallet.gettransaction(txid)
    assert (shown["confirmations"], shown["blockhash"]) == (1, block)
    since = wallet.listsinceblock(last)
    assert [each["txid"] for each in since["transactions"]] == [txid]
    assert (since["removed"], since["lastblock"]) == ([], block)
    assert wallet.error("gettransaction", "00" * 32) == (
        -5,
        "Invalid or non-wallet transaction id",
    )


def test_mined_coins_are_immature_then_generate(wallet: CoreNode) -> None:
    wallet.generatetoaddress(1, wallet.getnewaddress())
    (young,) = wallet.listtransactions("*", 1)
    assert (young["category"], young["generated"]) == ("immature", True)
    oldest = wallet.listtransactions("mined", 100)
    assert {each["category"] for each in oldest} == {"generate"}
    assert len(oldest) == 3
    assert wallet.listtransactions("mined", 1, 2) == oldest[:1]
    assert young["txid"] not in {each["txid"] for each in wallet.listunspent(0)}
    assert wallet.error("listreceivedbyaddress", 1, False, True, "x")[0] == -4
    mined = oldest[0]["address"]
    (row,) = wallet.listreceivedbyaddress(1, False, True, mined)
    assert (row["amount"], len(row["txids"]), row["label"]) == (150, 3, "mined")


def test_a_payment_within_the_wallet_is_sent_and_received(wallet: CoreNode) -> None:
    txid = wallet.sendtoaddress(wallet.getnewaddress("self"), 0.2)
    listed = [each for each in wallet.listtransactions("*", 10) if each["txid"] == txid]
    assert [(each["category"], each["amount"]) for each in listed] == [
        ("receive", 0.2),
        ("send", -0.2),
    ]


def test_many_are_paid_at_once(wallet: CoreNode) -> None:
    own = wallet.getnewaddress()
    done = wallet.sendmany(
        "", {STRANGER: 0.3, own: "0.4"}, None, "", [], None, None, "unset", 5, True
    )
    tx = wallet.getrawtransaction(done["txid"], 1)
    values = {each["scriptPubKey"].get("address"): each["value"] for each in tx["vout"]}
    assert (values[STRANGER], values[own]) == (0.3, 0.4)
    fee = -sats(wallet.gettransaction(done["txid"])["fee"])
    assert fee == pytest.approx(5 * tx["vsize"], rel=0.05)


def test_the_fee_comes_out_of_the_payment(wallet: CoreNode) -> None:
    before = sats(wallet.getbalance())
    txid = wallet.sendtoaddress(STRANGER, 1, "", "", True)
    assert before - sats(wallet.getbalance()) == pytest.approx(COIN, abs=500)
    fee = -sats(wallet.gettransaction(txid)["fee"])
    assert -sats(wallet.gettransaction(txid)["amount"]) == pytest.approx(COIN - fee, abs=500)


def test_raw_transactions_are_funded(wallet: CoreNode) -> None:
    raw = wallet.createrawtransaction([], [{STRANGER: 1}])
    change = wallet.getrawchangeaddress("legacy")
    options = {"fee_rate": 3, "changeAddress": change, "changePosition": 0}
    funded = wallet.fundrawtransaction(raw, options)
    assert funded["changepos"] == 0
    tx = wallet.decoderawtransaction(funded["hex"])
    assert tx["vout"][0]["scriptPubKey"]["address"] == change
    assert tx["vout"][1]["value"] == 1
    signed = wallet.signrawtransactionwithwallet(funded["hex"])
    assert signed["complete"] is True
    (trial,) = wallet.testmempoolaccept([signed["hex"]])
    assert trial["allowed"] is True
    assert sats(trial["fees"]["base"]) == sats(funded["fee"])
    # With an input that is there already and does not suffice.
    coin = min(wallet.listunspent(), key=lambda each: each["amount"])
    raw = wallet.createrawtransaction([coin], [{STRANGER: coin["amount"] + 1}])
    funded = wallet.fundrawtransaction(raw, {"fee_rate": 2})
    tx = wallet.decoderawtransaction(funded["hex"])
    assert tx["vin"][0]["txid"] == coin["txid"]
    assert len(tx["vin"]) > 1
    signed = wallet.signrawtransactionwithwallet(funded["hex"])
    (trial,) = wallet.testmempoolaccept([signed["hex"]])
    assert sats(trial["fees"]["base"]) == sats(funded["fee"])


def test_an_output_that_stores_data_needs_no_coins(wallet: CoreNode) -> None:
    raw = wallet.createrawtransaction([], [{"data": "11" * 32}])
    funded = wallet.fundrawtransaction(raw)
    signed = wallet.signrawtransactionwithwallet(funded["hex"])
    (trial,) = wallet.testmempoolaccept([signed["hex"]])
    assert trial["allowed"] is True
    assert sats(trial["fees"]["base"]) == sats(funded["fee"])
    nothing = wallet.createrawtransaction([], [{STRANGER: 0}])
    assert wallet.error("fundrawtransaction", nothing) == (-4, "Transaction amount too small")


def test_what_is_funded_is_not_funded_again(wallet: CoreNode) -> None:
    raw = wallet.createrawtransaction([], [{STRANGER: 0.5}])
    funded = wallet.fundrawtransaction(raw)
    again = wallet.fundrawtransaction(funded["hex"], True)
    signed = wallet.signrawtransactionwithwallet(again["hex"])
    (trial,) = wallet.testmempoolaccept([signed["hex"]])
    assert trial["allowed"] is True
    assert sats(trial["fees"]["base"]) == sats(again["fee"])
    # Enough is there for the fee, and the rest comes back.
    coin = max(wallet.listunspent(), key=lambda each: each["amount"])
    paid = wallet.createrawtransaction([coin], [{STRANGER: 0.1}])
    funded = wallet.fundrawtransaction(paid)
    tx = wallet.decoderawtransaction(funded["hex"])
    assert len(tx["vin"]) == 1
    change = tx["vout"][funded["changepos"]]["value"]
    assert sats(change) == sats(coin["amount"]) - 10_000_000 - sats(funded["fee"])


def test_what_cannot_be_paid(wallet: CoreNode) -> None:
    assert wallet.error("sendtoaddress", "x", 1)[0] == -5
    assert wallet.error("sendtoaddress", STRANGER, 1_000_000)[0] == -6
    assert wallet.error("sendtoaddress", STRANGER, -1)[0] == -3
    assert wallet.error("sendtoaddress", STRANGER, 0.0000001)[0] == -6
    assert wallet.error("sendtoaddress", STRANGER, 0.00001, "", "", True, True, None, "unset",
                        None, 500)[0] == -6  # fmt: skip
    assert wallet.error("sendmany", "x", {STRANGER: 1})[0] == -8
    assert wallet.error("sendmany", "", {})[0] == -6
    assert wallet.error("sendmany", "", {STRANGER: 1}, 1, "", ["other"])[0] == -8
    raw = wallet.createrawtransaction([], [{STRANGER: 1_000_000}])
    assert wallet.error("fundrawtransaction", raw)[0] == -4
    assert wallet.error("fundrawtransaction", raw, {"x": 1})[0] == -3
    assert wallet.error("fundrawtransaction", raw, {"add_inputs": False})[0] == -4
    foreign = wallet.createrawtransaction([{"txid": "11" * 32, "vout": 0}], [{STRANGER: 1}])
    assert wallet.error("fundrawtransaction", foreign)[0] == -4
    assert wallet.error("listunspent", 1, 9, ["x"])[0] == -5
    assert wallet.error("listunspent", 1, 9, [], True, {"x": 1})[0] == -3
    assert wallet.error("listtransactions", "*", -1) == (-8, "Negative count")
    assert wallet.error("listsinceblock", "00" * 32)[0] == -5
    assert wallet.error("abandontransaction", "00" * 32)[0] == -5


def test_messages_are_signed_by_an_address(wallet: CoreNode) -> None:
    address = wallet.getnewaddress("", "legacy")
    signature = wallet.signmessage(address, "hello")
    assert wallet.verifymessage(address, signature, "hello") is True
    assert wallet.error("signmessage", "x", "y") == (-5, "Invalid address")
    assert wallet.error("signmessage", STRANGER, "y") == (-4, "Private key not available")
    taproot = wallet.getnewaddress("", "bech32m")
    assert wallet.error("signmessage", taproot, "y") == (-3, "Address does not refer to key")


def test_a_reorg_is_told_of(wallet: CoreNode) -> None:
    txid = wallet.sendtoaddress(STRANGER, 0.1)
    (block,) = wallet.generatetoaddress(1, STRANGER)
    wallet.invalidateblock(block)
    try:
        since = wallet.listsinceblock(block)
        assert [each["txid"] for each in since["removed"]] == [txid]
        assert wallet.gettransaction(txid)["confirmations"] == 0
    finally:
        wallet.reconsiderblock(block)
    assert wallet.gettransaction(txid)["confirmations"] == 1


def test_a_payment_that_the_mempool_dropped_is_given_up(wallet: CoreNode) -> None:
    txid = wallet.sendtoaddress(STRANGER, 0.1)
    assert wallet.error("abandontransaction", txid)[0] == -5
    now = wallet.getblockheader(wallet.getbestblockhash())["time"]
    wallet.setmocktime(now + 400 * 3600)
    try:
        wallet.sendtoaddress(STRANGER, 0.2)  # the first one has waited for too long now
        assert txid not in wallet.getrawmempool()
        wallet.abandontransaction(txid)
    finally:
        wallet.setmocktime(0)
    (listed,) = [each for each in wallet.listtransactions("*", 99) if each["txid"] == txid]
    assert listed["abandoned"] is True


def test_keys_come_in(wallet: CoreNode) -> None:
    before = sats(wallet.getbalances()["mine"]["immature"])
    wallet.importprivkey(MINER_WIF, "imported")
    assert wallet.importprivkey(MINER_WIF) is None
    assert wallet.getaddressinfo(MINER)["labels"] == ["imported"]
    assert sats(wallet.getbalances()["mine"]["immature"]) > before
    assert wallet.dumpprivkey(MINER) == MINER_WIF
    assert wallet.error("importprivkey", "x") == (-5, "Invalid private key encoding")
    assert wallet.rescanblockchain(5)["start_height"] == 5
    assert wallet.error("rescanblockchain", -1) == (-8, "Invalid start_height")


def test_one_wallet_under_one_name(wallet: CoreNode, tmp_path_factory) -> None:
    assert wallet.listwallets() == [""]
    assert wallet.createwallet("test") == {"name": "test"}
    assert wallet.listwallets() == ["test"]
    assert wallet.listwalletdir() == {"wallets": [{"name": "test"}]}
    assert wallet.error("createwallet", "test")[0] == -4
    assert wallet.error("createwallet", "other")[0] == -4
    assert wallet.error("createwallet", "other", True)[0] == -4
    assert wallet.error("loadwallet", "test") == (-35, 'Wallet "test" is already loaded.')
    backup = tmp_path_factory.mktemp("backup") / "wallet.json"
    wallet.backupwallet(str(backup))
    assert backup.exists()
    assert wallet.error("backupwallet", str(backup))[0] == -4
    wallet.node.wallet_names.name = ""  # as after a restart
    assert wallet.loadwallet("again") == {"name": "again"}


def test_a_passphrase(wallet: CoreNode) -> None:
    assert wallet.error("walletpassphrase", "x", 1)[0] == -15
    assert wallet.error("walletlock")[0] == -15
    assert wallet.error("walletpassphrasechange", "x", "y")[0] == -15
    assert wallet.error("encryptwallet", "")[0] == -8
    assert "encrypted" in wallet.encryptwallet("one")
    assert wallet.getwalletinfo()["unlocked_until"] == 0
    assert wallet.error("sendtoaddress", STRANGER, 1)[0] == -13
    assert wallet.error("dumpprivkey", wallet.getnewaddress())[0] == -13
    assert wallet.error("walletpassphrase", "two", 60)[0] == -14
    assert wallet.error("walletpassphrase", "one", -1)[0] == -8
    assert wallet.error("encryptwallet", "x")[0] == -15
    wallet.walletpassphrase("one", 60)
    assert 0 < wallet.getwalletinfo()["unlocked_until"] - time.time() <= 60
    wallet.sendtoaddress(STRANGER, 1)
    wallet.walletlock()
    wallet.walletpassphrasechange("one", "two")
    assert wallet.error("walletpassphrase", "one", 60)[0] == -14
