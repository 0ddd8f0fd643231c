"""What the mempool asks of others: the chain and the disk."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from misocoin.consensus.coins import Coin
from misocoin.primitives.transaction import OutPoint
from misocoin.store.records import StoredTransaction


class ChainTip(Protocol):
    """The last block of the active chain."""

    @property
    def height(self) -> int:
        """Its height."""

    @property
    def median_time_past(self) -> int:
        """Median time of it and the ten blocks before."""


class ChainView(Protocol):
    """The active chain as of now; it does not change while a call of the mempool runs."""

    @property
    def tip(self) -> ChainTip:
        """The last block."""

    def get_coins(self, points: Collection[OutPoint]) -> Mapping[OutPoint, Coin]:
        """The confirmed unspent coins among `points`."""

    def median_time_past_at(self, height: int) -> int:
        """Median time past of the active block at `height`, at most that of the tip."""


class MempoolStore(Protocol):
    """Keeps the mempool across restarts and crashes."""

    def save_mempool(self, added: Sequence[StoredTransaction], removed: Sequence[bytes]) -> None:
        """Forget the transactions of the ids in `removed`, then keep `added`, both or neither.

        What is kept already is kept anew. Committed when this returns.
        """

    def load_mempool(self) -> Sequence[StoredTransaction]:
        """All kept transactions, in the order in which they were added."""
