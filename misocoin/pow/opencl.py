"""The OpenCL engine: the same searches on a graphics card, or on whatever runs OpenCL.

Needs `pyopencl` (the extra `opencl`) and a device; nothing here is imported unless asked for.
"""

import threading
import time
import warnings
from importlib import import_module, resources
from struct import pack, unpack
from typing import Any, Final, Protocol

from misocoin.errors import ConfigError
from misocoin.packages import package_missing
from misocoin.pow.engine import Engine, SearchResult, StopFlag
from misocoin.pow.portable import PortableEngine
from misocoin.pow.puzzles import (
    BitmessagePuzzle,
    HashcashPuzzle,
    HeaderPuzzle,
    Puzzle,
    StampDigest,
)

BATCH_SECONDS: Final = 0.015
"""How long the device works between two looks at the stop flag, about."""

FIRST_BATCH: Final = 1 << 12
"""Candidates in the first batch of a search."""

MAX_BATCH: Final = 1 << 30
"""Candidates in any batch at most: an item's number has 32 bits."""

GROUP: Final = 128
"""Items that the device starts together; a batch is rounded up to whole groups."""

MAX_SUFFIX: Final = 1 << 12
"""Bytes after a counter from which on the portable engine is used."""

_NOT_FOUND: Final = 0xFFFFFFFF
_BLOCK: Final = 64
_MOST_LOW_DIGITS: Final = 8


class _Search(Protocol):
    """A puzzle laid out for the device."""

    def room(self, first: int) -> int:
        """How many nonces a batch from `first` on may have."""

    def run(self, first: int, count: int) -> int | None:
        """Answer the lowest item of a batch whose first words fit, or None."""


class OpenClEngine(Engine):
    """Searches on one OpenCL device: of all there are, a graphics card with the most units.

    Several threads may search at once; that is no faster than one.
    """

    def __init__(self) -> None:
        """Find a device; ConfigError where there is none, or pyopencl is not installed."""
        try:
            self._cl: Any = import_module("pyopencl")
        except ImportError as error:
            raise package_missing("engine 'opencl'", "pyopencl[pocl]") from error
        self._device = _best_device(self._cl)
        self._context = self._cl.Context([self._device])
        self._programs: dict[StampDigest, Any] = {}
        self._building = threading.Lock()
        self._portable = PortableEngine()

    @property
    def name(self) -> str:
        """The name that selects this engine."""
        return "opencl"

    @property
    def device(self) -> str:
        """The device's own name."""
        return str(self._device.name).strip()

    def kernel(self, puzzle: Puzzle) -> str:
        """Return `opencl`, but for a counter with a very long text behind it."""
        if isinstance(puzzle, HashcashPuzzle) and len(puzzle.suffix) > MAX_SUFFIX:
            return self._portable.name
        return self.name

    def _scan(self, puzzle: Puzzle, start: int, count: int, stop: StopFlag) -> SearchResult:
        if self.kernel(puzzle) == self._portable.name:
            return self._portable.search(puzzle, start, count, stop)
        search = self._prepare(puzzle)
        tried, size = 0, FIRST_BATCH
        while tried < count and not stop.is_set():
            batch = min(size, count - tried, search.room(start + tried))
            began = time.monotonic()
            found = search.run(start + tried, batch)
            seconds = time.monotonic() - began
            if found is None:
                tried += batch
                size = _next_batch(batch, size, seconds)
                continue
            tried += found + 1  # what passes by its first words is decided here
            if puzzle.is_solution(start + tried - 1):
                return SearchResult(start + tried - 1, tried)
        return SearchResult(None, tried)

    def _prepare(self, puzzle: Puzzle) -> _Search:
        match puzzle:
            case HeaderPuzzle():
                return _HeaderSearch(self._task(StampDigest.SHA256), puzzle)
            case BitmessagePuzzle():
                return _BitmessageSearch(self._task(StampDigest.SHA256), puzzle)
            case HashcashPuzzle():
                return _HashcashSearch(self._task(puzzle.digest), puzzle)

    def _task(self, digest: StampDigest) -> "_Task":
        """Compile at the first call, with this digest for hashcash; a queue of the caller's own."""
        with self._building:
            if digest not in self._programs:
                source = resources.files("misocoin.pow").joinpath("search.cl").read_text("utf-8")
                options = ["-DIS_SHA1"] if digest is StampDigest.SHA1 else []
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # the compiler's chatter
                    program = self._cl.Program(self._context, source).build(options)
                self._programs[digest] = program
        return _Task(self._cl, self._context, self._programs[digest])


class _Task:
    """What one search needs of the device: a queue, memory, and the cell for what is found."""

    def __init__(self, cl: Any, context: Any, program: Any) -> None:
        self._cl = cl
        self._context = context
        self._program = program
        self._queue = cl.CommandQueue(context)
        self.found = self.memory(4)

    def memory(self, size: int) -> Any:
        """Memory on the device, undefined."""
        return self._cl.Buffer(self._context, self._cl.mem_flags.READ_WRITE, size)

    def constant(self, content: bytes) -> Any:
        """Memory on the device with this content."""
        flags = self._cl.mem_flags.READ_ONLY | self._cl.mem_flags.COPY_HOST_PTR
        return self._cl.Buffer(self._context, flags, hostbuf=content)

    def kernel(self, name: str) -> Any:
        """A kernel that no other search has."""
        return self._cl.Kernel(self._program, name)

    def run(self, kernel: Any, items: int, group: int, *arguments: Any) -> None:
        """Queue a kernel, in groups of so many items; numbers come as their bytes."""
        for position, argument in enumerate(arguments):
            kernel.set_arg(position, argument)
        self._cl.enqueue_nd_range_kernel(self._queue, kernel, (items,), (group,))

    def search(self, kernel: Any, count: int, *arguments: Any) -> int | None:
        """Run a search to its end; its last arguments are the count and the cell for the result.

        The items that fill up the last group find nothing.
        """
        cell = bytearray(pack("=I", _NOT_FOUND))
        self._cl.enqueue_copy(self._queue, self.found, cell)
        items = -(-count // GROUP) * GROUP
        self.run(kernel, items, GROUP, *arguments, pack("=I", count), self.found)
        self._cl.enqueue_copy(self._queue, cell, self.found)
        (found,) = unpack("=I", cell)
        return None if found == _NOT_FOUND else int(found)


class _HeaderSearch:
    def __init__(self, task: _Task, puzzle: HeaderPuzzle) -> None:
        self._task = task
        self._puzzle = puzzle
        self._versions = task.memory(64 * puzzle.versions)
        self._schedule = task.memory(16)
        self._kernel = task.kernel("search_header")
        header = task.constant(_words(puzzle.header))
        prepare = task.kernel("prepare_header")
        task.run(prepare, puzzle.versions, 1, header, self._versions, self._schedule)

    def room(self, first: int) -> int:
        return MAX_BATCH

    def run(self, first: int, count: int) -> int | None:
        versions = self._puzzle.versions
        nonce, skipped = divmod(first, versions)
        return self._task.search(
            self._kernel,
            count,
            self._versions,
            self._schedule,
            pack("=I", versions),
            pack("=I", nonce),
            pack("=I", skipped),
            pack("=I", self._puzzle.target >> 224),
        )


class _BitmessageSearch:
    def __init__(self, task: _Task, puzzle: BitmessagePuzzle) -> None:
        self._task = task
        self._target = puzzle.target
        self._kernel = task.kernel("search_bitmessage")
        self._hash = task.constant(pack("=8Q", *unpack(">8Q", puzzle.initial_hash)))

    def room(self, first: int) -> int:
        return MAX_BATCH

    def run(self, first: int, count: int) -> int | None:
        return self._task.search(
            self._kernel, count, self._hash, pack("=Q", first), pack("=Q", self._target)
        )


class _HashcashSearch:
    """The counter's last digits are written by the items, the others stay during a stretch."""

    def __init__(self, task: _Task, puzzle: HashcashPuzzle) -> None:
        self._task = task
        self._puzzle = puzzle
        self._base = len(puzzle.alphabet)
        self._low_width = 1
        while (
            self._low_width < min(puzzle.width, _MOST_LOW_DIGITS)
            and self._base ** (self._low_width + 1) <= _NOT_FOUND
        ):
            self._low_width += 1
        self._low_count: int = self._base**self._low_width
        self._digits = task.constant(puzzle.alphabet)
        ones = ((1 << puzzle.bits) - 1) << (puzzle.digest.bits - puzzle.bits)
        first_words = ones >> (puzzle.digest.bits - 64)
        self._masks = pack("=II", first_words >> 32, first_words & 0xFFFFFFFF)
        self._kernel = task.kernel("search_hashcash")
        self._take = task.kernel("take_blocks")
        self._state = task.memory(32)
        self._high: int | None = None
        self._blocks: Any = None
        self._block_count = 0

    def room(self, first: int) -> int:
        return min(MAX_BATCH, self._low_count - first % self._low_count)

    def run(self, first: int, count: int) -> int | None:
        high, low = divmod(first, self._low_count)
        if high != self._high:
            self._begin_stretch(high)
        place = (len(self._puzzle.prefix) + self._puzzle.width - self._low_width) % _BLOCK
        return self._task.search(
            self._kernel,
            count,
            self._state,
            self._blocks,
            pack("=I", self._block_count),
            pack("=I", place),
            pack("=I", self._low_width),
            self._digits,
            pack("=I", self._base),
            pack("=I", low),
            self._masks,
        )

    def _begin_stretch(self, high: int) -> None:
        puzzle = self._puzzle
        head = puzzle.prefix + puzzle.counter(high * self._low_count)[: -self._low_width]
        text = head + bytes(self._low_width) + puzzle.suffix
        padding = b"\x80" + bytes((-len(text) - 9) % _BLOCK) + pack(">Q", 8 * len(text))
        blocks = text + padding
        start = len(head) - len(head) % _BLOCK
        before = self._task.constant(_words(blocks[:start] or bytes(_BLOCK)))
        self._task.run(
            self._take, 1, 1, before, pack("=I", start // _BLOCK), pack("=I", 1), self._state
        )
        self._blocks = self._task.constant(_words(blocks[start:]))
        self._block_count = len(blocks[start:]) // _BLOCK
        self._high = high


def _words(message: bytes) -> bytes:
    """Turn the big-endian words of a message into the machine's own."""
    count = len(message) // 4
    return pack(f"={count}I", *unpack(f">{count}I", message))


def _next_batch(batch: int, size: int, seconds: float) -> int:
    """Twice as large or half where the last batch was far from its time; cut ones say nothing."""
    if batch == size and seconds < BATCH_SECONDS / 2:
        return min(2 * size, MAX_BATCH)
    if seconds > 2 * BATCH_SECONDS:
        return max(size // 2, 1)
    return size


def _best_device(cl: Any) -> Any:
    """Choose a device; ConfigError where none is to be had."""
    try:
        devices = [device for platform in cl.get_platforms() for device in platform.get_devices()]
    except cl.Error as error:
        raise ConfigError(f"engine 'opencl' finds no device: {error}") from error
    if not devices:
        raise ConfigError("engine 'opencl' finds no device")
    gpu = cl.device_type.GPU
    return max(devices, key=lambda d: (bool(d.type & gpu), d.max_compute_units))
