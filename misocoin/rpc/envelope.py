"""JSON-RPC 1.0, 1.1 and 2.0 on HTTP, as Bitcoin Core 28 answers them. Pure: bytes to bytes.

    request                          answer                                    HTTP status
    1.x call (no "jsonrpc", or       result, error and id, one of the first    200; an error 500,
     "1.0" or "1.1")                 two null                                  400 or 404 by code
    2.0 call                         jsonrpc, result or error, id              200
    2.0 call without an id           none: a notification                      204
    batch of those                   an array in their order, without          200; all
                                     notifications                             notifications: 204
    not JSON, not a call             error, as 1.x or 2.0 as far as known      500 or 400

An answer has an id where the call had one. What is no JSON, or no object, is answered with null.

Beyond Core, "jsonrpc" may be the number 1, which rpc-bitcoin sends, and a call may have a member
`"text": true`: its parameters are then the words somebody typed, for the registry to read by their
declared kinds.
"""

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from misocoin.http.errors import RpcError
from misocoin.rpc.errors import RpcCode, http_status_from_code
from misocoin.rpc.json import Json, bytes_from_json, json_from_bytes

CONTENT_TYPE = "application/json"
"""Of every answer with a body, and exactly so: some clients refuse a charset beside it."""

MAX_BATCH = 10_000
"""Calls in one batch, at most."""


class _NoId:
    """The id of a call that has none."""


NO_ID: Final = _NoId()


class Call(NamedTuple):
    """One call, as it was asked."""

    method: str
    params: list[Json] | dict[str, Json]
    id: Any = NO_ID
    is_v2: bool = False
    is_text: bool = False

    @property
    def is_notification(self) -> bool:
        """Whether no answer is wanted."""
        return self.is_v2 and self.id is NO_ID


class BadCall(NamedTuple):
    """What is not a call, with as much of one as could be made out."""

    error: RpcError
    id: Any = None
    is_v2: bool = False

    @property
    def is_notification(self) -> bool:
        """Whether no answer is wanted in a batch; alone it is told what is wrong."""
        return self.is_v2 and self.id is NO_ID


class Request(NamedTuple):
    """What one HTTP request asks."""

    calls: tuple[Call | BadCall, ...]
    is_batch: bool = False


class Answer(NamedTuple):
    """What goes back."""

    status: int
    body: bytes
    """JSON with a line feed at its end; empty for status 204."""


def request_from_bytes(body: bytes) -> Request:
    """Read a request; never raises: what cannot be read is a `BadCall`."""
    try:
        value = json_from_bytes(body)
        if any(isinstance(each, float | list | dict) for each in _ids(value)):
            value = json_from_bytes(body, is_exact=True)
    except ValueError:
        return Request((_bad(RpcCode.PARSE_ERROR, "Parse error"),))
    if isinstance(value, dict):
        return Request((_call_from_json(value),))
    if not isinstance(value, list):
        return Request((_bad(RpcCode.PARSE_ERROR, "Top-level object parse error"),))
    if len(value) > MAX_BATCH:
        message = f"a batch has at most {MAX_BATCH} calls, this one has {len(value)}"
        return Request((_bad(RpcCode.INVALID_REQUEST, message),))
    return Request(tuple(map(_call_from_json, value)), is_batch=True)


def _ids(value: Json) -> Iterable[Json]:
    calls = value if isinstance(value, list) else [value]
    return (each.get("id") for each in calls if isinstance(each, dict))


def _bad(code: RpcCode, message: str, id: Any = None, is_v2: bool = False) -> BadCall:
    return BadCall(RpcError(code, message), id, is_v2)


def _call_from_json(value: Json) -> Call | BadCall:
    if not isinstance(value, dict):
        return _bad(RpcCode.INVALID_REQUEST, "Invalid Request object")
    id = value.get("id", NO_ID)
    version = value.get("jsonrpc")
    is_v2 = version == "2.0"
    params = value.get("params")
    wrong = None
    if version == 1 and version is not True:
        version = "1.0"
    if version is not None and not isinstance(version, str):
        wrong = "jsonrpc field must be a string"
    elif version not in (None, "1.0", "1.1", "2.0"):
        wrong = "JSON-RPC version not supported"
    elif value.get("method") is None:
        wrong = "Missing method"
    elif not isinstance(value["method"], str):
        wrong = "Method must be a string"
    elif params is not None and not isinstance(params, list | dict):
        wrong = "Params must be an array or object"
    if wrong is not None:
        return _bad(RpcCode.INVALID_REQUEST, wrong, id, is_v2)
    return Call(value["method"], params or [], id, is_v2, value.get("text") is True)


def reply_with_result(call: Call, result: Json) -> bytes:
    """Write the reply to a call that succeeded; raises TypeError for what is not JSON."""
    if call.is_v2:
        return bytes_from_json({"jsonrpc": "2.0", "result": result} | _id_of(call))
    return bytes_from_json({"result": result, "error": None} | _id_of(call))


def reply_with_error(call: Call | BadCall, error: RpcError) -> bytes:
    """Write the reply to a call that failed."""
    shown = {"code": error.code, "message": error.message}
    if call.is_v2:
        return bytes_from_json({"jsonrpc": "2.0", "error": shown} | _id_of(call))
    return bytes_from_json({"result": None, "error": shown} | _id_of(call))


def _id_of(call: Call | BadCall) -> dict[str, Json]:
    return {} if call.id is NO_ID else {"id": call.id}


def answer_single(call: Call | BadCall, reply: bytes, error: RpcError | None) -> Answer:
    """Wrap the reply to a call that came alone."""
    if isinstance(call, Call) and call.is_notification:
        return Answer(204, b"")
    if error is None or (isinstance(call, Call) and call.is_v2):
        return Answer(200, reply + b"\n")
    return Answer(int(http_status_from_code(error.code)), reply + b"\n")


def answer_batch(request: Request, replies: Iterable[bytes]) -> Answer:
    """Wrap the replies to those calls of a batch that want one."""
    joined = b",".join(replies)
    if not joined and request.calls:
        return Answer(204, b"")
    return Answer(200, b"[" + joined + b"]\n")
