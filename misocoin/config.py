"""The options of the daemon and of its command line tool, and one frozen value made of them.

A value comes from the command line, else from the environment (`MISOCOIN_PORT`), else from
`misocoin.conf` in the data folder (Core's `key=value` lines; those under `[regtest]` hold on that
chain only), else it is the default. One table serves both programs, so that they may share a file:
each takes what is its own and leaves the rest.

Where a data folder has no `misocoin.conf` but a `bitcoin.conf`, that is read, as bitcoind reads it:
unknown options are passed over, and told of. A file named by `-conf` must exist.

A script's bitcoind command line works (see `misocoin.core_options`). The node has one port for
everything: `-rpcport` is that port; where `-port` is given besides, it listens on both alike.

Without `-datadir` the data folder is `~/.misocoin/<chain>-<port>`, so that two daemons need nothing
but another `-port`; a file in such a folder can therefore set neither chain nor port.

A private key or password on a command line can be seen by everyone on the machine. The key is read
from standard input with `-priv_key=-`, and either may stand in the environment or in the file.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from misocoin.core_options import (
    CHAIN_NAMES,
    CORE_PORTS,
    MISSING_CHAINS,
    ZMQ_TOPICS,
    Place,
    idle_names,
)
from misocoin.errors import ConfigError
from misocoin.option_table import (
    DEFAULT_PORT,
    MAX_PEERS,
    MEMORY,
    Program,
    options_of,
    private_key_from_text,
)
from misocoin.options import (
    FileForm,
    Values,
    Words,
    resolve,
    values_from_arguments,
    values_from_environment,
    values_from_file,
)
from misocoin.units import Sats

CONFIG_FILE = "misocoin.conf"
CORE_CONFIG_FILE = "bitcoin.conf"
COOKIE_FILE = ".cookie"
LOG_FILE = "debug.log"

_ASIDE = ("help", "version")

_SECTIONS = MappingProxyType({**CHAIN_NAMES, **{name: f"[{name}]" for name in MISSING_CHAINS}})

_MEGABYTE = 1_000_000


@dataclass(frozen=True, slots=True)
class Config:
    """What a node is told before it starts. Made by `daemon_config`."""

    chain: str = "miso"
    host: str = "localhost"
    """Address or name to listen on; `localhost` is 127.0.0.1."""
    port: int = DEFAULT_PORT
    """Port to listen on; 0 lets the system choose."""
    more_places: tuple[tuple[str, int], ...] = ()
    """Further hosts and ports to listen on, all alike."""
    allowed: tuple[str, ...] | None = None
    """Networks that may call, beside this machine; None for everybody."""
    data_folder: Path | None = None
    """Where all state lives; None keeps it in memory."""
    cookie_file: Path = Path(COOKIE_FILE)
    """Where the password of this run is left for the command line tool."""
    cookie_copies: tuple[Path, ...] = ()
    """Where else it is left, for programs that look where bitcoind would leave it."""
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
    minimum_chain_work: int | None = None
    """Work that other nodes' chains must have; None is the network's own figure."""
    priv_key: str | None = field(default=None, repr=False)
    """The wallet's private key: 64 hex digits or WIF."""
    mine: bool = False
    """Whether the background miner runs from the start."""
    threads: int = 1
    """Mining threads."""
    engine: str = "auto"
    """Which proof-of-work search to use."""
    hashcash: bool | None = None
    """Whether strangers who ask for much pay by proof of work; None where others reach the port."""
    hashcash_rate: int = 100
    """Calls a second from one address from which on it pays."""
    rpcuser: str | None = None
    rpcpassword: str | None = field(default=None, repr=False)
    rpcauth: tuple[str, ...] = field(default=(), repr=False)
    """Users by the hash of their password: `user:salt$hash`."""
    check_results: bool = False
    """Whether to hold every result of a call against its documented form."""
    txindex: bool = False
    """Whether any transaction of the chain can be found by its id."""
    txospenderindex: bool = False
    """Whether it can be told what spends any output of the chain."""
    addressindex: bool = False
    """Whether the history of any address is known."""
    web: bool = True
    """Whether there are pages for a browser."""
    webhosts: tuple[str, ...] = ()
    """Names by which browsers may call this node, besides its machine's own."""
    workstatus: str | None = None
    """Where the watch port of a work service is, for the pages."""
    marketclient: str | None = None
    """Where a market is, likewise."""
    blockfilterindex: bool = True
    """Whether light wallets are served filters of the blocks."""
    loadblock: tuple[Path, ...] = ()
    """Block files to import at the start."""
    max_mempool_bytes: int = 300 * _MEGABYTE
    mempool_expiry_seconds: int = 336 * 3600
    min_relay_fee: Sats = Sats(1000)
    """Base units per 1,000 virtual bytes."""
    require_standard: bool = True
    """Whether unusual transactions are refused."""
    ancestor_limits: tuple[int, int] = (25, 101_000)
    """Transactions, and their virtual bytes, that a waiting one may build on."""
    descendant_limits: tuple[int, int] = (25, 101_000)
    """The same for those that build on it."""
    mocktime: int = 0
    """Unix time that the clock stands at, on regtest; 0 for the real one."""
    wallet_name: str = ""
    """What the wallet is called in calls of Core's."""
    block_max_weight: int = 4_000_000
    """Weight units a mined block may fill."""
    coin_cache_bytes: int = 256 * _MEGABYTE
    signature_threads: int = 0
    """Threads that check signatures; 0 means one for each core."""
    blocknotify: str = ""
    """Command to run at each new tip; empty for none."""
    walletnotify: str = ""
    """Command to run for a transaction of the wallet."""
    startupnotify: str = ""
    """Command to run when the node answers."""
    shutdownnotify: str = ""
    """Command to run before it stops."""
    zmq: tuple[tuple[str, str, int], ...] = ()
    """What to publish by ZeroMQ: topic, address, high-water mark."""
    loglevel: str = "info"
    logjson: bool = False
    log_file: Path | None = None
    """Where messages go instead of standard output."""
    background: bool = False
    """Whether to run in the background."""
    waits_for_start: bool = False
    """Whether the command that started it in the background returns when the node answers."""
    pid_file: Path | None = None
    """Where the process's number is left."""
    notes: tuple[str, ...] = ()
    """What the user should know about the options given."""


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
    """Seconds to wait for an answer; 0 is without end."""
    wait_timeout: int = 900
    """Seconds to wait for a daemon with `wait`; 0 is without end."""
    wallet: str | None = None
    """The wallet to speak of, where it is named."""
    password_on_stdin: bool = False
    """Whether the password is the first line of standard input."""
    passphrase_on_stdin: bool = False
    """Whether the passphrases of the method come on standard input."""
    instead: str | None = None
    """What is asked in place of a method: `getinfo`, `netinfo` or `generate`."""


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
    values, notes, line = _settings(Program.DAEMON, arguments, environment)
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
    if values["mocktime"] and _chain(values) != "regtest":
        raise ConfigError("-mocktime is for chain regtest")
    if values["rpcbind"] and not values["rpcallowip"]:
        notes += ("-rpcbind counts only with -rpcallowip, and is passed over",)
    chain = _chain(values)
    folder, cookie = _places(values)
    first, *others = _listening(values)
    is_background = bool(values["daemon"] or values["daemonwait"])
    to_console = not is_background if values["printtoconsole"] is None else values["printtoconsole"]
    key = values["priv_key"]
    if key == "-":
        key = _private_key_from(read_line)
    return Config(
        chain=chain,
        host=first[0],
        port=first[1],
        more_places=tuple(others),
        allowed=values["rpcallowip"] or None,
        data_folder=folder,
        cookie_file=cookie,
        cookie_copies=_cookie_copies(values, cookie),
        nodes=tuple(filter(None, (*values["nodes"], *values["addnode"], *values["connect"]))),
        gossip=values["gossip"] and not values["connect"],
        discover=values["discover"],
        maxpeers=_max_peers(values),
        externalip=values["externalip"],
        minimum_chain_work=values["minimumchainwork"],
        priv_key=key,
        mine=chain == "miso" if values["mine"] is None else values["mine"],
        threads=values["threads"],
        engine=values["engine"],
        hashcash=values["hashcash"],
        hashcash_rate=values["hashcashrate"],
        rpcuser=values["rpcuser"],
        rpcpassword=values["rpcpassword"],
        rpcauth=values["rpcauth"],
        check_results=bool(values["rpcdoccheck"]),
        txindex=values["txindex"],
        txospenderindex=values["txospenderindex"],
        addressindex=values["addressindex"],
        blockfilterindex=values["blockfilterindex"],
        web=values["web"],
        webhosts=values["webhost"],
        workstatus=values["workstatus"],
        marketclient=values["marketclient"],
        loadblock=values["loadblock"],
        max_mempool_bytes=values["maxmempool"] * _MEGABYTE,
        mempool_expiry_seconds=values["mempoolexpiry"] * 3600,
        min_relay_fee=values["minrelaytxfee"],
        require_standard=not values["acceptnonstdtxn"],
        ancestor_limits=(values["limitancestorcount"], values["limitancestorsize"] * 1000),
        descendant_limits=(values["limitdescendantcount"], values["limitdescendantsize"] * 1000),
        mocktime=values["mocktime"],
        wallet_name=values["wallet"] or "",
        block_max_weight=values["blockmaxweight"],
        coin_cache_bytes=values["dbcache"] * _MEGABYTE,
        signature_threads=values["par"],
        blocknotify=values["blocknotify"],
        walletnotify=values["walletnotify"],
        startupnotify=values["startupnotify"],
        shutdownnotify=values["shutdownnotify"],
        zmq=tuple(
            (topic, address, values[f"zmqpub{topic}hwm"])
            for topic in ZMQ_TOPICS
            for address in values[f"zmqpub{topic}"]
        ),
        loglevel=_log_level(values),
        logjson=values["logjson"],
        log_file=_log_file(values, folder, to_console),
        background=is_background,
        waits_for_start=bool(values["daemonwait"]),
        pid_file=_inside(folder, values["pid"]),
        notes=notes,
    ), line


def client_config(
    arguments: Sequence[str], environment: Mapping[str, str]
) -> tuple[ClientConfig, CommandLine]:
    """What the command line tool was told; raises ConfigError where it cannot be used."""
    values, _, line = _settings(Program.CLIENT, arguments, environment)
    if line.help or line.version:
        return ClientConfig(), line
    place: Place = values["rpcconnect"] or Place(values["host"], None)
    instead = [name for name in ("getinfo", "netinfo", "generate") if values[name]]
    if len(instead) > 1:
        raise ConfigError(f"-{instead[0]} and -{instead[1]} cannot be asked together")
    timeout = values["rpcclienttimeout"]
    return ClientConfig(
        host=place.host,
        port=place.port if values["rpcport"] is None and place.port is not None else _port(values),
        cookie_file=_places(values)[1],
        rpcuser=values["rpcuser"],
        rpcpassword=values["rpcpassword"],
        named=values["named"],
        stdin=values["stdin"],
        wait=values["rpcwait"],
        timeout=timeout,
        wait_timeout=timeout if values["rpcwaittimeout"] is None else values["rpcwaittimeout"],
        wallet=values["rpcwallet"],
        password_on_stdin=bool(values["stdinrpcpass"]),
        passphrase_on_stdin=bool(values["stdinwalletpassphrase"]),
        instead=instead[0] if instead else None,
    ), line


def _settings(
    program: Program, arguments: Sequence[str], environment: Mapping[str, str]
) -> tuple[dict[str, Any], tuple[str, ...], CommandLine]:
    """The values of a program's options from all sources, notes on them, and the words."""
    table = options_of(program)
    manner = Words.LOOSE if program is Program.CLIENT else Words.LAST
    given, words = values_from_arguments(arguments, table, manner)
    asked = resolve(table, ("-", {name: given[name] for name in given if name in _ASIDE}))
    line = CommandLine(asked["help"], asked["version"], words)
    if line.help or line.version:
        return asked, (), line
    sources: list[tuple[str, Values]] = [
        ("-", given),
        ("MISOCOIN_", values_from_environment(environment, table)),
    ]
    early = resolve(table, *sources)
    path = _file_of(early)
    notes: tuple[str, ...] = ()
    if path is not None:
        form = FileForm(options_of(Program.BOTH), _SECTIONS, path.name == CORE_CONFIG_FILE)
        chain = _chain(early)
        said = values_from_file(path, chain, form)
        if early["datadir"] is None and early["conf"] is None:
            _refuse_moves(path, said.values)
        prefix = f"{path}: "
        moved = _chain(resolve(table, *sources, (prefix, said.values)))
        if moved != chain:
            # What chose the chain stands above the sections, but one of them could name another.
            said = values_from_file(path, moved, form)
            said.values.pop("regtest", None)
            said.values["chain"] = [moved]
        sources.append((prefix, said.values))
        if said.unknown:
            notes += (f"{path}: passed over, as unknown here: {', '.join(said.unknown)}",)
    idle = sorted({name for _, values in sources for name in values if name in idle_names()})
    if idle:
        notes += (f"without effect here: -{', -'.join(idle)} (-help says why)",)
    return resolve(table, *sources), notes, line


def _chain(values: Mapping[str, Any]) -> str:
    """The network's name; raises ConfigError where two are asked for."""
    chain: str | None = values["chain"]
    if values["regtest"] and chain not in (None, "regtest"):
        raise ConfigError(f"-regtest and -chain={chain} cannot go together")
    return CHAIN_NAMES["regtest" if values["regtest"] else chain or "miso"]


def _port(values: Mapping[str, Any]) -> int:
    """The port that calls go to."""
    for name in ("rpcport", "port"):
        if values[name] is not None:
            port: int = values[name]
            return port
    if values["regtest"]:
        return CORE_PORTS["regtest"]
    return CORE_PORTS["main"] if values["chain"] == "main" else DEFAULT_PORT


def _listening(values: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Hosts and ports to listen on, the one for calls first."""
    port = _port(values)
    bound: tuple[Place, ...] = values["rpcbind"] if values["rpcallowip"] else ()
    places = [(each.host, port if each.port is None else each.port) for each in bound]
    places = places or [(values["host"], port)]
    if values["port"] not in (None, port):
        places.append((places[0][0], values["port"]))
    return list(dict.fromkeys(places))


def _max_peers(values: Mapping[str, Any]) -> int:
    if values["listen"] is False:
        return 0
    wanted: int | None = values["maxconnections"]
    most: int = values["maxpeers"]
    return most if wanted is None else min(wanted, MAX_PEERS)


def _log_level(values: Mapping[str, Any]) -> str:
    is_debugging = values["debug"] not in (None, "0", "none") and values["loglevel"] == "info"
    level: str = "debug" if is_debugging else values["loglevel"]
    return level


def _log_file(values: Mapping[str, Any], folder: Path | None, to_console: bool) -> Path | None:
    """Where messages go; None for the console."""
    if values["debuglogfile"] is None and to_console:
        return None
    return _inside(folder, values["debuglogfile"] or Path(LOG_FILE)) or Path(os.devnull)


def _inside(folder: Path | None, path: Path | None) -> Path | None:
    """A path in the data folder; without one only an absolute path is any."""
    if path is None or (folder is None and not path.is_absolute()):
        return None
    return path if folder is None else folder / path


def _file_of(values: Mapping[str, Any]) -> Path | None:
    """The configuration file, by what the command line and the environment say."""
    conf: Path | None = values["conf"]
    if values["datadir"] == MEMORY:
        path = conf
    else:
        folder: Path = values["datadir"] or default_folder(_chain(values), _port(values))
        path = folder / (conf or CONFIG_FILE)
        if conf is None and not path.exists() and (folder / CORE_CONFIG_FILE).is_file():
            path = folder / CORE_CONFIG_FILE
    if conf is not None and path is not None and not path.exists():
        raise ConfigError(f"-conf={conf}: there is no file {path}")
    return path


def _refuse_moves(path: Path, values: Values) -> None:
    """Refuse what would lead away from the default folder that the file was found in."""
    for name in ("chain", "regtest", "port", "rpcport", "datadir", "conf"):
        if name in values:
            raise ConfigError(
                f"{path}: {name} cannot be set here, since the folder's name follows from "
                f"-chain and -port; use -datadir"
            )


def _places(values: Mapping[str, Any]) -> tuple[Path | None, Path]:
    """The data folder and the cookie's path."""
    by_name = default_folder(_chain(values), _port(values))
    folder: Path = values["datadir"] or by_name
    named: Path | None = values["rpccookiefile"]
    cookie = named or Path(COOKIE_FILE)
    if folder == MEMORY:
        return None, by_name / cookie
    return folder, folder / cookie


def _cookie_copies(values: Mapping[str, Any], cookie: Path) -> tuple[Path, ...]:
    """Where bitcoind would leave its cookie in a data folder that was named."""
    folder: Path | None = values["datadir"]
    if folder in (None, MEMORY) or values["rpccookiefile"] or _chain(values) != "regtest":
        return ()
    return (cookie.parent / "regtest" / COOKIE_FILE,)


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
