"""What a real bitcoind does with its command line and its file, and ours.

Every option that the real one lists has an answer here; see `docs/options.md`.
"""

import base64
import hmac
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from misocoin.config import daemon_config
from misocoin.core_unused import idle_names
from misocoin.errors import ConfigError
from misocoin.option_reference import SHARED
from misocoin.option_table import Program, options_of
from tests.functional.conftest import MakeTwins, ReservePort
from tests.functional.framework.answers import Twins
from tests.functional.framework.bitcoind import bitcoind_program
from tests.functional.framework.daemon import DEADLINE, ROOT, clean_environment, wait_until
from tests.functional.framework.registries import Registries, run

pytestmark = pytest.mark.tools

ADDRESS = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"

KNOTS = frozenset(
    {
        "acceptnonstddatacarrier", "acceptunknownwitness", "blake2b", "blockmaxsize",
        "blockprioritysize", "blockreconstructionextratxnsize", "bytespersigopstrict", "confrw",
        "consensusrules", "corepolicy", "datacarriercost", "datacarrierfullcount", "dbfilesize",
        "dustdynamic", "lowmem", "maxscriptsize", "maxstaleoutbound", "maxtxlegacysigops",
        "mempoolreplacement", "mempooltruc", "minrelaycoinblocks", "minrelaymaturity",
        "permitbareanchor", "permitbaredatacarrier", "permitbarepubkey", "permitephemeral",
        "pruneduringinit", "rdtsexpiry", "rejectbpub", "rejectdeadbranches", "rejectparasites",
        "rejecttokens", "rpcauthfile", "softwareexpiry", "spkreuse", "stalepeercommonheight",
        "statsenable", "statsmaxmemorytarget", "subdustfeepenalty", "testcoinbasematuritylong",
        "testcoinbasematuritylongexpiry", "torexecute", "uaappend", "uaspoof", "v2onlyclearnet",
        "walletimplicitsegwit", "walletoldsigs", "zmqpubhashwallettx", "zmqpubhashwallettxhwm",
        "zmqpubrawwallettx", "zmqpubrawwallettxhwm",
    }
)  # fmt: skip
"""Options that Core has not."""

ELSEWHERE = frozenset({"includeconf", "help-debug"})
"""Options that are no entries of our table: a line of a file, and a word for -help."""


def test_every_option_has_an_answer(registries: Registries) -> None:
    help = run([bitcoind_program(registries), "-help-debug"]).stdout
    listed = set(re.findall(r"^  -([a-z0-9-]+)", help, re.MULTILINE))
    assert len(listed) > 200
    ours = {option.name for option in options_of(Program.DAEMON)}
    assert listed - KNOTS - ELSEWHERE - ours == set()
    assert listed >= KNOTS
    theirs_later = {"limitclustercount", "limitclustersize", "privatebroadcast", "txospenderindex"}
    gone = {"upnp", "mempoolfullrbf"}
    assert (SHARED | idle_names()) - listed <= theirs_later | gone


def refusal(*words: str) -> str:
    """Why our daemon does not start with a command line; empty where it would."""
    try:
        daemon_config(words, {})
    except ConfigError as error:
        return str(error)
    return ""


class Real:
    """A real bitcoind that is started with some words, and stopped where it starts."""

    def __init__(self, program: Path, folder: Path, port: int) -> None:
        self.folder = folder
        self.where = ["-regtest", f"-datadir={folder}", f"-rpcport={port}"]
        self._program = program

    def exit_code(self, *words: str, command: Sequence[str | Path] = ()) -> int:
        """How it ends; `command` is another program instead of it."""
        process = subprocess.Popen(
            [*(command or [self._program, "-listen=0"]), "-printtoconsole=0", *self.where, *words],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
            env=clean_environment(self.folder.parent), cwd=self.folder,
        )  # fmt: skip
        with process:
            is_up = (self.folder / "regtest" / "bitcoind.pid").exists
            wait_until(lambda: process.poll() is not None or is_up(), f"{words} come to an end")
            process.send_signal(signal.SIGTERM)
            return process.wait(DEADLINE)


@pytest.fixture
def real(registries: Registries, tmp_path: Path, reserve_port: ReservePort) -> Real:
    folder = tmp_path / "data"
    folder.mkdir()
    return Real(bitcoind_program(registries), folder, reserve_port())


@pytest.mark.parametrize(
    "line",
    [
        "-nosuchoption", "-nosuch=1", "word", "-rpcport=x", "-rpcport=99999999", "-maxmempool=0",
        "-maxmempool=x", "-rpcauth=bad", "-rpcallowip=bad", "-rpcuser=a:b -rpcpassword=x",
        "-chain=nope", "-testnet -signet", "-prune=10", "-prune=-1", "-prune=550 -txindex",
        "-blockfilterindex=none", "-minrelaytxfee=x", "-minrelaytxfee=-1",
        "-blockmaxweight=99999999", "-zmqpubfoo=tcp://127.0.0.1:1", "-conf=nosuch",
        "-includeconf=x", "-loglevel=foo", "-rpccookieperms=none", "-minimumchainwork=zz",
        "-onlynet=lan", "-blocksdir=none",
    ],
)  # fmt: skip
def test_what_both_refuse(real: Real, line: str) -> None:
    words = line.split()
    assert real.exit_code(*words) == 1
    ours = refusal(*real.where, *words)
    assert words[0].lstrip("-").split("=")[0] in ours
    assert "\n" not in ours


@pytest.mark.parametrize(
    "text",
    [
        "garbage\n", "-server=1\n", "rpcuser=a\nrpcpassword=a#b\n", "includeconf=none\n",
        "conf=other\n", "chain=main\n", "port=5\n", "addnode=1.2.3.4\n", "wallet=w\n",
        "rpcbind=127.0.0.1\n",
    ],
)  # fmt: skip
def test_what_both_refuse_in_a_file(real: Real, text: str) -> None:
    (real.folder / "bitcoin.conf").write_text(text)
    assert real.exit_code() == 1
    assert refusal(*real.where)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("", ""),
        ("-txindex=2 -blockfilterindex=basic -par=-1 -loglevel=net:trace -debug=net", ""),
        ("-nolisten -noconnect -nowallet -noproxy -noprune -nosettings -nodebuglogfile", ""),
        ("-server -rest -fallbackfee=0.0002 -reindex -assumevalid=0 -dnsseed=0", ""),
        ("-rpcallowip=10.0.0.0/8 -rpcbind=127.0.0.1 -rpccookieperms=all", ""),
        ("-noconf", "garbage\n"),
        ("", "nosuch=1\n[nosuch]\na=1\n"),
        ("", "includeconf=more.conf\n[regtest]\nserver=1\n"),
        ("", "main.txindex=1\nregtest.txindex=0\n[main]\nport=7\n"),
        ("", "server = 1 \n \n# c\nrpcauth=u:1$" + "00" * 32 + " # b\n"),
    ],
)
def test_what_both_take(real: Real, line: str, text: str) -> None:
    (real.folder / "bitcoin.conf").write_text(text)
    (real.folder / "more.conf").write_text("txindex=1\nincludeconf=third.conf\n")
    for command in ((), (sys.executable, ROOT / "misocoind.py")):
        assert real.exit_code(*line.split(), command=command) == 0
        # What tells that it runs is gone with it.
        files = {each.name for each in real.folder.rglob("*")}
        assert not {"bitcoind.pid", ".cookie"} & files


@pytest.mark.parametrize("word", ["-help", "-h", "-?", "-help-debug", "-version", "--version"])
def test_what_is_asked_of_the_program(registries: Registries, word: str) -> None:
    for program in ([bitcoind_program(registries)], [sys.executable, ROOT / "misocoind.py"]):
        ended = run([*program, word])
        assert (ended.returncode, ended.stderr) == (0, "")
        assert ended.stdout


HASH = hmac.digest(b"5a", b"p", "sha256").hex()
USERS = [f"-rpcauth={name}:5a${HASH}" for name in ("free", "some", "none")]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where nodes note what their commands were told, by the number of the process."""
    return tmp_path_factory.mktemp("told")


@pytest.fixture(scope="module")
def twins(make_twins: MakeTwins, told: Path) -> Twins:
    # The parent of a command's shell is the node.
    return make_twins(
        *USERS, "-rpcwhitelistdefault=0", "-rpccookieperms=group",
        "-rpcwhitelist=some:getblockcount,uptime", "-rpcwhitelist=some:getblockcount,getblockhash",
        "-rpcwhitelist=none:",
        f"-blocknotify=echo %s >> {told}/$PPID",
    )  # fmt: skip


@pytest.mark.parametrize("user", ["free", "some", "none", "stranger"])
@pytest.mark.parametrize(
    "call",
    [
        {"method": "getblockcount", "id": 1},
        {"method": "uptime", "id": 1},
        {"method": "nosuch", "id": 1},
        {"id": 1},
        {"method": 5},
        [],
        [{"method": "getblockcount", "id": 1}, {"method": "getblockcount", "id": 2}],
        [{"method": "getblockcount", "id": 1}, {"method": "stop", "id": 2}],
    ],
)
def test_who_may_call_what(twins: Twins, user: str, call: Any) -> None:
    if user == "free" and "stop" in str(call):
        pytest.skip("it may, and does")
    token = base64.b64encode(f"{user}:p".encode()).decode()
    ours, theirs = twins.post(call, Authorization=f"Basic {token}")
    assert ours.status == theirs.status
    if ours.status == 200 and "uptime" not in str(call):
        assert ours.body == theirs.body


def test_the_cookie(twins: Twins) -> None:
    cookies = [node.folder / "regtest" / ".cookie" for node in (twins.ours, twins.theirs)]
    texts = [cookie.read_text() for cookie in cookies]
    assert all(re.fullmatch(r"__cookie__:[0-9a-f]{64}", text) for text in texts)
    assert {cookie.stat().st_mode & 0o777 for cookie in cookies} == {0o640}
    pids = [node.folder / "regtest" / "bitcoind.pid" for node in (twins.ours, twins.theirs)]
    assert all(re.fullmatch(r"\d+\n", pid.read_text()) for pid in pids)


def test_commands_are_told_of_blocks(twins: Twins, told: Path) -> None:
    blocks = twins.grow(3, ADDRESS)
    twins.both("invalidateblock", blocks[1])
    twins.both("reconsiderblock", blocks[1])
    wanted = [*blocks, blocks[0], blocks[1], blocks[2]]
    for node in (twins.ours, twins.theirs):
        file = told / (node.folder / "regtest" / "bitcoind.pid").read_text().strip()
        wait_until(
            lambda file=file: sorted(file.read_text().split()) == sorted(wanted),
            "it is told of each tip",
        )


def test_a_folder_has_one_daemon(twins: Twins, registries: Registries) -> None:
    for node, program in (
        (twins.ours, [sys.executable, ROOT / "misocoind.py"]),
        (twins.theirs, [bitcoind_program(registries)]),
    ):
        ended = run([*program, "-regtest", f"-datadir={node.folder}", "-listen=0"])
        assert ended.returncode == 1
        assert str(node.folder) in ended.stderr
