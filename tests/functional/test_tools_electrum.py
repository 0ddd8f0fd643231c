"""ElectrumX on a node, and wallets on that: Electrum, and one of the Bitcoin Dev Kit."""

import json
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path

import pytest

from tests.functional.conftest import MakeDaemon
from tests.functional.framework.daemon import wait_until
from tests.functional.framework.electrum import ELECTRUMX, Electrum, ElectrumX
from tests.functional.framework.registries import Registries, find_program, run

pytestmark = pytest.mark.tools

BDK_SCRIPT = Path(__file__).parent / "tool_scripts" / "bdk_wallet.py"


def test_receive_mined_coins_pay_confirm_and_reorganise(
    registries: Registries, make_daemon: MakeDaemon, tmp_path: Path
) -> None:
    find_program("electrum")
    programs = registries.python(ELECTRUMX, "plyvel")
    node = make_daemon("-txindex", "-txospenderindex").start()
    rpc = node.rpc
    mine = rpc.getnewaddress()
    rpc.generatetoaddress(110, mine)
    with ExitStack() as stack:
        server = ElectrumX(tmp_path, programs, node)
        stack.callback(server.close)
        server.wait()
        electrum = Electrum(tmp_path, server.port)
        stack.callback(electrum.close)

        reward = rpc.generatetoaddress(1, electrum.call("getunusedaddress"))[0]
        wait_until(lambda: electrum.balance("unmatured") == 50, "it sees the mined coin")
        rpc.generatetoaddress(99, mine)
        wait_until(lambda: electrum.balance("confirmed") == 50, "the coin is mature")

        theirs = rpc.getnewaddress()
        txid = electrum.pay(theirs, "2", fee="0.0001")
        assert rpc.getrawmempool() == [txid]
        change = Decimal("47.9999")
        wait_until(lambda: electrum.history().get(txid) == 0, "it sees its payment wait")
        (block,) = rpc.generatetoaddress(1, mine)
        wait_until(lambda: electrum.history()[txid] == 1, "it is confirmed")
        assert electrum.balance("confirmed") == change
        assert rpc.getreceivedbyaddress(theirs) == 2

        rpc.invalidateblock(block)
        for _ in range(2):
            rpc.generateblock(mine, [])
        wait_until(lambda: electrum.history()[txid] == 0, "the reorganisation undid it")
        assert rpc.getrawmempool() == [txid]
        rpc.generatetoaddress(1, mine)
        wait_until(lambda: electrum.history()[txid] == 1, "it is confirmed once more")
        assert electrum.balance("confirmed") == change
        assert list(electrum.history()) == [rpc.getblock(reward)["tx"][0], txid]


def test_bdk_finds_coins_by_descriptors_and_pays(
    registries: Registries, make_daemon: MakeDaemon, tmp_path: Path
) -> None:
    programs = registries.python(ELECTRUMX, "plyvel")
    python = registries.python("bdkpython==3.1.1") / "python"
    node = make_daemon("-txindex", "-txospenderindex").start()
    rpc = node.rpc
    rpc.generatetoaddress(110, rpc.getnewaddress())
    with ExitStack() as stack:
        server = ElectrumX(tmp_path, programs, node)
        stack.callback(server.close)
        server.wait()
        url = f"http://{':'.join(node.credentials)}@127.0.0.1:{node.port}"
        ended = run([python, BDK_SCRIPT, f"tcp://127.0.0.1:{server.port}", url], timeout=180)
        assert ended.returncode == 0, ended.stderr + ended.stdout
        seen = json.loads(ended.stdout)
    assert set(seen) == {"bip84", "bip86"}
    for wallet in seen.values():
        assert rpc.getrawtransaction(wallet["txid"], 1)["confirmations"] >= 1
        assert rpc.deriveaddresses(wallet["descriptor"], 0) == [wallet["address"]]
