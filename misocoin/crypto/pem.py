"""Private keys as PEM files, the form that `openssl pkey` and `openssl ec` read and write.

Written is PKCS#8 (RFC 5208) with the named curve secp256k1, under a passphrase if one is given;
read are PKCS#8 and SEC1 (RFC 5915). Where the public key stands beside the secret the two have to
belong together, so that a damaged key is noticed. PEM does not say whether the public key is used
compressed: what is read is.
"""

import re
from base64 import b64decode, b64encode
from collections.abc import Iterator

from ecdsa import SECP256k1, SigningKey, der
from ecdsa.curves import UnknownCurveError
from ecdsa.der import UnexpectedDER
from ecdsa.errors import MalformedPointError

from misocoin.crypto.keys import PrivateKey, public_key_in_form
from misocoin.crypto.pbes2 import WRONG, decrypt_pkcs8, encrypt_pkcs8
from misocoin.errors import KeyFormatError

MAX_PEM = 16_384
"""Bytes of the longest text that is looked at; a key has about 240."""

_ENCRYPTED = b"-----BEGIN ENCRYPTED PRIVATE KEY-----"
_SECTION = re.compile(
    rb"-----BEGIN ((?:EC |ENCRYPTED )?PRIVATE KEY)-----\s(.*?)-----END \1-----", re.DOTALL
)
_DAMAGE = (ValueError, IndexError, AssertionError, UnexpectedDER, MalformedPointError)


def pem_from_key(key: PrivateKey, passphrase: bytes | None = None) -> str:
    """Write `key` as PKCS#8, ASCII lines ending in a newline; encrypted if `passphrase` is given.

    An encrypted key tells its public key in a line before it, so that money can be received
    without the passphrase; other programs pass over that line (RFC 7468).
    """
    signing_key = SigningKey.from_string(key.secret, SECP256k1)
    if passphrase is None:
        text: bytes = signing_key.to_pem(format="pkcs8")
        return text.decode("ascii")
    sealed = b64encode(encrypt_pkcs8(signing_key.to_der(format="pkcs8"), passphrase)).decode()
    compressed = public_key_in_form(key.public_key, compressed=True)
    lines = [sealed[at : at + 64] for at in range(0, len(sealed), 64)]
    return "\n".join(
        (
            f"Public key: {compressed.hex()}",
            "-----BEGIN ENCRYPTED PRIVATE KEY-----",
            *lines,
            "-----END ENCRYPTED PRIVATE KEY-----",
            "",
        )
    )


def is_encrypted_pem(data: bytes) -> bool:
    """Whether a passphrase is needed to read the key."""
    return _ENCRYPTED in data or b"Proc-Type: 4,ENCRYPTED" in data


def key_from_pem(text: str | bytes, passphrase: bytes | None = None) -> PrivateKey:
    """Read a private key. Raises KeyFormatError, which repeats neither text nor passphrase."""
    data = text.encode(errors="replace") if isinstance(text, str) else text
    if len(data) > MAX_PEM:
        raise KeyFormatError("not a private key in PEM: too long")
    if b"Proc-Type: 4,ENCRYPTED" in data:
        raise KeyFormatError(
            "the private key is encrypted in OpenSSL's old way: openssl pkcs8 -topk8 -scrypt "
            "writes one that can be read"
        )
    if _ENCRYPTED in data:
        if passphrase is None:
            raise KeyFormatError("the private key is encrypted: a passphrase is needed")
        return _decrypted(data, passphrase)
    if b"PRIVATE KEY-----" not in data:
        raise KeyFormatError("not a private key in PEM: no such section")
    try:
        return _key_from_der(_body(data))
    except _DAMAGE:
        raise KeyFormatError("not a private key in PEM: damaged or of another kind") from None


def _body(data: bytes) -> bytes:
    """The DER in the first section with a key. Raises ValueError where there is none."""
    section = _SECTION.search(data)
    if section is None:
        raise ValueError("no whole section")
    return b64decode(b"".join(section[2].split()), validate=True)


def _decrypted(data: bytes, passphrase: bytes) -> PrivateKey:
    try:
        sealed = _body(data)
    except _DAMAGE:
        raise KeyFormatError("an encrypted private key is damaged or of another kind") from None
    plain = decrypt_pkcs8(sealed, passphrase)
    try:
        return _key_from_der(plain)
    except _DAMAGE:
        raise KeyFormatError(WRONG) from None


def _key_from_der(data: bytes) -> PrivateKey:
    """The key in PKCS#8 or SEC1. Raises KeyFormatError or one of `_DAMAGE`."""
    try:
        signing_key = SigningKey.from_der(data, valid_curve_encodings={"named_curve"})
    except UnknownCurveError:
        raise KeyFormatError("the private key is for another curve than secp256k1") from None
    if signing_key.curve != SECP256k1:
        raise KeyFormatError("the private key is for another curve than secp256k1")
    key = PrivateKey(signing_key.to_string())
    own = (key.public_key, public_key_in_form(key.public_key, compressed=False))
    if not set(own).issuperset(_public_keys(data)):
        raise KeyFormatError("the private key is damaged: the public key beside it is another's")
    return key


def _public_keys(data: bytes) -> Iterator[bytes]:
    """The public key beside the secret, if it is there; `data` is a key that could be read."""
    body, _ = der.remove_sequence(data)
    _, body = der.remove_integer(body)
    if der.is_sequence(body):  # PKCS#8 wraps SEC1
        _, body = der.remove_sequence(body)
        inner, _ = der.remove_octet_string(body)
        body, _ = der.remove_sequence(inner)
        _, body = der.remove_integer(body)
    _, body = der.remove_octet_string(body)
    while body:
        tag, content, body = der.remove_constructed(body)
        if tag == 1:
            yield der.remove_bitstring(content, 0)[0]
