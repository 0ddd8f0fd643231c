"""JSON-RPC as far as a gate must know it: which methods a line calls, and how to refuse it."""

import json
from json.decoder import JSONDecoder
from typing import Any, Final, NamedTuple

import orjson

from misocoin.errors import MisocoinError

PARSE_ERROR: Final = -32700
"""The line is not JSON (JSON-RPC 2.0)."""

INVALID_REQUEST: Final = -32600
"""It is JSON, but not a request (JSON-RPC 2.0)."""

STAMP_ERROR: Final = -32029
"""It has no stamp, or one that does not pay; `error.data` says why and what is asked for."""

UNREACHABLE: Final = -32028
"""The server behind the gate does not answer."""

MAX_LOOK: Final = 1 << 16
"""Bytes of a line that is refused with its id; a longer one is not read for it."""

MAX_IDS: Final = 1000
"""Requests of a batch that are refused one by one."""


class BadRequest(MisocoinError):  # noqa: N818 - the field's own term
    """A line that is not a request."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return self.message


class Request(NamedTuple):
    """What a line asks for."""

    methods: tuple[str, ...]
    """What it calls; the empty text stands for what is no call (an answer, say)."""
    is_batch: bool
    """Whether it is an array."""
    is_answered: bool
    """Whether it will be answered; notifications are not."""


class _Number(str):
    """A number, as it stands in the text."""

    __slots__ = ()


_EXACT: Final = JSONDecoder(parse_int=_Number, parse_float=_Number)


def request_from_line(line: bytes) -> Request:
    """Look at a line; raises BadRequest for what is not JSON or not a request."""
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError:
        value = _exact(line, "latin-1")  # what orjson is too strict for, other servers may take
    if isinstance(value, dict):
        return Request((_method(value),), False, value.get("id") is not None)
    if isinstance(value, list) and value:
        answered = any(isinstance(one, dict) and one.get("id") is not None for one in value)
        return Request(tuple(map(_method, value)), True, answered)
    raise BadRequest(INVALID_REQUEST, "Invalid Request")


def _method(value: Any) -> str:
    method = value.get("method", "") if isinstance(value, dict) else ""
    return method if isinstance(method, str) else ""


def _exact(line: bytes, encoding: str) -> Any:
    try:
        return _EXACT.decode(line.decode(encoding, "replace"))
    except (ValueError, RecursionError):
        raise BadRequest(PARSE_ERROR, "Parse error") from None


def refusal(line: bytes, code: int, message: str, data: Any = None) -> bytes:
    """The line that refuses a request by an error with its id; empty where none is due.

    A batch is refused with an array. What has no id that can be read is refused with null.
    """
    error: dict[str, Any] = {"code": code, "message": message}
    if data is not None:
        error["data"] = data
    try:
        value = _exact(line, "utf-8") if len(line) <= MAX_LOOK else None
    except BadRequest:
        value = None
    told = json.dumps(error)
    if not isinstance(value, list) or not value:
        if isinstance(value, dict) and "method" in value and "id" not in value:
            return b""
        return _reply(value, told).encode() + b"\n"
    asked = [one for one in value if not isinstance(one, dict) or "id" in one][:MAX_IDS]
    return f"[{','.join(_reply(one, told) for one in asked)}]\n".encode() if asked else b""


def _reply(value: Any, error: str) -> str:
    """The object of an error."""
    name = value.get("id") if isinstance(value, dict) else None
    if isinstance(name, _Number):
        text = str(name)
    else:
        text = json.dumps(name) if isinstance(name, str) else "null"
    return f'{{"jsonrpc":"2.0","error":{error},"id":{text}}}'
