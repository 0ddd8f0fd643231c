"""News of blocks: announced by header, or pushed in compact form; compact ones put together.

A compact block on our tip whose proof of work and context hold is passed on before its
transactions are validated, to those who asked for that (BIP152's high bandwidth mode).
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from misocoin.consensus.block_rules import check_header, check_header_context
from misocoin.consensus.tree import HeaderNode, fork_point, header_context
from misocoin.errors import ValidationError
from misocoin.peers.compact import PartialBlock, compact_from_block, partial_from_compact
from misocoin.peers.download import Download
from misocoin.peers.events import PeerId
from misocoin.peers.headers import HeaderSync
from misocoin.peers.limits import MAX_HEADERS
from misocoin.peers.messages import (
    Announce,
    CompactBlock,
    GetBlocks,
    GetBlockTransactions,
    GetCompact,
    Message,
    SendCompact,
)
from misocoin.peers.peer import SYNCING_BLOCKS, Core, Peer
from misocoin.primitives.block import Block
from misocoin.primitives.transaction import Transaction

MOST_MISSING = 0.5
"""Share of a compact block's transactions that may be missing; beyond it the whole is asked for."""


@dataclass(slots=True)
class _Partial:
    peer: PeerId
    compact: CompactBlock
    block: PartialBlock


class BlockRelay:
    """Tells of our blocks and takes news of others'."""

    def __init__(
        self,
        core: Core,
        headers: HeaderSync,
        download: Download,
        known: Callable[[], Collection[Transaction]],
    ) -> None:
        """`known` gives the transactions that a block may hold."""
        self._core = core
        self._headers = headers
        self._download = download
        self._known = known
        self._partials: dict[bytes, _Partial] = {}
        self._last: CompactBlock | None = None
        """The compact form of the newest block."""

    # -- who pushes to us ---------------------------------------------------------------------

    def connected(self, peer: Peer) -> None:
        """Ask a new peer to push compact blocks, if too few do, and tell it of our tip.

        A block that came between the handshake and now was told to nobody. Who is far behind
        asks for headers anyway.
        """
        self._ask_for_compact()
        core, hello = self._core, peer.link.hello
        tip = core.chain.tip
        if hello is None or core.is_syncing or not tip.height:
            return
        if tip.height - hello.height <= SYNCING_BLOCKS:
            core.send(peer, Announce((tip.header,)))
            peer.told = tip

    def forget(self, peer: Peer) -> None:
        """A peer is gone."""
        for block_hash in [h for h, p in self._partials.items() if p.peer == peer.id]:
            del self._partials[block_hash]
        if peer.sends_compact:
            self._ask_for_compact()

    def _ask_for_compact(self) -> None:
        core = self._core
        ours = core.alive(lambda p: p.is_ours)
        missing = core.limits.compact_peers - sum(p.sends_compact for p in ours)
        free = sorted(
            (p for p in ours if not p.sends_compact), key=lambda p: not p.link.is_outbound
        )
        for peer in free[: max(missing, 0)]:
            peer.sends_compact = True
            core.send(peer, SendCompact(high_bandwidth=True))

    def _prefer(self, peer: Peer) -> None:
        """Have the peer that was first with a block push the next ones, instead of another."""
        core = self._core
        if peer.sends_compact or not peer.is_ours:
            return
        pushing = core.alive(lambda p: p.sends_compact)
        if len(pushing) >= core.limits.compact_peers:
            other = min(pushing, key=lambda p: (p.best.chain_work if p.best else 0, p.id))
            other.sends_compact = False
            core.send(other, SendCompact(high_bandwidth=False))
        peer.sends_compact = True
        core.send(peer, SendCompact(high_bandwidth=True))

    # -- our news -----------------------------------------------------------------------------

    def tip_moved(self, tip: HeaderNode, connected: Iterable[Block]) -> None:
        """Tell everyone of our new tip, those who told us of it too: so they know how far we are.

        Who was pushed the block hears of it again, by its header: it may have had no use for a
        block whose parent it was still validating, and only now we can give headers up to it.
        """
        core = self._core
        self._note_pushed()
        self._partials = {
            h: p
            for h, p in self._partials.items()
            if (node := core.chain.get(h)) is None or not core.chain.has_body(node)
        }
        if core.is_syncing:
            return
        block = next((b for b in connected if b.hash == tip.hash), None)
        for peer in core.alive(lambda p: p.is_ours and p.told is not tip):
            message: Message
            if peer.best is not None and tip.is_ancestor_of(peer.best):
                if peer.best is not tip:
                    continue  # there is more to come from it
                message = Announce((tip.header,))
            elif peer.told_hash == tip.hash or block is None or not self._takes(peer, tip):
                message = self._news(peer, tip)
            else:
                message = self._compact(block)
            core.send(peer, message)
            peer.told = tip

    def _note_pushed(self) -> None:
        """Peers have the blocks that they pushed, once these are in our tree."""
        chain = self._core.chain
        for peer in self._core.alive(lambda p: bool(p.pushed)):
            node = chain.get(peer.pushed)
            if node is not None:
                peer.pushed = b""
                if not chain.is_failed(node):
                    self._headers.shown(peer, node)

    @staticmethod
    def _takes(peer: Peer, tip: HeaderNode) -> bool:
        """Whether a peer asked for compact blocks and can use this one."""
        return peer.wants_compact and tip.parent is not None and peer.has(tip.parent)

    def _compact(self, block: Block) -> CompactBlock:
        if self._last is None or self._last.header.hash != block.hash:
            self._last = compact_from_block(block, self._core.random.getrandbits(64))
        return self._last

    @staticmethod
    def _news(peer: Peer, tip: HeaderNode) -> Announce:
        """The headers that lead from what a peer has to our tip, or just the tip's."""
        known = [node for node in (peer.best, peer.told) if node is not None]
        start = max((fork_point(node, tip) for node in known), default=None, key=_height)
        if start is None or tip.height - start.height > MAX_HEADERS:
            return Announce((tip.header,))
        return Announce(tuple([node.header for node in tip.back_to(start)][::-1]))

    # -- others' news -------------------------------------------------------------------------

    def fetch_compact(self, peer: Peer) -> bool:
        """Ask for a peer's new block in compact form, if it follows our tip and helps; True if so.

        That is the case when we know transactions that it may hold.
        """
        core = self._core
        node = peer.best
        if (
            node is None
            or node.parent is not core.chain.tip
            or not peer.is_ours
            or not self._known()
            or self._is_here(node.hash)
            or self._download.is_asked(node.hash)
            or node.hash in peer.late
            or core.chain.has_body(node)
        ):
            return False
        self._download.note_asked(peer, node.hash)
        core.send(peer, GetCompact(node.hash))
        return True

    def _is_here(self, block_hash: bytes) -> bool:
        return block_hash in self._partials or self._download.knows(block_hash)

    def received(self, peer: Peer, compact: CompactBlock) -> None:
        """Take a compact block, asked for or pushed."""
        core = self._core
        header = compact.header
        known = core.chain.get(header.hash)
        parent = core.chain.get(header.prev_hash)
        was_asked = header.hash in peer.blocks
        if parent is None or (known is not None and core.chain.has_body(known)):
            self._headers.announced(peer, (header,))
            return
        if parent is not core.chain.tip and not was_asked:
            self._headers.announced(peer, (header,))
            return
        if core.chain.is_failed(parent) or (known is not None and core.chain.is_failed(known)):
            if was_asked:
                self._download.release(peer, header.hash)
            elif not core.chain.is_refused(known or parent):
                core.punish(peer, 20, "a block that is known to be invalid")
            return
        try:
            check_header(header, core.params)
            context = header_context(parent, core.params)
            check_header_context(header, context, core.time, core.params)
        except ValidationError as error:
            if error.reason == "time-too-new":
                core.note_future(peer)
            else:
                core.punish(peer, 100, f"invalid header: {error}")
            return
        peer.pushed = header.hash
        if self._is_here(header.hash):
            if known is not None:
                self._headers.announced(peer, (header,))
            return
        self._begin(peer, compact)

    def _begin(self, peer: Peer, compact: CompactBlock) -> None:
        core = self._core
        block_hash = compact.header.hash
        self._download.note_asked(peer, block_hash)
        partial = partial_from_compact(compact, self._known())
        if partial is None:
            core.send(peer, GetBlocks((block_hash,)))
            return
        missing = partial.missing
        if not missing:
            self._complete(peer, compact, partial)
        elif (
            len(missing) > MOST_MISSING * len(partial.transactions) + 1
            or not peer.is_ours
            or len(self._partials) >= core.limits.partial_blocks
        ):
            core.send(peer, GetBlocks((block_hash,)))
        else:
            self._partials[block_hash] = _Partial(peer.id, compact, partial)
            core.send(peer, GetBlockTransactions(block_hash, missing))

    def filled(self, peer: Peer, block_hash: bytes, transactions: tuple[Transaction, ...]) -> None:
        """Take the missing transactions of a compact block."""
        partial = self._partials.get(block_hash)
        if partial is None or partial.peer != peer.id:
            if block_hash not in peer.late:
                self._core.punish(peer, 20, "transactions of a block that were not asked for")
            return
        del self._partials[block_hash]
        if len(transactions) != len(partial.block.missing):
            self._core.punish(peer, 100, "another number of transactions than was asked for")
            self._download.release(peer, block_hash)
            return
        self._complete(peer, partial.compact, partial.block.fill(transactions))

    def release(self, peer: Peer, block_hash: bytes) -> None:
        """The missing transactions will not come."""
        partial = self._partials.get(block_hash)
        if partial is not None and partial.peer == peer.id:
            del self._partials[block_hash]
        self._download.release(peer, block_hash)

    def _complete(self, peer: Peer, compact: CompactBlock, partial: PartialBlock) -> None:
        core = self._core
        block = partial.complete()
        if block is None:
            # Two transactions with one short id, or a lie: the whole block tells.
            core.send(peer, GetBlocks((compact.header.hash,)))
            return
        self._last = compact
        parent = core.chain.get(compact.header.prev_hash)
        for other in core.alive(lambda p: p.wants_compact and p is not peer):
            if parent is not None and other.has(parent) and other.told_hash != block.hash:
                core.send(other, compact)
                other.told_hash = block.hash
        self._prefer(peer)
        self._download.submit(peer, block, block.size)


def _height(node: HeaderNode) -> int:
    return node.height
