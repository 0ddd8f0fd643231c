"""Chains that a real bitcoind has checked, in our node, and our busy node's in a real bitcoind."""

from pathlib import Path
from random import Random

import pytest

from tests.functional.conftest import MakeBitcoind, MakeDaemon, MakeTwins, MakeWallet
from tests.functional.framework.daemon import wait_until
from tests.functional.framework.network import wait_for_tip
from tests.shared import shared_file

pytestmark = pytest.mark.tools

KINDS = ("legacy", "p2sh-segwit", "bech32", "bech32m")

BITCOIN_255 = "00000000d0a75c861fabf9ff7b92022f60e4afeed9331fe5aa073d8e4706fe3c"


def test_bitcoins_first_blocks_by_a_second_implementation(
    make_bitcoind: MakeBitcoind, make_daemon: MakeDaemon
) -> None:
    """As `-chain=bitcoin -nodes=localhost:8332` beside a bitcoind; this one has 255 blocks."""
    file = shared_file("chains/bitcoin-1-255.blk")
    bitcoind = make_bitcoind("-connect=0", "-blockfilterindex", f"-loadblock={file}", chain="main")
    bitcoind.start()
    wait_until(lambda: bitcoind.call("getbestblockhash") == BITCOIN_255, "it has loaded them")
    patient = make_daemon(f"-nodes={bitcoind.address}", chain="bitcoin").start()
    patient.log.wait_for("its chain of 255 blocks has less work than this network is known to have")
    assert patient.rpc.getblockcount() == 0
    node = make_daemon(f"-nodes={bitcoind.address}", "-minimumchainwork=0", chain="bitcoin")
    node.start()
    wait_for_tip([node], BITCOIN_255)
    for method, argument in [
        ("gettxoutsetinfo", "hash_serialized_3"),
        ("gettxoutsetinfo", "muhash"),
        ("getblockstats", 170),  # with the first payment
        ("getblockfilter", BITCOIN_255),
        ("getblockheader", BITCOIN_255),
    ]:
        ours = getattr(node.rpc, method)(argument)
        theirs = bitcoind.call(method, argument)
        for name in ("disk_size", "txcount", "header_version"):
            ours.pop(name, None), theirs.pop(name, None)
        assert ours == theirs
    assert not patient.rpc.listbanned()


def test_a_busy_nodes_chain_is_a_real_ones(make_twins: MakeTwins) -> None:
    """Our wallet pays for a while from and to every kind of output; bitcoind takes every block."""
    twins = make_twins("-blockfilterindex")
    rpc, random = twins.ours.rpc, Random(1)
    rpc.generate(105)
    twins.hand_back([rpc.getblockhash(height) for height in range(1, 106)])
    for number in range(30):
        outputs = {rpc.getnewaddress("", kind): random.randrange(1, 9) / 10 for kind in KINDS}
        rpc.sendmany("", outputs)
        for _ in range(random.randrange(4)):
            to = rpc.getnewaddress("", random.choice(KINDS))
            rpc.sendtoaddress(to, random.randrange(1, 900) / 100)
        hashes = rpc.generatetoaddress(1, rpc.getnewaddress("", random.choice(KINDS)))
        if number % 10 == 7:  # another branch wins: the payments come again in other blocks
            twins.hand_back(hashes)
            rpc.invalidateblock(hashes[0])
            hashes = rpc.generate(2)
        twins.hand_back(hashes)
        if number % 10 >= 7:
            twins.same("gettxoutsetinfo", "hash_serialized_3")
            twins.same("gettxoutsetinfo", "muhash")
    assert not rpc.getrawmempool()
    kinds = set()
    for height in range(100, rpc.getblockcount() + 1):
        twins.same("getblockstats", height)
        name = rpc.getblockhash(height)
        twins.same("getblockfilter", name)
        twins.same_get(f"/rest/blockfilter/basic/{name}.bin")
        twins.same_get(f"/rest/block/{name}.json")
        spent = twins.theirs.call("getblock", name, 3)["tx"]
        kinds |= {vin["prevout"]["scriptPubKey"]["type"] for tx in spent[1:] for vin in tx["vin"]}
    assert kinds >= {"pubkeyhash", "scripthash", "witness_v0_keyhash", "witness_v1_taproot"}
    twins.same_get(f"/rest/blockfilterheaders/basic/2000/{rpc.getblockhash(0)}.bin")


def test_a_light_wallet_follows_it(
    make_bitcoind: MakeBitcoind, make_wallet: MakeWallet, tmp_path: Path
) -> None:
    """With -rest and -blockfilterindex it is all that a light wallet asks, but for sending."""
    bitcoind = make_bitcoind("-blockfilterindex").start()
    bitcoind.call("createwallet", "w")
    back = bitcoind.call("getnewaddress")
    bitcoind.call("generatetoaddress", 3, back)
    bitcoind.call("generatetodescriptor", 110, "raw(51)#8lvh9jxk")
    wallet = make_wallet()
    address = wallet.address("rob")
    nodes = f"-nodes={bitcoind.address}"
    bitcoind.call("sendtoaddress", address, 5)
    block = bitcoind.call("generatetoaddress", 1, back)[0]
    assert "5.00000000 to rob" in wallet.run("sync", "-once", nodes)
    assert wallet.balances()["rob"][0] == "5.00000000"
    assert "agrees" in wallet.run("nodes")
    # Undone and mined again elsewhere.
    bitcoind.call("invalidateblock", block)
    bitcoind.call("generateblock", back, [])
    bitcoind.call("generateblock", back, [])
    wallet.run("sync", "-once", nodes)
    assert wallet.balances()["rob"][0] == "0.00000000"
    bitcoind.call("generatetoaddress", 1, back)
    wallet.run("sync", "-once", nodes)
    assert wallet.balances()["rob"][0] == "5.00000000"
    # It takes payments by password alone, so that its owner hands them over.
    draft = str(tmp_path / "draft.psbt")
    wallet.run("psbt-create", "rob", "1", back, "-feerate=0.0001", f"-out={draft}", nodes)
    signed = wallet.run("psbt-sign", draft, "rob").strip()
    bitcoind.call("sendrawtransaction", bitcoind.call("finalizepsbt", signed)["hex"])
    bitcoind.call("generatetoaddress", 1, back)
    wallet.run("sync", "-once", nodes)
    assert wallet.balances()["rob"][0].startswith("3.9999")
    told = wallet.run("send", "rob", "1", back, nodes)
    assert "takes payments only by name and password" in told
    bitcoind.call("sendtoaddress", address, 7)
    bitcoind.call("generatetoaddress", 1, back)
    told = wallet.run("sync", "-once", nodes)  # it stays a source all the same
    assert "7.00000000 to rob" in told
