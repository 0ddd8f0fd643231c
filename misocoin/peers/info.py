"""Links as people see them."""

from dataclasses import dataclass

from misocoin.peers.events import Link
from misocoin.peers.peer import Peer


@dataclass(frozen=True, slots=True)
class PeerInfo:
    """A link, for people."""

    id: int
    address: str
    is_outbound: bool
    is_manual: bool
    agent: str
    height: int | None
    """Of the best block it has shown."""
    score: int
    seconds: int
    """How long the link stands."""
    blocks_in_flight: int
    is_rest_only: bool
    clock_offset: int | None = None
    """Seconds its clock was ahead of ours in the handshake; None where it told no time."""


def link_name(link: Link) -> str:
    """What a link is called in the log."""
    if link.is_outbound and link.address is not None:
        return link.address.text
    where = f"{link.host}" if link.address is None else link.address.text
    return f"{where} (dialled us)"


def agent_of(link: Link) -> str:
    """The other end's program."""
    return "Core's REST" if link.hello is None else link.hello.agent or "unnamed"


def info_of(peer: Peer, now: float) -> PeerInfo:
    """A link for people; `now` is monotonic."""
    link = peer.link
    return PeerInfo(
        id=int(link.peer),
        address=link.host if link.address is None else link.address.text,
        is_outbound=link.is_outbound,
        is_manual=link.is_manual,
        agent=agent_of(link),
        height=None if peer.best is None else peer.best.height,
        score=peer.score,
        seconds=int(now - peer.since),
        blocks_in_flight=len(peer.blocks),
        is_rest_only=link.hello is None,
        clock_offset=peer.clock_offset,
    )
