"""The command `work`: serve proof of work, mine for a service, ask one.

misocoin work serve                       the service, on localhost:7040
misocoin work mine localhost:7040         lends it this machine's hashing
misocoin work do -target=N -hash=BASE64   asks it for a Bitmessage proof of work
misocoin work stats                       how it is
misocoin work buy -price='mMISO 1'        buys on the market what its miners do not get to
"""

import json
import logging
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from misocoin.cli.command import Command, UsageError, run_group
from misocoin.cli.logs import set_up_logging
from misocoin.cli.signals import stop_signals
from misocoin.errors import ConfigError, ParseError
from misocoin.options import Kind, Option, choice_of, flag_from_text, integer_between
from misocoin.pow.engines import ENGINE_NAMES, missing_native_notice, select_engine
from misocoin.pow.slices import MAX_THREADS
from misocoin.work.client import WorkClient, fetch_stats
from misocoin.work.errors import WorkAway
from misocoin.work.framing import object_from_bytes
from misocoin.work.jobs import answer_fields, puzzle_from_fields
from misocoin.work.line import Endpoint, FramedLine
from misocoin.work.miner import Miner
from misocoin.work.requests import DEFAULT_PORT

log = logging.getLogger(__name__)


def main(arguments: Sequence[str]) -> int:
    """Run one command; returns its exit code."""
    return run_group("misocoin work", _commands(), arguments)


# -- mine, do, stats --------------------------------------------------------------------------


def _mine(values: Mapping[str, Any], words: tuple[str, ...]) -> int:
    set_up_logging(values["loglevel"], values["logjson"])
    engine = select_engine(values["engine"])
    notice = missing_native_notice()
    if notice is not None:
        print(notice, file=sys.stderr)
    miner = Miner(_endpoint(values, words), engine, values["threads"])
    with stop_signals(miner.close):
        try:
            miner.run()
        finally:
            miner.close()
    return 0


def _do(values: Mapping[str, Any], words: tuple[str, ...]) -> int:
    try:
        if values["puzzle"] is not None:
            puzzle = puzzle_from_fields(object_from_bytes(values["puzzle"].encode()))
        elif values["target"] is None or values["hash"] is None:
            raise UsageError("name -target and -hash, or -puzzle")
        else:
            fields = {"target": values["target"], "initialHash": values["hash"]}
            puzzle = puzzle_from_fields(fields)
    except ParseError as error:
        raise UsageError(str(error)) from None
    endpoint = _endpoint(values, words)
    client = WorkClient(
        endpoint.host,
        endpoint.port,
        token=endpoint.token,
        tls=endpoint.tls,
        seconds=values["timeout"] or None,
        fallback=values["fallback"],
        threads=values["threads"],
        engine=values["engine"],
        away=_tell_of_fallback,
    )
    print(json.dumps(answer_fields(puzzle, client.solve(puzzle))))
    return 0


def _tell_of_fallback(why: WorkAway) -> None:
    print(f"misocoin work: {why}; searching on this machine instead", file=sys.stderr)


def _stats(values: Mapping[str, Any], words: tuple[str, ...]) -> int:
    print(json.dumps(fetch_stats(_endpoint(values, words)), indent=2))
    return 0


def _buy(values: Mapping[str, Any], words: tuple[str, ...]) -> int:
    # Only this command knows the market.
    from misocoin.cli.work_buying import ROUND_SECONDS, Buyer, MarketShop
    from misocoin.market.money import money_from_text

    set_up_logging(values["loglevel"], values["logjson"])
    if values["price"] is None:
        raise UsageError("say what a job may cost at most: -price='mMISO 1'")
    price = money_from_text(values["price"])
    if price.amount < 0:
        raise UsageError("-price must not be negative")
    client = values["client"].removeprefix("http://").rstrip("/")
    endpoint = _endpoint(values, words)
    shop = MarketShop(f"http://{client}", price)
    buyer = Buyer(lambda: FramedLine(endpoint), shop, values["after"], values["atonce"])
    stopping = threading.Event()
    with stop_signals(stopping.set):
        log.info("buying for %s by way of %s", endpoint, client)
        try:
            while not stopping.wait(ROUND_SECONDS):
                buyer.step()
        finally:
            buyer.close()
            shop.close()
    return 0


def _endpoint(values: Mapping[str, Any], words: tuple[str, ...]) -> Endpoint:
    host, port = _place_from_text(words[0]) if words else (values["host"], values["port"])
    return Endpoint(host, port, values["token"], _client_tls(values))


def _place_from_text(text: str) -> tuple[str, int]:
    """Read `host:port`, `[address]:port` or `host`; raises UsageError."""
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, port = text, str(DEFAULT_PORT)
    host = host.removeprefix("[").removesuffix("]")
    if (
        not host
        or not port.isascii()
        or not port.isdecimal()
        or len(port) > 5
        or not 0 < int(port) < 65536
    ):
        raise UsageError(f"write host:port, not {text[:60]!r}")
    return host, int(port)


def _client_tls(values: Mapping[str, Any]) -> Any:
    if not values["tls"] and not values["tlsca"]:
        return None
    import ssl

    try:
        return ssl.create_default_context(cafile=values["tlsca"] or None)
    except OSError as error:
        raise ConfigError(f"-tlsca={values['tlsca']}: {error.strerror or error}") from None


def _serve(values: Mapping[str, Any], _words: tuple[str, ...]) -> int:
    # Who only asks need not load a server.
    from misocoin.cli.work_server import serve

    set_up_logging(values["loglevel"], values["logjson"])
    return serve(values)


# -- options ----------------------------------------------------------------------------------


def _number(name: str, group: str, high: int, default: int, help: str, low: int = 1) -> Option:
    return Option(name, group, help, integer_between(low, high), default, placeholder="number")


def _text(name: str, group: str, placeholder: str, help: str, default: str | None = "") -> Option:
    return Option(
        name, group, help, str, default, placeholder=placeholder,
        secret=name in {"token", "store"},
    )  # fmt: skip


def _flag(name: str, group: str, help: str, default: bool = False) -> Option:
    text = "1" if default else "0"
    return Option(name, group, help, flag_from_text, default, Kind.FLAG, default_text=text)


def _secrets(name: str, help: str) -> Option:
    return Option(name, "Access", help, str, (), Kind.LIST, placeholder="secret", secret=True)


_HOST = _text("host", "Service", "host", "Address of the service.", "localhost")
_PORT = _number("port", "Service", 65535, DEFAULT_PORT, "Port of the service.")
_MESSAGES = (
    Option(
        "loglevel", "Messages", "What is printed: debug, info, warning or error.",
        choice_of("debug", "info", "warning", "error"), "info", placeholder="level",
    ),
    _flag("logjson", "Messages", "Print messages as JSON, one object per line."),
)  # fmt: skip
_REACH = (
    _HOST,
    _PORT,
    _text("token", "Service", "secret", "Token that the service asks for."),
    _flag("tls", "Service", "Speak TLS with the service."),
    _text("tlsca", "Service", "file", "Certificates to trust, PEM; implies -tls."),
)
_SEARCH = (
    _number("threads", "Search", MAX_THREADS, 1, "How many threads search."),
    Option(
        "engine", "Search", f"How it is searched: {', '.join(ENGINE_NAMES)}.",
        choice_of(*ENGINE_NAMES), "auto", placeholder="name",
    ),
)  # fmt: skip
_PUZZLE = (
    Option(
        "target", "Puzzle", "Largest trial value that wins.", integer_between(0, 1 << 65), None,
        placeholder="number",
    ),
    _text("hash", "Puzzle", "base64", "Initial hash, 64 bytes.", None),
    _text("puzzle", "Puzzle", "json", "Any puzzle, as in the protocol's do_pow.", None),
    _number("timeout", "Puzzle", 604800, 0, "Seconds to wait at most; 0 for any time.", 0),
    _flag("fallback", "Puzzle", "Search here while the service is away.", True),
)  # fmt: skip

_BUY = (
    _text("client", "Market", "host:port", "The market's client.", "localhost:8081"),
    _text("price", "Market", "amount", "What a job may cost at most, like 'mMISO 1'.", None),
    _number("after", "Market", 86_400, 10, "Seconds that a job waits before it is bought.", 0),
    _number("atonce", "Market", 128, 4, "Purchases that may be open."),
)


def _serve_options() -> tuple[Option, ...]:
    limits, access = "Limits", "Access"
    return (
        _text("host", "Service", "host", "Address to listen on.", "localhost"),
        _number("port", "Service", 65535, DEFAULT_PORT, "Port to listen on.", 0),
        _text(
            "store",
            "Service",
            "where",
            "Keep the queue in this SQLite file, or in postgresql://user@host/database, which "
            "several servers may share. Without it the queue is in memory.",
        ),
        _text("tlscert", access, "file", "Certificate chain, PEM: speak TLS."),
        _text("tlskey", access, "file", "Its key, PEM, if it is not in the same file."),
        _secrets("token", "Token for clients; several with commas. Without any, all may ask."),
        _secrets("minertoken", "Token for miners, likewise."),
        _number(
            "stamp",
            access,
            28,
            0,
            "Bits of the hashcash stamp that clients without a token attach to each job; 0: none.",
            0,
        ),
        _text("stampname", access, "name", "What stamps are made out to.", "misocoin-work"),
        _number("maxconn", limits, 1_000_000, 10_000, "Connections in all."),
        _number("maxconnperip", limits, 1_000_000, 500, "Connections from one address."),
        _number("maxjobs", limits, 10_000_000, 10_000, "Open jobs in all."),
        _number("maxjobsperclient", limits, 10_000_000, 1_000, "Open jobs of one client."),
        _number("maxbits", limits, 64, 44, "Hardest job: two to this power of expected hashes."),
        _number("deadline", limits, 604800, 3600, "Seconds for jobs that do not say."),
        _number("opentimeout", limits, 600, 10, "Seconds from a connection to its first message."),
        _number("banscore", limits, 1000, 3, "Wrong results until a miner is banned."),
        _number("bantime", limits, 31_536_000, 3600, "Seconds that a ban lasts."),
        _number("watchport", "Watching", 65535, 0, "Port of status page and /metrics; 0: none.", 0),
        _text("watchhost", "Watching", "host", "Address for them to listen on.", "localhost"),
        *_MESSAGES,
    )


def _commands() -> tuple[Command, ...]:
    return (
        Command("serve", "Serve proof of work.", _serve, _serve_options()),
        Command(
            "mine",
            "Lend this machine's hashing to a service.",
            _mine,
            (*_REACH, *_SEARCH, *_MESSAGES),
            "[host:port]",
            most=1,
        ),
        Command(
            "do",
            "Have a puzzle solved; prints the answer as JSON.",
            _do,
            (*_PUZZLE, *_REACH, *_SEARCH),
            "[host:port]",
            most=1,
        ),
        Command("stats", "Print how a service is.", _stats, _REACH, "[host:port]", most=1),
        Command(
            "buy",
            "Buy on the market what a service's miners do not get to.",
            _buy,
            (*_BUY, *_REACH, *_MESSAGES),
            "[host:port]",
            most=1,
        ),
    )
