"""The real bitcoin-cli on our node and on a real bitcoind: the same lines, the same answers."""

import hmac
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.functional.conftest import MakeDaemon, MakeTwins
from tests.functional.framework.answers import Twins
from tests.functional.framework.bitcoind import Bitcoind, bitcoind_program
from tests.functional.framework.daemon import DEADLINE, ROOT, Daemon, wait_until
from tests.functional.framework.registries import Registries, run

pytestmark = pytest.mark.tools

ADDRESS = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"
GENESIS = "0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206"


RPC_AUTH_OF_V = "v:00$" + hmac.digest(b"00", b"p", "sha256").hex()

KNOTS = re.compile(r'\n *"(txcount|header_version)": \d+,')
"""Fields of Knots' own."""


class Ended(NamedTuple):
    """What a command came to."""

    code: int
    out: str
    err: str


class Cli:
    """bitcoin-cli on both."""

    def __init__(self, program: Path, twins: Twins) -> None:
        self.program = program
        self.twins = twins

    def run(self, which: str, *words: str, given: str | None = None) -> Ended:
        """Call one of them, `ours` or `theirs`, with its cookie."""
        twins = self.twins
        node: Daemon | Bitcoind = twins.ours if which == "ours" else twins.theirs
        where = [f"-datadir={node.folder}", "-regtest", f"-rpcport={node.port}"]
        done = subprocess.run(
            [self.program, *where, *words],
            input=given, capture_output=True, text=True, check=False, timeout=DEADLINE,
        )  # fmt: skip
        return Ended(done.returncode, done.stdout, done.stderr)

    def both(self, *words: str, given: str | None = None) -> tuple[Ended, Ended]:
        return self.run("ours", *words, given=given), self.run("theirs", *words, given=given)

    def same(self, *words: str, given: str | None = None) -> Ended:
        """What both print, with the same exit code; fails where they differ."""
        ours, theirs = self.both(*words, given=given)
        assert ours == theirs._replace(out=KNOTS.sub("", theirs.out)), words
        return theirs


@pytest.fixture(scope="module")
def cli(make_twins: MakeTwins, registries: Registries) -> Cli:
    twins = make_twins(
        "-minrelaytxfee=0.00001", "-incrementalrelayfee=0.00001", f"-rpcauth={RPC_AUTH_OF_V}"
    )
    twins.set_time(1_700_000_000)
    twins.grow(5, ADDRESS)
    twins.theirs.call("createwallet", "")
    return Cli(bitcoind_program(registries, "bitcoin-cli"), twins)


@pytest.mark.parametrize(
    "line",
    [
        "getblockcount",
        "getblockhash 3",
        f"getblock {GENESIS}",
        f"getblock {GENESIS} 0",
        f"getblock {GENESIS} 2",
        f"getblock {GENESIS} true",
        f"getblockheader {GENESIS} false",
        f"-named getblock blockhash={GENESIS} verbosity=0",
        f"-named getblock {GENESIS} verbosity=0",
        "-named getblockhash height=2",
        "getblockhash 6",
        "getblockhash -1",
        "getblockhash 1.5",
        "getblockhash x",
        'getblockhash "1"',
        "getblockhash null",
        "-named getblockhash hight=1",
        "-named getblockhash height=1 height=2",
        "getblock zz",
        f"getblock {GENESIS} 1x",
        "nosuchmethod",
        "-nosuchoption getblockcount",
        "",
        "-rpcwallet=nobody getbalance",
        "getchaintips",
        "getrawmempool true",
        "getrawmempool false true",
        "gettxoutproof [] ",
        'gettxout 00 0 "true"',
        "getmempoolentry 00",
        "-named getnetworkhashps nblocks=2 height=3",
        'createrawtransaction [] {"data":"00"}',
        f'createrawtransaction [] {{"{ADDRESS}":0.00000001}}',
        f'createrawtransaction [{{"txid":"{"1" * 64}","vout":0}}] [{{"{ADDRESS}":1}}] 5 true',
        f'createrawtransaction [] {{"{ADDRESS}":-1}}',
        f'createrawtransaction [] {{"{ADDRESS}":"1e-8"}}',
        f'createrawtransaction [] {{"{ADDRESS}":0.000000001}}',
        "decoderawtransaction 02000000000100000000000000000c6a0a00000000000000000000000000000000",
        'createmultisig 1 ["0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"]',
        f"validateaddress {ADDRESS}",
        "setmocktime 1700000000",
        "estimatesmartfee 2",
        "getindexinfo txindex",
        "setban 1.2.3.4 add 5 false",
        "listbanned",
        "clearbanned",
        "logging [] []",
        "ping",
        "help nosuchmethod",
        "-getinfo 1",
        "-getinfo -netinfo",
        "-generate 1 2 3",
        "-generate x",
        "-generate 0",
        "-netinfo x",
        "-addrinfo 1",
        "-addrinfo",
        "-rpcuser=me -rpcpassword=wrong getblockcount",
        "-rpcwait getblockcount",
        "-rpcwait -rpcwaittimeout=5 getblockcount",
        "-rpcclienttimeout=30 getblockcount",
        "-stdinrpcpass -rpcuser=v getblockcount",
    ],
)
def test_a_line(cli: Cli, line: str) -> None:
    cli.same(*line.split(), given="p\n" if "-stdin" in line else None)


def test_arguments_on_standard_input(cli: Cli) -> None:
    assert cli.same("-stdin", "getblockhash", given="0\n").out.strip() == GENESIS
    assert cli.same("-stdin", "getblock", given=f"{GENESIS}\n0\n").code == 0
    assert cli.same("-stdin", "-named", "getblock", given=f"blockhash={GENESIS}\n").code == 0
    assert cli.same("-stdin", given="getblockhash\n0\n").code == 0
    by_password = ("-stdinrpcpass", "-stdin", "-rpcuser=v", "getblockhash")
    assert cli.same(*by_password, given="p\n0\n").out.strip() == GENESIS
    assert cli.same(*by_password, given="q\n0\n").code == 1


@pytest.mark.parametrize(
    "line",
    [
        "getblockcount",
        "getblockhash 3",
        "getblockhash 77",
        f"getblock {GENESIS} 0",
        f"getblockheader {GENESIS} false",
        "-named getblockhash height=2",
        'createrawtransaction [] {"data":"00"}',
        f'createrawtransaction [{{"txid":"{"1" * 64}","vout":0}}] [{{"{ADDRESS}":1}}] 5 true',
        f"validateaddress {ADDRESS}",
        "-named getnetworkhashps nblocks=2 height=3",
        "getrawmempool true",
        "setmocktime 1700000000",
        "getblock zz",
    ],
)
def test_our_own_tool_on_both(cli: Cli, line: str) -> None:
    ended = []
    for node in (cli.twins.ours, cli.twins.theirs):
        where = ["-regtest", f"-datadir={node.folder}", f"-rpcport={node.port}"]
        done = run([sys.executable, ROOT / "misocoin-cli.py", *where, *line.split()])
        ended.append((done.returncode, done.stdout, done.stderr))
    assert ended[0] == ended[1]
    assert ended[0][0] == (1 if line in ("getblockhash 77", "getblock zz") else 0)


def test_usage_is_shown(cli: Cli) -> None:
    """The texts of help are our own; their form is not."""
    for words in (("getblockhash",), ("uptime", "1"), ("help", "getblock"), ("help",)):
        ours, theirs = cli.both(*words)
        assert ours.code == theirs.code, words
        for one, other in ((ours.out, theirs.out), (ours.err, theirs.err)):
            assert bool(one) == bool(other), words
            assert one.split("\n")[:2] == other.split("\n")[:2] or words[0] == "help", words


def lines_of(text: str) -> list[str]:
    """A text for people with what is each node's own taken out."""
    text = re.sub(r"/\w+:[\w.:/()-]+/|v\d+\.\S+", "VERSION", text)
    text = re.sub(r"(\(-paytxfee\).*: ).*", r"\1 gone in Core 31", text)
    text = re.sub(r"(Version: )\d+|(Keypool size: )\d+", r"\1\2N", text)
    text = re.sub(r"Local services: .*|services \w+", "SERVICES", text)
    return text.splitlines()


@pytest.mark.parametrize(
    "line", ["-getinfo", "-getinfo -color=always", "-netinfo", "-netinfo 1", "-netinfo 4",
             "-netinfo 2 outonly", "-netinfo 255", "-netinfo help"],
)  # fmt: skip
def test_the_node_at_a_glance(cli: Cli, line: str) -> None:
    ours, theirs = cli.both(*line.split())
    assert (ours.code, ours.err) == (theirs.code, theirs.err) == (0, "")
    assert lines_of(ours.out) == lines_of(theirs.out)


def test_blocks_are_generated(cli: Cli) -> None:
    for words in (("-generate",), ("-generate", "2"), ("-generate", "1", "1000000")):
        for ended in cli.both(*words):
            assert (ended.code, ended.err) == (0, "")
            told = json.loads(ended.out)
            assert list(told) == ["address", "blocks"]
            assert len(told["blocks"]) == (2 if "2" in words else 1)


def test_nobody_answers(cli: Cli, tmp_path: Path) -> None:
    """Where no node is, bitcoin-cli waits for one as long as it was told."""
    for words in (("getblockcount",), ("-rpcwait", "-rpcwaittimeout=1", "getblockcount")):
        ours, theirs = cli.both("-rpcport=1", *words)
        assert (ours.code, theirs.code) == (1, 1)
        assert ours.err == theirs.err


@pytest.mark.parametrize("named", ["bitcoin.conf", "other.conf"])
def test_a_file_says_where_the_node_is(cli: Cli, tmp_path: Path, named: str) -> None:
    for port in (cli.twins.ours.port, cli.twins.theirs.port):
        (tmp_path / named).write_text(
            f"regtest=1\nrpcuser=v\nrpcpassword=p\n[regtest]\nrpcport={port}\n"
        )
        words = [cli.program, f"-datadir={tmp_path}", f"-conf={named}", "getblockhash", "0"]
        assert run(words).stdout.strip() == GENESIS


def test_it_stops_a_node(cli: Cli, make_daemon: MakeDaemon) -> None:
    node = make_daemon().start()
    where = (f"-datadir={node.folder}", "-regtest", f"-rpcport={node.port}")
    ended = run([cli.program, *where, "stop"])
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "misocoind is stopping\n", "")
    wait_until(lambda: run([cli.program, *where, "uptime"]).returncode == 1, "it ends")
