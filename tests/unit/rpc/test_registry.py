"""How methods are declared, found and called."""

from typing import Annotated, Any

import orjson
import pytest

from misocoin.http.errors import RpcError
from misocoin.rpc.declare import Category, method, methods_of
from misocoin.rpc.help import help_of, listing, signature_of
from misocoin.rpc.json import Json
from misocoin.rpc.params import INTEGER
from misocoin.rpc.registry import Registry
from misocoin.rpc.schema import number
from tests.unit.rpc.sample import SampleMethods, sample_registry

HASH_OF_DIGITS = "12" * 32


def call(name: str, params: Any = None, is_text: bool = False) -> Json:
    return sample_registry().call(name, params, is_text)


def error_of(name: str, params: Any, is_text: bool = False) -> tuple[int, str]:
    with pytest.raises(RpcError) as raised:
        call(name, params, is_text)
    return raised.value.code, raised.value.message


def test_by_place() -> None:
    assert call("add", [1]) == 11
    assert call("add", [1, 2]) == 3
    assert call("add", [1, None, 5]) == 16


def test_by_name() -> None:
    assert call("add", {"a": 1}) == 11
    assert call("add", {"c": 5, "a": 1}) == 16


def test_by_place_and_name() -> None:
    assert call("add", {"args": [1], "c": 5}) == 16
    assert call("add", {"args": [1, 2, 3]}) == 6
    assert call("add", {"args": [], "a": 1}) == 11


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"a": 1, "d": 2}, "Unknown named parameter d"),
        ({"a": 1, "args": 2}, "Unknown named parameter args"),
        (
            {"args": [1], "a": 1},
            "Parameter a specified twice both as positional and named argument",
        ),
        (
            {"args": [1, 2], "b": 1},
            "Parameter b specified twice both as positional and named argument",
        ),
    ],
)
def test_names_that_cannot_be_meant(params: Any, message: str) -> None:
    assert error_of("add", params) == (-8, message)


def test_two_names_of_one_parameter() -> None:
    assert call("plus", {"first": 1}) == {"sum": 2}
    code, message = error_of("plus", {"left": 1, "first": 2})
    assert (code, message) == (-8, "Parameter first specified multiple times")


def test_a_dialect_has_its_own_names_and_form_over_the_same_function() -> None:
    assert call("plus", [2, 3]) == {"sum": 5}
    assert call("plus", [2]) == {"sum": 3}
    assert error_of("plus", [1, 2, 3])[0] == -1


@pytest.mark.parametrize("params", [[], [1, 2, 3, 4], {}, {"b": 1, "args": []}, {"args": [1] * 9}])
def test_a_wrong_number_of_arguments_is_answered_with_help(params: Any) -> None:
    if params == {"b": 1, "args": []}:
        # Core counts places: the hole before b is a null for the required a.
        assert error_of("add", params)[0] == -3
        return
    code, message = error_of("add", params)
    assert code == -1
    assert message == help_of(sample_registry().find("add"))


def test_a_wrong_type_is_named_with_its_place() -> None:
    code, message = error_of("add", ["1", 2, [3]])
    assert code == -3
    assert message.startswith('Wrong type passed:\n{\n    "Position 1 (a)": "JSON value')
    head, _, listing_text = message.partition("\n")
    assert head == "Wrong type passed:"
    assert orjson.loads(listing_text) == {
        "Position 1 (a)": "JSON value of type string is not of expected type number",
        "Position 3 (c)": "JSON value of type array is not of expected type number",
    }


def test_true_is_no_number_and_null_no_required_value() -> None:
    assert error_of("add", [True])[0] == -3
    assert error_of("add", [None])[0] == -3


@pytest.mark.parametrize("value", [1.5, 1e300])
def test_a_fraction_is_no_integer(value: float) -> None:
    assert error_of("add", [value]) == (-1, "JSON integer out of range")


def test_typed_words_are_read_by_their_declared_kind() -> None:
    assert call("add", ["1", "2"], is_text=True) == 3
    assert call("add", {"a": "1", "args": []}, is_text=True) == 11
    assert call("same", ["[1, 2]"], is_text=True) == [1, 2]
    paid = call("pay", ["1234", "0.00000001", "true"], is_text=True)
    assert orjson.dumps(paid) == b'{"paid":0.00000001,"loud":true}'
    assert call("pay", ["1e5", "0"], is_text=True)["loud"] is False
    assert call("pay", ["1", "0", "on"], is_text=True)["loud"] is True
    assert call("pay", ["1", "0", "No"], is_text=True)["loud"] is False


def test_a_typed_block_is_a_height_or_a_hash() -> None:
    assert call("show", ["5"], is_text=True) == "int 5"
    assert call("show", ["-1"], is_text=True) == "int -1"
    assert call("show", [HASH_OF_DIGITS], is_text=True).startswith("bytes")
    assert error_of("show", ["five"], is_text=True) == (
        -8,
        "block must be a height or a hash of 64 hex digits (not 'five')",
    )


def test_typed_words_that_are_no_json_have_the_wrong_type() -> None:
    assert error_of("add", ["one"], is_text=True) == (-3, "a must be a number (not 'one')")
    assert error_of("same", ["[1,"], is_text=True)[0] == -3
    assert error_of("pay", ["1", "0", "maybe"], is_text=True) == (
        -3,
        "loud must be true or false (not 'maybe')",
    )


def test_an_unknown_method() -> None:
    assert error_of("addd", []) == (-32601, "Method not found")
    assert error_of("addd", [], is_text=True) == (
        -32601,
        "Method not found: 'addd'; did you mean add?",
    )


def test_help_lists_every_method_once_under_its_category() -> None:
    assert call("help").splitlines() == [
        "== Chain ==",
        "show block",
        "",
        "== Wallet ==",
        "pay to value ( loud )",
        "",
        "== Util ==",
        "add a ( b c )",
        "fail",
        "same items",
        "",
        "== Control ==",
        "help ( command )",
        "",
        "== Util (Bitcoin Core's names) ==",
        "plus left ( right )",
    ]


def test_help_explains_a_method() -> None:
    assert call("help", ["add"]) == (
        "add a ( b c )\n"
        "\n"
        "Add numbers.\n"
        "\n"
        "As many as three.\n"
        "\n"
        "Arguments:\n"
        "1. a    (numeric, required) one number\n"
        "2. b    (numeric, optional, default=10) another\n"
        "3. c    (numeric, optional, default=0) a third\n"
        "\n"
        "Result:\n"
        "n    (number) the sum\n"
        "\n"
        "Examples:\n"
        "> misocoin-cli add 1 2"
    )


def test_help_for_what_is_not_there_has_a_suggestion() -> None:
    assert call("help", ["ad"]) == "help: unknown command: ad; did you mean add?"
    assert call("help", ["zzzzzzzzz"]) == "help: unknown command: zzzzzzzzz"


def test_every_sample_is_listed() -> None:
    registry = sample_registry()
    for each in registry.methods.values():
        assert signature_of(each) in listing(registry.methods.values())


def test_a_method_without_a_docstring_cannot_be_declared() -> None:
    with pytest.raises(TypeError, match="mute has no docstring"):

        @method(Category.UTIL)
        def mute(self: object) -> Json: ...


def test_a_parameter_without_help_cannot_be_declared() -> None:
    with pytest.raises(TypeError, match="vague: a is not declared"):

        @method(Category.UTIL)
        def vague(self: object, a: Annotated[int, INTEGER]) -> Json:
            """Do something."""


def test_two_methods_of_one_name_cannot_be_registered() -> None:
    twice = [*methods_of(SampleMethods()), *methods_of(SampleMethods())]
    with pytest.raises(TypeError, match="two methods are called add"):
        Registry(twice)


def test_a_result_of_another_form_is_noticed_where_asked_for() -> None:
    class Lying:
        @method(Category.UTIL, result=number("a number"))
        def lie(self) -> Json:
            """Say a word."""
            return "word"

    assert Registry(methods_of(Lying())).call("lie") == "word"
    with pytest.raises(AssertionError, match="result is str, not number"):
        Registry(methods_of(Lying()), check_results=True).call("lie")
