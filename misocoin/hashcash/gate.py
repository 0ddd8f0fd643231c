"""What both gates have in common: the words in which they talk to whoever moves their bytes.

A gate stands between two connections: the *near* one was accepted, the *far* one it has dialled.
It is told what happens and answers with actions; it never touches a socket, a clock or a thread.
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from itertools import groupby
from typing import Final, NamedTuple

from misocoin.hashcash.challenge import Challenge, mint_request_stamp
from misocoin.hashcash.lines import Interleaver, LineBuffer
from misocoin.hashcash.original import mint
from misocoin.hashcash.requests import UNREACHABLE, refusal
from misocoin.pow.engine import Engine, StopFlag

HELLO_ID: Final = "hashcash.hello"
"""The id of the request by which a client's gate asks whether the other side knows version 2."""

HELLO: Final = (
    b'{"id":"hashcash.hello","jsonrpc":"2.0","method":"hashcash.hello","params":{"version":2}}\n'
)
"""That request. The original drops it in silence, since it has a method and no stamp."""

BLANKS: Final = b" \t\r"
"""A line of these alone is no request, and nothing is done about it."""


class Version(Enum):
    """Which stamps a gate speaks."""

    AUTO = "auto"
    """Version 2, or the original's with the original."""
    ORIGINAL = "1"
    """The original's alone."""
    INSIST = "2"
    """Version 2 alone."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a gate keeps in memory for one connection."""

    line: int = 1 << 22
    """Bytes of a request: the hex of the largest transaction, and room."""
    original_line: int = 1 << 16
    """Bytes of a request with a stamp of the original, which is slow to check."""
    waiting: int = 1 << 20
    """Bytes of requests that wait; beyond that the gate is full."""
    waiting_lines: int = 256
    """Requests that wait; beyond that the gate is full."""


# -- actions ----------------------------------------------------------------------------------


class ToNear(NamedTuple):
    """Send bytes to the near side."""

    data: bytes


class ToFar(NamedTuple):
    """Send bytes to the far side."""

    data: bytes


class Dial(NamedTuple):
    """Connect to the far side, and say how that went."""


class EndFar(NamedTuple):
    """Tell the far side that nothing more will come; its answers still may."""


class Hold(NamedTuple):
    """Read nothing from the near side for some seconds, then say `resume`."""

    seconds: float


class Wake(NamedTuple):
    """Say `silence` after some seconds; a later `Wake` replaces this one, None takes it back."""

    seconds: float | None


class Mint(NamedTuple):
    """Search for a stamp, and hand in the line that comes of it with `minted`."""

    job: "Job"


class Close(NamedTuple):
    """Close both connections when what was sent has gone out."""


Action = ToNear | ToFar | Dial | EndFar | Hold | Wake | Mint | Close
"""What a gate wants done, in order."""


class Job(NamedTuple):
    """A line to be stamped."""

    line: bytes
    challenge: Challenge | None
    """What is asked for; None where it is to be a stamp of the original."""
    bits: int

    def run(self, engine: Engine, start: int, stop: StopFlag) -> bytes | None:
        """Search from a random `start` below 2**59; None where `stop` was set first."""
        if self.challenge is None:
            return mint(self.line, engine, start % 62**9, self.bits, stop)
        stamp = mint_request_stamp(self.challenge, self.line, engine, start, stop)
        return None if stamp is None else stamp.text.encode() + b" " + self.line


class Tally(Counter[str]):
    """Counts what happened, over all connections; metrics are made of it."""


class Gate(ABC):
    """One connection through a gate."""

    is_full: bool = False
    """Whether as much waits here as may: the near side should not be read from."""
    is_closed: bool = False
    """Whether it wanted to be closed."""

    def __init__(self, tally: Tally, bounds: Bounds | None) -> None:
        """Begin with nothing heard from either side."""
        self._tally = tally
        self._bounds = bounds or Bounds()
        self._lines = LineBuffer(self._bounds.line)
        self._near = Interleaver()
        self._has_ended = False
        self._reason = ""

    @property
    def has_paid(self) -> bool:
        """Whether this connection has shown that it is of use."""
        return True

    @property
    @abstractmethod
    def buffered(self) -> int:
        """Bytes from the near side that wait here."""

    @abstractmethod
    def start(self, now: float) -> list[Action]:
        """A connection was accepted."""

    @abstractmethod
    def near_data(self, data: bytes, now: float) -> list[Action]:
        """Bytes came from the near side."""

    @abstractmethod
    def near_end(self, now: float) -> list[Action]:
        """The near side will send nothing more."""

    @abstractmethod
    def far_connected(self, now: float) -> list[Action]:
        """The far side was reached."""

    @abstractmethod
    def far_failed(self, reason: str, now: float) -> list[Action]:
        """It was not."""

    @abstractmethod
    def far_data(self, data: bytes, now: float) -> list[Action]:
        """Bytes came from the far side."""

    @abstractmethod
    def far_end(self, now: float) -> list[Action]:
        """The far side will send nothing more."""

    def resume(self, now: float) -> list[Action]:
        """The time of a `Hold` is over."""
        return []

    def silence(self, now: float) -> list[Action]:
        """The time of a `Wake` is over."""
        return []

    def minted(self, line: bytes, now: float) -> list[Action]:
        """The job of a `Mint` is done."""
        return []

    def tick(self, now: float) -> list[Action]:
        """A few seconds have passed."""
        return []

    # -- for both kinds -----------------------------------------------------------------------

    def _answer(self, line: bytes, code: int, message: str, data: object = None) -> ToNear:
        """Refuse a request, between two lines of the far side."""
        return ToNear(self._near.add(refusal(line, code, message, data)))

    def _answer_unreachable(self, lines: Iterable[bytes]) -> list[Action]:
        """Tell who waits that the far side cannot be reached."""
        return [self._answer(line, UNREACHABLE, self._reason) for line in lines]

    def _close(self) -> Action:
        self.is_closed = True
        return Close()


def merged(actions: Iterable[Action]) -> list[Action]:
    """Join neighbouring bytes for the same side, and leave out empty ones."""
    filled = (one for one in actions if not isinstance(one, ToNear | ToFar) or one.data)
    result: list[Action] = []
    for kind, group in groupby(filled, type):
        if kind is ToNear or kind is ToFar:
            data = b"".join(one.data for one in group if isinstance(one, ToNear | ToFar))
            result.append(ToNear(data) if kind is ToNear else ToFar(data))
        else:
            result += group
    return result
