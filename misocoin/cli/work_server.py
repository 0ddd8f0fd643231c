"""`work serve`: puts the service together and runs it until a signal."""

import asyncio
import logging
import signal
import ssl
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from secrets import token_hex
from typing import Any

from misocoin.errors import ConfigError
from misocoin.http.server import HttpServer
from misocoin.http.sockets import Limits as HttpLimits
from misocoin.work.admission import Limits, Tokens
from misocoin.work.keeper import Keeper
from misocoin.work.server import Place, WorkServer, raise_file_limit
from misocoin.work.service import Access, Service
from misocoin.work.stamps import Stamps
from misocoin.work.store import QueueStore
from misocoin.work.watch import watch_application

log = logging.getLogger(__name__)


def serve(values: Mapping[str, Any]) -> int:
    """Run the service; returns the exit code."""
    limits = Limits(
        connections=values["maxconn"],
        connections_per_address=values["maxconnperip"],
        jobs=values["maxjobs"],
        jobs_per_client=values["maxjobsperclient"],
        hashes=float(1 << values["maxbits"]),
        deadline=float(values["deadline"]),
        opening_seconds=float(values["opentimeout"]),
        faults=values["banscore"],
        ban_seconds=float(values["bantime"]),
    )
    bits = values["stamp"]
    stamps = Stamps(bits, values["stampname"], time.time) if bits else None
    access = Access(Tokens(values["token"]), Tokens(values["minertoken"]), stamps)
    place = Place(values["host"], values["port"], _tls(values))
    files = raise_file_limit(limits.connections)
    if files < limits.connections:
        log.warning("the system allows for about %d connections (ulimit -n)", files)
    store = QueueStore(values["store"], token_hex(16)) if values["store"] else None
    service = Service(limits, time.monotonic(), access, has_store=store is not None)
    watch = (values["watchhost"], values["watchport"])
    asyncio.run(_run(service, place, store, watch if watch[1] else None))
    return 0


async def _run(
    service: Service, place: Place, store: QueueStore | None, watch: tuple[str, int] | None
) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stopping.set)
    server = WorkServer(service, place)
    async with AsyncExitStack() as ends:
        if watch is not None:
            ends.callback(_watch(server, *watch).stop)
        if store is not None:
            keeper = Keeper(service, store, server.now, server.pump)
            server.perform = keeper.perform
            keeper.start()
            ends.push_async_callback(keeper.stop)
            log.info("the queue is kept in %s", store.name)
        host, port = await server.start()
        ends.push_async_callback(server.stop)
        secure = " (TLS)" if place.tls is not None else ""
        log.info("listening on %s:%d%s", f"[{host}]" if ":" in host else host, port, secure)
        await stopping.wait()
        log.info("stopping")
    log.info("stopped")


def _watch(server: WorkServer, host: str, port: int) -> HttpServer:
    application = watch_application(lambda: server.snapshot)
    page = HttpServer(host, port, application, HttpLimits(connections=100, workers=2, body=0))
    page.listen()
    page.start()
    log.info("watch it on http://%s:%d", *page.address)
    return page


def _tls(values: Mapping[str, Any]) -> ssl.SSLContext | None:
    if not values["tlscert"]:
        if values["tlskey"]:
            raise ConfigError("-tlskey needs -tlscert")
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(values["tlscert"], values["tlskey"] or None)
    except OSError as error:  # ssl.SSLError is one, too
        why = error.strerror or "not a certificate and its key in PEM"
        raise ConfigError(f"-tlscert={values['tlscert']}: {why}") from None
    return context
