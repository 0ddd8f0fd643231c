"""Every option of the daemon and of its command line tool, declared once."""

import os
import re
from collections.abc import Callable
from enum import Flag, auto
from pathlib import Path
from typing import Any

from misocoin import core_options
from misocoin.core_options import chain_from_text, peer_from_text
from misocoin.http.guard import is_host_name
from misocoin.options import Kind, Option, choice_of, flag_from_text, integer_between
from misocoin.pow.slices import MAX_THREADS
from misocoin.units import Sats, sats_from_text

CHAINS = ("miso", "regtest", "bitcoin")
"""The networks by name, as `misocoin.params` knows them."""

DEFAULT_PORT = 4000
"""Where a daemon listens and where the tool looks for it, on every chain."""

MAX_PEERS = 200
"""Nodes that may connect to one, at most."""

MEMORY = Path(":memory:")
"""What `-datadir` says where nothing is to be kept."""

ENGINES = ("auto", "portable", "c", "avx2", "avx512", "sha-ni", "armv8", "opencl")
"""The searches for nonces, as `misocoin.pow.engines` knows them."""


class Program(Flag):
    """Who takes an option."""

    DAEMON = auto()
    CLIENT = auto()
    BOTH = DAEMON | CLIENT


def options_of(program: Program) -> tuple[Option, ...]:
    """The options of one program."""
    parts: tuple[tuple[Program, tuple[Option, ...]], ...] = (
        (Program.BOTH, _common_options()),
        (Program.DAEMON, _chain_options()),
        (Program.DAEMON, _node_options()),
        (Program.CLIENT, _client_options()),
        (Program.BOTH, core_options.shared_options()),
        (Program.DAEMON, core_options.daemon_options()),
        (Program.CLIENT, core_options.client_options()),
    )
    return tuple(option for users, options in parts if program & users for option in options)


def private_key_from_text(text: str) -> str:
    """Check the shape of a private key; what it is worth, the wallet sees. Raises ValueError."""
    if not re.fullmatch(r"[0-9a-fA-F]{64}|[1-9A-HJ-NP-Za-km-z]{51,52}|-", text):
        raise ValueError("write 64 hex digits, a WIF key, or - to read it from standard input")
    return text


def _path(text: str) -> Path:
    if not text or "\0" in text:
        raise ValueError("write a path")
    return Path(text).expanduser()


def _path_or_nothing(text: str) -> Path:
    return Path(os.devnull) if text == "0" else _path(text)


def _host(text: str) -> str:
    if not re.fullmatch(r"[0-9A-Za-z._:-]+", text):
        raise ValueError("write an address or a host name")
    return text


def _work(text: str) -> int:
    if not re.fullmatch(r"(0x)?[0-9a-fA-F]{1,64}", text):
        raise ValueError("write up to 64 hex digits")
    return int(text, 16)


def _host_name(text: str) -> str:
    if not is_host_name(text):
        raise ValueError("write the name of a host, with no port")
    return text.lower()


def _web_address(text: str) -> str:
    if re.fullmatch(r"http://(\[[0-9a-fA-F:.]+\]|[\w.-]+)(:\d{1,5})?/?", text, re.ASCII) is None:
        raise ValueError("write http://host:port")
    return text.rstrip("/")


def _filter_index(text: str) -> bool:
    return text == "basic" or flag_from_text(text)


def _log_level(text: str) -> str:
    # Core's category:level changes what -debug=category tells; here that is everything.
    _, colon, level = text.rpartition(":")
    name = choice_of("trace", "debug", "info", "warning", "error")(level)
    if colon:
        return "info"
    return "debug" if name == "trace" else name


def _amount(text: str) -> Sats:
    return sats_from_text(text)


def _value(
    name: str,
    group: str,
    parse: Callable[[str], Any],
    placeholder: str,
    default: Any,
    help: str,
    default_text: str = "",
) -> Option:
    return Option(
        name, group, help, parse, default, placeholder=placeholder, default_text=default_text
    )


def _number(
    name: str, group: str, low: int, high: int, default: int, placeholder: str, help: str
) -> Option:
    return Option(name, group, help, integer_between(low, high), default, placeholder=placeholder)


def _flag(name: str, group: str, help: str, default_text: str = "0") -> Option:
    default = False if default_text == "0" else None
    return Option(name, group, help, flag_from_text, default, Kind.FLAG, default_text=default_text)


def _common_options() -> tuple[Option, ...]:
    node, chain, access, about = "Network", "Chain and mempool", "Access", "Messages"
    return (
        _value(
            "host",
            node,
            _host,
            "host",
            "localhost",
            "Address to listen on, or to call. Others can reach a node that listens on 0.0.0.0.",
        ),
        Option(
            "port",
            node,
            "Port to listen on, or to call.",
            integer_between(0, 65535),
            placeholder="port",
            default_text=str(DEFAULT_PORT),
        ),
        _value(
            "chain",
            chain,
            chain_from_text,
            "name",
            None,
            "miso, regtest or bitcoin (which Core calls main).",
            "miso",
        ),
        _value(
            "datadir",
            chain,
            _path,
            "folder",
            None,
            f"Data folder; {MEMORY} keeps everything in memory.",
            "~/.misocoin/<chain>-<port>",
        ),
        Option(
            "conf",
            chain,
            "Configuration file, by its path in the data folder.",
            _path_or_nothing,
            placeholder="file",
            default_text="misocoin.conf",
            negated="0",
        ),
        _value(
            "rpcuser",
            access,
            str,
            "name",
            None,
            "Name for wallet and control methods, with -rpcpassword. Without it the cookie in the "
            "data folder serves.",
        ),
        Option(
            "rpcpassword",
            access,
            "Password for wallet and control methods.",
            placeholder="password",
            secret=True,
        ),
        _flag("version", about, "Print the version and leave.", ""),
        _flag("help", about, "Print this and leave.", ""),
    )


def _chain_options() -> tuple[Option, ...]:
    chain = "Chain and mempool"
    return (
        Option(
            "loadblock",
            chain,
            "Import blocks from a file in Core's blk*.dat framing, then go on. May be given again.",
            _path,
            (),
            Kind.LIST,
            "file",
            separator=os.pathsep,
        ),
        _flag("txindex", chain, "Index all transactions, so that any is found by its id."),
        _flag(
            "txospenderindex", chain, "Index all spends, so that what spends an output is found."
        ),
        _flag(
            "addressindex",
            chain,
            "Index what happens to each address, so that its page shows its history.",
        ),
        Option(
            "blockfilterindex",
            chain,
            "Make a filter of each block (BIP158), with which light wallets find their payments.",
            _filter_index,
            True,
            Kind.FLAG,
            default_text="1",
        ),
        _number("dbcache", chain, 4, 65536, 256, "MB", "Size of the cache of unspent outputs."),
        _number(
            "par",
            chain,
            -64,
            64,
            0,
            "n",
            "Threads that check signatures; 0 is one for each core, -n leaves n cores free.",
        ),
        _number("maxmempool", chain, 5, 65536, 300, "MB", "Size of the mempool."),
        _number(
            "mempoolexpiry",
            chain,
            1,
            100_000,
            336,
            "hours",
            "How long a transaction may wait in the mempool.",
        ),
        _value(
            "minrelaytxfee",
            chain,
            _amount,
            "amount",
            Sats(1000),
            "Fee rate below which a transaction is not taken, in coins per 1,000 virtual bytes.",
            "0.00001",
        ),
    )


def _node_options() -> tuple[Option, ...]:
    mining, messages = "Mining", "Messages"
    return (
        Option(
            "nodes",
            "Network",
            "Peers to connect to. May be given again.",
            peer_from_text,
            (),
            Kind.LIST,
            "host:port,...",
        ),
        Option(
            "gossip",
            "Network",
            "Connect to nodes that other nodes tell of, too.",
            flag_from_text,
            True,
            Kind.FLAG,
            default_text="1",
        ),
        _flag("discover", "Network", "Find nodes on the local network and be found there."),
        _number(
            "maxpeers", "Network", 0, MAX_PEERS, 64, "n", "Nodes that may connect to this one."
        ),
        _value(
            "externalip",
            "Network",
            _host,
            "host",
            None,
            "Address under which others can reach this node, where they cannot see it.",
        ),
        _flag(
            "hashcash",
            "Access",
            "Ask for proof of work those who call without a password, and other nodes, while they "
            "ask for much; with 1 also from this machine.",
            "where others can reach the port",
        ),
        _number(
            "hashcashrate",
            "Access",
            1,
            1_000_000,
            100,
            "n",
            "Calls a second from one address from which on it is asked for proof of work.",
        ),
        _value(
            "minimumchainwork",
            "Network",
            _work,
            "hex",
            None,
            "Work that a chain of other nodes must have before its blocks are fetched; with 0 "
            "any will do.",
            "on bitcoin what its chain had at block 824,000, else 0",
        ),
        Option(
            "priv_key",
            "Wallet",
            "Private key of the wallet, 64 hex digits or WIF; without it one of its own is made. "
            "Others on the machine can see it on the command line: - reads it from standard input.",
            private_key_from_text,
            placeholder="key",
            secret=True,
        ),
        Option(
            "web",
            "Access",
            "Show pages to a browser, on the same port.",
            flag_from_text,
            True,
            Kind.FLAG,
            default_text="1",
        ),
        Option(
            "webhost",
            "Access",
            "A name by which browsers may call this node, besides addresses, localhost and the "
            "machine's own name; a proxy may speak https for it. May be given again.",
            _host_name,
            (),
            Kind.LIST,
            "name",
        ),
        _value(
            "workstatus",
            "Access",
            _web_address,
            "url",
            None,
            "Show what a work service's watch port tells, http://localhost:7041 say, in the "
            "machine room.",
        ),
        _value(
            "marketclient",
            "Access",
            _web_address,
            "url",
            None,
            "Show the trades of a market, http://localhost:8080 say, in the machine room.",
        ),
        _flag("mine", mining, "Mine in the background.", "1 on miso, else 0"),
        _number("threads", mining, 1, MAX_THREADS, 1, "n", "Mining threads."),
        _value(
            "engine",
            mining,
            choice_of(*ENGINES),
            "name",
            "auto",
            f"Search for nonces: {', '.join(ENGINES[1:])}, or auto, the fastest of them here.",
        ),
        _number(
            "blockmaxweight", mining, 4000, 4_000_000, 4_000_000, "n", "Weight a block may fill."
        ),
        _value(
            "loglevel",
            messages,
            _log_level,
            "name",
            "info",
            "debug (or trace), info, warning or error.",
        ),
        _flag("logjson", messages, "Print one JSON object a line instead of text."),
    )


def _client_options() -> tuple[Option, ...]:
    calling = "Calling"
    return (
        _flag("named", calling, "Arguments are name=value."),
        _flag("stdin", calling, "More arguments come on standard input, one a line."),
        _flag("rpcwait", calling, "Wait until a daemon answers."),
        _number(
            "rpcclienttimeout",
            calling,
            0,
            1_000_000,
            900,
            "seconds",
            "How long to wait for an answer; 0 is without end.",
        ),
    )
