"""What a gate decides is decided without sockets, clocks, threads and chance."""

import ast
from pathlib import Path

import pytest

from misocoin.hashcash import gate

SHELL = {"__init__", "clock", "http", "proxy", "session", "spent_file"}
"""What moves bytes, tells the time or keeps files."""

FORBIDDEN = {
    *("asyncio", "logging", "os", "random", "secrets"),
    *("socket", "sqlite3", "ssl", "threading", "time"),
}

PURE = sorted(path for path in Path(gate.__file__).parent.glob("*.py") if path.stem not in SHELL)


def test_there_are_pure_modules():
    assert len(PURE) > 10


@pytest.mark.parametrize("path", PURE, ids=lambda path: path.stem)
def test_a_pure_module_imports_no_shell(path):
    imported = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            imported.add(module.split(".")[0])
            assert module.removeprefix("misocoin.hashcash.") not in SHELL
    assert not imported & FORBIDDEN
