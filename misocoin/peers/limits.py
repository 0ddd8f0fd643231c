"""Every bound of the network code in one place, with what it protects and its size.

Times are seconds. A test may hand in other values; nothing reads them from elsewhere.
"""

from dataclasses import dataclass

MAX_HEADERS = 2000
"""Headers in one message, as in Bitcoin's protocol and in Core's REST."""

MAX_IDS = 2000
"""Transaction ids in one message."""

MAX_BLOCKS = 16
"""Blocks that one request may ask for."""

MAX_ADDRESSES = 1000
"""Addresses in one message, as in Bitcoin's protocol."""

MAX_LOCATOR = 101
"""Hashes in a locator, as in Core."""

MAX_BLOCK_SIZE = 4_000_000
"""Bytes of a block at the very most: its weight limit, if all of it were witness."""

MAX_BODY = 16 << 20
"""Bytes of one HTTP body between peers, either way. Several blocks per answer share it; one block
always fits."""


@dataclass(frozen=True, slots=True)
class PeerLimits:
    """How much, how many and how long."""

    outbound: int = 8
    """Links we dial by ourselves; those of `-nodes` and `add_node` come on top."""
    inbound: int = 64
    """Links others dial. Each costs a waiting thread and an outbox."""
    inbound_per_host: int = 16
    """Links from one address that is not this machine."""
    outbox_bytes: int = 24 << 20
    """Bytes that wait for an inbound peer to fetch them; beyond that it is cut off as stalled."""
    outbox_messages: int = 2000
    poll_seconds: float = 25.0
    """How long a long-poll waits for news before it is answered empty."""
    session_seconds: float = 60.0
    """Silence after which an inbound link counts as gone."""

    headers_seconds: float = 20.0
    """Time for an answer to a request for headers."""
    headers_ahead: int = 100_000
    """Headers accepted beyond our best block while their bodies are missing. At about 500 bytes a
    node this bounds what a flood of headers can take while we have no work to compare with."""
    presync_batches: int = 10_000
    """Batches of 2,000 headers that a peer may show before their work suffices. Of each batch 32
    bytes are kept: 320 kB a peer."""
    near_blocks: int = 144
    """Headers are admitted to the tree when their branch's work reaches our tip's less this many
    blocks' worth."""

    window: int = 512
    """Blocks beyond the first missing one that may be asked for."""
    window_bytes: int = 64 << 20
    """Bytes of bodies that may be waiting for validation or be on their way, estimated by the
    largest of the last blocks. The first missing block is asked for in any case."""
    blocks_per_peer: int = 16
    """Blocks asked of one peer at a time; less where blocks are large."""
    block_seconds: float = 20.0
    """Time for a batch of blocks, with `block_rate` for its length on top."""
    stall_seconds: float = 2.0
    """After this the first missing block is asked of another peer too; doubles with each time."""
    stalls: int = 3
    """Such losses after which a peer is disconnected."""

    compact_peers: int = 3
    """Peers asked to push compact blocks before they are validated (BIP152's high bandwidth)."""
    partial_blocks: int = 16
    """Compact blocks being completed at a time."""

    known_ids: int = 20_000
    """Transaction ids remembered per peer as known to it (about 2 MB at most)."""
    rejected_ids: int = 20_000
    """Ids of refused transactions that are not asked for again until the tip changes."""
    transaction_requests: int = 4_000
    """Announced transactions per peer that were not fetched yet."""
    transaction_seconds: float = 5.0
    """Time for an answer to a request for transactions, before another peer is asked."""
    orphans: int = 100
    """Transactions whose parents are unknown, 100 kvB each at most."""

    addresses: int = 4_000
    """Addresses remembered in all."""
    addresses_per_source: int = 200
    """Addresses remembered from one source's address group."""
    address_rate: float = 0.1
    """Addresses a second that a peer may tell unasked, as in Core."""
    address_burst: float = 50.0
    gossip_seconds: float = 30.0
    """How often a peer's own address is passed on at most."""

    ban_score: int = 100
    """Points at which a peer is banned."""
    ban_seconds: int = 86_400
    """How long."""
    bans: int = 10_000
    """Bans remembered; the one that ends first makes room."""
    retry_seconds: float = 1.0
    """First pause before a lost peer is dialled again; doubles up to `retry_most`."""
    retry_most: float = 60.0
    """For nodes a user named. Others wait up to an hour."""
    checks: int = 64
    """Blocks handed to validation and not answered yet."""
    events: int = 10_000
    """Events waiting for the machine; inbound messages beyond that are refused with 503."""
