"""SipHash-2-4 (Aumasson and Bernstein, 2012) with a 64-bit result.

Compact blocks (BIP152) and block filters (BIP158) hash with it. The C module `siphashc` serves
where it is installed; without it a full block's hashes take some 40 ms instead of 1.
"""

from collections.abc import Callable
from struct import unpack

_MASK = 0xFFFFFFFFFFFFFFFF


def siphash24_portable(key: bytes, data: bytes) -> int:
    """SipHash-2-4 of `data` under a key of 16 bytes, in plain Python."""
    k0, k1 = unpack("<QQ", key)
    v0, v1 = k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D
    v2, v3 = k0 ^ 0x6C7967656E657261, k1 ^ 0x7465646279746573
    padded = data + bytes(7 - len(data) % 8) + bytes([len(data) & 0xFF])
    for word in (*unpack(f"<{len(padded) // 8}Q", padded), None):
        if word is None:
            v2 ^= 0xFF
        else:
            v3 ^= word
        for _ in range(4 if word is None else 2):
            v0 = (v0 + v1) & _MASK
            v1 = ((v1 << 13 | v1 >> 51) & _MASK) ^ v0
            v0 = (v0 << 32 | v0 >> 32) & _MASK
            v2 = (v2 + v3) & _MASK
            v3 = ((v3 << 16 | v3 >> 48) & _MASK) ^ v2
            v0 = (v0 + v3) & _MASK
            v3 = ((v3 << 21 | v3 >> 43) & _MASK) ^ v0
            v2 = (v2 + v1) & _MASK
            v1 = ((v1 << 17 | v1 >> 47) & _MASK) ^ v2
            v2 = (v2 << 32 | v2 >> 32) & _MASK
        if word is not None:
            v0 ^= word
    result: int = v0 ^ v1 ^ v2 ^ v3
    return result


def _choose() -> Callable[[bytes, bytes], int]:
    try:
        from siphashc import siphash
    except ImportError:
        return siphash24_portable
    chosen: Callable[[bytes, bytes], int] = siphash
    return chosen


siphash24: Callable[[bytes, bytes], int] = _choose()
"""SipHash-2-4 of bytes under a key of 16 bytes: `siphash24(key, data)`."""
