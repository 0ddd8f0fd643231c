"""The whole of the network's behaviour as one step: an event goes in, actions come out.

No clock, socket, thread or chain is touched: time comes with every event, the chain is read
through a view and asked to check things by actions. The same events give the same actions.
"""

from collections.abc import Collection
from random import Random

from misocoin.params import Params
from misocoin.peers.addresses import AddressBook, is_local
from misocoin.peers.bans import BanList, Record, ban_target
from misocoin.peers.blocks import BlockRelay
from misocoin.peers.bounded import BoundedSet
from misocoin.peers.download import Download
from misocoin.peers.events import (
    Action,
    AddNode,
    Answered,
    BlockChecked,
    ChainView,
    Connected,
    DialFailed,
    Disconnect,
    Disconnected,
    Event,
    Failed,
    Found,
    Garbage,
    HeadersChecked,
    Link,
    PeerId,
    PingAll,
    Received,
    RemoveNode,
    SetActive,
    SetBan,
    Tick,
    TipMoved,
    TransactionAdded,
    TransactionChecked,
    TransactionRemoved,
)
from misocoin.peers.gossip import Gossip
from misocoin.peers.headers import HeaderSync
from misocoin.peers.limits import PeerLimits
from misocoin.peers.messages import (
    Addresses,
    Announce,
    BlockBody,
    BlockTransactions,
    CompactBlock,
    GetAddresses,
    GetBlocks,
    GetTransactions,
    Headers,
    Message,
    NotFound,
    Ping,
    Pong,
    Request,
    SendCompact,
    TransactionIds,
    Transactions,
)
from misocoin.peers.peer import Core, Peer
from misocoin.peers.pings import Pings
from misocoin.peers.transactions import TransactionRelay
from misocoin.primitives.transaction import Transaction


class Machine:
    """One node's side of the network."""

    def __init__(
        self,
        params: Params,
        chain: ChainView,
        random: Random,
        limits: PeerLimits | None = None,
        *,
        nonce: int = 0,
        dials: bool = True,
    ) -> None:
        """`nonce` is what this node calls itself in handshakes.

        `dials` says whether it makes links beside those a user named.
        """
        limits = limits or PeerLimits()
        self.limits = limits
        self.nonce = nonce
        self._core = Core(params, chain, limits, random)
        self.bans = BanList(limits.bans)
        self._record = Record(limits.bans)
        self.gossip = Gossip(self._core, AddressBook(limits, random), self.bans, dials=dials)
        self.headers = HeaderSync(self._core)
        self.pings = Pings(self._core)
        self.download = Download(self._core)
        self.transactions = TransactionRelay(self._core)
        self.blocks = BlockRelay(self._core, self.headers, self.download, self.transactions.known)

    @property
    def peers(self) -> dict[PeerId, Peer]:
        """The links that stand."""
        return self._core.peers

    @property
    def is_syncing(self) -> bool:
        """Whether bodies of many blocks are missing."""
        return self._core.is_syncing

    def load(self, transactions: Collection[Transaction]) -> None:
        """Take in what the mempool holds at the start."""
        self.transactions.load(transactions)

    def stop(self) -> None:
        """Dial nobody any more."""
        self._core.is_stopped = True

    def refusal(self, link: Link) -> str | None:
        """Why a link must not be made; None if it may. To be asked before `Connected`."""
        core = self._core
        limits = core.limits
        if not self.gossip.is_active:
            return "no links are wanted now"
        if self.bans.has(link.host, link.address, core.time):
            return "banned"
        if link.hello is not None:
            if link.hello.genesis != core.params.genesis.hash:
                return "another chain"
            if link.hello.nonce == self.nonce:
                return "this is myself"
            twin = self._twin(link)
            if twin is not None and not self._replaces(link, twin):
                return "connected already"
        if link.is_outbound:
            return None
        inbound = core.alive(lambda p: not p.link.is_outbound)
        if len(inbound) >= limits.inbound:
            return "no free slot"
        here = sum(p.link.host == link.host for p in inbound)
        if here >= limits.inbound_per_host and not is_local(link.host):
            return "too many links from one host"
        return None

    def _twin(self, link: Link) -> Peer | None:
        """Another link with the same node."""
        for peer in self._core.alive():
            if (
                peer.link.hello is not None
                and link.hello is not None
                and peer.link.hello.nonce == link.hello.nonce
            ):
                return peer
        return None

    def _replaces(self, link: Link, twin: Peer) -> bool:
        """Of two links with one node, that one stays which the smaller nonce dialled.

        Both ends know both nonces, so they agree. Of two that we dialled (by different names of
        one node) the older stays, of two that came in the newer: the dialler lost the older one.
        """
        if link.hello is None or link.is_outbound == twin.link.is_outbound:
            return not link.is_outbound
        return link.is_outbound == (self.nonce < link.hello.nonce)

    # -- the step -----------------------------------------------------------------------------

    def handle(self, event: Event, now: float, time: int) -> list[Action]:
        """Take one event; `now` is monotonic, `time` unix seconds. Returns what is to be done."""
        core = self._core
        core.now, core.time = now, time
        self._dispatch(event)
        self._settle()
        actions, core.actions = core.actions, []
        return actions

    def _settle(self) -> None:
        """Drop whom the event doomed, then see what may be asked for."""
        core = self._core
        while core.doomed:
            peer_id, (why, is_banned) = core.doomed.popitem()
            peer = core.peers.get(peer_id)
            if peer is None:
                continue
            target = ban_target(peer.link) if is_banned else None
            if target is not None:
                self.bans.set(target, core.time + core.limits.ban_seconds, core.time)
            else:
                self._record.keep(peer.link, peer.score)
            core.act(Disconnect(peer_id, why, target is not None))
            self._forget(peer)
        if core.want_schedule:
            core.want_schedule = False
            for peer in core.alive():
                if self.blocks.fetch_compact(peer):
                    break
            self.download.schedule()

    def _forget(self, peer: Peer) -> None:
        core = self._core
        peer.is_gone = True
        del core.peers[peer.id]
        self.headers.forget(peer)
        self.blocks.forget(peer)
        self.download.forget(peer)
        self.transactions.forget(peer)
        self.gossip.disconnected(peer)

    def _dispatch(self, event: Event) -> None:
        match event:
            case Tick():
                self._tick()
            case Connected(link):
                self._connected(link)
            case DialFailed():
                self.gossip.failed(event)
            case TipMoved(tip, connected):
                self.download.tip_moved()
                self.transactions.tip_moved(connected)
                self.blocks.tip_moved(tip, connected)
                self._core.want_schedule = True
            case TransactionAdded(tx):
                self.transactions.added(tx)
            case TransactionRemoved(tx):
                self.transactions.removed(tx)
            case TransactionChecked(peer_id, tx, error):
                self.transactions.checked(self._core.peers.get(peer_id), tx, error)
            case BlockChecked(_, block_hash, error):
                self.download.checked(block_hash, error)
            case AddNode(address):
                self.gossip.add_node(address)
            case RemoveNode(address):
                self.gossip.remove_node(address)
            case SetBan(target, until):
                self.gossip.set_ban(target, until)
            case Found(address):
                self.gossip.found(address)
            case SetActive(is_active):
                self.gossip.set_active(is_active)
            case PingAll():
                self.pings.ask_all()
            case _:
                peer = self._core.peers.get(event.peer)
                if peer is not None:
                    self._of_peer(peer, event)

    def _of_peer(
        self,
        peer: Peer,
        event: Disconnected | Received | Answered | Failed | Garbage | HeadersChecked,
    ) -> None:
        match event:
            case Received(_, message):
                self._received(peer, message)
            case Answered(_, request):
                self._unanswered(peer, request)
            case Failed(_, request, why, is_hostile):
                if is_hostile:
                    self._core.punish(peer, 100, why)
                else:
                    self._core.drop(peer, why)
            case Garbage(_, why):
                self._core.punish(peer, 100, why)
            case HeadersChecked():
                self.headers.checked(peer, event)
            case Disconnected():
                self._record.keep(peer.link, peer.score)
                self._forget(peer)
                self._core.want_schedule = True

    def _connected(self, link: Link) -> None:
        core = self._core
        twin = self._twin(link)
        if twin is not None:
            if not self._replaces(link, twin):
                core.act(Disconnect(link.peer, "connected already"))
                return
            core.drop(twin, "connected twice")
            self._record.keep(twin.link, twin.score)
        known = BoundedSet[bytes](core.limits.known_ids)
        peer = Peer(link, core.now, known, core.limits.address_burst)
        peer.tokens_at = core.now
        peer.score = self._record.take(link)
        if link.hello is not None:
            peer.claimed_work = link.hello.work
            peer.clock_offset = link.hello.time - core.time
        core.peers[link.peer] = peer
        self.gossip.connected(peer)
        self.blocks.connected(peer)
        self.headers.connected(peer)
        self.transactions.connected(peer)
        self.pings.connected(peer)

    def _tick(self) -> None:
        self.headers.tick()
        self.download.tick()
        self.transactions.tick()
        self.pings.tick()
        self.gossip.dial_due()
        self._core.want_schedule = True

    def _received(self, peer: Peer, message: Message) -> None:
        match message:
            case Headers(headers):
                self.headers.received(peer, headers)
            case Announce(headers):
                self.headers.announced(peer, headers)
            case BlockBody(header, data):
                self.download.received(peer, header, data)
            case CompactBlock():
                self.blocks.received(peer, message)
            case BlockTransactions(block_hash, transactions):
                self.blocks.filled(peer, block_hash, transactions)
            case TransactionIds(ids):
                self.transactions.announced(peer, ids)
            case Transactions(transactions):
                self.transactions.received(peer, transactions)
            case NotFound(hashes):
                self._not_found(peer, hashes)
            case SendCompact(flag):
                peer.wants_compact = flag
            case Addresses(addresses):
                self.gossip.received(peer, addresses)
            case Ping(nonce):
                self.pings.asked(peer, nonce)
            case Pong(nonce):
                self.pings.answered(peer, nonce)
            case _:
                pass  # requests are answered without the machine

    def _not_found(self, peer: Peer, hashes: tuple[bytes, ...]) -> None:
        for block_hash in hashes:
            if block_hash in peer.blocks:
                self.blocks.release(peer, block_hash)
                self.download.not_found(peer, block_hash)
        self.transactions.not_found(peer, hashes)

    def _unanswered(self, peer: Peer, request: Request) -> None:
        """Whatever of a request is still open will not be answered any more."""
        match request:
            case GetBlocks(hashes):
                for block_hash in hashes:
                    if block_hash in peer.blocks:
                        self.download.release(peer, block_hash)
            case GetTransactions(ids):
                self.transactions.not_found(peer, ids)
            case GetAddresses():
                peer.wants_addresses = False
            case _:
                pass  # one message is the whole answer, and it may have led to a new request
