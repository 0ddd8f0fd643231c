"""Script numbers: little-endian with the sign in the last byte's top bit, zero is empty."""

from misocoin.script.result import ScriptError, ScriptFailure

MAX_NUMBER_SIZE = 4
"""Bytes of an operand of arithmetic; results may be a byte longer."""


def number_from_bytes(
    data: bytes, max_size: int = MAX_NUMBER_SIZE, *, require_minimal: bool = False
) -> int:
    """Read a script number of at most `max_size` bytes.

    Raises ScriptFailure (UNKNOWN_ERROR, as Core names it) for a longer one and, with
    `require_minimal`, for one that is not in its shortest form.
    """
    size = len(data)
    if size > max_size:
        raise ScriptFailure(ScriptError.UNKNOWN_ERROR)
    if not size:
        return 0
    last = data[-1]
    # A last byte without magnitude is needed only to carry the sign past a set top bit.
    if require_minimal and not last & 0x7F and (size == 1 or not data[-2] & 0x80):
        raise ScriptFailure(ScriptError.UNKNOWN_ERROR)
    number = int.from_bytes(data, "little")
    if last & 0x80:
        return (1 << (8 * size - 1)) - number
    return number


def bytes_from_number(number: int) -> bytes:
    """Write a script number in its shortest form."""
    if not number:
        return b""
    magnitude = abs(number)
    size = magnitude.bit_length() // 8 + 1  # a bit is left for the sign
    if number < 0:
        magnitude |= 1 << (8 * size - 1)
    return magnitude.to_bytes(size, "little")


def is_true(data: bytes) -> bool:
    """Whether an element counts as true: any but zeros, where minus zero is a zero too."""
    return data.lstrip(b"\x00") not in (b"", b"\x80")
