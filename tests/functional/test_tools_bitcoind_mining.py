"""`misocoin mine` on a real bitcoind: its templates, its long poll, its stops."""

import http.client
import json
import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from misocoin.primitives.transaction import outpoint
from tests.builders import spend
from tests.functional.conftest import MakeBitcoind, StartMiner
from tests.functional.framework.bitcoind import CREDENTIALS, Bitcoind
from tests.functional.framework.daemon import DEADLINE, Log, wait_until

pytestmark = pytest.mark.tools

ADDRESS = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"

OTHERS = (
    "bcrt1qqqqsyqcyq5rqwzqfpg9scrgwpugpzysnard0ew",
    "mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn",
)

POLL_SECONDS = 180.0
"""A bitcoind answers a long poll after a minute, and looks again every ten seconds."""

BY_PASSWORD = (f"-user={CREDENTIALS[0]}", f"-password={CREDENTIALS[1]}")


@pytest.fixture(scope="module")
def bitcoind(make_bitcoind: MakeBitcoind) -> Bitcoind:
    return make_bitcoind("-acceptnonstdtxn").start()


def rewarded(bitcoind: Bitcoind, height: int) -> str:
    """The address to which the coinbase of the block at that height pays."""
    block = bitcoind.call("getblock", bitcoind.call("getblockhash", height), 2)
    return str(block["tx"][0]["vout"][0]["scriptPubKey"]["address"])


def send_a_coin(bitcoind: Bitcoind) -> str:
    """Spend a reward of `raw(51)`, with a block of which the chain has begun."""
    block = bitcoind.call("getblock", bitcoind.call("getblockhash", 1), 2)
    coinbase = block["tx"][0]
    point = outpoint(bytes.fromhex(coinbase["txid"])[::-1], 0)
    value = int(coinbase["vout"][0]["value"] * 10**8)
    tx = spend([point], [value - 30_000, 10_000])
    return str(bitcoind.call("sendrawtransaction", tx.serialize().hex(), 0))


@pytest.mark.parametrize("by", ["password", "cookie"])
def test_blocks_are_mined_for_it(bitcoind: Bitcoind, mine: StartMiner, by: str) -> None:
    rights = BY_PASSWORD if by == "password" else [f"-cookie={bitcoind.cookie}"]
    height = bitcoind.call("getblockcount")
    process = mine(f"-node={bitcoind.address}", f"-address={ADDRESS}", "-blocks=3", *rights)
    output, _ = process.communicate(timeout=DEADLINE)
    assert process.returncode == 0, output
    assert output.endswith("3 blocks mined, 0 refused\n")
    assert bitcoind.call("getblockcount") == height + 3
    assert {rewarded(bitcoind, height + number) for number in (1, 2, 3)} == {ADDRESS}
    assert bitcoind.call("verifychain", 4, 0) is True


def test_a_wrong_password_is_told_at_once(bitcoind: Bitcoind, mine: StartMiner) -> None:
    where = f"-node={bitcoind.address}"
    process = mine(where, f"-address={ADDRESS}", "-user=u", "-password=wrong")
    output, _ = process.communicate(timeout=DEADLINE)
    assert process.returncode == 1
    assert "401" in output
    assert output.count("\n") == 1


def test_three_miners_at_once_share_one_chain(bitcoind: Bitcoind, mine: StartMiner) -> None:
    start = bitcoind.call("getblockcount")
    where = (f"-node={bitcoind.address}", *BY_PASSWORD, "-blocks=4")
    addresses = (ADDRESS, *OTHERS)
    processes = [mine(*where, f"-address={address}") for address in addresses]
    taken = 0
    for process in processes:
        output, _ = process.communicate(timeout=DEADLINE)
        assert process.returncode == 0, output
        taken += int(re.findall(r"(\d+) blocks? mined", output)[-1])
        # Two that find a block on the same tip: one of them comes too late.
        assert set(re.findall(r"was not taken: (.*)", output)) <= {"inconclusive"}
    height = bitcoind.call("getblockcount")
    assert height == start + taken
    paid = [rewarded(bitcoind, number) for number in range(start + 1, height + 1)]
    assert {address: paid.count(address) >= 4 for address in addresses} == dict.fromkeys(
        addresses, True
    )


def test_it_waits_for_a_node_that_stops_and_goes_on_when_it_is_back(
    make_bitcoind: MakeBitcoind, mine: StartMiner
) -> None:
    bitcoind = make_bitcoind().start()
    where = f"-node={bitcoind.address}"
    process = mine(where, f"-address={ADDRESS}", f"-cookie={bitcoind.cookie}")
    log = Log(process)
    log.wait_for("block 3 mined")
    bitcoind.stop()
    log.wait_for("no work from the node")
    bitcoind.start()  # with another cookie
    height = bitcoind.call("getblockcount")
    wait_until(lambda: bitcoind.call("getblockcount") > height, "it mines again")
    assert end(process, log) == 0
    assert log.text.endswith("mined, 0 refused")


def end(process: subprocess.Popen[str], log: Log) -> int:
    """Stop a miner by a signal; its exit code."""
    process.send_signal(signal.SIGTERM)
    code = process.wait(DEADLINE)
    log.close()
    return code


# -- work that nobody finishes ----------------------------------------------------------------


@contextmanager
def hard_templates(bitcoind: Bitcoind) -> Iterator[str]:
    """The address of a relay to it that makes its templates too hard to mine.

    All else comes through as it is, long polls among it.
    """

    class Relay(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            link = http.client.HTTPConnection(bitcoind.address, timeout=POLL_SECONDS)
            try:
                link.request("POST", "/", body, {"Authorization": self.headers["Authorization"]})
                answer = link.getresponse()
                data = answer.read()
            except OSError:  # it stops
                return
            finally:
                link.close()
            reply: dict[str, Any] = json.loads(data)
            if isinstance(reply["result"], dict):
                reply["result"]["bits"] = "1700ffff"
            data = json.dumps(reply).encode()
            self.send_response(answer.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Be silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Relay)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_block_and_a_transaction_of_others_make_it_turn_to_other_work(
    make_bitcoind: MakeBitcoind, mine: StartMiner
) -> None:
    bitcoind = make_bitcoind("-acceptnonstdtxn").start()
    bitcoind.call("generatetodescriptor", 101, "raw(51)")
    with hard_templates(bitcoind) as address:
        process = mine(f"-node={address}", f"-address={ADDRESS}", *BY_PASSWORD)
        log = Log(process)
        log.wait_for("work on block 102 with 0 transactions, 50.00000000 coins")
        bitcoind.call("generatetodescriptor", 1, "raw(51)")
        log.wait_for("work on block 103 with 0 transactions", 10)
        bitcoind.call("invalidateblock", bitcoind.call("getbestblockhash"))
        log.wait_for("work on block 102 with 0 transactions", 10)
        send_a_coin(bitcoind)
        fee = Decimal(20_000).scaleb(-8)
        log.wait_for(f"work on block 102 with 1 transactions, {50 + fee:.8f} coins", POLL_SECONDS)
        assert end(process, log) == 0
    assert log.text.endswith("0 blocks mined, 0 refused")
    assert bitcoind.call("getblockcount") == 101
