"""A few methods to call in tests."""

from typing import Annotated

from misocoin.errors import InsufficientFunds
from misocoin.rpc.declare import Access, Category, Param, method, methods_of
from misocoin.rpc.json import Json, amount
from misocoin.rpc.params import AMOUNT, ARRAY, BOOLEAN, HEIGHT_OR_HASH, INTEGER, STRING
from misocoin.rpc.registry import Registry
from misocoin.rpc.schema import array, boolean, coins, nothing, number, obj, text
from misocoin.units import Sats


class SampleMethods:
    """Methods with parameters of several kinds."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    @method(Category.UTIL, result=number("the sum"), examples=("1 2",))
    def add(
        self,
        a: Annotated[int, INTEGER, "one number"],
        b: Annotated[int, INTEGER, "another"] = 10,
        c: Annotated[int, INTEGER, "a third"] = 0,
    ) -> Json:
        """Add numbers.

        As many as three.
        """
        self.calls.append("add")
        return a + b + c

    @method(Category.CHAIN, result=text("what was given"))
    def show(self, block: Annotated[int | bytes, HEIGHT_OR_HASH, "a block"]) -> Json:
        """Show how a block was named."""
        return f"{type(block).__name__} {block!r}"

    @method(
        Category.WALLET,
        access=Access.AUTH,
        result=obj("", paid=coins("to whom it says"), loud=boolean("whether it was")),
    )
    def pay(
        self,
        to: Annotated[str, STRING, "whom"],
        value: Annotated[Sats, AMOUNT, "how much"],
        loud: Annotated[bool, BOOLEAN, "whether to tell"] = False,
    ) -> Json:
        """Pay somebody."""
        if value > 100:
            raise InsufficientFunds("not that much is there")
        return {"paid": amount(value), "loud": loud}

    @method(Category.UTIL, result=array("the same", number("one of them")), waits=True)
    def same(self, items: Annotated[list[Json], ARRAY, "numbers"]) -> Json:
        """Return what was given."""
        return items

    @method(Category.UTIL, result=nothing())
    def fail(self) -> Json:
        """Fail as no method should."""
        raise ZeroDivisionError("secret detail")


def sample_registry() -> Registry:
    """The methods, and one of them in a second dialect."""
    methods = list(methods_of(SampleMethods()))
    add = next(each for each in methods if each.name == "add")
    plus = add.in_dialect(
        "plus",
        (
            Param("left|first", INTEGER, "one number", argument="a"),
            Param("right", INTEGER, "another", 1, argument="b"),
        ),
        obj("", sum=number("of both")),
        shape=lambda total: {"sum": total},
    )
    return Registry([*methods, plus], check_results=True)
