"""What clients and miners say, as typed values.

The same methods serve both dialects; a framed request has an `id` on top, which its answers repeat.

    {"hello":"misocoin-work","version":1}               opens the framed dialect; may have `token`
    do_pow       a puzzle's fields (see `jobs`);        client: solve this
                 deadline, priority, progress, stamp
    wait         job                                    client: tell me of that job (again)
    cancel       job                                    client: I want it no more
    get_work     wait, rate, algorithms                 miner: give me something to search
    heartbeat    lease                                  miner: I am still at it
    push_result  lease and nonce; or lease alone:       miner: this wins; or: nothing in my range
                 (originally: initialHash, nonce, trialValue)
    stats, ping
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, NamedTuple

from misocoin.errors import ParseError
from misocoin.pow.puzzles import Puzzle
from misocoin.work.jobs import (
    Algorithm,
    Fields,
    check_job_id,
    initial_hash_from_text,
    integer_field,
    puzzle_from_fields,
    text_field,
)

PROTOCOL: Final = "misocoin-work"
"""What a framed connection begins with: the value of `hello`."""

VERSION: Final = 1
"""Of the framed dialect."""

DEFAULT_PORT: Final = 7040
"""The port of the original service."""

POLL_SECONDS: Final = 20
"""How long a miner waits for work if it does not say."""

MAX_POLL_SECONDS: Final = 60
"""How long it may wait."""

MAX_DEADLINE: Final = 7 * 86400
"""Seconds that a client may give a job."""

PRIORITIES: Final = (0, 2)
"""The lowest and the highest; 1 if not said. They order the jobs of one client."""

RequestId = int | str | None
"""What a framed request is called by its sender; None in the original dialect."""


class Hello(NamedTuple):
    """The first line of a framed connection."""

    token: str


class DoPow(NamedTuple):
    """A client wants a puzzle solved."""

    puzzle: Puzzle
    deadline: float | None
    """Seconds from now, or None for the server's default."""
    priority: int
    wants_progress: bool
    token: str
    """For clients of the original dialect, which have no hello; else empty."""
    stamp: str
    """A hashcash stamp, or empty."""


class Wait(NamedTuple):
    """A client comes back for a job."""

    job: str


class Cancel(NamedTuple):
    """A client does not want a job any more."""

    job: str


class GetWork(NamedTuple):
    """A miner is free."""

    seconds: float
    """How long it waits."""
    rate: float
    """Nonces per second that it says it tries; 0 where it does not say."""
    algorithms: frozenset[Algorithm]
    token: str


class Heartbeat(NamedTuple):
    """A miner lives and searches on."""

    lease: int


class PushLease(NamedTuple):
    """A miner has finished with a lease."""

    lease: int
    nonce: int | None
    """The winner, or None where the range has none."""


class PushOriginal(NamedTuple):
    """A miner of the original dialect has found a nonce."""

    initial_hash: bytes
    nonce: int
    trial_value: int


class Stats(NamedTuple):
    """Somebody wants to know how the service is."""


class Ping(NamedTuple):
    """Somebody wants to know whether it is."""


Body = (
    DoPow
    | Wait
    | Cancel
    | GetWork
    | Heartbeat
    | PushLease
    | PushOriginal
    | Stats
    | Ping
)  # fmt: skip
"""What is asked."""


@dataclass(frozen=True, slots=True)
class Request:
    """One message after the hello."""

    id: RequestId
    body: Body


def hello_from_fields(fields: Fields) -> Hello:
    """Read the first line of a framed connection; ParseError says what is wrong."""
    if fields.get("hello") != PROTOCOL:
        raise ParseError(f"hello is not {PROTOCOL!r}")
    if fields.get("version") != VERSION:
        raise ParseError(f"version is not {VERSION}")
    return Hello(text_field(fields, "token", 200, ""))


def id_from_fields(fields: Fields) -> RequestId:
    """Read what a framed request is called; ParseError where it is nothing usable."""
    name = fields.get("id")
    if type(name) is int and abs(name) < 1 << 63:
        return name
    if type(name) is str and len(name) <= 64:
        return name
    raise ParseError("id is not a whole number of 64 bits or a text of at most 64 signs")


def body_from_fields(fields: Fields) -> Body:
    """Read what is asked; ParseError says what is wrong."""
    method = text_field(fields, "method", 40)
    parse = _METHODS.get(method)
    if parse is None:
        raise ParseError(f"no method {method!r}: there are {', '.join(_METHODS)}")
    return parse(fields)


def _flag(fields: Fields, name: str) -> bool:
    value = fields.get(name, False)
    if type(value) is not bool:
        raise ParseError(f"{name} is not true or false")
    return value


def _seconds(fields: Fields, name: str, most: float) -> float:
    value = fields[name]
    if type(value) not in (int, float) or not 0 <= value <= most:
        raise ParseError(f"{name} is not from 0 to {most:g} seconds")
    return float(value)


def _do_pow(fields: Fields) -> DoPow:
    deadline = _seconds(fields, "deadline", MAX_DEADLINE) if "deadline" in fields else None
    return DoPow(
        puzzle_from_fields(fields),
        deadline,
        integer_field(fields, "priority", *PRIORITIES, 1),
        _flag(fields, "progress"),
        text_field(fields, "token", 200, ""),
        text_field(fields, "stamp", 400, ""),
    )


def _wait(fields: Fields) -> Wait:
    return Wait(check_job_id(text_field(fields, "job", 32)))


def _cancel(fields: Fields) -> Cancel:
    return Cancel(check_job_id(text_field(fields, "job", 32)))


def _get_work(fields: Fields) -> GetWork:
    names = fields.get("algorithms", [Algorithm.BITMESSAGE.value])
    known = {algorithm.value: algorithm for algorithm in Algorithm}
    if not isinstance(names, list) or not names or len(names) > len(known):
        raise ParseError("algorithms is not a list of names")
    if not all(isinstance(name, str) and name in known for name in names):
        raise ParseError(f"algorithms names others than {', '.join(known)}")
    rate = fields.get("rate", 0)
    if type(rate) not in (int, float) or not 0 <= rate <= 1e15:
        raise ParseError("rate is not a number of nonces per second")
    return GetWork(
        _seconds(fields, "wait", MAX_POLL_SECONDS) if "wait" in fields else POLL_SECONDS,
        float(rate),
        frozenset(known[name] for name in names),
        text_field(fields, "token", 200, ""),
    )


def _heartbeat(fields: Fields) -> Heartbeat:
    return Heartbeat(_number(fields, "lease"))


def _push_result(fields: Fields) -> PushLease | PushOriginal:
    if "lease" in fields:
        nonce = _number(fields, "nonce") if fields.get("nonce") is not None else None
        return PushLease(_number(fields, "lease"), nonce)
    return PushOriginal(
        initial_hash_from_text(fields.get("initialHash")),
        _number(fields, "nonce"),
        _number(fields, "trialValue"),
    )


def _number(fields: Fields, name: str) -> int:
    return integer_field(fields, name, 0, (1 << 64) - 1)


_METHODS: Final[Mapping[str, Callable[[Fields], Body]]] = MappingProxyType(
    {
        "do_pow": _do_pow,
        "wait": _wait,
        "cancel": _cancel,
        "get_work": _get_work,
        "heartbeat": _heartbeat,
        "push_result": _push_result,
        "stats": lambda _fields: Stats(),
        "ping": lambda _fields: Ping(),
    }
)
