"""Links as people see them."""

from dataclasses import dataclass

from misocoin.consensus.tree import fork_point
from misocoin.peers.events import ChainView, Link
from misocoin.peers.peer import Peer
from misocoin.peers.traffic import NO_TRAFFIC, TrafficInfo


@dataclass(frozen=True, slots=True)
class PeerInfo:
    """A link, for people. Times are unix seconds, 0 for never; spans are seconds."""

    id: int
    address: str
    is_outbound: bool
    is_manual: bool
    agent: str
    height: int | None
    """Of the best block it has shown; before it has shown one, of the one it told of at first."""
    score: int
    seconds: int
    """How long the link stands."""
    blocks_in_flight: int
    is_rest_only: bool
    clock_offset: int | None = None
    """Seconds its clock was ahead of ours in the handshake; None where it told no time."""
    version: int = 0
    """Of the handshake's protocol; 0 where there was none."""
    first_height: int = -1
    """Of its tip when the link was made; -1 where it told none."""
    shown_height: int = -1
    """Of the best block whose header it has shown; -1 for none."""
    common_height: int = -1
    """Of the last block of ours under that one; -1 where it has shown none."""
    counted_height: int = -1
    """Of the last header of a branch that has not shown enough work yet; -1 where there is none."""
    asked_heights: tuple[int, ...] = ()
    """Of the blocks asked of it."""
    last_block: int = 0
    """When it last brought a block that held."""
    last_transaction: int = 0
    ping: float | None = None
    """How long its last answer to a ping took."""
    least_ping: float | None = None
    ping_wait: float | None = None
    """How long a ping has waited for its answer; None where none does."""
    pushes_blocks: bool = False
    """Whether we asked it to push compact blocks."""
    is_pushed_blocks: bool = False
    """Whether it asked us."""
    addresses_taken: int = 0
    """Addresses of nodes that it told."""
    addresses_dropped: int = 0
    """Those that it told too fast."""
    traffic: TrafficInfo = NO_TRAFFIC


def link_name(link: Link) -> str:
    """What a link is called in the log."""
    if link.is_outbound and link.address is not None:
        return link.address.text
    where = f"{link.host}" if link.address is None else link.address.text
    return f"{where} (dialled us)"


def agent_of(link: Link) -> str:
    """The other end's program."""
    return "Core's REST" if link.hello is None else link.hello.agent or "unnamed"


def info_of(peer: Peer, chain: ChainView, now: float, traffic: TrafficInfo) -> PeerInfo:
    """A link for people; `now` is monotonic."""
    link = peer.link
    hello, best = link.hello, peer.best
    asked = [chain.get(block_hash) for block_hash in peer.blocks]
    first_height = -1 if hello is None else hello.height
    told = None if hello is None else first_height
    return PeerInfo(
        id=int(link.peer),
        address=link.host if link.address is None else link.address.text,
        is_outbound=link.is_outbound,
        is_manual=link.is_manual,
        agent=agent_of(link),
        height=told if best is None else best.height,
        score=peer.score,
        seconds=int(now - peer.since),
        blocks_in_flight=len(peer.blocks),
        is_rest_only=hello is None,
        clock_offset=peer.clock_offset,
        version=0 if hello is None else hello.version,
        first_height=first_height,
        shown_height=-1 if best is None else best.height,
        common_height=-1 if best is None else fork_point(best, chain.tip).height,
        counted_height=-1 if peer.presync is None else peer.presync.height,
        asked_heights=tuple(sorted([node.height for node in asked if node is not None])),
        last_block=peer.last_block,
        last_transaction=peer.last_transaction,
        ping=peer.ping,
        least_ping=peer.least_ping,
        ping_wait=None if peer.ping_nonce is None else now - peer.ping_since,
        pushes_blocks=peer.sends_compact,
        is_pushed_blocks=peer.wants_compact,
        addresses_taken=peer.addresses_taken,
        addresses_dropped=peer.addresses_dropped,
        traffic=traffic,
    )
