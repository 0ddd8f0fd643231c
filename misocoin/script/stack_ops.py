"""The operations on the stack: moving, arithmetic, comparing, hashing.

Each is a function of the machine; the table beside it says how many elements it needs.
"""

import operator
from collections.abc import Callable, Mapping
from types import MappingProxyType

from misocoin.crypto.hashes import hash160, ripemd160, sha1, sha256, sha256d
from misocoin.script import opcodes as op
from misocoin.script.machine import FALSE, TRUE, Machine
from misocoin.script.numbers import bytes_from_number, is_true
from misocoin.script.result import ScriptError, ScriptFailure

Handler = Callable[[Machine], None]
OperationTable = Mapping[int, tuple[int, Handler]]
"""Opcode -> (elements that must be on the stack, what it does)."""


def _toaltstack(machine: Machine) -> None:
    machine.altstack.append(machine.stack.pop())


def _fromaltstack(machine: Machine) -> None:
    if not machine.altstack:
        raise ScriptFailure(ScriptError.INVALID_ALTSTACK_OPERATION)
    machine.stack.append(machine.altstack.pop())


def _2drop(machine: Machine) -> None:
    del machine.stack[-2:]


def _2dup(machine: Machine) -> None:
    machine.stack += machine.stack[-2:]


def _3dup(machine: Machine) -> None:
    machine.stack += machine.stack[-3:]


def _2over(machine: Machine) -> None:
    machine.stack += machine.stack[-4:-2]


def _2rot(machine: Machine) -> None:
    stack = machine.stack
    stack += stack[-6:-4]
    del stack[-8:-6]


def _2swap(machine: Machine) -> None:
    stack = machine.stack
    stack[-4:] = stack[-2:] + stack[-4:-2]


def _ifdup(machine: Machine) -> None:
    if is_true(machine.stack[-1]):
        machine.stack.append(machine.stack[-1])


def _depth(machine: Machine) -> None:
    machine.stack.append(bytes_from_number(len(machine.stack)))


def _drop(machine: Machine) -> None:
    del machine.stack[-1]


def _dup(machine: Machine) -> None:
    machine.stack.append(machine.stack[-1])


def _nip(machine: Machine) -> None:
    del machine.stack[-2]


def _over(machine: Machine) -> None:
    machine.stack.append(machine.stack[-2])


def _depth_argument(machine: Machine) -> int:
    """Pop how deep PICK and ROLL shall reach, as an index from the top."""
    depth = machine.number(-1)
    machine.stack.pop()
    if not 0 <= depth < len(machine.stack):
        raise ScriptFailure(ScriptError.INVALID_STACK_OPERATION)
    return -1 - depth


def _pick(machine: Machine) -> None:
    machine.stack.append(machine.stack[_depth_argument(machine)])


def _roll(machine: Machine) -> None:
    machine.stack.append(machine.stack.pop(_depth_argument(machine)))


def _rot(machine: Machine) -> None:
    machine.stack.append(machine.stack.pop(-3))


def _swap(machine: Machine) -> None:
    stack = machine.stack
    stack[-2], stack[-1] = stack[-1], stack[-2]


def _tuck(machine: Machine) -> None:
    machine.stack.insert(-2, machine.stack[-1])


def _size(machine: Machine) -> None:
    machine.stack.append(bytes_from_number(len(machine.stack[-1])))


def _equal(machine: Machine) -> None:
    stack = machine.stack
    last = stack.pop()
    stack[-1] = TRUE if stack[-1] == last else FALSE


def _equalverify(machine: Machine) -> None:
    stack = machine.stack
    if stack.pop() != stack.pop():
        raise ScriptFailure(ScriptError.EQUALVERIFY)


def _numequalverify(machine: Machine) -> None:
    if machine.number(-2) != machine.number(-1):
        raise ScriptFailure(ScriptError.NUMEQUALVERIFY)
    del machine.stack[-2:]


def _within(machine: Machine) -> None:
    value, low, high = machine.number(-3), machine.number(-2), machine.number(-1)
    machine.stack[-3:] = [TRUE if low <= value < high else FALSE]


def _unary(function: Callable[[int], int]) -> tuple[int, Handler]:
    def operate(machine: Machine) -> None:
        machine.stack[-1] = bytes_from_number(function(machine.number(-1)))

    return 1, operate


def _binary(function: Callable[[int, int], int]) -> tuple[int, Handler]:
    def operate(machine: Machine) -> None:
        result = function(machine.number(-2), machine.number(-1))
        machine.stack[-2:] = [bytes_from_number(result)]

    return 2, operate


def _hash(function: Callable[[bytes], bytes]) -> tuple[int, Handler]:
    def operate(machine: Machine) -> None:
        machine.stack[-1] = function(machine.stack[-1])

    return 1, operate


def _add_one(number: int) -> int:
    return number + 1


def _subtract_one(number: int) -> int:
    return number - 1


def _is_nonzero(number: int) -> int:
    return number != 0


def _are_both_nonzero(first: int, second: int) -> int:
    return first != 0 and second != 0


def _is_any_nonzero(first: int, second: int) -> int:
    return first != 0 or second != 0


STACK_OPERATIONS: OperationTable = MappingProxyType(
    {
        op.OP_TOALTSTACK: (1, _toaltstack),
        op.OP_FROMALTSTACK: (0, _fromaltstack),
        op.OP_2DROP: (2, _2drop),
        op.OP_2DUP: (2, _2dup),
        op.OP_3DUP: (3, _3dup),
        op.OP_2OVER: (4, _2over),
        op.OP_2ROT: (6, _2rot),
        op.OP_2SWAP: (4, _2swap),
        op.OP_IFDUP: (1, _ifdup),
        op.OP_DEPTH: (0, _depth),
        op.OP_DROP: (1, _drop),
        op.OP_DUP: (1, _dup),
        op.OP_NIP: (2, _nip),
        op.OP_OVER: (2, _over),
        op.OP_PICK: (2, _pick),
        op.OP_ROLL: (2, _roll),
        op.OP_ROT: (3, _rot),
        op.OP_SWAP: (2, _swap),
        op.OP_TUCK: (2, _tuck),
        op.OP_SIZE: (1, _size),
        op.OP_EQUAL: (2, _equal),
        op.OP_EQUALVERIFY: (2, _equalverify),
        op.OP_1ADD: _unary(_add_one),
        op.OP_1SUB: _unary(_subtract_one),
        op.OP_NEGATE: _unary(operator.neg),
        op.OP_ABS: _unary(abs),
        op.OP_NOT: _unary(operator.not_),
        op.OP_0NOTEQUAL: _unary(_is_nonzero),
        op.OP_ADD: _binary(operator.add),
        op.OP_SUB: _binary(operator.sub),
        op.OP_BOOLAND: _binary(_are_both_nonzero),
        op.OP_BOOLOR: _binary(_is_any_nonzero),
        op.OP_NUMEQUAL: _binary(operator.eq),
        op.OP_NUMEQUALVERIFY: (2, _numequalverify),
        op.OP_NUMNOTEQUAL: _binary(operator.ne),
        op.OP_LESSTHAN: _binary(operator.lt),
        op.OP_GREATERTHAN: _binary(operator.gt),
        op.OP_LESSTHANOREQUAL: _binary(operator.le),
        op.OP_GREATERTHANOREQUAL: _binary(operator.ge),
        op.OP_MIN: _binary(min),
        op.OP_MAX: _binary(max),
        op.OP_WITHIN: (3, _within),
        op.OP_RIPEMD160: _hash(ripemd160),
        op.OP_SHA1: _hash(sha1),
        op.OP_SHA256: _hash(sha256),
        op.OP_HASH160: _hash(hash160),
        op.OP_HASH256: _hash(sha256d),
    }
)
"""All of them."""
