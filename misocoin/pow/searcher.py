"""The threads that drive searches: a background miner and a work service share them."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from misocoin.pow.engine import Engine, StopFlag
from misocoin.pow.meter import RateMeter
from misocoin.pow.puzzles import Puzzle
from misocoin.pow.slices import FIRST_SLICE, SliceDealer, next_slice_size

T = TypeVar("T")

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Work(Generic[T]):
    """A puzzle and what its owner needs to know again when it is solved."""

    puzzle: Puzzle
    """What to search."""
    context: T
    """The owner's own value, handed back untouched (a block template, a job's id)."""


@dataclass(slots=True)
class _Run(Generic[T]):
    """One piece of work under way; guarded by the searcher's lock, but for the stop flag."""

    work: Work[T]
    dealer: SliceDealer
    stop: StopFlag = field(default_factory=StopFlag)
    searching: int = 0
    is_solved: bool = False


class Searcher(Generic[T]):
    """Threads that search one piece of work at a time, together.

    `source` says what should be searched now. It is asked when the last piece of work has ended:
    solved, searched through, or dropped by `refresh`, and once more if `refresh` comes while it is
    thinking. While it answers None the threads sleep until `refresh`. `found` gets each
    solution, at most one per piece of work, before `source` is asked again; a solution that was
    already under way when `refresh` came is reported too. Both are called on the searcher's own
    threads, one call at a time, except for such late solutions, and may call `refresh`.

    An exception from either ends the searcher; it is logged and kept in `failure`.
    """

    def __init__(
        self,
        engine: Engine,
        source: Callable[[], Work[T] | None],
        found: Callable[[Work[T], int], None],
        *,
        threads: int = 1,
        name: str = "searcher",
    ) -> None:
        if threads < 1:
            raise ValueError("a searcher has at least one thread")
        self.engine = engine
        """The engine that all threads run."""
        self.failure: BaseException | None = None
        """What ended the searcher before `close`, if anything did."""
        self._source = source
        self._found = found
        self._changed = threading.Condition()
        self._run: _Run[T] | None = None
        self._is_fetching = False
        self._is_idle = False
        self._is_closed = False
        self._generation = 0
        self._meter = RateMeter()
        self._threads = [
            threading.Thread(target=self._work, name=f"{name}-{i}", daemon=True)
            for i in range(threads)
        ]

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def refresh(self) -> None:
        """Drop the work in hand, within 50 ms, and ask `source` anew."""
        with self._changed:
            self._drop()

    def close(self) -> None:
        """Stop and wait for the threads, unless one of them is the caller."""
        with self._changed:
            self._is_closed = True
            self._drop()
        for thread in self._threads:
            if thread.ident is not None and thread is not threading.current_thread():
                thread.join()

    @property
    def threads(self) -> int:
        """How many threads search."""
        return len(self._threads)

    @property
    def is_searching(self) -> bool:
        """Whether there is work in hand."""
        with self._changed:
            return self._run is not None

    @property
    def tried(self) -> int:
        """Nonces tried since the start, all threads and all work together."""
        with self._changed:
            return self._meter.total

    def rate(self) -> float:
        """Return nonces per second over the last half minute, all threads together."""
        with self._changed:
            return self._meter.rate(time.monotonic())

    def _drop(self) -> None:
        if self._run is not None:
            self._run.stop.set()
            self._run = None
        self._generation += 1
        self._is_idle = False
        self._changed.notify_all()

    def _work(self) -> None:
        try:
            size = FIRST_SLICE
            while (run := self._join_run()) is not None:
                size = self._search_slices(run, size)
        except BaseException as error:  # noqa: BLE001 - kept and logged; the thread ends here
            _log.exception("The search for proof of work has ended")
            with self._changed:
                self.failure = error
                self._is_closed = True
                self._drop()

    def _join_run(self) -> _Run[T] | None:
        """Return the work in hand, fetching it if it is this thread's turn; None at the end."""
        while True:
            with self._changed:
                while not self._is_closed:
                    if self._run is not None and not self._run.dealer.is_empty:
                        self._run.searching += 1
                        return self._run
                    if self._run is None and not self._is_fetching and not self._is_idle:
                        break
                    self._changed.wait()
                if self._is_closed:
                    return None
                self._is_fetching = True
                generation = self._generation
            try:
                work = self._source()
            finally:
                with self._changed:
                    self._is_fetching = False
                    self._changed.notify_all()
            with self._changed:
                if self._generation != generation or self._is_closed:
                    continue  # refreshed meanwhile: what the source said is stale
                if work is None:
                    self._is_idle = True
                else:
                    self._run = _Run(work, SliceDealer(work.puzzle.space))
                self._changed.notify_all()

    def _search_slices(self, run: _Run[T], size: int) -> int:
        """Search slices of one piece of work until it ends; return the size that fits by now."""
        while True:
            with self._changed:
                start, count = run.dealer.take(size)
            began = time.monotonic()
            result = self.engine.search(run.work.puzzle, start, count, run.stop)
            ended = time.monotonic()
            with self._changed:
                if result.tried:
                    self._meter.add(result.tried, began, ended)
                    size = next_slice_size(size, result.tried, ended - began)
                is_first = result.nonce is not None and not run.is_solved
                is_current = self._run is run
                if is_first:
                    run.is_solved = True
                    run.stop.set()
                    if is_current:
                        self._run = None
                        self._is_fetching = True  # nobody asks for work before `found` returns
                if is_first or run.stop.is_set() or run.dealer.is_empty:
                    run.searching -= 1
                    if not run.searching and self._run is run:
                        self._run = None
                        self._changed.notify_all()
                    break
        if is_first and result.nonce is not None:
            self._report(run.work, result.nonce, is_current)
        return size

    def _report(self, work: Work[T], nonce: int, is_current: bool) -> None:
        try:
            self._found(work, nonce)
        finally:
            if is_current:
                with self._changed:
                    self._is_fetching = False
                    self._changed.notify_all()
