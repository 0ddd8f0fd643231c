"""A miner at work on a chain in memory, with an engine run by hand."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import NamedTuple

from misocoin.chain.events import Event, EventBus, TipChanged
from misocoin.chain.mempool_entry import MempoolEntry
from misocoin.chain.state import BlockResult, ChainState
from misocoin.chain.template import TemplateOptions
from misocoin.consensus.tree import HeaderNode
from misocoin.mining.miner import Miner
from misocoin.params import Params
from misocoin.pow.engine import Engine, SearchResult, StopFlag
from misocoin.pow.puzzles import HeaderPuzzle, Puzzle
from misocoin.primitives.block import Block
from misocoin.store.store import Store
from tests.builders import KEY_SCRIPT, LATE, make_block, open_chain, small_params

PATIENCE = 60.0
"""Seconds after which something that should happen has not."""


class Engaged(NamedTuple):
    """A search that an engine was asked for."""

    puzzle: Puzzle
    stop: StopFlag


class ManualEngine(Engine):
    """Searches until it is told what to find, or to stop."""

    name = "manual"

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._solve = False
        self.searches: list[Engaged] = []

    def kernel(self, puzzle: Puzzle) -> str:
        return "by hand"

    def _scan(self, puzzle: Puzzle, start: int, count: int, stop: StopFlag) -> SearchResult:
        with self._changed:
            if not self.searches or self.searches[-1].puzzle is not puzzle:
                self.searches.append(Engaged(puzzle, stop))
                self._changed.notify_all()
            # The flag is a byte that nobody can wait for, so it is looked at now and then.
            while not self._solve and not stop.is_set():
                self._changed.wait(0.002)
            if stop.is_set():
                return SearchResult(None, 1)
            self._solve = False
        nonce = next(n for n in range(1 << 20) if puzzle.is_solution(n))
        return SearchResult(nonce, nonce - start + 1)

    def solve(self) -> None:
        """Find the answer to the search in hand, or to the next."""
        with self._changed:
            self._solve = True
            self._changed.notify_all()

    def wait_for(self, count: int) -> Engaged:
        """The search of that number, counted from 1."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.searches) >= count, PATIENCE)
            return self.searches[count - 1]


class Refusing:
    """A chain that refuses what the miner brings, for the reasons handed in."""

    def __init__(self, chain: ChainState, *reasons: Exception) -> None:
        self._chain = chain
        self.reasons = list(reasons)
        self.submitted = threading.Semaphore(0)

    @property
    def params(self) -> Params:
        return self._chain.params

    @property
    def lock(self) -> AbstractContextManager[object]:
        return self._chain.lock

    @property
    def tip(self) -> HeaderNode:
        return self._chain.tip

    def now(self) -> int:
        return self._chain.now()

    def submit_block(self, block: Block) -> BlockResult:
        try:
            if self.reasons:
                raise self.reasons.pop(0)
            return self._chain.submit_block(block)
        finally:
            self.submitted.release()


class Pool:
    """A mempool of entries handed in."""

    def __init__(self) -> None:
        self.held: tuple[MempoolEntry, ...] = ()
        self.asked = threading.Semaphore(0)

    def entries(self) -> tuple[MempoolEntry, ...]:
        self.asked.release()
        return self.held


class Bench:
    """A miner on a chain in memory, with an engine run by hand."""

    def __init__(
        self,
        *reasons: Exception,
        threads: int = 1,
        engine: Engine | None = None,
        now: Callable[[], int] = lambda: LATE,
    ) -> None:
        self.events = EventBus()
        self.seen: list[Event] = []
        self.engine = ManualEngine()
        self.pool = Pool()
        params = small_params(max_future=7_200)
        self.store = Store(None, params.genesis.hash)
        self.chain = open_chain(params, self.store, events=self.events, now=now)
        self.port = Refusing(self.chain, *reasons)
        self.miner = Miner(
            self.port,
            self.pool,
            engine or self.engine,
            lambda: KEY_SCRIPT,
            TemplateOptions(),
            threads,
        )
        self.events.subscribe(self.seen.append)
        self.events.subscribe(self.miner.handle)
        self.tip_moved = threading.Semaphore(0)
        self.events.subscribe(
            lambda event: self.tip_moved.release() if isinstance(event, TipChanged) else None
        )

    def add_block(self) -> Block:
        """A block of somebody else's."""
        block = make_block(self.chain.tip, self.chain.params, time=LATE - 1_000)
        self.chain.submit_block(block)
        return block

    def searched(self, count: int) -> HeaderPuzzle:
        puzzle = self.engine.wait_for(count).puzzle
        assert isinstance(puzzle, HeaderPuzzle)
        return puzzle


@contextmanager
def bench(
    *reasons: Exception,
    threads: int = 1,
    engine: Engine | None = None,
    now: Callable[[], int] = lambda: LATE,
) -> Iterator[Bench]:
    made = Bench(*reasons, threads=threads, engine=engine, now=now)
    try:
        yield made
    finally:
        made.miner.close()
        made.store.close()


def miner_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("miner")]


def searching_threads() -> list[threading.Thread]:
    return [thread for thread in miner_threads() if thread.name[-2:] in ("-0", "-1", "-2")]
