"""Canonical JSON, byte for byte as the original pair of proxies hashes it.

Keys are sorted at every level and nothing stands between the tokens. The original reads bytes as
characters (so that raw UTF-8 passes unchanged) and prints numbers by its own rules: fractions and
exponents with 15 significant digits, integers of 64 bits as they are, larger ones as text. Of
members with the same name the last one counts.
"""

import json
import re
from json.decoder import JSONDecoder
from typing import Any, Final, NamedTuple

from misocoin.errors import ParseError

MAX_DEPTH: Final = 128
"""Levels of a value; requests have three or four."""

_BLANKS: Final = re.compile(r"[ \t\n\r]*")
_WIDE: Final = re.compile("[^\x00-\xff]+")
_WIDE_ESCAPE: Final = re.compile(
    r"(?:\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    r"|\\u(?!00)(?![dD][89a-fA-F])[0-9a-fA-F]{4})"
)
_ESCAPE: Final = re.compile(rf"\\[^u]|{_WIDE_ESCAPE.pattern}")
_INTEGERS: Final = range(-(1 << 63) + 1, 1 << 64)


class Member(NamedTuple):
    """Where a member of an object stands in the object's text."""

    name: str
    value: Any
    start: int
    """Of the first quote of its name."""
    end: int
    """One past the last character of its value."""


def value_from_json(line: bytes) -> Any:
    """Read JSON as the original does, its bytes taken for characters.

    Raises ParseError for anything that is not one JSON value of moderate depth.
    """
    try:
        value = _DECODER.decode(line.decode("latin-1"))
        _check_depth(value, MAX_DEPTH)
    except (ValueError, RecursionError):
        raise ParseError("not JSON") from None
    return value


def canonical_json(value: Any) -> bytes:
    """Write a value of `value_from_json` canonically.

    Characters above U+00FF, over which the original stumbles, are written in UTF-8, as if they
    had come in it. Raises ParseError for half a surrogate pair.
    """
    text = _WIDE.sub(_utf8_as_characters, _text(value))
    return text.encode("latin-1")


def _text(value: Any) -> str:
    match value:
        case dict():
            return "{" + ",".join(f"{_quoted(k)}:{_text(value[k])}" for k in sorted(value)) + "}"
        case list():
            return "[" + ",".join(map(_text, value)) + "]"
        case str():
            return _quoted(value)
        case float():
            return f"{value:.15g}"
    return json.dumps(value)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _utf8_as_characters(found: re.Match[str]) -> str:
    try:
        return found[0].encode().decode("latin-1")
    except UnicodeEncodeError:
        raise ParseError("half a surrogate pair has no canonical form") from None


def _integer_from_text(text: str) -> int | str:
    if len(text) > 20:
        return text
    value = int(text)
    return value if value in _INTEGERS else text


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)


def _check_depth(value: Any, left: int) -> None:
    if not isinstance(value, dict | list):
        return
    if not left:
        raise ValueError("too deep")
    for inner in value.values() if isinstance(value, dict) else value:
        _check_depth(inner, left - 1)


_DECODER: Final = JSONDecoder(parse_int=_integer_from_text, parse_constant=_refuse_constant)


def members_of(text: str) -> tuple[Member, ...]:
    """Find the members of an object's text, in order and with every repetition.

    Raises ParseError for what is not an object; what stands after it is not looked at.
    """
    try:
        place = _skip(text, 0)
        if text[place] != "{":
            raise ParseError("not a JSON object")
        members: list[Member] = []
        place = _skip(text, place + 1)
        while text[place] != "}":
            if members:
                if text[place] != ",":
                    raise ParseError("not JSON")
                place = _skip(text, place + 1)
            start = place
            name, place = _DECODER.raw_decode(text, place)
            place = _skip(text, place)
            if not isinstance(name, str) or text[place] != ":":
                raise ParseError("not JSON")
            value, end = _DECODER.raw_decode(text, _skip(text, place + 1))
            members.append(Member(name, value, start, end))
            place = _skip(text, end)
    except (ValueError, IndexError, RecursionError):
        raise ParseError("not JSON") from None
    return tuple(members)


def _skip(text: str, place: int) -> int:
    found = _BLANKS.match(text, place)
    return place if found is None else found.end()


def without_wide_escapes(text: str) -> str:
    r"""Write escapes of characters above U+00FF (`\u20ac`) as the characters of their UTF-8.

    The text means the same, and the original lives through it.
    """

    def spelt_out(found: re.Match[str]) -> str:
        escape = found[0]
        if escape[1] != "u":
            return escape
        character: str = json.loads(f'"{escape}"')
        return character.encode().decode("latin-1")

    return _ESCAPE.sub(spelt_out, text)
