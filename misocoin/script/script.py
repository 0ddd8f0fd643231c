"""Reading and writing scripts: operations, pushes, shapes that consensus knows by sight."""

from collections.abc import Iterator

from misocoin.script.numbers import bytes_from_number
from misocoin.script.opcodes import (
    OP_0,
    OP_1,
    OP_1NEGATE,
    OP_16,
    OP_PUSHDATA1,
    OP_PUSHDATA2,
    OP_PUSHDATA4,
    OP_RETURN,
)

MAX_SCRIPT_SIZE = 10_000
"""Bytes of a script before tapscript."""

_PUSH_LENGTH_SIZE = {OP_PUSHDATA1: 1, OP_PUSHDATA2: 2, OP_PUSHDATA4: 4}


def read_operation(script: bytes, at: int) -> tuple[int, bytes | None, int]:
    """The operation at `at`: opcode, data (empty for what pushes none), offset behind it.

    The data is None where the script ends inside the operation, and the offset then is its end.
    """
    opcode = script[at]
    at += 1
    if opcode > OP_PUSHDATA4:
        return opcode, b"", at
    length = opcode
    if opcode >= OP_PUSHDATA1:
        start = at
        at += _PUSH_LENGTH_SIZE[opcode]
        length = int.from_bytes(script[start:at], "little")
    end = at + length
    if end > len(script):
        return opcode, None, len(script)
    return opcode, script[at:end], end


def operations(script: bytes) -> Iterator[tuple[int, bytes | None]]:
    """All operations in order as (opcode, data); data None once, at the end, if it is cut off."""
    at = 0
    while at < len(script):
        opcode, data, at = read_operation(script, at)
        yield opcode, data


def push_data(data: bytes) -> bytes:
    """Push bytes with the shortest length prefix (Core's `CScript() << data`).

    Small numbers are pushed as bytes too: see `push_minimal` for the form MINIMALDATA asks for.
    """
    size = len(data)
    if size < OP_PUSHDATA1:
        return bytes((size,)) + data
    if size <= 0xFF:
        return bytes((OP_PUSHDATA1, size)) + data
    if size <= 0xFFFF:
        return b"\x4d" + size.to_bytes(2, "little") + data
    return b"\x4e" + size.to_bytes(4, "little") + data


def push_int(number: int) -> bytes:
    """Push a number: OP_0, OP_1NEGATE, OP_1 to OP_16, or its bytes."""
    if number == 0:
        return bytes((OP_0,))
    if number == -1:
        return bytes((OP_1NEGATE,))
    if 1 <= number <= 16:
        return bytes((OP_1 + number - 1,))
    return push_data(bytes_from_number(number))


def push_minimal(data: bytes) -> bytes:
    """Push bytes in the shortest of all ways, with opcodes for the small numbers."""
    if len(data) == 1:
        if 1 <= data[0] <= 16:
            return bytes((OP_1 + data[0] - 1,))
        if data[0] == 0x81:
            return bytes((OP_1NEGATE,))
    return push_data(data)


def is_minimal_push(opcode: int, data: bytes) -> bool:
    """Whether no shorter operation than `opcode` pushes `data` (BIP62 rule 3)."""
    size = len(data)
    if size == 0:
        return opcode == OP_0
    if size == 1 and (1 <= data[0] <= 16 or data[0] == 0x81):
        return False
    if size < OP_PUSHDATA1:
        return opcode == size
    if size <= 0xFF:
        return opcode == OP_PUSHDATA1
    if size <= 0xFFFF:
        return opcode == OP_PUSHDATA2
    return opcode == OP_PUSHDATA4


def is_push_only(script: bytes) -> bool:
    """Whether the script is whole and only pushes (OP_RESERVED counts as a push, as in Core)."""
    return all(data is not None and opcode <= OP_16 for opcode, data in operations(script))


def is_unspendable(script: bytes) -> bool:
    """Whether no input can ever spend an output with this script, so that no coin is made of it."""
    return script[:1] == bytes((OP_RETURN,)) or len(script) > MAX_SCRIPT_SIZE


def is_p2sh(script: bytes) -> bool:
    """Whether this is exactly HASH160 <20 bytes> EQUAL (BIP16)."""
    return len(script) == 23 and script[:2] == b"\xa9\x14" and script[22] == 0x87


def witness_program(script: bytes) -> tuple[int, bytes] | None:
    """Version (0 to 16) and program of a segwit output's script, None for any other (BIP141)."""
    size = len(script)
    if not 4 <= size <= 42 or script[1] != size - 2:
        return None
    first = script[0]
    if first == OP_0:
        return 0, script[2:]
    if OP_1 <= first <= OP_16:
        return first - OP_1 + 1, script[2:]
    return None


def find_and_delete(script: bytes, part: bytes) -> tuple[bytes, int]:
    """Remove `part` wherever it starts at an operation; returns the rest and how often.

    Core's FindAndDelete, consensus before segwit for signatures inside the script they sign.
    """
    if not part or part not in script:
        return script, 0
    kept = []
    found = 0
    start = at = 0
    while True:
        kept.append(script[start:at])
        while script.startswith(part, at):
            at += len(part)
            found += 1
        start = at
        if at >= len(script):
            break
        _, data, after = read_operation(script, at)
        if data is None:
            break
        at = after
    kept.append(script[start:])
    return b"".join(kept), found
