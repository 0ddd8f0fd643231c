"""The operations that steer a script: constants, conditionals, VERIFY, lock times, NOPs."""

from types import MappingProxyType

from misocoin.script import opcodes as op
from misocoin.script.flags import (
    CHECKLOCKTIMEVERIFY,
    CHECKSEQUENCEVERIFY,
    DISCOURAGE_UPGRADABLE_NOPS,
    MINIMALIF,
)
from misocoin.script.machine import FALSE, TRUE, Machine, SigVersion
from misocoin.script.numbers import bytes_from_number, is_true
from misocoin.script.result import ScriptError, ScriptFailure
from misocoin.script.stack_ops import Handler, OperationTable

_LOCKTIME_SIZE = 5  # bytes of an operand: 32 bits do not fit a signed number of four bytes
_SEQUENCE_DISABLED = 1 << 31


def bad_opcode(machine: Machine) -> None:
    """What every opcode without a meaning does when it is run."""
    raise ScriptFailure(ScriptError.BAD_OPCODE)


def _nop(machine: Machine) -> None:
    pass


def _upgradable_nop(machine: Machine) -> None:
    if machine.flags & DISCOURAGE_UPGRADABLE_NOPS:
        raise ScriptFailure(ScriptError.DISCOURAGE_UPGRADABLE_NOPS)


def _constant(number: int) -> tuple[int, Handler]:
    data = bytes_from_number(number)

    def push(machine: Machine) -> None:
        machine.stack.append(data)

    return 0, push


def _condition(machine: Machine) -> bool:
    """Pop the argument of IF or NOTIF, minimal where that is a rule."""
    if not machine.stack:
        raise ScriptFailure(ScriptError.UNBALANCED_CONDITIONAL)
    argument = machine.stack.pop()
    if machine.version is not SigVersion.BASE and argument not in (FALSE, TRUE):
        if machine.version is SigVersion.TAPSCRIPT:
            raise ScriptFailure(ScriptError.TAPSCRIPT_MINIMALIF)
        if machine.flags & MINIMALIF:
            raise ScriptFailure(ScriptError.MINIMALIF)
    return is_true(argument)


def _if(machine: Machine) -> None:
    machine.open_conditional(value=machine.first_false < 0 and _condition(machine))


def _notif(machine: Machine) -> None:
    machine.open_conditional(value=machine.first_false < 0 and not _condition(machine))


def _else(machine: Machine) -> None:
    if not machine.depth:
        raise ScriptFailure(ScriptError.UNBALANCED_CONDITIONAL)
    machine.toggle_conditional()


def _endif(machine: Machine) -> None:
    if not machine.depth:
        raise ScriptFailure(ScriptError.UNBALANCED_CONDITIONAL)
    machine.close_conditional()


def _verify(machine: Machine) -> None:
    if not is_true(machine.stack[-1]):
        raise ScriptFailure(ScriptError.VERIFY)
    del machine.stack[-1]


def _return(machine: Machine) -> None:
    raise ScriptFailure(ScriptError.OP_RETURN)


def _lock_argument(machine: Machine) -> int:
    """The argument of BIP65 and BIP112, which stays on the stack."""
    if not machine.stack:
        raise ScriptFailure(ScriptError.INVALID_STACK_OPERATION)
    number = machine.number(-1, _LOCKTIME_SIZE)
    if number < 0:
        raise ScriptFailure(ScriptError.NEGATIVE_LOCKTIME)
    return number


def _checklocktimeverify(machine: Machine) -> None:
    if not machine.flags & CHECKLOCKTIMEVERIFY:
        return
    if not machine.checker.is_locktime_met(_lock_argument(machine)):
        raise ScriptFailure(ScriptError.UNSATISFIED_LOCKTIME)


def _checksequenceverify(machine: Machine) -> None:
    if not machine.flags & CHECKSEQUENCEVERIFY:
        return
    sequence = _lock_argument(machine)
    if sequence & _SEQUENCE_DISABLED:
        return
    if not machine.checker.is_sequence_met(sequence):
        raise ScriptFailure(ScriptError.UNSATISFIED_LOCKTIME)


CONTROL_OPERATIONS: OperationTable = MappingProxyType(
    {
        op.OP_1NEGATE: _constant(-1),
        **{op.OP_1 + number - 1: _constant(number) for number in range(1, 17)},
        op.OP_NOP: (0, _nop),
        op.OP_IF: (0, _if),
        op.OP_NOTIF: (0, _notif),
        op.OP_ELSE: (0, _else),
        op.OP_ENDIF: (0, _endif),
        op.OP_VERIFY: (1, _verify),
        op.OP_RETURN: (0, _return),
        op.OP_CHECKLOCKTIMEVERIFY: (0, _checklocktimeverify),
        op.OP_CHECKSEQUENCEVERIFY: (0, _checksequenceverify),
        op.OP_NOP1: (0, _upgradable_nop),
        **{nop: (0, _upgradable_nop) for nop in range(op.OP_NOP4, op.OP_NOP10 + 1)},
    }
)
"""All of them; the argument of conditionals and lock times is checked by the operation itself."""
