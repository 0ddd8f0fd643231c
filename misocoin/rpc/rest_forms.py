"""What the REST paths have in common: how they are taken apart, and the forms of answers."""

import re
from http import HTTPStatus

from flask import Response, request

from misocoin.chain.state import ChainState
from misocoin.consensus.tree import HeaderNode
from misocoin.rpc.json import Json, bytes_from_json

MAX_HEADERS = 2000
"""Headers that one answer holds at most."""

DEFAULT_HEADERS = 5


class BadRequest(Exception):  # noqa: N818 - never leaves the REST paths
    """The answer is an HTTP status and a message."""

    def __init__(self, message: str, status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> None:
        super().__init__(message)
        self.status = status


def split_path(rest: str) -> tuple[list[str], str]:
    """The path's parts and its format: `bin`, `hex`, `json`, or nothing where it names none.

    As in Core that is found wanting when all else has been: an unknown ending is a part of the
    path's last word.
    """
    path, _, form = rest.rpartition(".")
    if form in ("bin", "hex", "json", ""):
        return path.split("/"), form
    return rest.split("/"), ""


def check_form(form: str) -> None:
    """Check that a format is asked for; raises BadRequest."""
    if not form:
        raise BadRequest(
            "output format not found (available: .bin, .hex, .json)", HTTPStatus.NOT_FOUND
        )


def check_only_json(form: str) -> None:
    """Check that JSON is asked for; raises BadRequest."""
    if form != "json":
        raise BadRequest("output format not found (available: json)", HTTPStatus.NOT_FOUND)


def count_and_hash(parts: list[str], usage: str) -> tuple[int, bytes]:
    """What `<count>/<hash>` and `<hash>?count=<count>` ask for.

    Raises BadRequest with `usage` where the path is neither.
    """
    if len(parts) == 2:
        count_text, hash_text = parts
    elif len(parts) == 1:
        count_text, hash_text = request.args.get("count", str(DEFAULT_HEADERS)), parts[0]
    else:
        raise BadRequest(usage)
    return count_from_text(count_text), hash_from_text(hash_text)


def count_from_text(text: str) -> int:
    """How many headers are asked for; raises BadRequest for none and for too many."""
    if not re.fullmatch(r"\d{1,9}", text) or not 1 <= int(text) <= MAX_HEADERS:
        raise BadRequest(
            f"Header count is invalid or out of acceptable range (1-{MAX_HEADERS}): {text}"
        )
    return int(text)


def active_nodes(chain: ChainState, block_hash: bytes, count: int) -> list[HeaderNode]:
    """At most `count` blocks of the active chain from this one on; none where it is not in it."""
    node, tip = chain.tree.get(block_hash), chain.tip
    if node is None or not node.is_ancestor_of(tip):
        return []
    last = tip.ancestor(min(tip.height, node.height + count - 1))
    return [node, *list(last.back_to(node))[::-1]]


def hash_from_text(text: str) -> bytes:
    """A hash in wire order from its display order; raises BadRequest."""
    if not re.fullmatch(r"[0-9a-fA-F]{64}", text):
        raise BadRequest(f"Invalid hash: {text}")
    return bytes.fromhex(text)[::-1]


def bytes_response(data: bytes, form: str) -> Response:
    """An answer in the format `bin` or `hex`; raises BadRequest for none."""
    if form == "hex":
        return Response(data.hex() + "\n", content_type="text/plain")
    check_form(form)
    return Response(data, content_type="application/octet-stream")


def json_response(value: Json) -> Response:
    """An answer in JSON."""
    return Response(bytes_from_json(value) + b"\n", mimetype="application/json")


def error_response(status: HTTPStatus, message: str) -> Response:
    """An error as Core's REST says it."""
    return Response(message + "\r\n", int(status), content_type="text/plain")
