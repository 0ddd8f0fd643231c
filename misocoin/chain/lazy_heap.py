"""A priority queue whose items may change their key or leave, at the cost of a push."""

from heapq import heapify, heappop, heappush
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")

_SLACK = 1_000
"""Outdated entries that are kept before the heap is built anew."""


class LazyHeap(Generic[K, V]):
    """Items by key, the least first. Keys must be distinct, so that items need no order."""

    def __init__(self) -> None:
        self._heap: list[tuple[K, V]] = []
        self._keys: dict[V, K] = {}

    def __len__(self) -> int:
        return len(self._keys)

    def put(self, item: V, key: K) -> None:
        """Add an item, or change its key. The old entry stays until it comes to the top."""
        if self._keys.get(item) == key:
            return
        self._keys[item] = key
        heappush(self._heap, (key, item))
        if len(self._heap) > 2 * len(self._keys) + _SLACK:
            self._heap = [(key, item) for item, key in self._keys.items()]
            heapify(self._heap)

    def discard(self, item: V) -> None:
        """Take an item out, if it is there."""
        self._keys.pop(item, None)

    def peek(self) -> tuple[K, V] | None:
        """The least key and its item, None where nothing is left."""
        heap, keys = self._heap, self._keys
        while heap:
            key, item = heap[0]
            if keys.get(item) == key:
                return key, item
            heappop(heap)
        return None
