"""What happens on the chain, told to people: one readable line for each event."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from misocoin.chain.events import (
    BlockConnected,
    Event,
    TipChanged,
    TransactionAdded,
    TransactionRemoved,
)
from misocoin.consensus.difficulty import calculate_difficulty
from misocoin.consensus.tree import HeaderNode
from misocoin.params import Params
from misocoin.primitives.block import Block
from misocoin.units import text_from_sats

log = logging.getLogger(__name__)

MANY = 5
"""From so many blocks at once on, one line tells of all."""


class Narrator:
    """Logs events; its `handle` is to be subscribed. `is_mine` knows the wallet's scripts."""

    def __init__(self, is_mine: Callable[[bytes], bool], params: Params) -> None:
        self._is_mine = is_mine
        self._limit_bits = params.genesis.header.bits
        self._silent = 0
        self._connected: list[tuple[HeaderNode, str]] = []

    @contextmanager
    def silence(self) -> Iterator[None]:
        """Say nothing for a while, as a progress bar is shown instead."""
        self._silent += 1
        try:
            yield
        finally:
            self._silent -= 1

    def handle(self, event: Event) -> None:
        """Tell one event."""
        if self._silent:
            return
        match event:
            case BlockConnected(node, block):
                self._connected.append((node, self._describe(node, block)))
            case TipChanged(old, new, fork):
                lines, self._connected = self._connected, []
                if fork is not old:
                    log.info(
                        "reorg: %d blocks back to height %d, then %d blocks to %d",
                        old.height - fork.height,
                        fork.height,
                        new.height - fork.height,
                        new.height,
                    )
                if len(lines) >= MANY:
                    log.info("%d blocks, up to %s", len(lines), lines[-1][1])
                    return
                for _, line in lines:
                    log.info("%s", line)
            case TransactionAdded(tx, fee):
                total = sum(txout.value for txout in tx.vout)
                log.info(
                    "transaction %s: %s in %d outputs, fee %s",
                    tx.txid_hex,
                    text_from_sats(total),
                    len(tx.vout),
                    text_from_sats(fee),
                )
            case TransactionRemoved(tx, reason):
                log.info("transaction %s left the mempool: %s", tx.txid_hex, reason)

    def _describe(self, node: HeaderNode, block: Block) -> str:
        mine = any(self._is_mine(txout.script_pubkey) for txout in block.transactions[0].vout)
        difficulty = calculate_difficulty(node.header.bits, self._limit_bits)
        count = len(block.transactions)
        return (
            f"block {node.height} {'mined' if mine else 'received'} {node.header.hash_hex} "
            f"({count} transaction{'s' if count > 1 else ''}, {block.size} bytes, "
            f"difficulty {difficulty:.3f})"
        )
