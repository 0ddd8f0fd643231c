"""Which block to ask of whom, and in which order to hand blocks to validation.

Every peer is asked only for blocks on branches that it has shown the headers of. Several peers are
asked at once, within a window above the first missing block; bodies wait here until their parents
were handed over, so that validation sees them in order.
"""

from collections import deque
from math import inf

from misocoin.consensus.tree import HeaderNode, fork_point
from misocoin.errors import MisocoinError, ValidationError
from misocoin.peers.events import INTERNAL, CheckBlock, PeerId
from misocoin.peers.limits import MAX_BLOCKS, MAX_BODY
from misocoin.peers.messages import GetBlocks
from misocoin.peers.peer import Core, Peer, last_good
from misocoin.primitives.block import Block, BlockHeader

STEP = 64
"""Headers looked at together when the next missing blocks are sought."""

RECENT_SIZES = 32
"""Bodies by whose largest the size of the next ones is guessed."""

NOT_FOUND_SECONDS = 3.0
"""Pause before a block is asked again of a peer that did not have it."""

ABANDONED = frozenset({"duplicate-invalid", "bad-prevblk", "prev-blk-not-found", "time-too-new"})
"""Verdicts that are about another block than the one in hand, or about the clock."""

AGAIN_SECONDS = 60.0
"""Pause before a block is asked again of a peer because it could not be judged."""


class Download:
    """The blocks that are asked for, waiting, or being validated."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._asked: dict[bytes, dict[PeerId, float]] = {}
        """Block -> who was asked, and when."""
        self._waiting: dict[bytes, tuple[PeerId, BlockHeader, bytes]] = {}
        """Bodies that came before their parents."""
        self._children: dict[bytes, list[bytes]] = {}
        """Parent -> bodies among `_waiting`."""
        self._waiting_bytes = 0
        self._checking: dict[bytes, tuple[PeerId, int, bool]] = {}
        """Handed to validation: from whom, its size, whether its sender vouches for it."""
        self._checking_bytes = 0
        self._sizes: deque[int] = deque([1000], RECENT_SIZES)
        self._patience = core.limits.stall_seconds
        self._broken: dict[tuple[PeerId, bytes], float] = {}
        """Blocks not to be asked of a peer (again) before a time."""

    # -- asking -------------------------------------------------------------------------------

    @property
    def in_flight(self) -> int:
        """Blocks asked for and not here."""
        return len(self._asked)

    @property
    def held_bytes(self) -> int:
        """Bytes of bodies that are kept here or handed to validation."""
        return self._waiting_bytes + self._checking_bytes

    def knows(self, block_hash: bytes) -> bool:
        """Whether a block is here already, though not stored."""
        return block_hash in self._waiting or block_hash in self._checking

    def is_asked(self, block_hash: bytes) -> bool:
        """Whether a block is on its way."""
        return block_hash in self._asked

    def note_asked(self, peer: Peer, block_hash: bytes) -> None:
        """A block was asked of a peer (here, or in compact form)."""
        self._asked.setdefault(block_hash, {})[peer.id] = self._core.now
        peer.blocks.add(block_hash)

    def schedule(self) -> None:
        """Ask every peer that has room for the next blocks that are missing."""
        core = self._core
        tip = core.chain.tip
        peers = core.alive(
            lambda p: p.best is not None and p.best.chain_work > tip.chain_work,
        )
        # Those who have the least to do come first, so that work spreads.
        for peer in sorted(peers, key=lambda p: (len(p.blocks), p.id)):
            room = 2 * self._batch() - len(peer.blocks)
            if room >= self._batch() or not peer.blocks:
                nodes = self._next_missing(peer, min(room, self._batch()))
                if nodes:
                    self._ask(peer, nodes)

    def _batch(self) -> int:
        """Blocks in one request: fewer where they are large."""
        fit = MAX_BODY // 2 // max(self._sizes)
        return max(1, min(self._core.limits.blocks_per_peer, MAX_BLOCKS, fit))

    def _ask(self, peer: Peer, nodes: list[HeaderNode]) -> None:
        for node in nodes:
            self.note_asked(peer, node.hash)
        self._core.send(peer, GetBlocks(tuple([node.hash for node in nodes])))

    def _next_missing(self, peer: Peer, count: int) -> list[HeaderNode]:
        """The lowest blocks on the peer's branch that nobody was asked for."""
        core = self._core
        best = peer.best
        if best is None or core.chain.is_failed(best):
            return []
        common = peer.common or fork_point(core.chain.tip, best)
        last = min(best.height, common.height + core.limits.window)
        found: list[HeaderNode] = []
        height, in_row = common.height, True
        while height < last and len(found) < count:
            top = best.ancestor(min(last, height + STEP))
            row = list(top.back_to(best.ancestor(height)))
            for node in reversed(row):
                height = node.height
                if core.chain.has_body(node):
                    if in_row:
                        peer.common = node
                    continue
                in_row = in_row and self.knows(node.hash)
                if self.knows(node.hash) or node.hash in self._asked:
                    continue
                if self._is_broken(peer, node.hash):
                    return found
                if found or self._asked or self._waiting:
                    ahead = len(self._asked) + len(found)
                    if self.held_bytes + ahead * max(self._sizes) > core.limits.window_bytes:
                        return found
                found.append(node)
                if len(found) == count:
                    break
        return found

    # -- coming -------------------------------------------------------------------------------

    def received(self, peer: Peer, header: BlockHeader, data: bytes) -> None:
        """A body came."""
        core = self._core
        block_hash = header.hash
        if block_hash not in peer.blocks:
            if block_hash not in peer.late:
                core.punish(peer, 50, "a block that was not asked for")
            return
        self.take(peer, header, data)

    def take(self, peer: Peer, header: BlockHeader, data: bytes) -> None:
        """Keep a body that was asked for until its turn comes."""
        core = self._core
        block_hash = header.hash
        self._sizes.append(len(data))
        self._settle(block_hash)
        core.want_schedule = True
        node = core.chain.get(block_hash)
        if self.knows(block_hash) or (node is not None and core.chain.has_body(node)):
            return
        self._waiting[block_hash] = (peer.id, header, data)
        self._children.setdefault(header.prev_hash, []).append(block_hash)
        self._waiting_bytes += len(data)
        self._hand_over(header.prev_hash)

    def submit(self, peer: Peer, block: Block, size: int) -> None:
        """Validate a block put together from a compact one; its parent is stored."""
        self._settle(block.hash)
        if self.knows(block.hash):
            return
        # Compact blocks are passed on before validation, so their sender does not vouch for them.
        self._checking[block.hash] = (peer.id, size, False)
        self._checking_bytes += size
        self._core.act(CheckBlock(peer.id, block.hash, block))

    def _settle(self, block_hash: bytes) -> None:
        """A block is here: nobody is waited for any more."""
        core = self._core
        for peer_id in self._asked.pop(block_hash, {}):
            peer = core.peers.get(peer_id)
            if peer is not None:
                peer.blocks.discard(block_hash)
                peer.late.add(block_hash)

    def _hand_over(self, parent_hash: bytes) -> None:
        """Give bodies to validation whose parents are stored or went there before."""
        core = self._core
        ready = [parent_hash]
        while ready:
            parent = ready.pop()
            if parent not in self._checking:
                node = core.chain.get(parent)
                if node is None or not core.chain.has_body(node):
                    continue
            children = self._children.get(parent, [])
            while children and len(self._checking) < core.limits.checks:
                block_hash = children.pop()
                peer_id, _, data = self._waiting.pop(block_hash)
                self._waiting_bytes -= len(data)
                self._checking[block_hash] = (peer_id, len(data), True)
                self._checking_bytes += len(data)
                core.act(CheckBlock(peer_id, block_hash, data))
                ready.append(block_hash)
            if not children:
                self._children.pop(parent, None)

    def checked(self, block_hash: bytes, error: MisocoinError | None) -> None:
        """Validation is through with a block."""
        core = self._core
        core.want_schedule = True
        sender_id, size, vouched = self._checking.pop(block_hash, (PeerId(0), 0, False))
        self._checking_bytes -= size
        sender = core.peers.get(sender_id)
        if error is None:
            if sender is not None:
                sender.last_block = core.time
            self._hand_over(block_hash)
        else:
            node = core.chain.get(block_hash)
            if node is None or core.chain.is_failed(node):
                self._discard_children(block_hash)
            if sender is not None:
                self._judge(sender, block_hash, error, vouched=vouched)
            self._leave_invalid()
        # There may be room for others now.
        if len(self._checking) < core.limits.checks:
            for parent in list(self._children):
                if parent in self._checking or self._is_stored(parent):
                    self._hand_over(parent)

    def _is_stored(self, block_hash: bytes) -> bool:
        node = self._core.chain.get(block_hash)
        return node is not None and self._core.chain.has_body(node)

    def _judge(
        self, sender: Peer, block_hash: bytes, error: MisocoinError, *, vouched: bool
    ) -> None:
        core = self._core
        reason = error.reason if isinstance(error, ValidationError) else ""
        is_judged = reason not in ABANDONED and reason != INTERNAL
        self._broken[sender.id, block_hash] = inf if is_judged else core.now + AGAIN_SECONDS
        if reason:
            if vouched and is_judged:
                core.punish(sender, 100, f"invalid block: {error}")
        else:
            core.punish(sender, 100, f"a block that cannot be read: {error}")

    def _discard_children(self, block_hash: bytes) -> None:
        """Forget bodies that waited above a block that is no good."""
        gone = [block_hash]
        while gone:
            for child in self._children.pop(gone.pop(), []):
                _, _, data = self._waiting.pop(child)
                self._waiting_bytes -= len(data)
                gone.append(child)

    def _leave_invalid(self) -> None:
        """Peers whose best header turned out invalid have shown only what is below."""
        chain = self._core.chain
        for peer in self._core.alive(lambda p: p.best is not None and chain.is_failed(p.best)):
            if peer.best is not None:
                if chain.is_refused(peer.best):
                    peer.refused = peer.best
                peer.best, peer.common = last_good(chain, peer.best), None

    # -- not coming ---------------------------------------------------------------------------

    def release(self, peer: Peer, block_hash: bytes) -> None:
        """A peer will not send a block; others may be asked."""
        peer.blocks.discard(block_hash)
        peer.late.add(block_hash)
        asked = self._asked.get(block_hash)
        if asked is not None:
            asked.pop(peer.id, None)
            if not asked:
                del self._asked[block_hash]
        self._core.want_schedule = True

    def not_found(self, peer: Peer, block_hash: bytes) -> None:
        """A peer does not have a block whose header it showed, or not yet.

        An honest one may have passed on a compact block that it is still validating.
        """
        self.release(peer, block_hash)
        self._broken[peer.id, block_hash] = self._core.now + NOT_FOUND_SECONDS
        self._core.punish(peer, 5, "blocks it announced are not to be had from it")

    def _is_broken(self, peer: Peer, block_hash: bytes) -> bool:
        return self._broken.get((peer.id, block_hash), 0.0) > self._core.now

    def forget(self, peer: Peer) -> None:
        """A peer is gone."""
        for block_hash in list(peer.blocks):
            self.release(peer, block_hash)
        self._broken = {key: until for key, until in self._broken.items() if key[0] != peer.id}

    def tick(self) -> None:
        """Ask others for what is late, first of all for what everything waits for."""
        core = self._core
        limits = core.limits
        self._leave_invalid()
        for block_hash, asked in list(self._asked.items()):
            for peer_id, since in list(asked.items()):
                peer = core.peers.get(peer_id)
                if peer is not None and core.now - since > 2 * limits.block_seconds:
                    self.release(peer, block_hash)
                    self._stalled(peer)
        self._race()

    def _race(self) -> None:
        """Ask a second peer for the lowest missing block when the first keeps all waiting."""
        core = self._core
        lowest: HeaderNode | None = None
        for block_hash in self._asked:
            node = core.chain.get(block_hash)
            if node is not None and (lowest is None or node.height < lowest.height):
                lowest = node
        if lowest is None:
            return
        asked = self._asked[lowest.hash]
        if core.now - max(asked.values()) < self._patience:
            return
        slow = [core.peers[p] for p in asked if p in core.peers]
        others = core.alive(
            lambda p: (
                p.id not in asked
                and p.best is not None
                and lowest.is_ancestor_of(p.best)
                and not self._is_broken(p, lowest.hash)
            )
        )
        if not others:
            return
        other = min(others, key=lambda p: (p.stalls, len(p.blocks), p.id))
        self._patience = min(self._patience * 2, core.limits.block_seconds)
        for peer in slow:
            self._stalled(peer)
        self._ask(other, [lowest])

    def _stalled(self, peer: Peer) -> None:
        peer.stalls += 1
        if peer.stalls >= self._core.limits.stalls:
            self._core.drop(peer, "it stalls")

    def tip_moved(self) -> None:
        """Blocks get connected: patience returns to what it was, step by step."""
        self._leave_invalid()
        self._patience = max(self._core.limits.stall_seconds, self._patience * 0.85)
