"""Running one script."""

from misocoin.script.control_ops import CONTROL_OPERATIONS, bad_opcode
from misocoin.script.flags import CONST_SCRIPTCODE
from misocoin.script.machine import (
    MAX_ELEMENT_SIZE,
    MAX_OPERATIONS,
    MAX_STACK_SIZE,
    Machine,
    SigVersion,
)
from misocoin.script.opcodes import (
    DISABLED,
    OP_16,
    OP_CODESEPARATOR,
    OP_ENDIF,
    OP_IF,
    OP_PUSHDATA1,
    OP_PUSHDATA4,
)
from misocoin.script.result import ScriptError, ScriptFailure
from misocoin.script.script import MAX_SCRIPT_SIZE, is_minimal_push, read_operation
from misocoin.script.signature_ops import (
    LEGACY_SIGNATURE_OPERATIONS,
    TAPSCRIPT_SIGNATURE_OPERATIONS,
)
from misocoin.script.stack_ops import STACK_OPERATIONS, Handler, OperationTable


def _table(signature_operations: OperationTable) -> tuple[tuple[int, Handler], ...]:
    known = {**CONTROL_OPERATIONS, **STACK_OPERATIONS, **signature_operations}
    return tuple(known.get(opcode, (0, bad_opcode)) for opcode in range(256))


_LEGACY_TABLE = _table(LEGACY_SIGNATURE_OPERATIONS)
_TAPSCRIPT_TABLE = _table(TAPSCRIPT_SIGNATURE_OPERATIONS)
_STANDING = DISABLED | {OP_CODESEPARATOR}


def _read_long_push(script: bytes, at: int) -> tuple[bytes, int]:
    """The data of the PUSHDATA operation at `at`, and the offset behind it."""
    _, data, after = read_operation(script, at)
    if data is None:
        raise ScriptFailure(ScriptError.BAD_OPCODE)
    if len(data) > MAX_ELEMENT_SIZE:
        raise ScriptFailure(ScriptError.PUSH_SIZE)
    return data, after


def _check_standing_opcode(machine: Machine, opcode: int) -> None:
    """What fails a script by standing in it, on whatever branch."""
    if opcode in DISABLED:
        raise ScriptFailure(ScriptError.DISABLED_OPCODE)
    if machine.version is SigVersion.BASE and machine.flags & CONST_SCRIPTCODE:
        raise ScriptFailure(ScriptError.OP_CODESEPARATOR)


def evaluate(machine: Machine) -> None:
    """Run the machine's script to its end on the machine's stack.

    Raises ScriptFailure where it fails; what is left on the stack is for the caller to judge.
    """
    script = machine.script
    end = len(script)
    tapscript = machine.version is SigVersion.TAPSCRIPT
    if end > MAX_SCRIPT_SIZE and not tapscript:
        raise ScriptFailure(ScriptError.SCRIPT_SIZE)
    table = _TAPSCRIPT_TABLE if tapscript else _LEGACY_TABLE
    stack, altstack = machine.stack, machine.altstack
    require_minimal = machine.require_minimal
    executing = True
    at = index = 0
    while at < end:
        opcode = script[at]
        if opcode <= OP_PUSHDATA4:
            if opcode < OP_PUSHDATA1:
                start = at + 1
                at = start + opcode
                if at > end:
                    raise ScriptFailure(ScriptError.BAD_OPCODE)
                data = script[start:at]
            else:
                data, at = _read_long_push(script, at)
            if executing:
                if require_minimal and not is_minimal_push(opcode, data):
                    raise ScriptFailure(ScriptError.MINIMALDATA)
                stack.append(data)
        else:
            at += 1
            if opcode > OP_16 and not tapscript:
                machine.op_count += 1
                if machine.op_count > MAX_OPERATIONS:
                    raise ScriptFailure(ScriptError.OP_COUNT)
            if opcode in _STANDING:
                _check_standing_opcode(machine, opcode)
            if executing or OP_IF <= opcode <= OP_ENDIF:
                arity, operate = table[opcode]
                if len(stack) < arity:
                    raise ScriptFailure(ScriptError.INVALID_STACK_OPERATION)
                machine.position = at
                machine.op_index = index
                operate(machine)
                executing = machine.first_false < 0
        if len(stack) + len(altstack) > MAX_STACK_SIZE:
            raise ScriptFailure(ScriptError.STACK_SIZE)
        index += 1
    if machine.depth:
        raise ScriptFailure(ScriptError.UNBALANCED_CONDITIONAL)
