"""A bitcoind script's options, and what they come to here."""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from misocoin.config import Config, client_config, daemon_config
from misocoin.core_options import WALLET_MAX_FEE, Place, Whitelist, place_from_text
from misocoin.core_unused import REFUSED, idle_names
from misocoin.errors import ConfigError
from misocoin.option_reference import SHARED, reference
from misocoin.option_table import Program, options_of
from misocoin.policy.settings import MempoolLimits, RelayPolicy
from misocoin.wallet.spending import MAX_FEE

HASHED = "me:5a17$" + "ab" * 32


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder without anything in it."""
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def config(*arguments: str) -> Config:
    return daemon_config(arguments, {}, lambda: "")[0]


def listening(*arguments: str) -> list[tuple[str, int]]:
    made = config(*arguments)
    return [(made.host, made.port), *made.more_places]


@pytest.mark.parametrize(
    ("arguments", "chain", "port"),
    [
        (["-regtest"], "regtest", 18443),
        (["-regtest=1"], "regtest", 18443),
        (["-regtest=0"], "miso", 4000),
        (["-chain=regtest"], "regtest", 4000),
        (["-chain=regtest", "-regtest"], "regtest", 18443),
        (["-chain=main"], "bitcoin", 8332),
        (["-chain=bitcoin"], "bitcoin", 4000),
        (["-testnet=0"], "miso", 4000),
        (["-regtest", "-port=1"], "regtest", 1),
        (["-regtest", "-rpcport=2"], "regtest", 2),
    ],
)
def test_chain_and_port(arguments: Sequence[str], chain: str, port: int) -> None:
    made = config(*arguments)
    assert (made.chain, made.port) == (chain, port)
    client = client_config(arguments, {})[0]
    assert client.port == port
    assert client.cookie_files == (made.cookie_file,)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-testnet"], "-testnet: there is no such network here; choose -chain=miso, regtest"),
        (["-signet=1"], "no such network here"),
        (["-chain=test"], "no such network here"),
        (["-chain=mian"], "choose miso, regtest or bitcoin"),
        (["-regtest", "-chain=main"], "-regtest and -chain=main cannot go together"),
        (["-prune=550"], "every block is kept here"),
        (["-rpcallowip=everyone"], "write an address or a network"),
        (["-rpcauth=me:secret"], "write user:salt"),
        (["-rpcbind=a:b:c:d/e"], "write host or host:port"),
        (["-rpcport=70000"], "from 0 to 65535"),
        (["-conf=none.conf"], "-conf=none.conf: there is no file"),
        (["-rpcwhitelist=x"], "write user:method"),
        (["-rpccookieperms=none"], "choose owner, group or all"),
        (["-proxy=127.0.0.1:9050"], "links are made directly"),
        (["-walletdir=w"], "everything is in the data folder"),
        (["-walletbroadcast=0"], "always passed on"),
        (["-maxtxfee=0.01"], "limit is 0.1"),
        (["-addresstype=legacy"], "unless its call names another type"),
        (["-includeconf=x"], "unknown option -includeconf"),
    ],
)
def test_what_cannot_be_had_is_refused(arguments: Sequence[str], message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        config(*arguments)
    assert message in str(raised.value)


def test_the_hash_of_a_bad_rpcauth_is_not_repeated_in_the_config() -> None:
    assert "abab" not in repr(config(f"-rpcauth={HASHED}"))


def test_one_port_for_all_and_a_second_where_a_script_names_two() -> None:
    assert listening("-port=1", "-rpcport=2") == [("localhost", 2), ("localhost", 1)]
    assert listening("-port=1", "-rpcport=1") == [("localhost", 1)]
    assert listening("-rpcport=2") == [("localhost", 2)]


def test_rpcbind_counts_only_with_rpcallowip() -> None:
    bound = ("-rpcbind=0.0.0.0", "-rpcbind=[::1]:5", "-rpcport=3")
    made = config(*bound)
    assert (made.host, made.port, made.more_places) == ("localhost", 3, ())
    assert any("-rpcallowip" in note for note in made.notes)
    assert listening(*bound, "-rpcallowip=10.1.2.3/8") == [("0.0.0.0", 3), ("::1", 5)]
    assert config("-rpcallowip=10.1.2.3/8", "-rpcallowip=::1").allowed == ("10.0.0.0/8", "::1/128")
    assert config().allowed is None


def test_peers_by_core_s_words() -> None:
    assert config("-addnode=a:1", "-nodes=b:2").nodes == ("b:2", "a:1")
    made = config("-connect=a:1", "-connect=b:2")
    assert (made.nodes, made.gossip) == (("a:1", "b:2"), False)
    made = config("-connect=0")
    assert (made.nodes, made.gossip) == ((), False)
    assert config("-noconnect").gossip is False
    assert config("-seednode=c").nodes == ("c",)
    assert (config().network_active, config("-networkactive=0").network_active) == (True, False)
    assert config("-listen=0").maxpeers == config("-nolisten").maxpeers == 0
    assert config("-maxconnections=5").maxpeers == 5
    assert config("-maxconnections=5000").maxpeers == 200


def test_mempool_wallet_and_clock() -> None:
    made = config("-limitancestorcount=3", "-limitdescendantsize=50", "-wallet=w", "-wallet=w2")
    assert (made.ancestor_limits, made.descendant_limits) == ((3, 101_000), (25, 50_000))
    assert made.wallet_name == "w2"
    assert config("-regtest", "-mocktime=1700000000").mocktime == 1_700_000_000
    with pytest.raises(ConfigError, match="for chain regtest"):
        config("-mocktime=1700000000")


def test_the_defaults_are_the_mempool_s_own() -> None:
    limits = MempoolLimits()
    assert config().ancestor_limits == (limits.ancestor_count, limits.ancestor_vsize)
    assert config().descendant_limits == (limits.descendant_count, limits.descendant_vsize)


def test_where_the_cookie_is_left(tmp_path: Path) -> None:
    folder = tmp_path / "x"
    made = config("-regtest", f"-datadir={folder}")
    assert made.data_folder == folder
    assert made.cookie_file == folder / ".cookie"
    assert made.cookie_copies == (folder / "regtest" / ".cookie",)
    assert config("-regtest").cookie_copies == ()
    assert config("-chain=main", f"-datadir={folder}").cookie_copies == ()
    named = config(f"-datadir={folder}", "-regtest", "-rpccookiefile=c")
    assert (named.cookie_file, named.cookie_copies) == (folder / "c", (folder / "regtest" / "c",))
    assert client_config(["-regtest", f"-datadir={folder}"], {})[0].cookie_files == (
        folder / ".cookie",
        folder / "regtest" / ".cookie",
    )
    assert config("-rpccookiefile=/tmp/c").cookie_file == Path("/tmp/c")


def test_where_messages_go(tmp_path: Path) -> None:
    there = f"-datadir={tmp_path}"
    log = tmp_path / "debug.log"
    assert config(there).log_file is None
    assert config(there, "-printtoconsole=0").log_file == log
    assert config(there, "-noprinttoconsole").log_file == log
    assert config(there, "-debuglogfile=a").log_file == tmp_path / "a"
    assert config(there, "-daemon").log_file == log
    assert config(there, "-daemon", "-printtoconsole").log_file is None
    assert config("-datadir=:memory:", "-daemon").log_file == Path(os.devnull)
    assert config(there, "-debuglogfile=0").log_file is None
    assert config(there, "-nodebuglogfile", "-daemon").log_file == Path(os.devnull)
    assert config(there, "-daemon").log_link is None
    assert config(there, "-regtest", "-daemon").log_link == tmp_path / "regtest" / "debug.log"
    assert config(there, "-regtest", "-daemon", "-debuglogfile=/x").log_link is None
    assert config(there, "-pid=p").pid_files == (tmp_path / "p",)
    assert config(there, "-regtest").pid_files == (tmp_path / "regtest" / "bitcoind.pid",)
    assert config(there, "-regtest", "-pid=p").pid_files == (
        tmp_path / "p",
        tmp_path / "regtest" / "p",
    )
    assert config(there, "-nopid").pid_files == config("-regtest").pid_files == ()
    assert (config("-daemon").background, config("-daemon").waits_for_start) == (True, False)
    assert (config("-daemonwait").background, config("-daemonwait").waits_for_start) == (True, True)
    assert config("-debug=net").loglevel == config("-debug").loglevel == "debug"
    assert config("-nodebug").loglevel == config("-debug=0").loglevel == "info"
    assert config("-debug", "-loglevel=error").loglevel == "error"


def test_what_does_nothing_is_told_of_once() -> None:
    made = config("-server", "-rest=1", "-fallbackfee=0.0002", "-nodnsseed", "-upnp=0")
    (note,) = made.notes
    assert note.startswith("without effect here: -dnsseed, -fallbackfee, -rest, -server, -upnp")
    assert config().notes == ()


def test_what_is_refused_may_be_said_no_to() -> None:
    for name, _ in REFUSED:
        config(f"-no{name}", f"-{name}=0")
        with pytest.raises(ConfigError, match=f"-{name}=x"):
            config(f"-{name}=x")
    config("-walletbroadcast", "-maxtxfee=0.1", "-addresstype=bech32", "-nowallet", "-noprune")


def test_numbers_are_yes_or_no_and_threads_may_be_left_free() -> None:
    assert config("-txindex=2").txindex
    assert not config("-txindex=00").txindex
    assert config("-blockfilterindex=basic").blockfilterindex
    assert config("-par=3").signature_threads == 3
    assert config("-par=-64").signature_threads == 1
    assert config("-loglevel=trace").loglevel == "debug"
    assert config("-loglevel=net:trace").loglevel == "info"


def test_what_is_asked_of_transactions() -> None:
    policy = config().policy
    assert policy == RelayPolicy()
    made = config(
        "-minrelaytxfee=0.00000100", "-incrementalrelayfee=0.000002", "-dustrelayfee=0",
        "-datacarriersize=100", "-permitbaremultisig=0", "-bytespersigop=40",
        "-blockmintxfee=0.000003", "-acceptnonstdtxn",
    )  # fmt: skip
    assert made.policy == RelayPolicy(False, 100, 200, 0, 100, False, 40)
    assert made.block_min_fee == 300
    assert config("-datacarrier=0", "-datacarriersize=9").policy.max_data_carrier == 0
    assert WALLET_MAX_FEE == MAX_FEE


def test_who_may_call_what() -> None:
    made = config("-rpcwhitelist=u:a, b,,", "-rpcwhitelist=e:", "-rpccookieperms=group")
    assert made.whitelists == (Whitelist("u", frozenset("ab")), Whitelist("e", frozenset()))
    assert (made.whitelist_default, made.cookie_mode) == (None, 0o640)
    assert config("-rpcwhitelistdefault=0").whitelist_default is False


@pytest.mark.parametrize("word", ["-h", "-?", "-help", "--help", "-help-debug", "-help=1"])
def test_help_has_many_names(word: str) -> None:
    assert daemon_config(["-regtest", word], {})[1].help
    assert client_config([word], {})[1].help
    assert client_config(["getblock", "-h"], {})[1].words == ("getblock", "-h")


def test_the_page_of_options_is_up_to_date() -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "options.md"
    assert page.read_text(encoding="utf-8") == reference(), "`make docs` writes it anew"
    named = {option.name for option in options_of(Program.DAEMON)}
    assert named >= SHARED


def test_every_idle_option_says_why() -> None:
    named = {option.name: option.help for option in options_of(Program.DAEMON)}
    assert len(named) == len(options_of(Program.DAEMON))
    assert all(named[name].endswith(".") for name in idle_names())


def test_a_bitcoin_conf_is_read_where_there_is_no_other(tmp_path: Path) -> None:
    (tmp_path / "bitcoin.conf").write_text(
        "regtest=1\nrpcuser=me#b\nrpcpassword=ab\nserver=1\nmystery=1\n"
        "[regtest]\nrpcport=5555\naddnode=a:1\naddnode=b:2\n[main]\nrpcport=8332\n"
    )
    there = f"-datadir={tmp_path}"
    made = config(there)
    assert (made.chain, made.port, made.nodes) == ("regtest", 5555, ("a:1", "b:2"))
    assert (made.rpcuser, made.rpcpassword) == ("me", "ab")
    assert made.notes[0].endswith("passed over, as unknown here: mystery")
    client = client_config([there], {})[0]
    assert (client.port, client.rpcuser, client.rpcpassword) == (5555, "me", "ab")
    assert config(there, "-conf=bitcoin.conf").port == 5555
    (tmp_path / "misocoin.conf").write_text("port=7\n")
    assert config(there).port == 7
    assert config(there, "-noconf").port == 4000


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("wallet=w\n", "wallet counts on regtest only under [regtest]"),
        ("addnode=a\n[main]\naddnode=b\n", "addnode counts on regtest only"),
        ("rpcpassword=a#b\n", "a # here is taken for a comment"),
        ("conf=other\n", "conf cannot stand in a file"),
        ("includeconf=none\n", "includeconf=none: there is no such file"),
        ("garbage\n", "line 1: write option=value"),
    ],
)
def test_what_bitcoind_refuses_in_its_file(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "bitcoin.conf").write_text(text)
    with pytest.raises(ConfigError) as raised:
        config("-regtest", f"-datadir={tmp_path}")
    assert message in str(raised.value)


def test_what_counts_on_the_main_network_alone(tmp_path: Path) -> None:
    there = f"-datadir={tmp_path}"
    (tmp_path / "bitcoin.conf").write_text("rpcport=1\nwallet=w\n[regtest]\nwallet=v\n")
    assert config("-regtest", "-rpcport=2", there).wallet_name == "v"
    assert client_config(["-regtest", there], {})[0].port == 18443
    assert config("-chain=main", there).port == 1


@pytest.mark.parametrize(
    ("arguments", "place"),
    [
        (["-rpcconnect=h"], ("h", 4000)),
        (["-rpcconnect=h:5"], ("h", 5)),
        (["-rpcconnect=h:5", "-rpcport=6"], ("h", 6)),
        (["-rpcconnect=[::1]:5"], ("::1", 5)),
        (["-host=g", "-rpcport=6", "-port=7"], ("g", 6)),
    ],
)
def test_whom_the_tool_calls(arguments: Sequence[str], place: tuple[str, int]) -> None:
    made = client_config([*arguments, "getblockcount"], {})[0]
    assert (made.host, made.port) == place


def test_the_tool_s_options_may_stand_behind_the_method() -> None:
    made, line = client_config(["getblock", "-regtest", "5", "-rpcport=1", "-5"], {})
    assert (made.port, line.words) == (1, ("getblock", "5", "-5"))
    with pytest.raises(ConfigError, match="cannot be asked together"):
        client_config(["-getinfo", "-netinfo"], {})


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a", Place("a", None)),
        ("a:1", Place("a", 1)),
        ("[::1]:1", Place("::1", 1)),
        ("[::1]", Place("::1", None)),
        ("::1", Place("::1", None)),
    ],
)
def test_places(text: str, place: Place) -> None:
    assert place_from_text(text) == place
