"""Output that nobody reads to its end, or that finds no room."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

LINES = (("help",), ("version",), ("wallet", "help"), ("daemon", "-help"), ("cli", "-help"))
FULL = Path("/dev/full")


def run(words: tuple[str, ...], stdout: int, buffering: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "misocoin", *words],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": buffering},
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("words", LINES)
def test_a_reader_who_has_enough_is_told_nothing(words: tuple[str, ...]) -> None:
    from_us, to_nobody = os.pipe()
    os.close(from_us)
    try:
        done = run(words, to_nobody, "")
    finally:
        os.close(to_nobody)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize(("words", "buffering"), [(LINES[0], ""), (LINES[2], "1"), (LINES[4], "")])
def test_a_full_disk_is_one_line(words: tuple[str, ...], buffering: str) -> None:
    with FULL.open("wb") as full:
        done = run(words, full.fileno(), buffering)
    assert done.returncode == 1
    assert done.stderr.endswith(": the output cannot be written: No space left on device\n")
    assert done.stderr.count("\n") == 1
