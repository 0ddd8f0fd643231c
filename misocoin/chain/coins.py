"""The unspent outputs: a write-back cache over the store.

Changes gather here and reach the disk together with the block they stand for, in one transaction.
Not thread-safe: ChainState's lock covers it.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Protocol

from misocoin.consensus.coins import Coin
from misocoin.primitives.transaction import OutPoint


class CoinStore(Protocol):
    """Where coins lie for good."""

    def get_coins(self, points: Collection[OutPoint]) -> dict[OutPoint, Coin]:
        """The coins among `points`."""

    def find_coins(self, script: bytes) -> dict[OutPoint, Coin]:
        """The coins that an output script locks."""

    def find_coins_of(self, txid: bytes) -> dict[OutPoint, Coin]:
        """The unspent outputs of `txid`."""

    def flush_coins(
        self, tip: bytes, gone: Collection[OutPoint], new: Mapping[OutPoint, Coin]
    ) -> None:
        """Remove `gone`, then add `new`, and note the tip they stand for; all or nothing."""


class CoinCache:
    """The coins as of the tip."""

    def __init__(self, store: CoinStore) -> None:
        self._store = store
        self._new: dict[OutPoint, Coin] = {}  # not on disk, or to be written over it
        self._gone: set[OutPoint] = set()  # on disk perhaps, to be removed before _new is added
        self._clean: dict[OutPoint, Coin] = {}  # as on disk
        # Where in _new the coins of a transaction are; made when it is asked for first.
        self._new_by_txid: dict[bytes, set[OutPoint]] | None = None

    def __len__(self) -> int:
        """Entries held in memory."""
        return len(self._new) + len(self._gone) + len(self._clean)

    @property
    def is_dirty(self) -> bool:
        """Whether the disk lags behind."""
        return bool(self._new or self._gone)

    def get(self, point: OutPoint) -> Coin | None:
        """The coin at `point`, None where it is unknown or spent."""
        coin = self._new.get(point)
        if coin is not None:
            return coin
        if point in self._gone:
            return None
        coin = self._clean.get(point)
        if coin is None:
            coin = self._store.get_coins((point,)).get(point)
            if coin is not None:
                self._clean[point] = coin
        return coin

    def prefetch(self, points: Iterable[OutPoint]) -> None:
        """Bring the coins at `points` into memory with few queries."""
        new, gone, clean = self._new, self._gone, self._clean
        missing = [p for p in points if p not in new and p not in clean and p not in gone]
        if missing:
            clean.update(self._store.get_coins(missing))

    def get_many(self, points: Collection[OutPoint]) -> dict[OutPoint, Coin]:
        """The coins among `points`."""
        self.prefetch(points)
        found = {}
        for point in points:
            coin = self._new.get(point)
            if coin is None and point not in self._gone:
                coin = self._clean.get(point)
            if coin is not None:
                found[point] = coin
        return found

    def find_by_script(self, script: bytes) -> dict[OutPoint, Coin]:
        """The coins that an output script locks; looks through all of them."""
        found = self._remaining(self._store.find_coins(script))
        found.update({p: coin for p, coin in self._new.items() if coin.script_pubkey == script})
        return found

    def find_by_txid(self, txid: bytes) -> dict[OutPoint, Coin]:
        """The unspent outputs of `txid`."""
        found = self._remaining(self._store.find_coins_of(txid))
        index = self._new_by_txid
        if index is None:
            index = self._new_by_txid = {}
            _note(index, self._new)
        found.update({point: self._new[point] for point in index.get(txid, ())})
        return found

    def _remaining(self, stored: dict[OutPoint, Coin]) -> dict[OutPoint, Coin]:
        return {point: coin for point, coin in stored.items() if point not in self._gone}

    def apply(self, removed: Collection[OutPoint], added: Mapping[OutPoint, Coin]) -> None:
        """Remove coins (unknown ones are passed over), then add coins."""
        new, gone, clean = self._new, self._gone, self._clean
        for point in removed:
            if new.pop(point, None) is None:
                clean.pop(point, None)
                gone.add(point)
        new.update(added)
        index = self._new_by_txid
        if index is not None:
            for point in removed:
                _forget(index, point)
            _note(index, added)

    def flush(self, tip: bytes, keep: int) -> None:
        """Write the changes as of the block `tip` (hash); keep up to `keep` coins in memory."""
        self._store.flush_coins(tip, self._gone, self._new)
        self._clean.update(self._new)
        self._new = {}
        self._new_by_txid = None
        self._gone = set()
        if len(self._clean) > keep:
            self._clean.clear()


def _note(index: dict[bytes, set[OutPoint]], points: Iterable[OutPoint]) -> None:
    for point in points:
        index.setdefault(point[:32], set()).add(point)


def _forget(index: dict[bytes, set[OutPoint]], point: OutPoint) -> None:
    points = index.get(point[:32])
    if points is not None:
        points.discard(point)
        if not points:
            del index[point[:32]]
