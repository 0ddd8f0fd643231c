"""The links that stand, as the shell sees them: who is behind which, and what is sent to whom."""

import logging
from random import SystemRandom

from misocoin.peers.events import Link, PeerId
from misocoin.peers.info import agent_of, link_name
from misocoin.peers.limits import PeerLimits
from misocoin.peers.links import Connection, Mailbox
from misocoin.peers.messages import CompactBlock, Message, serialize_message
from misocoin.peers.traffic import NO_TRAFFIC, TrafficInfo

log = logging.getLogger(__name__)


class Switchboard:
    """Connections by link, mailboxes by the name that the other end knows them by.

    The network's thread alone changes it; `mailbox` and `all` may be asked by any.
    """

    def __init__(self, limits: PeerLimits) -> None:
        self._limits = limits
        self._random = SystemRandom()
        self._connections: dict[PeerId, Connection] = {}
        self._mailboxes: dict[str, Mailbox] = {}
        self._next_id = 1
        self._last: tuple[CompactBlock, bytes] | None = None

    def new_id(self) -> PeerId:
        """A name that no link has had."""
        peer = PeerId(self._next_id)
        self._next_id += 1
        return peer

    def add(self, connection: Connection) -> None:
        """Take a link that we dialled."""
        self._connections[connection.link.peer] = connection

    def add_mailbox(self, link: Link) -> str:
        """Take a link that another node dialled; returns the token it may speak under."""
        mailbox = Mailbox(link, self._limits)
        token = f"{self._random.getrandbits(128):032x}"
        self._connections[link.peer] = mailbox
        self._mailboxes[token] = mailbox
        return token

    def mailbox(self, token: str) -> Mailbox | None:
        """The link of that name, if a node dialled us and was given it."""
        return self._mailboxes.get(token)

    def all(self) -> tuple[Connection, ...]:
        """Every link."""
        return tuple(self._connections.values())

    def traffic(self, peer: PeerId) -> TrafficInfo:
        """What has gone over a link."""
        connection = self._connections.get(peer)
        return NO_TRAFFIC if connection is None else connection.traffic.info()

    def silent(self) -> tuple[PeerId, ...]:
        """Links whose other end has neither spoken nor waited for long."""
        return tuple([box.link.peer for box in self._mailboxes.values() if box.is_silent])

    def send(self, peer: PeerId, message: Message) -> bool:
        """Say something; False if the other end does not take what is sent."""
        connection = self._connections.get(peer)
        return connection is None or connection.send(message, self._frame(message))

    def _frame(self, message: Message) -> bytes | None:
        """The bytes of a compact block: it goes to several peers and is written once."""
        if not isinstance(message, CompactBlock):
            return None
        if self._last is None or self._last[0] is not message:
            self._last = message, serialize_message(message)
        return self._last[1]

    def remark(self, peer: PeerId, text: str) -> None:
        """Log something about a peer."""
        connection = self._connections.get(peer)
        if connection is not None:
            log.warning("%s: %s", link_name(connection.link), text)

    def drop(self, peer: PeerId, why: str, *, is_banned: bool = False) -> None:
        """End a link, if it stands."""
        connection = self._connections.pop(peer, None)
        if connection is None:
            return
        self._mailboxes = {
            token: box for token, box in self._mailboxes.items() if box is not connection
        }
        connection.close()
        level, what = (logging.WARNING, "banned") if is_banned else (logging.INFO, "lost")
        log.log(level, "%s %s: %s", what, link_name(connection.link), why)


def tell_link(link: Link) -> None:
    """Log a new link."""
    log.info("linked with %s (%s)", link_name(link), agent_of(link))
