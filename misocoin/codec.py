"""Bounded reading and writing of Bitcoin's wire format.

All integers are little-endian. A count is a compact size (1, 3, 5 or 9 bytes, shortest form only).
"""

from misocoin.errors import ParseError

MAX_COMPACT_SIZE = 0x02000000
"""Core's `MAX_SIZE`: no length on the wire may exceed 32 MiB."""


def compact_size(value: int) -> bytes:
    """Encode a count; `value` is at most 2**64 - 1."""
    if value < 0xFD:
        return value.to_bytes(1, "little")
    if value <= 0xFFFF:
        return b"\xfd" + value.to_bytes(2, "little")
    if value <= 0xFFFFFFFF:
        return b"\xfe" + value.to_bytes(4, "little")
    return b"\xff" + value.to_bytes(8, "little")


def var_bytes(data: bytes) -> bytes:
    """`data` behind its length."""
    return compact_size(len(data)) + data


class Reader:
    """A cursor over bytes from outside; every read past the end raises ParseError."""

    __slots__ = ("data", "position")

    def __init__(self, data: bytes, position: int = 0) -> None:
        self.data = data
        self.position = position

    @property
    def remaining(self) -> int:
        """Bytes left to read."""
        return len(self.data) - self.position

    def take(self, size: int) -> bytes:
        """The next `size` bytes."""
        start = self.position
        end = start + size
        if size < 0 or end > len(self.data):
            raise ParseError(f"unexpected end: {size} bytes wanted, {self.remaining} left")
        self.position = end
        return self.data[start:end]

    def uint(self, size: int) -> int:
        """An unsigned little-endian integer of `size` bytes."""
        return int.from_bytes(self.take(size), "little")

    def int32(self) -> int:
        """A signed little-endian integer of four bytes."""
        return int.from_bytes(self.take(4), "little", signed=True)

    def compact_size(self) -> int:
        """A count in its shortest form, at most MAX_COMPACT_SIZE."""
        first = self.uint(1)
        if first < 0xFD:
            return first
        size = 1 << (first - 0xFC)
        value = self.uint(size)
        if value < (0xFD, 0x10000, 0x100000000)[first - 0xFD]:
            raise ParseError("non-canonical compact size")
        if value > MAX_COMPACT_SIZE:
            raise ParseError(f"size {value} is over the limit of {MAX_COMPACT_SIZE}")
        return value

    def var_bytes(self) -> bytes:
        """A byte string behind its length."""
        return self.take(self.compact_size())

    def expect_end(self) -> None:
        """Raise ParseError unless everything was read."""
        if self.remaining:
            raise ParseError(f"{self.remaining} bytes left over")
