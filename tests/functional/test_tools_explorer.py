"""An explorer that somebody else wrote shows a node's chain.

`BTC_RPC_EXPLORER` names btc-rpc-explorer's program (or its `bin/cli.js`); npm is asked where it
does not. The libraries by which it calls a node are tested by themselves beside it.
"""

import json
import os
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.functional.conftest import MakeDaemon, ReservePort
from tests.functional.framework.daemon import Daemon, wait_until
from tests.functional.framework.registries import (
    Registries,
    ToolProcess,
    find_program,
    run,
)

pytestmark = pytest.mark.tools

SCRIPT = Path(__file__).parent / "tool_scripts" / "explorer_calls.cjs"

WHAT_A_NODE_LACKS = ("Error building page", "RpcError", "No RPC Connection")
"""Words by which a page tells that a call to the node failed."""


@pytest.fixture
def node(make_daemon: MakeDaemon) -> Daemon:
    """A chain with payments in its blocks, and one that waits."""
    node = make_daemon("-txindex").start()
    rpc = node.rpc
    rpc.generatetoaddress(110, rpc.getnewaddress())
    for kind in ("legacy", "p2sh-segwit", "bech32", "bech32m"):
        rpc.sendtoaddress(rpc.getnewaddress("", kind), 1)
    rpc.generatetoaddress(1, rpc.getnewaddress())
    rpc.sendtoaddress(rpc.getnewaddress(), "0.5")
    return node


def page(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(errors="replace")
    except OSError:
        return 0, ""


def explorer_command(registries: Registries) -> list[str | Path]:
    node = find_program("node")
    given = os.environ.get("BTC_RPC_EXPLORER")
    if given is None:
        modules = registries.npm("btc-rpc-explorer") / "node_modules"
        return [node, modules / "btc-rpc-explorer" / "bin" / "cli.js"]
    return [node, given] if given.endswith(".js") else [find_program(given)]


def test_no_page_of_the_explorer_is_an_error(
    registries: Registries, node: Daemon, tmp_path: Path, reserve_port: ReservePort
) -> None:
    command = explorer_command(registries)
    rpc = node.rpc
    user, password = node.credentials
    port = reserve_port()
    explorer = ToolProcess(
        tmp_path / "explorer.log",
        command,
        BTCEXP_HOST="127.0.0.1",
        BTCEXP_PORT=str(port),
        BTCEXP_BITCOIND_HOST="127.0.0.1",
        BTCEXP_BITCOIND_PORT=str(node.port),
        BTCEXP_BITCOIND_USER=user,
        BTCEXP_BITCOIND_PASS=password,
        BTCEXP_NO_RATES="true",
        BTCEXP_PRIVACY_MODE="true",
        BTCEXP_RPC_ALLOWALL="true",
        BTCEXP_FILESYSTEM_CACHE_DIR=str(tmp_path / "cache"),
        BTCEXP_RATE_LIMIT_WINDOW_MAX_REQUESTS="100000",
    )
    block = rpc.getbestblockhash()
    coinbase, payment, *_ = rpc.getblock(block)["tx"]
    (waiting,) = rpc.getrawmempool()
    address = rpc.getnewaddress()
    pages = (
        "", "node-details", "mempool-summary", "peers", "blocks", "block/" + block,
        "block-height/0", "block-height/50", "block-stats", "block-analysis/" + block,
        "mining-summary", "tx-stats", "difficulty-history", "next-block", "predicted-blocks",
        "next-halving", "utxo-set", "tx/" + coinbase, "tx/" + payment, "tx/" + waiting,
        "address/" + address, "rpc-browser", "rpc-browser?method=getblockchaininfo",
        "internal-api/blocks-by-height/0,1,110", "internal-api/mempool-txs/" + waiting,
        f"internal-api/raw-tx-with-inputs/{payment}", "api/blocks/tip/height",
        "api/block/" + block, "api/tx/" + payment,
    )  # fmt: skip
    try:
        home = f"http://127.0.0.1:{port}/"

        height = str(rpc.getblockcount())
        wait_until(
            lambda: (
                page(home + "api/blocks/tip/height") == (200, height) or not explorer.is_running
            ),
            "the explorer knows the tip",
        )
        assert explorer.is_running, explorer.log
        for name in pages:
            status, text = page(home + name)
            if status == 404 and "Not Found" in text:
                continue  # another version of the explorer, without that page
            assert status == 200, f"{name}: {status}\n{explorer.log[-3000:]}"
            for sign in WHAT_A_NODE_LACKS:
                assert sign not in text, f"{name}: {sign}\n{explorer.log[-3000:]}"
    finally:
        explorer.close()


@pytest.mark.parametrize("library", ["bitcoin-core@5", "jayson@4"])
def test_every_call_of_an_explorer_is_answered(
    library: str, registries: Registries, node: Daemon
) -> None:
    program = find_program("node")
    modules = registries.npm(library) / "node_modules"
    answered = run([program, SCRIPT, modules, *node.credentials, str(node.port)])
    assert answered.returncode == 0, answered.stderr
    assert {"getblockstats", "gettransaction", "help"} <= set(json.loads(answered.stdout))
