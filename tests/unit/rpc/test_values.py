"""JSON at the door, the kinds of parameters, and the forms of results."""

from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from misocoin.errors import AmountError
from misocoin.http.errors import RpcError
from misocoin.rpc.json import MAX_DEPTH, amount, json_from_bytes
from misocoin.rpc.params import (
    AMOUNT,
    ANY,
    ARRAY,
    BOOLEAN,
    HASH,
    HEIGHT_OR_HASH,
    HEX,
    INTEGER,
    LEVEL,
    NUMBER,
    OBJECT,
    STRING,
    json_type,
)
from misocoin.rpc.schema import (
    anything,
    array,
    boolean,
    coins,
    hexadecimal,
    lines_from_result,
    mapping,
    mismatch,
    nothing,
    nullable,
    number,
    obj,
    optional,
    text,
    timestamp,
)
from misocoin.units import sats_from_json

MAX_MONEY = 126_000_000 * 100_000_000


@given(st.integers(0, MAX_MONEY))
def test_every_amount_survives_the_way_out_and_in(sats: int) -> None:
    shown = orjson.dumps([amount(sats)])
    (value,) = json_from_bytes(shown)
    assert sats_from_json(value) == sats


def test_seventeen_digits_are_kept() -> None:
    # As a float this is 100000000.00000001.
    (value,) = json_from_bytes(b"[100000000.00000002]")
    assert sats_from_json(value) == 10_000_000_000_000_002
    assert Decimal(repr(value)) == Decimal("100000000.00000002")


def test_an_amount_is_written_with_eight_decimals() -> None:
    assert orjson.dumps({"a": amount(1), "b": amount(-150_000_000)}) == (
        b'{"a":0.00000001,"b":-1.50000000}'
    )


@pytest.mark.parametrize("depth", [1, MAX_DEPTH])
def test_nesting_up_to_the_bound_is_read(depth: int) -> None:
    json_from_bytes(b"[" * depth + b"]" * depth)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[1,]",
        b"nul",
        b"NaN",
        b"1e999",
        b'"\xff"',
        b'"\\ud800"',
        b"\xef\xbb\xbf[]",
        b"[" * (MAX_DEPTH + 2) + b"]" * (MAX_DEPTH + 2),
        b"[" * 100_000,
        b'{"a":' * 2000 + b"1.23456789012345678" + b"}" * 2000,
        b"[1.23456789012345678," + b"9" * 5000 + b"]",
    ],
)
def test_what_is_no_json_is_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError):
        json_from_bytes(data)


@given(st.binary(max_size=200))
def test_any_bytes_are_json_or_a_value_error(data: bytes) -> None:
    try:
        json_from_bytes(data)
    except ValueError:
        return


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip

KINDS = [
    STRING, INTEGER, NUMBER, BOOLEAN, ARRAY, OBJECT, LEVEL, HEX, HASH, HEIGHT_OR_HASH, AMOUNT, ANY,
]  # fmt: skip


@given(JSON, st.sampled_from(KINDS))
def test_any_value_of_a_kind_s_type_parses_or_is_our_error(value: Any, kind: Any) -> None:
    if kind.types and json_type(value) not in kind.types:
        return
    try:
        kind.parse(value, "x")
    except (RpcError, AmountError):
        return


@given(st.text(max_size=80), st.sampled_from(KINDS))
def test_any_typed_text_becomes_a_json_value(typed: str, kind: Any) -> None:
    value = kind.json_from_text(typed)
    assert json_type(value) in {"null", "bool", "string", "number", "array", "object"}
    if kind in (STRING, HEX, HASH, AMOUNT):
        assert value == typed


@pytest.mark.parametrize(
    ("kind", "value", "parsed"),
    [
        (HEX, "00fF", b"\x00\xff"),
        (HASH, "00" * 31 + "01", b"\x01" + b"\x00" * 31),
        (HEIGHT_OR_HASH, 5, 5),
        (LEVEL, True, 1),
        (LEVEL, 2, 2),
        (AMOUNT, "1.5", 150_000_000),
        (AMOUNT, 0.1, 10_000_000),
        (AMOUNT, 3, 300_000_000),
    ],
)
def test_values_parse(kind: Any, value: Any, parsed: Any) -> None:
    assert kind.parse(value, "x") == parsed


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        (HEX, "0", "x must be hexadecimal string (not '0')"),
        (HEX, "0 0 ", "x must be hexadecimal string (not '0 0 ')"),
        (HEX, "zz", "x must be hexadecimal string (not 'zz')"),
        (HASH, "00", "x must be of length 64 (not 2, for '00')"),
        (HASH, "z" * 64, f"x must be hexadecimal string (not '{'z' * 64}')"),
    ],
)
def test_values_that_do_not_are_named_as_core_does(kind: Any, value: str, message: str) -> None:
    with pytest.raises(RpcError) as raised:
        kind.parse(value, "x")
    assert (raised.value.code, raised.value.message) == (-8, message)


BLOCK = obj(
    "a block",
    hash=hexadecimal("its id"),
    height=number("how high"),
    time=timestamp("when"),
    tx=array("inside", text("an id")),
    fee=optional(coins("if known")),
    next=nullable(text("the next one")),
    votes=mapping("by name", boolean("yes or no")),
)
GOOD: dict[str, Any] = {
    "hash": "00ff",
    "height": 1.5,
    "time": 5,
    "tx": ["a"],
    "next": None,
    "votes": {"x": True},
}


def test_a_result_of_its_form_has_no_mismatch() -> None:
    assert mismatch(BLOCK, GOOD) is None
    assert mismatch(BLOCK, {**GOOD, "fee": amount(1)}) is None
    assert mismatch(nothing(), None) is None
    assert mismatch(anything("whatever"), object()) is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hash": "XY"}, "result.hash is not hex"),
        ({"hash": 5}, "result.hash is int, not hex"),
        ({"height": True}, "result.height is bool, not number"),
        ({"time": 1.5}, "result.time is float, not timestamp"),
        ({"tx": ["a", 5]}, "result.tx[1] is int, not string"),
        ({"fee": 1.0}, "result.fee is float, not amount"),
        ({"votes": {"x": 1}}, "result.votes.x is int, not boolean"),
        ({"more": 1}, "result has an undocumented field more"),
    ],
)
def test_a_mismatch_is_told_with_its_place(change: dict[str, Any], message: str) -> None:
    assert mismatch(BLOCK, {**GOOD, **change}) == message


def test_a_missing_field_is_a_mismatch() -> None:
    rest = {name: value for name, value in GOOD.items() if name != "time"}
    assert mismatch(BLOCK, rest) == "result lacks the field time"


def test_a_form_is_drawn_with_a_remark_on_each_line() -> None:
    assert lines_from_result(BLOCK) == [
        "{    (object) a block",
        '  "hash" : "hex"    (string) its id',
        '  "height" : n    (number) how high',
        '  "time" : seconds    (number) when',
        '  "tx" : [    (array) inside',
        '    "text"    (string) an id',
        "    ...",
        "  ]",
        '  "fee" : n.nnnnnnnn    (number, optional) if known',
        '  "next" : "text"    (string, or null) the next one',
        '  "votes" : {    (object) by name',
        '    "key" : true|false    (boolean) yes or no',
        "    ...",
        "  }",
        "}",
    ]


@pytest.mark.parametrize("exponent", ["-900000000000000", "-99999999999999999999", "-31", "40"])
def test_an_exponent_makes_no_giant_of_an_amount(exponent: str) -> None:
    (value,) = json_from_bytes(f"[1.00000000000000001e{exponent}]".encode())
    with pytest.raises(AmountError):
        sats_from_json(value)


def test_a_zero_with_an_exponent_is_zero() -> None:
    (value,) = json_from_bytes(b"[0.00000000000000000e-900000000000000]")
    assert sats_from_json(value) == 0
