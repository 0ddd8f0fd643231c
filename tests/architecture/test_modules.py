"""Modules remember nothing, and the pure ones start nothing."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "misocoin"
MODULES = sorted(PACKAGE.rglob("*.py"))

PURE = (
    "codec",
    "consensus",
    "crypto",
    "errors",
    "filters",
    "params",
    "policy",
    "primitives",
    "script",
    "units",
)
"""Floors 0 and 1."""

SHELLS = (
    "asyncio",
    "cheroot",
    "flask",
    "http",
    "requests",
    "socket",
    "sqlalchemy",
    "sqlite3",
    "urllib3",
)
"""What a rule has no use for."""


def _module_name(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)


def test_packages_are_found():
    assert len(MODULES) > 100


def test_every_package_begins_empty():
    folders = {path.parent for path in MODULES}
    assert len(folders) > 10
    for folder in folders:
        assert (folder / "__init__.py").read_bytes() == b"", f"{folder.name}/__init__.py"


def test_a_pure_module_starts_no_shell():
    """All of floors 0 and 1 at once, in a Python of their own."""
    pure = [
        _module_name(path)
        for path in MODULES
        if path.relative_to(PACKAGE).parts[0].removesuffix(".py") in PURE
        and path.name not in ("__init__.py", "native_verifier.py")  # needs the native module
    ]
    assert len(pure) > 50
    code = (
        f"import sys, json\nfor name in {pure}: __import__(name)\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    loaded = json.loads(result.stdout)
    assert set(pure) <= set(loaded)
    assert [name for name in loaded if name.partition(".")[0] in SHELLS] == []
    others = {name.split(".")[1] for name in loaded if name.startswith("misocoin.")}
    assert others <= {*PURE, "_native"}


# -- state ------------------------------------------------------------------------------------

_CONTAINERS = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)
_MAKERS = {"Counter", "OrderedDict", "bytearray", "defaultdict", "deque", "dict", "list", "set"}
_CHANGERS = {
    "add", "append", "appendleft", "clear", "discard", "extend", "insert", "pop", "popitem",
    "popleft", "remove", "reverse", "setdefault", "sort", "update",
}  # fmt: skip


def _is_container(value: ast.expr | None) -> bool:
    if isinstance(value, ast.Call):
        maker = value.func
        name = maker.id if isinstance(maker, ast.Name) else getattr(maker, "attr", "")
        return name in _MAKERS
    return isinstance(value, _CONTAINERS)


def _containers(tree: ast.Module) -> set[str]:
    """Names that a module binds to what can be changed in place."""
    names = set()
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and _is_container(statement.value):
            names |= {target.id for target in statement.targets if isinstance(target, ast.Name)}
        if (
            isinstance(statement, ast.AnnAssign)
            and isinstance(statement.target, ast.Name)
            and _is_container(statement.value)
        ):
            names.add(statement.target.id)
    return names


def _changed_name(node: ast.AST) -> str | None:
    """The name whose value a node changes in place."""
    subject: ast.AST | None = None
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del):
        subject = node.value
    elif isinstance(node, ast.AugAssign):
        subject = node.target
    elif (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in _CHANGERS
    ):
        subject = node.func.value
    return subject.id if isinstance(subject, ast.Name) else None


def _state_of(source: str) -> Iterator[str]:
    """What a module remembers from one call to the next."""
    tree = ast.parse(source)
    names = _containers(tree)
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        for node in ast.walk(function):
            if isinstance(node, ast.Global):
                yield f"global {', '.join(node.names)}"
            changed = _changed_name(node)
            if changed in names:
                yield f"{changed} is changed in line {node.lineno}"


@pytest.mark.parametrize("path", MODULES, ids=_module_name)
def test_a_module_remembers_nothing(path):
    assert list(_state_of(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "source",
    [
        "seen = 0\ndef f():\n    global seen\n    seen += 1",
        "cache = {}\ndef f(key):\n    cache[key] = 1",
        "cache = {}\ndef f(key):\n    del cache[key]",
        "found: list[int] = []\ndef f(x):\n    found.append(x)",
        "from collections import deque\nlast = deque()\nasync def f():\n    last.popleft()",
        "import collections\nlast = collections.defaultdict(int)\ndef f():\n    last.clear()",
        "seen = set()\nclass C:\n    def f(self):\n        seen.add(self)",
        "seen = set()\nf = lambda x: seen.add(x)",
        "seen = [n for n in range(3)]\ndef f():\n    global other\n    seen[0] += 1",
    ],
)
def test_a_module_that_remembers_is_noticed(source):
    assert list(_state_of(source))


@pytest.mark.parametrize(
    "source",
    [
        "TABLE = {1: 2}\ndef f(x):\n    return TABLE[x]",
        "TABLE = [1]\nTABLE.append(2)\ndef f():\n    return TABLE.copy()",
        "def f():\n    seen = []\n    seen.append(1)\n    return seen",
    ],
)
def test_a_table_is_no_memory(source):
    assert not list(_state_of(source))
