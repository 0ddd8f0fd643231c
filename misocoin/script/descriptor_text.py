"""The text of output descriptors: the checksum (BIP380), and what is said of a script alone."""

from collections.abc import Iterable
from functools import reduce

from misocoin.crypto.keys import is_public_key
from misocoin.errors import ParseError
from misocoin.params import Params
from misocoin.script.address import encode_template
from misocoin.script.templates import ScriptKind, ScriptTemplate

CHECKSUM_SIZE = 8
"""Characters behind the `#`."""

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


def body_from_text(text: str, *, require_checksum: bool = False) -> str:
    """The descriptor without its checksum; raises ParseError, in Core's words, for a wrong one."""
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
    return body


def descriptor_from_template(template: ScriptTemplate, script: bytes, address: str | None) -> str:
    """What Core infers of a script without knowing any key; with its checksum.

    `template` and `address` are those of `script`.
    """
    kind = template.kind
    if kind is ScriptKind.P2TR and is_public_key(b"\x02" + template.solutions[0]):
        return with_checksum(f"rawtr({template.solutions[0].hex()})")
    if address is not None:
        return with_checksum(f"addr({address})")
    if kind is ScriptKind.P2PK and is_inferred(template):
        return with_checksum(f"pk({template.solutions[0].hex()})")
    if kind is ScriptKind.MULTISIG and is_inferred(template):
        return with_checksum(multi_text(template))
    return with_checksum(f"raw({script.hex()})")


def is_inferred(template: ScriptTemplate) -> bool:
    """Whether the keys of a bare script can stand in a descriptor, by their first bytes alone."""
    return all(key[0] in (2, 3, 4) for key in template.solutions)


def multi_text(template: ScriptTemplate) -> str:
    """The expression of a bare multisig."""
    return f"multi({template.required},{','.join([key.hex() for key in template.solutions])})"


def descriptor_from_script(
    script: bytes, template: ScriptTemplate, params: Params
) -> tuple[str, str | None]:
    """Descriptor and address (if there is one) of an output's script."""
    address = encode_template(template, params.address)
    return descriptor_from_template(template, script, address), address
