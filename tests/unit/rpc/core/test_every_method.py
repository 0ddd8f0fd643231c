"""What holds for all of Core's methods: help, the answer to wrong calls, and a test of each."""

import ast
from pathlib import Path

import pytest

from misocoin.rpc.declare import Dialect, Method
from tests.unit.rpc.core.conftest import CoreNode

FOLDER = Path(__file__).parent

SEEN_ELSEWHERE = frozenset({"stop"})
"""What would end the node of these tests."""

REFUSES_NOTHING = frozenset({"getindexinfo", "validateaddress"})
"""What answers whatever it is asked, if it is of the right type."""


def core_methods(core: CoreNode) -> list[Method]:
    return [each for each in core.registry.methods.values() if each.dialect is Dialect.CORE]


def test_each_has_help(core: CoreNode) -> None:
    methods = core_methods(core)
    assert len(methods) > 50
    for each in methods:
        text = core.help(each.name)
        assert text.startswith(each.name)
        assert "Result:" in text
        assert all(param.help for param in each.params)
        assert ("Errors: " in text) == bool(each.errors)


def test_each_answers_too_many_arguments_with_its_help(core: CoreNode) -> None:
    for each in core_methods(core):
        code, message = core.error(each.name, *[None] * (len(each.params) + 1))
        assert code == -1
        assert message.startswith(each.name)


def test_each_refuses_a_name_it_does_not_know(core: CoreNode) -> None:
    for each in core_methods(core):
        assert core.error(each.name, nosuch=1) == (-8, "Unknown named parameter nosuch")


def test_each_refuses_a_wrong_type(core: CoreNode) -> None:
    for each in core_methods(core):
        for param in each.params:
            if param.kind.types and "object" not in param.kind.types:
                code, message = core.error(each.name, **{param.names[0]: {}})
                assert code in (-1, -3), (each.name, param.name, message)


def _called_and_refused() -> tuple[set[str], set[str]]:
    """Methods that the tests of this folder call, and those whose errors they look at."""
    called, refused = set(), set()
    for path in FOLDER.glob("test_*.py"):
        if path == Path(__file__):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                called.add(node.func.attr)
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                refused.add(node.value)  # a name given to `error`, at once or in a table
    return called, refused


CALLED, REFUSED = _called_and_refused()
"""Read before there is a node: Flask, which a node warms up in a thread, parses as well, and two
threads that do so at a time may fail ("AST constructor recursion depth mismatch")."""


@pytest.mark.parametrize("what", ["a result", "an error"])
def test_of_each_method_is_tested(core: CoreNode, what: str) -> None:
    names = CALLED if what == "a result" else REFUSED | REFUSES_NOTHING
    untested = [
        each.name
        for each in core_methods(core)
        if each.name not in names | SEEN_ELSEWHERE and (what == "a result" or each.params)
    ]
    assert untested == []
