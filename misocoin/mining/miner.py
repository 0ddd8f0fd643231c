"""The background miner: templates in, blocks out, anew at every tip and for better fees."""

import itertools
import logging
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

from misocoin.chain.events import Event, TipChanged, TransactionAdded
from misocoin.chain.mempool_entry import MempoolEntry
from misocoin.chain.state import BlockResult
from misocoin.chain.template import BlockTemplate, TemplateOptions, build_template
from misocoin.consensus.difficulty import target_from_bits
from misocoin.consensus.tree import HeaderNode
from misocoin.errors import ConfigError, MisocoinError
from misocoin.mining.background import BackgroundEngine
from misocoin.params import Params
from misocoin.pow.engine import Engine, StopFlag
from misocoin.pow.puzzles import ROLLED_VERSIONS, HeaderPuzzle
from misocoin.pow.searcher import Searcher, Work
from misocoin.pow.slices import MAX_THREADS
from misocoin.primitives.block import HEADER_SIZE, Block, header_from_bytes

log = logging.getLogger(__name__)

REFRESH_INTERVAL = 15.0
"""Seconds after which a template is made anew, for the time in its header."""

FEE_INTERVAL = 1.0
"""Seconds that a template is worked on at least before better fees make a new one."""


class ChainPort(Protocol):
    """What mining needs of the chain."""

    params: Params

    @property
    def lock(self) -> AbstractContextManager[object]:
        """Covers chain and mempool."""

    @property
    def tip(self) -> HeaderNode:
        """The block to build on."""

    def now(self) -> int:
        """Network time, unix seconds."""

    def submit_block(self, block: Block) -> BlockResult:
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
    rolled_versions: int
    """Block versions that are searched beside one another (BIP320)."""
    hashes_per_second: float
    """Over the last half minute, all threads together."""
    expected_seconds: float | None
    """Mean time to a block at this rate and the present difficulty; None without a rate."""
    blocks_found: int
    """Mined since the start, and part of the chain when they were."""


class _Candidate(NamedTuple):
    """What a found nonce completes."""

    template: BlockTemplate
    extra_nonce: int


class Miner:
    """Mines on `threads` threads when switched on, paying what `script` answers.

    Its `handle` is to be subscribed to the chain's events. Locks are taken in this order: the
    switch, the chain's, that of the ticker, the searcher's own.
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
        """Raises ConfigError for a number of threads that cannot be."""
        _check_threads(threads)
        self._chain = chain
        self._pool = pool
        self._engine = BackgroundEngine(engine)
        self._script = script
        self._options = options
        self._threads = threads
        self._switch = threading.Lock()
        self._extra_nonces = itertools.count(secrets.randbits(62))  # two nodes never search alike
        self._blocks_found = 0
        self._wakeup = threading.Condition()  # guards what follows
        self._searcher: Searcher[_Candidate] | None = None
        self._template_at = 0.0
        self._better_fees = False
        self._refused_on: HeaderNode | None = None
        self._closed = False
        self._ticker: threading.Thread | None = None
        # Searching threads have stepped back and must not hold the chain's lock: others would wait.
        self._desk = ThreadPoolExecutor(1, thread_name_prefix="miner-desk")

    # -- switching ----------------------------------------------------------------------------

    def set_mining(self, on: bool, threads: int | None = None) -> None:
        """Start or stop, or go on with another number of threads.

        Not to be called under the chain's lock: it waits for threads that may need it. Raises
        ConfigError for a number of threads that cannot be; then nothing changes.
        """
        if threads is not None:
            _check_threads(threads)
        with self._switch:
            if threads is not None:
                self._threads = threads
            searcher = self._searcher
            if searcher is not None:
                if on and searcher.failure is None and searcher.threads == self._threads:
                    return
                with self._wakeup:
                    self._searcher = None
                searcher.close()
            if on and not self._closed:
                self._start()

    def _start(self) -> None:
        searcher = Searcher(
            self._engine,
            lambda: self._desk.submit(self._source).result(),
            lambda work, nonce: self._desk.submit(self._found, work, nonce).result(),
            threads=self._threads,
            name="miner",
        )
        with self._wakeup:
            self._template_at = time.monotonic()
            self._refused_on = None
            self._searcher = searcher
            self._wakeup.notify_all()
        if self._ticker is None:
            self._ticker = threading.Thread(target=self._tick, name="miner-ticker", daemon=True)
            self._ticker.start()
        searcher.start()

    def close(self) -> None:
        """Stop for good; what is said of `set_mining` and the chain's lock holds here, too."""
        with self._wakeup:
            self._closed = True
            self._wakeup.notify_all()
        self.set_mining(False)
        if self._ticker is not None:
            self._ticker.join()
        self._desk.shutdown()

    def info(self) -> MiningInfo:
        """How it is going."""
        searcher = self._searcher
        with self._chain.lock:  # a block just found and its count are seen together
            bits, found = self._chain.tip.header.bits, self._blocks_found
        puzzle = rolled_puzzle(bytes(HEADER_SIZE), bits)
        rate = 0.0 if searcher is None else searcher.rate()
        return MiningInfo(
            searcher is not None and searcher.failure is None,
            self._threads,
            self._engine.name,
            self._engine.kernel(puzzle),
            puzzle.versions,
            rate,
            puzzle.expected_tries / rate if rate else None,
            found,
        )

    # -- searching ----------------------------------------------------------------------------

    def handle(self, event: Event) -> None:
        """Start anew on a new tip, and soon on new transactions; called under the chain's lock."""
        if isinstance(event, TipChanged):
            searcher = self._searcher
            if searcher is not None:
                searcher.refresh()
        elif isinstance(event, TransactionAdded):
            with self._wakeup:
                self._better_fees = True
                self._wakeup.notify_all()

    def _tick(self) -> None:
        """Have the template made anew whenever it is due."""
        with self._wakeup:
            while not self._closed:
                searcher = self._searcher
                if searcher is None:
                    self._wakeup.wait()
                    continue
                age = FEE_INTERVAL if self._better_fees else REFRESH_INTERVAL
                wait = self._template_at + age - time.monotonic()
                if wait > 0:
                    self._wakeup.wait(wait)
                    continue
                self._note_template()
                self._refused_on = None
                searcher.refresh()

    def _note_template(self) -> None:
        self._better_fees = False
        self._template_at = time.monotonic()

    def _source(self) -> Work[_Candidate] | None:
        chain = self._chain
        with chain.lock:
            with self._wakeup:
                if chain.tip is self._refused_on:
                    return None  # until the next tick: the same block would be refused again
                self._note_template()
            template = make_template(chain, self._pool, self._script(), self._options)
            if template.time > chain.now() + chain.params.max_future:
                return None  # the chain's clock is ahead of ours: wait for it
        extra_nonce = next(self._extra_nonces)
        puzzle = rolled_puzzle(template.header(extra_nonce).serialize(), template.bits)
        return Work(puzzle, _Candidate(template, extra_nonce))

    def _found(self, work: Work[_Candidate], nonce: int) -> None:
        template, extra_nonce = work.context
        header = header_from_bytes(work.puzzle.message(nonce))
        block = template.block(extra_nonce, nonce=header.nonce, version=header.version)
        with self._chain.lock:
            self._blocks_found += 1  # before anyone is told of the block
            in_chain = False
            try:
                in_chain = self._chain.submit_block(block).in_chain
                if not in_chain:
                    log.info("block %s came too late for the chain", block.header.hash_hex)
            except MisocoinError as error:
                log.warning("the block just mined was refused: %s", error)
                with self._wakeup:
                    self._refused_on = self._chain.tip
            finally:
                if not in_chain:
                    self._blocks_found -= 1


def _check_threads(threads: int) -> None:
    if not 1 <= threads <= MAX_THREADS:
        raise ConfigError(f"{threads} threads cannot mine: 1 to {MAX_THREADS} can")


def rolled_puzzle(header: bytes, bits: int) -> HeaderPuzzle:
    """The search for the nonce of a header (80 bytes) and for some of its version bits.

    The bits are the lowest of those that BIP320 leaves to miners: deployments signal with others.
    """
    return HeaderPuzzle(header, target_from_bits(bits), ROLLED_VERSIONS)


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
    """Mine `count` blocks of the active chain at once and return their hashes (wire order).

    Ends early when `stop` is set. Raises ValidationError where a block is refused.
    """
    hashes: list[bytes] = []
    extra_nonces = itertools.count(secrets.randbits(62))
    while len(hashes) < count and not (stop is not None and stop.is_set()):
        template = make_template(chain, pool, script, options)
        block = search_block(template, engine, next(extra_nonces), stop)
        if block is not None and chain.submit_block(block).in_chain:  # unless another was faster
            hashes.append(block.hash)
    return hashes


def search_block(
    template: BlockTemplate, engine: Engine, extra_nonce: int, stop: StopFlag | None = None
) -> Block | None:
    """The block for an extra nonce, here and now; None where none of its nonces will do."""
    header = template.header(extra_nonce).serialize()
    puzzle = HeaderPuzzle(header, target_from_bits(template.bits))
    nonce = engine.search(puzzle, 0, puzzle.space, stop).nonce
    return None if nonce is None else template.block(extra_nonce, nonce=nonce)
