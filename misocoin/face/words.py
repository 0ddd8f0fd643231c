"""How pages write times, durations, counts and amounts."""

from datetime import UTC, datetime

from misocoin.units import COIN


def coins_text(amount: int) -> str:
    """Base units as coins, with the decimals it takes and thousands set apart: `1,234.5`."""
    whole, rest = divmod(abs(amount), COIN)
    decimals = f".{rest:08d}".rstrip("0") if rest else ""
    return f"{'-' if amount < 0 else ''}{whole:,}{decimals}"


def rate_text(rate: float) -> str:
    """A fee rate in base units a virtual byte, with three decimals at most: `1.25`."""
    return f"{rate:,.3f}".rstrip("0").rstrip(".")


def count_text(number: int) -> str:
    """A number with thousands set apart."""
    return f"{number:,}"


def time_text(unix_time: float) -> str:
    """A moment in UTC: `2026-11-21 06:31:05`; a time that no calendar has is written as it is."""
    try:
        return f"{datetime.fromtimestamp(unix_time, UTC):%Y-%m-%d %H:%M:%S}"
    except (OverflowError, ValueError, OSError):
        return str(unix_time)


def duration_text(seconds: float) -> str:
    """A stretch of time in its two largest units: `2 d 3 h`, `1 min 5 s`, `12 s`, `0.4 s`."""
    if seconds < 0:
        return f"-{duration_text(-seconds)}"
    if seconds < 10 and seconds != int(seconds):
        return f"{seconds:.1f} s"
    left = round(seconds)
    parts: list[str] = []
    for size, name in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        count, left = divmod(left, size)
        if count or parts:
            parts.append(f"{count} {name}" if count else "")
        if len(parts) == 2:
            break
    return " ".join(filter(None, parts)) or "0 s"


def ago_text(unix_time: float, now: float) -> str:
    """How long ago a moment is: `5 s ago`, `in 3 s`, `now`."""
    passed = round(now - unix_time)
    if not passed:
        return "now"
    return f"{duration_text(passed)} ago" if passed > 0 else f"in {duration_text(-passed)}"
