"""The native module under AddressSanitizer and UBSan, searching whatever hypothesis thinks of."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COMPILER = shutil.which("gcc") or shutil.which("cc")

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(sys.platform != "linux" or COMPILER is None, reason="needs gcc on Linux"),
]

DRIVER = """
import importlib.machinery, importlib.util, pathlib, sys
import misocoin
loader = importlib.machinery.ExtensionFileLoader("misocoin._native", sys.argv[1])
spec = importlib.util.spec_from_loader("misocoin._native", loader)
module = importlib.util.module_from_spec(spec)
loader.exec_module(module)
sys.modules["misocoin._native"] = misocoin._native = module
from misocoin.pow.native import load_native
assert load_native() is module
assert "libasan" in pathlib.Path("/proc/self/maps").read_text()
import pytest
sys.exit(pytest.main(sys.argv[2:]))
"""


@pytest.fixture(scope="module")
def sanitized_module(tmp_path_factory):
    """The path of the module, built so that it stops at the first fault."""
    path = tmp_path_factory.mktemp("sanitized") / "_native.so"
    subprocess.run(
        [
            str(COMPILER),
            *("-O2", "-g", "-std=c11", "-shared", "-fPIC", "-DPy_LIMITED_API=0x030B0000"),
            *("-fsanitize=address,undefined", "-fno-sanitize-recover=all"),
            f"-I{sysconfig.get_path('include')}",
            *(str(source) for source in sorted((ROOT / "native").glob("*.c"))),
            *("-o", str(path)),
        ],
        check=True,
    )
    return path


def test_every_kernel_under_the_sanitizers(sanitized_module):
    library = subprocess.run(
        [str(COMPILER), "-print-file-name=libasan.so"], capture_output=True, text=True, check=True
    ).stdout.strip()
    tests = ("tests/property/test_pow_engines.py", "tests/unit/pow/test_known_answers.py")
    # Leaks are the interpreter's own; what a search leaks would show in its memory, not here.
    environment = os.environ | {"LD_PRELOAD": library, "ASAN_OPTIONS": "detect_leaks=0"}
    # Plain asserts: the package, which holds a plugin, is imported before pytest could rewrite it.
    options = ("-q", "-k", "not opencl", "-p", "no:cacheprovider", "--assert=plain")
    result = subprocess.run(
        [sys.executable, "-c", DRIVER, str(sanitized_module), *options, *tests],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-4000:]
    assert " passed" in result.stdout
    assert " skipped" not in result.stdout
