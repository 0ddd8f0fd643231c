"""Runs one WebAssembly program, as a process of its own: work on standard input, result on output.

    python -m misocoin.market.workers.wasm_run <bytes of memory>

Whoever starts it ends it when the time is up. The exit code is 0 with a result; else 1, and one
line on standard error says why there is none.
"""

import struct
import sys
from collections.abc import Callable, Sequence

from wasmtime import (
    Caller,
    Config,
    Engine,
    FuncType,
    Linker,
    Memory,
    Module,
    Store,
    Trap,
    ValType,
    WasmtimeError,
)

from misocoin.errors import MisocoinError
from misocoin.market.errors import Malformed, TooLarge
from misocoin.market.workers.wasm_work import MAX_OUTPUT, WasmWork, wasm_work_from_bytes

_WASI = ("wasi_snapshot_preview1", "wasi_unstable")
_OK, _BAD_DESCRIPTOR, _FAULT, _NOT_HERE = 0, 8, 21, 52
_INPUT, _OUTPUT, _ERROR = 0, 1, 2
_CHARACTER_DEVICE = 2
_RIGHTS = {_INPUT: 1 << 1, _OUTPUT: 1 << 6, _ERROR: 1 << 6}
_MAX_VECTORS = 1024
_MAX_STACK = 1 << 20
_TABLE_ELEMENTS = 1 << 20


class _Exit(Exception):  # noqa: N818 - it is how a program ends
    def __init__(self, code: int) -> None:
        self.code = code


def run(work: WasmWork, memory_bytes: int) -> bytes:
    """Run a program to its end; what it wrote. Raises Malformed or TooLarge."""
    system = _System(work.input)
    config = Config()
    config.wasm_threads = False
    config.shared_memory = False
    config.wasm_relaxed_simd_deterministic = True
    config.cranelift_nan_canonicalization = True
    config.max_wasm_stack = _MAX_STACK
    config.parallel_compilation = False
    engine = Engine(config)
    try:
        module = Module(engine, work.program)
        store = Store(engine)
        store.set_limits(memory_bytes, _TABLE_ELEMENTS, 1, 4, 1)
        linker = _linked(engine, module, system)
        instance = linker.instantiate(store, module)
        start = instance.exports(store).get("_start")
        if not callable(start):
            raise Malformed("the program has no function _start")
        start(store)
    except _Exit as ended:
        if ended.code:
            raise Malformed(f"the program ended with code {ended.code}") from None
    except (Trap, WasmtimeError) as error:
        raise Malformed(f"the program failed: {_first_line(str(error))}") from None
    return bytes(system.output)


def _linked(engine: Engine, module: Module, system: "_System") -> Linker:
    """All that the module imports; calls that we do not have answer that there are none."""
    linker = Linker(engine)
    for each in module.imports:
        if each.module not in _WASI or not isinstance(each.type, FuncType):
            raise Malformed(f"the program imports {each.module}.{each.name}, which there is not")
        ours = system.calls().get(each.name or "")
        returns_number = [str(kind) for kind in each.type.results] == [str(ValType.i32())]
        if ours is None and not returns_number:
            raise Malformed(f"the program imports {each.name}, which there is not")
        function = _not_here if ours is None else _bounded(ours)
        linker.define_func(each.module, each.name or "", each.type, function, access_caller=True)
    return linker


def _not_here(_caller: Caller, *_arguments: int) -> int:
    return _NOT_HERE


def _bounded(call: Callable[..., int | None]) -> Callable[..., int | None]:
    """Answer a fault where a program points outside its memory or passes what does not fit."""

    def bounded(caller: Caller, *arguments: int) -> int | None:
        memory = caller.get("memory")
        if not isinstance(memory, Memory):
            return _FAULT
        try:
            return call(_Bytes(caller, memory), *arguments)
        except (IndexError, ValueError, TypeError, struct.error):
            return _FAULT

    return bounded


class _Bytes:
    """A program's memory, never read or written outside."""

    def __init__(self, caller: Caller, memory: Memory) -> None:
        self._caller = caller
        self._memory = memory
        self._size = memory.data_len(caller)

    def read(self, place: int, size: int) -> bytes:
        place, size = place & 0xFFFFFFFF, size & 0xFFFFFFFF
        if place + size > self._size:
            raise IndexError
        return bytes(self._memory.read(self._caller, place, place + size))

    def write(self, place: int, data: bytes) -> None:
        place &= 0xFFFFFFFF
        if place + len(data) > self._size:
            raise IndexError
        self._memory.write(self._caller, data, place)

    def vectors(self, place: int, count: int) -> list[tuple[int, int]]:
        if not 0 <= count <= _MAX_VECTORS:
            raise ValueError
        numbers = struct.unpack(f"<{2 * count}I", self.read(place, 8 * count))
        return list(zip(numbers[::2], numbers[1::2], strict=True))


class _System:
    """The calls of WASI that a filter needs, and what came of them."""

    def __init__(self, data: bytes) -> None:
        self.output = bytearray()
        self._input = data
        self._place = 0

    def calls(self) -> dict[str, Callable[..., int | None]]:
        """By the names of WASI's preview 1."""
        return {
            "fd_read": self.fd_read,
            "fd_write": self.fd_write,
            "fd_fdstat_get": self.fd_fdstat_get,
            "fd_close": lambda _memory, _descriptor: _OK,
            "fd_prestat_get": lambda _memory, *_rest: _BAD_DESCRIPTOR,
            "args_sizes_get": self.no_texts,
            "args_get": lambda _memory, *_rest: _OK,
            "environ_sizes_get": self.no_texts,
            "environ_get": lambda _memory, *_rest: _OK,
            "clock_time_get": self.clock_time_get,
            "random_get": self.random_get,
            "sched_yield": lambda _memory: _OK,
            "proc_exit": self.proc_exit,
        }

    def fd_read(self, memory: _Bytes, descriptor: int, vectors: int, count: int, told: int) -> int:
        if descriptor != _INPUT:
            return _BAD_DESCRIPTOR
        done = 0
        for place, size in memory.vectors(vectors, count):
            part = self._input[self._place : self._place + size]
            memory.write(place, part)
            self._place += len(part)
            done += len(part)
        memory.write(told, struct.pack("<I", done))
        return _OK

    def fd_write(self, memory: _Bytes, descriptor: int, vectors: int, count: int, told: int) -> int:
        if descriptor not in (_OUTPUT, _ERROR):
            return _BAD_DESCRIPTOR
        done = 0
        for place, size in memory.vectors(vectors, count):
            data = memory.read(place, size)
            if descriptor == _OUTPUT:
                self.output += data
            done += size
        if len(self.output) > MAX_OUTPUT:
            raise TooLarge(f"a result has {MAX_OUTPUT} bytes at most")
        memory.write(told, struct.pack("<I", done))
        return _OK

    def fd_fdstat_get(self, memory: _Bytes, descriptor: int, told: int) -> int:
        if descriptor not in _RIGHTS:
            return _BAD_DESCRIPTOR
        memory.write(told, struct.pack("<BxHxxxxQQ", _CHARACTER_DEVICE, 0, _RIGHTS[descriptor], 0))
        return _OK

    def no_texts(self, memory: _Bytes, count: int, size: int) -> int:
        memory.write(count, bytes(4))
        memory.write(size, bytes(4))
        return _OK

    def clock_time_get(self, memory: _Bytes, _clock: int, _precision: int, told: int) -> int:
        memory.write(told, bytes(8))
        return _OK

    def random_get(self, memory: _Bytes, place: int, size: int) -> int:
        memory.read(place, size)
        memory.write(place, bytes(size & 0xFFFFFFFF))
        return _OK

    def proc_exit(self, _memory: _Bytes, code: int) -> None:
        raise _Exit(code)


def _first_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    traps = [line.partition("wasm trap: ")[2] for line in lines if "wasm trap: " in line]
    return (traps or lines or ["for no reason"])[0][:200]


def main(arguments: Sequence[str]) -> int:
    """Run the work that comes on standard input."""
    try:
        result = run(wasm_work_from_bytes(sys.stdin.buffer.read()), int(arguments[0]))
    except MisocoinError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.buffer.write(result)
    sys.stdout.buffer.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
