"""The book of addresses: where nodes may be reached, kept small whatever others tell.

An address is *tried* once a link to it stood, and *new* while it is hearsay. Hearsay is limited by
the address group of who told it, so that one liar cannot fill the book; links are made to
different groups, so that one network cannot surround us. Pure: time and chance are handed in.
"""

import ipaddress
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Any, NamedTuple

from misocoin.errors import ParseError
from misocoin.peers.limits import PeerLimits
from misocoin.peers.messages import Address, address_from_parts

MAX_FUTURE = 600
"""Seconds that a `seen` may be ahead of our clock; more is cut down."""

STALE_SECONDS = 30 * 86_400
"""After this an address that nobody saw is forgotten first."""

HOPELESS_FAILURES = 10
"""Failed tries after which hearsay is forgotten."""

RETRY_LONGEST = 3600.0


def is_local(host: str) -> bool:
    """Whether a host is this machine or in a private network, so that outsiders cannot use it."""
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_private or address.is_loopback or address.is_link_local


def address_group(address: Address) -> str:
    """What probably has one owner: /16 of IPv4, /32 of IPv6, a name's last two labels.

    Each private address and each port of this machine stands for itself.
    """
    host = address.host
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        if host == "localhost":
            return address.text
        return ".".join(host.lower().split(".")[-2:])
    if ip.is_loopback:
        return address.text
    if ip.is_private or ip.is_link_local:
        return host
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return address_group(address._replace(host=str(ip.ipv4_mapped)))
        return ":".join(ip.exploded.split(":")[:2])
    return ".".join(host.split(".")[:2])


class KnownAddress(NamedTuple):
    """What the book tells of an address."""

    address: Address
    is_tried: bool
    """Whether a link with it stood."""


@dataclass(slots=True)
class _Entry:
    address: Address
    source: str
    """Address group of who told it."""
    tried: bool = False
    failures: int = 0
    next_try: float = 0.0
    """Monotonic time before which it is not dialled."""


class AddressBook:
    """All known addresses. `random` decides what is forgotten, sampled and dialled."""

    def __init__(self, limits: PeerLimits, random: Random) -> None:
        self._limits = limits
        self._random = random
        self._entries: dict[tuple[str, int], _Entry] = {}
        self._per_source: Counter[str] = Counter()
        self._own: set[tuple[str, int]] = set()

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, address: Address) -> bool:
        return address[:2] in self._entries

    def __iter__(self) -> Iterator[Address]:
        """All addresses, in order of arrival."""
        return iter([entry.address for entry in self._entries.values()])

    def known(self) -> tuple[KnownAddress, ...]:
        """All addresses, in order of arrival, and what is known of them."""
        return tuple([KnownAddress(entry.address, entry.tried) for entry in self._entries.values()])

    # -- learning -----------------------------------------------------------------------------

    def add(self, address: Address, source: str, time: int) -> bool:
        """Note hearsay from a peer of address group `source`; True if it is news.

        `time` is the unix time now.
        """
        key = address[:2]
        if key in self._own:
            return False
        address = address._replace(seen=min(address.seen, time + MAX_FUTURE))
        entry = self._entries.get(key)
        if entry is not None:
            if address.seen > entry.address.seen:
                entry.address = address
            return False
        if self._per_source[source] >= self._limits.addresses_per_source:
            self._forget_one(source)
        elif len(self._entries) >= self._limits.addresses:
            self._forget_one(None)
        if len(self._entries) >= self._limits.addresses:
            return False
        self._entries[key] = _Entry(address, source)
        self._per_source[source] += 1
        return True

    def _forget_one(self, source: str | None) -> None:
        """Forget the least useful piece of hearsay, of one source or of all."""
        hearsay = [
            entry
            for entry in self._entries.values()
            if not entry.tried and (source is None or entry.source == source)
        ]
        sample = self._random.sample(hearsay, min(len(hearsay), 8))
        if sample:
            worst = max(sample, key=lambda e: (e.failures, -e.address.seen))
            self._remove(worst.address)

    def _remove(self, address: Address) -> None:
        entry = self._entries.pop(address[:2], None)
        if entry is not None:
            self._per_source[entry.source] -= 1
            if self._per_source[entry.source] <= 0:
                del self._per_source[entry.source]

    def remove(self, address: Address) -> None:
        """Forget an address."""
        self._remove(address)

    def mark_own(self, address: Address) -> None:
        """Note that an address is this node itself; it is never dialled again."""
        self._remove(address)
        if len(self._own) < 64:
            self._own.add(address[:2])

    def succeeded(self, address: Address, time: int) -> None:
        """Note that a link to it stands. `time` is unix time."""
        if address[:2] in self._own:
            return
        self.add(address._replace(seen=time), address_group(address), time)
        entry = self._entries.get(address[:2])
        if entry is not None:
            entry.tried, entry.failures, entry.next_try = True, 0, 0.0
            entry.address = address._replace(seen=time)

    def failed(self, address: Address, now: float) -> None:
        """Note that it could not be reached; the pause before the next try doubles."""
        entry = self._entries.get(address[:2])
        if entry is None:
            return
        entry.failures += 1
        if not entry.tried and entry.failures >= HOPELESS_FAILURES:
            self._remove(address)
            return
        pause = self._limits.retry_seconds * 2 ** min(entry.failures + 3, 16)
        entry.next_try = now + min(pause, RETRY_LONGEST) * self._random.uniform(0.8, 1.2)

    # -- asking -------------------------------------------------------------------------------

    def choose(
        self, now: float, busy: Collection[tuple[str, int]], groups: Collection[str]
    ) -> Address | None:
        """An address to dial: neither busy nor of a group in use, tried ones every other time.

        An address that is not due yet (see `failed`) is left out.
        """
        ready = [
            entry
            for entry in self._entries.values()
            if entry.next_try <= now
            and entry.address[:2] not in busy
            and address_group(entry.address) not in groups
        ]
        if not ready:
            return None
        tried = [entry for entry in ready if entry.tried]
        if tried and (len(tried) == len(ready) or self._random.random() < 0.5):
            ready = tried
        else:
            ready = [entry for entry in ready if not entry.tried]
        # A group first, then one of its addresses: many addresses in one network win nothing.
        by_group: dict[str, list[_Entry]] = {}
        for entry in ready:
            by_group.setdefault(address_group(entry.address), []).append(entry)
        return self._random.choice(by_group[self._random.choice(sorted(by_group))]).address

    def sample(self, most: int, local: bool) -> tuple[Address, ...]:
        """Addresses to tell a peer: at most `most` and a quarter of all (16 in any case).

        Private ones are told only to peers that are `local` themselves.
        """
        fit = [a for a in self if local or not is_local(a.host)]
        count = min(most, max(len(fit) // 4, 16), len(fit))
        return tuple(self._random.sample(fit, count))

    # -- keeping ------------------------------------------------------------------------------

    def to_json(self) -> list[dict[str, Any]]:
        """All that is worth keeping across a restart."""
        return [
            {
                "host": entry.address.host,
                "port": entry.address.port,
                "seen": entry.address.seen,
                "source": entry.source,
                "tried": entry.tried,
                "failures": entry.failures,
            }
            for entry in self._entries.values()
        ]

    def load(self, rows: Iterable[Any], time: int) -> None:
        """Take in what `to_json` kept; rows that are damaged or stale are left out."""
        for row in rows:
            try:
                address = address_from_parts(
                    str(row["host"]).encode(), int(row["port"]), int(row["seen"])
                )
                source, tried = str(row["source"])[:80], row["tried"] is True
                failures = max(0, int(row["failures"]))
            except (KeyError, TypeError, ValueError, ParseError):
                continue
            if address.seen < time - STALE_SECONDS:
                continue
            if self.add(address, source, time):
                entry = self._entries[address[:2]]
                entry.tried, entry.failures = tried, failures
