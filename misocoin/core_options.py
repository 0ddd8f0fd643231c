"""The options a Bitcoin Core script starts its daemon and tool with, where they mean the same here.

Some of Core's names are Misocoin's own (`-datadir`, `-txindex`, `-dbcache`, ...; see
`option_table`). Those here are Core's words for something that Misocoin calls otherwise or does in
another way, and `misocoin.config` says what they come to. What Core has besides stands in
`core_unused`.
"""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from misocoin.chain.clock import MAX_MOCK_TIME
from misocoin.core_unused import IDLE_GROUP, unused_options
from misocoin.options import Kind, Option, choice_of, flag_from_text, integer_between
from misocoin.units import Sats, sats_from_text

GROUP = "As bitcoind"
"""Heading of options that are Core's words for something."""

NOTIFY_GROUP = "Telling others"
"""Heading of options that have the node tell what happens."""

ZMQ_TOPICS = ("hashblock", "hashtx", "rawblock", "rawtx", "sequence")
"""What `-zmqpub<topic>` publishes."""

CORE_PORTS = MappingProxyType({"regtest": 18443, "main": 8332})
"""Where clients of bitcoind look for its RPC: the port that `-regtest` and `-chain=main` bring."""

WALLET_MAX_FEE = 10_000_000
"""Base units that a payment costs at most, whatever `-maxtxfee` says."""

CHAIN_NAMES = MappingProxyType(
    {"miso": "miso", "regtest": "regtest", "bitcoin": "bitcoin", "main": "bitcoin"}
)
"""What `-chain` takes, and the network it means; `main` is Core's word."""

MISSING_CHAINS = ("test", "testnet", "testnet3", "testnet4", "signet")
"""Core's words for networks that are not here."""


COOKIE_MODES = MappingProxyType({"owner": 0o600, "group": 0o640, "all": 0o644})
"""What `-rpccookieperms` takes, and the file's mode."""


class Place(NamedTuple):
    """Where to listen."""

    host: str
    port: int | None
    """None where only a host was given."""


def place_from_text(text: str) -> Place:
    """Read `host`, `host:port` or `[host]:port`; raises ValueError."""
    match = re.fullmatch(
        r"(?:\[(?P<v6>[0-9a-fA-F:.]+)\]|(?P<host>[^\s:/\[\]]+))(?::(?P<port>\d{1,5}))?", text
    )
    if match is None:
        if re.fullmatch(r"[0-9a-fA-F:.]*:[0-9a-fA-F:.]*:[0-9a-fA-F:.]*", text):
            return Place(text, None)
        raise ValueError("write host or host:port")
    port = None if match["port"] is None else int(match["port"])
    if port is not None and port > 65535:
        raise ValueError("a port is at most 65535")
    return Place(match["v6"] or match["host"], port)


def network_from_text(text: str) -> str:
    """Check an address or a network (`10.0.0.0/8`, `10.0.0.0/255.0.0.0`); raises ValueError."""
    # The tool reads the same table, and each of its starts would pay for the import.
    from ipaddress import ip_network

    try:
        return str(ip_network(text.strip(), strict=False))
    except ValueError:
        raise ValueError("write an address or a network such as 10.0.0.0/8") from None


def rpcauth_from_text(text: str) -> str:
    """Check the shape of `user:salt$hash`; raises ValueError."""
    if not re.fullmatch(r"[^:\s]+:[^$\s]+\$[0-9a-fA-F]{64}", text):
        raise ValueError("write user:salt$hash, the hash of 64 hex digits")
    return text


class Whitelist(NamedTuple):
    """The only methods that a user may call."""

    user: str
    methods: frozenset[str]


def whitelist_from_text(text: str) -> Whitelist:
    """Read `user:method,method`; raises ValueError."""
    user, colon, methods = text.partition(":")
    if not colon or not user:
        raise ValueError("write user:method, with commas between several methods")
    return Whitelist(user, frozenset(filter(None, (each.strip() for each in methods.split(",")))))


def chain_from_text(text: str) -> str:
    """Read the name of a chain, ours or Core's; raises ValueError."""
    name = text.strip().lower()
    if name in MISSING_CHAINS:
        raise ValueError("there is no such network here; choose miso, regtest or bitcoin")
    if name not in CHAIN_NAMES:
        raise ValueError("choose miso, regtest or bitcoin")
    return name


def shared_options() -> tuple[Option, ...]:
    """Those that daemon and tool both take."""
    return (
        _flag(
            "regtest",
            f"Chain regtest, on bitcoind's port for it ({CORE_PORTS['regtest']}) where no other "
            "is given.",
        ),
        *(
            Option(name, GROUP, "There is no such network here.", _refuse_chain, kind=Kind.FLAG)
            for name in ("testnet", "testnet4", "signet")
        ),
        _number("rpcport", "Port for calls. Where -port is given too, the node listens on both."),
        _value("rpccookiefile", "file", "Cookie file, by its path in the data folder.", _path),
    )


def daemon_options() -> tuple[Option, ...]:
    """Those of the daemon."""
    return (
        _list(
            "rpcbind",
            "host[:port]",
            "Address to listen on instead of -host. Counts only with -rpcallowip, as in Core.",
            place_from_text,
        ),
        _list(
            "rpcallowip",
            "network",
            "Who may call, beside this machine: an address, or a network such as 10.0.0.0/8. "
            "Without it everybody who reaches the port may make open calls.",
            network_from_text,
        ),
        _list(
            "rpcauth",
            "user:salt$hash",
            "A user by the hash of the password, as Core's rpcauth.py makes it. May be given "
            "again.",
            rpcauth_from_text,
        ),
        _value(
            "rpccookieperms",
            "owner|group|all",
            "Who may read the cookie file; without it its owner.",
            choice_of(*COOKIE_MODES),
        ),
        *_whitelist_options(),
        _list("addnode", "host:port", "The same as -nodes.", peer_from_text),
        _list("seednode", "host:port", "The same as -nodes.", peer_from_text),
        Option(
            "connect",
            GROUP,
            "As -nodes, and connect to nobody else; 0 connects to nobody.",
            _peer_or_none,
            (),
            Kind.LIST,
            "host:port",
            negated="0",
        ),
        _flag("networkactive", "Whether to have links at all; setnetworkactive changes it."),
        _flag("listen", "Whether other nodes may connect; -listen=0 is -maxpeers=0."),
        _number("maxconnections", "The same as -maxpeers.", 100_000, "n"),
        _flag(
            "daemon",
            "Run in the background; messages go to debug.log in the data folder.",
        ),
        _flag("daemonwait", "As -daemon, and return when the node answers."),
        _flag("printtoconsole", "Whether messages go to the console; 0 sends them to debug.log."),
        Option(
            "debuglogfile",
            GROUP,
            "Send messages to a file, by its path in the data folder; 0 keeps none.",
            _path_or_nowhere,
            placeholder="file",
            negated="0",
        ),
        Option("debug", GROUP, "The same as -loglevel=debug.", str, None, Kind.FLAG),
        Option(
            "pid",
            GROUP,
            "Leave the process's number in a file, by its path in the data folder.",
            _path_or_none,
            placeholder="file",
            negated="0",
        ),
        *(
            Option(
                f"limit{family}{what}",
                GROUP,
                f"{unit} that a waiting transaction may have as {family}s, itself included.",
                integer_between(1, 1_000_000),
                default,
                placeholder="n",
            )
            for family in ("ancestor", "descendant")
            for what, unit, default in (
                ("count", "Transactions", 25),
                ("size", "Thousands of virtual bytes", 101),
            )
        ),
        Option(
            "wallet",
            GROUP,
            "What the node's one wallet is called in calls of Core's.",
            placeholder="name",
            negated="",
        ),
        *_policy_options(),
        Option(
            "mocktime",
            GROUP,
            "Stop the node's clock at a unix time; on regtest.",
            integer_between(0, MAX_MOCK_TIME),
            0,
            placeholder="seconds",
        ),
        _flag("acceptnonstdtxn", "Take unusual transactions into the mempool."),
        _flag("rpcdoccheck", "Hold every result of a call against its documented form."),
        Option(
            "prune",
            GROUP,
            "Only 0: every block is kept.",
            _only("0", "every block is kept here"),
            None,
            placeholder="0",
            negated="0",
        ),
        *_notify_options(),
        *unused_options(),
    )


def _whitelist_options() -> Iterator[Option]:
    """Those that say which methods a user may call."""
    yield Option(
        "rpcwhitelist",
        GROUP,
        "The only methods that a user may call. May be given again: what all of them name counts. "
        "With any of these, users without one may call nothing; see -rpcwhitelistdefault.",
        whitelist_from_text,
        (),
        Kind.LIST,
        "user:method,...",
        separator="\n",
    )
    yield _flag(
        "rpcwhitelistdefault",
        "Whether users without -rpcwhitelist may call nothing; by default where any has one.",
    )


def _policy_options() -> Iterator[Option]:
    """Those on the transactions that are taken, and the blocks made of them."""
    for name, help in (
        ("incrementalrelayfee", "What a replacement pays on top, in coins per 1,000 vbytes."),
        ("dustrelayfee", "Fee rate at which an output must be worth its spending."),
        ("blockmintxfee", "Fee rate below which a transaction is not put into a block."),
    ):
        yield _value(name, "amount", help, sats_from_text)
    yield _flag("datacarrier", "Whether to take transactions with data; 0 is -datacarriersize=0.")
    yield _number("datacarriersize", "Bytes of data scripts, at most.", 4_000_000, "n")
    yield _flag("permitbaremultisig", "Take multisig outputs outside of P2SH and segwit.")
    yield _number("bytespersigop", "Virtual bytes that a signature operation counts.", 100_000, "n")
    yield Option(
        "maxtxfee",
        GROUP,
        "The wallet's own limit to what a payment costs; it cannot be lower.",
        _wallet_limit,
        None,
        placeholder="amount",
    )
    yield Option(
        "addresstype",
        GROUP,
        "Only bech32; getnewaddress takes the other types.",
        _only("bech32", "getnewaddress gives bech32 unless its call names another type"),
        None,
        placeholder="bech32",
    )
    yield Option(
        "walletbroadcast",
        GROUP,
        "Only 1: what the wallet pays is passed on.",
        _always,
        None,
        Kind.FLAG,
    )


def _notify_options() -> Iterator[Option]:
    """Those that have the node tell what happens."""
    for name, help in (
        ("blocknotify", "Run a command at each new tip; %s in it is the block's hash."),
        (
            "walletnotify",
            "Run a command when a transaction of the wallet comes or is mined; %s in it is its "
            "id, %b its block's hash, %h its block's height, %w the wallet's name.",
        ),
        ("startupnotify", "Run a command when the node answers."),
        ("shutdownnotify", "Run a command before the node stops, and wait for it."),
    ):
        yield Option(name, NOTIFY_GROUP, help, str, "", placeholder="command", negated="")
    for topic in ZMQ_TOPICS:
        yield Option(
            f"zmqpub{topic}",
            NOTIFY_GROUP,
            f"Publish {topic} by ZeroMQ on an address such as tcp://127.0.0.1:28332. May be given "
            "again. Needs pyzmq.",
            zmq_address_from_text,
            (),
            Kind.LIST,
            "address",
        )
        yield Option(
            f"zmqpub{topic}hwm",
            NOTIFY_GROUP,
            f"Messages on {topic} that are kept for a slow subscriber.",
            integer_between(0, 2**31 - 1),
            1000,
            placeholder="n",
        )


def zmq_address_from_text(text: str) -> str:
    """Check the shape of a ZeroMQ endpoint to bind; raises ValueError."""
    if not re.fullmatch(r"tcp://\S+:(\d{1,5}|\*)|(ipc://|unix:)\S+", text):
        raise ValueError("write tcp://127.0.0.1:28332, or ipc:// or unix: and a path")
    return text


def client_options() -> tuple[Option, ...]:
    """Those of the command line tool."""
    return (
        _value("rpcconnect", "host[:port]", "The same as -host.", place_from_text),
        _number(
            "rpcwaittimeout", "How long -rpcwait waits; 0 is without end.", 1_000_000, "seconds"
        ),
        _flag("getinfo", "Show the node at a glance; takes the place of a method."),
        _flag(
            "netinfo",
            "Show the links with other nodes; takes the place of a method. A number "
            "from 0 to 4 behind it says how much.",
        ),
        _flag(
            "generate",
            "Mine a block to a new address of the wallet; takes the place of a "
            "method. A number of blocks may stand behind it.",
        ),
        _flag("stdinrpcpass", "Read the password of -rpcuser from standard input, its first line."),
        _flag(
            "stdinwalletpassphrase",
            "Read the passphrases of the method from standard input, one a line; at a terminal "
            "they are typed unseen.",
        ),
        _value("rpcwallet", "name", "The wallet to speak of."),
        Option("color", IDLE_GROUP, "There are no colours.", str, None, Kind.FLAG),
    )


def peer_from_text(text: str) -> str:
    """Check the shape of `host` or `host:port`; raises ValueError."""
    if not re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[^\s:/\[\]]+)(:\d{1,5})?", text):
        raise ValueError("write host:port, several of them with commas between")
    return text


def _peer_or_none(text: str) -> str:
    return "" if text.strip() == "0" else peer_from_text(text)


def _refuse_chain(text: str) -> bool:
    if flag_from_text(text):
        raise ValueError("there is no such network here; choose -chain=miso, regtest or bitcoin")
    return False


def _path(text: str) -> Path:
    if not text or "\0" in text:
        raise ValueError("write a path")
    return Path(text).expanduser()


def _path_or_none(text: str) -> Path | None:
    return None if text in ("", "0") else _path(text)


def _path_or_nowhere(text: str) -> Path:
    return Path(os.devnull) if text in ("", "0") else _path(text)


def _wallet_limit(text: str) -> Sats:
    if (limit := sats_from_text(text)) < WALLET_MAX_FEE:
        raise ValueError("the wallet's limit is 0.1, and cannot be lower")
    return limit


def _always(text: str) -> bool:
    if not flag_from_text(text):
        raise ValueError("what the wallet pays is always passed on")
    return True


def _only(wanted: str, why: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text.strip() != wanted:
            raise ValueError(why)
        return wanted

    return parse


def _flag(name: str, help: str) -> Option:
    return Option(name, GROUP, help, flag_from_text, None, Kind.FLAG)


def _number(name: str, help: str, most: int = 65535, placeholder: str = "port") -> Option:
    return Option(name, GROUP, help, integer_between(0, most), None, placeholder=placeholder)


def _value(name: str, placeholder: str, help: str, parse: Callable[[str], Any] = str) -> Option:
    return Option(name, GROUP, help, parse, None, placeholder=placeholder)


def _list(name: str, placeholder: str, help: str, parse: Callable[[str], Any]) -> Option:
    return Option(name, GROUP, help, parse, (), Kind.LIST, placeholder)
