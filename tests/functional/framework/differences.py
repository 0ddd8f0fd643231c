"""How two JSON values differ: names and their order, types, values, and how numbers are written.

What may differ is said by path, with a reason: `{"$.tx[*].time": ignored("the time of arrival")}`.
"""

import json
import re
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any, NamedTuple

SHOWN = 300
"""Characters of a value that a difference shows."""


class Number(str):
    """A number of JSON, as it was written."""

    __slots__ = ()


class Way(Enum):
    """How what is under a path may differ."""

    VALUE = "another value of the same type"
    ANY = "anything"
    ORDER = "the same elements in another order"
    OURS_LACKS = "ours has none"
    THEIRS_LACKS = "theirs has none"


class But(NamedTuple):
    """That something may differ, and why."""

    way: Way
    why: str


def ignored(why: str) -> But:
    """The value is another; its type is the same (of a list or object: all in it is ignored)."""
    return But(Way.VALUE, why)


def anything(why: str) -> But:
    """Both have it, and no more can be said."""
    return But(Way.ANY, why)


def unordered(why: str) -> But:
    """A list's elements, or an object's names, stand in another order."""
    return But(Way.ORDER, why)


def ours_lacks(why: str) -> But:
    """Theirs has it and ours has not."""
    return But(Way.OURS_LACKS, why)


def theirs_lacks(why: str) -> But:
    """Ours has it and theirs has not."""
    return But(Way.THEIRS_LACKS, why)


Buts = Mapping[str, But]
"""By path: `$.tx[*].time`, `$.*.fees`; `[*]` is any element, `.*` any name."""


def read_json(text: bytes | str) -> Any:
    """JSON with its numbers as they were written."""
    return json.loads(text, parse_float=Number, parse_int=Number)


def type_of(value: Any) -> str:
    """Its type, in the words of JSON."""
    if isinstance(value, Number):
        return "fraction" if "." in value or "e" in value.lower() else "integer"
    names = {bool: "boolean", str: "string", list: "array", dict: "object", type(None): "null"}
    return names[type(value)]


def differences(
    ours: Any, theirs: Any, but: Buts | None = None, standing: Buts | None = None
) -> list[str]:
    """How two values read by `read_json` differ, a line each.

    What `but` allows must be there; what `standing` allows need not.
    """
    return list(_Comparison(but or {}, standing or {}).run(ours, theirs))


class _Comparison:
    def __init__(self, but: Buts, standing: Buts) -> None:
        self._but = but
        self._buts = [
            (path, re.compile(_expression(path)), each)
            for path, each in (*but.items(), *standing.items())
        ]
        self._used: set[str] = set()

    def run(self, ours: Any, theirs: Any) -> Iterator[str]:
        yield from self._compare("$", ours, theirs)
        for path, each in self._but.items():
            if path not in self._used:
                yield f"{path}: nothing differs here ({each.way.value}: {each.why})"

    def _is(self, way: Way, path: str) -> bool:
        """Whether this may differ so."""
        for pattern, expression, each in self._buts:
            if each.way is way and expression.fullmatch(path):
                self._used.add(pattern)
                return True
        return False

    def _compare(self, path: str, ours: Any, theirs: Any) -> Iterator[str]:
        if self._is(Way.ANY, path):
            return
        if type_of(ours) != type_of(theirs):
            yield (
                f"{path}: ours is {type_of(ours)} {show(ours)}, "
                f"theirs {type_of(theirs)} {show(theirs)}"
            )
        elif self._is(Way.VALUE, path):
            return
        elif isinstance(ours, dict):
            yield from self._objects(path, ours, theirs)
        elif isinstance(ours, list):
            yield from self._lists(path, ours, theirs)
        elif ours != theirs:
            yield f"{path}: ours {show(ours)}, theirs {show(theirs)}"

    def _objects(self, path: str, ours: dict[str, Any], theirs: dict[str, Any]) -> Iterator[str]:
        for name in theirs:
            if name not in ours and not self._is(Way.OURS_LACKS, f"{path}.{name}"):
                yield f"{path}.{name}: ours lacks it, theirs {show(theirs[name])}"
        for name in ours:
            if name not in theirs and not self._is(Way.THEIRS_LACKS, f"{path}.{name}"):
                yield f"{path}.{name}: theirs lacks it, ours {show(ours[name])}"
        common = [name for name in ours if name in theirs]
        expected = [name for name in theirs if name in ours]
        if common != expected and not self._is(Way.ORDER, path):
            yield f"{path}: ours in the order {' '.join(common)}, theirs {' '.join(expected)}"
        for name in expected:
            yield from self._compare(f"{path}.{name}", ours[name], theirs[name])

    def _lists(self, path: str, ours: list[Any], theirs: list[Any]) -> Iterator[str]:
        if len(ours) != len(theirs):
            yield (
                f"{path}: ours has {len(ours)} {show(ours)}, theirs {len(theirs)} {show(theirs)}"
            )
            return
        if ours != theirs and self._is(Way.ORDER, path):
            ours, theirs = sorted(ours, key=json.dumps), sorted(theirs, key=json.dumps)
        for index, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            yield from self._compare(f"{path}[{index}]", one, other)


def _expression(path: str) -> str:
    return re.escape(path).replace(r"\[\*\]", r"\[\d+\]").replace(r"\.\*", r"\.[^.\[]+")


def show(value: Any) -> str:
    """A value in a line that is not too long."""
    text = value if isinstance(value, Number) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
