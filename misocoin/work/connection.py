"""One connection as the server sees it: bytes in, requests out; answers in, bytes out.

state     what comes               next state   becomes
OPENING   {"hello": …}             FRAMED       Hello
OPENING   {"method": …}            ORIGINAL     Request
ORIGINAL  {"method": …}            ORIGINAL     Request
FRAMED    {"id": …, "method": …}   FRAMED       Request
FRAMED    a line that is broken    FRAMED       Refusal; with too many of them CLOSED
any       anything else            CLOSED       Refusal
"""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from misocoin.errors import ParseError
from misocoin.work.answers import Answer, framed_bytes, original_bytes
from misocoin.work.framing import Splitter, object_from_bytes
from misocoin.work.requests import (
    Body,
    Cancel,
    DoPow,
    GetWork,
    Heartbeat,
    Hello,
    Ping,
    PushLease,
    PushOriginal,
    Request,
    RequestId,
    Stats,
    Wait,
    body_from_fields,
    hello_from_fields,
    id_from_fields,
)

MAX_BROKEN_LINES: Final = 20
"""Broken messages of one framed connection, after which it is closed."""


class State(Enum):
    """How far a connection is."""

    OPENING = auto()
    """Nothing whole has come yet, so that its dialect is unknown."""
    ORIGINAL = auto()
    FRAMED = auto()
    CLOSED = auto()
    """What comes is not read any more."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A message that cannot be used."""

    id: RequestId
    reason: str
    is_fatal: bool
    """Whether the connection ends with it."""


_ORIGINAL_BODIES: Final = (DoPow, GetWork, PushOriginal)
_FRAMED_BODIES: Final = (
    DoPow, Wait, Cancel, GetWork, Heartbeat, PushLease, Stats, Ping
)  # fmt: skip


class WorkConnection:
    """The protocol of one connection, without its socket."""

    def __init__(self) -> None:
        self._splitter = Splitter()
        self._broken = 0
        self._is_framed = False
        self.state = State.OPENING
        """How far it is."""

    @property
    def has_part(self) -> bool:
        """Whether a message has begun and not ended."""
        return self._splitter.has_part

    def feed(self, data: bytes) -> None:
        """Take bytes as they came."""
        if self.state is not State.CLOSED:
            self._splitter.feed(data)

    def next_event(self) -> Hello | Request | Refusal | None:
        """Return what the bytes so far say next, or None until more come."""
        if self.state is State.CLOSED:
            return None
        request_id: RequestId = None
        try:
            message = self._splitter.next_message()
        except ParseError as error:
            return self._close(str(error))
        if message is None:
            return None
        try:
            fields = object_from_bytes(message)
            if self.state is State.OPENING:
                if "hello" in fields:
                    self._is_framed = True
                    return self._open(hello_from_fields(fields))
                self.state = State.ORIGINAL
            if self.state is State.FRAMED:
                request_id = id_from_fields(fields)
            return Request(request_id, self._allowed(body_from_fields(fields)))
        except ParseError as error:
            self._broken += 1
            if self.state is State.FRAMED and self._broken < MAX_BROKEN_LINES:
                return Refusal(request_id, str(error), False)
            return self._close(str(error))

    def _open(self, hello: Hello) -> Hello:
        self.state = State.FRAMED
        self._splitter.is_lined = True
        return hello

    def _allowed(self, body: Body) -> Body:
        bodies = _ORIGINAL_BODIES if self.state is State.ORIGINAL else _FRAMED_BODIES
        if not isinstance(body, bodies):
            raise ParseError("that is no message of this dialect")
        return body

    def _close(self, reason: str) -> Refusal:
        self.state = State.CLOSED
        return Refusal(None, reason, True)

    def answer_bytes(self, request_id: RequestId, answer: Answer) -> bytes:
        """Write an answer in the connection's dialect; what has not shown any gets the original."""
        return framed_bytes(request_id, answer) if self._is_framed else original_bytes(answer)
