"""Encrypted PKCS#8 (RFC 5958, PBES2 of RFC 8018): a private key under a passphrase.

Written is scrypt (RFC 7914) with AES-256-CBC, which `openssl pkey` reads; read is also PBKDF2 and
the shorter AES keys, as OpenSSL writes them. What a file may ask of us in memory and time has
limits. AES is of the library `cryptography`, imported only where a passphrase is in play.
"""

import hashlib
import secrets
from collections.abc import Callable
from typing import NamedTuple

from ecdsa import der
from ecdsa.der import UnexpectedDER

from misocoin.errors import KeyFormatError

SCRYPT_COST = 1 << 14
"""N: with r of 8 it takes 16 MiB, the power of two below OpenSSL's limit of 32 MiB."""

SCRYPT_BLOCK = 8
"""r."""

SCRYPT_LANES = 5
"""p: makes up in time (0.2 s) for the memory that is not taken."""

MAX_MEMORY = 1 << 28
"""Bytes that reading a file may take."""

MAX_PBKDF2_ROUNDS = 20_000_000
MAX_SCRYPT_LANES = 64

_PBES2 = (1, 2, 840, 113549, 1, 5, 13)
_SCRYPT = (1, 3, 6, 1, 4, 1, 11591, 4, 11)
_PBKDF2 = (1, 2, 840, 113549, 1, 5, 12)
_AES_256_CBC = (2, 16, 840, 1, 101, 3, 4, 1, 42)
_KEY_SIZES = {
    (2, 16, 840, 1, 101, 3, 4, 1, 2): 16,
    (2, 16, 840, 1, 101, 3, 4, 1, 22): 24,
    _AES_256_CBC: 32,
}
_HMAC_SHA1 = (1, 2, 840, 113549, 2, 7)
_HMACS = {
    _HMAC_SHA1: "sha1",
    (1, 2, 840, 113549, 2, 9): "sha256",
    (1, 2, 840, 113549, 2, 10): "sha384",
    (1, 2, 840, 113549, 2, 11): "sha512",
}
_BLOCK = 16

WRONG = "the passphrase is wrong, or the file is damaged"
"""What can be said where a decrypted text makes no sense: the two look alike."""


def derive_key(passphrase: bytes, salt: bytes, size: int = 32) -> bytes:
    """`size` bytes from a passphrase by scrypt with the costs above."""
    return _scrypt(passphrase, salt, SCRYPT_COST, SCRYPT_BLOCK, SCRYPT_LANES, size)


def _scrypt(passphrase: bytes, salt: bytes, n: int, r: int, p: int, size: int) -> bytes:
    memory = 128 * r * (n + p + 2)
    sound = n >= 2 and n & (n - 1) == 0 and r >= 1 and 1 <= p <= MAX_SCRYPT_LANES
    if not sound or memory > MAX_MEMORY:
        raise KeyFormatError("the private key's scrypt costs are out of bounds")
    return hashlib.scrypt(
        passphrase, salt=salt, n=n, r=r, p=p, maxmem=MAX_MEMORY + (1 << 20), dklen=size
    )


def encrypt_pkcs8(plain: bytes, passphrase: bytes) -> bytes:
    """Encrypt a PrivateKeyInfo; both are DER."""
    salt, start = secrets.token_bytes(16), secrets.token_bytes(_BLOCK)
    padding = _BLOCK - len(plain) % _BLOCK
    padded = plain + bytes((padding,)) * padding
    encrypted = _aes_cbc(derive_key(passphrase, salt), start, padded, encrypt=True)
    costs = map(der.encode_integer, (SCRYPT_COST, SCRYPT_BLOCK, SCRYPT_LANES))
    function = der.encode_sequence(
        der.encode_oid(*_SCRYPT),
        der.encode_sequence(der.encode_octet_string(salt), *costs),
    )
    cipher = der.encode_sequence(der.encode_oid(*_AES_256_CBC), der.encode_octet_string(start))
    scheme = der.encode_sequence(der.encode_oid(*_PBES2), der.encode_sequence(function, cipher))
    result: bytes = der.encode_sequence(scheme, der.encode_octet_string(encrypted))
    return result


class _Envelope(NamedTuple):
    derive: Callable[[bytes, int], bytes]
    """From passphrase and size to key."""
    key_size: int
    start: bytes
    encrypted: bytes


def decrypt_pkcs8(data: bytes, passphrase: bytes) -> bytes:
    """Decrypt an EncryptedPrivateKeyInfo. Raises KeyFormatError, with `WRONG` for a bad padding.

    A wrong passphrase goes unnoticed here once in 256 times: the plain text then is no key.
    """
    try:
        envelope = _parse(data)
    except (UnexpectedDER, ValueError, IndexError, AssertionError):
        raise KeyFormatError("an encrypted private key is damaged or of another kind") from None
    key = envelope.derive(passphrase, envelope.key_size)
    plain = _aes_cbc(key, envelope.start, envelope.encrypted, encrypt=False)
    padding = plain[-1]
    if not 1 <= padding <= _BLOCK or plain[-padding:] != bytes((padding,)) * padding:
        raise KeyFormatError(WRONG)
    return plain[:-padding]


def _parse(data: bytes) -> _Envelope:
    body, rest = der.remove_sequence(data)
    scheme, body = der.remove_sequence(body)
    encrypted, body = der.remove_octet_string(body)
    oid, scheme = der.remove_object(scheme)
    if rest or body or oid != _PBES2:
        raise UnexpectedDER("not PBES2")
    parts, _ = der.remove_sequence(scheme)
    function, parts = der.remove_sequence(parts)
    cipher, _ = der.remove_sequence(parts)
    cipher_oid, cipher = der.remove_object(cipher)
    start, _ = der.remove_octet_string(cipher)
    if cipher_oid not in _KEY_SIZES or len(start) != _BLOCK:
        raise UnexpectedDER("not AES-CBC")
    if not encrypted or len(encrypted) % _BLOCK:
        raise UnexpectedDER("not whole blocks")
    return _Envelope(_derivation(function), _KEY_SIZES[cipher_oid], start, encrypted)


def _derivation(function: bytes) -> Callable[[bytes, int], bytes]:
    oid, function = der.remove_object(function)
    values, _ = der.remove_sequence(function)
    salt, values = der.remove_octet_string(values)
    if oid == _SCRYPT:
        n, values = der.remove_integer(values)
        r, values = der.remove_integer(values)
        p, _ = der.remove_integer(values)
        return lambda passphrase, size: _scrypt(passphrase, salt, n, r, p, size)
    if oid != _PBKDF2:
        raise UnexpectedDER("another derivation")
    rounds, values = der.remove_integer(values)
    if not 1 <= rounds <= MAX_PBKDF2_ROUNDS:
        raise UnexpectedDER("rounds out of bounds")
    if values[:1] == b"\x02":  # the key's size, which follows from the cipher as well
        _, values = der.remove_integer(values)
    name = "sha1"
    if values:
        hmac, _ = der.remove_sequence(values)
        hmac_oid, _ = der.remove_object(hmac)
        if hmac_oid not in _HMACS:
            raise UnexpectedDER("another HMAC")
        name = _HMACS[hmac_oid]
    return lambda passphrase, size: hashlib.pbkdf2_hmac(name, passphrase, salt, rounds, size)


def _aes_cbc(key: bytes, start: bytes, data: bytes, *, encrypt: bool) -> bytes:
    from cryptography.hazmat.primitives.ciphers import Cipher
    from cryptography.hazmat.primitives.ciphers.algorithms import AES
    from cryptography.hazmat.primitives.ciphers.modes import CBC

    cipher = Cipher(AES(key), CBC(start))
    context = cipher.encryptor() if encrypt else cipher.decryptor()
    return context.update(data) + context.finalize()
