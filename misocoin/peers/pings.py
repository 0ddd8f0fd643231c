"""How long a link takes there and back: asked by number, answered with the same number.

The time includes what waits on either side, as in Bitcoin's peer protocol (BIP31). A node that does
not know these messages passes them over.
"""

from misocoin.peers.messages import Ping, Pong
from misocoin.peers.peer import Core, Peer

PING_SECONDS = 120.0
"""Pause between two pings of a peer, as in Core."""


class Pings:
    """Times our links."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def connected(self, peer: Peer) -> None:
        """Time a new link at once."""
        self._ask(peer)

    def ask_all(self) -> None:
        """Time all links now, but those that owe an answer."""
        for peer in self._core.alive():
            self._ask(peer)

    def tick(self) -> None:
        """Time those whose turn it is."""
        now = self._core.now
        for peer in self._core.alive(lambda p: now - p.ping_since >= PING_SECONDS):
            self._ask(peer)

    def _ask(self, peer: Peer) -> None:
        if not peer.is_ours or peer.ping_nonce is not None:
            return
        peer.ping_nonce, peer.ping_since = self._core.random.getrandbits(64), self._core.now
        self._core.send(peer, Ping(peer.ping_nonce))

    def asked(self, peer: Peer, nonce: int) -> None:
        """A peer times us."""
        self._core.send(peer, Pong(nonce))

    def answered(self, peer: Peer, nonce: int) -> None:
        """A peer answers; what was not asked is passed over."""
        if nonce != peer.ping_nonce:
            return
        peer.ping_nonce = None
        peer.ping = self._core.now - peer.ping_since
        peer.least_ping = min(peer.ping, peer.least_ping or peer.ping)
