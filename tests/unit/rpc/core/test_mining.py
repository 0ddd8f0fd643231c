"""Core's methods for miners, and what they tell of fees."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from misocoin.consensus.block_rules import WITNESS_COMMITMENT_HEADER
from misocoin.consensus.merkle import calculate_merkle_root
from misocoin.consensus.tree import HeaderNode
from misocoin.primitives.block import Block, BlockHeader, block_from_bytes
from misocoin.primitives.transaction import NULL_OUTPOINT, Transaction, TxIn, TxOut
from misocoin.primitives.transaction import transaction_from_bytes as parse
from misocoin.script.script import push_int
from tests.builders import ANYONE, make_block, mine, with_transactions
from tests.unit.rpc.core.conftest import MINER, MINER_WIF, CoreNode

ASK = {"rules": ["segwit"]}


def pay(core: CoreNode, height: int, amount: float = 49.999) -> str:
    txid = core.getblock(core.getblockhash(height))["tx"][0]
    raw = core.createrawtransaction([{"txid": txid, "vout": 0}], [{MINER: amount}])
    return str(core.signrawtransactionwithkey(raw, [MINER_WIF])["hex"])


def block_from_template(template: dict[str, Any], *, with_nonce: bool = False) -> Block:
    """What a miner makes of a template: coinbase, root, nonce."""
    outputs = [TxOut(template["coinbasevalue"], ANYONE)]
    if "default_witness_commitment" in template:
        outputs.append(TxOut(0, bytes.fromhex(template["default_witness_commitment"])))
    witness = (bytes(32),) if with_nonce else ()
    script = push_int(template["height"]) + b"\x00"
    coinbase = Transaction.build(2, [TxIn(NULL_OUTPOINT, script, witness=witness)], outputs)
    txs = [parse(bytes.fromhex(each["data"])) for each in template["transactions"]]
    root, _ = calculate_merkle_root([tx.txid for tx in (coinbase, *txs)])
    header = BlockHeader.build(
        template["version"],
        bytes.fromhex(template["previousblockhash"])[::-1],
        root,
        template["curtime"],
        int(template["bits"], 16),
        0,
    )
    return Block(mine(header), (coinbase, *txs))


@pytest.fixture
def quick(core: CoreNode) -> Iterator[CoreNode]:
    """Every test begins with an empty mempool and a tip of its own."""
    core.generatetoaddress(1, MINER)
    yield core
    core.generatetoaddress(1, MINER)


def test_a_template_becomes_a_block(quick: CoreNode) -> None:
    txid = quick.sendrawtransaction(pay(quick, 1))
    template = quick.getblocktemplate(ASK)
    assert [each["txid"] for each in template["transactions"]] == [txid]
    assert template["coinbasevalue"] == 50 * 10**8 + 100_000
    assert template["height"] == quick.getblockcount() + 1
    assert template["default_witness_commitment"].startswith(WITNESS_COMMITMENT_HEADER.hex())
    assert template["transactions"][0]["fee"] == 100_000
    block = block_from_template(template)
    assert quick.getblocktemplate({"mode": "proposal", "data": whole(block)}) is None
    assert quick.submitblock(block.serialize().hex()) is None
    assert quick.getbestblockhash() == block.header.hash_hex
    assert quick.submitblock(block.serialize().hex()) == "duplicate"
    assert quick.getblocktemplate({"mode": "proposal", "data": whole(block)}) == "duplicate"


def whole(block: Block) -> str:
    """With the witness that the coinbase's commitment asks for."""
    coinbase, *others = block.transactions
    txin = coinbase.vin[0]._replace(witness=(bytes(32),))
    coinbase = Transaction.build(coinbase.version, [txin], coinbase.vout, coinbase.locktime)
    return Block(block.header, (coinbase, *others)).serialize().hex()


def test_a_proposal_needs_no_work_but_must_hold(quick: CoreNode) -> None:
    block = block_from_template(quick.getblocktemplate(ASK))
    unmined = Block(mine(block.header, fail=True), block.transactions)
    assert quick.getblocktemplate({"mode": "proposal", "data": whole(unmined)}) is None
    coinbase = block.transactions[0]
    greedy = Transaction.build(2, coinbase.vin, [TxOut(51 * 10**8, ANYONE), *coinbase.vout[1:]])
    root = calculate_merkle_root([greedy.txid])[0]
    header = BlockHeader.build(*block.header[:2], root, *block.header[3:6])
    bad = Block(header, (greedy,))
    assert quick.getblocktemplate({"mode": "proposal", "data": whole(bad)}) == "bad-cb-amount"
    late = Block(
        BlockHeader.build(block.header.version, bytes(32), *block.header[2:6]), block.transactions
    )
    answer = quick.getblocktemplate({"mode": "proposal", "data": whole(late)})
    assert answer == "inconclusive-not-best-prevblk"
    assert quick.error("getblocktemplate", {"mode": "proposal"})[0] == -3
    assert quick.error("getblocktemplate", {"mode": "proposal", "data": "00"})[0] == -22


def test_what_a_template_is_not_given_for(quick: CoreNode) -> None:
    assert quick.error("getblocktemplate", {"mode": "x"}) == (-8, "Invalid mode")
    code, message = quick.error("getblocktemplate", {})
    assert code == -8
    assert message.startswith("getblocktemplate must be called with the segwit rule set")
    assert quick.error("getblocktemplate")[0] == -1  # its help
    number = "JSON value of type number is not of expected type string"
    assert quick.error("getblocktemplate", {"rules": ["segwit", 1]}) == (-3, number)
    assert quick.error("getblocktemplate", {**ASK, "longpollid": "abc"}) == (
        -8,
        "longpollid must be of length 64 (not 3, for 'abc')",
    )


@pytest.mark.parametrize(
    "more", [{"mode": None}, {"longpollid": "00" * 32}, {"longpollid": "00" * 32 + "7x"}]
)
def test_what_a_template_is_given_for_all_the_same(quick: CoreNode, more: dict[str, Any]) -> None:
    height = quick.getblockcount()
    assert quick.getblocktemplate({**ASK, **more})["height"] == height + 1


def test_a_long_poll_ends_with_the_next_block(quick: CoreNode) -> None:
    first = quick.getblocktemplate(ASK)
    found: list[Any] = []

    def ask() -> None:
        found.append(quick.getblocktemplate({**ASK, "longpollid": first["longpollid"]}))

    waiting = threading.Thread(target=ask)
    waiting.start()
    quick.generatetoaddress(1, MINER)
    waiting.join(60)
    assert found[0]["height"] == first["height"] + 1
    assert found[0]["longpollid"] != first["longpollid"]


def test_blocks_that_are_refused(quick: CoreNode) -> None:
    block = block_from_template(quick.getblocktemplate(ASK), with_nonce=True)
    unmined = Block(mine(block.header, fail=True), block.transactions)
    assert quick.submitblock(unmined.serialize().hex()) == "high-hash"
    version, _, root, time, bits, _, _ = block.header
    orphan = Block(mine(BlockHeader.build(version, bytes(32), root, time, bits, 0)), block[1])
    assert quick.submitblock(orphan.serialize().hex()) == "prev-blk-not-found"
    bad_orphan = Block(orphan.header, block.transactions[:1] * 2)
    assert quick.submitblock(bad_orphan.serialize().hex()) == "bad-txnmrklroot"
    assert quick.error("submitblock", "00") == (-22, "Block decode failed")
    no_coinbase = with_transactions(block, [parse(bytes.fromhex(pay(quick, 2)))])
    assert quick.submitblock(no_coinbase.serialize().hex()) == "bad-cb-missing"
    empty = with_transactions(block, [])
    assert quick.submitblock(empty.serialize().hex()) == "bad-blk-length"
    side = quick.getblockhash(quick.getblockcount() - 1)
    quick.invalidateblock(quick.getbestblockhash())
    late = quick.generateblock(MINER, [], False)
    assert quick.getbestblockhash() == side
    quick.reconsiderblock(side)
    for tip in quick.getchaintips():
        quick.reconsiderblock(tip["hash"])
    assert quick.submitblock(late["hex"]) == "inconclusive"


def test_what_follows_a_block_or_header_is_passed_over(quick: CoreNode) -> None:
    block = block_from_template(quick.getblocktemplate(ASK), with_nonce=True)
    assert quick.submitheader(block.header.serialize().hex() + "00") is None
    assert quick.submitblock(block.serialize().hex() + "ff" * 9) is None
    assert quick.getbestblockhash() == block.header.hash_hex


def test_a_block_that_rests_on_one_that_turns_out_to_be_invalid(quick: CoreNode) -> None:
    """It was never looked at: no reason is told that is another block's."""
    chain = quick.node.chain
    parent = chain.tip.parent
    assert parent is not None
    bad = make_block(parent, chain.params, fees=1, tag=b"bad")
    child = make_block(HeaderNode(bad.header, parent), chain.params)
    tip = quick.getbestblockhash()
    assert quick.submitblock(bad.serialize().hex()) == "inconclusive"
    assert quick.submitblock(child.serialize().hex()) == "inconclusive"
    assert quick.submitblock(bad.serialize().hex()) == "duplicate-invalid"
    assert quick.getbestblockhash() == tip


def test_a_block_that_holds_under_one_that_does_not(quick: CoreNode) -> None:
    chain = quick.node.chain
    tip, parent = chain.tip, chain.tip.parent
    assert parent is not None
    good = make_block(parent, chain.params, tag=b"good")
    bad = make_block(HeaderNode(good.header, parent), chain.params, fees=1)
    quick.submitheader(good.header.serialize().hex())
    assert quick.submitblock(bad.serialize().hex()) == "inconclusive"
    assert quick.submitblock(good.serialize().hex()) is None  # it was connected for a moment
    assert quick.submitblock(good.serialize().hex()) == "duplicate"
    assert quick.submitblock(bad.serialize().hex()) == "duplicate-invalid"
    assert chain.tip is tip


def test_headers(quick: CoreNode) -> None:
    block = block_from_template(quick.getblocktemplate(ASK), with_nonce=True)
    raw = block.header.serialize().hex()
    assert quick.submitheader(raw) is None
    assert quick.getblockheader(block.header.hash_hex)["confirmations"] == -1
    status = {tip["hash"]: tip["status"] for tip in quick.getchaintips()}
    assert status[block.header.hash_hex] == "headers-only"
    assert quick.submitblock(block.serialize().hex()) is None
    assert quick.error("submitheader", "00") == (-22, "Block header decode failed")
    assert quick.error("submitheader", "xx") == (-22, "Block header decode failed")
    assert quick.error("submitheader", "00" * 80)[1].startswith("Must submit previous header")
    unmined = mine(block_from_template(quick.getblocktemplate(ASK)).header, fail=True)
    assert quick.error("submitheader", unmined.serialize().hex()) == (-25, "high-hash")


def test_blocks_of_chosen_transactions(quick: CoreNode) -> None:
    waiting = quick.sendrawtransaction(pay(quick, 3))
    raw = pay(quick, 4)
    made = quick.generateblock(MINER, [waiting, raw])
    shown = quick.getblock(made["hash"], 2)
    assert [tx["txid"] for tx in shown["tx"][1:]] == [
        waiting,
        quick.decoderawtransaction(raw)["txid"],
    ]
    assert shown["tx"][0]["vout"][0]["value"] == 50 >> shown["height"] // 150
    other = quick.generateblock(f"addr({MINER})", [], submit=False)
    assert block_from_bytes(bytes.fromhex(other["hex"])).header.hash_hex == other["hash"]
    assert quick.getbestblockhash() == made["hash"]
    assert quick.error("generateblock", "nobody", []) == (
        -5,
        "Error: Invalid address or descriptor",
    )
    assert quick.error("generateblock", MINER, ["zz"]) == (
        -22,
        "Transaction decode failed for zz. Make sure the tx has at least one input.",
    )
    assert quick.error("generateblock", MINER, [5]) == (
        -3,
        "JSON value of type number is not of expected type string",
    )
    assert quick.error("generateblock", MINER, ["00" * 32]) == (
        -5,
        f"Transaction {'00' * 32} not in mempool.",
    )
    code, message = quick.error("generateblock", MINER, [raw])
    assert code == -25
    assert message.startswith("TestBlockValidity failed: bad-txns-inputs-missingorspent")
    (block,) = quick.generatetodescriptor(1, "raw(51)")
    assert quick.getblock(block, 2)["tx"][0]["vout"][0]["scriptPubKey"]["hex"] == "51"
    assert quick.error("generatetodescriptor", 1, "x") == (
        -5,
        "'x' is not a valid descriptor function",
    )
    assert quick.generatetodescriptor(-1, "raw(51)") == []
    assert quick.error("generatetodescriptor", 10_001, "raw(51)")[0] == -8
    assert quick.error("generatetoaddress", 1, "nobody") == (-5, "Error: Invalid address")
    assert quick.generatetoaddress(-1, MINER) == []
    assert quick.error("generatetoaddress", 10_001, MINER)[0] == -8


def test_figures_about_mining(quick: CoreNode) -> None:
    info = quick.getmininginfo()
    assert info["blocks"] == quick.getblockcount()
    assert info["next"]["height"] == info["blocks"] + 1
    assert info["next"]["bits"] == info["bits"] == "207fffff"
    assert quick.getnetworkhashps(-1) >= 0
    assert quick.getnetworkhashps(5, 3) == quick.getnetworkhashps(3, 3) > 0
    assert quick.getnetworkhashps(5, 0) == 0
    assert quick.error("getnetworkhashps", 0)[0] == -8
    assert quick.error("getnetworkhashps", 5, 10**6) == (
        -8,
        "Block does not exist at specified height",
    )


def test_fees_are_estimated_from_what_was_seen(quick: CoreNode) -> None:
    nothing = {"errors": ["Insufficient data or no feerate found"], "blocks": 0}
    assert quick.estimatesmartfee(1) == nothing
    quick.generatetoaddress(30, MINER)
    for height in range(6, 36):
        quick.sendrawtransaction(pay(quick, height))
    quick.generatetoaddress(1, MINER)
    found = quick.estimatesmartfee(6, "CONSERVATIVE")
    assert found["blocks"] == 6
    assert found["feerate"] == pytest.approx(0.001 / 110 * 1000, rel=1e-4)  # of 110 bytes each
    assert quick.error("estimatesmartfee")[0] == -1
    assert quick.error("estimatesmartfee", 0)[0] == -8
    assert quick.error("estimatesmartfee", 6, "cheap")[0] == -8


def test_the_clock_can_be_stopped(quick: CoreNode) -> None:
    soon = quick.getblockchaininfo()["time"] + 100_000
    try:
        quick.setmocktime(soon)
        (block,) = quick.generatetoaddress(1, MINER)
        assert quick.getblockheader(block)["time"] == soon
        assert quick.getblocktemplate(ASK)["curtime"] == soon
        assert quick.error("setmocktime", -1)[0] == -8
        quick.setmocktime(soon - 90_000)
        tip = quick.getbestblockhash()
        quick.invalidateblock(tip)
        late = block_from_template(quick.getblocktemplate(ASK), with_nonce=True)
        header = late.header
        ahead = BlockHeader.build(*header[:3], soon, *header[4:6])
        too_new = Block(mine(ahead), late.transactions)
        assert quick.submitblock(too_new.serialize().hex()) == "time-too-new"
        quick.setmocktime(soon)
        assert quick.submitblock(too_new.serialize().hex()) is None
    finally:
        quick.setmocktime(0)


def test_dust_is_given_no_priority(quick: CoreNode) -> None:
    coinbase = quick.getblock(quick.getblockhash(quick.getblockcount() - 99))["tx"][0]
    anchor = "bcrt1pfeesnyr2tx"
    raw = quick.createrawtransaction(
        [{"txid": coinbase, "vout": 0}], [{MINER: 49.999999}, {anchor: 0.000001}], 0, True, 3
    )
    parent = quick.signrawtransactionwithkey(raw, [MINER_WIF])["hex"]
    shown = quick.decoderawtransaction(parent)
    txid = shown["txid"]
    spent = [
        {"txid": txid, "vout": at, "scriptPubKey": out["scriptPubKey"]["hex"], "amount": amount}
        for at, (out, amount) in enumerate(zip(shown["vout"], (49.999999, 0.000001), strict=True))
    ]
    raw = quick.createrawtransaction(
        [{"txid": txid, "vout": at} for at in (0, 1)], [{MINER: 49.999}], 0, True, 3
    )
    child = quick.signrawtransactionwithkey(raw, [MINER_WIF], spent)["hex"]
    found = quick.submitpackage([parent, child])
    assert found["package_msg"] == "success", found
    assert quick.error("prioritisetransaction", txid, 0, 100) == (
        -8,
        "Priority is not supported for transactions with dust outputs.",
    )
