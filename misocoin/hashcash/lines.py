"""Lines in a stream of bytes: cut, joined, picked out, and never without a bound."""

from misocoin.errors import ParseError
from misocoin.hashcash.announcement import (
    BEGINNING,
    MAX_SIZE,
    Announcement,
    announcement_from_line,
)


class LineBuffer:
    """Cuts a stream into lines."""

    def __init__(self, max_size: int) -> None:
        """`max_size` is the longest line, in bytes."""
        self._data = bytearray()
        self._searched = 0
        self._max_size = max_size

    def __len__(self) -> int:
        """Bytes that wait here."""
        return len(self._data)

    def feed(self, data: bytes) -> None:
        """Take bytes as they come."""
        self._data += data

    def next(self) -> bytes | None:
        """The next whole line, without its end; None if there is none.

        Raises ParseError for a line that is too long; nothing can be read after that.
        """
        end = self._data.find(b"\n", self._searched)
        if (end if end >= 0 else len(self._data)) > self._max_size:
            raise ParseError(f"a line of more than {self._max_size} bytes")
        if end < 0:
            self._searched = len(self._data)
            return None
        line = bytes(self._data[:end])
        del self._data[: end + 1]
        self._searched = 0
        return line

    def rest(self) -> bytes:
        """What came after the last line, at the end of the stream."""
        rest = bytes(self._data)
        self._data.clear()
        self._searched = 0
        return rest


class Interleaver:
    """Passes a stream on untouched, with lines of our own where one of its lines ends."""

    def __init__(self) -> None:
        self._is_between = True
        self._waiting: list[bytes] = []

    def add(self, line: bytes) -> bytes:
        """Put in a line, its end included; returns what can be sent at once."""
        if self._is_between:
            return line
        self._waiting.append(line)
        return b""

    def pass_on(self, data: bytes) -> bytes:
        """Take bytes of the stream; returns what is to be sent."""
        if not data:
            return data
        self._is_between = data.endswith(b"\n")
        if not self._waiting or (end := data.rfind(b"\n") + 1) == 0:
            return data
        own = b"".join(self._waiting)
        self._waiting.clear()
        return data[:end] + own + data[end:]


class AnnouncementFilter:
    """Picks the lines of a server's gate out of a stream; all else goes through as it comes."""

    def __init__(self) -> None:
        self._kept = b""
        self._is_inside = False

    def feed(self, data: bytes) -> tuple[bytes, list[Announcement]]:
        """Take bytes; returns those to pass on, and the announcements among them."""
        data = self._kept + data
        self._kept = b""
        passed: list[bytes] = []
        found: list[Announcement] = []
        place = 0
        while place < len(data):
            end = data.find(b"\n", place) + 1 or len(data)
            line = data[place:end]
            is_whole = line.endswith(b"\n")
            could_be = not self._is_inside and BEGINNING.startswith(line[: len(BEGINNING)])
            if could_be and not is_whole and len(line) <= MAX_SIZE:
                self._kept = line
                break
            announcement = _announcement_or_none(line) if could_be else None
            if announcement is not None:
                found.append(announcement)
            else:
                passed.append(line)
                self._is_inside = not is_whole
            place = end
        return b"".join(passed), found

    def rest(self) -> bytes:
        """What was kept back, at the end of the stream."""
        rest, self._kept = self._kept, b""
        return rest


def _announcement_or_none(line: bytes) -> Announcement | None:
    try:
        return announcement_from_line(line)
    except ParseError:
        return None
