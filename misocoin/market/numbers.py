"""Whole numbers as texts from outside write them."""

_DIGITS = 18
"""As many as any number here can have: longer texts are none, leading zeros or not."""


def whole_number(text: str, most: int) -> int | None:
    """Read a number from 0 to `most` in ASCII digits; None for anything else."""
    if not text.isascii() or not text.isdecimal() or len(text) > _DIGITS:
        return None
    number = int(text)
    return number if number <= most else None
