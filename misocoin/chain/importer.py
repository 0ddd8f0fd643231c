"""Import of blocks from files in Core's blk*.dat framing: magic, length, block, over and over.

Blocks may stand in any order, as in Core's own files; zeros and broken pieces between them are
passed over, as Core's `-loadblock` does.
"""

import logging
import mmap
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Protocol

from misocoin.codec import MAX_COMPACT_SIZE
from misocoin.consensus.tree import HeaderNode
from misocoin.errors import ConfigError, ParseError, ValidationError
from misocoin.params import Params
from misocoin.primitives.block import HEADER_SIZE, Block, block_from_bytes

log = logging.getLogger(__name__)

FRAME_SIZE = 8
"""Bytes before each block: the network's magic and the length (little-endian)."""


class BlockTaker(Protocol):
    """What the import needs of the chain."""

    def knows(self, block_hash: bytes) -> bool:
        """Whether a header of that hash is in the tree."""

    def submit_block(self, block: Block, data: bytes | None = None) -> object:
        """Check and store a block; raises ValidationError."""

    @property
    def tip(self) -> HeaderNode:
        """The active chain's last block."""


class ImportProgress(NamedTuple):
    """How far an import has come."""

    blocks: int
    """Blocks taken so far, known ones included."""
    transactions: int
    position: int
    """Bytes of the file read."""
    size: int
    """Bytes of the file."""


class ImportResult(NamedTuple):
    """What an import did."""

    blocks: int
    """Blocks taken, known ones included."""
    transactions: int
    rejected: int
    """Blocks that broke a rule."""
    orphans: int
    """Blocks whose parent is in neither file nor chain."""


def import_blocks(
    path: Path,
    chain: BlockTaker,
    params: Params,
    *,
    progress: Callable[[ImportProgress], None] = lambda _progress: None,
    rejected: Callable[[str, ValidationError], None] = lambda _hash, _error: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> ImportResult:
    """Hand every block in the file at `path` to the chain, parents first.

    `progress` is called after every block, `rejected` with the display hash of every block that
    breaks a rule. Raises ConfigError where the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            if path.stat().st_size == 0:
                return ImportResult(0, 0, 0, 0)
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _Import(data, chain, params, progress, rejected, should_stop).run()
    except OSError as error:
        raise ConfigError(f"-loadblock={path}: {error.strerror}") from error


def log_import(
    path: Path, result: ImportResult, seconds: float, params: Params, tip: HeaderNode
) -> None:
    """Say how an import went."""
    if not result.blocks + result.rejected + result.orphans:
        log.warning("%s holds no block of chain %s", path, params.name)
    log.info(
        "imported %d blocks with %d transactions in %.1f s (%d refused, %d without parent); "
        "the tip is %d, %s",
        result.blocks,
        result.transactions,
        seconds,
        result.rejected,
        result.orphans,
        tip.height,
        tip.header.hash_hex,
    )


class _Import:
    """One run over one file."""

    def __init__(
        self,
        data: mmap.mmap,
        chain: BlockTaker,
        params: Params,
        progress: Callable[[ImportProgress], None],
        rejected: Callable[[str, ValidationError], None],
        should_stop: Callable[[], bool],
    ) -> None:
        self._data = data
        self._chain = chain
        self._magic = params.magic
        self._genesis = params.genesis.hash
        self._progress = progress
        self._rejected = rejected
        self._should_stop = should_stop
        self._orphans: dict[bytes, list[tuple[int, int]]] = {}  # parent -> (start, end) in file
        self._blocks = self._transactions = self._failed = 0
        self._position = 0

    def run(self) -> ImportResult:
        while not self._should_stop() and (found := self._next_frame()) is not None:
            self._take(*found)
        orphans = sum(len(places) for places in self._orphans.values())
        return ImportResult(self._blocks, self._transactions, self._failed, orphans)

    def _next_frame(self) -> tuple[int, int] | None:
        """Offsets of the next block's bytes, None at the end of the file."""
        data = self._data
        while True:
            at = data.find(self._magic, self._position)
            if at < 0 or at + FRAME_SIZE > len(data):
                return None
            length = int.from_bytes(data[at + 4 : at + FRAME_SIZE], "little")
            start = at + FRAME_SIZE
            if HEADER_SIZE < length <= MAX_COMPACT_SIZE and start + length <= len(data):
                self._position = start + length
                return start, start + length
            self._position = at + 1

    def _take(self, start: int, end: int) -> None:
        """Take the block at these offsets and all that waited for it."""
        ready = [(start, end)]
        while ready and not self._should_stop():
            begin, stop = ready.pop()
            raw = self._data[begin:stop]
            try:
                block = block_from_bytes(raw)
            except ParseError:
                self._position = begin  # the frame lied: look for the next magic inside it
                continue
            parent = block.header.prev_hash
            if block.hash != self._genesis and not self._chain.knows(parent):
                self._orphans.setdefault(parent, []).append((begin, stop))
                continue
            self._submit(block, raw)
            ready += self._orphans.pop(block.hash, [])

    def _submit(self, block: Block, raw: bytes) -> None:
        try:
            if block.hash != self._genesis:
                self._chain.submit_block(block, raw)
        except ValidationError as error:
            self._failed += 1
            self._rejected(block.header.hash_hex, error)
            return
        self._blocks += 1
        self._transactions += len(block.transactions)
        self._progress(
            ImportProgress(self._blocks, self._transactions, self._position, len(self._data))
        )
