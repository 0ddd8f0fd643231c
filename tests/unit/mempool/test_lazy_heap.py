import random

from misocoin.chain.lazy_heap import LazyHeap


def test_the_least_is_on_top() -> None:
    heap: LazyHeap[tuple[int, int], str] = LazyHeap()
    assert heap.peek() is None
    heap.put("a", (3, 0))
    heap.put("b", (1, 1))
    heap.put("c", (2, 2))
    assert heap.peek() == ((1, 1), "b")
    heap.put("b", (5, 1))
    assert heap.peek() == ((2, 2), "c")
    heap.discard("c")
    heap.discard("unknown")
    assert heap.peek() == ((3, 0), "a")
    heap.put("b", (1, 1))  # back at a place it had before
    assert heap.peek() == ((1, 1), "b")
    assert len(heap) == 2


def test_against_a_search_and_without_growing() -> None:
    dice = random.Random(7)  # noqa: S311
    heap: LazyHeap[tuple[int, int], int] = LazyHeap()
    keys: dict[int, tuple[int, int]] = {}
    for _ in range(20_000):
        item = dice.randrange(50)
        if dice.random() < 0.2:
            heap.discard(item)
            keys.pop(item, None)
        else:
            keys[item] = (dice.randrange(20), item)
            heap.put(item, keys[item])
        top = heap.peek()
        assert (None if top is None else top[0]) == min(keys.values(), default=None)
        assert len(heap) == len(keys)
    assert len(heap._heap) <= 2 * 50 + 1_000
