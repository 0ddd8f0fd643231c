"""What a server's gate tells a client's gate between the lines of the server: challenge and costs.

{"hashcash":"2:16:1795243200:my.server:6f1d2c3b4a596877","costs":{"some.method":4}}
"""

import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import orjson

from misocoin.errors import ParseError
from misocoin.hashcash.challenge import Challenge, challenge_from_text

BEGINNING: Final = b'{"hashcash":"2:'
"""What such a line begins with; no answer of JSON-RPC does."""

MAX_SIZE: Final = 1 << 16
"""Bytes of such a line; a longer one is someone else's."""

MAX_COST: Final = 1 << 32
"""The highest cost of a method."""


class Announcement(NamedTuple):
    """What a request costs from now on."""

    challenge: Challenge
    """For a request of cost 1."""
    costs: Mapping[str, int]
    """Cost of each method that does not cost 1."""


def line_from_announcement(announcement: Announcement) -> bytes:
    """Write an announcement as a line, its end included."""
    told = {"hashcash": announcement.challenge.text, "costs": dict(announcement.costs)}
    return json.dumps(told, separators=(",", ":")).encode() + b"\n"


def announcement_from_line(line: bytes) -> Announcement:
    """Read an announcement; raises ParseError for any other line."""
    try:
        told: Any = orjson.loads(line)
    except orjson.JSONDecodeError:
        raise ParseError("not JSON") from None
    if not isinstance(told, dict) or set(told) != {"hashcash", "costs"}:
        raise ParseError("not an announcement")
    costs = told["costs"]
    if not isinstance(costs, dict) or not all(map(_is_cost, costs.values())):
        raise ParseError("not the costs of methods")
    return Announcement(challenge_from_text(str(told["hashcash"])), costs)


def _is_cost(value: object) -> bool:
    return isinstance(value, int) and 1 <= value <= MAX_COST
