"""OpenTimestamps' client verifies a timestamp by asking a node for a block's header."""

from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.functional.conftest import MakeDaemon
from tests.functional.framework.registries import Registries, run

pytestmark = pytest.mark.tools

STAMP = Path(__file__).parent / "tool_scripts" / "opentimestamps_stamp.py"


def test_a_timestamp_is_verified_as_long_as_its_block_is_in_the_chain(
    registries: Registries, make_daemon: MakeDaemon, tmp_path: Path
) -> None:
    programs = registries.python("opentimestamps-client==0.7.2", "setuptools<81")
    node = make_daemon().start()
    rpc = node.rpc
    rpc.generatetoaddress(101, rpc.getnewaddress())
    url = f"http://{':'.join(node.credentials)}@127.0.0.1:{node.port}"
    document = tmp_path / "contract.txt"
    document.write_text("Signed before this block.\n")
    stamped = run([programs / "python", STAMP, url, document])
    assert stamped.returncode == 0, stamped.stderr

    def verify() -> CompletedProcess[str]:
        asks = ["--no-cache", "--btc-regtest", "--bitcoin-node", url]
        return run([programs / "ots", *asks, "verify", f"{document}.ots"])

    verified = verify()
    assert verified.returncode == 0, verified.stderr
    assert "Success! Bitcoin block 102 attests existence" in verified.stderr

    block = rpc.getbestblockhash()
    rpc.invalidateblock(block)
    gone = verify()
    assert gone.returncode == 1
    assert "Bitcoin block height 102 not found; 101 is highest known block" in gone.stderr
    rpc.generateblock(rpc.getnewaddress(), [])
    other = verify()
    assert other.returncode == 1
    assert "Digest does not match merkleroot" in other.stderr
    rpc.generatetoaddress(1, rpc.getnewaddress())
    rpc.reconsiderblock(block)
    assert verify().returncode == 1

    document.write_text("Signed afterwards.\n")
    changed = verify()
    assert changed.returncode == 1
    assert "File does not match original" in changed.stderr
