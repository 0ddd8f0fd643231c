"""The command `hashcash`: gates beside a client and before a server, and stamps by themselves.

misocoin hashcash client --listen_port=50001 --target_host=my.server --target_port=30001
misocoin hashcash server --listen_port=30001 --target_host=127.0.0.1 --target_port=40001
misocoin hashcash mint -bits=20 you@example.org
misocoin hashcash check -bits=20 -resource=you@example.org 1:20:261121:…
"""

import secrets
import sys
import time
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from misocoin.cli.command import Command, UsageError, run_group
from misocoin.cli.logs import set_up_logging
from misocoin.errors import ParseError
from misocoin.hashcash.challenge import MAX_BITS, check_service
from misocoin.hashcash.errors import StampError
from misocoin.hashcash.original import DEFAULT_BITS
from misocoin.hashcash.stamp import (
    DEFAULT_GRACE,
    DEFAULT_PERIOD,
    MAX_MINT_BITS,
    RAND_SIZE,
    check_stamp,
    date_from_time,
    mint_stamp,
    stamp_from_text,
    stamp_puzzle,
)
from misocoin.options import Kind, Option, choice_of, flag_from_text, integer_between
from misocoin.pow.engines import ENGINE_NAMES, missing_native_notice, select_engine
from misocoin.pow.slices import MAX_THREADS
from misocoin.units import UnixTime


def main(arguments: Sequence[str]) -> int:
    """Run one command; returns its exit code."""
    return run_group("misocoin hashcash", _commands(), arguments)


# -- mint, check ------------------------------------------------------------------------------


def _mint(values: Mapping[str, Any], words: tuple[str, ...]) -> int:
    engine = select_engine(values["engine"])
    date = date_from_time(UnixTime(int(time.time())), int(values["datewidth"]))
    for resource in words:
        rand = b64encode(secrets.token_bytes(RAND_SIZE)).decode()
        try:
            puzzle = stamp_puzzle(resource, values["bits"], date, rand, values["ext"])
        except ParseError as error:
            raise UsageError(str(error)) from None
        stamp = mint_stamp(puzzle, engine, values["threads"])
        if stamp is None:
            raise RuntimeError("a space of counters without a stamp")
        print(stamp.text, flush=True)
    return 0


def _check(values: Mapping[str, Any], words: tuple[str, ...]) -> int:
    now = UnixTime(int(time.time()))
    period, grace = values["period"], values["grace"]
    for word in words or (line.strip() for line in sys.stdin):
        try:
            stamp = stamp_from_text(word)
            check_stamp(stamp, values["resource"], values["bits"], now, period, grace)
            if values["spent"] is not None:
                from misocoin.hashcash.spent_file import spend_in_file

                expires = UnixTime(stamp.time + period + grace)
                spend_in_file(values["spent"], stamp, expires, now)
        except (ParseError, StampError) as error:
            print(f"{word[:80]}: {error}", file=sys.stderr)
            return 1
    return 0


# -- the gates --------------------------------------------------------------------------------


def _client(values: Mapping[str, Any], _words: tuple[str, ...]) -> int:
    # Who only mints need not load a server.
    from misocoin.cli.hashcash_proxy import client_proxy

    _begin(values)
    notice = missing_native_notice()
    if notice is not None:
        print(notice, file=sys.stderr)
    return client_proxy(values)


def _server(values: Mapping[str, Any], _words: tuple[str, ...]) -> int:
    from misocoin.cli.hashcash_proxy import server_proxy

    _begin(values)
    return server_proxy(values)


def _begin(values: Mapping[str, Any]) -> None:
    needed = {"listen_port": "port", "target_host": "host", "target_port": "port"}
    missing = [f"-{name}=<{what}>" for name, what in needed.items() if values[name] is None]
    if missing:
        raise UsageError(f"write {' and '.join(missing)} as well")
    set_up_logging(values["loglevel"], values["logjson"])


# -- options ----------------------------------------------------------------------------------


def _number(
    name: str, group: str, low: int, high: int, default: int | None, placeholder: str, help: str
) -> Option:
    return Option(name, group, help, integer_between(low, high), default, placeholder=placeholder)


def _text(
    name: str,
    group: str,
    placeholder: str,
    help: str,
    default: str | None = None,
    parse: Callable[[str], Any] = str,
    default_text: str = "",
) -> Option:
    return Option(
        name, group, help, parse, default, placeholder=placeholder, default_text=default_text
    )


def _flag(name: str, group: str, help: str) -> Option:
    return Option(name, group, help, flag_from_text, False, Kind.FLAG, default_text="0")


def _path(text: str) -> Path:
    if not text or "\0" in text:
        raise ValueError("write a path")
    return Path(text).expanduser()


def _service(text: str) -> str:
    check_service(text)
    return text


def _cost(text: str) -> tuple[str, int]:
    method, equals, cost = text.rpartition("=")
    if not equals or not method:
        raise ValueError("write method=cost, several of them with commas between")
    return method, integer_between(1, 1 << 20)(cost)


_ENGINE = _text(
    "engine", "Minting", "name", "How nonces are searched.", "auto", choice_of(*ENGINE_NAMES)
)
_THREADS = _number("threads", "Minting", 1, MAX_THREADS, 1, "number", "Threads that search.")

_LINES = (
    _number("listen_port", "Network", 0, 65535, None, "port", "Port to listen on; 0 takes any."),
    _text(
        "listen_host", "Network", "host",
        "Address to listen on. Others can reach a gate that listens on 0.0.0.0.",
        default_text="127.0.0.1, or ::1 with -listen_ipv6",
    ),
    _flag("listen_ipv6", "Network", "Listen on IPv6."),
    _text("target_host", "Network", "host", "Where to connect to."),
    _number("target_port", "Network", 1, 65535, None, "port", "Port to connect to."),
    _flag("target_ipv6", "Network", "Connect over IPv6."),
    _text("tlscert", "TLS", "file", "Certificate (PEM) to show: whoever connects must use TLS.",
          parse=_path),
    _text("tlskey", "TLS", "file", "Its private key, if it is in another file.", parse=_path),
    _flag("target_ssl", "TLS", "Connect with TLS, as to the ssl port of an Electrum server."),
    _text("target_ca", "TLS", "file",
          "Trust this certificate (PEM) and no other: that of a server which has signed its own.",
          parse=_path),
    _flag("target_noverify", "TLS", "Trust any certificate."),
    _text(
        "version", "Stamps", "version",
        "auto, or 1 for the original's stamps alone, or 2 to insist on those of version 2.",
        "auto", choice_of("auto", "1", "2"),
    ),
    _number("maxline", "Limits", 100, 1 << 28, 1 << 22, "bytes", "The longest request."),
    _number("maxbuffered", "Limits", 1, 1 << 20, 256, "MB",
            "Memory for requests that wait, on all connections together."),
    _number("maxconn", "Limits", 1, 1 << 20, 4096, "number", "Connections at a time."),
    _number("maxconnperip", "Limits", 1, 1 << 20, 1024, "number",
            "Connections at a time from one address."),
    _number("idletimeout", "Limits", 1, 1 << 30, 1800, "seconds",
            "Close a connection on which nothing has come for so long."),
    _number("metricsport", "Messages", 0, 65535, 0, "port",
            "Show counters for Prometheus on http://127.0.0.1:port/metrics; 0 does not."),
    _text("loglevel", "Messages", "level", "debug, info, warning or error.", "info",
          choice_of("debug", "info", "warning", "error")),
    _flag("logjson", "Messages", "One JSON object a line instead of text."),
)  # fmt: skip

_CLIENT = (
    *_LINES,
    _number("bits", "Stamps", 0, MAX_MINT_BITS, DEFAULT_BITS, "bits",
            "Zero bits of the original's stamps; with version 2 the server says how many."),
    _number("maxbits", "Stamps", 0, MAX_BITS, 28, "bits",
            "Refuse requests for which the server asks more."),
    _text("service", "Stamps", "name", "Pay none but the service of this name.", parse=_service,
          default_text="any"),
    _number("greeting", "Stamps", 1, 600, 2, "seconds",
            "How long a server is waited for before it is taken for the original."),
    _ENGINE,
    _number("threads", "Minting", 1, MAX_THREADS, 2, "number",
            "Threads that search, one a connection."),
)  # fmt: skip

_SERVER = (
    *_LINES,
    _number("bits", "Stamps", 0, 40, DEFAULT_BITS, "bits",
            "Zero bits that a request needs; with 0 stamps are asked for under load alone."),
    _number("pressedbits", "Stamps", 1, 40, None, "bits",
            "What prices under load start from."),
    _number("maxbits", "Stamps", 1, 48, 28, "bits", "The highest price of a request of cost 1."),
    Option("cost", "Stamps", "A method that costs as much as so many others; may be given again.",
           _cost, (), Kind.LIST, placeholder="method=number"),
    _number("rate", "Stamps", 1, 1 << 20, 20, "number",
            "Cost a second from one address beyond which its price rises."),
    _number("totalrate", "Stamps", 1, 1 << 30, 2000, "number",
            "Cost a second from all beyond which every price rises."),
    _text("service", "Stamps", "name", "The name that stamps are bound to.", parse=_service,
          default_text="<host name>/<port>"),
    _number("window", "Stamps", 10, 86_400, 120, "seconds", "How long a stamp is good."),
    _number("memory", "Stamps", 100, 1 << 30, 200_000, "number",
            "Spent stamps remembered, at 100 bytes each."),
    Option("allow", "Limits", "Addresses and networks that may connect; without it all may.",
           str, (), Kind.LIST, placeholder="address"),
    _number("unpaidtimeout", "Limits", 1, 1 << 30, 60, "seconds",
            "Close a connection that has not paid for any request after so long."),
)  # fmt: skip

_MINT = (
    _number("bits", "Stamps", 0, MAX_MINT_BITS, 20, "bits", "Zero bits."),
    _text("ext", "Stamps", "text", "What to write into the extension field.", ""),
    _text("datewidth", "Stamps", "digits", "6 for days, 10 for minutes, 12 for seconds.", "6",
          choice_of("6", "10", "12")),
    _ENGINE,
    _THREADS,
)  # fmt: skip

_CHECK = (
    _number("bits", "Stamps", 0, 160, 20, "bits", "Zero bits that a stamp must claim and have."),
    _text("resource", "Stamps", "name", "What it must be for; upper and lower case are the same.",
          default_text="anything"),
    _number("period", "Stamps", 0, 1 << 40, DEFAULT_PERIOD, "seconds", "How long it is good."),
    _number("grace", "Stamps", 0, 1 << 40, DEFAULT_GRACE, "seconds",
            "By how much clocks may differ."),
    _text("spent", "Stamps", "file", "Take no stamp that is in this file, and add those taken.",
          parse=_path),
)  # fmt: skip


def _commands() -> tuple[Command, ...]:
    return (
        Command("client", "Stamp a client's requests on their way to a gate.", _client, _CLIENT),
        Command("server", "Let stamped requests through to a server.", _server, _SERVER),
        Command("mint", "Mint hashcash stamps of version 1.", _mint, _MINT, "<resource>…", 1, None),
        Command(
            "check",
            "Check hashcash stamps of version 1, from the arguments or from standard input.",
            _check,
            _CHECK,
            "[<stamp>…]",
            0,
            None,
        ),
    )
