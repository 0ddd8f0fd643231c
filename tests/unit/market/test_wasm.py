"""WebAssembly programs in their sandbox."""

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from multiprocessing import get_context

import pytest
from hypothesis import given
from hypothesis import strategies as st

from misocoin.errors import MisocoinError
from misocoin.market.errors import Malformed, TooLarge
from misocoin.market.workers.wasm_work import (
    WasmWork,
    bytes_from_wasm_work,
    wasm_work_from_bytes,
)
from misocoin.pow.engine import StopFlag

wasmtime = pytest.importorskip("wasmtime", reason="wasmtime is not installed")

from misocoin.market.workers.sandbox import Sandbox  # noqa: E402
from misocoin.market.workers.wasm_run import run as run_here  # noqa: E402

MEMORY = 1 << 24

Run = Callable[[WasmWork, int], bytes]


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    """Programs run in a process of their own, as in earnest: wasmtime traps by signals, for which
    LLVM has handlers, too, where other tests compile for OpenCL in this one."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        yield lambda work, memory: pool.submit(run_here, work, memory).result(60)


ECHO = """
(module
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (i32.store (i32.const 0) (i32.const 64))
    (block $end
      (loop $again
        (i32.store (i32.const 4) (i32.const 1000))
        (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 16)))
        (br_if $end (i32.eqz (i32.load (i32.const 16))))
        (i32.store (i32.const 4) (i32.load (i32.const 16)))
        (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 20)))
        (br $again)))))
"""


def start(body: str, more: str = "") -> bytes:
    """A program whose `_start` has that body."""
    return bytes(
        wasmtime.wat2wasm(
            f'(module {more} (memory (export "memory") 1) (func (export "_start") {body}))'
        )
    )


def wasi(name: str, parameters: int) -> str:
    kinds = "i32 " * parameters
    return f'(import "wasi_snapshot_preview1" "{name}" (func $call (param {kinds}) (result i32)))'


def test_a_filter_reads_and_writes(run: Run):
    data = bytes(range(256)) * 20
    assert run(WasmWork(bytes(wasmtime.wat2wasm(ECHO)), data), MEMORY) == data


def test_nothing_written_is_an_empty_result(run: Run):
    assert run(WasmWork(start("nop"), b"unread"), MEMORY) == b""


@pytest.mark.parametrize(
    ("program", "complaint"),
    [
        (b"\0asm nonsense", "failed"),
        (start("unreachable"), "unreachable"),
        (start("(drop (i32.load (i32.const 70000)))"), "out of bounds"),
        (start("nop", '(import "env" "system" (func))'), "env.system"),
        (start("(call $call (i32.const 7))", '(import "wasi_snapshot_preview1" "proc_exit" '
               "(func $call (param i32)))"), "code 7"),
        (bytes(wasmtime.wat2wasm('(module (memory (export "memory") 1))')), "_start"),
        (bytes(wasmtime.wat2wasm('(module (memory 2000) (func (export "_start")))')), "memory"),
    ],
)  # fmt: skip
def test_what_programs_must_not_do(run: Run, program, complaint):
    with pytest.raises(Malformed, match=complaint):
        run(WasmWork(program, b""), MEMORY)


def test_memory_does_not_grow_beyond_its_limit(run: Run):
    grow = start("(if (i32.ne (memory.grow (i32.const 1000)) (i32.const -1)) (then unreachable))")
    assert run(WasmWork(grow, b""), MEMORY) == b""


@pytest.mark.parametrize(
    ("name", "parameters"), [("path_open", 9), ("sock_accept", 3), ("fd_read", 4), ("fd_write", 4)]
)
def test_no_file_and_no_network(run: Run, name, parameters):
    """Descriptor 9 and every call for files or sockets answer with an error number."""
    shapes = {"path_open": "i32 i32 i32 i32 i32 i64 i64 i32 i32"}
    kinds = shapes.get(name, "i32 " * parameters).split()
    values = " ".join(f"({kind}.const {9 if n == 0 else 0})" for n, kind in enumerate(kinds))
    imported = (
        f'(import "wasi_snapshot_preview1" "{name}" '
        f"(func $call (param {' '.join(kinds)}) (result i32)))"
    )
    body = f"(if (i32.eqz (call $call {values})) (then unreachable))"
    assert run(WasmWork(start(body, imported), b"secret"), MEMORY) == b""


def test_addresses_outside_memory_are_a_fault(run: Run):
    body = (
        "(if (i32.ne (call $call (i32.const -8) (i32.const 100)) (i32.const 21))"
        " (then unreachable))"
    )
    assert run(WasmWork(start(body, wasi("random_get", 2)), b""), MEMORY) == b""


def test_a_sandbox_ends_what_does_not():
    endless = bytes_from_wasm_work(WasmWork(start("(loop $l (br $l))"), b""))
    with closing(Sandbox(MEMORY, 0.5)) as sandbox, pytest.raises(TooLarge, match="did not end"):
        sandbox.do(endless, StopFlag())


def test_a_sandbox_does_one_work_after_another():
    echo = bytes_from_wasm_work(WasmWork(bytes(wasmtime.wat2wasm(ECHO)), b"here and back"))
    trap = bytes_from_wasm_work(WasmWork(start("unreachable"), b""))
    with closing(Sandbox(MEMORY, 60)) as sandbox:
        with pytest.raises(Malformed, match="unreachable"):
            sandbox.do(trap, StopFlag())
        assert sandbox.do(echo, StopFlag()) == b"here and back"


@given(st.binary(max_size=100) | st.binary(max_size=60).map(lambda d: b"\0\0\0\x08\0asm" + d))
def test_any_bytes_are_a_work_or_refused(data):
    try:
        work = wasm_work_from_bytes(data)
    except MisocoinError:
        return
    assert bytes_from_wasm_work(work) == data
