"""A full replay of the active chain, to show that the coins on disk are what its blocks make."""

from collections.abc import Callable
from typing import NamedTuple

from misocoin.chain.script_checks import ScriptChecks
from misocoin.chain.state import ChainState
from misocoin.consensus.block_rules import (
    check_block,
    check_block_context,
    check_header_context,
)
from misocoin.consensus.coins import Coin
from misocoin.consensus.connect import connect_block, serialize_undo
from misocoin.consensus.tree import HeaderNode, header_context
from misocoin.errors import NotFoundError, StoreError, ValidationError
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
        where = f"block {node.height} ({node.header.hash_hex})"
        parent = node.parent
        if parent is None:
            raise StoreError(f"{where} has no parent")
        try:
            block = chain.get_block(node)
            undo = chain.get_undo(node)
            # The clock says nothing about a block that was accepted once: its own time serves.
            now = node.header.time
            check_header_context(
                node.header, header_context(parent, chain.params), now, chain.params
            )
            check_block(block, chain.params)
            check_block_context(block, node.height, parent.median_time_past, chain.params)
            with self._scripts.collect(use_cache=False) as sink:
                result = connect_block(block, node, self.coins.get, sink, chain.params)
        except (NotFoundError, ValidationError) as error:
            raise StoreError(f"{where}: {error}") from error
        if serialize_undo(result.spent) != serialize_undo(undo):
            raise StoreError(f"{where}: the undo data is not what the block spends")
        for point in result.consumed:
            del self.coins[point]
        self.coins.update(result.created)
        self.transactions += len(block.transactions)
        self._at = node

    def compare(self, stored: dict[OutPoint, Coin]) -> None:
        if stored == self.coins:
            return
        for point in sorted(stored.keys() | self.coins.keys()):
            if stored.get(point) != self.coins.get(point):
                raise StoreError(
                    f"coin {point[:32][::-1].hex()}:{int.from_bytes(point[32:], 'little')}: "
                    f"stored {stored.get(point)}, by the blocks {self.coins.get(point)}"
                )
