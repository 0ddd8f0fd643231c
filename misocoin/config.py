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

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from types import MappingProxyType
from typing import Any

from misocoin.config_values import (
    COOKIE_FILE,
    CORE_CONFIG_FILE,
    NETWORK_ONLY,
    chain_of,
    config_file_of,
    cookie_copies,
    folder_and_cookie,
    listening_places,
    log_file_of,
    log_level_of,
    log_link_of,
    max_peers_of,
    pid_files_of,
    policy_of,
    port_of,
    refuse_moves,
    refuse_unsuitable,
    signature_threads_of,
)
from misocoin.core_options import (
    CHAIN_NAMES,
    COOKIE_MODES,
    MISSING_CHAINS,
    ZMQ_TOPICS,
    Place,
    Whitelist,
)
from misocoin.core_unused import idle_names
from misocoin.errors import ConfigError
from misocoin.option_table import (
    DEFAULT_PORT,
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
from misocoin.policy.settings import RelayPolicy
from misocoin.units import Sats

_HELP = frozenset({"-h", "-?", "-help-debug", "--h", "--?", "--help-debug"})

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
    cookie_mode: int = 0o600
    """Who may read those files."""
    whitelists: tuple[Whitelist, ...] = ()
    """What users may call, where it is not everything."""
    whitelist_default: bool | None = None
    """Whether all other users may call nothing; None where there are whitelists."""
    network_active: bool = True
    """Whether there are links at all."""
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
    policy: RelayPolicy = RelayPolicy()  # noqa: RUF009 - an immutable value
    """What is asked of transactions."""
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
    block_min_fee: Sats | None = None
    """Base units per 1,000 virtual bytes that its transactions pay; None is what `policy` asks."""
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
    pid_files: tuple[Path, ...] = ()
    """Where the process's number is left."""
    log_link: Path | None = None
    """Where a link to the file of messages is left, for who looks where bitcoind would have it."""
    notes: tuple[str, ...] = ()
    """What the user should know about the options given."""


@dataclass(frozen=True, slots=True)
class ClientConfig:
    """What the command line tool is told. Made by `client_config`."""

    host: str = "localhost"
    port: int = DEFAULT_PORT
    cookie_files: tuple[Path, ...] = (Path(COOKIE_FILE),)
    """Where the cookie may be; the first that there is counts."""
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
    if values["mocktime"] and chain_of(values) != "regtest":
        raise ConfigError("-mocktime is for chain regtest")
    if values["rpcbind"] and not values["rpcallowip"]:
        notes += ("-rpcbind counts only with -rpcallowip, and is passed over",)
    chain = chain_of(values)
    folder, cookie = folder_and_cookie(values)
    first, *others = listening_places(values)
    is_background = bool(values["daemon"] or values["daemonwait"])
    to_console = not is_background if values["printtoconsole"] is None else values["printtoconsole"]
    log_file = log_file_of(values, folder, to_console)
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
        cookie_copies=cookie_copies(values, cookie),
        cookie_mode=COOKIE_MODES[values["rpccookieperms"] or "owner"],
        whitelists=values["rpcwhitelist"],
        whitelist_default=values["rpcwhitelistdefault"],
        network_active=values["networkactive"] is not False,
        nodes=tuple(
            node
            for name in ("nodes", "addnode", "seednode", "connect")
            for node in values[name]
            if node
        ),
        gossip=values["gossip"] and not values["connect"],
        discover=values["discover"],
        maxpeers=max_peers_of(values),
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
        policy=policy_of(values),
        ancestor_limits=(values["limitancestorcount"], values["limitancestorsize"] * 1000),
        descendant_limits=(values["limitdescendantcount"], values["limitdescendantsize"] * 1000),
        mocktime=values["mocktime"],
        wallet_name=values["wallet"] or "",
        block_max_weight=values["blockmaxweight"],
        block_min_fee=values["blockmintxfee"],
        coin_cache_bytes=values["dbcache"] * _MEGABYTE,
        signature_threads=signature_threads_of(values),
        blocknotify=values["blocknotify"],
        walletnotify=values["walletnotify"],
        startupnotify=values["startupnotify"],
        shutdownnotify=values["shutdownnotify"],
        zmq=tuple(
            (topic, address, values[f"zmqpub{topic}hwm"])
            for topic in ZMQ_TOPICS
            for address in values[f"zmqpub{topic}"]
        ),
        loglevel=log_level_of(values),
        logjson=values["logjson"],
        log_file=log_file,
        log_link=log_link_of(values, folder, log_file),
        background=is_background,
        waits_for_start=bool(values["daemonwait"]),
        pid_files=pid_files_of(values, folder),
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
    cookie = folder_and_cookie(values)[1]
    return ClientConfig(
        host=place.host,
        port=place.port
        if values["rpcport"] is None and place.port is not None
        else port_of(values),
        cookie_files=(cookie, *cookie_copies(values, cookie)),
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


def _with_help_spelt_out(arguments: Sequence[str]) -> Sequence[str]:
    """Take Core's other words for -help as well, before the first word that is no option."""
    options = list(takewhile(lambda word: word.startswith("-"), arguments))
    return ["-help" if word in _HELP else word for word in options] + [*arguments[len(options) :]]


def _settings(
    program: Program, arguments: Sequence[str], environment: Mapping[str, str]
) -> tuple[dict[str, Any], tuple[str, ...], CommandLine]:
    """The values of a program's options from all sources, notes on them, and the words."""
    table = options_of(program)
    arguments = _with_help_spelt_out(arguments)
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
    path = config_file_of(early)
    notes: tuple[str, ...] = ()
    if path is not None:
        form = FileForm(options_of(Program.BOTH), _SECTIONS, path.name == CORE_CONFIG_FILE)
        chain = chain_of(early)
        said = values_from_file(path, chain, form)
        if early["datadir"] is None and early["conf"] is None:
            refuse_moves(path, said.values)
        prefix = f"{path}: "
        moved = chain_of(resolve(table, *sources, (prefix, said.values)))
        if moved != chain:
            # What chose the chain stands above the sections, but one of them could name another.
            said = values_from_file(path, moved, form)
            said.values.pop("regtest", None)
            said.values["chain"] = [moved]
        sources.append((prefix, said.values))
        if form.is_core and moved != "bitcoin":
            if program is Program.DAEMON:
                refuse_unsuitable(path, moved, said.only_above - given.keys())
            for name in said.only_above & NETWORK_ONLY & said.values.keys():
                del said.values[name]
        if said.unknown:
            notes += (f"{path}: passed over, as unknown here: {', '.join(said.unknown)}",)
    idle = sorted({name for _, values in sources for name in values if name in idle_names()})
    if idle:
        notes += (f"without effect here: -{', -'.join(idle)} (-help says why)",)
    return resolve(table, *sources), notes, line


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
