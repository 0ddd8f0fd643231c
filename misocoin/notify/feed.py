"""What happens on chain and mempool as a stream of small texts, for pages and scripts.

Events of the chain become `Notice`s, numbered from 1 on. The latest are kept, so that any number of
readers, each at its own place, cost no memory: one that is too slow, or was away, misses what is no
longer kept and is told how much that was.
"""

import secrets
import threading
from collections import deque
from itertools import islice
from typing import NamedTuple

import orjson

from misocoin.chain.events import (
    BlockConnected,
    BlockDisconnected,
    Event,
    TipChanged,
    TransactionAdded,
    TransactionRemoved,
)

KEPT = 2_000
"""Notices that are kept for readers who are behind."""


KINDS = frozenset({"block", "undone", "tip", "transaction", "removed"})
"""What a notice can tell of."""


class Notice(NamedTuple):
    """One thing that happened."""

    number: int
    """Counts from 1 on, without gaps."""
    kind: str
    """One of KINDS."""
    fields: dict[str, object]
    """What is told of it, as JSON values; see `docs/notifications.md`."""

    @property
    def data(self) -> bytes:
        """The fields as JSON on one line."""
        return orjson.dumps(self.fields)


def notice_fields(event: Event) -> tuple[str, dict[str, object]]:
    """What is told of an event: kind and fields. Amounts are base units."""
    match event:
        case BlockConnected(node, block):
            return "block", {
                "hash": node.header.hash_hex,
                "height": node.height,
                "time": node.header.time,
                "size": block.size,
                "transactions": len(block.transactions),
            }
        case BlockDisconnected(node):
            return "undone", {"hash": node.header.hash_hex, "height": node.height}
        case TipChanged(old, new, fork):
            return "tip", {
                "hash": new.header.hash_hex,
                "height": new.height,
                "undone": old.height - fork.height,
            }
        case TransactionAdded(tx, fee):
            return "transaction", {
                "txid": tx.txid_hex,
                "fee_sats": fee,
                "output_sats": sum([txout.value for txout in tx.vout]),
                "vsize": tx.vsize,
            }
        case TransactionRemoved(tx, reason):
            return "removed", {"txid": tx.txid_hex, "reason": reason}


class EventFeed:
    """Keeps the latest notices; its `handle` is to be subscribed to the chain's events."""

    def __init__(self, kept: int = KEPT) -> None:
        self._latest: deque[Notice] = deque(maxlen=kept)
        self._grown = threading.Condition()
        self._last = 0
        self._closed = False
        self.run = secrets.token_hex(4)
        """Tells this run's numbers from those of another."""

    def handle(self, event: Event) -> None:
        """Note an event and wake those who wait; called under the chain's lock."""
        kind, fields = notice_fields(event)
        with self._grown:
            self._last += 1
            self._latest.append(Notice(self._last, kind, fields))
            self._grown.notify_all()

    def close(self) -> None:
        """Wake all who wait: there will be no more."""
        with self._grown:
            self._closed = True
            self._grown.notify_all()

    @property
    def is_closed(self) -> bool:
        """Whether there will be no more."""
        return self._closed

    @property
    def last(self) -> int:
        """Number of the latest notice; 0 before the first one."""
        return self._last

    def after(self, number: int, timeout: float) -> tuple[Notice, ...]:
        """The kept notices behind that number; waits up to `timeout` seconds for one."""
        with self._grown:
            self._grown.wait_for(lambda: self._last > number or self._closed, timeout)
            first = max(0, len(self._latest) - max(0, self._last - number))
            return tuple(islice(self._latest, first, None))
