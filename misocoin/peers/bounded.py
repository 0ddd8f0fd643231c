"""Containers that forget their oldest when they are full."""

from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)


class BoundedSet(Generic[T]):
    """The last `most` things that were added."""

    __slots__ = ("_items", "_most")

    def __init__(self, most: int) -> None:
        self._most = most
        self._items: dict[T, None] = {}

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, item: T) -> bool:
        return item in self._items

    def __iter__(self) -> Iterator[T]:
        return iter(self._items)

    def add(self, item: T) -> None:
        """Remember a thing as the newest."""
        items = self._items
        if item in items:
            return
        if len(items) >= self._most:
            del items[next(iter(items))]
        items[item] = None

    def discard(self, item: T) -> None:
        """Forget a thing."""
        self._items.pop(item, None)

    def clear(self) -> None:
        """Forget all."""
        self._items.clear()
