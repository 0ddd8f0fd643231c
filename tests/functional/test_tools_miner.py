"""A miner that somebody else wrote finds blocks for a node, through getblocktemplate.

`CPUMINER` names it: pooler's cpuminer (`minerd`), or what takes the same options.
"""

from decimal import Decimal
from pathlib import Path

import pytest

from tests.functional.conftest import MakeDaemon
from tests.functional.framework.daemon import wait_until
from tests.functional.framework.registries import ToolProcess, find_program

pytestmark = pytest.mark.tools


@pytest.mark.parametrize("kind", ["legacy", "bech32"])
def test_blocks_and_their_transactions_are_mined_elsewhere(
    kind: str, make_daemon: MakeDaemon, tmp_path: Path
) -> None:
    program = find_program("minerd", "CPUMINER")
    node = make_daemon("-txindex").start()
    rpc = node.rpc
    rpc.generatetoaddress(101, rpc.getnewaddress())
    txid = rpc.sendtoaddress(rpc.getnewaddress(), 1)
    reward_to = rpc.getnewaddress("", kind)
    start = rpc.getblockcount()
    miner = ToolProcess(
        tmp_path / "miner.log",
        [
            program, "--algo=sha256d", f"--url={node.url}/",
            f"--userpass={':'.join(node.credentials)}", f"--coinbase-addr={reward_to}",
            "--threads=1",
        ],
    )  # fmt: skip
    try:
        wait_until(
            lambda: rpc.getblockcount() >= start + 3 or not miner.is_running, "blocks are mined"
        )
        assert miner.is_running, miner.log
    finally:
        miner.close()
    first = rpc.getblock(rpc.getblockhash(start + 1), 2)
    assert [tx["txid"] for tx in first["tx"][1:]] == [txid]
    fee = first["tx"][1]["fee"]
    (reward, *_) = first["tx"][0]["vout"]
    assert reward["scriptPubKey"]["address"] == reward_to
    assert reward["value"] == Decimal(50) + fee
    assert rpc.verifychain(4, 0) is True
