"""Wallet import format: a private key as base58check text.

The payload is the network's version byte, the secret, and `01` if the public key is compressed.
"""

from misocoin.crypto import base58
from misocoin.crypto.keys import PrivateKey
from misocoin.errors import AddressError, KeyFormatError


def wif_from_key(key: PrivateKey, version: int) -> str:
    """Write `key` for the network whose WIF version byte is `version` (128 on Bitcoin's main)."""
    suffix = b"\x01" if key.compressed else b""
    return base58.checked_text_from_bytes(bytes((version,)) + key.secret + suffix)


def key_from_wif(text: str, version: int) -> PrivateKey:
    """Read a private key. Raises KeyFormatError, which does not repeat the text."""
    try:
        payload = base58.bytes_from_checked_text(text)
    except AddressError:
        # `from None`: the first error may quote a character of a secret.
        raise KeyFormatError("not a private key in WIF: is there a typing error?") from None
    compressed = len(payload) == 34 and payload[33] == 1
    if not compressed and len(payload) != 33:
        raise KeyFormatError("not a private key in WIF: wrong length")
    if payload[0] != version:
        raise KeyFormatError("a private key of another network")
    return PrivateKey(payload[1:33], compressed)
