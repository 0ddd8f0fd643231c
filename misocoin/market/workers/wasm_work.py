"""The work of `net.misocoin/wasm/0`: a WebAssembly program and its input.

The length of the program in four bytes (big-endian), the program, the input. The result is what
the program writes to its standard output. A program has `_start` and sees of WASI (preview 1) what
a filter needs: standard input, output and error, no arguments, no environment, no files. Clocks
stand still and random bytes are always the same, so that all honest sellers come to one result.
"""

from typing import NamedTuple

from misocoin.market.errors import Malformed, TooLarge

MAX_PROGRAM = 1 << 23
"""Bytes of a program."""

MAX_OUTPUT = 1 << 24
"""Bytes of a result."""

_MAGIC = b"\0asm"
_LENGTH = 4


class WasmWork(NamedTuple):
    """What is to be run."""

    program: bytes
    """A module in WebAssembly's binary format."""
    input: bytes
    """What it reads from its standard input."""


def bytes_from_wasm_work(work: WasmWork) -> bytes:
    """The work's bytes."""
    return len(work.program).to_bytes(_LENGTH, "big") + work.program + work.input


def wasm_work_from_bytes(data: bytes) -> WasmWork:
    """Read a work. Raises Malformed or TooLarge."""
    size = int.from_bytes(data[:_LENGTH], "big")
    if size > MAX_PROGRAM:
        raise TooLarge(f"a program has {MAX_PROGRAM} bytes at most")
    if len(data) < _LENGTH + size or not data.startswith(_MAGIC, _LENGTH) or size < len(_MAGIC):
        raise Malformed("the work is no WebAssembly program with its length before it")
    return WasmWork(data[_LENGTH : _LENGTH + size], data[_LENGTH + size :])
