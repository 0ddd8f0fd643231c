"""What the service says, as typed values, and how each looks in the two dialects.

Framed answers repeat the request's `id`, save for `stop`, which nobody asked for:

    {"hello":"misocoin-work","version":1}              with `stamp` where one is asked for
    {"id":1,"status":"accepted","job":"…"}             then, where asked for, now and again
    {"id":1,"status":"progress","job":"…","tried":n,"expected":n,"rate":n}      and at last
    {"id":1,"status":"done","job":"…","nonce":n, …}    or an error
    {"id":1,"status":"work","lease":n,"job":"…","algorithm":"…", …,"start":n,"count":n,"seconds":n}
    {"id":1,"status":"no_data"}
    {"id":1,"status":"ok"}                             a result was right, a heartbeat came, …
    {"id":1,"status":"late"}                           a lease that is not (any more)
    {"stop":n}                                         the lease need not be searched further
    {"id":1,"error":{"code":"busy","message":"…"}}
"""

from collections.abc import Mapping
from enum import Enum
from typing import Any, Final, NamedTuple

from misocoin.pow.puzzles import BitmessagePuzzle, Puzzle
from misocoin.work.framing import bytes_from_object
from misocoin.work.jobs import answer_fields, fields_from_puzzle
from misocoin.work.requests import PROTOCOL, VERSION, RequestId


class ErrorCode(Enum):
    """Why something was refused or failed; the number is what the original dialect gets."""

    MALFORMED = ("malformed", 400)
    """Not a message of the protocol."""
    UNAUTHORIZED = ("unauthorized", 401)
    """A token or a stamp is asked for."""
    FORBIDDEN = ("forbidden", 403)
    """Banned for wrong results."""
    NOT_FOUND = ("not_found", 404)
    """No such job."""
    DEADLINE = ("deadline", 408)
    """The job's time was up."""
    CANCELLED = ("cancelled", 410)
    """The job was cancelled."""
    TOO_HARD = ("too_hard", 413)
    """More work than the service takes."""
    EXHAUSTED = ("exhausted", 422)
    """The miners have searched every nonce, and none wins."""
    WRONG = ("wrong_result", 400)
    """A pushed nonce does not win."""
    BUSY = ("busy", 429)
    """As many jobs or connections as one may have."""
    OVERLOADED = ("overloaded", 503)
    """As many jobs or connections as there may be; come again later."""
    UNAVAILABLE = ("unavailable", 503)
    """The store cannot be used now; come again later."""
    TIMEOUT = ("timeout", 408)
    """Nothing came for too long."""

    @property
    def text(self) -> str:
        """The code in the framed dialect."""
        return self.value[0]

    @property
    def status(self) -> int:
        """The status in the original dialect, in the manner of HTTP's."""
        return self.value[1]


class Welcome(NamedTuple):
    """The framed dialect may begin."""

    stamp: Mapping[str, Any] | None
    """Bits and resource of the stamps that are asked for, if any are."""


class Accepted(NamedTuple):
    """A job is in the queue."""

    job: str


class Progress(NamedTuple):
    """How far a job is."""

    job: str
    tried: int
    """Nonces that miners say they have tried."""
    expected: float
    """Mean number of nonces until one wins."""
    rate: float
    """Nonces per second, over all of the job's time."""


class Done(NamedTuple):
    """A job is solved."""

    job: str
    puzzle: Puzzle
    nonce: int


class Failed(NamedTuple):
    """Something was refused or failed."""

    code: ErrorCode
    message: str


class Assigned(NamedTuple):
    """Work for a miner."""

    lease: int
    job: str
    puzzle: Puzzle
    start: int
    size: int
    """Nonces from `start` on that are to be searched."""
    seconds: float
    """How long the lease lasts without a heartbeat."""


class NoData(NamedTuple):
    """There is no work."""


class Settled(NamedTuple):
    """What a miner said was heard."""

    is_late: bool
    """Whether its lease was over."""


class Stop(NamedTuple):
    """A lease need not be searched further."""

    lease: int


class Report(NamedTuple):
    """How the service is."""

    figures: Mapping[str, Any]


Answer = (
    Welcome
    | Accepted
    | Progress
    | Done
    | Failed
    | Assigned
    | NoData
    | Settled
    | Stop
    | Report
)  # fmt: skip
"""Everything the service says."""

MAX_ORIGINAL_ANSWER: Final = 1024
"""Bytes that the original client and miner read of an answer."""


def framed_bytes(request_id: RequestId, answer: Answer) -> bytes:
    """Write an answer as a line of the framed dialect."""
    fields = _framed_fields(answer)
    if not isinstance(answer, Welcome | Stop) and request_id is not None:
        fields = {"id": request_id, **fields}
    return bytes_from_object(fields) + b"\n"


def _framed_fields(answer: Answer) -> dict[str, Any]:
    match answer:
        case Welcome():
            stamp = {} if answer.stamp is None else {"stamp": dict(answer.stamp)}
            return {"hello": PROTOCOL, "version": VERSION, **stamp}
        case Accepted():
            return {"status": "accepted", "job": answer.job}
        case Progress(job, tried, expected, rate):
            figures = {"tried": tried, "expected": round(expected), "rate": round(rate)}
            return {"status": "progress", "job": job, **figures}
        case Done(job, puzzle, nonce):
            return {"status": "done", "job": job, **answer_fields(puzzle, nonce)}
        case Failed(code, message):
            return {"error": {"code": code.text, "message": message}}
        case Assigned(lease, job, puzzle, start, size, seconds):
            where = {"start": start, "count": size, "seconds": seconds}
            return {
                "status": "work",
                "lease": lease,
                "job": job,
                **fields_from_puzzle(puzzle),
                **where,
            }
        case NoData():
            return {"status": "no_data"}
        case Settled():
            return {"status": "late" if answer.is_late else "ok"}
        case Stop():
            return {"stop": answer.lease}
        case Report():
            return {"status": "ok", **answer.figures}


def original_bytes(answer: Answer) -> bytes:
    """Write an answer in the original dialect; empty where that one says nothing."""
    match answer:
        case Done(_, puzzle, nonce):
            return bytes_from_object({"status": 200, **answer_fields(puzzle, nonce)})
        case Failed(code, message):
            return bytes_from_object({"status": code.status, "error": message[:200]})
        case Assigned(_, _, BitmessagePuzzle() as puzzle, _, _, _):
            fields = fields_from_puzzle(puzzle)
            return bytes_from_object(
                {"status": 200, "target": fields["target"], "initialHash": fields["initialHash"]}
            )
        case NoData():
            return b'{"status":"NO_DATA"}'
        case Report():
            return bytes_from_object({"status": 200, **answer.figures})
        case _:
            return b""
