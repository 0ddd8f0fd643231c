"""The command line tool beside a real daemon."""

import fcntl
import json
import os
import subprocess
import termios
from contextlib import suppress

import pytest

from tests.functional.conftest import MakeDaemon
from tests.functional.framework.daemon import DEADLINE, Daemon

LONE_ADDRESS = "1234567890123456789012345678901234567890"
"""An address in its 40-hex-digit form that looks like a number."""


def test_an_object_is_printed_as_json(daemon: Daemon) -> None:
    done = daemon.cli("get_info")
    assert done.returncode == 0
    assert done.stderr == ""
    assert json.loads(done.stdout)["chain"] == "regtest"
    # Amounts keep their zeros.
    assert '"min_fee_rate": 0.00001000' in done.stdout


def test_a_text_is_printed_bare(daemon: Daemon) -> None:
    daemon.rpc.generate(1)
    best = daemon.rpc.get_best_block()["hash"]
    assert daemon.cli("get_block", best, "0").stdout.startswith("000000")


def test_arguments_are_read_by_their_declared_kind(daemon: Daemon) -> None:
    daemon.rpc.generate(101)
    done = daemon.cli("send_misocoin", LONE_ADDRESS, "1.5")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout) == 65
    assert daemon.cli("get_balance", LONE_ADDRESS).stdout == "0.00000000\n"
    daemon.rpc.generate(1)
    assert daemon.cli("get_balance", LONE_ADDRESS).stdout == "1.50000000\n"


def test_named_arguments_and_json(daemon: Daemon) -> None:
    daemon.rpc.generate(1)
    assert daemon.cli("-named", "get_block", "block=1", "detail=0").returncode == 0
    vins, vouts = "[]", json.dumps([{LONE_ADDRESS: 1.5}])
    done = daemon.cli("create_raw_tx", vins, vouts)
    assert done.returncode == 0, done.stderr


def test_an_argument_from_standard_input(daemon: Daemon) -> None:
    daemon.rpc.generate(1)
    assert json.loads(daemon.cli("get_block", "-", stdin="1\n").stdout)["height"] == 1
    assert json.loads(daemon.cli("-stdin", "get_block", stdin="1\n").stdout)["height"] == 1


def test_help_lists_and_explains_every_method(daemon: Daemon) -> None:
    listed = [
        line.split()[0]
        for line in daemon.cli("help").stdout.splitlines()
        if line and not line.startswith("==")
    ]
    assert {"get_info", "send_misocoin", "stop", "help"} <= set(listed)
    for name in listed:
        text = daemon.rpc.help(name)
        assert text.startswith(name)
        assert "Result:" in text
    done = daemon.cli("help", "get_info")
    assert (done.returncode, done.stdout) == (0, daemon.rpc.help("get_info") + "\n")


@pytest.mark.parametrize(
    ("words", "code", "hint"),
    [
        (["get_block", "5000"], 1, "error code: -8: "),
        (["get_tx", "00" * 32], 1, "error code: -5: "),
        (["send_misocoin", LONE_ADDRESS, "ten"], 1, "error code: -3: "),
        (["get_block", "x"], 1, "must be a height or a hash of 64 hex digits"),
        (["get_block"], 2, "usage: misocoin-cli get_block"),
        (["get_block", "1", "2", "3"], 2, "usage: misocoin-cli get_block"),
        (["-named", "get_block", "blok=1"], 1, "Unknown named parameter blok"),
        (["get_blok"], 2, "Method not found: 'get_blok'; did you mean get_block?"),
        (["xyzzy"], 2, "misocoin-cli help lists the methods"),
        (["set_mining", "maybe"], 1, "on must be true or false (not 'maybe')"),
        (["get_data", "1"], 1, "place must be a transaction's id of 64 hex digits"),
        (["send_misocoin", "bob", "1"], 1, "no address here has that label, and 'bob' is not"),
        ([], 2, "which method?"),
        (["-nmaed", "get_block"], 2, "did you mean -named?"),
        (["-mine=1", "get_block"], 2, "unknown option"),
        (["get_block", "-", "-"], 2, "standard input"),
    ],
)
def test_an_error_is_one_line_and_an_exit_code(
    lasting_daemon: Daemon, words: list[str], code: int, hint: str
) -> None:
    done = lasting_daemon.cli(*words, stdin="")
    assert done.returncode == code, done.stderr
    assert hint in done.stderr
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1


def test_without_a_daemon_it_says_how_to_get_one(make_daemon: MakeDaemon) -> None:
    done = make_daemon().cli("get_info")
    assert done.returncode == 1
    assert "no daemon answers at localhost:" in done.stderr
    assert "start one with misocoind" in done.stderr


def test_with_the_wrong_cookie_it_says_what_is_missing(
    daemon: Daemon, make_daemon: MakeDaemon
) -> None:
    stranger = make_daemon()
    stranger.port = daemon.port
    assert stranger.cli("get_info").returncode == 0
    done = stranger.cli("get_balance")
    assert done.returncode == 1
    assert "-datadir" in done.stderr


def test_it_waits_for_a_daemon_that_is_still_to_come(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon()
    daemon.launch()
    done = daemon.cli("-rpcwait", "-rpcclienttimeout=60", "uptime")
    assert done.returncode == 0, done.stderr


def test_waiting_ends_when_its_time_is_up(make_daemon: MakeDaemon) -> None:
    done = make_daemon().cli("-rpcwait", "-rpcclienttimeout=1", "uptime")
    assert done.returncode == 1
    assert "no daemon answers" in done.stderr


def test_version_and_help_need_no_daemon(make_daemon: MakeDaemon) -> None:
    nobody = make_daemon()
    assert "version" in nobody.cli("-version").stdout
    assert "-rpcwait" in nobody.cli("-help").stdout


def test_it_finds_a_daemon_s_own_name_and_password_in_the_file(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon()
    daemon.folder.mkdir()
    (daemon.folder / "misocoin.conf").write_text("rpcuser=me\nrpcpassword=se#cret\n")
    daemon.start()
    (daemon.folder / ".cookie").unlink()
    assert daemon.cli("get_balance").returncode == 0


def test_core_s_options_in_place_of_a_method(daemon: Daemon) -> None:
    mined = json.loads(daemon.cli("-generate", "3").stdout)
    assert len(mined["blocks"]) == 3
    assert daemon.rpc.getaddressinfo(mined["address"])["ismine"] is True
    assert len(json.loads(daemon.cli("-generate").stdout)["blocks"]) == 1
    info = daemon.cli("-getinfo")
    assert info.returncode == 0, info.stderr
    assert "Chain: regtest\nBlocks: 4\nHeaders: 4\n" in info.stdout
    assert "Balance: 0.00000000" in info.stdout
    net = daemon.cli("-netinfo", "1")
    assert net.returncode == 0, net.stderr
    assert "links" in net.stdout
    assert daemon.cli("-getinfo", "x").returncode == 1


def test_options_may_stand_behind_the_method_and_name_the_wallet(daemon: Daemon) -> None:
    assert daemon.cli("getbalance", "-rpcwallet=").stdout == "0.00000000\n"
    assert daemon.cli("createwallet", "mine").returncode == 0
    assert daemon.cli("-rpcwallet=mine", "getbalance").returncode == 0
    done = daemon.cli("-rpcwallet=other", "getbalance")
    assert done.returncode == 1
    assert "error code: -18: Requested wallet does not exist" in done.stderr


def test_a_password_from_standard_input(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon("-rpcuser=me", "-rpcpassword=secret").start()
    done = daemon.cli("-rpcuser=me", "-stdinrpcpass", "getbalance", stdin="secret\n")
    assert done.returncode == 0, done.stderr
    assert daemon.cli("-rpcuser=me", "-stdinrpcpass", "getbalance", stdin="x\n").returncode == 1


def test_passphrases_from_standard_input(daemon: Daemon) -> None:
    def call(*words: str, stdin: str = "") -> str:
        done = daemon.cli("-stdinwalletpassphrase", *words, stdin=stdin)
        return done.stderr if done.returncode else done.stdout

    assert call("encrypt_wallet", stdin="one\n") == ""
    assert "passphrase is wrong" in call("unlock_wallet", "60", stdin="two\n")
    assert call("unlock_wallet", "60", stdin="one\n") == ""
    assert daemon.rpc.get_wallet_info()["is_locked"] is False
    assert call("change_passphrase", stdin="one\ntwo\n") == ""
    assert call("walletpassphrasechange", "three", stdin="two\n") == ""  # as bitcoin-cli has it
    assert call("walletpassphrase", "60", stdin="three\n") == ""
    assert "-stdinwalletpassphrase is for unlock_wallet" in call("get_balance")
    assert "-stdinwalletpassphrase is for" in call()


def test_a_passphrase_is_typed_unseen(daemon: Daemon) -> None:
    ours, theirs = os.openpty()

    def take_terminal() -> None:
        os.setsid()
        fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)

    with subprocess.Popen(
        daemon.cli_command("-stdinwalletpassphrase", "encrypt_wallet"),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=daemon.environment,
        preexec_fn=take_terminal,
        pass_fds=[theirs],
    ) as process:
        os.close(theirs)
        shown = b""
        for prompt in (b"New passphrase: ", b"once more: "):
            while not shown.endswith(prompt):
                shown += os.read(ours, 4096)
            os.write(ours, b"hush hush\n")
        assert process.wait(DEADLINE) == 0
        os.set_blocking(ours, False)
        with suppress(OSError):
            shown += os.read(ours, 4096)
    os.close(ours)
    assert b"hush" not in shown
    assert daemon.rpc.get_wallet_info()["is_encrypted"] is True
