"""The background miner: templates in, blocks out, anew at every tip and for better fees."""

import itertools
import logging
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from misocoin.chain.events import Event, TipChanged, TransactionAdded
from misocoin.chain.mempool_entry import MempoolEntry
from misocoin.chain.template import BlockTemplate, TemplateOptions, build_template
from misocoin.consensus.difficulty import target_from_bits
from misocoin.consensus.tree import HeaderNode
from misocoin.errors import MisocoinError
from misocoin.params import Params
from misocoin.pow.engine import Engine, StopFlag
from misocoin.pow.puzzles import HeaderPuzzle
from misocoin.pow.searcher import Searcher, Work
from misocoin.primitives.block import Block

log = logging.getLogger(__name__)

REFRESH_INTERVAL = 15.0
"""Seconds after which a template is made anew, for the time in its header."""

FEE_INTERVAL = 1.0
"""Seconds that a template is worked on at least before better fees make a new one."""


class ChainPort(Protocol):
    """What mining needs of the chain."""

    params: Params

    @property
    def lock(self) -> "threading._RLock":
        """Covers chain and mempool."""

    @property
    def tip(self) -> HeaderNode:
        """The block to build on."""

    def now(self) -> int:
        """Network time."""

    def submit_block(self, block: Block) -> object:
        """Take a block; raises ValidationError."""


class PoolPort(Protocol):
    """What mining needs of the mempool."""

    def entries(self) -> Sequence[MempoolEntry]:
        """A snapshot, parents before children."""


class MiningInfo(NamedTuple):
    """How the miner is doing."""

    is_mining: bool
    threads: int
    """That are searching, or would be."""
    engine: str
    kernel: str
    """The loop that searches block headers."""
    hashes_per_second: float
    """Over the last half minute, all threads together."""
    expected_seconds: float | None
    """Mean time to a block at this rate and the present difficulty; None without a rate."""
    blocks_found: int
    """Since the start."""


class _Candidate(NamedTuple):
    """What a found nonce completes."""

    template: BlockTemplate
    extra_nonce: int


class Miner:
    """Mines on `threads` threads when switched on, paying what `script` answers.

    Its `handle` is to be subscribed to the chain's events.
    """

    def __init__(
        self,
        chain: ChainPort,
        pool: PoolPort,
        engine: Engine,
        script: Callable[[], bytes],
        options: TemplateOptions,
        threads: int = 1,
    ) -> None:
        self._chain = chain
        self._pool = pool
        self._engine = engine
        self._script = script
        self._options = options
        self._threads = threads
        self._switch = threading.Lock()
        self._searcher: Searcher[_Candidate] | None = None
        self._extra_nonces = itertools.count(secrets.randbits(62))  # two nodes never search alike
        self._blocks_found = 0
        self._template_at = 0.0
        self._wakeup = threading.Condition()
        self._better_fees = False
        self._closed = False
        self._ticker: threading.Thread | None = None

    # -- switching ----------------------------------------------------------------------------

    def set_mining(self, on: bool, threads: int | None = None) -> None:
        """Start or stop, or go on with another number of threads.

        Not to be called under the chain's lock: it waits for threads that may need it.
        """
        with self._switch:
            if threads is not None:
                self._threads = threads
            if self._searcher is not None:
                self._searcher.close()
                self._searcher = None
            if not on or self._closed:
                return
            if self._ticker is None:
                self._ticker = threading.Thread(target=self._tick, name="miner-ticker", daemon=True)
                self._ticker.start()
            self._searcher = Searcher(
                self._engine, self._source, self._found, threads=self._threads, name="miner"
            )
            self._searcher.start()

    def close(self) -> None:
        """Stop for good."""
        with self._wakeup:
            self._closed = True
            self._wakeup.notify_all()
        self.set_mining(False)
        if self._ticker is not None:
            self._ticker.join()

    def info(self) -> MiningInfo:
        """How it is going."""
        with self._switch:
            searcher = self._searcher
        puzzle = HeaderPuzzle(bytes(80), target_from_bits(self._chain.tip.header.bits))
        rate = 0.0 if searcher is None else searcher.rate()
        return MiningInfo(
            searcher is not None and searcher.failure is None,
            self._threads,
            self._engine.name,
            self._engine.kernel(puzzle),
            rate,
            puzzle.expected_tries / rate if rate else None,
            self._blocks_found,
        )

    # -- searching ----------------------------------------------------------------------------

    def handle(self, event: Event) -> None:
        """Start anew on a new tip, and soon on new transactions; called under the chain's lock."""
        searcher = self._searcher
        if searcher is None:
            return
        if isinstance(event, TipChanged):
            searcher.refresh()
        elif isinstance(event, TransactionAdded):
            with self._wakeup:
                self._better_fees = True
                self._wakeup.notify_all()

    def _tick(self) -> None:
        with self._wakeup:
            while not self._closed:
                self._wakeup.wait_for(
                    lambda: self._closed or self._better_fees, self._seconds_to(REFRESH_INTERVAL)
                )
                wait = self._seconds_to(FEE_INTERVAL)
                if self._better_fees and wait > 0:
                    self._wakeup.wait_for(lambda: self._closed, wait)
                searcher = self._searcher
                if searcher is not None and not self._closed:
                    self._better_fees = False
                    self._template_at = time.monotonic()
                    searcher.refresh()

    def _seconds_to(self, interval: float) -> float:
        return max(0.0, self._template_at + interval - time.monotonic())

    def _source(self) -> Work[_Candidate] | None:
        chain = self._chain
        with chain.lock:
            self._better_fees = False
            template = make_template(chain, self._pool, self._script(), self._options)
        self._template_at = time.monotonic()
        if template.time > chain.now() + chain.params.max_future:
            return None  # the chain's clock is ahead of ours: wait for it
        extra_nonce = next(self._extra_nonces)
        header = template.header(extra_nonce).serialize()
        puzzle = HeaderPuzzle(header, target_from_bits(template.bits))
        return Work(puzzle, _Candidate(template, extra_nonce))

    def _found(self, work: Work[_Candidate], nonce: int) -> None:
        template, extra_nonce = work.context
        block = template.block(extra_nonce, nonce=nonce)
        try:
            self._chain.submit_block(block)
        except MisocoinError as error:
            log.error("the block just mined was refused: %s", error)
        else:
            self._blocks_found += 1


def make_template(
    chain: ChainPort, pool: PoolPort, script: bytes, options: TemplateOptions
) -> BlockTemplate:
    """A template on the present tip with what the mempool offers."""
    with chain.lock:
        return build_template(chain.tip, pool.entries(), chain.params, chain.now(), script, options)


def generate_blocks(
    chain: ChainPort,
    pool: PoolPort,
    engine: Engine,
    script: bytes,
    count: int,
    options: TemplateOptions,
    stop: StopFlag | None = None,
) -> list[bytes]:
    """Mine `count` blocks at once and return their hashes (wire order).

    Ends early when `stop` is set. Raises ValidationError where a block is refused.
    """
    hashes: list[bytes] = []
    extra_nonces = itertools.count(secrets.randbits(62))
    while len(hashes) < count and not (stop is not None and stop.is_set()):
        template = make_template(chain, pool, script, options)
        extra_nonce = next(extra_nonces)
        header = template.header(extra_nonce).serialize()
        puzzle = HeaderPuzzle(header, target_from_bits(template.bits))
        nonce = engine.search(puzzle, 0, puzzle.space, stop).nonce
        if nonce is not None:
            block = template.block(extra_nonce, nonce=nonce)
            chain.submit_block(block)
            hashes.append(block.hash)
    return hashes
