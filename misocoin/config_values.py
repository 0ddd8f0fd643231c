"""What follows from several options at once: the chain, ports, folders and files of a program.

Each function takes the values of all options by name, as `options.resolve` gives them.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from misocoin.core_options import CHAIN_NAMES, CORE_PORTS, Place
from misocoin.errors import ConfigError
from misocoin.option_table import DEFAULT_PORT, MAX_PEERS, MEMORY
from misocoin.options import Values
from misocoin.policy.feerate import FeeRate
from misocoin.policy.settings import RelayPolicy
from misocoin.units import Sats

CONFIG_FILE = "misocoin.conf"
CORE_CONFIG_FILE = "bitcoin.conf"
COOKIE_FILE = ".cookie"
LOG_FILE = "debug.log"
CORE_PID_FILE = "bitcoind.pid"

NETWORK_ONLY = frozenset(
    {"addnode", "bind", "connect", "port", "rpcbind", "rpcport", "wallet", "walletdir"}
)
"""What bitcoind takes from above the sections of its file on its main network alone."""


def default_folder(chain: str, port: int) -> Path:
    """The data folder of a daemon that was not told one."""
    return Path.home() / ".misocoin" / f"{chain}-{port}"


def chain_of(values: Mapping[str, Any]) -> str:
    """The network's name; raises ConfigError where two are asked for."""
    chain: str | None = values["chain"]
    if values["regtest"] and chain not in (None, "regtest"):
        raise ConfigError(f"-regtest and -chain={chain} cannot go together")
    return CHAIN_NAMES["regtest" if values["regtest"] else chain or "miso"]


def port_of(values: Mapping[str, Any]) -> int:
    """The port that calls go to."""
    for name in ("rpcport", "port"):
        if values[name] is not None:
            port: int = values[name]
            return port
    if values["regtest"]:
        return CORE_PORTS["regtest"]
    return CORE_PORTS["main"] if values["chain"] == "main" else DEFAULT_PORT


def listening_places(values: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Hosts and ports to listen on, the one for calls first."""
    port = port_of(values)
    bound: tuple[Place, ...] = values["rpcbind"] if values["rpcallowip"] else ()
    places = [(each.host, port if each.port is None else each.port) for each in bound]
    places = places or [(values["host"], port)]
    if values["port"] not in (None, port):
        places.append((places[0][0], values["port"]))
    return list(dict.fromkeys(places))


def max_peers_of(values: Mapping[str, Any]) -> int:
    """Nodes that may connect to this one."""
    if values["listen"] is False:
        return 0
    wanted: int | None = values["maxconnections"]
    most: int = values["maxpeers"]
    return most if wanted is None else min(wanted, MAX_PEERS)


def log_level_of(values: Mapping[str, Any]) -> str:
    """The least level of messages that are told."""
    is_debugging = values["debug"] not in (None, "0", "none") and values["loglevel"] == "info"
    level: str = "debug" if is_debugging else values["loglevel"]
    return level


def log_file_of(values: Mapping[str, Any], folder: Path | None, to_console: bool) -> Path | None:
    """Where messages go; None for the console."""
    nowhere = Path(os.devnull)
    if values["debuglogfile"] in (None, nowhere) and to_console:
        return None
    return inside(folder, values["debuglogfile"] or Path(LOG_FILE)) or nowhere


def inside(folder: Path | None, path: Path | None) -> Path | None:
    """A path in the data folder; without one only an absolute path is any."""
    if path is None or (folder is None and not path.is_absolute()):
        return None
    return path if folder is None else folder / path


def config_file_of(values: Mapping[str, Any]) -> Path | None:
    """The configuration file, by what the command line and the environment say."""
    conf: Path | None = values["conf"]
    if values["datadir"] == MEMORY:
        path = conf
    else:
        folder: Path = values["datadir"] or default_folder(chain_of(values), port_of(values))
        path = folder / (conf or CONFIG_FILE)
        if conf is None and not path.exists() and (folder / CORE_CONFIG_FILE).is_file():
            path = folder / CORE_CONFIG_FILE
    if conf is not None and path is not None and not path.exists():
        raise ConfigError(f"-conf={conf}: there is no file {path}")
    return path


def refuse_moves(path: Path, values: Values) -> None:
    """Refuse what would lead away from the default folder that the file was found in."""
    for name in ("chain", "regtest", "port", "rpcport", "datadir", "conf"):
        if name in values:
            raise ConfigError(
                f"{path}: {name} cannot be set here, since the folder's name follows from "
                f"-chain and -port; use -datadir"
            )


def refuse_unsuitable(path: Path, chain: str, names: frozenset[str]) -> None:
    """Refuse what bitcoind takes from above the sections on its main network alone."""
    for name in sorted(names & NETWORK_ONLY):
        raise ConfigError(f"{path}: {name} counts on {chain} only under [{chain}]")


def folder_and_cookie(values: Mapping[str, Any]) -> tuple[Path | None, Path]:
    """The data folder and the cookie's path."""
    by_name = default_folder(chain_of(values), port_of(values))
    folder: Path = values["datadir"] or by_name
    named: Path | None = values["rpccookiefile"]
    cookie = named or Path(COOKIE_FILE)
    if folder == MEMORY:
        return None, by_name / cookie
    return folder, folder / cookie


def net_folder_of(values: Mapping[str, Any]) -> Path | None:
    """Where bitcoind would have its files in a data folder that was named; None if just there."""
    folder: Path | None = values["datadir"]
    if folder in (None, MEMORY) or chain_of(values) != "regtest":
        return None
    return folder / "regtest"


def cookie_copies(values: Mapping[str, Any], cookie: Path) -> tuple[Path, ...]:
    """Where bitcoind would leave its cookie."""
    folder = net_folder_of(values)
    if folder is None:
        return ()
    copy = folder / (values["rpccookiefile"] or COOKIE_FILE)
    return () if copy == cookie else (copy,)


def pid_files_of(values: Mapping[str, Any], folder: Path | None) -> tuple[Path, ...]:
    """Where the process's number is left: where it was asked for, and where bitcoind would."""
    named: Path | None = values["pid"]
    asked, net_folder = inside(folder, named), net_folder_of(values)
    core = None if net_folder is None else net_folder / (named or CORE_PID_FILE)
    return tuple(dict.fromkeys(path for path in (asked, core) if path is not None))


def log_link_of(values: Mapping[str, Any], folder: Path | None, log: Path | None) -> Path | None:
    """Where bitcoind would have the file of messages, for a link to ours."""
    net_folder = net_folder_of(values)
    if folder is None or log is None or net_folder is None or not log.is_relative_to(folder):
        return None
    return net_folder / log.relative_to(folder)


def signature_threads_of(values: Mapping[str, Any]) -> int:
    """Threads that check signatures; 0 means one for each core, and -n leaves n cores free."""
    wanted: int = values["par"]
    return wanted if wanted >= 0 else max(1, (os.cpu_count() or 1) + wanted)


def policy_of(values: Mapping[str, Any]) -> RelayPolicy:
    """What is asked of transactions."""
    carried = 0 if values["datacarrier"] is False else values["datacarriersize"]
    chosen = {
        "min_relay_feerate": _feerate(values["minrelaytxfee"]),
        "incremental_feerate": _feerate(values["incrementalrelayfee"]),
        "dust_feerate": _feerate(values["dustrelayfee"]),
        "max_data_carrier": carried,
        "permit_bare_multisig": values["permitbaremultisig"],
        "vbytes_per_sigop": values["bytespersigop"],
    }
    given = {name: value for name, value in chosen.items() if value is not None}
    return RelayPolicy(require_standard=not values["acceptnonstdtxn"], **given)


def _feerate(amount: Sats | None) -> FeeRate | None:
    return None if amount is None else FeeRate(amount)
