"""Coins that their owner holds back: no payment spends them unless it names them."""

from collections.abc import Iterable

from misocoin.primitives.transaction import OutPoint
from misocoin.wallet.following import ChainPort, Follower


class CoinLocks:
    """The locks of a wallet's coins. Everything takes the chain's lock."""

    def __init__(self, chain: ChainPort, follower: Follower) -> None:
        self._chain = chain
        self._follower = follower

    def points(self) -> list[OutPoint]:
        """The coins that are held back, in the order in which they were; no spent ones."""
        with self._chain.lock:
            self._forget_spent()
            return list(self._follower.locks)

    def add(self, points: Iterable[OutPoint], *, lasts: bool = False) -> None:
        """Hold coins back until the node stops, or for good if it `lasts`."""
        with self._chain.lock:
            locks = self._follower.locks
            for point in points:
                locks[point] = lasts or locks.get(point, False)
            self._forget_spent()
            self._follower.try_to_save()

    def remove(self, points: Iterable[OutPoint] | None = None) -> None:
        """Let payments spend coins again; all of them if none are named."""
        with self._chain.lock:
            for point in list(self._follower.locks) if points is None else points:
                self._follower.locks.pop(point, None)
            self._follower.try_to_save()

    def _forget_spent(self) -> None:
        ledger, locks = self._follower.ledger, self._follower.locks
        for point in [point for point in locks if ledger.is_spent(point)]:
            del locks[point]
