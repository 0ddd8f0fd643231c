"""MuHash3072: a hash of a set, whatever the order of its members (Core's `muhash`).

Each member becomes a number of 3,072 bits (SHA-256, stretched by ChaCha20); the set is their
product modulo a prime, so that members can be put in and taken out.
"""

from struct import Struct

from misocoin.crypto.hashes import sha256

MODULUS = (1 << 3072) - 1103717
"""The largest 3,072-bit safe prime."""

_SIZE = 384
_MASK = 0xFFFFFFFF
_WORDS = Struct("<16I")
_KEY = Struct("<8I")
_CONSTANTS = (0x61707865, 0x3320646E, 0x79622D32, 0x6B206574)
_ROUNDS = (
    (0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
    (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14),
)  # fmt: skip


def chacha20_keystream(key: bytes, size: int) -> bytes:
    """The first bytes of ChaCha20's stream for a key of 32 bytes, nonce and counter zero."""
    blocks = [
        _chacha20_block((*_CONSTANTS, *_KEY.unpack(key), counter, 0, 0, 0))
        for counter in range((size + 63) // 64)
    ]
    return b"".join(blocks)[:size]


def _chacha20_block(start: tuple[int, ...]) -> bytes:
    state = list(start)
    for _ in range(10):
        for ia, ib, ic, id_ in _ROUNDS:
            a, b, c, d = state[ia], state[ib], state[ic], state[id_]
            a = (a + b) & _MASK
            d ^= a
            d = (d << 16 | d >> 16) & _MASK
            c = (c + d) & _MASK
            b ^= c
            b = (b << 12 | b >> 20) & _MASK
            a = (a + b) & _MASK
            d ^= a
            d = (d << 8 | d >> 24) & _MASK
            c = (c + d) & _MASK
            b ^= c
            b = (b << 7 | b >> 25) & _MASK
            state[ia], state[ib], state[ic], state[id_] = a, b, c, d
    return _WORDS.pack(*[(x + y) & _MASK for x, y in zip(state, start, strict=True)])


class MuHash:
    """The hash of a set that is being put together."""

    def __init__(self) -> None:
        self._numerator = 1
        self._denominator = 1

    def insert(self, member: bytes) -> None:
        """Put a member in."""
        self._numerator = self._numerator * _number(member) % MODULUS

    def remove(self, member: bytes) -> None:
        """Take a member out."""
        self._denominator = self._denominator * _number(member) % MODULUS

    def digest(self) -> bytes:
        """The 32 bytes of the set as it is now."""
        value = self._numerator * pow(self._denominator, -1, MODULUS) % MODULUS
        return sha256(value.to_bytes(_SIZE, "little"))


def _number(member: bytes) -> int:
    return int.from_bytes(chacha20_keystream(sha256(member), _SIZE), "little")
