"""Golomb-coded sets (BIP158): byte strings in some 20 bits each, with one false hit in 784,931.

An element is hashed to a number below N * M; the sorted numbers' differences are written in
Golomb-Rice code: the quotient by 2**P in unary (ones and a zero), the remainder in P bits. Before
the bits stands N as a compact size; behind them zeros up to the next byte.
"""

from collections.abc import Collection, Iterable, Iterator

from misocoin.codec import Reader, compact_size
from misocoin.crypto.siphash import siphash24
from misocoin.errors import ParseError

P = 19
"""Bits of a remainder."""

M = 784_931
"""The inverse of the rate of false hits; 1.497137 * 2**P makes the code shortest."""

KEY_SIZE = 16
"""Bytes of the key under which elements are hashed."""

_CODE_BITS = P + 1  # of the shortest code: no ones, the zero, the remainder
_CODE_FORMAT = f"0{_CODE_BITS}b"


def _hashed(elements: Iterable[bytes], key: bytes, count: int) -> list[int]:
    """The elements' numbers in a set of `count`: 64-bit hashes scaled down to below count * M."""
    span = count * M
    return [siphash24(key, element) * span >> 64 for element in elements]


def gcs_from_elements(elements: Collection[bytes], key: bytes) -> bytes:
    """Encode a set; what is in it twice counts once. `key` is SipHash's, 16 bytes."""
    distinct = set(elements)
    codes = []
    last = 0
    for value in sorted(_hashed(distinct, key, len(distinct))):
        quotient, remainder = divmod(value - last, 1 << P)
        ones_and_zero = (1 << quotient + 1) - 2
        codes.append(format(ones_and_zero << P | remainder, _CODE_FORMAT))
        last = value
    bits = "".join(codes)
    size = (len(bits) + 7) // 8
    body = int(bits.ljust(8 * size, "0"), 2).to_bytes(size, "big") if bits else b""
    return compact_size(len(distinct)) + body


def values_from_gcs(data: bytes) -> tuple[int, Iterator[int]]:
    """Decode a set: how many elements it has, and their numbers, smallest first.

    Raises ParseError for what cannot be a set, some of it only as the numbers are drawn.
    """
    reader = Reader(data)
    count = reader.compact_size()
    body = reader.take(reader.remaining)
    if count * _CODE_BITS > 8 * len(body):
        raise ParseError(f"{len(body)} bytes do not hold a filter of {count} elements")
    return count, _values(body, count)


def _values(body: bytes, count: int) -> Iterator[int]:
    # As text, since searching and slicing it run in C; the one in front keeps leading zeros.
    bits = bin(int.from_bytes(b"\x01" + body, "big"))[3:]
    at = value = 0
    for _ in range(count):
        zero = bits.find("0", at)
        end = zero + _CODE_BITS
        if zero < 0 or end > len(bits):
            raise ParseError("the filter ends too early")
        value += (zero - at << P) + int(bits[zero + 1 : end], 2)
        at = end
        yield value
    if len(bits) - at >= 8:
        raise ParseError("bytes are left over behind the filter")


def is_any_in_gcs(elements: Collection[bytes], data: bytes, key: bytes) -> bool:
    """Whether any of `elements` is in the set; yes may be wrong once in M for each of them.

    Raises ParseError.
    """
    count, values = values_from_gcs(data)
    if not count or not elements:
        return False
    wanted = set(_hashed(elements, key, count))
    return any(value in wanted for value in values)


def are_all_in_gcs(elements: Collection[bytes], data: bytes, key: bytes) -> bool:
    """Whether each of `elements` is in the set; no is certain. Raises ParseError."""
    count, values = values_from_gcs(data)
    return set(_hashed(elements, key, count)) <= set(values)
