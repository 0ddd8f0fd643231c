"""Who is kept out, and until when."""

from collections.abc import Iterable
from typing import Any

from misocoin.peers.addresses import is_local
from misocoin.peers.events import Link
from misocoin.peers.messages import Address, address_from_text


class BanList:
    """Bans by `host` or `host:port`, at most `most` of them. Times are unix seconds."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._until: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._until)

    def set(self, target: str, until: int, time: int) -> None:
        """Ban until a time; one that is past lifts the ban."""
        self._until.pop(target, None)
        if until <= time:
            return
        if len(self._until) >= self._most:
            self.expire(time)
        if len(self._until) >= self._most:
            del self._until[min(self._until, key=lambda key: self._until[key])]
        self._until[target] = until

    def expire(self, time: int) -> None:
        """Forget bans that have ended."""
        self._until = {key: until for key, until in self._until.items() if until > time}

    def has(self, host: str, address: Address | None, time: int) -> bool:
        """Whether a host, or the address it listens on, is banned."""
        keys = (host,) if address is None else (host, address.host, address.text)
        return any(self._until.get(key, 0) > time for key in keys)

    def items(self, time: int) -> tuple[tuple[str, int], ...]:
        """(target, unix time of its end) of the bans in force."""
        return tuple([(key, until) for key, until in self._until.items() if until > time])

    def load(self, rows: Iterable[Any], time: int) -> None:
        """Take in pairs as `items` gives them; damaged ones are left out."""
        for row in rows:
            if isinstance(row, list | tuple) and len(row) == 2:
                target, until = row
                if isinstance(target, str) and isinstance(until, int):
                    self.set(target[:80], until, time)


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
    """What a person wants to ban: a host, or `host:port` for one node on it. Raises ParseError."""
    has_port = text.startswith("[") and "]:" in text or text.count(":") == 1
    address = address_from_text(text, default_port)
    return address.text if has_port else address.host
