"""What every engine is: a function of a puzzle, a range of nonces and a stop flag."""

from abc import ABC, abstractmethod
from typing import NamedTuple

from misocoin.pow.puzzles import Puzzle


class KernelFault(RuntimeError):  # noqa: N818 - a fault of ours or of the hardware, not an input's
    """A kernel answered what hashlib does not confirm: a bug or broken hardware."""


class StopFlag:
    """Tells a running search to come back; set once, from any thread.

    It is a byte in memory so that native loops can look at it without the interpreter's lock.
    Every engine obeys within 50 ms.
    """

    __slots__ = ("_children", "byte")

    def __init__(self) -> None:
        self.byte = bytearray(1)
        """The flag itself: not zero when set. Native code holds on to this buffer."""
        self._children: list[StopFlag] = []

    def set(self) -> None:
        """Ask the search to stop, and with it those that have a child of this flag."""
        self.byte[0] = 1
        for child in tuple(self._children):
            child.set()

    def child(self) -> "StopFlag":
        """Return a flag that is set with this one, and can be set alone."""
        child = StopFlag()
        self._children.append(child)
        if self.is_set():
            child.set()
        return child

    def is_set(self) -> bool:
        """Tell whether it was asked to stop."""
        return self.byte[0] != 0


class SearchResult(NamedTuple):
    """What a search came back with."""

    nonce: int | None
    """The lowest winning nonce of the range, confirmed by hashlib, or None."""
    tried: int
    """Nonces decided from the start on, the winning one included; `start + tried` goes on."""


class Engine(ABC):
    """One way to search every puzzle."""

    @property
    @abstractmethod
    def name(self) -> str:
        """The name that selects this engine (`-engine=`)."""

    @abstractmethod
    def kernel(self, puzzle: Puzzle) -> str:
        """Return the name of the loop that this engine runs for such a puzzle."""

    def search(
        self, puzzle: Puzzle, start: int, count: int, stop: StopFlag | None = None
    ) -> SearchResult:
        """Search nonces `start` to `start + count - 1` for the lowest that wins.

        The range ends with the puzzle's space at the latest, so fewer than `count` may be tried.
        Raises ValueError for a range outside the space and KernelFault for a nonce that hashlib
        does not confirm.
        """
        if start < 0 or count < 0 or start > puzzle.space:
            raise ValueError(f"nonces from {start} are not in a space of {puzzle.space}")
        count = min(count, puzzle.space - start)
        result = self._scan(puzzle, start, count, stop if stop is not None else StopFlag())
        if result.nonce is not None and not puzzle.is_solution(result.nonce):
            raise KernelFault(f"{self.kernel(puzzle)} claims nonce {result.nonce} of {puzzle}")
        return result

    @abstractmethod
    def _scan(self, puzzle: Puzzle, start: int, count: int, stop: StopFlag) -> SearchResult:
        """Search a range that lies inside the space; what is found is checked by `search`."""
