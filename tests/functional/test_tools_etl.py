"""bitcoin-etl exports a node's chain as tables, and follows it.

It asks in batches whose calls all have one id, and reads the answers by place.
"""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.functional.conftest import Node
from tests.functional.framework.daemon import wait_until
from tests.functional.framework.registries import Registries, ToolProcess, run

pytestmark = pytest.mark.tools

ETL = ("bitcoin-etl==1.5.2", "setuptools<81")

NAMES = ("blocks", "transactions", "enriched")
"""Of the tables, which are JSON where their names say so."""


def lines_of(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_blocks_and_transactions_are_exported_and_followed(
    registries: Registries, any_node: Node, tmp_path: Path
) -> None:
    program = registries.python(*ETL) / "bitcoinetl"
    node = any_node
    rpc = node.rpc
    rpc.generatetoaddress(105, rpc.getnewaddress())
    kinds = ("legacy", "p2sh-segwit", "bech32", "bech32m")
    sent = [rpc.sendtoaddress(rpc.getnewaddress("", kind), 1) for kind in kinds]
    rpc.generatetoaddress(1, rpc.getnewaddress())
    height = rpc.getblockcount()
    uri = f"--provider-uri=http://{':'.join(node.credentials)}@127.0.0.1:{node.port}"
    blocks, transactions, enriched = (tmp_path / f"{name}.json" for name in NAMES)

    exported = run(
        [
            program, "export_blocks_and_transactions", uri, "--start-block=0",
            f"--end-block={height}", f"--blocks-output={blocks}",
            f"--transactions-output={transactions}",
        ]
    )  # fmt: skip
    assert exported.returncode == 0, exported.stderr
    hashes = {block["number"]: block["hash"] for block in lines_of(blocks)}
    assert hashes == {number: rpc.getblockhash(number) for number in range(height + 1)}

    files = [f"--transactions-input={transactions}", f"--transactions-output={enriched}"]
    done = run([program, "enrich_transactions", uri, *files])
    assert done.returncode == 0, done.stderr
    by_id = {each["hash"]: each for each in lines_of(enriched)}
    assert len(by_id) == height + 1 + len(sent)
    for txid in sent:
        fee = Decimal(by_id[txid]["fee"]) / 100_000_000
        assert fee == -rpc.gettransaction(txid)["fee"]

    last = tmp_path / "last_synced_block.txt"
    follower = ToolProcess(
        tmp_path / "stream.log",
        [program, "stream", uri, f"--start-block={height}", "--period-seconds=1",
         f"--last-synced-block-file={last}"],
    )  # fmt: skip
    try:
        (block,) = rpc.generatetoaddress(1, rpc.getnewaddress())
        wait_until(
            lambda: block in follower.log or not follower.is_running, "it shows the new block"
        )
        assert follower.is_running, follower.log
        assert json.dumps(block) in follower.log
    finally:
        follower.close()
