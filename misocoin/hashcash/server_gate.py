"""The gate before a server: lets stamped requests through, without their stamps, and no others.

The server is dialled when the first request has paid. From then on its bytes pass untouched;
refusals and announcements are put between its lines.
"""

from collections.abc import Mapping
from enum import Enum, auto
from typing import Final

from misocoin.errors import ParseError
from misocoin.hashcash.announcement import Announcement, line_from_announcement
from misocoin.hashcash.challenge import Challenge, request_stamp_from_text
from misocoin.hashcash.errors import StampError, StampFault
from misocoin.hashcash.gate import (
    BLANKS,
    HELLO_ID,
    Action,
    Bounds,
    Dial,
    EndFar,
    Gate,
    Hold,
    Tally,
    ToFar,
    ToNear,
    Version,
    merged,
)
from misocoin.hashcash.original import DEFAULT_BITS, check
from misocoin.hashcash.price import cost_of
from misocoin.hashcash.requests import (
    INVALID_REQUEST,
    STAMP_ERROR,
    BadRequest,
    request_from_line,
)
from misocoin.hashcash.toll import Toll


class State(Enum):
    """Where a connection stands."""

    UNPAID = auto()
    """No request has paid; the server does not know of it."""
    DIALLING = auto()
    """The server is being dialled; paid requests wait."""
    OPEN = auto()
    ENDED_EARLY = auto()
    """The client has said all it will while the server is being dialled."""
    ENDING = auto()
    """The client has said all it will, and so it was passed on; answers may come."""
    CLOSED = auto()


class Event(Enum):
    """What happens to it."""

    PAID = auto()
    """A request may pass."""
    CONNECTED = auto()
    FAILED = auto()
    NEAR_END = auto()
    FAR_END = auto()
    BROKEN = auto()
    """The client sends what cannot be read on."""


class Step(Enum):
    """What is to be done about it."""

    DIAL = auto()
    WAIT = auto()
    PASS = auto()
    """Send what waits."""
    PASS_AND_END = auto()
    END = auto()
    REFUSE = auto()
    """Answer what waits with an error."""
    REFUSE_AND_CLOSE = auto()
    CLOSE = auto()


TRANSITIONS: Final[Mapping[tuple[State, Event], tuple[State, Step]]] = {
    (State.UNPAID, Event.PAID): (State.DIALLING, Step.DIAL),
    (State.UNPAID, Event.NEAR_END): (State.CLOSED, Step.CLOSE),
    (State.UNPAID, Event.BROKEN): (State.CLOSED, Step.CLOSE),
    (State.DIALLING, Event.PAID): (State.DIALLING, Step.WAIT),
    (State.DIALLING, Event.CONNECTED): (State.OPEN, Step.PASS),
    (State.DIALLING, Event.FAILED): (State.UNPAID, Step.REFUSE),
    (State.DIALLING, Event.NEAR_END): (State.ENDED_EARLY, Step.WAIT),
    (State.DIALLING, Event.BROKEN): (State.CLOSED, Step.CLOSE),
    (State.OPEN, Event.PAID): (State.OPEN, Step.PASS),
    (State.OPEN, Event.NEAR_END): (State.ENDING, Step.END),
    (State.OPEN, Event.FAR_END): (State.CLOSED, Step.CLOSE),
    (State.OPEN, Event.BROKEN): (State.CLOSED, Step.CLOSE),
    (State.ENDED_EARLY, Event.CONNECTED): (State.ENDING, Step.PASS_AND_END),
    (State.ENDED_EARLY, Event.FAILED): (State.CLOSED, Step.REFUSE_AND_CLOSE),
    (State.ENDING, Event.FAR_END): (State.CLOSED, Step.CLOSE),
}
"""Every event that means something in a state; any other means nothing there."""


class ServerGate(Gate):
    """A connection of a client to the server's gate."""

    def __init__(
        self,
        toll: Toll,
        account: str,
        tally: Tally,
        version: Version = Version.AUTO,
        original_bits: int = DEFAULT_BITS,
        bounds: Bounds | None = None,
    ) -> None:
        """`account` is whose load this connection's requests are; see `price`."""
        super().__init__(tally, bounds)
        self._toll = toll
        self._account = account
        self._version = version
        self._original_bits = original_bits
        self._state = State.UNPAID
        self._waiting: list[bytes] = []
        self._announced: Challenge | None = None
        self._has_paid = False
        self._is_held = False

    @property
    def has_paid(self) -> bool:
        """Whether a request of this connection was let through."""
        return self._has_paid

    @property
    def buffered(self) -> int:
        """See `Gate`."""
        return len(self._lines) + sum(map(len, self._waiting))

    def start(self, now: float) -> list[Action]:
        """Nothing is done before a request comes."""
        return []

    def near_data(self, data: bytes, now: float) -> list[Action]:
        """See `Gate`."""
        self._lines.feed(data)
        return self._work(now)

    def near_end(self, now: float) -> list[Action]:
        """See `Gate`."""
        self._has_ended = True
        return self._work(now)

    def resume(self, now: float) -> list[Action]:
        """See `Gate`."""
        self._is_held = False
        return self._work(now)

    def far_connected(self, now: float) -> list[Action]:
        """See `Gate`."""
        return self._happen(Event.CONNECTED)

    def far_failed(self, reason: str, now: float) -> list[Action]:
        """See `Gate`."""
        self._tally["dials_failed"] += 1
        self._reason = reason
        return merged(self._happen(Event.FAILED))

    def far_data(self, data: bytes, now: float) -> list[Action]:
        """See `Gate`."""
        return [ToNear(self._near.pass_on(data))]

    def far_end(self, now: float) -> list[Action]:
        """See `Gate`."""
        return self._happen(Event.FAR_END)

    def tick(self, now: float) -> list[Action]:
        """Tell the client of another price, where it listens to that."""
        return merged([ToNear(self._announcement_if_due(now))])

    def _work(self, now: float) -> list[Action]:
        """Look at the lines that are here, until one makes its sender wait."""
        actions: list[Action] = []
        while not self._is_held and self._state is not State.CLOSED:
            try:
                line = self._lines.next()
            except ParseError as error:
                actions += self._refuse(b"", INVALID_REQUEST, str(error), now)
                actions += self._happen(Event.BROKEN)
                break
            if line is not None:
                actions += self._take(line, b"\n", now)
                continue
            if self._has_ended:
                if rest := self._lines.rest():
                    actions += self._take(rest, b"", now)
                if not self._is_held:
                    actions += self._happen(Event.NEAR_END)
            break
        self.is_full = len(self._waiting) > self._bounds.waiting_lines or (
            sum(map(len, self._waiting)) > self._bounds.waiting
        )
        return merged(actions)

    def _take(self, line: bytes, end: bytes, now: float) -> list[Action]:
        """Let a line through, or answer it."""
        if not line.strip(BLANKS):
            return []
        try:
            if line.startswith(b"2:"):
                request = self._admit(line, now)
            elif (greeted := self._greet(line, now)) is not None:
                return greeted
            else:
                request = self._admit_original(line, now)
        except StampError as error:
            self._tally[f"refused_{error.fault.value}"] += 1
            body = line.partition(b" ")[2] if line.startswith(b"2:") else line
            data = {
                "stamp": error.fault.value,
                "challenge": self._toll.challenge(self._account, now).text,
            }
            return [
                *self._refuse(body, STAMP_ERROR, str(error), now, data),
                ToNear(self._announcement_if_due(now)),
            ]
        except BadRequest as error:
            self._tally["refused_invalid"] += 1
            return self._refuse(b"", error.code, str(error), now)
        self._has_paid = True
        self._tally["requests"] += 1
        self._waiting.append(request + end)
        return [*self._happen(Event.PAID), ToNear(self._announcement_if_due(now))]

    def _admit(self, line: bytes, now: float) -> bytes:
        """Check a stamp of version 2; returns the request. Raises StampError or BadRequest."""
        text, _, request = line.partition(b" ")
        if self._version is Version.ORIGINAL:
            raise StampError(StampFault.MALFORMED, "version 2 is switched off here")
        try:
            stamp = request_stamp_from_text(text.decode("latin-1"))
        except ParseError as error:
            raise StampError(StampFault.MALFORMED, str(error)) from None
        self._toll.admit(stamp, request, self._cost, self._account, now)
        return request

    def _admit_original(self, line: bytes, now: float) -> bytes:
        """Check a stamp of the original; returns the request. Raises StampError or BadRequest."""
        is_long = len(line) > self._bounds.original_line
        if is_long and not self._toll.is_free(self._account, now):
            raise StampError(StampFault.MISSING, "a request of this length needs one of version 2")
        request = request_from_line(line)
        cost = cost_of(request.methods, self._toll.costs)
        if self._version is not Version.INSIST and not request.is_batch and not is_long:
            try:
                stamped = check(line, self._original_bits)
            except ParseError:
                raise BadRequest(INVALID_REQUEST, "Invalid Request") from None
            except StampError as error:
                if error.fault is not StampFault.MISSING:
                    raise
            else:
                self._toll.admit_original(stamped, cost, self._account, now)
                self._tally["requests_original"] += 1
                return stamped.request
        self._toll.admit_free(cost, self._account, now)
        return line

    def _cost(self, request: bytes) -> int:
        return cost_of(request_from_line(request).methods, self._toll.costs)

    def _greet(self, line: bytes, now: float) -> list[Action] | None:
        """Answer a client's gate that asks for version 2; None for any other line."""
        if self._version is Version.ORIGINAL or len(line) > 1000 or HELLO_ID.encode() not in line:
            return None
        try:
            if request_from_line(line).methods != (HELLO_ID,):
                return None
        except BadRequest:
            return None
        is_first = self._announced is None
        actions: list[Action] = [ToNear(self._near.add(self._announcement(now)))]
        return actions if is_first else [*actions, *self._make_wait(now)]

    def _announcement(self, now: float) -> bytes:
        self._announced = self._toll.challenge(self._account, now)
        return line_from_announcement(Announcement(self._announced, self._toll.costs))

    def _announcement_if_due(self, now: float) -> bytes:
        known = self._announced
        if known is None or not self._toll.is_outdated(known, self._account, now):
            return b""
        return self._near.add(self._announcement(now))

    def _refuse(
        self, line: bytes, code: int, message: str, now: float, data: object = None
    ) -> list[Action]:
        """Answer a bad line, and make its sender wait if it has sent many of them."""
        return [self._answer(line, code, message, data), *self._make_wait(now)]

    def _make_wait(self, now: float) -> list[Action]:
        seconds = self._toll.refuse(self._account, now)
        if not seconds:
            return []
        self._is_held = True
        return [Hold(seconds)]

    def _happen(self, event: Event) -> list[Action]:
        """Go where the table says; returns what its step does."""
        if (self._state, event) not in TRANSITIONS:
            return []
        self._state, step = TRANSITIONS[self._state, event]
        match step:
            case Step.DIAL:
                return [Dial()]
            case Step.WAIT:
                return []
            case Step.PASS:
                return [ToFar(self._drain())]
            case Step.PASS_AND_END:
                return [ToFar(self._drain()), EndFar()]
            case Step.END:
                return [EndFar()]
            case Step.REFUSE:
                return self._refuse_waiting()
            case Step.REFUSE_AND_CLOSE:
                return [*self._refuse_waiting(), self._close()]
            case Step.CLOSE:
                return [self._close()]

    def _refuse_waiting(self) -> list[Action]:
        """Tell who waits that the server cannot be reached."""
        answers = self._answer_unreachable(self._waiting)
        self._waiting.clear()
        self.is_full = False
        return answers

    def _drain(self) -> bytes:
        data = b"".join(self._waiting)
        self._waiting.clear()
        self.is_full = False
        return data
