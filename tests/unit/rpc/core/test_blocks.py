"""Core's methods that read blocks, headers and coins."""

from typing import Any

import pytest

from misocoin.http.errors import RpcError
from tests.unit.rpc.core.conftest import MINER, CoreNode

GENESIS = "0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206"


def test_both_dialects_answer_by_their_names(core: CoreNode) -> None:
    best = core.getbestblockhash()
    assert best == core.getblockhash(core.getblockcount())
    assert core.getblock(best) == core.getblock(blockhash=best, verbosity=1)
    assert core.getblock(best, True) == core.getblock(blockhash=best, verbose=1)
    assert core.getblock(best) == core.get_block(core.getblockcount())
    assert core.getblockhash(0) == GENESIS


def test_the_chain_at_a_glance(core: CoreNode) -> None:
    info = core.getblockchaininfo()
    assert info["chain"] == "regtest"
    assert info["blocks"] == info["headers"] == 110
    assert info["bits"] == "207fffff"
    assert info["difficulty"] == core.getdifficulty() == pytest.approx(4.6565423739069247e-10)
    assert info["warnings"] == []


def test_a_header(core: CoreNode) -> None:
    header = core.getblockheader(core.getblockhash(1))
    assert header["previousblockhash"] == GENESIS
    assert header["confirmations"] == 110
    raw = core.getblockheader(core.getblockhash(1), False)
    assert len(raw) == 160
    assert core.getblock(core.getblockhash(1), 0).startswith(raw)


def test_branches(core: CoreNode) -> None:
    (tip,) = [tip for tip in core.getchaintips() if tip["status"] == "active"]
    assert tip == {
        "height": core.getblockcount(),
        "hash": core.getbestblockhash(),
        "branchlen": 0,
        "status": "active",
    }


def test_a_branch_that_lost_and_one_that_is_invalid(core: CoreNode) -> None:
    old = core.getbestblockhash()
    core.invalidateblock(old)
    assert core.getblockcount() == 109
    (new,) = core.generatetoaddress(1, MINER)
    status = {tip["hash"]: tip["status"] for tip in core.getchaintips()}
    assert status == {old: "invalid", new: "active"}
    core.reconsiderblock(old)
    status = {tip["hash"]: tip["status"] for tip in core.getchaintips()}
    assert status == {old: "active", new: "valid-fork"}  # it came first
    core.preciousblock(new)
    assert core.getbestblockhash() == new
    assert core.verifychain(4, 0) is True


def test_figures_over_a_window(core: CoreNode) -> None:
    stats = core.getchaintxstats()
    assert stats["txcount"] == core.getblockcount() + 1
    assert stats["window_block_count"] == core.getblockcount() - 1
    early = core.getchaintxstats(2, core.getblockhash(10))
    assert (early["txcount"], early["window_tx_count"]) == (11, 2)
    assert core.getchaintxstats(0)["window_block_count"] == 0
    assert core.error("getchaintxstats", 10**6)[0] == -8


def test_figures_of_a_block(core: CoreNode) -> None:
    stats = core.getblockstats(5)
    assert stats["subsidy"] == 50 * 10**8
    assert (stats["txs"], stats["ins"], stats["outs"], stats["totalfee"]) == (1, 0, 2, 0)
    assert stats["utxo_increase"] == 2
    assert stats["utxo_increase_actual"] == 1
    assert core.getblockstats(core.getblockhash(5), ["txs", "time"]) == {
        "txs": 1,
        "time": stats["time"],
    }
    assert core.getblockstats(0)["utxo_increase_actual"] == 0
    assert core.error("getblockstats", -1) == (-8, "Target block height -1 is negative")
    assert core.error("getblockstats", 5, ["x"]) == (-8, "Invalid selected statistic 'x'")


def test_soft_forks_and_indexes(core: CoreNode) -> None:
    info = core.getdeploymentinfo()
    names = ["bip34", "bip66", "bip65", "csv", "segwit", "testdummy", "taproot"]
    assert list(info["deployments"]) == names
    active = {name for name, fork in info["deployments"].items() if fork["active"]}
    assert active == {*names} - {"testdummy"}
    assert info["deployments"]["testdummy"]["bip9"]["status"] == "defined"
    height = core.getblockcount()
    assert core.getindexinfo("txindex") == {
        "txindex": {"synced": True, "best_block_height": height}
    }
    assert {"txindex", "txospenderindex"} <= set(core.getindexinfo())


def test_an_unspent_output(core: CoreNode) -> None:
    txid = core.getblock(core.getblockhash(1))["tx"][0]
    out = core.gettxout(txid, 0)
    assert out["value"] == 50
    assert out["coinbase"]
    assert out["confirmations"] == core.getblockcount()
    assert out["scriptPubKey"]["address"] == MINER
    assert out["scriptPubKey"]["desc"].startswith(f"addr({MINER})#")
    assert core.gettxout(txid, 5) is None
    assert core.gettxout("00" * 32, 0) is None
    assert core.error("gettxout", "00", 0)[0] == -8


def test_the_set_of_coins(core: CoreNode) -> None:
    info = core.gettxoutsetinfo()
    height = core.getblockcount()
    assert info["txouts"] == info["transactions"] == height
    assert info["total_amount"] == 50 * height
    assert info["bogosize"] == height * (50 + 22)
    assert len(info["hash_serialized_3"]) == 64
    assert "muhash" not in info
    assert len(core.gettxoutsetinfo("muhash")["muhash"]) == 64
    assert "hash_serialized_3" not in core.gettxoutsetinfo(hash_type="none")
    assert core.error("gettxoutsetinfo", "md5") == (-8, "'md5' is not a valid hash_type")


def test_proofs_of_transactions(core: CoreNode) -> None:
    txid = core.getblock(core.getblockhash(3))["tx"][0]
    proof = core.gettxoutproof([txid])
    assert proof == core.gettxoutproof([txid], core.getblockhash(3))
    assert core.verifytxoutproof(proof) == [txid]
    other = core.getblockheader(core.getblockhash(4), False)
    assert core.verifytxoutproof(other + proof[160:]) == []
    assert core.error("gettxoutproof", []) == (-8, "Parameter 'txids' cannot be empty")
    assert core.error("gettxoutproof", ["00" * 32]) == (-5, "Transaction not yet in block")
    assert core.error("gettxoutproof", [txid], core.getblockhash(4))[0] == -5
    assert core.error("gettxoutproof", [txid, txid])[0] == -8
    assert core.error("verifytxoutproof", proof[:-2])[0] == -1


@pytest.mark.parametrize("form", ["addr({})", {"desc": "addr({})"}])
def test_coins_are_found_by_descriptors(core: CoreNode, form: Any) -> None:
    if isinstance(form, dict):
        asked: Any = {"desc": form["desc"].format(MINER), "range": 5}
    else:
        asked = form.format(MINER)
    found = core.scantxoutset("start", [asked])
    assert found["success"]
    assert found["total_amount"] == 50 * core.getblockcount()
    assert len(found["unspents"]) == found["txouts"] == core.getblockcount()
    assert found["unspents"][0]["desc"].startswith(f"addr({MINER})#")
    assert core.scantxoutset("status") is None
    assert core.scantxoutset("abort") is False


def test_what_cannot_be_scanned_for(core: CoreNode) -> None:
    assert core.error("scantxoutset", "go")[0] == -8
    assert core.error("scantxoutset", "start")[0] == -1
    assert core.error("scantxoutset", "start", ["addr(x)"]) == (-5, "Address is not valid")


def test_waiting_for_what_is_there_already(core: CoreNode) -> None:
    tip = {"hash": core.getbestblockhash(), "height": core.getblockcount()}
    assert core.waitforblock(tip["hash"]) == tip
    assert core.waitforblockheight(5) == tip
    assert core.waitfornewblock(1) == tip
    assert core.waitfornewblock(0, GENESIS) == tip
    assert core.waitforblock(GENESIS, 1) == tip
    assert core.error("waitforblockheight", 5, -1) == (-1, "Negative timeout")
    assert core.error("waitforblock", GENESIS, -1) == (-1, "Negative timeout")
    assert core.error("waitfornewblock", -1) == (-1, "Negative timeout")


@pytest.mark.parametrize("level", range(5))
def test_the_last_blocks_are_well(core: CoreNode, level: int) -> None:
    assert core.verifychain(level, 20) is True
    assert core.error("verifychain", level, "20")[0] == -3


def test_unknown_blocks_and_heights(core: CoreNode) -> None:
    assert core.error("getblockhash", 10**6) == (-8, "Block height out of range")
    assert core.error("getblockhash", -1) == (-8, "Block height out of range")
    assert core.error("getblock", "00") == (-8, "blockhash must be of length 64 (not 2, for '00')")
    for name in (
        "getblock",
        "getblockheader",
        "invalidateblock",
        "reconsiderblock",
        "preciousblock",
        "getblockfilter",
        "getdeploymentinfo",
        "getblockstats",
    ):
        assert core.error(name, "00" * 32) == (-5, "Block not found"), name


def test_a_block_filter(core: CoreNode) -> None:
    genesis, first = core.getblockhash(0), core.getblockhash(1)
    shown = core.getblockfilter(genesis)
    chain = core.node.chain
    assert shown == {
        "filter": chain.filters.get(chain.at_height(0)).data.hex(),
        "header": chain.filters.get(chain.at_height(0)).header[::-1].hex(),
    }
    assert core.getblockfilter(first, "basic")["header"] != shown["header"]
    for given, code, message in (
        (("00" * 32,), -5, "Block not found"),
        ((first, "magic"), -5, "Unknown filtertype"),
    ):
        with pytest.raises(RpcError) as caught:
            core.getblockfilter(*given)
        assert (caught.value.code, caught.value.message) == (code, message)
