"""How a method is declared.

A method is one function. Its parameters, with kind and help, stand in its signature; its summary
is its docstring; the decorator says the rest:

    class ChainMethods:
        @method(Category.CHAIN, result=hexadecimal("the block's hash"))
        def get_block_hash(
            self, height: Annotated[int, INTEGER, "height of the block"]
        ) -> str:
            \"\"\"Tell the hash of the block at a height.\"\"\"

Bitcoin Core's dialect (`misocoin/rpc/core`) has names of its own over the same functions: a name,
the parameters and the form of the result, made of the first by `Method.in_dialect`. What the first
dialect has no function for is declared there with `core_method`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import partial
from inspect import Parameter, cleandoc, signature
from types import MethodType
from typing import Annotated, Any, Final, get_args, get_origin, get_type_hints

from misocoin.errors import MisocoinError
from misocoin.rpc.errors import RpcCode
from misocoin.rpc.json import Json
from misocoin.rpc.params import Kind
from misocoin.rpc.schema import Result, nothing

_TRUST: Final = "is_trusted"


class Category(Enum):
    """What a method is about; the headings of the list of methods."""

    CHAIN = "Chain"
    TRANSACTIONS = "Transactions"
    MINING = "Mining"
    WALLET = "Wallet"
    NETWORK = "Network"
    UTIL = "Util"
    CONTROL = "Control"


class Dialect(Enum):
    """Whose names a method and its parameters have. Both dialects are served on one port."""

    OWN = "Misocoin"
    CORE = "Bitcoin Core's names"


class Access(Enum):
    """Who may call a method."""

    OPEN = "everybody who reaches the port"
    """Reads of the chain, and what anybody may submit to it."""
    AUTH = "who knows the cookie or the password"
    """The wallet's and the node's own matters."""


class _Required:
    """The default of a parameter that has none."""

    def __repr__(self) -> str:
        return "required"


REQUIRED: Final = _Required()


@dataclass(frozen=True, slots=True)
class Param:
    """One parameter of a method."""

    name: str
    """As a named argument; `name|other` is known by both."""
    kind: Kind[Any]
    help: str
    default: Any = REQUIRED
    argument: str | None = ""
    """The function's own name for it, where it is another; None where it takes no such thing, and
    the parameter is known for the sake of who gives it."""

    @property
    def names(self) -> tuple[str, ...]:
        """All names it is known by."""
        return tuple(self.name.split("|"))

    @property
    def is_required(self) -> bool:
        """Whether a call must give it."""
        return self.default is REQUIRED


def _unshaped(value: Any) -> Json:
    return value


@dataclass(frozen=True, slots=True)
class Method:
    """One method of the interface."""

    name: str
    function: Callable[..., Any]
    params: tuple[Param, ...]
    category: Category
    access: Access
    summary: str
    """What it does; the first line stands alone."""
    result: Result
    shape: Callable[[Any], Json] = _unshaped
    """From what the function returns to JSON."""
    waits: bool = False
    """Whether it may take long for want of something, and so runs on a waiting permit."""
    errors: tuple[RpcCode, ...] = ()
    """What a call may end in, beside what any call may (`errors.COMMON`)."""
    examples: tuple[str, ...] = ()
    """Arguments as somebody would type them."""
    dialect: Dialect = Dialect.OWN
    guard: Callable[[Json], bool] | None = None
    """For an open method: whether a call with these parameters, as they came, is not."""
    translate: Callable[[MisocoinError], MisocoinError] | None = None
    """From an error of the function to the one the dialect has for it."""
    hears_trust: bool = False
    """Whether the function is told if the caller knows the cookie or the password, by its argument
    `is_trusted`."""

    def in_dialect(
        self,
        name: str,
        params: tuple[Param, ...] = (),
        result: Result | None = None,
        shape: Callable[[Any], Json] = _unshaped,
        summary: str = "",
        translate: Callable[[MisocoinError], MisocoinError] | None = None,
        errors: tuple[RpcCode, ...] | None = None,
    ) -> "Method":
        """Make the same function known under Core's name, with other parameters and form.

        `shape` makes Core's result of this method's; without `result` the form is the same, and
        without `errors` they are.
        """
        own = self.shape
        return replace(
            self,
            name=name,
            params=params,
            result=result or self.result,
            shape=lambda value: shape(own(value)),
            summary=summary or self.summary,
            examples=(),
            dialect=Dialect.CORE,
            translate=translate,
            errors=self.errors if errors is None else errors,
        )

    def needs_trust(self, params: Json) -> bool:
        """Whether a call with these parameters wants the cookie or the password."""
        return self.access is Access.AUTH or (self.guard is not None and self.guard(params))

    def run(self, values: Sequence[Any], *, is_trusted: bool = False) -> Json:
        """Call the function with the values of the parameters, in their order."""
        named = {
            param.argument or param.name: value
            for param, value in zip(self.params, values, strict=True)
            if param.argument is not None
        }
        if self.hears_trust:
            named[_TRUST] = is_trusted
        if self.translate is None:
            return self.shape(self.function(**named))
        try:
            return self.shape(self.function(**named))
        except MisocoinError as error:
            raise self.translate(error) from error


def method(
    category: Category,
    *,
    result: Result | None = None,
    access: Access = Access.OPEN,
    shape: Callable[[Any], Json] = _unshaped,
    waits: bool = False,
    errors: tuple[RpcCode, ...] = (),
    examples: tuple[str, ...] = (),
    dialect: Dialect = Dialect.OWN,
    guard: Callable[[Json], bool] | None = None,
) -> Callable[[Callable[..., Any]], Method]:
    """Declare a method; raises TypeError at once where a part of the declaration is missing."""

    def declare(function: Callable[..., Any]) -> Method:
        name = function.__name__
        if not function.__doc__:
            raise TypeError(f"{name} has no docstring to help with")
        return Method(
            name=name,
            function=function,
            params=tuple(_params_of(function)),
            category=category,
            access=access,
            summary=cleandoc(function.__doc__),
            result=result or nothing(),
            shape=shape,
            waits=waits,
            errors=errors,
            examples=examples,
            dialect=dialect,
            guard=guard,
            hears_trust=_TRUST in signature(function).parameters,
        )

    return declare


core_method = partial(method, dialect=Dialect.CORE)
"""`method` for what only Core's dialect has."""


def _params_of(function: Callable[..., Any]) -> Iterator[Param]:
    hints = get_type_hints(function, include_extras=True)
    parameters = list(signature(function).parameters.values())
    for parameter in parameters[1:]:
        if parameter.name == _TRUST:
            continue
        hint = hints.get(parameter.name)
        parts = get_args(hint) if get_origin(hint) is Annotated else ()
        if len(parts) != 3 or not isinstance(parts[1], Kind) or not isinstance(parts[2], str):
            raise TypeError(
                f"{function.__name__}: {parameter.name} is not declared as "
                f"Annotated[type, kind, help]"
            )
        default = REQUIRED if parameter.default is Parameter.empty else parameter.default
        yield Param(parameter.name, parts[1], parts[2], default)


def methods_of(instance: object) -> Iterator[Method]:
    """Find the methods that an object's class declares, bound to the object."""
    for owner in reversed(type(instance).__mro__):
        for value in vars(owner).values():
            if isinstance(value, Method):
                yield replace(value, function=MethodType(value.function, instance))
