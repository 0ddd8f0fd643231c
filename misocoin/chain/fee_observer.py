"""Watches how long transactions wait, for estimates of fees. Nothing is kept across restarts."""

from collections import deque
from threading import Lock

from misocoin.chain.events import BlockConnected, Event, TransactionAdded, TransactionRemoved
from misocoin.policy.fee_estimate import (
    CONSERVATIVE,
    ECONOMICAL,
    MAX_TARGET,
    FeeSample,
    estimate_feerate,
)
from misocoin.policy.feerate import FeeRate, feerate_from_fee
from misocoin.primitives.block import Block

MAX_SAMPLES = 20_000
"""Transactions that are remembered; the oldest go first."""

MAX_TRACKED = 100_000
"""Transactions that are watched at once."""


class FeeObserver:
    """Its `handle` is to be subscribed to the chain's events, behind the mempool's."""

    def __init__(self, height: int = 0) -> None:
        """`height` is the tip's."""
        self._lock = Lock()
        self._height = height
        self._waiting: dict[bytes, tuple[FeeRate, int]] = {}  # rate, and height at arrival
        self._mined: deque[tuple[FeeSample, int]] = deque(maxlen=MAX_SAMPLES)

    def handle(self, event: Event) -> None:
        """Note what comes, goes and is mined."""
        with self._lock:
            match event:
                case TransactionAdded(tx, fee):
                    # What spends unconfirmed outputs waits for those, not for its own fee.
                    alone = all(txin.prevout[:32] not in self._waiting for txin in tx.vin)
                    if alone and len(self._waiting) < MAX_TRACKED:
                        rate = feerate_from_fee(fee, tx.vsize)
                        self._waiting[tx.txid] = (rate, self._height)
                case TransactionRemoved(tx, _):
                    self._waiting.pop(tx.txid, None)
                case BlockConnected(node, block):
                    self._height = node.height
                    self._note_mined(block)

    def _note_mined(self, block: Block) -> None:
        for tx in block.transactions[1:]:
            found = self._waiting.pop(tx.txid, None)
            if found is not None:
                rate, since = found
                sample = FeeSample(rate, max(1, self._height - since))
                self._mined.append((sample, self._height))

    def estimate(self, target: int, *, conservative: bool = False) -> FeeRate | None:
        """A rate that makes it within `target` blocks; None where too little was seen."""
        with self._lock:
            oldest = self._height - MAX_TARGET
            samples = [sample for sample, height in self._mined if height > oldest]
            samples += [
                FeeSample(rate, self._height - since, is_mined=False)
                for rate, since in self._waiting.values()
            ]
        share = CONSERVATIVE if conservative else ECONOMICAL
        return estimate_feerate(samples, target, share)
