"""What a web page open in the user's browser cannot do to a daemon.

A page can send requests to any machine that its browser reaches, with any body and without asking,
and after rebinding its own name to that machine's address it can read the answers. So:

* A request with an Origin that is not this very server is refused. Browsers add the header to
  every request of another site that can do harm; programs do not send it.
* A request with an Origin, any request while only this machine can reach the port, and any for
  what is the owner's alone must call this server by an address, as `localhost`, or by a name that
  is known for its own. A page under a rebound name would call that.
"""

import re
from collections.abc import Iterable
from socket import gethostname
from typing import Final

FOREIGN: Final = "requests from the pages of other sites are refused"
"""Why a request is refused that another site's page has made."""

_HOST = re.compile(
    r"(?:([0-9.]+|\[[0-9a-f:.]+\])|([a-z0-9_-]+(?:\.[a-z0-9_-]+)*)\.?)(?::\d{1,5})?", re.ASCII
)
_NAME = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*", re.ASCII)


class Guard:
    """Judges requests by their Host and Origin headers. Immutable."""

    def __init__(
        self, is_local: bool, names: Iterable[str] = (), *, option: str | None = None
    ) -> None:
        """`is_local` tells whether only this machine can reach the port.

        `names` are known for its own, besides the machine's; `option` is what adds to them.
        """
        self._is_local = is_local
        self._given = frozenset(name.lower() for name in names)
        machine = gethostname().lower()
        self._names = self._given | {"localhost", machine, f"{machine.partition('.')[0]}.local"}
        self._option = option

    def refusal(self, host: str | None, origin: str | None) -> str | None:
        """Why a request is refused; None if it is not."""
        if origin is not None and not self.is_own(host, origin):
            return FOREIGN
        if self._is_local or origin is not None:
            return self.misnaming(host)
        return None

    def is_own(self, host: str | None, origin: str) -> bool:
        """Whether an origin is this very server.

        `https` counts where the name was given: then a proxy on the way takes care of that.
        """
        if host is None:
            return False
        scheme, _, place = origin.lower().partition("://")
        is_proxied = scheme == "https" and _name_of(host) in self._given
        return place == host.lower() and (scheme == "http" or is_proxied)

    def misnaming(self, host: str | None) -> str | None:
        """Why a Host header does not name this server; None if it does, or there is none."""
        if host is None or (name := _name_of(host)) == "" or name in self._names:
            return None
        way = "" if name is None or self._option is None else f"; {self._option}={name} makes it so"
        return (
            f"{host[:80]!r} is no name of this server's: call it by its address or as localhost"
            + way
        )


def _name_of(host: str) -> str | None:
    """The name in a Host header, empty for an address; None for what is neither."""
    match = _HOST.fullmatch(host.lower())
    return None if match is None else match[2] or ""


def is_host_name(text: str) -> bool:
    """Whether a text can be the name of a host."""
    return len(text) <= 253 and _NAME.fullmatch(text.lower()) is not None
