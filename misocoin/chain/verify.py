"""Checks of what is stored: a full replay of the active chain, and its last blocks back and forth.

The replay shows that the coins on disk are what the blocks make.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from misocoin.chain.reader import block_name
from misocoin.chain.script_checks import ScriptChecks
from misocoin.chain.state import ChainState
from misocoin.consensus.block_rules import (
    check_block,
    check_block_context,
    check_header_context,
)
from misocoin.consensus.coins import Coin
from misocoin.consensus.connect import connect_block, serialize_undo, undone_coins
from misocoin.consensus.tree import HeaderNode, header_context
from misocoin.errors import NotFoundError, StoreError, ValidationError
from misocoin.filters.basic import basic_filter_from_block
from misocoin.primitives.block import Block
from misocoin.primitives.transaction import OutPoint


class Verification(NamedTuple):
    """What a replay found to be right."""

    height: int
    """Of the last block replayed, the tip."""
    tip: bytes
    """Its hash, wire order."""
    transactions: int
    coins: int
    """Unspent outputs."""
    supply: int
    """Base units in them."""


def verify_chain(
    chain: ChainState,
    scripts: ScriptChecks,
    progress: Callable[[int, int], None] = lambda _height, _of: None,
) -> Verification:
    """Check every block from genesis anew, scripts included, and compare all that is stored.

    The chain may grow meanwhile; what comes is replayed as well. `scripts` must not be the
    chain's own, which serves one block at a time. Raises StoreError where something stored is
    not what the blocks make, with the first difference.
    """
    replay = _Replay(chain, scripts)
    while True:
        tip = chain.tip
        replay.go_to(tip, progress)
        with chain.lock:
            if chain.tip is tip:
                chain.flush()
                replay.compare(dict(chain.iterate_coins()))
                return Verification(
                    tip.height,
                    tip.hash,
                    replay.transactions,
                    len(replay.coins),
                    sum(coin.value for coin in replay.coins.values()),
                )


def verify_recent(chain: ChainState, scripts: ScriptChecks, level: int, count: int) -> None:
    """Check the last `count` blocks (0 for all) as thoroughly as `level` says; the chain waits.

    0: they can be read; 1: they are valid by themselves; 2: their undo data can be read; 3: they
    can be disconnected, in memory; 4: they can be connected again, scripts included. Raises
    StoreError for the first that fails.
    """
    with chain.lock:
        tip = chain.tip
        view = _View(chain)
        nodes = []
        for height in range(tip.height, max(0, tip.height - count if count > 0 else 0), -1):
            node = tip.ancestor(height)
            nodes.append(node)
            try:
                block = chain.get_block(node)
                if level >= 1:
                    _check_block(node, block, chain)
                if level >= 2:
                    undo = chain.get_undo(node)
                if level >= 3:
                    view.disconnect(node, block, undo)
            except (NotFoundError, ValidationError, ValueError) as error:
                raise StoreError(f"{block_name(node)}: {error}") from error
        for node in reversed(nodes) if level >= 4 else ():
            try:
                with scripts.collect(use_cache=False) as sink:
                    block = chain.get_block(node)
                    result = connect_block(block, node, view.get, sink, chain.params)
            except ValidationError as error:
                raise StoreError(f"{block_name(node)}: {error}") from error
            _check_undo(node, result.spent, chain.get_undo(node))
            view.change(result.consumed, result.created)


def _check_block(node: HeaderNode, block: Block, chain: ChainState) -> None:
    """All that needs no coins; raises ValidationError."""
    parent = node.parent
    if parent is None:
        raise StoreError(f"{block_name(node)} has no parent")
    # The clock says nothing about a block that was accepted once: its own time serves.
    now = node.header.time
    check_header_context(node.header, header_context(parent, chain.params), now, chain.params)
    check_block(block, chain.params)
    check_block_context(block, node.height, parent.median_time_past, chain.params)


def _check_undo(
    node: HeaderNode, spent: tuple[tuple[Coin, ...], ...], undo: tuple[tuple[Coin, ...], ...]
) -> None:
    if serialize_undo(spent) != serialize_undo(undo):
        raise StoreError(f"{block_name(node)}: the undo data is not what the block spends")


class _View:
    """The coins of the tip with changes of its own."""

    def __init__(self, chain: ChainState) -> None:
        self._chain = chain
        self._changed: dict[OutPoint, Coin | None] = {}

    def get(self, point: OutPoint) -> Coin | None:
        if point in self._changed:
            return self._changed[point]
        return self._chain.get_coins((point,)).get(point)

    def change(self, gone: Iterable[OutPoint], come: Mapping[OutPoint, Coin]) -> None:
        self._changed.update(dict.fromkeys(gone))
        self._changed.update(come)

    def disconnect(
        self, node: HeaderNode, block: Block, spent: tuple[tuple[Coin, ...], ...]
    ) -> None:
        removed, restored = undone_coins(block, spent)
        inner = {txin.prevout for tx in block.transactions[1:] for txin in tx.vin}
        for point in removed:
            coin = self.get(point)
            if (coin is None) != (point in inner) or (coin and coin.height != node.height):
                raise ValueError(f"coin {point[:32][::-1].hex()} is not as the block made it")
        self.change(removed, restored)


class _Replay:
    """Coins made from blocks alone."""

    def __init__(self, chain: ChainState, scripts: ScriptChecks) -> None:
        self._chain = chain
        self._scripts = scripts
        self._reset()

    def _reset(self) -> None:
        self.coins: dict[OutPoint, Coin] = {}
        self.transactions = 1  # genesis
        self._at: HeaderNode = self._chain.tree.genesis

    def go_to(self, tip: HeaderNode, progress: Callable[[int, int], None]) -> None:
        if not self._at.is_ancestor_of(tip):
            self._reset()  # a reorg came in between
        for height in range(self._at.height + 1, tip.height + 1):
            self._replay(tip.ancestor(height))
            progress(height, tip.height)

    def _replay(self, node: HeaderNode) -> None:
        chain = self._chain
        where = block_name(node)
        try:
            block = chain.get_block(node)
            undo = chain.get_undo(node)
            _check_block(node, block, chain)
            with self._scripts.collect(use_cache=False) as sink:
                result = connect_block(block, node, self.coins.get, sink, chain.params)
        except (NotFoundError, ValidationError) as error:
            raise StoreError(f"{where}: {error}") from error
        _check_undo(node, result.spent, undo)
        self._compare_filter(node, block, result.spent, where)
        for point in result.consumed:
            del self.coins[point]
        self.coins.update(result.created)
        self.transactions += len(block.transactions)
        self._at = node

    def _compare_filter(
        self, node: HeaderNode, block: Block, spent: Sequence[Sequence[Coin]], where: str
    ) -> None:
        """Compare a block's filter, if it has one, with what the block makes of itself."""
        filters = self._chain.filters
        stored = None if filters is None else filters.get(node)
        if stored is not None:
            scripts = [coin.script_pubkey for coins in spent for coin in coins]
            if stored.data != basic_filter_from_block(block, scripts):
                raise StoreError(f"{where}: the filter is not what the block makes")

    def compare(self, stored: dict[OutPoint, Coin]) -> None:
        if stored == self.coins:
            return
        for point in sorted(stored.keys() | self.coins.keys()):
            if stored.get(point) != self.coins.get(point):
                raise StoreError(
                    f"coin {point[:32][::-1].hex()}:{int.from_bytes(point[32:], 'little')}: "
                    f"stored {stored.get(point)}, by the blocks {self.coins.get(point)}"
                )
