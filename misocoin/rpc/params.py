"""The kinds of values that a method's parameters may have.

A kind says which JSON types it takes, makes a typed value of one, and reads the plain text that
the command line tool sends (`json_from_text`): the tool knows no method's parameters, so it sends
every argument as the text that was typed, and the declared kind decides whether `1e5` is a name or
a number.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import NoneType
from typing import Any, Generic, TypeVar

from misocoin.errors import ParseError
from misocoin.http.errors import RpcError
from misocoin.primitives.transaction import Transaction, transaction_from_bytes
from misocoin.rpc.errors import RpcCode
from misocoin.rpc.json import Json, json_from_bytes
from misocoin.script.script import MAX_SCRIPT_SIZE
from misocoin.script.templates import has_valid_operations
from misocoin.units import Sats, sats_from_json

T = TypeVar("T")

_HEX_DIGITS = frozenset("0123456789abcdefABCDEF")

TX_REFUSAL = "TX decode failed. Make sure the tx has at least one input."
"""What Core says of hex that is no transaction."""

_FLAGS: Mapping[str, bool] = {
    **dict.fromkeys(("true", "on", "yes", "1"), True),
    **dict.fromkeys(("false", "off", "no", "0"), False),
}

_TYPE_NAMES: Mapping[type, str] = {
    NoneType: "null",
    bool: "bool",
    str: "string",
    list: "array",
    dict: "object",
}


def json_type(value: Json) -> str:
    """Name the type of a JSON value, as Core's messages do."""
    return _TYPE_NAMES.get(type(value), "number")


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """One kind of parameter."""

    name: str
    """How help calls it: `numeric`, `string`, `amount`."""
    types: tuple[str, ...]
    """The JSON types it takes, by the names of `json_type`."""
    from_json: Callable[[Json, str], T]
    """From a JSON value of such a type, and the parameter's name, to a value; raises
    RpcError or one of our parse errors."""
    is_text: bool = False
    """Whether typed text is the value itself, not JSON."""
    is_amount: bool = False
    """Whether values are base units, and shown as coins."""
    mismatch: str = ""
    """For one of several types: what is said of any other; the last of them if left out."""

    def json_from_text(self, text: str) -> Json:
        """Read what somebody typed; text that is not JSON where JSON is due stays text."""
        if self.is_text:
            return text
        try:
            return json_from_bytes(text.encode())
        except ValueError:
            return text

    def parse(self, value: Json, name: str) -> T:
        """Make the typed value; raises RpcError for a value of another type."""
        if self.types and json_type(value) not in self.types:
            if self.mismatch:
                raise RpcError(RpcCode.TYPE_ERROR, self.mismatch)
            raise wrong_type(value, self.types[-1])
        return self.from_json(value, name)


def invalid(message: str) -> RpcError:
    """Make the error for a value out of range or of the wrong form."""
    return RpcError(RpcCode.INVALID_PARAMETER, message)


def _same(value: Json, _name: str) -> Any:
    return value


def wrong_type(value: Json, expected: str) -> RpcError:
    """Make the error for a value of another JSON type than `expected`."""
    found = json_type(value)
    return RpcError(
        RpcCode.TYPE_ERROR, f"JSON value of type {found} is not of expected type {expected}"
    )


def check_fields(
    value: Mapping[str, Json],
    fields: Mapping[str, str],
    *,
    may_miss: bool = False,
    is_open: bool = False,
) -> None:
    """Check that an object has these fields, of these JSON types, and no other.

    With `may_miss` some may be missing, with `is_open` there may be others.
    """
    for name, expected in fields.items():
        found = json_type(value.get(name))
        if found == "null":
            if may_miss:
                continue
            raise RpcError(RpcCode.TYPE_ERROR, f"Missing {name}")
        if found != expected:
            raise RpcError(
                RpcCode.TYPE_ERROR,
                f"JSON value of type {found} for field {name} is not of expected type {expected}",
            )
    for name in value:
        if name not in fields and not is_open:
            raise RpcError(RpcCode.TYPE_ERROR, f"Unexpected key {name}")


def _bounded(low: int, end: int) -> Callable[[Json, str], int]:
    def integer(value: Json, _name: str) -> int:
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise wrong_type(value, "number")
        if not isinstance(value, int) or not low <= value < end:
            raise RpcError(RpcCode.MISC_ERROR, "JSON integer out of range")
        return value

    return integer


_integer = _bounded(-(1 << 31), 1 << 31)


def _flag_or_level(value: Json, name: str) -> int:
    return int(value) if isinstance(value, bool) else _integer(value, name)


def is_hex(text: str) -> bool:
    """Whether a text is bytes in hex, and nothing else: `bytes.fromhex` skips blanks."""
    return len(text) % 2 == 0 and _HEX_DIGITS.issuperset(text)


def _hex(value: str, name: str) -> bytes:
    if not is_hex(value):
        raise invalid(f"{name} must be hexadecimal string (not '{value}')")
    return bytes.fromhex(value)


def _some_hex(value: str, name: str) -> bytes:
    if not value:
        raise invalid(f"{name} must be hexadecimal string (not '')")
    return _hex(value, name)


def _hash(value: Json, name: str) -> bytes:
    if not isinstance(value, str):
        raise wrong_type(value, "string")
    if len(value) != 64:
        raise invalid(f"{name} must be of length 64 (not {len(value)}, for '{value}')")
    return _hex(value, name)[::-1]


def _transaction(value: str, _name: str) -> Transaction:
    return transaction_from_hex(value)


def transaction_from_hex(
    text: str, *, allow_witness: bool = True, refusal: str = TX_REFUSAL
) -> Transaction:
    """Read a whole transaction; raises RpcError with the words of `refusal`."""
    try:
        if is_hex(text):
            return transaction_from_bytes(bytes.fromhex(text), allow_witness=allow_witness)
    except ParseError:
        pass
    raise RpcError(RpcCode.DESERIALIZATION_ERROR, refusal)


def transaction_in_either_form(text: str, is_witness: bool | None, refusal: str) -> Transaction:
    """Read a transaction with witnesses or without, or in the one form that makes sense.

    Without inputs, what looks like the mark of witnesses may be the count of no inputs. Raises
    RpcError with the words of `refusal`.
    """
    if is_witness is not None:
        return transaction_from_hex(text, allow_witness=is_witness, refusal=refusal)
    found = []
    for allow_witness in (True, False):
        try:
            tx = transaction_from_hex(text, allow_witness=allow_witness, refusal=refusal)
        except RpcError:
            continue
        if _makes_sense(tx):
            return tx
        found.append(tx)
    if not found:
        raise RpcError(RpcCode.DESERIALIZATION_ERROR, refusal)
    return found[0]


def _makes_sense(tx: Transaction) -> bool:
    scripts = [txout.script_pubkey for txout in tx.vout]
    if not tx.is_coinbase:
        scripts += [txin.script_sig for txin in tx.vin]
    return all(
        len(script) <= MAX_SCRIPT_SIZE and has_valid_operations(script) for script in scripts
    )


def _height_or_hash(value: Json, name: str) -> int | bytes:
    if not isinstance(value, str):
        return _integer(value, name)
    if len(value) != 64:
        raise invalid(f"{name} must be a height or a hash of 64 hex digits (not '{value[:80]}')")
    return _hash(value, name)


class _HeightOrHash(Kind[int | bytes]):
    """A block by its height or its hash: 64 digits are a hash even where all are decimal."""

    __slots__ = ()

    def json_from_text(self, text: str) -> Json:
        """Read what somebody typed: a short run of digits is a height."""
        digits = text.removeprefix("-")
        return int(text) if digits.isascii() and digits.isdecimal() and len(text) < 20 else text


class _Boolean(Kind[bool]):
    """Yes or no; typed as on a command line, too."""

    __slots__ = ()

    def json_from_text(self, text: str) -> Json:
        """Read what somebody typed: `true`, `on`, `yes`, `1` and their opposites."""
        return _FLAGS.get(text.lower(), text)


STRING: Kind[str] = Kind("string", ("string",), _same, is_text=True)
INTEGER: Kind[int] = Kind("numeric", ("number",), _integer)
"""A whole number of 32 bits, as Core's `int`."""

LONG: Kind[int] = Kind("numeric", ("number",), _bounded(-(1 << 63), 1 << 63))
"""A whole number of 64 bits."""

UNSIGNED: Kind[int] = Kind("numeric", ("number",), _bounded(0, 1 << 32))
"""A whole number of 32 bits from 0 on, such as an output's."""

NUMBER: Kind[float] = Kind("numeric", ("number",), _same)
BOOLEAN: Kind[bool] = _Boolean("boolean", ("bool",), _same)
ARRAY: Kind[list[Json]] = Kind("json array", ("array",), _same)
OBJECT: Kind[dict[str, Json]] = Kind("json object", ("object",), _same)
ARRAY_OR_OBJECT: Kind[list[Json] | dict[str, Json]] = Kind(
    "json array or object", ("object", "array"), _same
)

LEVEL: Kind[int] = Kind("boolean or numeric", ("bool", "number"), _flag_or_level)
"""A level of detail: false is 0, true is 1."""


def bounded_level(highest: int) -> Kind[int]:
    """Make the kind of a level of detail from 0 on; what is beyond either end counts as the end.

    As in Core its type is looked at after those of the other parameters.
    """
    return Kind(
        LEVEL.name,
        (),
        lambda value, name: min(max(_flag_or_level(value, name), 0), highest),
    )


HEX: Kind[bytes] = Kind("hex", ("string",), _hex, is_text=True)
"""Bytes as hex digits."""

SOME_HEX: Kind[bytes] = Kind("hex", ("string",), _some_hex, is_text=True)
"""One byte or more as hex digits."""

HASH: Kind[bytes] = Kind("hex", ("string",), _hash, is_text=True)
"""32 bytes as hex digits in display order; the value is in wire order."""


def hash_called(name: str) -> Kind[bytes]:
    """Make the kind of a hash that errors speak of by another name than the parameter's."""
    return Kind("hex", ("string",), lambda value, _name: _hash(value, name), is_text=True)


HEIGHT_OR_HASH: Kind[int | bytes] = _HeightOrHash(
    "numeric or hex", ("number", "string"), _height_or_hash
)

CORE_HEIGHT_OR_HASH: Kind[int | bytes] = _HeightOrHash(
    "numeric or hex",
    (),
    lambda value, name: (
        _integer(value, name) if json_type(value) == "number" else _hash(value, name)
    ),
)
"""The same with Core's errors."""

TRANSACTION: Kind[Transaction] = Kind("hex", ("string",), _transaction, is_text=True)
"""A whole transaction as hex digits."""

AMOUNT: Kind[Sats] = Kind(
    "amount",
    ("number", "string"),
    lambda value, _name: sats_from_json(value),
    is_text=True,
    is_amount=True,
)
"""Coins with up to eight decimals, as a number or as text; the value is in base units."""

ANY: Kind[Json] = Kind("json", (), _same)
"""Any JSON value; its method looks closer."""
