"""Without a compiler the package builds all the same, and searches with hashlib."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytest.importorskip("setuptools")


def build(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            sys.executable,
            *("setup.py", "build_ext", "--build-lib", str(folder / "lib")),
            *("--build-temp", str(folder / "temp")),
        ],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_a_build_without_a_compiler_succeeds(tmp_path):
    result = build(tmp_path, CC="no-such-compiler", CXX="no-such-compiler")
    assert result.returncode == 0, result.stderr
    assert "no-such-compiler" in result.stdout + result.stderr  # it was tried
    assert list(tmp_path.rglob("*.so")) == []


def test_the_package_searches_without_the_module():
    code = (
        "import sys; sys.modules['misocoin._native'] = None\n"
        "from misocoin.pow.engines import missing_native_notice, select_engine\n"
        "from misocoin.pow.puzzles import HeaderPuzzle\n"
        "engine = select_engine()\n"
        "print(engine.name, engine.search(HeaderPuzzle(bytes(80), 1 << 248), 0, 10000).nonce)\n"
        "print(missing_native_notice())"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    answer, notice = result.stdout.splitlines()
    name, nonce = answer.split()
    assert name == "portable"
    assert int(nonce) < 10000
    assert "native module is not built" in notice
