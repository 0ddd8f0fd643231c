"""The chain as it stands: the one writer of headers, blocks and coins.

`ChainState.lock` is the only lock on chain data. `tip` and header nodes are immutable, so that a
reader who took one needs no lock to walk its branch.
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain as chained
from itertools import islice
from typing import NamedTuple

from misocoin.chain.candidates import Candidates
from misocoin.chain.events import BlockConnected, BlockDisconnected, EventBus, TipChanged
from misocoin.chain.indexes import Indexes
from misocoin.chain.reader import ChainReader, block_name
from misocoin.chain.script_checks import ScriptChecks
from misocoin.consensus.block_rules import (
    check_block,
    check_block_context,
    check_header,
    check_header_context,
)
from misocoin.consensus.coins import Coin
from misocoin.consensus.connect import (
    ConnectedBlock,
    connect_block,
    serialize_undo,
    undone_coins,
)
from misocoin.consensus.difficulty import work_from_bits
from misocoin.consensus.tree import HeaderNode, fork_point, header_context
from misocoin.errors import (
    InvalidAncestorError,
    NotFoundError,
    ParseError,
    StoreError,
    ValidationError,
)
from misocoin.params import Params
from misocoin.primitives.block import Block, BlockHeader, block_from_bytes, header_from_bytes
from misocoin.primitives.transaction import OutPoint
from misocoin.store.records import BlockStatus, Changes, StoredHeader
from misocoin.store.store import Store

log = logging.getLogger(__name__)

COIN_BYTES = 400
"""Memory that a cached coin takes, measured with its key and the tables around it."""

NEAR_BLOCKS = 144
"""How many blocks' worth of work behind the tip's a strangers' block may be, as in Core."""

_INHERITED = BlockStatus.FAILED | BlockStatus.REFUSED
"""What is said of a block is said of all that build on it, too."""

FLUSH_INTERVAL = 300.0
"""Seconds after which changed coins go to disk; what a crash costs is replaying as much."""


class ChainOptions(NamedTuple):
    """What a chain state can be told beside its network."""

    coin_cache_bytes: int = 256 << 20
    """Memory for coins before they are flushed."""
    txindex: bool = False
    """Whether to note which block holds each transaction."""
    txospenderindex: bool = False
    """Whether to note what spends each output."""
    blockfilterindex: bool = True
    """Whether to make a filter of each block (BIP158)."""
    addressindex: bool = False
    """Whether to note what happens to each output script."""


class BlockResult(NamedTuple):
    """What became of a block that broke no rule seen so far."""

    node: HeaderNode
    is_new: bool
    """Whether its body was unknown before."""
    in_chain: bool
    """Whether it is part of the active chain now."""


class ChainState(ChainReader):
    """Owns header tree, blocks and coins of one network in one store.

    `now` answers the network time in unix seconds. After `load` it stands at the best block whose
    body is stored.
    """

    def __init__(
        self,
        params: Params,
        store: Store,
        scripts: ScriptChecks,
        events: EventBus,
        now: Callable[[], int],
        options: ChainOptions = ChainOptions(),  # noqa: B008 - an immutable value
    ) -> None:
        self._indexes = Indexes(
            store,
            params.genesis,
            transactions=options.txindex,
            spends=options.txospenderindex,
            filters=options.blockfilterindex,
            addresses=options.addressindex,
        )
        super().__init__(params, store, self._indexes.lookup)
        self.events = events
        self.now = now
        self.options = options
        self._scripts = scripts
        self.filters = self._indexes.filters
        self.addresses = self._indexes.addresses
        self._coin_limit = max(1000, options.coin_cache_bytes // COIN_BYTES)
        self._last_flush = time.monotonic()
        self._flushed = self.tree.genesis
        self._candidates = Candidates(self.tree.genesis, self._is_failed)
        self._unsaved: list[tuple[bytes, bytes]] = []  # headers not in the store yet

    # -- start and stop -----------------------------------------------------------------------

    def load(self, progress: Callable[[int, int], None] = lambda _done, _all: None) -> None:
        """Read the store, then connect what it holds beyond the flushed coins.

        After a crash that is the whole repair. `progress(height, of)` is called as blocks are
        connected. Raises StoreError where the store contradicts itself.
        """
        with self.lock:
            active = self._store.get_meta("active_tip")
            for row in self._store.load_headers():
                self._load_header(row)
            coins_tip = self._store.get_meta("coins_tip")
            if coins_tip is not None:
                node = self.tree.get(coins_tip)
                if (
                    node is None
                    or not self.status(node) & BlockStatus.CONNECTED
                    or not self._candidates.is_linked(node)
                ):
                    raise StoreError("the coins stand for a block that is not in the store")
                self._tip = self._flushed = node
            last = None if active is None else self.tree.get(active)
            if last is not None and self._candidates.is_linked(last):
                self._candidates.prefer(last)  # of equal work, the one we were at before
            # They stand for the last tip; blocks of the flushed branch may be undone.
            known = None if last is None else fork_point(last, self._tip).height
            self._indexes.load(self, known, progress)
            while self._is_failed(self._tip):  # the coins were not written since it was invalidated
                self._disconnect_tip()
            self._activate_best(progress)

    def _load_header(self, row: StoredHeader) -> None:
        status = row.status
        try:
            node = self.tree.add(header_from_bytes(row.header), now=None)
        except (ParseError, ValidationError) as error:
            raise StoreError(f"the store's header tree is damaged: {error}") from error
        if node.hash != row.hash:
            raise StoreError(f"the header of {block_name(node)} is damaged on disk")
        if node.parent is not None:
            status |= self.status(node.parent) & _INHERITED
        self._status[node.hash] = status
        self._note_header(node)
        if status & BlockStatus.DATA:
            self._tx_count[node.hash] = row.tx_count
            self._candidates.link(node)

    def flush(self) -> None:
        """Write headers and coins that the disk does not have yet."""
        with self.lock:
            self._save(Changes())
            if self._coins.is_dirty or self._flushed is not self._tip:
                self._coins.flush(self._tip.hash, keep=self._coin_limit // 2)
                self._flushed = self._tip
            self._last_flush = time.monotonic()

    def iterate_coins_at_tip(self) -> tuple[HeaderNode, Iterator[tuple[OutPoint, Coin]]]:
        """The tip and all coins as of it, by outpoint; the chain may go on while they are read."""
        with self.lock:
            self.flush()
            coins = self._store.iterate_coins()
            # The first row fixes what the database shows to this reader.
            return self._tip, chained(list(islice(coins, 1)), coins)

    def _flush_if_due(self) -> None:
        if (
            len(self._coins) > self._coin_limit
            or time.monotonic() - self._last_flush > FLUSH_INTERVAL
        ):
            try:
                self.flush()
            except StoreError as error:
                # The block is committed and stands; what is in memory stays there for another try.
                log.error("%s; the coins will be written with the next block", error)  # noqa: TRY400

    def _save(self, changes: Changes) -> None:
        changes.headers = self._unsaved + changes.headers
        self._store.apply(changes)
        self._unsaved = []

    def _set_statuses(self, statuses: Mapping[HeaderNode, BlockStatus]) -> None:
        rows = {node.hash: (status, self.tx_count(node)) for node, status in statuses.items()}
        self._save(Changes(statuses=rows))
        self._status.update({node.hash: status for node, status in statuses.items()})

    # -- headers ------------------------------------------------------------------------------

    def accept_headers(self, headers: Iterable[BlockHeader]) -> list[HeaderNode]:
        """Check headers, parents before children, and put them into the tree.

        Raises ValidationError at the first that breaks a rule; those before it stay.
        """
        with self.lock:
            return [self._accept_header(header) for header in headers]

    def _accept_header(self, header: BlockHeader) -> HeaderNode:
        node = self.tree.get(header.hash)
        if node is None:
            check_header(header, self.params)
            parent = self.tree.get(header.prev_hash)
            if parent is not None and self._is_failed(parent):
                raise ValidationError("bad-prevblk", "the parent is invalid")
            node = self.tree.add(header, self.now())
            self._unsaved.append((node.hash, header.serialize()))
            self._note_header(node)
        elif self._is_failed(node):
            raise ValidationError("duplicate-invalid", "the block is known to be invalid")
        return node

    def _note_header(self, node: HeaderNode) -> None:
        if node.chain_work > self._best_header.chain_work and not self._is_failed(node):
            self._best_header = node

    def check_offer(self, header: BlockHeader) -> None:
        """Check that a stranger's block is worth reading: proof of work, a parent, enough work.

        Otherwise anyone could fill the disk with blocks mined at the easiest target. Raises
        ValidationError.
        """
        check_header(header, self.params)
        if self.knows(header.hash):
            return
        parent = self.tree.get(header.prev_hash)
        if parent is None:
            raise ValidationError("prev-blk-not-found", header.prev_hash[::-1].hex())
        tip = self._tip
        least = tip.chain_work - NEAR_BLOCKS * work_from_bits(tip.header.bits)
        if parent.chain_work + work_from_bits(header.bits) < least:
            raise ValidationError("too-little-chainwork", "far behind the tip")

    # -- blocks -------------------------------------------------------------------------------

    def offer_block(self, data: bytes) -> BlockResult:
        """Take a stranger's block as on the wire.

        Raises ParseError, or ValidationError as `check_offer` and `submit_block` do.
        """
        self.check_offer(header_from_bytes(data))
        return self.submit_block(block_from_bytes(data), data)

    def test_block(self, block: Block) -> None:
        """Check a child of the tip as if it had its proof of work; nothing changes.

        Raises ValidationError; `inconclusive-not-best-prevblk` where it builds on another block.
        """
        params = self.params
        with self.lock:
            parent = self._tip
            if block.header.prev_hash != parent.hash:
                raise ValidationError("inconclusive-not-best-prevblk")
            check_header_context(block.header, header_context(parent, params), self.now(), params)
            check_block(block, params, proof_of_work=False)
            check_block_context(block, parent.height + 1, parent.median_time_past, params)
            self._check_connect(HeaderNode(block.header, parent), block, known_good=False)

    def submit_block(self, block: Block, data: bytes | None = None) -> BlockResult:
        """Check a block, store it, and make its branch the active chain if it has the most work.

        `data` is the block as on the wire, where the caller has it. Raises ValidationError where
        the block breaks a rule, also one that only shows when it is connected;
        InvalidAncestorError where a block under it turns out to.
        """
        check_block(block, self.params)
        with self.lock:
            node = self._accept_header(block.header)
            if self.status(node) & BlockStatus.DATA:
                return BlockResult(node, is_new=False, in_chain=self.is_active(node))
            parent = node.parent
            if parent is None:
                return BlockResult(node, is_new=False, in_chain=True)
            try:
                check_block_context(block, node.height, parent.median_time_past, self.params)
            except ValidationError as error:
                if not error.mutated:
                    self._condemn(node)
                raise
            raw = block.serialize() if data is None else data
            if parent is self._tip:
                self._extend(node, block, raw)
            else:
                changes = Changes(bodies=[(node.hash, raw)])
                changes.statuses[node.hash] = (BlockStatus.DATA, len(block.transactions))
                self._save(changes)
                self._status[node.hash] = BlockStatus.DATA
                self._tx_count[node.hash] = len(block.transactions)
                self._candidates.link(node)
                for failed, why in self._activate_best().items():
                    if failed is node:
                        raise why
                    if failed.is_ancestor_of(node):
                        raise InvalidAncestorError(why.reason, why.detail, why.code)
            return BlockResult(node, is_new=True, in_chain=self.is_active(node))

    def _extend(self, node: HeaderNode, block: Block, raw: bytes) -> None:
        """Connect a block to the tip and store it: one commit for all of it."""
        old = self._tip
        try:
            self._connect(node, block, raw)
        except ValidationError:
            self._condemn(node)
            raise
        self._candidates.link(node)
        self._tip_moved(old, old)
        self._activate_best()  # bodies may have waited for this one

    def _activate_best(
        self,
        progress: Callable[[int, int], None] = lambda _done, _all: None,
        old: HeaderNode | None = None,
    ) -> dict[HeaderNode, ValidationError]:
        """Walk to the candidate with the most work; returns the blocks on the way that failed.

        `old` is the tip that everybody knows of, where it is not the present one.
        """
        failures: dict[HeaderNode, ValidationError] = {}
        old = self._tip if old is None else old
        try:
            while (best := self._candidates.best(self._tip)) is not self._tip:
                fork = fork_point(self._tip, best)
                while self._tip is not fork:
                    self._disconnect_tip()
                for height in range(fork.height + 1, best.height + 1):
                    node = best.ancestor(height)
                    try:
                        self._connect(node, self._checked_block(node), None)
                    except ValidationError as error:
                        failures[node] = error
                        self._condemn(node)
                        break
                    progress(height, best.height)
        finally:  # a broken disk may have stopped it half-way
            if self._tip is not old:
                self._tip_moved(old, fork_point(old, self._tip))
        return failures

    def has_bodies(self, node: HeaderNode) -> bool:
        """Whether the bodies of a block and of all its ancestors are stored."""
        return self._candidates.is_linked(node)

    def indexes(self) -> dict[str, int]:
        """The indexes there are, by Core's names, and the height up to which each has come."""
        return self._indexes.heights(self.tip)

    # -- by hand ------------------------------------------------------------------------------

    def invalidate(self, node: HeaderNode) -> None:
        """Treat a block, and all that build on it, as invalid from now on, also after a restart.

        The chain goes back to before it, and on to the best that is left. Raises ValidationError
        for genesis.
        """
        if node.parent is None:
            raise ValidationError("bad-genesis", "genesis cannot be invalid")
        with self.lock:
            old = self._tip
            try:
                while node.is_ancestor_of(self._tip):
                    self._disconnect_tip()
                self._condemn(node, BlockStatus.FAILED | BlockStatus.REFUSED)
            finally:  # where the disk failed, the way back is tried
                self._candidates.refill(self.tree, self._tip.chain_work)
                self._activate_best(old=old)

    def reconsider(self, node: HeaderNode) -> None:
        """Forget that a block, its ancestors or what builds on it were held to be invalid."""
        with self.lock:
            kin = [n for n in self.tree if node.is_ancestor_of(n) or n.is_ancestor_of(node)]
            failed = filter(self._is_failed, kin)
            self._set_statuses({each: self.status(each) & ~_INHERITED for each in failed})
            for other in self.tree:
                self._note_header(other)
            self._candidates.refill(self.tree, self._tip.chain_work)
            self._activate_best()

    def prefer(self, node: HeaderNode) -> None:
        """Treat a block as if it had come before all others with as much work."""
        with self.lock:
            if node.chain_work >= self._tip.chain_work and self._candidates.is_linked(node):
                self._candidates.prefer(node)
                self._activate_best()

    def _tip_moved(self, old: HeaderNode, fork: HeaderNode) -> None:
        self._candidates.prune(self._tip.chain_work)
        with self._tip_changed:
            self._tip_changed.notify_all()
        self.events.publish(TipChanged(old, self._tip, fork))

    def _connect(self, node: HeaderNode, block: Block, raw: bytes | None) -> None:
        """Make `node` the tip. `raw` is its body where that is not stored yet."""
        began = time.monotonic()
        known_good = bool(self.status(node) & BlockStatus.CONNECTED)
        result = self._check_connect(node, block, known_good=known_good)
        status = self.status(node) | BlockStatus.DATA | BlockStatus.CONNECTED
        changes = Changes(meta={"active_tip": node.hash})
        if not known_good:
            changes.undo.append((node.hash, serialize_undo(result.spent)))
            changes.statuses[node.hash] = (status, len(block.transactions))
        if raw is not None:
            changes.bodies.append((node.hash, raw))
        self._indexes.add(node, block, result.spent, changes)
        self._save(changes)
        self._coins.apply(result.consumed, result.created)
        self._status[node.hash] = status
        self._tx_count[node.hash] = len(block.transactions)
        self._tip = node
        self._note_header(node)
        log.debug("connected %s in %.1f ms", block_name(node), 1000 * (time.monotonic() - began))
        self.events.publish(BlockConnected(node, block))
        self._flush_if_due()

    def _check_connect(self, node: HeaderNode, block: Block, *, known_good: bool) -> ConnectedBlock:
        own = {tx.txid for tx in block.transactions}
        self._coins.prefetch(
            [
                txin.prevout
                for tx in block.transactions[1:]
                for txin in tx.vin
                if txin.prevout[:32] not in own
            ]
        )
        if known_good:
            return connect_block(block, node, self._coins.get, None, self.params)
        with self._scripts.collect() as sink:
            return connect_block(block, node, self._coins.get, sink, self.params)

    def _checked_block(self, node: HeaderNode) -> Block:
        """A block from the store, its checks repeated: what fails them now is the disk's fault."""
        parent = node.parent
        if parent is None:
            raise StoreError("genesis needs no connection")
        try:
            block = self.get_block(node)
            check_block(block, self.params)
            check_block_context(block, node.height, parent.median_time_past, self.params)
        except (NotFoundError, ValidationError) as error:
            raise StoreError(f"{block_name(node)} is damaged on disk: {error}") from error
        return block

    def _disconnect_tip(self) -> None:
        node = self._tip
        if node.parent is None:
            raise StoreError("genesis cannot be disconnected")
        try:
            block = self.get_block(node)
            undo = self.get_undo(node)
            removed, restored = undone_coins(block, undo)
        except (NotFoundError, ValueError) as error:
            raise StoreError(f"{block_name(node)} cannot be undone: {error}") from error
        changes = Changes(meta={"active_tip": node.parent.hash})
        self._indexes.remove(node, block, undo, changes)
        self._save(changes)
        self._coins.apply(removed, restored)
        self._tip = node.parent
        log.debug("disconnected %s", block_name(node))
        self.events.publish(BlockDisconnected(node, block))

    def _condemn(self, node: HeaderNode, verdict: BlockStatus = BlockStatus.FAILED) -> None:
        """Mark a block and all that build on it as failed."""
        failed = list(self.tree.descendants(node))
        self._set_statuses({each: self.status(each) | verdict for each in failed})
        for other in failed:
            self._candidates.discard(other)
        if node.is_ancestor_of(self._best_header):
            self._best_header = self._tip
            for leaf in self.tree.leaves:
                best: HeaderNode | None = leaf
                while best is not None and self._is_failed(best):
                    best = best.parent
                self._note_header(best or self.tree.genesis)
