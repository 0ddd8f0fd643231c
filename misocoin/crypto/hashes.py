"""The hash functions of Bitcoin.

All of them take and return `bytes` in the order the function produces them (wire order).
"""

import hashlib
from collections.abc import Callable
from functools import lru_cache
from hashlib import sha256 as _sha256

from misocoin.crypto import ripemd


def sha1(data: bytes) -> bytes:
    """SHA-1 (FIPS 180-4), 20 bytes; only for OP_SHA1 and hashcash, which fixed it long ago."""
    return hashlib.sha1(data, usedforsecurity=False).digest()


def sha256(data: bytes) -> bytes:
    """SHA-256 (FIPS 180-4), 32 bytes."""
    return _sha256(data).digest()


def sha256d(data: bytes) -> bytes:
    """SHA-256 of SHA-256, 32 bytes: block hashes, txids, merkle nodes, checksums."""
    return _sha256(_sha256(data).digest()).digest()


def _choose_ripemd160() -> Callable[[bytes], bytes]:
    # OpenSSL 3 keeps RIPEMD-160 in its legacy provider, which many systems do not load.
    try:
        empty = hashlib.new("ripemd160", usedforsecurity=False)
    except ValueError:
        return ripemd.ripemd160

    def ripemd160_of_openssl(data: bytes) -> bytes:
        state = empty.copy()  # half the time of looking the name up again
        state.update(data)
        return state.digest()

    return ripemd160_of_openssl


ripemd160: Callable[[bytes], bytes] = _choose_ripemd160()
"""RIPEMD-160, 20 bytes: OpenSSL's where it offers it, otherwise `ripemd.ripemd160`."""


def hash160(data: bytes) -> bytes:
    """RIPEMD-160 of SHA-256, 20 bytes: what P2PKH, P2SH and P2WPKH commit to."""
    return ripemd160(_sha256(data).digest())


@lru_cache(maxsize=64)
def _tag_midstate(tag: str | bytes) -> "hashlib._Hash":
    name = _sha256(tag.encode() if isinstance(tag, str) else tag).digest()
    return _sha256(name + name)


def tagged_hash(tag: str | bytes, data: bytes) -> bytes:
    """SHA-256 of `data` behind twice the hash of `tag`, 32 bytes (BIP340)."""
    state = _tag_midstate(tag).copy()
    state.update(data)
    return state.digest()
