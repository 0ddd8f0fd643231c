"""Who is kept out, and until when."""

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any, NamedTuple

from misocoin.errors import ParseError
from misocoin.peers.addresses import is_local
from misocoin.peers.events import Link
from misocoin.peers.messages import Address, address_from_text

MAX_TARGET = 80
"""Characters of what is banned."""

Subnet = IPv4Network | IPv6Network


class Ban(NamedTuple):
    """One that is kept out. Times are unix seconds."""

    target: str
    """A host, `host:port` for one node on it, or a network of hosts as `address/bits`."""
    until: int
    since: int
    """When it was set; 0 where that is not known."""


class BanList:
    """Bans by target, at most `most` of them. Times are unix seconds."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._bans: dict[str, Ban] = {}
        self._networks: dict[str, Subnet] = {}
        """The targets that are networks."""

    def __len__(self) -> int:
        return len(self._bans)

    def set(self, target: str, until: int, time: int, since: int | None = None) -> None:
        """Ban until a time, from now on (or `since`); an end that is past lifts the ban."""
        self._drop(target)
        if until <= time:
            return
        if len(self._bans) >= self._most:
            self.expire(time)
        if len(self._bans) >= self._most:
            self._drop(min(self._bans.values(), key=lambda ban: ban.until).target)
        self._bans[target] = Ban(target, until, time if since is None else since)
        network = network_from_text(target) if "/" in target else None
        if network is not None:
            self._networks[target] = network

    def _drop(self, target: str) -> None:
        self._bans.pop(target, None)
        self._networks.pop(target, None)

    def expire(self, time: int) -> None:
        """Forget bans that have ended."""
        for ban in list(self._bans.values()):
            if ban.until <= time:
                self._drop(ban.target)

    def has(self, host: str, address: Address | None, time: int) -> bool:
        """Whether a host, or the address it listens on, is banned."""
        names = {host} if address is None else {host, address.host, address.text}
        if any(self._is_on(name, time) for name in names):
            return True
        return any(
            self._is_on(target, time) and any(_is_within(name, network) for name in names)
            for target, network in self._networks.items()
        )

    def _is_on(self, target: str, time: int) -> bool:
        ban = self._bans.get(target)
        return ban is not None and ban.until > time

    def items(self, time: int) -> tuple[Ban, ...]:
        """The bans in force."""
        return tuple([ban for ban in self._bans.values() if ban.until > time])

    def load(self, rows: Iterable[Any], time: int) -> None:
        """Take in rows as `items` gives them; damaged ones are left out."""
        for row in rows:
            if isinstance(row, list | tuple) and len(row) in (2, 3):
                target, until, since = (*row, 0)[:3]
                if isinstance(target, str) and isinstance(until, int) and isinstance(since, int):
                    self.set(target[:MAX_TARGET], until, time, since)


def network_from_text(text: str) -> Subnet | None:
    """A network of hosts, as `address/bits` or `address/mask`; None for anything else.

    Bits of the address beyond the mask are let go, as in Core.
    """
    try:
        return ip_network(text.strip(), strict=False)
    except ValueError:
        return None


def _is_within(host: str, network: Subnet) -> bool:
    try:
        return ip_address(host) in network
    except ValueError:
        return False


class Record:
    """Points against nodes whose links have ended: a new link does not wipe them out.

    Those of the last `most` nodes are kept, by what a ban would name.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._points: dict[str, int] = {}

    def keep(self, link: Link, points: int) -> None:
        """A link has ended."""
        target = ban_target(link)
        if target is None or not points:
            return
        self._points.pop(target, None)
        if len(self._points) >= self._most:
            del self._points[next(iter(self._points))]
        self._points[target] = points

    def take(self, link: Link) -> int:
        """The points that a new link begins with."""
        target = ban_target(link)
        return 0 if target is None else self._points.pop(target, 0)


def ban_target(link: Link) -> str | None:
    """What to ban for a peer's deeds: its host, or only the address it listens on.

    The latter on this machine and in private networks, where many nodes may share a host. None
    where nothing can be named.
    """
    if not is_local(link.host):
        return link.host
    return None if link.address is None else link.address.text


def ban_target_from_text(text: str, default_port: int) -> str:
    """What a person wants to ban; raises ParseError.

    That is a host, `host:port` for one node on it, or a network as `address/bits`.
    """
    if "/" in text:
        network = network_from_text(text)
        if network is None:
            raise ParseError(f"{text[:MAX_TARGET]!r} is no network of hosts")
        return target_of_network(network)
    has_port = text.startswith("[") and "]:" in text or text.count(":") == 1
    address = address_from_text(text, default_port)
    return address.text if has_port else address.host


def target_of_network(network: Subnet) -> str:
    """What a ban of a network is called: one host goes by its address alone."""
    return str(network.network_address) if network.num_addresses == 1 else str(network)
