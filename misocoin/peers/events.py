"""What the machine is told (events) and what it wants done (actions).

Both are plain values. The shell turns sockets, clocks and the chain's answers into events, and
carries actions out; a simulation does the same in memory.
"""

from typing import NamedTuple, NewType, Protocol

from misocoin.consensus.tree import HeaderNode
from misocoin.errors import MisocoinError
from misocoin.peers.hello import Hello
from misocoin.peers.messages import Address, Message, Request
from misocoin.primitives.block import Block, BlockHeader
from misocoin.primitives.transaction import Transaction

INTERNAL = "internal"
"""The reason told of what could not be checked by a fault of this node's: a full disk, a bug."""

PeerId = NewType("PeerId", int)
"""Names a link for as long as it stands; never used again."""


class ChainView(Protocol):
    """What the machine reads of the chain. Nodes are immutable; answers may grow, not change."""

    @property
    def tip(self) -> HeaderNode:
        """The active chain's last block."""

    @property
    def best_header(self) -> HeaderNode:
        """The header with the most work not known to be invalid."""

    def get(self, block_hash: bytes) -> HeaderNode | None:
        """The node of a known header."""

    def has_body(self, node: HeaderNode) -> bool:
        """Whether the block is stored."""

    def is_failed(self, node: HeaderNode) -> bool:
        """Whether the block or one under it is known to be invalid."""

    def is_refused(self, node: HeaderNode) -> bool:
        """Whether it is so only because this node's owner said so: others may follow it."""


class Link(NamedTuple):
    """A connection with another node, as it stands after the handshake."""

    peer: PeerId
    is_outbound: bool
    """Whether we dialled."""
    host: str
    """The address it was seen under."""
    address: Address | None
    """Where it listens, as far as known."""
    hello: Hello | None
    """None for a node that has only Bitcoin Core's REST interface."""
    is_manual: bool = False
    """Whether a user named it."""


# -- events -----------------------------------------------------------------------------------


class Connected(NamedTuple):
    """A link stands."""

    link: Link


class Disconnected(NamedTuple):
    """A link is gone."""

    peer: PeerId
    why: str


class DialFailed(NamedTuple):
    """An address could not be linked with."""

    address: Address
    why: str
    is_self: bool = False
    """Whether it turned out to be this node."""
    is_double: bool = False
    """Whether there is a link with that node already."""
    is_hostile: bool = False
    """Whether it is another chain or speaks garbage."""


class Received(NamedTuple):
    """A message came, pushed or as an answer."""

    peer: PeerId
    message: Message


class Answered(NamedTuple):
    """The answer to a request is complete; all its messages were handed in before."""

    peer: PeerId
    request: Request


class Failed(NamedTuple):
    """A request got no usable answer."""

    peer: PeerId
    request: Request
    why: str
    is_hostile: bool
    """Whether the peer broke the protocol (garbage, an answer too long), not only the line."""


class Garbage(NamedTuple):
    """A peer pushed bytes that are no messages."""

    peer: PeerId
    why: str


class HeadersChecked(NamedTuple):
    """What became of `CheckHeaders`: the nodes that were accepted, and the rule that ended it."""

    peer: PeerId
    nodes: tuple[HeaderNode, ...]
    error: MisocoinError | None


class BlockChecked(NamedTuple):
    """What became of `CheckBlock`."""

    peer: PeerId
    block_hash: bytes
    error: MisocoinError | None


class TransactionChecked(NamedTuple):
    """What became of `CheckTransaction`."""

    peer: PeerId
    tx: Transaction
    error: MisocoinError | None


class TipMoved(NamedTuple):
    """The active chain has a new end."""

    tip: HeaderNode
    connected: tuple[Block, ...]
    """The blocks that joined it, lowest first."""


class TransactionAdded(NamedTuple):
    """A transaction entered the mempool."""

    tx: Transaction


class TransactionRemoved(NamedTuple):
    """A transaction left the mempool, other than by being mined."""

    tx: Transaction


class Tick(NamedTuple):
    """Time has passed."""


class AddNode(NamedTuple):
    """A user wants a link with an address kept."""

    address: Address


class RemoveNode(NamedTuple):
    """A user wants no link with an address any more."""

    address: Address


class SetBan(NamedTuple):
    """A user bans a host, network or `host:port` until a unix time, or lifts the ban (0)."""

    target: str
    until: int


class SetActive(NamedTuple):
    """A user wants links, or none at all."""

    is_active: bool


class PingAll(NamedTuple):
    """A user wants to know how long links take."""


class Found(NamedTuple):
    """A node was discovered on the local network."""

    address: Address


Event = (
    Connected
    | Disconnected
    | DialFailed
    | Received
    | Answered
    | Failed
    | Garbage
    | HeadersChecked
    | BlockChecked
    | TransactionChecked
    | TipMoved
    | TransactionAdded
    | TransactionRemoved
    | Tick
    | AddNode
    | RemoveNode
    | SetBan
    | SetActive
    | PingAll
    | Found
)


# -- actions ----------------------------------------------------------------------------------


class Send(NamedTuple):
    """Say something to a peer.

    A `Request` is answered by events, at last `Answered` or `Failed`, where we dialled. Where the
    peer did, the answer comes as pushed messages.
    """

    peer: PeerId
    message: Message


class Disconnect(NamedTuple):
    """End a link."""

    peer: PeerId
    why: str
    is_banned: bool = False


class Remark(NamedTuple):
    """Tell people something about a peer."""

    peer: PeerId
    text: str


class Dial(NamedTuple):
    """Make a link."""

    address: Address
    is_manual: bool


class CheckHeaders(NamedTuple):
    """Check headers, parents first, and put them into the tree."""

    peer: PeerId
    headers: tuple[BlockHeader, ...]


class CheckBlock(NamedTuple):
    """Check and store a block; answered by `BlockChecked`."""

    peer: PeerId
    block_hash: bytes
    data: bytes | Block
    """As on the wire, or parsed where it was put together from transactions."""


class CheckTransaction(NamedTuple):
    """Check a transaction and take it into the mempool."""

    peer: PeerId
    tx: Transaction


Action = Send | Disconnect | Remark | Dial | CheckHeaders | CheckBlock | CheckTransaction
