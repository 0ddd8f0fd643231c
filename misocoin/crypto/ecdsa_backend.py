# ruff: noqa: D103 - `backend.Backend` documents each function
"""secp256k1 in Python: the arithmetic of the package `ecdsa`, with BIP340 written on top of it.

It serves where coincurve cannot be installed, and as the independent oracle in tests. It does not
run in constant time: who can measure it while it signs may learn the key. See `backend.Backend`
for what each function does.
"""

from hashlib import sha256
from typing import Any

from ecdsa import SECP256k1
from ecdsa.ellipticcurve import INFINITY, PointJacobi
from ecdsa.rfc6979 import generate_k

from misocoin.crypto.der import ORDER, compact_from_lax_der
from misocoin.crypto.hashes import tagged_hash

NAME = "ecdsa"

_CURVE = SECP256k1.curve
_G = SECP256k1.generator
_FIELD = 2**256 - 2**32 - 977
"""The prime p of the field of secp256k1 (SEC 2)."""


def _point(x: int, y: int) -> Any:
    return PointJacobi(_CURVE, x, y, 1, ORDER)


def _lift_x(x: int, odd: int) -> Any:
    """The point with that x whose y has that parity; None where the curve has no such x."""
    if x >= _FIELD:
        return None
    square = (pow(x, 3, _FIELD) + 7) % _FIELD
    y = pow(square, (_FIELD + 1) // 4, _FIELD)
    if y * y % _FIELD != square:
        return None
    return _point(x, y if y & 1 == odd else _FIELD - y)


def _parse(public_key: bytes) -> Any:
    """The point of a public key: compressed, uncompressed or hybrid; None for other bytes."""
    size = len(public_key)
    form = public_key[0] if public_key else 0
    x = int.from_bytes(public_key[1:33], "big")
    if size == 33 and form in (0x02, 0x03):
        return _lift_x(x, form & 1)
    if size != 65 or form not in (0x04, 0x06, 0x07):
        return None
    y = int.from_bytes(public_key[33:], "big")
    if form != 0x04 and form & 1 != y & 1:
        return None
    if x >= _FIELD or y >= _FIELD or (y * y - x * x * x - 7) % _FIELD:
        return None
    return _point(x, y)


def _serialize(point: Any, compressed: bool) -> bytes:
    x, y = int(point.x()), int(point.y())
    if compressed:
        return bytes((2 + (y & 1),)) + x.to_bytes(32, "big")
    return b"\x04" + x.to_bytes(32, "big") + y.to_bytes(32, "big")


def verify_ecdsa(public_key: bytes, signature: bytes, digest: bytes) -> bool:
    compact = compact_from_lax_der(signature)
    point = _parse(public_key)
    if compact is None or point is None or len(digest) != 32:
        return False
    r = int.from_bytes(compact[:32], "big")
    s = int.from_bytes(compact[32:], "big")
    if not (0 < r < ORDER and 0 < s < ORDER):
        return False
    inverse = pow(s, -1, ORDER)
    u1 = int.from_bytes(digest, "big") * inverse % ORDER
    total = _G.mul_add(u1, point, r * inverse % ORDER)
    return total != INFINITY and int(total.x()) % ORDER == r


def _challenge(r: bytes, xonly: bytes, message: bytes) -> int:
    return int.from_bytes(tagged_hash("BIP0340/challenge", r + xonly + message), "big") % ORDER


def verify_schnorr(xonly: bytes, signature: bytes, message: bytes) -> bool:
    if len(xonly) != 32 or len(signature) != 64:
        return False
    point = _lift_x(int.from_bytes(xonly, "big"), 0)
    r = int.from_bytes(signature[:32], "big")
    s = int.from_bytes(signature[32:], "big")
    if point is None or r >= _FIELD or s >= ORDER:
        return False
    total = _G.mul_add(s, point, ORDER - _challenge(signature[:32], xonly, message))
    return total != INFINITY and (int(total.x()), int(total.y()) & 1) == (r, 0)


def is_public_key(public_key: bytes) -> bool:
    return _parse(public_key) is not None


def public_key_in_form(public_key: bytes, compressed: bool) -> bytes | None:
    point = _parse(public_key)
    return None if point is None else _serialize(point, compressed)


def public_key_from_secret(secret: bytes, compressed: bool) -> bytes:
    return _serialize(_G * int.from_bytes(secret, "big"), compressed)


def _point_tweak_add(point: Any, tweak: bytes) -> Any:
    number = int.from_bytes(tweak, "big")
    if point is None or number >= ORDER:
        return None
    total = _G.mul_add(number, point, 1)
    return None if total == INFINITY else total


def public_key_tweak_add(public_key: bytes, tweak: bytes) -> bytes | None:
    total = _point_tweak_add(_parse(public_key), tweak)
    return None if total is None else _serialize(total, len(public_key) == 33)


def _number_tweak_add(number: int, tweak: bytes) -> bytes | None:
    addend = int.from_bytes(tweak, "big")
    total = (number + addend) % ORDER
    return None if addend >= ORDER or not total else total.to_bytes(32, "big")


def secret_tweak_add(secret: bytes, tweak: bytes) -> bytes | None:
    return _number_tweak_add(int.from_bytes(secret, "big"), tweak)


def _even_secret(secret: bytes) -> tuple[int, bytes]:
    """The secret or its negation, whichever has a point with even y, and that point's x."""
    public_key = public_key_from_secret(secret, compressed=True)
    number = int.from_bytes(secret, "big")
    return (ORDER - number if public_key[0] == 0x03 else number), public_key[1:]


def secret_xonly_tweak_add(secret: bytes, tweak: bytes) -> bytes | None:
    return _number_tweak_add(_even_secret(secret)[0], tweak)


def xonly_tweak_add(xonly: bytes, tweak: bytes) -> tuple[bytes, int] | None:
    total = _point_tweak_add(_lift_x(int.from_bytes(xonly, "big"), 0), tweak)
    if total is None:
        return None
    return total.x().to_bytes(32, "big"), total.y() & 1


def is_taproot_tweak(output_xonly: bytes, parity: int, xonly: bytes, tweak: bytes) -> bool:
    return xonly_tweak_add(xonly, tweak) == (output_xonly, parity)


def sign_ecdsa(secret: bytes, digest: bytes, extra: bytes = b"") -> bytes:
    return _sign(secret, digest, extra)[0]


def sign_recoverable(secret: bytes, digest: bytes) -> tuple[bytes, int]:
    return _sign(secret, digest, b"")


def _sign(secret: bytes, digest: bytes, extra: bytes) -> tuple[bytes, int]:
    key = int.from_bytes(secret, "big")
    retries = 0
    while True:
        nonce = generate_k(ORDER, key, sha256, digest, retry_gen=retries, extra_entropy=extra)
        point = _G * nonce
        r = point.x() % ORDER
        s = pow(nonce, -1, ORDER) * (int.from_bytes(digest, "big") + r * key) % ORDER
        if r and s:
            break
        retries += 1
    recovery_id = (point.y() & 1) | (2 if point.x() >= ORDER else 0)
    if s > ORDER // 2:
        s = ORDER - s
        recovery_id ^= 1
    return r.to_bytes(32, "big") + s.to_bytes(32, "big"), recovery_id


def recover(compact: bytes, recovery_id: int, digest: bytes, compressed: bool) -> bytes | None:
    r = int.from_bytes(compact[:32], "big")
    s = int.from_bytes(compact[32:], "big")
    if not (0 < r < ORDER and 0 < s < ORDER):
        return None
    point = _lift_x(r + (ORDER if recovery_id & 2 else 0), recovery_id & 1)
    if point is None:
        return None
    inverse = pow(r, -1, ORDER)
    u1 = -int.from_bytes(digest, "big") * inverse % ORDER
    total = _G.mul_add(u1, point, s * inverse % ORDER)
    return None if total == INFINITY else _serialize(total, compressed)


def sign_schnorr(secret: bytes, message: bytes, aux_random: bytes) -> bytes:
    key, xonly = _even_secret(secret)
    mask = tagged_hash("BIP0340/aux", aux_random)
    masked = (key ^ int.from_bytes(mask, "big")).to_bytes(32, "big")
    nonce = int.from_bytes(tagged_hash("BIP0340/nonce", masked + xonly + message), "big") % ORDER
    if not nonce:
        raise ValueError("signing failed")
    nonce, r = _even_secret(nonce.to_bytes(32, "big"))
    s = (nonce + _challenge(r, xonly, message) * key) % ORDER
    return r + s.to_bytes(32, "big")
