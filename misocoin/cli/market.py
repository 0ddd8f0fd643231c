"""The command `market`: serve a market for computing power, and check its books.

misocoin market serve         the market, on localhost:8080
misocoin market articles      the registry of what is traded, to be edited
"""

import logging
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from misocoin.cli.command import Command, run_group
from misocoin.cli.logs import set_up_logging
from misocoin.errors import ConfigError, StoreError
from misocoin.market.articles import DEFAULT_ARTICLES, articles_from_text
from misocoin.market.book import Rules
from misocoin.market.relay import RelayLimits
from misocoin.market.server import DEFAULT_PORT, MarketServer, Settings
from misocoin.options import Kind, Option, choice_of, flag_from_text, integer_between

log = logging.getLogger(__name__)


def main(arguments: Sequence[str]) -> int:
    """Run one command; returns its exit code."""
    return run_group("misocoin market", _COMMANDS, arguments)


def _serve(values: Mapping[str, Any], _words: tuple[str, ...]) -> int:
    set_up_logging(values["loglevel"], values["logjson"])
    stopping = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopping.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    server = MarketServer(_settings(values))
    try:
        server.start()
        host, port = server.address
        log.info("listening on http://%s:%d", f"[{host}]" if ":" in host else host, port)
        stopping.wait()
        log.info("stopping")
    finally:
        server.stop()
    log.info("stopped")
    return 0


def _settings(values: Mapping[str, Any]) -> Settings:
    rules = Rules(
        articles=articles_from_text(_articles_text(values["articles"])),
        prefixes=frozenset({"miso", "bcrt"}),
        trusted_account=values["trusted"],
        any_worker_host=values["anyworkerhost"],
    )
    return Settings(
        host=values["host"],
        port=values["port"],
        store=store_of(values),
        rules=rules,
        motd=values["motd"],
        relay=RelayLimits(values["maxparcel"] << 20, values["relaysize"] << 20),
        changes_per_second=values["rate"],
        proxied=values["proxied"],
    )


def _articles_text(name: str) -> str:
    if not name:
        return DEFAULT_ARTICLES
    try:
        return Path(name).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise ConfigError(f"-articles={name}: {why}") from None


def store_of(values: Mapping[str, Any]) -> str | Path:
    """Where the book is; makes the folder of a file."""
    if values["store"]:
        return "" if values["store"] == ":memory:" else str(values["store"])
    folder = Path(values["datadir"] or Path.home() / ".misocoin" / f"market-{values['port']}")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"the data folder {folder} cannot be used: {error.strerror}") from None
    return folder / "market.sqlite"


def _articles(_values: Mapping[str, Any], _words: tuple[str, ...]) -> int:
    sys.stdout.write(DEFAULT_ARTICLES)
    return 0


_STORE_OPTIONS = (
    Option("datadir", "Book", "folder of the book", default="", placeholder="folder",
           default_text="~/.misocoin/market-<port>"),
    Option("store", "Book", "postgresql://... for several servers on one book, or a file, or "
           ":memory:", default="", placeholder="where", secret=True,
           default_text="market.sqlite in the data folder"),
    Option("port", "Server", "TCP port", integer_between(0, 65535), DEFAULT_PORT,
           placeholder="port"),
)  # fmt: skip

_SERVER_OPTIONS = (
    *_STORE_OPTIONS,
    Option("host", "Server", "address to listen on", default="localhost", placeholder="host"),
    Option("motd", "Server", "message of the day", default="", placeholder="text"),
    Option("rate", "Server", "changes a second that one address of another machine may ask for; "
           "0: any number", integer_between(0, 1_000_000), 20, placeholder="n"),
    Option("proxied", "Server", "believe X-Forwarded-For: a proxy of yours stands before it",
           flag_from_text, False, Kind.FLAG),
    Option("anyworkerhost", "Server", "let sellers name another host than their own as workerurl",
           flag_from_text, False, Kind.FLAG),
    Option("articles", "Market", "registry of what is traded (`market articles` prints one)",
           default="", placeholder="file", default_text="BitWrk's articles and Misocoin's"),
    Option("trusted", "Market", "address that vouches for sellers of ~trusted articles and books "
           "deposits", default="", placeholder="address", default_text="nobody"),
    Option("maxparcel", "Relay", "MiB of one parcel", integer_between(1, 32), 16,
           placeholder="n"),
    Option("relaysize", "Relay", "MiB of all parcels that wait", integer_between(1, 1 << 20), 256,
           placeholder="n"),
    Option("loglevel", "Log", "debug, info, warning or error",
           choice_of("debug", "info", "warning", "error"), "info", placeholder="level"),
    Option("logjson", "Log", "one JSON object a line", flag_from_text, False, Kind.FLAG),
)  # fmt: skip

_COMMANDS = (
    Command("serve", "Serve a market for computing power.", _serve, _SERVER_OPTIONS),
    Command("articles", "Print the registry of articles, to be edited.", _articles),
)
