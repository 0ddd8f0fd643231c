"""Headers first: whom to ask, what to believe, and what to count before it is let in."""

from misocoin.consensus.difficulty import is_proof_of_work, work_from_bits
from misocoin.consensus.tree import HeaderNode
from misocoin.errors import ValidationError
from misocoin.peers.events import INTERNAL, CheckHeaders, HeadersChecked, PeerId
from misocoin.peers.limits import MAX_HEADERS
from misocoin.peers.messages import GetHeaders
from misocoin.peers.peer import Core, Peer, last_good, locator
from misocoin.peers.presync import Presync
from misocoin.primitives.block import BlockHeader

MOST_UNCONNECTED = 10
"""Announcements in a row with unknown parents, before they are held against a peer."""

FULL_ANSWER = MAX_HEADERS - 1
"""Headers from which on an answer counts as full: REST's 2,000 begin with the one asked by."""

NO_DEED = frozenset({"duplicate-invalid", "bad-prevblk", INTERNAL})
"""Verdicts on headers that are no deed of the peer's: it could be told of the failed block only
while they waited for this check (the next ones count), or the fault is ours."""

TOO_LITTLE = (
    "has less work than this network is known to have; "
    "no block of it is fetched until it has more (-minimumchainwork=0 takes it as it is)"
)

REFRESH_SECONDS = 60.0
"""How often a silent peer is asked whether it has more."""


class HeaderSync:
    """Keeps our header tree level with every peer's."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self.source: PeerId | None = None
        """The peer that a long sync runs with: headers come from one at a time."""

    def connected(self, peer: Peer) -> None:
        """Ask a new peer, unless a long sync with another is going on."""
        if self.source is None:
            self.ask(peer)
        else:
            peer.headers_due = self._core.now

    def forget(self, peer: Peer) -> None:
        """A peer is gone."""
        self._end(peer)

    def ask(self, peer: Peer, start: HeaderNode | None = None) -> None:
        """Ask for what follows `start`, or our best header's parent.

        The parent, so that a peer with the same best header shows that it has it.
        """
        if peer.headers_since is not None:
            return
        core = self._core
        best = core.chain.best_header
        self._send(peer, locator(start or best.parent or best))

    def _send(self, peer: Peer, hashes: tuple[bytes, ...]) -> None:
        core = self._core
        peer.headers_since = core.now
        peer.headers_due = core.now + REFRESH_SECONDS * core.random.uniform(0.8, 1.2)
        core.send(peer, GetHeaders(hashes))

    def _end(self, peer: Peer) -> None:
        """A row of answers of this peer is over; another may begin."""
        peer.presync = None
        peer.was_full = False
        core = self._core
        if self.source == peer.id:
            self.source = None
            for other in core.alive(lambda other: other is not peer):
                if other.best is None or other.claimed_work > core.chain.best_header.chain_work:
                    self.ask(other)
        unknown, peer.unknown = peer.unknown, b""
        if unknown and not peer.is_gone and core.chain.get(unknown) is None:
            self._seek(peer)

    def tick(self) -> None:
        """Look for late answers and peers that were silent for long."""
        core = self._core
        for peer in core.alive():
            since = peer.headers_since
            if peer.refused is not None and not core.chain.is_failed(peer.refused):
                node, peer.refused = peer.refused, None  # our owner thinks better of it
                self.shown(peer, node)
                self.ask(peer, node)
            if since is not None:
                if core.now - since > core.limits.headers_seconds:
                    core.drop(peer, "no headers in time")
            elif core.now >= peer.headers_due and self.source is None:
                self.ask(peer)

    # -- headers come -------------------------------------------------------------------------

    def received(self, peer: Peer, headers: tuple[BlockHeader, ...]) -> None:
        """Take an answer; one that nobody waits for counts as an announcement."""
        if peer.headers_since is None:
            self.announced(peer, headers)
            return
        peer.headers_since = None
        peer.has_answered = True
        if not headers:
            self._end(peer)
        elif peer.presync is None:
            self._take(peer, headers)
        elif self._is_row(peer, headers):
            self._continue_presync(peer, peer.presync, headers, len(headers) >= FULL_ANSWER)

    def announced(self, peer: Peer, headers: tuple[BlockHeader, ...]) -> None:
        """Take headers of new blocks."""
        if headers:
            self._take(peer, headers)

    def _is_row(self, peer: Peer, headers: tuple[BlockHeader, ...]) -> bool:
        pairs = zip(headers, headers[1:], strict=False)
        if any(after.prev_hash != before.hash for before, after in pairs):
            self._core.punish(peer, 100, "headers that are not in a row")
            return False
        return True

    def _take(self, peer: Peer, headers: tuple[BlockHeader, ...]) -> None:
        core = self._core
        if not self._is_row(peer, headers):
            return
        parent = core.chain.get(headers[0].prev_hash)
        if parent is None:
            self._unconnected(peer, headers)
            return
        peer.unconnected = 0
        if not all(is_proof_of_work(h.hash, h.bits, core.params) for h in headers):
            core.punish(peer, 100, "headers without proof of work")
            return
        self._admit(peer, parent, headers, len(headers) >= FULL_ANSWER)

    def _unconnected(self, peer: Peer, headers: tuple[BlockHeader, ...]) -> None:
        """Ask for what lies between, once: many announcements may come in one go."""
        core = self._core
        if core.chain.get(headers[0].hash) is not None:
            return  # genesis itself
        if peer.headers_since is not None:
            peer.unknown = headers[-1].hash  # the answer on its way may be older than this news
            return
        self._seek(peer)

    def _seek(self, peer: Peer) -> None:
        """Ask for what lies between our headers and those that a peer announced."""
        core = self._core
        peer.unconnected += 1
        if peer.unconnected > MOST_UNCONNECTED:
            core.punish(peer, 20, "headers that lead nowhere")
        self.ask(peer, core.chain.best_header)

    def _admit(
        self, peer: Peer, parent: HeaderNode, headers: tuple[BlockHeader, ...], is_full: bool
    ) -> None:
        core = self._core
        node, new = parent, headers
        while new:
            known = core.chain.get(new[0].hash)
            if known is None:
                break
            node, new = known, new[1:]
        if core.chain.is_failed(node):
            self._failed(peer, node)
            return
        self.shown(peer, node)
        if not new:
            self._more(peer, node, is_full)
            return
        work = node.chain_work + sum(work_from_bits(header.bits) for header in new)
        if work >= core.enough_work():
            peer.was_full = is_full
            if is_full and self.source is None:
                self.source = peer.id
            core.act(CheckHeaders(peer.id, new))
        elif is_full:
            presync = Presync(node, core.params, core.enough_work(), core.limits.presync_batches)
            peer.presync = presync
            self._continue_presync(peer, presync, new, is_full)
        else:
            self._too_little(peer, work, node.height + len(new))

    def _failed(self, peer: Peer, node: HeaderNode) -> None:
        """The peer follows a block that we do not: one that breaks a rule, or one refused by hand.

        The latter is our owner's affair: the peer is taken to be where the branch leaves ours.
        """
        core = self._core
        if not core.chain.is_refused(node):
            core.punish(peer, 100, "headers on an invalid block")
            return
        peer.refused = node
        self.shown(peer, last_good(core.chain, node))
        self._end(peer)

    def _too_little(self, peer: Peer, work: int, height: int) -> None:
        """The peer has no more, and what it has is not enough."""
        core = self._core
        if peer.claimed_work > work:
            core.punish(peer, 50, "headers with less work than it claimed")
        elif work < core.params.minimum_chain_work:
            core.remark(peer, TOO_LITTLE, f"its chain of {height} blocks")
        self._end(peer)

    def _continue_presync(
        self, peer: Peer, presync: Presync, headers: tuple[BlockHeader, ...], is_full: bool
    ) -> None:
        core = self._core
        if presync.is_enough:
            again = presync.confirm(headers)
            if again is None:
                # A reorg of the peer's, or a lie: all anew.
                core.punish(peer, 10, "other headers than before")
                self._end(peer)
                return
            peer.was_full = is_full
            core.act(CheckHeaders(peer.id, again))
            return
        try:
            is_enough = presync.feed(headers)
        except ValidationError as error:
            core.punish(peer, 100, f"headers: {error}")
            self._end(peer)
            return
        if is_enough:
            self._send(peer, locator(presync.fork))
        elif is_full:
            self._send(peer, (presync.last_hash,))
        else:
            self._too_little(peer, presync.work, presync.height)

    def shown(self, peer: Peer, node: HeaderNode) -> None:
        """The peer has shown that it has this block."""
        if peer.best is None or node.chain_work >= peer.best.chain_work:
            if peer.best is not node:
                peer.best = node
                peer.common = None
            self._core.want_schedule = True

    def checked(self, peer: Peer, event: HeadersChecked) -> None:
        """The chain has looked at headers of this peer."""
        core = self._core
        if event.nodes:
            self.shown(peer, event.nodes[-1])
        if event.error is not None:
            self._refused(peer, event.error)
            return
        presync = peer.presync
        if presync is not None and presync.is_done:
            peer.presync = None
        last = event.nodes[-1] if event.nodes else core.chain.best_header
        self._more(peer, last, peer.was_full or peer.presync is not None)

    def _refused(self, peer: Peer, error: Exception) -> None:
        core = self._core
        reason = error.reason if isinstance(error, ValidationError) else ""
        if reason == "time-too-new":
            core.note_future(peer)
        elif reason and reason not in NO_DEED:
            core.punish(peer, 100, f"invalid headers: {error}")
        peer.unknown = b""
        self._end(peer)

    def _more(self, peer: Peer, last: HeaderNode, is_full: bool) -> None:
        """Go on after `last` if there may be more, but not too far ahead of the blocks."""
        core = self._core
        peer.was_full = False
        if not is_full:
            self._end(peer)
        elif last.height - core.chain.tip.height <= core.limits.headers_ahead:
            self.ask(peer, last)
        else:
            peer.unknown = b""
            self._end(peer)
            peer.headers_due = core.now + 5.0
