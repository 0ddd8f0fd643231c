"""From bytes to JSON objects, in both dialects.

The original dialect has no delimiter: an object ends with the brace that closes it. The framed
dialect has an object per line. A connection begins without lines and may turn to them.
"""

import json
import re
from typing import Any, Final

from misocoin.errors import ParseError

MAX_MESSAGE: Final = 4096
"""Bytes of one message from a client or miner."""

MAX_DEPTH: Final = 8
"""How deep objects and lists may be nested."""

_OUTSIDE: Final = re.compile(rb'[{}\[\]"]')
_IN_TEXT: Final = re.compile(rb'["\\]')
_BLANKS: Final = b" \t\r\n"


class Splitter:
    """Cuts a stream of bytes into messages; looks at each byte once."""

    def __init__(self, limit: int = MAX_MESSAGE) -> None:
        self._limit = limit
        self._buffer = bytearray()
        self._seen = 0
        self._depth = 0
        self._is_in_text = False
        self.is_lined = False
        """Whether a message is a line; set between two messages."""

    @property
    def has_part(self) -> bool:
        """Whether a message has begun and not ended."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> None:
        """Take bytes as they came."""
        self._buffer += data

    def next_message(self) -> bytes | None:
        """Return the next whole message, or None until more comes.

        Raises ParseError where the stream is no sequence of objects, and for a message that is
        too long; nothing can be read after that, except that in the framed dialect a line that
        is no object is for `object_from_bytes` to refuse.
        """
        return self._next_line() if self.is_lined else self._next_object()

    def _next_line(self) -> bytes | None:
        while (end := self._buffer.find(b"\n", self._seen)) >= 0:
            line = bytes(self._buffer[:end]).strip(_BLANKS)
            del self._buffer[: end + 1]
            self._seen = 0
            self._check_size(len(line))
            if line:
                return line
        self._seen = len(self._buffer)
        self._check_size(self._seen)
        return None

    def _next_object(self) -> bytes | None:
        if not self._seen:
            blanks = len(self._buffer) - len(self._buffer.lstrip(_BLANKS))
            del self._buffer[:blanks]
            if self._buffer and self._buffer[0] != 0x7B:
                raise ParseError("a message is a JSON object")
        end = self._end_of_object()
        self._check_size(len(self._buffer) if end is None else end)
        if end is None:
            return None
        message = bytes(self._buffer[:end])
        del self._buffer[:end]
        self._seen = 0
        return message

    def _end_of_object(self) -> int | None:
        while True:
            mark = (_IN_TEXT if self._is_in_text else _OUTSIDE).search(self._buffer, self._seen)
            if mark is None:
                self._seen = len(self._buffer)
                return None
            sign = mark[0]
            if sign == b"\\":
                if mark.end() == len(self._buffer):
                    self._seen = mark.start()
                    return None
                self._seen = mark.end() + 1
                continue
            self._seen = mark.end()
            if sign == b'"':
                self._is_in_text = not self._is_in_text
            elif sign in b"{[":
                self._depth += 1
                if self._depth > MAX_DEPTH:
                    raise ParseError("a message is nested too deeply")
            else:
                self._depth -= 1
                if not self._depth:
                    return self._seen

    def _check_size(self, size: int) -> None:
        if size > self._limit:
            raise ParseError(f"a message has at most {self._limit} bytes")


def object_from_bytes(message: bytes) -> dict[str, Any]:
    """Parse one message; ParseError where it is no JSON object."""
    try:
        value = json.loads(message.decode("utf-8"), parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        why = error.msg if isinstance(error, json.JSONDecodeError) else "not UTF-8 or no number"
        raise ParseError(f"broken JSON: {why}") from None
    if not isinstance(value, dict):
        raise ParseError("a message is a JSON object")
    return value


def _refuse(name: str) -> None:
    raise ValueError(name)


def bytes_from_object(fields: dict[str, Any]) -> bytes:
    """Write an object without blanks, in ASCII."""
    return json.dumps(fields, separators=(",", ":")).encode()
