"""`misocoin mine` beside a daemon: another process mines for it."""

import signal

import pytest

from tests.functional.conftest import StartMiner
from tests.functional.framework.daemon import DEADLINE, Daemon, Log, wait_until

ADDRESS = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"


def test_blocks_come_from_another_process(daemon: Daemon, mine: StartMiner) -> None:
    process = mine(f"-node=127.0.0.1:{daemon.port}", f"-address={ADDRESS}", "-blocks=3")
    output, _ = process.communicate(timeout=DEADLINE)
    assert process.returncode == 0, output
    assert output.endswith("3 blocks mined, 0 refused\n")
    assert "work on block 1 with 0 transactions, 50.00000000 coins\n" in output
    assert daemon.rpc.getblockcount() == 3
    block = daemon.rpc.getblock(daemon.rpc.getbestblockhash(), 2)
    (coinbase,) = block["tx"]
    assert coinbase["vout"][0]["scriptPubKey"]["address"] == ADDRESS
    assert b"misocoin".hex() in coinbase["vin"][0]["coinbase"]


def test_it_mines_what_is_paid_and_goes_on_when_the_node_is_back(
    daemon: Daemon, mine: StartMiner
) -> None:
    daemon.rpc.generate(101)
    process = mine("-node", f"127.0.0.1:{daemon.port}", "-address", ADDRESS)
    log = Log(process)
    log.wait_for("block 102 mined")
    txid = daemon.rpc.send_misocoin(ADDRESS, 1)
    wait_until(lambda: daemon.rpc.get_tx(txid)["confirmations"] > 0, "it is mined")
    daemon.stop()
    log.wait_for("no work from the node")
    daemon.start()
    height = daemon.rpc.getblockcount()
    wait_until(lambda: daemon.rpc.getblockcount() > height, "it mines again")
    process.send_signal(signal.SIGTERM)
    assert process.wait(DEADLINE) == 0
    log.close()
    assert "mined, 0 refused" in log.text


@pytest.mark.parametrize(
    ("options", "code", "hint"),
    [
        ([], 2, "-address=<address>"),
        (["-address=x"], 1, "'x' is not an address"),
        (["-address", ADDRESS, "-user=me"], 2, "go together"),
        (["-address", ADDRESS, "-engine=magic"], 2, "choose auto"),
        (["-adress=x"], 2, "did you mean -address?"),
    ],
)
def test_what_cannot_be_mined(mine: StartMiner, options: list[str], code: int, hint: str) -> None:
    process = mine(*options)
    output, _ = process.communicate(timeout=DEADLINE)
    assert process.returncode == code
    assert hint in output
    assert output.count("\n") == 1


def test_a_wrong_password_is_told_at_once(daemon: Daemon, mine: StartMiner) -> None:
    where = f"-node=127.0.0.1:{daemon.port}"
    process = mine(where, f"-address={ADDRESS}", "-user=me", "-password=wrong")
    output, _ = process.communicate(timeout=DEADLINE)
    assert process.returncode == 1
    assert "401" in output
