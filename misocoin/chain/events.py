"""What happens on the chain, told to whoever asked, in order.

Subscribers are called under the chain's lock, after the change is stored: what they see is
consistent, and what they do must be short and must not wait for another thread.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from misocoin.consensus.tree import HeaderNode
from misocoin.primitives.block import Block
from misocoin.primitives.transaction import Transaction

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BlockConnected:
    """A block became part of the active chain, at its end."""

    node: HeaderNode
    block: Block


@dataclass(frozen=True, slots=True)
class BlockDisconnected:
    """The active chain's last block was taken off."""

    node: HeaderNode
    block: Block


@dataclass(frozen=True, slots=True)
class TipChanged:
    """The active chain has a new end; comes once after all its blocks were connected."""

    old: HeaderNode
    new: HeaderNode
    fork: HeaderNode
    """Last common block of both; equals `old` unless it is a reorg."""


@dataclass(frozen=True, slots=True)
class TransactionAdded:
    """A transaction entered the mempool."""

    tx: Transaction
    fee: int
    """Base units."""
    sequence: int = field(default=0, compare=False)
    """Its place among all comings and goings of the mempool (`Mempool.next_sequence`)."""


@dataclass(frozen=True, slots=True)
class TransactionRemoved:
    """A transaction left the mempool for another reason than being mined."""

    tx: Transaction
    reason: str
    sequence: int = field(default=0, compare=False)
    """As that of TransactionAdded."""


Event = BlockConnected | BlockDisconnected | TipChanged | TransactionAdded | TransactionRemoved


class EventBus:
    """Calls its subscribers in the order they came."""

    def __init__(self) -> None:
        self._subscribers: tuple[Callable[[Event], None], ...] = ()

    def subscribe(self, callback: Callable[[Event], None]) -> Callable[[], None]:
        """Have `callback` called with every event; returns what ends that."""
        self._subscribers += (callback,)

        def unsubscribe() -> None:
            self._subscribers = tuple(c for c in self._subscribers if c is not callback)

        return unsubscribe

    def publish(self, event: Event) -> None:
        """Tell everyone; one that fails is logged and harms nobody else."""
        for callback in self._subscribers:
            try:
                callback(event)
            except Exception:
                log.exception("a subscriber failed at %s", type(event).__name__)
