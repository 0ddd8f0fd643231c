"""The options of the daemon and of its command line tool, and one frozen value made of them.

A value comes from the command line, else from the environment (`MISOCOIN_PORT`), else from
`misocoin.conf` in the data folder (Core's `key=value` lines; those under `[regtest]` hold on that
chain only), else it is the default. One table serves both programs, so that they may share a file:
each takes what is its own and leaves the rest.

Without `-datadir` the data folder is `~/.misocoin/<chain>-<port>`, so that two daemons need nothing
but another `-port`; a file in such a folder can therefore set neither chain nor port.

A private key or password on a command line can be seen by everyone on the machine. The key is read
from standard input with `-priv_key=-`, and either may stand in the environment or in the file.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from misocoin.errors import ConfigError
from misocoin.option_table import (
    CHAINS,
    DEFAULT_PORT,
    MEMORY,
    Program,
    options_of,
    private_key_from_text,
)
from misocoin.options import (
    Values,
    resolve,
    values_from_arguments,
    values_from_environment,
    values_from_file,
)
from misocoin.units import Sats

CONFIG_FILE = "misocoin.conf"
COOKIE_FILE = ".cookie"

_ASIDE = ("help", "version")

_MEGABYTE = 1_000_000


@dataclass(frozen=True, slots=True)
class Config:
    """What a node is told before it starts. Made by `daemon_config`."""

    chain: str = "miso"
    host: str = "localhost"
    """Address or name to listen on; `localhost` is 127.0.0.1."""
    port: int = DEFAULT_PORT
    """Port to listen on; 0 lets the system choose."""
    data_folder: Path | None = None
    """Where all state lives; None keeps it in memory."""
    cookie_file: Path = Path(COOKIE_FILE)
    """Where the password of this run is left for the command line tool."""
    nodes: tuple[str, ...] = ()
    """Peers to connect to, as `host:port`."""
    gossip: bool = True
    """Whether to connect to nodes that other nodes tell of."""
    discover: bool = False
    """Whether to find nodes on the local network."""
    maxpeers: int = 64
    """Nodes that may connect to this one."""
    externalip: str | None = None
    """This node's address to the outside, where others cannot see it."""
    priv_key: str | None = field(default=None, repr=False)
    """The wallet's private key: 64 hex digits or WIF."""
    mine: bool = False
    """Whether the background miner runs from the start."""
    threads: int = 1
    """Mining threads."""
    engine: str = "auto"
    """Which proof-of-work search to use."""
    rpcuser: str | None = None
    rpcpassword: str | None = field(default=None, repr=False)
    txindex: bool = False
    """Whether any transaction of the chain can be found by its id."""
    loadblock: tuple[Path, ...] = ()
    """Block files to import at the start."""
    max_mempool_bytes: int = 300 * _MEGABYTE
    mempool_expiry_seconds: int = 336 * 3600
    min_relay_fee: Sats = Sats(1000)
    """Base units per 1,000 virtual bytes."""
    block_max_weight: int = 4_000_000
    """Weight units a mined block may fill."""
    coin_cache_bytes: int = 256 * _MEGABYTE
    signature_threads: int = 0
    """Threads that check signatures; 0 means one for each core."""
    loglevel: str = "info"
    logjson: bool = False


@dataclass(frozen=True, slots=True)
class ClientConfig:
    """What the command line tool is told. Made by `client_config`."""

    host: str = "localhost"
    port: int = DEFAULT_PORT
    cookie_file: Path = Path(COOKIE_FILE)
    rpcuser: str | None = None
    rpcpassword: str | None = field(default=None, repr=False)
    named: bool = False
    """Whether arguments are `name=value`."""
    stdin: bool = False
    """Whether more arguments come on standard input, one a line."""
    wait: bool = False
    """Whether to wait until a daemon answers."""
    timeout: int = 900
    """Seconds to wait for an answer, and with `wait` for a daemon; 0 is without end."""


@dataclass(frozen=True, slots=True)
class CommandLine:
    """What stands on a command line beside the settings."""

    help: bool
    version: bool
    words: tuple[str, ...]
    """The words after the options."""


def default_folder(chain: str, port: int) -> Path:
    """The data folder of a daemon that was not told one."""
    return Path.home() / ".misocoin" / f"{chain}-{port}"


def daemon_config(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    read_line: Callable[[], str] = input,
) -> tuple[Config, CommandLine]:
    """What the daemon was told; raises ConfigError where it cannot be used.

    `read_line` reads the private key for `-priv_key=-`.
    """
    values, line = _settings(Program.DAEMON, arguments, environment)
    if line.help or line.version:
        return Config(), line
    if line.words:
        raise ConfigError(
            f"unexpected {line.words[0][:40]!r}: an option takes its value as in -port=4001"
        )
    if (values["rpcuser"] is None) != (values["rpcpassword"] is None):
        raise ConfigError("-rpcuser and -rpcpassword go together")
    if ":" in (values["rpcuser"] or ""):
        raise ConfigError("-rpcuser cannot have a colon in it")
    folder, cookie = _places(values)
    key = values["priv_key"]
    if key == "-":
        key = _private_key_from(read_line)
    return Config(
        chain=values["chain"],
        host=values["host"],
        port=values["port"],
        data_folder=folder,
        cookie_file=cookie,
        nodes=values["nodes"],
        gossip=values["gossip"],
        discover=values["discover"],
        maxpeers=values["maxpeers"],
        externalip=values["externalip"],
        priv_key=key,
        mine=values["chain"] == "miso" if values["mine"] is None else values["mine"],
        threads=values["threads"],
        engine=values["engine"],
        rpcuser=values["rpcuser"],
        rpcpassword=values["rpcpassword"],
        txindex=values["txindex"],
        loadblock=values["loadblock"],
        max_mempool_bytes=values["maxmempool"] * _MEGABYTE,
        mempool_expiry_seconds=values["mempoolexpiry"] * 3600,
        min_relay_fee=values["minrelaytxfee"],
        block_max_weight=values["blockmaxweight"],
        coin_cache_bytes=values["dbcache"] * _MEGABYTE,
        signature_threads=values["par"],
        loglevel=values["loglevel"],
        logjson=values["logjson"],
    ), line


def client_config(
    arguments: Sequence[str], environment: Mapping[str, str]
) -> tuple[ClientConfig, CommandLine]:
    """What the command line tool was told; raises ConfigError where it cannot be used."""
    values, line = _settings(Program.CLIENT, arguments, environment)
    if line.help or line.version:
        return ClientConfig(), line
    return ClientConfig(
        host=values["host"],
        port=values["port"],
        cookie_file=_places(values)[1],
        rpcuser=values["rpcuser"],
        rpcpassword=values["rpcpassword"],
        named=values["named"],
        stdin=values["stdin"],
        wait=values["rpcwait"],
        timeout=values["rpcclienttimeout"],
    ), line


def _settings(
    program: Program, arguments: Sequence[str], environment: Mapping[str, str]
) -> tuple[dict[str, Any], CommandLine]:
    """The values of a program's options from all sources, and the rest of its command line."""
    table = options_of(program)
    given, words = values_from_arguments(arguments, table)
    asked = resolve(table, ("-", {name: given[name] for name in given if name in _ASIDE}))
    line = CommandLine(asked["help"], asked["version"], words)
    if line.help or line.version:
        return asked, line
    sources: list[tuple[str, Values]] = [
        ("-", given),
        ("MISOCOIN_", values_from_environment(environment, table)),
    ]
    early = resolve(table, *sources)
    path = _file_of(early)
    if path is not None:
        known = [option.name for option in options_of(Program.BOTH)]
        said = values_from_file(path, early["chain"], CHAINS, known)
        if early["datadir"] is None and early["conf"] is None:
            _refuse_moves(path, said)
        sources.append((f"{path}: ", said))
        if (chain := resolve(table, *sources)["chain"]) != early["chain"]:
            said = values_from_file(path, chain, CHAINS, known) | {"chain": [chain]}
            sources[-1] = (f"{path}: ", said)
    return resolve(table, *sources), line


def _file_of(values: Mapping[str, Any]) -> Path | None:
    """The configuration file, by what the command line and the environment say."""
    conf: Path | None = values["conf"]
    if values["datadir"] == MEMORY:
        return conf
    folder: Path = values["datadir"] or default_folder(values["chain"], values["port"])
    return folder / (conf or CONFIG_FILE)


def _refuse_moves(path: Path, values: Values) -> None:
    """Refuse what would lead away from the default folder that the file was found in."""
    for name in ("chain", "port", "datadir", "conf"):
        if name in values:
            raise ConfigError(
                f"{path}: {name} cannot be set here, since the folder's name follows from "
                f"-chain and -port; use -datadir"
            )


def _places(values: Mapping[str, Any]) -> tuple[Path | None, Path]:
    """The data folder and the cookie's path."""
    by_name = default_folder(values["chain"], values["port"])
    folder: Path = values["datadir"] or by_name
    if folder == MEMORY:
        return None, by_name / COOKIE_FILE
    return folder, folder / COOKIE_FILE


def _private_key_from(read_line: Callable[[], str]) -> str:
    try:
        text = read_line().strip()
    except (EOFError, OSError):
        text = ""
    if text == "-":
        text = ""
    try:
        return private_key_from_text(text)
    except ValueError:
        raise ConfigError("no private key came on standard input") from None
