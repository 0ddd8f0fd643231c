"""The commands of the market's other side: `client` and `worker`."""

import logging
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from misocoin.cli.command import Command, UsageError
from misocoin.cli.logs import set_up_logging
from misocoin.cli.signals import stop_signals
from misocoin.errors import ConfigError
from misocoin.market.articles import ArticleRegistry, articles_from_text
from misocoin.options import Kind, Option, choice_of, flag_from_text, integer_between
from misocoin.pow.slices import MAX_THREADS

log = logging.getLogger(__name__)

_VERSIONS = {"1": 1, "2": 2, "both": 3}


def _url(text: str) -> str:
    url = text if "://" in text else f"http://{text}"
    if not url.startswith("http://"):
        raise ConfigError("the address must begin with http://; put a proxy before it for more")
    return url.rstrip("/")


def articles_from_option(name: str) -> ArticleRegistry | None:
    """Read the registry in a file; None where none is named. Raises ConfigError."""
    if not name:
        return None
    try:
        return articles_from_text(Path(name).read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise ConfigError(f"-articles={name}: {why}") from None


def _client(values: Mapping[str, Any], _words: tuple[str, ...]) -> int:
    # The service is imported late: other commands of the group do without it.
    from misocoin.http.errors import HttpError
    from misocoin.market.bids import Versions
    from misocoin.market.client.client import FOLDER, MarketClient, Settings
    from misocoin.market.client.lots import Rules
    from misocoin.market.client.workers import SellRules
    from misocoin.market.errors import MarketError
    from misocoin.market.money import money_from_text

    set_up_logging(values["loglevel"], values["logjson"])
    versions = Versions(_VERSIONS[values["trades"]])
    bond = money_from_text(values["bond"]).amount
    if bond < 0:
        raise ConfigError("-bond must not be negative")
    ext_port = values["extport"]
    if versions is Versions.OLD and ext_port < 0:
        log.info("without -extport nothing can be sold by version 1")
    settings = Settings(
        market=_url(values["market"]),
        folder=Path(values["datadir"]) if values["datadir"] else Path.home() / FOLDER,
        host=values["host"],
        port=values["port"],
        store_size=values["storesize"] << 20,
        buying=Rules(versions, bond, values["atonce"], values["patience"], values["silence"]),
        selling=SellRules(versions, bond, values["agree"]),
        articles=articles_from_option(values["articles"]),
        ext_port=None if ext_port < 0 else ext_port,
        ext_address=values["extaddr"],
    )
    client = MarketClient(settings)
    stopping = threading.Event()
    with stop_signals(stopping.set):
        try:
            client.start()
            host, port = client.address
            log.info("participant %s of %s", client.identity.address, settings.market)
            log.info("listening on http://%s:%d", f"[{host}]" if ":" in host else host, port)
            try:
                client.calls.info()
            except (HttpError, MarketError) as error:
                log.warning("the market: %s; it will be asked again when it is needed", error)
            stopping.wait()
            log.info("stopping")
        finally:
            client.stop()
    log.info("stopped")
    return 0


def _worker(values: Mapping[str, Any], words: tuple[str, ...]) -> int:
    from misocoin.market.workers.service import WorkerService
    from misocoin.pow.engines import select_engine

    set_up_logging(values["loglevel"], values["logjson"])
    doers: dict[str, Callable[[], Any]] = {}

    def of_engine(name: str) -> Callable[[], Any]:
        def make() -> Any:
            from misocoin.market.workers.pow import PowWorker

            return PowWorker(name, select_engine(values["engine"]), values["threads"])

        return make

    def sandbox() -> Any:
        from misocoin.market.workers.sandbox import Sandbox

        return Sandbox(values["memory"] << 20, values["seconds"])

    doers |= {name: of_engine(name) for name in ("bitmessage", "hashcash")}
    doers["wasm"] = sandbox
    unknown = next((word for word in words if word not in doers), None)
    if unknown is not None:
        raise UsageError(f"no worker {unknown[:40]!r}: there are {', '.join(doers)}")
    stopping = threading.Event()
    services = []
    with stop_signals(stopping.set):
        try:
            for word in dict.fromkeys(words):
                service = WorkerService(doers[word](), _url(values["client"]), values["id"])
                services.append(service)
                service.start()
                log.info("working on %s for %s", service.article, values["client"])
            stopping.wait()
            log.info("stopping")
        finally:
            for service in services:
                service.stop()
    log.info("stopped")
    return 0


_LOG = (
    Option("loglevel", "Log", "debug, info, warning or error",
           choice_of("debug", "info", "warning", "error"), "info", placeholder="level"),
    Option("logjson", "Log", "one JSON object a line", flag_from_text, False, Kind.FLAG),
)  # fmt: skip

_CLIENT_OPTIONS = (
    Option("market", "Market", "address of the server", default="localhost:8080",
           placeholder="host:port"),
    Option("datadir", "Client", "folder of key, journal and files", default="",
           placeholder="folder", default_text="~/.misocoin-market"),
    Option("host", "Client", "address to listen on for programs and workers", default="localhost",
           placeholder="host"),
    Option("port", "Client", "TCP port", integer_between(0, 65535), 8081, placeholder="port"),
    Option("storesize", "Client", "MiB of works and results on disk", integer_between(1, 1 << 20),
           1024, placeholder="n"),
    Option("trades", "Trading", "1: BitWrk's, 2: sealed and with bonds, both: 2 where it can be",
           choice_of(*_VERSIONS), "both", placeholder="version"),
    Option("bond", "Trading", "what a liar loses in version 2: put up as buyer and asked of "
           "sellers; as seller the most that is put up", default="MISO 0", placeholder="amount"),
    Option("atonce", "Buying", "purchases in sellers' hands at the same time",
           integer_between(1, 128), 16, placeholder="n"),
    Option("patience", "Buying", "seconds after which a purchase is given up",
           integer_between(1, 7 * 86_400), 3600, placeholder="n"),
    Option("silence", "Buying", "seconds without a sign of life after which a seller behind the "
           "relay is given up", integer_between(5, 3600), 20, placeholder="n"),
    Option("articles", "Buying", "which results are checked, and how: a file like that of the "
           "market's operator", default="", placeholder="file", default_text="as the market says"),
    Option("agree", "Selling", "sellers that may outvote us at least; 0: results are compared "
           "with nobody's", integer_between(0, 32), 2, placeholder="n"),
    Option("extport", "Selling", "TCP port that buyers reach, 0 for a free one; without it sales "
           "go through the market's relay", integer_between(-1, 65535), -1, placeholder="port",
           default_text="none"),
    Option("extaddr", "Selling", "our address as buyers see it", default="auto",
           placeholder="host", default_text="as the market sees it"),
    *_LOG,
)  # fmt: skip

_WORKER_OPTIONS = (
    Option("client", "Worker", "the client that brings work", default="localhost:8081",
           placeholder="host:port"),
    Option("id", "Worker", "name at the client", default="", placeholder="name",
           default_text="made of article and process"),
    Option("engine", "Proof of work", "how to search", default="auto", placeholder="name"),
    Option("threads", "Proof of work", "threads of a search", integer_between(1, MAX_THREADS), 1,
           placeholder="n"),
    Option("memory", "WebAssembly", "MiB that a program may use", integer_between(1, 4096), 256,
           placeholder="n"),
    Option("seconds", "WebAssembly", "seconds that a program may run", integer_between(1, 3600),
           240, placeholder="n"),
    *_LOG,
)  # fmt: skip

CLIENT_COMMANDS = (
    Command("client", "Buy and sell computing power for programs of this machine.", _client,
            _CLIENT_OPTIONS),
    Command("worker", "Do work for a client: bitmessage, hashcash or wasm.", _worker,
            _WORKER_OPTIONS, "<kind> …", 1, None),
)  # fmt: skip
"""The commands, for the group of all."""
