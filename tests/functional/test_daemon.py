"""The daemon as its users see it: starting, telling, stopping, and refusing to start."""

import json
import os
import signal
import socket
import stat
from decimal import Decimal

import pytest

from misocoin.http.errors import HttpRefused, RpcError
from misocoin.http.jsonrpc import JsonRpcClient
from tests.functional.conftest import MakeDaemon
from tests.functional.framework.daemon import Daemon, wait_until


def test_it_welcomes_with_its_address_and_where_it_listens(daemon: Daemon) -> None:
    address = daemon.rpc.list_addresses()[0]["address"]
    assert daemon.log.wait_for(r"address (\S+)")[1] == address
    assert f"listening on {daemon.url}" in daemon.log.text
    assert str(daemon.folder) in daemon.log.text


def test_it_tells_a_block_in_one_line(daemon: Daemon) -> None:
    (block,) = daemon.rpc.generate(1)
    assert daemon.log.wait_for(rf"block 1 mined {block}")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_it_cleanly(daemon: Daemon, number: signal.Signals) -> None:
    os.kill(daemon.pid, number)
    daemon.log.wait_for("stopped")
    os.kill(daemon.pid, number)  # too late to change anything
    assert daemon.wait() == 0
    assert daemon.log.text.endswith("stopped")
    assert not (daemon.folder / ".cookie").exists()


def test_the_method_stop_stops_it(daemon: Daemon) -> None:
    assert "stopping" in daemon.rpc.stop()
    assert daemon.wait() == 0


def test_it_stops_promptly_beside_an_open_connection(daemon: Daemon) -> None:
    with socket.create_connection(("127.0.0.1", daemon.port)):
        daemon.rpc.get_info()
        daemon.stop(timeout=60)


def test_a_payment_survives_a_restart(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon("-mine=0").start()
    daemon.rpc.generate(101)
    target = "00" * 20
    txid = daemon.rpc.send_misocoin(target, "1.5")
    daemon.rpc.generate(1)
    daemon.restart()
    assert daemon.rpc.get_tx(txid)["confirmations"] == 1
    assert daemon.rpc.get_balance(target) == Decimal("1.5")
    assert daemon.rpc.get_info()["height"] == 102


def test_kill_loses_no_block_and_needs_no_repair(daemon: Daemon) -> None:
    blocks = daemon.rpc.generate(30)
    daemon.kill()
    daemon.start()
    assert daemon.rpc.get_best_block()["hash"] == blocks[-1]


def test_two_daemons_need_nothing_but_another_port(make_daemon: MakeDaemon) -> None:
    first, second = (make_daemon(names_folder=False).start() for _ in range(2))
    assert first.folder.is_dir()
    assert second.folder.is_dir()
    first.rpc.generate(1)
    assert first.rpc.get_info()["height"] == 1
    assert second.rpc.get_info()["height"] == 0
    assert first.cli("get_balance").stdout == "0.00000000\n"


def test_a_port_in_use_is_one_clear_line(daemon: Daemon, make_daemon: MakeDaemon) -> None:
    other = make_daemon()
    other.port = daemon.port
    other.launch()
    assert other.wait() == 1
    assert other.log.text == (
        f"misocoind: cannot listen on 127.0.0.1:{daemon.port}: the port is in use by another "
        "program; choose another"
    )


def test_a_folder_in_use_is_one_clear_line(daemon: Daemon, make_daemon: MakeDaemon) -> None:
    other = make_daemon()
    other.folder = daemon.folder
    other.launch()
    assert other.wait() == 1
    assert other.log.text.startswith("misocoind: ")
    assert "\n" not in other.log.text
    assert daemon.is_answering()
    assert (daemon.folder / ".cookie").exists()


@pytest.mark.parametrize(
    ("option", "hint"),
    [
        ("-prot=4001", "did you mean -port?"),
        ("-port=99999", "write a number from 0 to 65535"),
        ("-chain=maim", "choose miso, regtest or bitcoin"),
        ("4001", "-port=4001"),
        ("-rpcuser=me", "go together"),
    ],
)
def test_a_bad_option_is_one_clear_line(make_daemon: MakeDaemon, option: str, hint: str) -> None:
    daemon = make_daemon()
    daemon.launch(option)
    assert daemon.wait() == 1
    assert hint in daemon.log.text
    assert len(daemon.log.text.splitlines()) == 1


def test_help_and_version_start_nothing(make_daemon: MakeDaemon) -> None:
    for option, text in (("--help", "-loadblock=<file>"), ("-version", "Misocoin daemon")):
        daemon = make_daemon()
        daemon.launch(option)
        assert daemon.wait() == 0
        assert text in daemon.log.text
        assert not daemon.folder.exists()


def test_the_file_and_the_environment_are_heard(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon(environment={"MISOCOIN_LOGJSON": "1"})
    daemon.folder.mkdir()
    (daemon.folder / "misocoin.conf").write_text("[regtest]\nrpcuser=me\nrpcpassword=secret\n")
    daemon.start()
    line = json.loads(daemon.log.wait_for("listening on").string)
    assert line["level"] == "info"
    assert line["time"].endswith("Z")
    client = JsonRpcClient(daemon.url, ("me", "secret"))
    assert client.call("get_balance") == 0
    client.close()


def test_memory_leaves_nothing_behind(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon("-datadir=:memory:", names_folder=False).start()
    assert [path.name for path in daemon.folder.iterdir()] == [".cookie"]
    daemon.rpc.generate(1)
    daemon.stop()
    assert not daemon.folder.exists()


def test_wallet_and_control_need_the_cookie(daemon: Daemon) -> None:
    client = JsonRpcClient(daemon.url)
    assert client.call("get_info")["height"] == 0
    for name in ("get_balance", "stop", "list_addresses"):
        with pytest.raises(HttpRefused) as raised:
            client.call(name)
        assert raised.value.status == 401
    client.close()
    wrong = JsonRpcClient(daemon.url, ("__cookie__", "0" * 64))
    with pytest.raises(HttpRefused):
        wrong.call("get_info")
    wrong.close()
    assert daemon.is_running


def test_the_cookie_is_its_owner_s_alone(daemon: Daemon) -> None:
    mode = (daemon.folder / ".cookie").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("get_block", [1], -8),
        ("get_block", ["00" * 32], -5),
        ("get_tx", ["11" * 32], -5),
        ("send_misocoin", ["miso1qqqqqqqqqqqqqqqq", 1], -5),
        ("send_misocoin", ["00" * 20, "-1"], -3),
        ("send_misocoin", ["00" * 20, "0.000000001"], -3),
        ("send_misocoin", ["00" * 20, "5000"], -6),
        ("send_raw_tx", ["zz"], -22),
        ("send_raw_tx", ["00"], -22),
        ("submit_block", ["00"], -22),
        ("get_blok", [], -32601),
    ],
)
def test_what_cannot_be_done_has_a_code_and_the_daemon_lives_on(
    lasting_daemon: Daemon, method: str, params: list[object], code: int
) -> None:
    with pytest.raises(RpcError) as raised:
        lasting_daemon.rpc.client.call(method, *params)
    assert raised.value.code == code
    assert raised.value.message
    assert lasting_daemon.is_answering()


def test_mining_goes_on_in_the_background(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon("-mine=1").start()
    wait_until(lambda: daemon.rpc.get_info()["height"] >= 3, "three blocks are mined")
    daemon.rpc.set_mining(False)
    info = daemon.rpc.get_mining_info()
    assert info["mining"] is False
    assert info["kernel"]
    assert info["rolled_versions"] == 16
    version = daemon.rpc.get_block(1)["version"]
    assert version & ~0x1FFFE000 == 0x20000000


def test_a_closed_terminal_stops_it_cleanly(daemon: Daemon) -> None:
    os.kill(daemon.pid, signal.SIGHUP)
    assert daemon.wait() == 0
    assert "stopped" in daemon.log.text


def test_a_missing_block_file_is_one_clear_line(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon("-loadblock=/nonexistent.blk")
    daemon.launch()
    assert daemon.wait() == 1
    assert daemon.log.text == "misocoind: -loadblock=/nonexistent.blk: no such file"


def test_nobody_can_have_blocks_generated_without_end(daemon: Daemon) -> None:
    with pytest.raises(RpcError, match="count must be 10000 at most"):
        daemon.rpc.generate(1_000_000_000)
