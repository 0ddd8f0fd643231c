"""What happens on the chain, told to people: one readable line for each event."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from misocoin.chain.events import (
    BlockConnected,
    BlockDisconnected,
    Event,
    TipChanged,
    TransactionAdded,
    TransactionRemoved,
)
from misocoin.consensus.difficulty import calculate_network_difficulty
from misocoin.consensus.tree import HeaderNode
from misocoin.params import Params
from misocoin.primitives.block import Block
from misocoin.primitives.transaction import Transaction
from misocoin.units import text_from_sats

log = logging.getLogger(__name__)

MANY = 5
"""From so many blocks at once on, one line tells of all."""


def _nobodys(_tx: Transaction) -> str:
    return ""


class Narrator:
    """Logs events; its `handle` is to be subscribed.

    `is_mine` knows the wallet's scripts; `role_of` says what a transaction is to the wallet.
    """

    def __init__(
        self,
        is_mine: Callable[[bytes], bool],
        params: Params,
        role_of: Callable[[Transaction], str] = _nobodys,
    ) -> None:
        self._is_mine = is_mine
        self._params = params
        self._role_of = role_of
        self._silent = 0
        # Blocks are told of when the tip has moved: a branch that fails half-way never was one.
        self._connected: list[tuple[HeaderNode, str]] = []
        self._disconnected: list[HeaderNode] = []

    @contextmanager
    def silence(self) -> Iterator[None]:
        """Tell of nothing but reorgs for a while, as a progress bar is shown instead."""
        self._silent += 1
        try:
            yield
        finally:
            self._silent -= 1

    def handle(self, event: Event) -> None:
        """Tell one event."""
        if self._silent:
            if isinstance(event, TipChanged):
                _tell_reorg(event.old, event.new, event.fork)
            return
        match event:
            case BlockConnected(node, block):
                if node in self._disconnected:
                    self._disconnected.remove(node)  # back again
                else:
                    self._connected.append((node, self._describe(node, block)))
            case BlockDisconnected(node):
                if self._connected and self._connected[-1][0] is node:
                    self._connected.pop()
                else:
                    self._disconnected.append(node)
            case TipChanged(old, new, fork):
                lines = [line for _, line in self._connected]
                self._connected, self._disconnected = [], []
                self._tell_tip(old, new, fork, lines)
            case TransactionAdded(tx, fee):
                role = self._role_of(tx)
                log.info(
                    "transaction %s: %s in %s, fee %s%s",
                    tx.txid_hex,
                    text_from_sats(sum(txout.value for txout in tx.vout)),
                    _counted(len(tx.vout), "output"),
                    text_from_sats(fee),
                    f" ({role})" if role else "",
                )
            case TransactionRemoved(tx, reason):
                log.info("transaction %s left the mempool: %s", tx.txid_hex, reason)

    def _tell_tip(
        self, old: HeaderNode, new: HeaderNode, fork: HeaderNode, lines: Sequence[str]
    ) -> None:
        _tell_reorg(old, new, fork)
        if len(lines) >= MANY:
            log.info("%d blocks, up to %s", len(lines), lines[-1])
        else:
            for line in lines:
                log.info("%s", line)

    def _describe(self, node: HeaderNode, block: Block) -> str:
        mine = any(self._is_mine(txout.script_pubkey) for txout in block.transactions[0].vout)
        difficulty = calculate_network_difficulty(node.header.bits, self._params)
        return (
            f"block {node.height} {'mined' if mine else 'received'} {node.header.hash_hex} "
            f"({_counted(len(block.transactions), 'transaction')}, {block.size} bytes, "
            f"difficulty {difficulty:#.4g})"
        )


def _tell_reorg(old: HeaderNode, new: HeaderNode, fork: HeaderNode) -> None:
    if fork is not old:
        log.info(
            "reorg: %s back to height %d, then %s to %d",
            _counted(old.height - fork.height, "block"),
            fork.height,
            _counted(new.height - fork.height, "block"),
            new.height,
        )


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
