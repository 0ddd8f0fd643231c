"""The latest messages of the node, kept in memory for the machine room."""

import logging
from collections import deque
from typing import Final, NamedTuple

MOST_LINES: Final = 300
"""Messages that are kept."""

LONGEST: Final = 500
"""Characters of one."""


class LogLine(NamedTuple):
    """A message."""

    time: float
    """Unix time."""
    level: str
    """`info`, `warning` and so on."""
    text: str


class LogTail(logging.Handler):
    """Keeps the latest messages of the package's loggers, between `attach` and `detach`."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: deque[LogLine] = deque(maxlen=MOST_LINES)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a message, as one line without what could steer a terminal."""
        try:
            text = record.getMessage()
        except (TypeError, ValueError):  # its arguments do not fit its text
            text = str(record.msg)
        text = text[:LONGEST]
        if not text.isprintable():
            text = "".join(letter if letter.isprintable() else " " for letter in text)
        self._lines.append(LogLine(record.created, record.levelname.lower(), text))

    def latest(self) -> list[LogLine]:
        """All of them, the latest first."""
        self.acquire()
        try:
            return list(reversed(self._lines))
        finally:
            self.release()

    def attach(self) -> None:
        """Begin."""
        logging.getLogger("misocoin").addHandler(self)

    def detach(self) -> None:
        """End."""
        logging.getLogger("misocoin").removeHandler(self)
