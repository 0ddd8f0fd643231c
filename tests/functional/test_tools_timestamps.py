"""OpenTimestamps' client verifies a timestamp by asking a node for a block's header."""

import sys
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.functional.conftest import MakeDaemon, Node
from tests.functional.framework.registries import Registries, run

pytestmark = pytest.mark.tools

CLIENT = ("opentimestamps-client==0.7.2", "setuptools<81")

STAMP = Path(__file__).parent / "tool_scripts" / "opentimestamps_stamp.py"


def test_a_timestamp_is_verified_as_long_as_its_block_is_in_the_chain(
    registries: Registries, any_node: Node, tmp_path: Path
) -> None:
    programs = registries.python(*CLIENT)
    node = any_node
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


@pytest.mark.parametrize("count", [1, 3])
def test_a_proof_of_ours_is_one_of_theirs(
    registries: Registries, make_daemon: MakeDaemon, tmp_path: Path, count: int
) -> None:
    """They see a pending proof as one they cannot complete, and verify it once it is complete."""
    ots = registries.python(*CLIENT) / "ots"
    node = make_daemon().start()
    rpc = node.rpc
    rpc.generatetoaddress(101, rpc.getnewaddress())
    place = f"127.0.0.1:{node.port}"
    url = f"http://{':'.join(node.credentials)}@{place}"
    files = [tmp_path / f"contract{number}.txt" for number in range(count)]
    for file in files:
        file.write_text(f"What {file.name} says.\n")
    proofs = [f"{file}.ots" for file in files]
    ours = [sys.executable, "-m", "misocoin"]
    payer = [f"-payer={place}", f"-cookie={node.folder / '.cookie'}"]

    def verify(file: Path) -> CompletedProcess[str]:
        asks = ["--no-cache", "--btc-regtest", "--bitcoin-node", url]
        return run([ots, *asks, "verify", f"{file}.ots"])

    paid = run([*ours, "notarize", "-chain=regtest", *payer, *files])
    assert paid.returncode == 0, paid.stderr
    (txid,) = rpc.getrawmempool()
    shown = run([ots, "info", proofs[0]]).stdout
    assert f"Transaction id {txid}" in shown
    assert "UnknownAttestation" in shown
    assert verify(files[0]).returncode == 1

    rpc.generatetoaddress(1, rpc.getnewaddress())
    upgraded = run([*ours, "notarize", "-chain=regtest", f"-nodes={place}", "-upgrade", *proofs])
    assert upgraded.returncode == 0, upgraded.stderr
    for file in files:
        verified = verify(file)
        assert verified.returncode == 0, verified.stderr
        assert "Success! Bitcoin block 102 attests existence" in verified.stderr
    files[0].write_text("What it did not say.\n")
    assert verify(files[0]).returncode == 1


def test_a_proof_of_theirs_is_verified_here(
    registries: Registries, make_daemon: MakeDaemon, tmp_path: Path
) -> None:
    programs = registries.python(*CLIENT)
    node = make_daemon().start()
    node.rpc.generatetoaddress(101, node.rpc.getnewaddress())
    place = f"127.0.0.1:{node.port}"
    document = tmp_path / "contract.txt"
    document.write_text("Signed before this block.\n")
    url = f"http://{':'.join(node.credentials)}@{place}"
    stamped = run([programs / "python", STAMP, url, document])
    assert stamped.returncode == 0, stamped.stderr
    ours = [sys.executable, "-m", "misocoin", "verify", "-chain=regtest", f"-nodes={place}"]
    verified = run([*ours, document])
    assert "Block 102 of chain regtest holds it" in verified.stdout
    document.write_text("Signed afterwards.\n")
    assert "the file has changed" in run([*ours, document]).stderr
