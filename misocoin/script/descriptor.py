"""Output descriptors (BIP380 to BIP386): scripts named by text, with a checksum.

Understood are addr, raw, pk, pkh, wpkh, sh, wsh, multi, sortedmulti, combo, tr (key path only) and
rawtr, over keys given as hex or WIF. Extended keys and miniscript are not.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import reduce

from misocoin.crypto.hashes import hash160, sha256
from misocoin.crypto.keys import is_public_key, xonly_tweak_add
from misocoin.crypto.wif import key_from_wif
from misocoin.errors import AddressError, KeyFormatError, ParseError
from misocoin.params import Params
from misocoin.script.address import encode_template, script_from_address
from misocoin.script.sigops import MAX_KEYS_PER_MULTISIG
from misocoin.script.taproot import tweak_hash
from misocoin.script.templates import (
    ScriptKind,
    ScriptTemplate,
    multisig_script,
    p2pk_script,
    p2pkh_script,
    p2sh_script,
    p2tr_script,
    p2wpkh_script,
    p2wsh_script,
)

CHECKSUM_SIZE = 8
"""Characters behind the `#`."""

MAX_DESCRIPTOR = 10_000
"""Characters of a descriptor that is read."""

_ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_CHARSET = (
    "0123456789()[],'/*abcdefgh@:$%{}"
    "IJKLMNOPQRSTUVWXYZ&+-.;<=>?!^_|~"
    'ijklmnopqrstuvwxyzABCDEFGH`#"\\ '
)
"""Characters by their number: five low bits are a symbol, the rest is gathered three at a time."""

_GENERATOR = (0xF5DEE51989, 0xA9FDCA3312, 0x1BAB10E32D, 0x3706B1677A, 0x644D626FFD)


def _feedback(top: int) -> int:
    result = 0
    for bit, addend in enumerate(_GENERATOR):
        if top >> bit & 1:
            result ^= addend
    return result


_FEEDBACK = tuple(_feedback(top) for top in range(32))


def _through(symbols: Iterable[int], state: int) -> int:
    """The checksum's state after more symbols of five bits."""
    feedback = _FEEDBACK
    for symbol in symbols:
        state = (state & 0x7FFFFFFFF) << 5 ^ symbol ^ feedback[state >> 35]
    return state


# What leaves the state with four symbols at once, by its upper and its lower ten bits.
_FEEDBACK_HIGH = tuple(_through((0,) * 4, top << 30) for top in range(1024))
_FEEDBACK_LOW = tuple(_through((0,) * 4, top << 20) for top in range(1024))
_NUMBERS = {character: number for number, character in enumerate(_CHARSET)}


def descriptor_checksum(text: str) -> str:
    """The eight characters that go behind a descriptor and a `#` (BIP380).

    Raises ParseError for a character that no descriptor has.
    """
    state, high, low = 1, _FEEDBACK_HIGH, _FEEDBACK_LOW
    try:
        numbers = [_NUMBERS[character] for character in text]
    except KeyError:
        raise ParseError("Invalid characters in payload") from None
    # Three characters make four symbols: their low bits, and their high bits together.
    whole = len(numbers) - len(numbers) % 3
    for first, second, third in zip(
        numbers[0:whole:3], numbers[1:whole:3], numbers[2:whole:3], strict=True
    ):
        top = state >> 20
        state = (
            (state & 0xFFFFF) << 20
            ^ ((first & 31) << 15 | (second & 31) << 10 | (third & 31) << 5)
            ^ (first >> 5) * 9 + (second >> 5) * 3 + (third >> 5)
            ^ high[top >> 10]
            ^ low[top & 1023]
        )
    rest = numbers[whole:]
    symbols = [number & 31 for number in rest]
    if rest:
        symbols.append(reduce(lambda group, number: group * 3 + (number >> 5), rest, 0))
    state = _through(symbols, state)
    state = _through(bytes(CHECKSUM_SIZE), state) ^ 1
    return "".join([_ALPHABET[state >> 5 * (7 - place) & 31] for place in range(CHECKSUM_SIZE)])


def with_checksum(text: str) -> str:
    """The descriptor with its checksum behind it."""
    return f"{text}#{descriptor_checksum(text)}"


def descriptor_from_template(template: ScriptTemplate, script: bytes, address: str | None) -> str:
    """What Core infers of a script without knowing any key; with its checksum.

    `template` and `address` are those of `script`.
    """
    kind = template.kind
    if kind is ScriptKind.P2TR and is_public_key(b"\x02" + template.solutions[0]):
        return with_checksum(f"rawtr({template.solutions[0].hex()})")
    if address is not None:
        return with_checksum(f"addr({address})")
    if kind is ScriptKind.P2PK and is_public_key(template.solutions[0]):
        return with_checksum(f"pk({template.solutions[0].hex()})")
    if kind is ScriptKind.MULTISIG and all(map(is_public_key, template.solutions)):
        keys = ",".join([key.hex() for key in template.solutions])
        return with_checksum(f"multi({template.required},{keys})")
    return with_checksum(f"raw({script.hex()})")


def descriptor_from_script(
    script: bytes, template: ScriptTemplate, params: Params
) -> tuple[str, str | None]:
    """Descriptor and address (if there is one) of an output's script."""
    address = encode_template(template, params.address)
    return descriptor_from_template(template, script, address), address


# -- reading ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A descriptor that was read."""

    text: str
    """As it was written, with the right checksum."""
    scripts: tuple[bytes, ...]
    """The output scripts it stands for: one, or up to four for `combo`."""
    parts: tuple[str, ...]
    """For each of the scripts the descriptor that stands for it alone."""
    has_private_keys: bool = False
    """Whether a key in it is a private one."""


def descriptor_from_text(
    text: str, params: Params, *, require_checksum: bool = False
) -> Descriptor:
    """Read a descriptor; raises ParseError with Core's words where it has them."""
    if len(text) > MAX_DESCRIPTOR:
        raise ParseError(f"a descriptor has {MAX_DESCRIPTOR} characters at most")
    body, mark, given = text.partition("#")
    due = descriptor_checksum(body)
    if mark:
        if len(given) != CHECKSUM_SIZE:
            raise ParseError(
                f"Expected {CHECKSUM_SIZE} character checksum, not {len(given)} characters"
            )
        if given != due:
            raise ParseError(
                f"Provided checksum '{given}' does not match computed checksum '{due}'"
            )
    elif require_checksum:
        raise ParseError("Missing checksum")
    reading = _Reading(params)
    scripts = reading.top(body)
    whole = f"{body}#{due}"
    parts = (whole,) if len(scripts) == 1 else _combo_parts(body, len(scripts))
    return Descriptor(whole, scripts, parts, reading.has_private_keys)


def _combo_parts(body: str, count: int) -> tuple[str, ...]:
    key = _call(body)[1]
    forms = (f"pk({key})", f"pkh({key})", f"wpkh({key})", f"sh(wpkh({key}))")
    return tuple(map(with_checksum, forms[:count]))


_CALL = re.compile(r"([a-z_]+)\((.*)\)", re.ASCII | re.DOTALL)
_ORIGIN = re.compile(r"\[[0-9a-fA-F]{8}(?:/\d+['h]?)*\]", re.ASCII)
_HEX = re.compile(r"(?:[0-9a-fA-F]{2})*", re.ASCII)


class _Reading:
    """Takes the text apart by its functions, each of which may stand in some places only."""

    def __init__(self, params: Params) -> None:
        self._params = params
        self.has_private_keys = False

    def top(self, text: str) -> tuple[bytes, ...]:
        name, inner = _call(text)
        if name == "combo":
            return self._combo(inner)
        if name == "addr":
            try:
                return (script_from_address(inner, self._params),)
            except AddressError:
                raise ParseError("Address is not valid") from None
        if name == "raw":
            if not inner or not _HEX.fullmatch(inner):
                raise ParseError("Raw script is not hex")
            return (bytes.fromhex(inner),)
        if name in ("tr", "rawtr"):
            return (self._taproot(name, inner),)
        if name == "sh":
            return (p2sh_script(hash160(self._nested(inner, in_p2sh=True))),)
        return (self._nested(text, in_p2sh=False),)

    def _combo(self, inner: str) -> tuple[bytes, ...]:
        key = self._key(inner)
        scripts = [p2pk_script(key), p2pkh_script(hash160(key))]
        if len(key) == 33:
            program = p2wpkh_script(hash160(key))
            scripts += [program, p2sh_script(hash160(program))]
        return tuple(scripts)

    def _taproot(self, name: str, inner: str) -> bytes:
        if "," in inner:
            raise ParseError(f"{name}() with scripts is not understood here")
        key = self._xonly(inner)
        if name == "rawtr":
            return p2tr_script(key)
        tweaked = xonly_tweak_add(key, tweak_hash(key))
        if tweaked is None:
            raise ParseError(f"{name}(): key '{inner}' is not valid")
        return p2tr_script(tweaked[0])

    def _nested(self, text: str, *, in_p2sh: bool) -> bytes:
        """The script of what may stand at the top, and inside `sh`."""
        name, inner = _call(text)
        if name == "wpkh":
            return p2wpkh_script(hash160(self._key(inner, compressed=True)))
        if name == "wsh":
            script = self._plain(*_call(inner), compressed=True)
            return p2wsh_script(sha256(script))
        return self._plain(name, inner, limit=15 if in_p2sh else 3)

    def _plain(
        self, name: str, inner: str, *, compressed: bool = False, limit: int = MAX_KEYS_PER_MULTISIG
    ) -> bytes:
        """The script of what may stand anywhere."""
        forms: dict[str, Callable[[], bytes]] = {
            "pk": lambda: p2pk_script(self._key(inner, compressed=compressed)),
            "pkh": lambda: p2pkh_script(hash160(self._key(inner, compressed=compressed))),
            "multi": lambda: self._multi(inner, compressed, limit, in_order=False),
            "sortedmulti": lambda: self._multi(inner, compressed, limit, in_order=True),
        }
        if name not in forms:
            raise ParseError(f"'{name}' is not a valid descriptor function here")
        return forms[name]()

    def _multi(self, inner: str, compressed: bool, limit: int, *, in_order: bool) -> bytes:
        count, *names = inner.split(",")
        if not re.fullmatch(r"\d{1,3}", count, re.ASCII):
            raise ParseError(f"Multi threshold '{count}' is not valid")
        keys = [self._key(name, compressed=compressed) for name in names]
        if not 1 <= len(keys) <= limit:
            raise ParseError(f"Cannot have {len(keys)} keys in multi; must have 1 to {limit} keys")
        if not 1 <= int(count) <= len(keys):
            raise ParseError(f"Multi threshold is {count} with {len(keys)} keys")
        return multisig_script(int(count), tuple(sorted(keys) if in_order else keys))

    def _key(self, text: str, *, compressed: bool = False) -> bytes:
        """A public key, of the text of one or of a private one."""
        name = _ORIGIN.sub("", text, count=1)
        if _HEX.fullmatch(name):
            key = bytes.fromhex(name)
            if not is_public_key(key):
                raise ParseError(f"Pubkey '{name}' is invalid")
        else:
            try:
                key = key_from_wif(name, self._params.address.wif).public_key
                self.has_private_keys = True
            except KeyFormatError:
                raise ParseError(f"key '{name}' is not valid") from None
        if compressed and len(key) != 33:
            raise ParseError("Uncompressed keys are not allowed")
        return key

    def _xonly(self, text: str) -> bytes:
        name = _ORIGIN.sub("", text, count=1)
        if len(name) == 64 and _HEX.fullmatch(name):
            key = bytes.fromhex(name)
            if not is_public_key(b"\x02" + key):
                raise ParseError(f"Pubkey '{name}' is invalid")
            return key
        return self._key(text, compressed=True)[1:]


def _call(text: str) -> tuple[str, str]:
    match = _CALL.fullmatch(text)
    if match is None:
        raise ParseError(f"'{text[:80]}' is not a valid descriptor function")
    return match[1], match[2]
