"""How a call finds its method, and its parameters their types."""

import json
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from misocoin.http.errors import RpcError
from misocoin.rpc.declare import Method, Param, methods_of
from misocoin.rpc.errors import RpcCode, WrongUsage
from misocoin.rpc.help import HelpMethods, help_of
from misocoin.rpc.json import Json
from misocoin.rpc.params import json_type, wrong_type
from misocoin.rpc.schema import mismatch
from misocoin.spelling import suggestion


class Registry:
    """The methods that can be called, by name."""

    def __init__(self, methods: Iterable[Method], *, check_results: bool = False) -> None:
        """Add `help` to these. `check_results` holds every result against its declared form.

        Raises TypeError where two have one name.
        """
        self._check_results = check_results
        by_name: dict[str, Method] = {}
        self.methods: Mapping[str, Method] = MappingProxyType(by_name)
        """All methods by name, in the order they were declared."""
        for each in (*methods, *methods_of(HelpMethods(self.methods))):
            if each.name in by_name:
                raise TypeError(f"two methods are called {each.name}")
            by_name[each.name] = each

    def find(self, name: str, is_text: bool = False) -> Method:
        """Find the method of that name; raises RpcError where there is none.

        Who has typed it is told the nearest name; programs get Core's words.
        """
        found = self.methods.get(name)
        if found is None:
            hint = f": {name[:60]!r}{suggestion(name, self.methods)}" if is_text else ""
            raise RpcError(RpcCode.METHOD_NOT_FOUND, f"Method not found{hint}")
        return found

    def call(
        self,
        name: str,
        params: list[Json] | dict[str, Json] | None = None,
        is_text: bool = False,
        *,
        is_trusted: bool = False,
    ) -> Json:
        """Call a method with positional or named parameters.

        `is_text` says that the parameters are what somebody typed (see `Kind.json_from_text`),
        `is_trusted` that the caller knows the cookie or the password.
        Raises RpcError, or what the function raises.
        """
        called = self.find(name, is_text)
        values = values_from_params(called, params if params is not None else [], is_text)
        try:
            result = called.run(values, is_trusted=is_trusted)
        except WrongUsage:
            raise RpcError(RpcCode.MISC_ERROR, help_of(called)) from None
        if self._check_results and (wrong := mismatch(called.result, result)) is not None:
            raise AssertionError(f"{name}: {wrong}")
        return result


def values_from_params(
    called: Method, params: list[Json] | dict[str, Json], is_text: bool = False
) -> list[Any]:
    """Make typed values of a call's parameters; raises RpcError as Core would."""
    given = params if isinstance(params, list) else positional_from_named(called.params, params)
    required = max((i for i, p in enumerate(called.params, 1) if p.is_required), default=0)
    if not required <= len(given) <= len(called.params):
        raise RpcError(RpcCode.MISC_ERROR, help_of(called))
    padded = given + [None] * (len(called.params) - len(given))
    if is_text:
        padded = [
            _json_from_text(param, value) if isinstance(value, str) else value
            for param, value in zip(called.params, padded, strict=True)
        ]
    _check_types(called.params, padded)
    return [
        param.default
        if value is None and not param.is_required
        else param.kind.parse(value, param.names[0])
        for param, value in zip(called.params, padded, strict=True)
    ]


def _json_from_text(param: Param, text: str) -> Json:
    value = param.kind.json_from_text(text)
    types = param.kind.types
    if types and value is not None and json_type(value) not in types:
        raise RpcError(
            RpcCode.TYPE_ERROR,
            f"{param.names[0]} must be {' or '.join(_WANTED[each] for each in types)}"
            f" (not '{text[:80]}')",
        )
    return value


_WANTED: Mapping[str, str] = {
    "array": "a JSON array",
    "bool": "true or false",
    "number": "a number",
    "object": "a JSON object",
    "string": "a text",
}
"""JSON's types, as people are told of them who typed something else."""


def _check_types(params: Sequence[Param], values: Sequence[Json]) -> None:
    """Hold all values to their types at once; a kind of several types looks at its own later."""
    wrong = {}
    for position, (param, value) in enumerate(zip(params, values, strict=True), 1):
        if (value is None and not param.is_required) or len(param.kind.types) != 1:
            continue
        if json_type(value) != param.kind.types[0]:
            wrong[f"Position {position} ({param.name})"] = wrong_type(
                value, param.kind.types[0]
            ).message
    if wrong:
        listing = json.dumps(wrong, indent=4, ensure_ascii=False)
        raise RpcError(RpcCode.TYPE_ERROR, f"Wrong type passed:\n{listing}")


def positional_from_named(params: Sequence[Param], named: Mapping[str, Json]) -> list[Json]:
    """Put named parameters in their order, null where one is left out before another.

    As in Core the name `args` may hold an array of positional ones that come first. Raises
    RpcError for an unknown name and for a parameter given twice.
    """
    left = dict(named)
    values: dict[int, Json] = {}
    for position, param in enumerate(params):
        for name in param.names:
            if name not in left:
                continue
            if position in values:
                raise RpcError(
                    RpcCode.INVALID_PARAMETER, f"Parameter {name} specified multiple times"
                )
            values[position] = left.pop(name)
    first: list[Json] = left.pop("args") if isinstance(left.get("args"), list) else []
    if left:
        raise RpcError(RpcCode.INVALID_PARAMETER, f"Unknown named parameter {next(iter(left))}")
    for position in sorted(values):
        if position < len(first):
            raise RpcError(
                RpcCode.INVALID_PARAMETER,
                f"Parameter {params[position].name} specified twice both as positional and named "
                "argument",
            )
    length = max([len(first) - 1, *values]) + 1
    return first + [values.get(position) for position in range(len(first), length)]
