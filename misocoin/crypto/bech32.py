"""Bech32 and bech32m (BIP173, BIP350), and the segwit addresses written in them.

An address is a prefix that names the network, `1`, the witness version, the witness program in
digits of five bits, and six check digits. Version 0 is checked as bech32, later ones as bech32m.
"""

from collections.abc import Iterable
from enum import IntEnum
from functools import lru_cache, reduce
from operator import xor

from misocoin.errors import AddressError

ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
"""The digits in order of their value."""

MAX_TEXT = 90
"""Characters of the longest text that the check is made for (BIP173)."""

CHECK_DIGITS = 6

_VALUES = {digit: value for value, digit in enumerate(ALPHABET)}

_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
"""What each of the five bits that leave the remainder adds to it (BIP173)."""

_FEEDBACK = tuple(
    reduce(xor, (addend for bit, addend in enumerate(_GENERATOR) if top >> bit & 1), 0)
    for top in range(32)
)
"""The same for all five bits at once."""


class Encoding(IntEnum):
    """The variant; its value is what a right check leaves as remainder."""

    BECH32 = 1
    BECH32M = 0x2BC830A3


def _remainder(values: Iterable[int], remainder: int = 1) -> int:
    feedback = _FEEDBACK
    for value in values:
        remainder = (remainder & 0x1FFFFFF) << 5 ^ value ^ feedback[remainder >> 25]
    return remainder


@lru_cache(maxsize=16)
def _remainder_of_prefix(prefix: str) -> int:
    return _remainder(_expanded(prefix))


def _expanded(prefix: str) -> list[int]:
    codes = prefix.encode("ascii")
    return [code >> 5 for code in codes] + [0] + [code & 31 for code in codes]


def remainder_of_digits(prefix: str, digits: Iterable[int], remainder: int | None = None) -> int:
    """What is left of digits, check included, behind a prefix, or after what left `remainder`.

    A right check leaves the value of its `Encoding`.
    """
    return _remainder(digits, _remainder_of_prefix(prefix) if remainder is None else remainder)


def text_from_digits(prefix: str, digits: Iterable[int], encoding: Encoding) -> str:
    """Write five-bit `digits` behind a lower-case `prefix`, with their check."""
    values = list(digits)
    start = _remainder_of_prefix(prefix)
    check = _remainder([*values, *bytes(CHECK_DIGITS)], start) ^ encoding
    values += [check >> 5 * place & 31 for place in range(CHECK_DIGITS - 1, -1, -1)]
    return prefix + "1" + "".join(ALPHABET[value] for value in values)


def digits_from_text(text: str) -> tuple[str, tuple[int, ...], Encoding]:
    """Read bech32 or bech32m: the prefix in lower case, the digits without check, the variant.

    Raises AddressError; a wrong check, which is what a typing error leads to, is named `checksum`.
    """
    if len(text) > MAX_TEXT:
        raise AddressError(f"{len(text)} characters are too many, {MAX_TEXT} is the limit")
    if any(not "!" <= character <= "~" for character in text):
        raise AddressError("a space or a character outside ASCII")
    if text != text.lower() and text != text.upper():
        raise AddressError("upper and lower case are mixed")
    text = text.lower()
    prefix, separator, rest = text.rpartition("1")
    if not separator or not prefix:
        raise AddressError("no prefix such as `bc1` in front")
    if len(rest) < CHECK_DIGITS:
        raise AddressError("too short: the checksum alone has six characters")
    digits = []
    for character in rest:
        value = _VALUES.get(character)
        if value is None:
            raise AddressError(f"{character!r} does not occur in such addresses")
        digits.append(value)
    remainder = _remainder(_expanded(prefix) + digits)
    if remainder not in (Encoding.BECH32, Encoding.BECH32M):
        raise AddressError("the checksum is wrong: is there a typing error?")
    return prefix, tuple(digits[:-CHECK_DIGITS]), Encoding(remainder)


def _regrouped(values: Iterable[int], width: int, new_width: int) -> tuple[list[int], int, int]:
    """Cut a stream of bits anew: the full groups, the bits left over and how many they are."""
    groups = []
    accumulator = bits = 0
    for value in values:
        accumulator = (accumulator << width | value) & 0xFFF
        bits += width
        while bits >= new_width:
            bits -= new_width
            groups.append(accumulator >> bits & ((1 << new_width) - 1))
    return groups, accumulator & ((1 << bits) - 1), bits


def _check_program(version: int, program: bytes) -> None:
    if not 0 <= version <= 16:
        raise AddressError(f"witness version {version} does not exist")
    if not 2 <= len(program) <= 40:
        raise AddressError(f"the witness program has {len(program)} bytes, not 2 to 40")
    if version == 0 and len(program) not in (20, 32):
        raise AddressError(f"a version 0 program has 20 or 32 bytes, not {len(program)}")


def segwit_address(prefix: str, version: int, program: bytes) -> str:
    """Write the address of a witness program (BIP141). Raises AddressError where there is none."""
    _check_program(version, program)
    # The program as one number, padded with zero bits to a multiple of five.
    count = (8 * len(program) + 4) // 5
    number = int.from_bytes(program, "big") << 5 * count - 8 * len(program)
    groups = [number >> shift & 31 for shift in range(5 * (count - 1), -1, -5)]
    encoding = Encoding.BECH32M if version else Encoding.BECH32
    return text_from_digits(prefix, [version, *groups], encoding)


def program_from_segwit_address(prefix: str, text: str) -> tuple[int, bytes]:
    """Read an address of the network with that prefix: witness version and program.

    Raises AddressError: for a typing error (`checksum`), for another network's prefix, and for
    what BIP173 and BIP350 forbid.
    """
    found, digits, encoding = digits_from_text(text)
    if found != prefix:
        raise AddressError(f"the prefix is {found!r}, this network's is {prefix!r}")
    if not digits:
        raise AddressError("the witness version is missing")
    version = digits[0]
    groups, rest, bits = _regrouped(digits[1:], 5, 8)
    if bits >= 5 or rest:
        raise AddressError("the padding is not zero")
    program = bytes(groups)
    _check_program(version, program)
    if encoding is not (Encoding.BECH32M if version else Encoding.BECH32):
        raise AddressError(f"the checksum is of the wrong kind for witness version {version}")
    return version, program
