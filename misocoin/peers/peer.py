"""What is known about one peer, and what the parts of the machine share."""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from misocoin.consensus.difficulty import work_from_bits
from misocoin.consensus.tree import HeaderNode
from misocoin.params import Params
from misocoin.peers.bounded import BoundedSet
from misocoin.peers.events import Action, ChainView, Link, PeerId, Remark, Send
from misocoin.peers.limits import PeerLimits
from misocoin.peers.messages import Message
from misocoin.peers.presync import Presync

FROM_THE_FUTURE = (
    "its headers are from the future and wait until they are not: is a clock wrong, here or there?"
)

FUTURE_POINTS = 10
"""For headers from the future, up to half of what bans."""

SYNCING_BLOCKS = 10
"""Blocks by which others are ahead while a node counts as syncing."""


@dataclass(slots=True)
class Peer:
    """One link and what its other end has shown."""

    link: Link
    since: float
    """Monotonic time of the handshake."""
    known_ids: BoundedSet[bytes]
    """Transactions it has, by witness id."""
    tokens: float
    """Addresses it may still tell unasked."""
    best: HeaderNode | None = None
    """The header with the most work that it has shown."""
    refused: HeaderNode | None = None
    """The last block it has shown beyond `best` on a branch that our owner refuses."""
    common: HeaderNode | None = None
    """The last block on the branch of `best` up to which we have all bodies."""
    claimed_work: int = 0
    """What it said in the handshake; nothing is built on it."""
    clock_offset: int | None = None
    """Seconds its clock was ahead of ours in the handshake; nothing is built on it."""
    score: int = 0
    """Points against it."""
    is_gone: bool = False
    remarks: set[str] = field(default_factory=set)
    """What people were told about it, each thing once."""
    ping_nonce: int | None = None
    """The number of the ping that it has not answered."""
    ping_since: float = 0.0
    """When it was asked last."""
    ping: float | None = None
    """Seconds that its last answer took."""
    least_ping: float | None = None
    last_block: int = 0
    """Unix time when it last brought a block that held; 0 for never."""
    last_transaction: int = 0
    """The same of a transaction."""
    addresses_taken: int = 0
    """Addresses that it told."""
    addresses_dropped: int = 0
    """Addresses that it told too fast."""
    headers_since: float | None = None
    """When headers were asked for."""
    headers_due: float = 0.0
    """When to ask for headers anew, though nothing was heard."""
    has_answered: bool = False
    """Whether it has told its headers once."""
    was_full: bool = False
    """Whether its last answer held as many headers as fit, so that more may follow."""
    presync: Presync | None = None
    unconnected: int = 0
    """Announcements whose parents were unknown, one after the other."""
    unknown: bytes = b""
    """A block that it announced while we waited for headers that may end below it."""
    pushed: bytes = b""
    """The last block it pushed in compact form, which our header tree may not hold yet."""
    blocks: set[bytes] = field(default_factory=set)
    """Blocks asked of it."""
    late: BoundedSet[bytes] = field(default_factory=lambda: BoundedSet(4096))
    """Blocks and transactions once asked of it and no longer expected."""
    stalls: int = 0
    wants_compact: bool = False
    """Whether it asked for compact blocks before they are validated."""
    sends_compact: bool = False
    """Whether we asked it for them."""
    told: HeaderNode | None = None
    """The last block we announced to it."""
    told_hash: bytes = b""
    """A block pushed to it before it was in our chain."""
    wanted: dict[bytes, None] = field(default_factory=dict)
    """Transactions it announced that are not asked for yet because others are."""
    asked_ids: int = 0
    """Transactions asked of it."""
    wants_addresses: bool = False
    """Whether we wait for its answer about addresses."""
    tokens_at: float = 0.0

    @property
    def id(self) -> PeerId:
        """The link's name."""
        return self.link.peer

    @property
    def is_ours(self) -> bool:
        """Whether it speaks our protocol, not only Core's REST."""
        return self.link.hello is not None

    def has(self, node: HeaderNode) -> bool:
        """Whether it certainly knows a block: it has shown it or one above, or was told so."""
        return (self.best is not None and node.is_ancestor_of(self.best)) or (
            self.told is not None and node.is_ancestor_of(self.told)
        )


class Core:
    """What the parts of the machine share while an event is handled."""

    def __init__(
        self, params: Params, chain: ChainView, limits: PeerLimits, random: Random
    ) -> None:
        self.params = params
        self.chain = chain
        self.limits = limits
        self.random = random
        self.peers: dict[PeerId, Peer] = {}
        self.now = 0.0
        """Monotonic seconds."""
        self.time = 0
        """Unix seconds."""
        self.actions: list[Action] = []
        self.doomed: dict[PeerId, tuple[str, bool]] = {}
        """Peers to be dropped when the event is handled: why, and whether to ban them."""
        self.want_schedule = False
        """Whether blocks may be asked for after this event."""
        self.is_stopped = False
        """Whether nobody is to be dialled any more."""

    def act(self, action: Action) -> None:
        """Have something done."""
        self.actions.append(action)

    def send(self, peer: Peer, message: Message) -> None:
        """Say something to a peer."""
        self.actions.append(Send(peer.id, message))

    def drop(self, peer: Peer, why: str, *, ban: bool = False) -> None:
        """End a link once the event is handled."""
        peer.is_gone = True
        self.doomed.setdefault(peer.id, (why, ban))

    def punish(self, peer: Peer, points: int, why: str) -> None:
        """Hold something against a peer; at `ban_score` it is banned."""
        peer.score += points
        if peer.score >= self.limits.ban_score:
            self.drop(peer, why, ban=True)

    def remark(self, peer: Peer, what: str, about: str = "") -> None:
        """Tell people something about a peer, once however often it is seen."""
        if what not in peer.remarks:
            peer.remarks.add(what)
            self.act(Remark(peer.id, f"{about} {what}".lstrip()))

    def note_future(self, peer: Peer) -> None:
        """Headers of a peer are from the future: its clock is wrong, or ours.

        So that alone bans nobody; they are asked for again.
        """
        self.remark(peer, FROM_THE_FUTURE)
        if peer.score + FUTURE_POINTS <= self.limits.ban_score // 2:
            self.punish(peer, FUTURE_POINTS, "headers from the future")

    def alive(self, where: Callable[[Peer], bool] = lambda _peer: True) -> list[Peer]:
        """Peers that stay and fit."""
        return [peer for peer in self.peers.values() if not peer.is_gone and where(peer)]

    @property
    def is_syncing(self) -> bool:
        """Whether bodies of many blocks are missing, so that news is of no use yet.

        By most peers' account: headers alone, whose blocks are withheld, silence nobody.
        """
        shown = [peer.best.height for peer in self.alive() if peer.best is not None]
        ahead = sum(height - self.chain.tip.height > SYNCING_BLOCKS for height in shown)
        return 2 * ahead > len(shown)

    def enough_work(self) -> int:
        """The work from which on headers are let into the tree: near our tip's.

        But never less than the network is known to have, as Core's nMinimumChainWork has it.
        """
        tip = self.chain.tip
        near = tip.chain_work - self.limits.near_blocks * work_from_bits(tip.header.bits)
        return max(near, self.params.minimum_chain_work)


def last_good(chain: ChainView, node: HeaderNode) -> HeaderNode:
    """The last block at or under `node` that is not known to be invalid."""
    while chain.is_failed(node) and node.parent is not None:
        node = node.parent
    return node


def locator(node: HeaderNode) -> tuple[bytes, ...]:
    """Hashes from `node` down to genesis: ten in a row, then with gaps that double."""
    hashes = []
    step = 1
    height = node.height
    while height > 0:
        node = node.ancestor(height)
        hashes.append(node.hash)
        if len(hashes) >= 10:
            step *= 2
        height -= step
    hashes.append(node.ancestor(0).hash)
    return tuple(hashes)
