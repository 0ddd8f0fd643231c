"""The index of block filters (BIP157, BIP158): one for each block that was ever connected.

A filter depends on its block and what that spends, and its header on the filters before it, so a
reorg changes nothing here: the filters of both branches stay. A block's filter is part of the
commit that connects it. A folder without filters gets them from `catch_up`, meant for a thread of
its own; where it has not come yet, blocks are connected without and it makes theirs, too.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

from misocoin.consensus.coins import Coin
from misocoin.consensus.tree import HeaderNode
from misocoin.errors import MisocoinError
from misocoin.filters.basic import (
    NULL_FILTER_HEADER,
    basic_filter_from_block,
    calculate_filter_header,
)
from misocoin.primitives.block import Block
from misocoin.store.records import Changes, StoredFilter
from misocoin.store.store import Store

log = logging.getLogger(__name__)

BATCH = 200
"""Filters that are written together while the index is made."""


class ChainPort(Protocol):
    """What `catch_up` asks of the chain."""

    @property
    def lock(self) -> AbstractContextManager[object]:
        """Keeps the tip where it is."""

    @property
    def tip(self) -> HeaderNode:
        """The active chain's last block."""

    def get_block(self, node: HeaderNode) -> Block:
        """A stored block."""

    def get_undo(self, node: HeaderNode) -> tuple[tuple[Coin, ...], ...]:
        """What a block that was connected spent."""


class BlockFilter(NamedTuple):
    """A filter and its header."""

    data: bytes
    header: bytes
    """32 bytes, wire order."""


class FilterIndex:
    """The filters in `store`; `genesis` needs none stored."""

    def __init__(self, store: Store, genesis: Block) -> None:
        self._store = store
        data = basic_filter_from_block(genesis, ())
        self._genesis_hash = genesis.hash
        self._genesis = BlockFilter(data, calculate_filter_header(data, NULL_FILTER_HEADER))
        self._last = (genesis.hash, self._genesis.header)  # of the block that was connected last

    # -- reading ------------------------------------------------------------------------------

    def get_many(self, nodes: Iterable[HeaderNode]) -> list[BlockFilter]:
        """The filters of `nodes`, one after the other, up to the first that has none."""
        hashes = [node.hash for node in nodes]
        found = {row.block_hash: row for row in self._store.get_filters(hashes)}
        filters = []
        for block_hash in hashes:
            if block_hash == self._genesis_hash:
                filters.append(self._genesis)
            elif (row := found.get(block_hash)) is not None:
                filters.append(BlockFilter(row.data, row.header))
            else:
                break
        return filters

    def get(self, node: HeaderNode) -> BlockFilter | None:
        """The filter of a block; None where it was never connected or is yet to be made."""
        return next(iter(self.get_many([node])), None)

    def reached(self, tip: HeaderNode) -> int:
        """The height up to which all blocks below `tip` have filters."""
        return tip.height if self.get(tip) is not None else self._first_missing(tip) - 1

    # -- writing ------------------------------------------------------------------------------

    def add(
        self, node: HeaderNode, block: Block, spent: Iterable[Sequence[Coin]], changes: Changes
    ) -> None:
        """Put the filter of a block among the changes that connect it.

        Left to `catch_up` where its parent has none yet.
        """
        parent = node.parent
        if parent is None:
            return
        previous = self._header(parent)
        if previous is None:
            return
        row = _row(block, spent, previous)
        changes.filters.append(row)
        self._last = (row.block_hash, row.header)

    def _header(self, node: HeaderNode) -> bytes | None:
        if self._last[0] == node.hash:
            return self._last[1]
        known = self.get(node)
        return None if known is None else known.header

    def catch_up_beside(self, chain: ChainPort) -> Callable[[], None]:
        """Have a thread do what `catch_up` does; returns what ends it."""
        stopping = threading.Event()

        def work() -> None:
            try:
                self.catch_up(chain, stopping.is_set)
            except MisocoinError as error:
                log.error("block filters cannot be made: %s", error)  # noqa: TRY400

        def stop() -> None:
            stopping.set()
            thread.join()

        thread = threading.Thread(target=work, name="filters", daemon=True)
        thread.start()
        return stop

    def catch_up(self, chain: ChainPort, should_stop: Callable[[], bool]) -> int:
        """Make the filters that are missing below the tip; returns how many there were.

        When it returns and was not stopped, every block that is connected gets its own at once.
        Raises StoreError or NotFoundError where blocks cannot be read.
        """
        began = time.monotonic()
        made = 0
        while not should_stop():
            with chain.lock:
                tip = chain.tip
                if self.get(tip) is not None:
                    break
            made += self._make(tip, self._first_missing(tip), chain, should_stop)
        if made:
            log.info("made the filters of %d blocks in %.1f s", made, time.monotonic() - began)
        return made

    def _first_missing(self, tip: HeaderNode) -> int:
        """The lowest height without a filter; below it all have one."""
        low, high = 0, tip.height
        while low + 1 < high:
            middle = (low + high) // 2
            if self.get(tip.ancestor(middle)) is None:
                high = middle
            else:
                low = middle
        return high

    def _make(
        self, tip: HeaderNode, first: int, chain: ChainPort, should_stop: Callable[[], bool]
    ) -> int:
        below = self.get(tip.ancestor(first - 1))
        previous = NULL_FILTER_HEADER if below is None else below.header
        rows: list[StoredFilter] = []
        made = 0
        for height in range(first, tip.height + 1):
            node = tip.ancestor(height)
            rows.append(_row(chain.get_block(node), chain.get_undo(node), previous))
            previous = rows[-1].header
            is_last = height == tip.height or should_stop()
            if len(rows) == BATCH or is_last:
                self._store.apply(Changes(filters=rows))
                made += len(rows)
                rows = []
            if is_last:
                break
        return made


def _row(block: Block, spent: Iterable[Sequence[Coin]], previous: bytes) -> StoredFilter:
    scripts = [coin.script_pubkey for coins in spent for coin in coins]
    data = basic_filter_from_block(block, scripts)
    return StoredFilter(block.hash, data, calculate_filter_header(data, previous))
