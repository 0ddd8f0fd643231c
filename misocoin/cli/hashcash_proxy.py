"""`hashcash client` and `hashcash server`: put a gate together and run it until a signal."""

import asyncio
import ipaddress
import logging
import secrets
import signal
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from misocoin.errors import ConfigError
from misocoin.hashcash.client_gate import ClientGate, Counterpart, Terms
from misocoin.hashcash.gate import Bounds, Gate, Tally, Version
from misocoin.hashcash.metrics import metrics_application, metrics_text
from misocoin.hashcash.original import DEFAULT_BITS
from misocoin.hashcash.price import Tariff
from misocoin.hashcash.proxy import Minter, Proxy
from misocoin.hashcash.server_gate import ServerGate
from misocoin.hashcash.session import Address, Limits
from misocoin.hashcash.toll import Toll
from misocoin.http.server import HttpServer
from misocoin.pow.engines import select_engine
from misocoin.work.server import raise_file_limit

log = logging.getLogger(__name__)

Gauges = Mapping[str, tuple[float, str]]


def client_proxy(values: Mapping[str, Any]) -> int:
    """Run the gate beside a client; returns the exit code."""
    terms = Terms(
        Version(values["version"]),
        values["bits"],
        values["maxbits"],
        float(values["greeting"]),
        values["service"],
    )
    counterpart, tally, bounds = Counterpart(), Tally(), Bounds(line=values["maxline"])

    def make_gate(_account: str) -> Gate:
        return ClientGate(tally, terms, counterpart, bounds)

    minter = Minter(select_engine(values["engine"]), values["threads"])
    try:
        asyncio.run(_run(values, make_gate, tally, minter, None, lambda: {}))
    finally:
        minter.close()
    return 0


def server_proxy(values: Mapping[str, Any]) -> int:
    """Run the gate before a server; returns the exit code."""
    bits = values["bits"]
    tariff = Tariff(
        quiet_bits=bits,
        pressed_bits=values["pressedbits"] or bits or DEFAULT_BITS,
        max_bits=max(bits, values["maxbits"]),
        address_rate=float(values["rate"]),
        total_rate=float(values["totalrate"]),
        costs=MappingProxyType(dict(values["cost"])),
    )
    service = values["service"] or f"{socket.gethostname()}/{values['listen_port']}"
    toll = Toll(service, secrets.token_bytes(32), tariff, values["window"], values["memory"])
    tally, bounds = Tally(), Bounds(line=values["maxline"])
    version = Version(values["version"])

    def make_gate(account: str) -> Gate:
        return ServerGate(toll, account, tally, version, bits, bounds)

    def gauges() -> Gauges:
        return {"spent_stamps": (toll.remembered, "Spent stamps in memory.")}

    asyncio.run(_run(values, make_gate, tally, None, _allowance(values["allow"]), gauges))
    return 0


async def _run(
    values: Mapping[str, Any],
    make_gate: Callable[[str], Gate],
    tally: Tally,
    minter: Minter | None,
    is_allowed: Callable[[str], bool] | None,
    gauges: Callable[[], Gauges],
) -> None:
    limits = Limits(
        connections=values["maxconn"],
        connections_per_address=values["maxconnperip"],
        buffered=values["maxbuffered"] * 1_000_000,
        unpaid_seconds=float(values.get("unpaidtimeout", 0)),
        idle_seconds=float(values["idletimeout"]),
    )
    files = raise_file_limit(2 * limits.connections)
    if files < 2 * limits.connections:
        log.warning("the system allows for about %d connections (ulimit -n)", files // 2)
    target = _target(values)
    proxy = Proxy(_listen(values), target, make_gate, tally, minter, limits, is_allowed)

    def text() -> str:
        mine = {"open_connections": (proxy.connections, "Connections that are open.")}
        return metrics_text(tally, {**mine, **gauges()})

    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stopping.set)
    await proxy.start()
    metrics = _metrics_server(values["metricsport"], text)
    try:
        log.info("listening on port %d for %s", proxy.port, target)
        await stopping.wait()
    finally:
        await proxy.close()
        if metrics is not None:
            metrics.stop()
    log.info("stopped; %d requests went through", tally["requests"])


def _metrics_server(port: int, text: Callable[[], str]) -> HttpServer | None:
    if not port:
        return None
    server = HttpServer("localhost", port, metrics_application(text))
    server.listen()
    server.start()
    return server


def _listen(values: Mapping[str, Any]) -> Address:
    host = values["listen_host"] or ("::1" if values["listen_ipv6"] else "127.0.0.1")
    family = socket.AF_INET6 if values["listen_ipv6"] else 0
    return Address(host, values["listen_port"], _own_tls(values), family)


def _target(values: Mapping[str, Any]) -> Address:
    family = socket.AF_INET6 if values["target_ipv6"] else 0
    return Address(values["target_host"], values["target_port"], _target_tls(values), family)


def _own_tls(values: Mapping[str, Any]) -> ssl.SSLContext | None:
    if values["tlscert"] is None:
        if values["tlskey"] is not None:
            raise ConfigError("-tlskey needs -tlscert")
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(values["tlscert"], values["tlskey"])
    except OSError as error:  # ssl.SSLError is one, too
        why = error.strerror or "not a certificate and its key in PEM"
        raise ConfigError(f"-tlscert={values['tlscert']}: {why}") from None
    return context


def _target_tls(values: Mapping[str, Any]) -> ssl.SSLContext | None:
    if not (values["target_ssl"] or values["target_ca"] or values["target_noverify"]):
        return None
    try:
        context = ssl.create_default_context(cafile=values["target_ca"])
    except OSError as error:
        why = error.strerror or "not a certificate in PEM"
        raise ConfigError(f"-target_ca={values['target_ca']}: {why}") from None
    if values["target_ca"] is not None:
        # The very certificate is given: which name it bears does not matter.
        context.check_hostname = False
    if values["target_noverify"]:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _allowance(allowed: Sequence[str]) -> Callable[[str], bool] | None:
    """Make the function that says which addresses may connect; raises ConfigError."""
    if not allowed:
        return None
    try:
        networks = tuple(ipaddress.ip_network(text, strict=False) for text in allowed)
    except ValueError as error:
        raise ConfigError(f"-allow: {error}") from None

    def is_allowed(address: str) -> bool:
        try:
            numeric = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return False
        mapped = numeric.ipv4_mapped if isinstance(numeric, ipaddress.IPv6Address) else None
        return any((mapped or numeric) in network for network in networks)

    return is_allowed
