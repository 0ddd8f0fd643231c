"""The command `market`: serve a market for computing power, and check its books.

misocoin market serve         the market, on localhost:8080
misocoin market client        buy and sell there, on localhost:8081
misocoin market worker        do work for a client of the market
misocoin market articles      the registry of what is traded, to be edited
"""

import logging
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from misocoin.cli.command import Command, run_group
from misocoin.cli.logs import set_up_logging
from misocoin.cli.market_client import CLIENT_COMMANDS, articles_from_option
from misocoin.cli.signals import stop_signals
from misocoin.errors import ConfigError, StoreError
from misocoin.market.articles import DEFAULT_ARTICLES, articles_from_text
from misocoin.market.audit import Audit, audit
from misocoin.market.bank import Bank
from misocoin.market.book import Book, Rules
from misocoin.market.database import Database
from misocoin.market.documents import check_participant
from misocoin.market.errors import Malformed
from misocoin.market.money import Currency, Money, money_from_text, text_from_money
from misocoin.market.relay import RelayLimits
from misocoin.market.server import DEFAULT_PORT, MarketServer, NodeSettings, Settings, now
from misocoin.market.watch import Watch
from misocoin.options import Kind, Option, choice_of, flag_from_text, integer_between

log = logging.getLogger(__name__)


def main(arguments: Sequence[str]) -> int:
    """Run one command; returns its exit code."""
    return run_group("misocoin market", _COMMANDS, arguments)


def _serve(values: Mapping[str, Any], _words: tuple[str, ...]) -> int:
    set_up_logging(values["loglevel"], values["logjson"])
    stopping = threading.Event()
    server = MarketServer(_settings(values))
    with stop_signals(stopping.set):
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
    prefixes = frozenset({"miso", "bcrt"})
    if values["trusted"]:
        try:
            check_participant(values["trusted"], prefixes)
        except Malformed as error:
            raise ConfigError(f"-trusted: {error}") from None
    rules = Rules(
        articles=articles_from_option(values["articles"]) or articles_from_text(DEFAULT_ARTICLES),
        prefixes=prefixes,
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
        node=node_of(values),
    )


def node_of(values: Mapping[str, Any]) -> NodeSettings | None:
    """The node that is named, if one is."""
    if not values["node"]:
        return None
    url = values["node"] if "://" in values["node"] else f"http://{values['node']}"
    credentials = None
    if values["nodeuser"] or values["nodepassword"]:
        credentials = (values["nodeuser"], values["nodepassword"])
    elif not values["nodecookie"]:
        raise ConfigError("-node needs -nodecookie, or -nodeuser and -nodepassword")
    return NodeSettings(
        url,
        credentials,
        Path(values["nodecookie"]) if values["nodecookie"] else None,
        values.get("confirmations", 1),
        values.get("feerate", 0),
    )


def _audit(values: Mapping[str, Any], _words: tuple[str, ...]) -> int:
    settings = node_of(values)
    database = Database(_book_of(values))
    node = None if settings is None else settings.connect()
    try:
        found = audit(database, node)
    finally:
        database.close()
        if node is not None:
            node.close()
    for line in _report(found):
        print(line)
    for fault in found.faults:
        print(f"misocoin market: {fault}", file=sys.stderr)
    return 0 if found.is_right else 1


def _collect(values: Mapping[str, Any], words: tuple[str, ...]) -> int:
    address, asked = words
    settings = node_of(values)
    if settings is None:
        raise ConfigError("write -node=<host:port>: the node whose wallet pays the fees out")
    amount = money_from_text(asked)
    if amount.currency is not Currency.COIN:
        raise ConfigError(f"fees are paid in coins, as in 'MISO 1.5', not {asked[:40]!r}")
    database, node = Database(_book_of(values)), settings.connect()
    try:
        node.script_of(address)
        watch, rules = Watch(), Rules()
        book = Book(database, rules, now, watch)
        key = Bank(database, book, rules, now).collect_fees(address, amount.amount)
    finally:
        database.close()
        node.close()
    print(f"{key} will be paid by the server with its next batch")
    return 0


def _book_of(values: Mapping[str, Any]) -> str | Path:
    """Where the book is, which must be there already."""
    where = store_of(values)
    if not str(where) or (isinstance(where, Path) and not where.is_file()):
        raise ConfigError(f"there is no book at {where or ':memory:'} (-store, -port)")
    return where


def _report(found: Audit) -> Iterator[str]:
    yield f"{found.movements} ledger entries, {found.accounts} accounts"
    for currency, totals in sorted(found.totals.items(), key=lambda item: item[0].value):
        parts = (
            f"{name} {text_from_money(Money(amount, currency))}"
            for name, amount in totals._asdict().items()
        )
        yield f"{currency.value}: {', '.join(parts)}"
    asked = "no node was asked" if found.on_chain is None else f"{found.on_chain} on the chain"
    yield f"coins held: {text_from_money(Money(found.coins))} ({asked})"
    yield "the books are right" if found.is_right else f"{len(found.faults)} faults"


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

_NODE_OPTIONS = (
    Option("node", "Coins", "address of the node whose wallet takes and pays coins",
           default="", placeholder="host:port", default_text="a market without coins"),
    Option("nodecookie", "Coins", "the node's cookie file", default="", placeholder="file"),
    Option("nodeuser", "Coins", "name for the node, instead of a cookie", default="",
           placeholder="name"),
    Option("nodepassword", "Coins", "password for the node", default="", placeholder="password",
           secret=True),
)  # fmt: skip

_SERVER_OPTIONS = (
    *_STORE_OPTIONS,
    *_NODE_OPTIONS,
    Option("confirmations", "Coins", "blocks after which a deposit is credited",
           integer_between(1, 1000), 6, placeholder="n"),
    Option("feerate", "Coins", "base units per 1,000 virtual bytes that payments offer",
           integer_between(0, 100_000_000), 0, placeholder="n",
           default_text="what the node asks for"),
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
    Command(
        "audit",
        "Prove that the books are right, and hold the coins that they owe.",
        _audit,
        (*_STORE_OPTIONS, *_NODE_OPTIONS),
    ),
    Command(
        "collect",
        "Have the market's earnings paid to an address: an amount such as 'MISO 1.5'.",
        _collect,
        (*_STORE_OPTIONS, *_NODE_OPTIONS),
        "<address> <amount>",
        2,
        2,
    ),
    *CLIENT_COMMANDS,
    Command("articles", "Print the registry of articles, to be edited.", _articles),
)
