"""The floors of the house hold, and the check that says so would notice if they did not."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def _lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter on the package in `folder`."""
    code = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports())"
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def copy(tmp_path):
    """The package's sources and its contracts, to be spoilt."""
    pytest.importorskip("importlinter")
    shutil.copytree(
        ROOT / "misocoin",
        tmp_path / "misocoin",
        ignore=lambda _where, names: (
            {name for name in names if "." in name and not name.endswith(".py")}
            | {"__pycache__"} & set(names)
        ),
    )
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_imports_point_down(copy):
    result = _lint(copy)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "2 kept, 0 broken" in result.stdout


@pytest.mark.parametrize(
    ("module", "line", "complaint"),
    [
        pytest.param(
            "consensus/merkle.py",
            "from misocoin.chain.events import EventBus",
            "misocoin.consensus is not allowed to import misocoin.chain",
            id="a rule that knows the chain's state",
        ),
        pytest.param(
            "wallet/selection.py",
            "def late():\n    import misocoin.mining.miner",
            "misocoin.wallet is not allowed to import misocoin.mining",
            id="an organ that knows another, at the last moment",
        ),
        pytest.param(
            "primitives/block.py",
            "import threading",
            "misocoin.primitives is not allowed to import threading",
            id="a value with a lock",
        ),
        pytest.param(
            "stray.py", '"""Nowhere."""', "misocoin.stray", id="a module without a floor"
        ),
    ],
)  # fmt: skip
def test_a_planted_violation_is_noticed(copy, module, line, complaint):
    path = copy / "misocoin" / module
    path.write_text(f"{path.read_text() if path.exists() else ''}\n{line}\n")
    result = _lint(copy)
    assert result.returncode == 1, result.stdout + result.stderr
    assert complaint in result.stdout
