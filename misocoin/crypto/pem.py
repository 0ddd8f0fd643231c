"""Private keys as PEM files, the form that `openssl pkey` and `openssl ec` read and write.

Written is PKCS#8 (RFC 5208) with the named curve secp256k1; read are PKCS#8 and SEC1 (RFC 5915).
PEM does not say whether the public key is used compressed: what is read is.
"""

from ecdsa import SECP256k1, SigningKey
from ecdsa.curves import UnknownCurveError
from ecdsa.der import UnexpectedDER
from ecdsa.errors import MalformedPointError

from misocoin.crypto.keys import PrivateKey
from misocoin.errors import KeyFormatError

MAX_PEM = 16_384
"""Bytes of the longest text that is looked at; a key has about 240."""


def pem_from_key(key: PrivateKey) -> str:
    """Write `key` unencrypted as PKCS#8, ASCII lines ending in a newline."""
    signing_key = SigningKey.from_string(key.secret, SECP256k1)
    text: bytes = signing_key.to_pem(format="pkcs8")
    return text.decode("ascii")


def key_from_pem(text: str | bytes) -> PrivateKey:
    """Read an unencrypted private key. Raises KeyFormatError, which does not repeat the text."""
    data = text.encode(errors="replace") if isinstance(text, str) else text
    if len(data) > MAX_PEM:
        raise KeyFormatError("not a private key in PEM: too long")
    if b"ENCRYPTED" in data:
        raise KeyFormatError("the private key is encrypted: a passphrase is needed")
    if b"PRIVATE KEY-----" not in data:
        raise KeyFormatError("not a private key in PEM: no such section")
    try:
        signing_key = SigningKey.from_pem(data, valid_curve_encodings={"named_curve"})
    except UnknownCurveError:
        raise KeyFormatError("the private key is for another curve than secp256k1") from None
    except (ValueError, IndexError, AssertionError, UnexpectedDER, MalformedPointError):
        raise KeyFormatError("not a private key in PEM: damaged or of another kind") from None
    if signing_key.curve != SECP256k1:
        raise KeyFormatError("the private key is for another curve than secp256k1")
    return PrivateKey(signing_key.to_string())
