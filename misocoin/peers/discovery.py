"""Finding nodes on the local network by zeroconf (mDNS, DNS-SD; RFC 6762 and 6763).

Every node with `-discover` is a service `_misocoin._tcp.local.` whose properties carry the chain,
its genesis and the node's height. Needs the package `zeroconf` (extra `discover`).
"""

import logging
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from misocoin.errors import ConfigError, ParseError
from misocoin.packages import package_missing
from misocoin.peers.messages import Address, address_from_parts

if TYPE_CHECKING:
    from zeroconf import ServiceInfo, ServiceStateChange, Zeroconf

log = logging.getLogger(__name__)

SERVICE = "_misocoin._tcp.local."
"""The type of service that nodes are."""

ASK_MILLISECONDS = 2000
"""How long a node found may take to tell where it listens."""

LOOPBACK = "127.0.0.1"

MAX_FOUND = 32
"""Nodes that a `Finder` keeps at most: anybody can show any number of them."""


class Discovery:
    """Shows this node on the local network and reports others there."""

    def __init__(
        self,
        chain: str,
        genesis_hex: str,
        port: int,
        name: str,
        found: Callable[[Address], None],
        *,
        is_local: bool,
    ) -> None:
        """`name` is this node's own, unlike any other's.

        `found` is called with the address of every other node of the chain. With `is_local` only
        nodes on this machine are sought and shown to, since only they could link.
        """
        self._chain = chain
        self._genesis_hex = genesis_hex
        self._port = port
        self._name = f"{name}.{SERVICE}"
        self._found = found
        self._is_local = is_local
        self._zeroconf: Zeroconf | None = None
        self._height = -1

    def start(self, height: int) -> None:
        """Show this node and look for others.

        Raises ConfigError where the package is missing or the network cannot be used.
        """
        try:
            import zeroconf
        except ImportError:
            raise package_missing("-discover", "zeroconf") from None
        choice: Any = [LOOPBACK] if self._is_local else zeroconf.InterfaceChoice.All
        try:
            self._zeroconf = zeroconf.Zeroconf(
                interfaces=choice, ip_version=zeroconf.IPVersion.V4Only
            )
            self._zeroconf.register_service(self._info(height))
        except (OSError, zeroconf.Error) as error:
            self.stop()
            raise ConfigError(f"-discover: the local network cannot be used: {error}") from error
        self._height = height
        zeroconf.ServiceBrowser(self._zeroconf, SERVICE, handlers=[self._changed])

    def _info(self, height: int) -> "ServiceInfo":
        from zeroconf import ServiceInfo

        return ServiceInfo(
            SERVICE,
            self._name,
            addresses=[socket.inet_aton(host) for host in self._own_hosts()],
            port=self._port,
            properties={
                "chain": self._chain,
                "genesis": self._genesis_hex,
                "height": str(height),
            },
            server=self._name,
        )

    def _own_hosts(self) -> list[str]:
        if self._is_local:
            return [LOOPBACK]
        import ifaddr  # what zeroconf itself looks with

        found = [ip.ip for adapter in ifaddr.get_adapters() for ip in adapter.ips if ip.is_IPv4]
        hosts = [host for host in found if isinstance(host, str) and host != LOOPBACK]
        return hosts or [LOOPBACK]

    def tell_height(self, height: int) -> None:
        """Show another height."""
        if self._zeroconf is not None and height != self._height:
            self._height = height
            self._zeroconf.update_service(self._info(height))

    def stop(self) -> None:
        """Say goodbye and stop looking."""
        zeroconf, self._zeroconf = self._zeroconf, None
        if zeroconf is not None:
            zeroconf.close()

    def _changed(
        self,
        zeroconf: "Zeroconf",
        service_type: str,
        name: str,
        state_change: "ServiceStateChange",
    ) -> None:
        """Take note of a node that has come; zeroconf calls this in a thread of its own.

        A link shows by itself when a node is gone.
        """
        if name == self._name or state_change.name != "Added":
            return
        info = zeroconf.get_service_info(service_type, name, ASK_MILLISECONDS)
        address = None if info is None else _address(info, self._genesis_hex)
        if address is not None:
            log.debug("discovered %s", address.text)
            self._found(address)


class Finder:
    """Looks for nodes on the local network without showing itself: for programs that only ask."""

    def __init__(self, genesis_hex: str) -> None:
        """Start to look for nodes of the chain with this genesis.

        Raises ConfigError where the package is missing or the network cannot be used.
        """
        self._genesis_hex = genesis_hex
        self._changes = threading.Condition()
        self._found: dict[str, Address] = {}
        try:
            import zeroconf
        except ImportError:
            raise package_missing("-discover", "zeroconf") from None
        try:
            self._zeroconf = zeroconf.Zeroconf(ip_version=zeroconf.IPVersion.V4Only)
        except (OSError, zeroconf.Error) as error:
            raise ConfigError(f"-discover: the local network cannot be used: {error}") from error
        zeroconf.ServiceBrowser(self._zeroconf, SERVICE, handlers=[self._changed])

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Where nodes of the chain listen that are there now."""
        with self._changes:
            return tuple(self._found.values())

    def wait(self, seconds: float) -> None:
        """Wait until there is one, or the time is over."""
        with self._changes:
            self._changes.wait_for(lambda: bool(self._found), seconds)

    def close(self) -> None:
        """Stop looking."""
        self._zeroconf.close()

    def _changed(
        self,
        zeroconf: "Zeroconf",
        service_type: str,
        name: str,
        state_change: "ServiceStateChange",
    ) -> None:
        if state_change.name == "Removed":
            with self._changes:
                self._found.pop(name, None)
            return
        info = zeroconf.get_service_info(service_type, name, ASK_MILLISECONDS)
        address = None if info is None else _address(info, self._genesis_hex)
        if address is not None:
            with self._changes:
                if name in self._found or len(self._found) < MAX_FOUND:
                    self._found[name] = address
                    self._changes.notify_all()


def _address(info: "ServiceInfo", genesis_hex: str) -> Address | None:
    """Where a node of the chain listens; None for others."""
    if info.decoded_properties.get("genesis") != genesis_hex:
        return None
    try:
        hosts = info.parsed_addresses()
        return address_from_parts(hosts[0].encode(), info.port or 0)
    except (IndexError, ParseError):
        return None
