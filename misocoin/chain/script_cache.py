"""Transactions whose scripts were found to hold, so that a block need not run them again.

A witness id stands for the whole transaction, and the ids it spends for what it spends: under the
same flags its scripts always come to the same. Source: Core's script execution cache.
"""


class ScriptCache:
    """Remembers some of the last transactions that passed, each with the flags it passed under.

    When the young half is full it becomes the old half, and the old one is dropped. Not
    thread-safe: ChainState's lock covers it.
    """

    def __init__(self, capacity: int = 100_000) -> None:
        """Hold up to `capacity` transactions; one takes about 150 bytes."""
        if capacity < 2:
            raise ValueError("a cache holds at least two transactions")
        self._half = capacity // 2
        self._young: set[tuple[bytes, int]] = set()
        self._old: set[tuple[bytes, int]] = set()

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def has(self, wtxid: bytes, flags: int) -> bool:
        """Whether all scripts of a transaction hold under exactly these flags, as far as known."""
        key = (wtxid, flags)
        return key in self._young or key in self._old

    def add(self, wtxid: bytes, flags: int) -> None:
        """Note that all scripts of a transaction hold under these flags."""
        if len(self._young) >= self._half:
            self._old, self._young = self._young, set()
        self._young.add((wtxid, flags))
