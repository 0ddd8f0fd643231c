"""Times of the market: whole microseconds since 1970, and their text on the wire."""

import re
from datetime import UTC, datetime, timedelta
from typing import NewType

from misocoin.market.errors import Malformed

Moment = NewType("Moment", int)
"""Microseconds since 1970-01-01 UTC."""

SECOND = 1_000_000
"""Microseconds in a second."""

MINUTE = 60 * SECOND
"""Microseconds in a minute."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FORM = re.compile(
    r"(\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)


def text_from_moment(moment: Moment) -> str:
    """Write a time as RFC 3339 in UTC, as Go does: `2026-11-21T01:58:36.33777Z`."""
    seconds, micros = divmod(moment, SECOND)
    text = (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{micros:06}".rstrip("0").rstrip(".") + "Z" if micros else f"{text}Z"


def moment_from_text(text: str) -> Moment:
    """Read a time of RFC 3339, which names its zone. Raises Malformed."""
    match = _FORM.fullmatch(text)
    if match is None:
        raise Malformed(f"{text[:40]!r} is not a time like 2026-11-21T01:58:36Z")
    whole, fraction, zone = match.groups(default="")
    try:
        time = datetime.fromisoformat(whole.upper() + zone.upper().replace("Z", "+00:00"))
        since = time - _EPOCH
    except (ValueError, OverflowError):
        raise Malformed(f"{text[:40]!r} is not a time that there is") from None
    return Moment((since.days * 86_400 + since.seconds) * SECOND + int(fraction.ljust(9, "0")[:6]))
