"""Searching one puzzle to its end with several threads, while the caller waits."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from misocoin.pow.engine import Engine, SearchResult, StopFlag
from misocoin.pow.puzzles import Puzzle
from misocoin.pow.slices import FIRST_SLICE, SliceDealer, next_slice_size


def search_threads(
    engine: Engine, puzzle: Puzzle, threads: int = 1, stop: StopFlag | None = None
) -> SearchResult:
    """Search a whole puzzle; the nonce is the one found first, not always the lowest.

    `tried` counts the nonces of all threads. Without a nonce the space holds none, unless `stop`
    was set. Raises what the engine raises.
    """
    flag = StopFlag() if stop is None else stop.child()
    dealer = SliceDealer(puzzle.space)
    lock = threading.Lock()

    def crew_member() -> SearchResult:
        tried, size = 0, FIRST_SLICE
        while not flag.is_set():
            with lock:
                start, count = dealer.take(size)
            if not count:
                break
            began = time.monotonic()
            try:
                result = engine.search(puzzle, start, count, flag)
            except BaseException:
                flag.set()
                raise
            tried += result.tried
            if result.nonce is not None:
                flag.set()
                return SearchResult(result.nonce, tried)
            size = next_slice_size(size, result.tried, time.monotonic() - began)
        return SearchResult(None, tried)

    with ThreadPoolExecutor(threads, thread_name_prefix="search") as crew:
        try:
            results = [
                member.result() for member in [crew.submit(crew_member) for _ in range(threads)]
            ]
        except BaseException:
            flag.set()  # an interrupt of the caller: the threads must not be waited for in vain
            raise
    nonce = next((result.nonce for result in results if result.nonce is not None), None)
    return SearchResult(nonce, sum(result.tried for result in results))
