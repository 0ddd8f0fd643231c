"""What is wrong with an address, in Bitcoin Core's words, and where.

BIP173's code tells the places of up to two wrong characters. They are found here by looking for
one or two changes that together leave the remainder that was found: there are 31 for each place.
"""

from functools import lru_cache

from misocoin.crypto import base58
from misocoin.crypto.bech32 import (
    ALPHABET,
    CHECK_DIGITS,
    MAX_TEXT,
    Encoding,
    digits_from_text,
    remainder_of_digits,
)
from misocoin.crypto.hashes import sha256d
from misocoin.errors import AddressError
from misocoin.params import AddressParams

BLANKS = " \t\n\v\f\r"
"""What may stand around base58, and around nothing else."""

_MAX_BASE58 = 100
_PAYLOAD = 21


def address_fault(text: str, params: AddressParams) -> tuple[str, list[int]]:
    """What is wrong with a text that is no address, and at which of its bytes, as far as known."""
    if text[: len(params.hrp)].lower() != params.hrp:
        return _base58_fault(text, params), []
    try:
        prefix, digits, encoding = digits_from_text(text)
    except AddressError:
        return _bech32_fault(text.encode(errors="replace"))
    return _segwit_fault(prefix, digits, encoding, params), []


def _base58_fault(text: str, params: AddressParams) -> str:
    try:
        data = base58.bytes_from_text(text.strip(BLANKS))
    except AddressError:
        return "Invalid or unsupported Segwit (Bech32) or Base58 encoding."
    payload, check = data[:-4], data[-4:]
    if len(data) > _MAX_BASE58:
        return "Invalid or unsupported Segwit (Bech32) or Base58 encoding."
    if len(data) < 4 or len(payload) > _PAYLOAD or sha256d(payload)[:4] != check:
        return "Invalid checksum or length of Base58 address (P2PKH or P2SH)"
    if payload[:1] in (bytes([params.p2pkh]), bytes([params.p2sh])):
        return "Invalid length for Base58 address (P2PKH or P2SH)"
    return "Invalid or unsupported Base58-encoded address."


def _segwit_fault(
    prefix: str, digits: tuple[int, ...], encoding: Encoding, params: AddressParams
) -> str:
    """For what is bech32 and yet no address."""
    if not digits:
        return "Empty Bech32 data section"
    if prefix != params.hrp:
        return (
            "Invalid or unsupported prefix for Segwit (Bech32) address "
            f"(expected {params.hrp}, got {prefix})."
        )
    version, bits = digits[0], 5 * (len(digits) - 1)
    if version == 0 and encoding is not Encoding.BECH32:
        return "Version 0 witness address must use Bech32 checksum"
    if version != 0 and encoding is not Encoding.BECH32M:
        return "Version 1+ witness address must use Bech32m checksum"
    size, rest = divmod(bits, 8)
    if rest > 4 or (rest and digits[-1] & ((1 << rest) - 1)):
        return "Invalid padding in Bech32 data section"
    shown = f"({size} {'byte' if size == 1 else 'bytes'})"
    if version == 0:
        return f"Invalid Bech32 v0 address program size {shown}, per BIP141"
    if version > 16:
        return "Invalid Bech32 address witness version"
    return f"Invalid Bech32 address program size {shown}"


def _bech32_fault(text: bytes) -> tuple[str, list[int]]:
    if len(text) > MAX_TEXT:
        return "Bech32 string too long", list(range(MAX_TEXT, len(text)))
    if strange := _strange_characters(text):
        return "Invalid character or mixed case", strange
    separator = text.rfind(b"1")
    if separator < 0:
        return "Missing separator", []
    if separator == 0 or separator + CHECK_DIGITS >= len(text):
        return "Invalid separator position", [separator]
    prefix, rest = text[:separator].decode().lower(), text[separator + 1 :].decode().lower()
    for place, character in enumerate(rest, separator + 1):
        if character not in ALPHABET:
            return "Invalid Base 32 character", [place]
    digits = [ALPHABET.index(character) for character in rest]
    found: dict[Encoding, list[int]] = {}
    for encoding in Encoding:
        places = _wrong_places(remainder_of_digits(prefix, digits) ^ encoding, len(digits))
        if places:
            found[encoding] = [separator + 1 + place for place in places]
    if not found:
        return "Invalid checksum", []
    best = min(found, key=lambda encoding: len(found[encoding]))
    return f"Invalid {best.name.capitalize()} checksum", found[best]


def _strange_characters(text: bytes) -> list[int]:
    """Where something stands that no such text has, or a letter of the other case."""
    strange: list[int] = []
    case = b""
    for place, code in enumerate(text):
        letter = bytes([code])
        if not 33 <= code <= 126:
            strange.append(place)
        elif letter.isalpha():
            own = b"a" if letter.islower() else b"A"
            case = case or own
            if own != case:
                strange.append(place)
    return strange


@lru_cache(maxsize=1)
def _changes() -> dict[int, int]:
    """What one wrong digit adds to the remainder -> how many digits follow it."""
    changes = {}
    for value in range(1, 32):
        added = value
        for following in range(MAX_TEXT):
            changes[added] = following
            added = remainder_of_digits("", [0], added)
    return changes


def _wrong_places(remainder: int, count: int) -> list[int]:
    """Which one or two of so many digits, changed, leave this remainder; none if no such do."""
    changes = _changes()
    following = changes.get(remainder)
    if following is not None:
        return [count - 1 - following] if following < count else []
    for change, one in changes.items():
        other = changes.get(remainder ^ change)
        if other is not None and one < count and other < count and one != other:
            return sorted((count - 1 - one, count - 1 - other))
    return []
