"""Base58 and base58check, the text form of Bitcoin's first addresses and of private keys.

Fifty-eight letters without 0, O, I and l; every leading zero byte is a leading `1`. The check is
the first four bytes of the double SHA-256 of the payload, appended to it.
"""

from misocoin.crypto.hashes import sha256d
from misocoin.errors import AddressError

ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
"""The digits in order of their value."""

MAX_TEXT = 512
"""Characters that are read at most: reading takes quadratic time. An address has 35, an extended
key 111."""

_VALUES = {digit: value for value, digit in enumerate(ALPHABET)}


def text_from_bytes(data: bytes) -> str:
    """Encode `data` without a check."""
    number = int.from_bytes(data, "big")
    digits = []
    while number:
        number, value = divmod(number, 58)
        digits.append(ALPHABET[value])
    zeros = len(data) - len(data.lstrip(b"\x00"))
    return "1" * zeros + "".join(reversed(digits))


def bytes_from_text(text: str) -> bytes:
    """Decode `text` without a check. Raises AddressError for a character outside the alphabet."""
    if len(text) > MAX_TEXT:
        raise AddressError(f"{len(text)} characters are too many for base58")
    number = 0
    for digit in text:
        value = _VALUES.get(digit)
        if value is None:
            raise AddressError(f"{digit!r} is not a base58 character")
        number = number * 58 + value
    zeros = len(text) - len(text.lstrip("1"))
    return bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8, "big")


def checked_text_from_bytes(payload: bytes) -> str:
    """Encode `payload` (version byte and data) with its check: base58check."""
    return text_from_bytes(payload + sha256d(payload)[:4])


def bytes_from_checked_text(text: str) -> bytes:
    """Decode base58check and return the payload.

    Raises AddressError; a wrong check, which is what a typing error leads to, is named `checksum`.
    """
    data = bytes_from_text(text)
    if len(data) < 4:
        raise AddressError("too short for base58check")
    payload = data[:-4]
    if sha256d(payload)[:4] != data[-4:]:
        raise AddressError("the checksum is wrong: is there a typing error?")
    return payload
