"""The kernel for ARMv8, cross-compiled and run in an emulator, where there are such."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COMPILER = shutil.which("aarch64-linux-gnu-gcc")
EMULATOR = shutil.which("qemu-aarch64-static") or shutil.which("qemu-aarch64")

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(COMPILER is None or EMULATOR is None, reason="no compiler or no emulator"),
]


def test_the_kernel_agrees_with_plain_c(tmp_path):
    program = tmp_path / "kernels"
    sources = [ROOT / "tests" / "native" / "kernels.c", ROOT / "native" / "digests.c"]
    sources += [path for path in (ROOT / "native").glob("pow_*.c")]
    subprocess.run(
        [
            str(COMPILER),
            *("-O2", "-std=c11", "-D_DEFAULT_SOURCE", "-static", "-Wall", "-Werror"),
            f"-I{ROOT / 'native'}",
            *(str(source) for source in sources),
            *("-o", str(program)),
        ],
        check=True,
    )
    result = subprocess.run([str(EMULATOR), str(program)], capture_output=True, text=True)
    assert result.stdout == "2 kernels agree\n"
    assert result.returncode == 0
