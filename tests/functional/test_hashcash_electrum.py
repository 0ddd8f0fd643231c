"""The picture that the gates were made for, of programs that others wrote but for the middle:

Electrum -> gate beside it -> gate before the server -> ElectrumX -> Misocoin's regtest node.
"""

from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path

import pytest

from tests.functional.conftest import MakeDaemon
from tests.functional.framework.daemon import wait_until
from tests.functional.framework.electrum import ELECTRUMX, Electrum, ElectrumX
from tests.functional.framework.hashcash import GateProcess
from tests.functional.framework.registries import Registries, find_program

pytestmark = pytest.mark.tools


def test_electrum_receives_pays_and_sees_it_confirmed(
    registries: Registries, make_daemon: MakeDaemon, tmp_path: Path
) -> None:
    find_program("electrum")
    programs = registries.python(ELECTRUMX, "plyvel")
    node = make_daemon("-txindex", "-txospenderindex").start()
    node.rpc.generate(110)
    with ExitStack() as stack:
        indexer = ElectrumX(tmp_path, programs, node)
        stack.callback(indexer.close)
        indexer.wait()
        server = GateProcess(tmp_path, "server", indexer.port, "-service=electrum")
        stack.callback(server.close)
        client = GateProcess(tmp_path, "client", server.port, "-service=electrum", "-version=2")
        stack.callback(client.close)
        electrum = Electrum(tmp_path, client.port)
        stack.callback(electrum.close)

        node.rpc.send_misocoin(electrum.call("getunusedaddress"), "5")
        wait_until(lambda: electrum.balance("unconfirmed") == 5, "Electrum sees the payment")
        node.rpc.generate(1)
        wait_until(lambda: electrum.balance("confirmed") == 5, "Electrum sees it confirmed")

        before = node.rpc.getbalance()
        txid = electrum.pay(node.rpc.get_new_address(), "2", fee="0.0001")
        node.rpc.generate(101)
        wait_until(
            lambda: electrum.balance("confirmed") == Decimal("2.9999"), "the change is confirmed"
        )
        assert electrum.history()[txid] == 101
        assert node.rpc.getbalance() > before + 2
        electrum.close()
        client.stop()
        server.stop()
        assert int(server.log.wait_for(r"stopped; (\d+) requests went through")[1]) >= 10
