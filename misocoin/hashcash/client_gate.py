"""The gate beside a client: stamps its requests, one after the other, and passes answers back.

It dials at once and asks the other side for a challenge. One that does not answer is taken for the
original, which dies of two messages in one packet: it gets one request at a time.
"""

from collections import deque
from collections.abc import Mapping
from enum import Enum, auto
from typing import Final, NamedTuple

import orjson

from misocoin.errors import ParseError
from misocoin.hashcash.announcement import MAX_SIZE, Announcement
from misocoin.hashcash.challenge import MAX_BITS
from misocoin.hashcash.gate import (
    BLANKS,
    HELLO,
    HELLO_ID,
    Action,
    Bounds,
    Dial,
    EndFar,
    Gate,
    Job,
    Mint,
    Tally,
    ToFar,
    ToNear,
    Version,
    Wake,
    merged,
)
from misocoin.hashcash.lines import (
    AnnouncementFilter,
    LineBuffer,
)
from misocoin.hashcash.original import DEFAULT_BITS, stamp_puzzle
from misocoin.hashcash.price import bits_for_cost, cost_of
from misocoin.hashcash.requests import (
    INVALID_REQUEST,
    STAMP_ERROR,
    BadRequest,
    Request,
    request_from_line,
)
from misocoin.units import UnixTime

ANSWER_SECONDS: Final = 10.0
"""How long the original is waited for before the next request goes to it."""

ORIGINAL_SECONDS: Final = 600.0
"""How long a server that did not understand a greeting gets no other one."""

UNANSWERED_SECONDS: Final = 0.1
"""How long after a notification the next request goes to it."""


class State(Enum):
    """Where a connection stands."""

    DIALLING = auto()
    GREETING = auto()
    """The other side was asked for a challenge."""
    READY = auto()
    """It has told one; nothing is being minted."""
    MINTING = auto()
    PLAIN = auto()
    """It is the original, and ready for a request."""
    PLAIN_MINTING = auto()
    PLAIN_WAITING = auto()
    """It has a request, and has not answered yet."""
    DOWN = auto()
    """It could not be reached; the next request dials again."""
    ENDING = auto()
    """The client has said all it will, and so it was passed on; answers may come."""
    CLOSED = auto()


class Event(Enum):
    """What happens to it."""

    CONNECTED = auto()
    CONNECTED_ORIGINAL = auto()
    """The other side is known to be the original, or is to be treated so."""
    FAILED = auto()
    CHALLENGED = auto()
    SILENCE = auto()
    """No answer came in time, or one that does not understand."""
    REFUSED = auto()
    """The same, where version 2 is insisted on."""
    REQUEST = auto()
    """A request is next."""
    MINTED = auto()
    ANSWERED = auto()
    DRAINED = auto()
    """The client has said all it will, and all of it was sent."""
    FAR_END = auto()
    BROKEN = auto()
    """The client sends what cannot be read on."""


class Step(Enum):
    """What is to be done about it."""

    DIAL = auto()
    GREET = auto()
    NEXT = auto()
    """See what is next."""
    NOTHING = auto()
    MINT = auto()
    SEND = auto()
    SEND_AND_WAIT = auto()
    END = auto()
    REFUSE = auto()
    """Answer what waits with an error."""
    REFUSE_AND_CLOSE = auto()
    CLOSE = auto()


TRANSITIONS: Final[Mapping[tuple[State, Event], tuple[State, Step]]] = {
    (State.DIALLING, Event.CONNECTED): (State.GREETING, Step.GREET),
    (State.DIALLING, Event.CONNECTED_ORIGINAL): (State.PLAIN, Step.NEXT),
    (State.DIALLING, Event.FAILED): (State.DOWN, Step.REFUSE),
    (State.DOWN, Event.REQUEST): (State.DIALLING, Step.DIAL),
    (State.DOWN, Event.DRAINED): (State.CLOSED, Step.CLOSE),
    (State.GREETING, Event.CHALLENGED): (State.READY, Step.NEXT),
    (State.GREETING, Event.SILENCE): (State.PLAIN, Step.NEXT),
    (State.GREETING, Event.REFUSED): (State.CLOSED, Step.REFUSE_AND_CLOSE),
    (State.READY, Event.REQUEST): (State.MINTING, Step.MINT),
    (State.READY, Event.DRAINED): (State.ENDING, Step.END),
    (State.MINTING, Event.MINTED): (State.READY, Step.SEND),
    (State.PLAIN, Event.REQUEST): (State.PLAIN_MINTING, Step.MINT),
    (State.PLAIN, Event.CHALLENGED): (State.READY, Step.NEXT),
    (State.PLAIN, Event.DRAINED): (State.ENDING, Step.END),
    (State.PLAIN_MINTING, Event.MINTED): (State.PLAIN_WAITING, Step.SEND_AND_WAIT),
    (State.PLAIN_MINTING, Event.CHALLENGED): (State.MINTING, Step.NOTHING),
    (State.PLAIN_WAITING, Event.ANSWERED): (State.PLAIN, Step.NEXT),
    (State.PLAIN_WAITING, Event.SILENCE): (State.PLAIN, Step.NEXT),
    (State.PLAIN_WAITING, Event.CHALLENGED): (State.READY, Step.NEXT),
    (State.ENDING, Event.FAR_END): (State.CLOSED, Step.CLOSE),
    **{
        (state, Event.FAR_END): (State.CLOSED, Step.REFUSE_AND_CLOSE)
        for state in (
            State.GREETING,
            State.READY,
            State.MINTING,
            State.PLAIN,
            State.PLAIN_MINTING,
            State.PLAIN_WAITING,
        )
    },
    **{
        (state, Event.BROKEN): (State.CLOSED, Step.CLOSE)
        for state in State
        if state is not State.CLOSED
    },
}
"""Every event that means something in a state; any other means nothing there."""


class Terms(NamedTuple):
    """What a client's gate agrees to."""

    version: Version = Version.AUTO
    original_bits: int = DEFAULT_BITS
    """Zero bits of a stamp of the original."""
    max_bits: int = 28
    """The most that is minted for a request; what costs more is refused here."""
    greeting_seconds: float = 2.0
    """How long an answer to the greeting is waited for."""
    service: str | None = None
    """The name that the server must have; None takes any."""


class Heard(NamedTuple):
    """What the server has told, and when."""

    announcement: Announcement
    at: float


class Counterpart:
    """What was found out about the other side, so that not every connection waits to find out."""

    def __init__(self) -> None:
        self._original_until = float("-inf")

    def is_original(self, now: float) -> bool:
        """Whether it was found to be the original, a while ago at most."""
        return now < self._original_until

    def note_original(self, now: float) -> None:
        """It did not understand a greeting."""
        self._original_until = now + ORIGINAL_SECONDS

    def note_version_2(self) -> None:
        """It did."""
        self._original_until = float("-inf")


class _Waiting(NamedTuple):
    """A request that is to be stamped."""

    line: bytes
    end: bytes
    """What ended it: a newline, or nothing at the stream's end."""
    request: Request


class ClientGate(Gate):
    """A connection of a client to its own gate."""

    def __init__(
        self,
        tally: Tally,
        terms: Terms | None = None,
        counterpart: Counterpart | None = None,
        bounds: Bounds | None = None,
    ) -> None:
        """`counterpart` is shared by the connections to one server."""
        super().__init__(tally, bounds)
        self._terms = terms or Terms()
        self._counterpart = counterpart or Counterpart()
        self._state = State.DIALLING
        self._filter = AnnouncementFilter()
        self._answers = LineBuffer(self._bounds.line)
        self._queue: deque[_Waiting] = deque()
        self._queued = 0
        self._heard: Heard | None = None
        self._greeting = b""
        self._job: Job | None = None

    @property
    def buffered(self) -> int:
        """See `Gate`."""
        return len(self._lines) + self._queued

    def start(self, now: float) -> list[Action]:
        """Dial at once."""
        return [Dial()]

    def near_data(self, data: bytes, now: float) -> list[Action]:
        """See `Gate`."""
        if self.is_closed:
            return []
        self._lines.feed(data)
        actions: list[Action] = []
        while True:
            try:
                line = self._lines.next()
            except ParseError as error:
                actions.append(self._answer(b"", INVALID_REQUEST, str(error)))
                actions += self._happen(Event.BROKEN, now)
                break
            if line is None:
                break
            actions += self._take(line, b"\n")
        return merged([*actions, *self._next(now)])

    def near_end(self, now: float) -> list[Action]:
        """See `Gate`."""
        self._has_ended = True
        rest = self._lines.rest()
        return merged([*(self._take(rest, b"") if rest else []), *self._next(now)])

    def far_connected(self, now: float) -> list[Action]:
        """See `Gate`."""
        is_known = self._terms.version is Version.ORIGINAL or (
            self._terms.version is Version.AUTO and self._counterpart.is_original(now)
        )
        return merged(self._happen(Event.CONNECTED_ORIGINAL if is_known else Event.CONNECTED, now))

    def far_failed(self, reason: str, now: float) -> list[Action]:
        """See `Gate`."""
        self._tally["dials_failed"] += 1
        self._reason = reason
        return merged([*self._happen(Event.FAILED, now), *self._next(now)])

    def far_data(self, data: bytes, now: float) -> list[Action]:
        """See `Gate`."""
        if self._terms.version is Version.ORIGINAL:
            return merged([*self._pass_back(data), *self._watch_answers(data, now)])
        passed, announcements = self._filter.feed(data)
        actions: list[Action] = []
        for announcement in announcements:
            actions += self._hear(announcement, now)
        if self._state is State.GREETING and passed:
            self._greeting += passed
            passed, is_over = _without_greeting_answer(self._greeting)
            if is_over:
                self._greeting = b""
                actions += [Wake(None), *self._happen(self._greeting_failed(now), now)]
        actions += self._pass_back(passed)
        return merged([*actions, *self._watch_answers(passed, now)])

    def far_end(self, now: float) -> list[Action]:
        """See `Gate`."""
        self._reason = self._reason or "the server has closed the connection"
        rest = self._greeting + self._filter.rest()
        return merged([*self._pass_back(rest), *self._happen(Event.FAR_END, now)])

    def silence(self, now: float) -> list[Action]:
        """See `Gate`."""
        if self._state is State.GREETING:
            kept, self._greeting = self._greeting, b""
            return merged([*self._pass_back(kept), *self._happen(self._greeting_failed(now), now)])
        return merged(self._happen(Event.SILENCE, now))

    def minted(self, line: bytes, now: float) -> list[Action]:
        """See `Gate`."""
        if self._state not in (State.MINTING, State.PLAIN_MINTING):
            return []
        is_for_original = self._state is State.PLAIN_MINTING
        waiting = self._pop()
        self._tally["requests"] += 1
        sent = ToFar(line + waiting.end)
        actions = self._happen(Event.MINTED, now)
        if is_for_original:
            seconds = ANSWER_SECONDS if waiting.request.is_answered else UNANSWERED_SECONDS
            return merged([sent, Wake(seconds), *actions])
        return merged([sent, *actions])

    def _take(self, line: bytes, end: bytes) -> list[Action]:
        """Queue a request, or answer what is none."""
        if not line.strip(BLANKS):
            return []
        try:
            request = request_from_line(line)
        except BadRequest as error:
            self._tally["refused_invalid"] += 1
            return [self._answer(b"", error.code, str(error))]
        self._queue.append(_Waiting(line, end, request))
        self._queued += len(line)
        self._measure()
        return []

    def _pop(self) -> _Waiting:
        waiting = self._queue.popleft()
        self._queued -= len(waiting.line)
        self._measure()
        return waiting

    def _measure(self) -> None:
        self.is_full = (
            len(self._queue) > self._bounds.waiting_lines or self._queued > self._bounds.waiting
        )

    def _pass_back(self, data: bytes) -> list[Action]:
        return [ToNear(self._near.pass_on(data))] if data else []

    def _hear(self, announcement: Announcement, now: float) -> list[Action]:
        """Take note of a challenge."""
        self._heard = Heard(announcement, now)
        self._counterpart.note_version_2()
        return [Wake(None), *self._happen(Event.CHALLENGED, now)]

    def _greeting_failed(self, now: float) -> Event:
        if self._terms.version is not Version.INSIST:
            self._counterpart.note_original(now)
            return Event.SILENCE
        self._reason = "the other side does not know stamps of version 2, which are insisted on"
        return Event.REFUSED

    def _watch_answers(self, data: bytes, now: float) -> list[Action]:
        """See whether the original has answered its one request."""
        if self._state is not State.PLAIN_WAITING:
            return []
        self._answers.feed(data)
        is_over = False
        try:
            while (line := self._answers.next()) is not None:
                is_over = is_over or not _is_notification(line)
        except ParseError:
            is_over = True
        if not is_over:
            return []
        return [Wake(None), *self._happen(Event.ANSWERED, now)]

    def _next(self, now: float) -> list[Action]:
        """Go on with the request that is next and can be stamped, or with the end."""
        actions: list[Action] = []
        self._job = None
        while self._queue and self._state in (State.READY, State.PLAIN) and self._job is None:
            try:
                self._job = self._job_for(self._queue[0], now)
            except BadRequest as error:
                self._tally["refused_here"] += 1
                actions.append(self._answer(self._pop().line, error.code, str(error)))
        if self._queue:
            return [*actions, *self._happen(Event.REQUEST, now)]
        return [*actions, *(self._happen(Event.DRAINED, now) if self._has_ended else [])]

    def _happen(self, event: Event, now: float) -> list[Action]:
        """Go where the table says; returns what its step does."""
        if (self._state, event) not in TRANSITIONS:
            return []
        self._state, step = TRANSITIONS[self._state, event]
        match step:
            case Step.DIAL:
                return [Dial()]
            case Step.GREET:
                return [ToFar(HELLO), Wake(self._terms.greeting_seconds)]
            case Step.NEXT | Step.SEND:
                return self._next(now)
            case Step.NOTHING:
                return []
            case Step.SEND_AND_WAIT:
                self._answers = LineBuffer(self._bounds.line)
                return []
            case Step.MINT:
                return [Mint(self._job)] if self._job is not None else []
            case Step.END:
                return [EndFar()]
            case Step.REFUSE:
                return self._refuse_queue()
            case Step.REFUSE_AND_CLOSE:
                return [*self._refuse_queue(), self._close()]
            case Step.CLOSE:
                return [self._close()]

    def _job_for(self, waiting: _Waiting, now: float) -> Job:
        """What has to be minted; raises BadRequest for what cannot be."""
        if self._state is State.PLAIN or self._heard is None:
            if waiting.request.is_batch:
                raise BadRequest(STAMP_ERROR, "the other side takes no batches")
            try:
                stamp_puzzle(waiting.line, self._terms.original_bits)
            except ParseError as error:
                raise BadRequest(INVALID_REQUEST, f"it cannot be stamped: {error}") from None
            return Job(waiting.line, None, self._terms.original_bits)
        (asked, costs), heard_at = self._heard
        if self._terms.service not in (None, asked.service):
            raise BadRequest(STAMP_ERROR, f"the server calls itself {asked.service}")
        bits = bits_for_cost(asked.bits, cost_of(waiting.request.methods, costs))
        if bits > min(MAX_BITS, self._terms.max_bits):
            raise BadRequest(
                STAMP_ERROR, f"the server asks for {bits} bits, more than {self._terms.max_bits}"
            )
        time = UnixTime(asked.time + max(0, int(now - heard_at)))
        return Job(waiting.line, asked._replace(bits=bits, time=time), bits)

    def _refuse_queue(self) -> list[Action]:
        return self._answer_unreachable([self._pop().line for _ in range(len(self._queue))])


def _without_greeting_answer(data: bytes) -> tuple[bytes, bool]:
    """Take out of the first bytes the line by which another server answers the greeting.

    Returns what may be passed on, and whether the greeting is over; until it is, nothing may.
    """
    line, end, rest = data.partition(b"\n")
    if not end and len(data) <= MAX_SIZE:
        return b"", False
    return (rest if HELLO_ID.encode() in line else data), True


def _is_notification(line: bytes) -> bool:
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError:
        return False
    return isinstance(value, dict) and "method" in value
