"""What the daemon and the tool make of their options."""

import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from misocoin.config import Config, client_config, daemon_config
from misocoin.errors import ConfigError
from misocoin.option_table import CHAINS, DEFAULT_PORT, ENGINES, Program, options_of
from misocoin.params import NETWORK_NAMES, params_by_name
from misocoin.pow.engines import ENGINE_NAMES
from misocoin.version import VERSION

KEY = "11" * 32


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder without anything in it."""
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def config(
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    read_line: Callable[[], str] = lambda: "",
) -> Config:
    return daemon_config(arguments, environment or {}, read_line)[0]


def test_the_defaults() -> None:
    made = config()
    assert (made.chain, made.host, made.port, made.mine) == ("miso", "localhost", 4000, True)
    assert made.threads == 1
    assert made.policy.min_relay_feerate == 1000
    assert made.max_mempool_bytes == 300_000_000
    assert made.mempool_expiry_seconds == 336 * 3600
    assert made.block_max_weight == 4_000_000
    assert made.priv_key is None
    assert made.loadblock == ()


def test_the_default_folder_is_named_by_chain_and_port(home: Path) -> None:
    assert config().data_folder == home / ".misocoin" / "miso-4000"
    made = config("-chain=regtest", "-port=4001")
    assert made.data_folder == home / ".misocoin" / "regtest-4001"
    assert made.cookie_file == home / ".misocoin" / "regtest-4001" / ".cookie"


def test_memory_has_no_folder_but_a_cookie(home: Path) -> None:
    made = config("-datadir=:memory:")
    assert made.data_folder is None
    assert made.cookie_file == home / ".misocoin" / "miso-4000" / ".cookie"


def test_the_tool_looks_where_the_daemon_leaves_the_cookie(tmp_path: Path) -> None:
    for arguments in ([], ["-port=4001"], ["-datadir=:memory:"], [f"-datadir={tmp_path}/x"]):
        assert client_config(arguments, {})[0].cookie_files[0] == config(*arguments).cookie_file


@pytest.mark.parametrize(("chain", "mines"), [("miso", True), ("regtest", False)])
def test_mining_is_the_default_on_miso_alone(chain: str, mines: bool) -> None:
    assert config(f"-chain={chain}").mine is mines
    assert config(f"-chain={chain}", "-mine").mine is True
    assert config(f"-chain={chain}", "-nomine").mine is False


def test_flag_before_environment_before_file(tmp_path: Path) -> None:
    (tmp_path / "misocoin.conf").write_text("threads=2\npar=2\ntxindex=1\n")
    made = config(
        f"-datadir={tmp_path}",
        "-threads=4",
        environment={"MISOCOIN_THREADS": "3", "MISOCOIN_PAR": "3"},
    )
    assert (made.threads, made.signature_threads, made.txindex) == (4, 3, True)


def test_a_file_in_a_named_folder_may_choose_chain_and_port(tmp_path: Path) -> None:
    (tmp_path / "misocoin.conf").write_text("chain=regtest\nport=1\n[regtest]\nport=2\n")
    made = config(f"-datadir={tmp_path}")
    assert (made.chain, made.port, made.mine) == ("regtest", 2, False)
    assert config(f"-datadir={tmp_path}", "-chain=miso").port == 1


@pytest.mark.parametrize("line", ["chain=regtest", "port=4001", "datadir=/tmp/x"])
def test_a_file_in_the_default_folder_may_not_lead_away(home: Path, line: str) -> None:
    folder = home / ".misocoin" / "miso-4000"
    folder.mkdir(parents=True)
    (folder / "misocoin.conf").write_text(f"{line}\n")
    with pytest.raises(ConfigError, match="cannot be set here"):
        config()


def test_another_file_by_name(tmp_path: Path) -> None:
    (tmp_path / "other.conf").write_text("threads=7\n")
    assert config(f"-datadir={tmp_path}", "-conf=other.conf").threads == 7
    assert config(f"-conf={tmp_path}/other.conf").threads == 7
    assert config("-datadir=:memory:", f"-conf={tmp_path}/other.conf").threads == 7


def test_one_file_serves_both_programs(tmp_path: Path) -> None:
    (tmp_path / "misocoin.conf").write_text("mine=1\nrpcclienttimeout=5\nport=4444\n")
    assert config(f"-datadir={tmp_path}").port == 4444
    client = client_config([f"-datadir={tmp_path}"], {})[0]
    assert (client.port, client.timeout) == (4444, 5)


def test_an_option_of_the_other_program_is_unknown_on_the_command_line() -> None:
    with pytest.raises(ConfigError, match="unknown option -rpcwait"):
        config("-rpcwait")
    with pytest.raises(ConfigError, match="unknown option -mine"):
        client_config(["-mine"], {})


def test_lists_and_paths(tmp_path: Path) -> None:
    made = config("-nodes=a:1,b:2", "-nodes=[::1]:3", f"-loadblock={tmp_path}/a,b")
    assert made.nodes == ("a:1", "b:2", "[::1]:3")
    assert made.loadblock == (tmp_path / "a,b",)


def test_the_work_that_other_nodes_must_have() -> None:
    assert config().minimum_chain_work is None
    assert config("-minimumchainwork=0").minimum_chain_work == 0
    assert config("-minimumchainwork=0x1F").minimum_chain_work == 31
    for text in ("", "-1", "xyz", "1" * 65):
        with pytest.raises(ConfigError, match="hex digits"):
            config(f"-minimumchainwork={text}")


def test_the_private_key_comes_by_every_way_and_is_not_shown() -> None:
    made = config(f"-priv_key={KEY}")
    assert made.priv_key == KEY
    assert KEY not in repr(made)
    assert config(environment={"MISOCOIN_PRIV_KEY": KEY}).priv_key == KEY
    assert config("-priv_key=-", read_line=lambda: f"{KEY}\n").priv_key == KEY


@pytest.mark.parametrize("line", ["", "-", "zz"])
def test_no_private_key_on_standard_input_is_an_error(line: str) -> None:
    with pytest.raises(ConfigError, match="no private key"):
        config("-priv_key=-", read_line=lambda: line)


def test_a_closed_standard_input_is_an_error() -> None:
    def closed() -> str:
        raise EOFError

    with pytest.raises(ConfigError, match="no private key"):
        config("-priv_key=-", read_line=closed)


def test_a_bad_private_key_is_not_repeated() -> None:
    with pytest.raises(ConfigError) as raised:
        config("-priv_key=5notakey")
    assert "5notakey" not in str(raised.value)


@pytest.mark.parametrize(
    "arguments",
    [
        ["-rpcuser=me"],
        ["-rpcpassword=x"],
        ["-rpcuser=a:b", "-rpcpassword=x"],
        ["-nodes=http://x"],
        ["-nodes=x:123456"],
        ["-host=a b"],
        ["-datadir="],
        ["-minrelaytxfee=-1"],
        ["-minrelaytxfee=x"],
        ["get_info"],
    ],
)
def test_what_cannot_be_used_is_refused(arguments: Sequence[str]) -> None:
    with pytest.raises(ConfigError):
        config(*arguments)


def test_help_is_given_whatever_the_rest_says() -> None:
    line = daemon_config(["-help"], {"MISOCOIN_PORT": "none"})[1]
    assert line.help
    assert client_config(["-version"], {"MISOCOIN_PORT": "none"})[1].version


def test_every_option_has_help() -> None:
    for option in options_of(Program.BOTH):
        assert option.help.endswith(".")
        assert option.group


def test_names_agree_with_what_they_name() -> None:
    assert CHAINS == NETWORK_NAMES
    assert {params_by_name(name).default_port for name in CHAINS} == {DEFAULT_PORT}
    assert ENGINES == ENGINE_NAMES


def test_the_version_is_that_of_the_package() -> None:
    project = Path(__file__).resolve().parents[2] / "pyproject.toml"
    assert tomllib.loads(project.read_text())["project"]["version"] == VERSION
