"""What a method answers, as a value: for its help, and for a check that it does.

obj("the block", hash=text("its hash"), tx=array("its transactions", text("an id")))
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import NoneType

import orjson

from misocoin.rpc.json import Json


@dataclass(frozen=True, slots=True)
class Result:
    """The form of a JSON value."""

    type: str
    """`object`, `array`, `string`, `number`, `boolean`, `null`, `either` or `any`."""
    help: str = ""
    """What it means, with its unit."""
    fields: tuple[tuple[str, "Result"], ...] = ()
    """An object's fields; an object without any has keys that are data, all of form `item`."""
    item: "Result | None" = None
    """The form of an array's items, or of the values under an object's free keys."""
    forms: tuple["Result", ...] = ()
    """Of type `either`: the forms it may have."""
    is_optional: bool = False
    """Whether a field may be missing."""
    is_nullable: bool = False
    """Whether null may stand in its place."""


def text(help: str) -> Result:
    """Describe a string."""
    return Result("string", help)


def hexadecimal(help: str) -> Result:
    """Describe a string of hex digits."""
    return Result("hex", help)


def number(help: str) -> Result:
    """Describe a whole number."""
    return Result("number", help)


def fraction(help: str) -> Result:
    """Describe a number that may have a fraction, as `json.real` writes it."""
    return Result("real", help)


def coins(help: str) -> Result:
    """Describe an amount of coins, a number with eight decimals."""
    return Result("amount", help)


def timestamp(help: str) -> Result:
    """Describe seconds since 1970-01-01 UTC."""
    return Result("timestamp", help)


def boolean(help: str) -> Result:
    """Describe true or false."""
    return Result("boolean", help)


def nothing(help: str = "") -> Result:
    """Describe null."""
    return Result("null", help)


def anything(help: str) -> Result:
    """Describe any JSON value."""
    return Result("any", help)


def either(help: str, *forms: Result) -> Result:
    """Describe a value that has one of several forms, as by a level of detail."""
    return Result("either", help, forms=forms)


def array(help: str, item: Result) -> Result:
    """Describe an array of values that are alike."""
    return Result("array", help, item=item)


def obj(help: str = "", **fields: Result) -> Result:
    """Describe an object with these fields."""
    return Result("object", help, fields=tuple(fields.items()))


def mapping(help: str, item: Result) -> Result:
    """Describe an object whose keys are data."""
    return Result("object", help, item=item)


def optional(result: Result) -> Result:
    """Describe a field that may be missing."""
    return replace(result, is_optional=True)


def nullable(result: Result) -> Result:
    """Describe a value in whose place null may stand."""
    return replace(result, is_nullable=True)


_PYTHON_TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list, tuple),
    "string": (str,),
    "hex": (str,),
    "number": (int, float),
    "real": (int, float),
    "amount": (orjson.Fragment,),
    "timestamp": (int,),
    "boolean": (bool,),
    "null": (NoneType,),
}


_AMOUNT = re.compile(r"-?\d+\.\d{8}", re.ASCII)


def mismatch(result: Result, value: Json, path: str = "result") -> str | None:
    """Where and how a value differs from its form; None if it does not."""
    if result.type == "any" or (value is None and result.is_nullable):
        return None
    if isinstance(value, orjson.Fragment) and result.type != "amount":
        parse = float if result.type == "real" else _number
        value = json.loads(orjson.dumps(value), parse_float=parse)  # written before
    if result.type == "either":
        wrongs = [mismatch(form, value, path) for form in result.forms]
        return None if None in wrongs else "; ".join(filter(None, wrongs))
    if not _is_of_type(result.type, value):
        return f"{path} is {type(value).__name__}, not {result.type}"
    if result.type == "hex" and set(value) - set("0123456789abcdef"):
        return f"{path} is not hex"
    if result.type == "array" and result.item is not None:
        item = result.item
        return next(
            (m for i, v in enumerate(value) if (m := mismatch(item, v, f"{path}[{i}]"))), None
        )
    if result.type == "object":
        return _object_mismatch(result, value, path)
    return None


def _number(text: str) -> float | orjson.Fragment:
    return orjson.Fragment(text) if _AMOUNT.fullmatch(text) else float(text)


def _is_of_type(name: str, value: Json) -> bool:
    if isinstance(value, bool):
        return name == "boolean"
    return isinstance(value, _PYTHON_TYPES[name])


def _object_mismatch(result: Result, value: dict[str, Json], path: str) -> str | None:
    fields = dict(result.fields)
    for name, item in value.items():
        form = fields.get(name, result.item)
        if form is None:
            return f"{path} has an undocumented field {name}"
        if (wrong := mismatch(form, item, f"{path}.{name}")) is not None:
            return wrong
    for name, form in fields.items():
        if name not in value and not form.is_optional:
            return f"{path} lacks the field {name}"
    return None


def lines_from_result(result: Result, name: str = "", depth: int = 0) -> list[str]:
    """Draw the form as help shows it: JSON with a remark on each line."""
    indent = "  " * depth
    key = f'"{name}" : ' if name else ""
    words = [_word(result)]
    words += ["optional"] * result.is_optional + ["or null"] * result.is_nullable
    remark = f"    ({', '.join(words)}) {result.help}".rstrip()
    if result.type == "array" and result.item is not None:
        inner = lines_from_result(result.item, "", depth + 1)
        return [f"{indent}{key}[{remark}", *inner, f"{indent}  ...", f"{indent}]"]
    if result.type == "either":
        inner = [line for form in result.forms for line in lines_from_result(form, "", depth + 1)]
        return [f"{indent}{key}{remark.lstrip()}", *inner]
    if result.type == "object":
        inner = []
        for field, form in result.fields:
            inner += lines_from_result(form, field, depth + 1)
        if result.item is not None:
            inner += [*lines_from_result(result.item, "key", depth + 1), f"{indent}  ..."]
        return [f"{indent}{key}{{{remark}", *inner, f"{indent}}}"]
    return [f"{indent}{key}{_SAMPLES[result.type]}{remark}"]


_SAMPLES: Mapping[str, str] = {
    "string": '"text"',
    "hex": '"hex"',
    "number": "n",
    "real": "n",
    "amount": "n.nnnnnnnn",
    "timestamp": "seconds",
    "boolean": "true|false",
    "null": "null",
    "any": "value",
    "array": "[]",
}


def _word(result: Result) -> str:
    return {
        "hex": "string",
        "amount": "number",
        "real": "number",
        "timestamp": "number",
        "either": "one of",
    }.get(result.type, result.type)
