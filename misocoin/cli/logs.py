"""How the daemon's messages look: one readable line each, or one JSON object each."""

import json
import logging
import sys
import time
from typing import TextIO

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class LineFormatter(logging.Formatter):
    """`2026-11-21 04:31:30 block 12 mined 00ab…`; what is amiss says so before it."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(mark)s%(message)s", "%Y-%m-%d %H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        """Write a record as a line; a traceback follows it where there is one."""
        is_plain = record.levelno == logging.INFO
        record.mark = "" if is_plain else f"{record.levelname.lower()}: "
        return super().format(record)


class JsonFormatter(logging.Formatter):
    """An object with time (UTC), level, source, message, and the record's own extra fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record as JSON on one line."""
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        fields = {
            "time": f"{seconds}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "source": record.name,
            "message": record.getMessage(),
            **{name: value for name, value in vars(record).items() if name not in _STANDARD},
        }
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return json.dumps(fields, default=str, ensure_ascii=False)


def set_up_logging(level: str, is_json: bool, stream: TextIO | None = None) -> None:
    """Send the package's messages to standard output, from `level` up."""
    # A log that cannot be written, such as a closed pipe, is no reason for tracebacks.
    logging.raiseExceptions = False
    handler = logging.StreamHandler(stream or sys.stdout)
    handler.setFormatter(JsonFormatter() if is_json else LineFormatter())
    logger = logging.getLogger("misocoin")
    for old in logger.handlers[:]:
        logger.removeHandler(old)
    logger.addHandler(handler)
    logger.setLevel(level.upper())
    logger.propagate = False
