"""Nonces that nobody need remember until they are used.

A nonce is 16 bytes in hex: its last second (5), chance (4), and a keyed hash of both (7). So giving
one out costs no write, however many are asked for; only used ones are kept, until they expire.
"""

import secrets
from hashlib import sha256
from hmac import compare_digest, digest

from misocoin.market.moments import MINUTE, SECOND, Moment

NONCE_LIFE = 3 * MINUTE
"""Microseconds that a nonce may be used."""

_MAC_SIZE = 7


def new_nonce(secret: bytes, now: Moment) -> str:
    """A nonce that was never given out before, as far as chance allows."""
    body = ((now + NONCE_LIFE) // SECOND).to_bytes(5, "big") + secrets.token_bytes(4)
    return (body + _mac(secret, body)).hex()


def expiry_of(secret: bytes, nonce: str) -> Moment:
    """When a nonce ends that was given out with this secret; 0 for any other text."""
    try:
        data = bytes.fromhex(nonce)
    except ValueError:
        return Moment(0)
    body, mac = data[:-_MAC_SIZE], data[-_MAC_SIZE:]
    # One form only: what is used up is kept as text.
    if len(data) != 16 or data.hex() != nonce or not compare_digest(mac, _mac(secret, body)):
        return Moment(0)
    return Moment(int.from_bytes(body[:5], "big") * SECOND)


def _mac(secret: bytes, body: bytes) -> bytes:
    return digest(secret, body, sha256)[:_MAC_SIZE]
