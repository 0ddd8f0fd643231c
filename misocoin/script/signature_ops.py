"""The operations that check signatures, before tapscript and in it."""

from types import MappingProxyType

from misocoin.script import opcodes as op
from misocoin.script.encoding import public_key_encoding_error, signature_encoding_error
from misocoin.script.flags import (
    CONST_SCRIPTCODE,
    DISCOURAGE_UPGRADABLE_PUBKEYTYPE,
    NULLDUMMY,
    NULLFAIL,
)
from misocoin.script.machine import FALSE, MAX_OPERATIONS, TRUE, Machine, SigVersion
from misocoin.script.numbers import bytes_from_number
from misocoin.script.result import ScriptError, ScriptFailure
from misocoin.script.script import find_and_delete, push_data
from misocoin.script.sigops import MAX_KEYS_PER_MULTISIG
from misocoin.script.stack_ops import Handler, OperationTable

VALIDATION_WEIGHT_PER_SIGNATURE = 50
"""What a signature check costs of a tapscript's budget (BIP342)."""

_CHECKSIGADD_NUMBER = -2


def _codeseparator(machine: Machine) -> None:
    machine.code_start = machine.position
    machine.codeseparator_position = machine.op_index


def _script_code(machine: Machine, signatures: list[bytes]) -> bytes:
    """What the signatures sign of the script; before segwit they are cut out of it themselves."""
    script_code = machine.script[machine.code_start :]
    if machine.version is SigVersion.BASE:
        for signature in signatures:
            script_code, found = find_and_delete(script_code, push_data(signature))
            if found and machine.flags & CONST_SCRIPTCODE:
                raise ScriptFailure(ScriptError.SIG_FINDANDDELETE)
    return script_code


def _check_encodings(machine: Machine, signature: bytes, public_key: bytes) -> None:
    flags = machine.flags
    error = signature_encoding_error(signature, flags) or public_key_encoding_error(
        public_key, flags, segwit=machine.version is SigVersion.WITNESS_V0
    )
    if error:
        raise ScriptFailure(error)


def _is_signed(machine: Machine) -> bool:
    """CHECKSIG before tapscript; pops signature and key."""
    signature, public_key = machine.stack[-2:]
    script_code = _script_code(machine, [signature])
    _check_encodings(machine, signature, public_key)
    valid = machine.checker.is_ecdsa_valid(
        signature, public_key, script_code, segwit=machine.version is SigVersion.WITNESS_V0
    )
    if not valid and signature and machine.flags & NULLFAIL:
        raise ScriptFailure(ScriptError.NULLFAIL)
    del machine.stack[-2:]
    return valid


def _checksig(machine: Machine) -> None:
    machine.stack.append(TRUE if _is_signed(machine) else FALSE)


def _checksigverify(machine: Machine) -> None:
    if not _is_signed(machine):
        raise ScriptFailure(ScriptError.CHECKSIGVERIFY)


def _multisig_layout(machine: Machine) -> tuple[list[bytes], list[bytes]]:
    """Read a multisig's keys and signatures, the topmost first; raises if they are not there."""
    stack = machine.stack
    if not stack:
        raise ScriptFailure(ScriptError.INVALID_STACK_OPERATION)
    key_count = machine.number(-1)
    if not 0 <= key_count <= MAX_KEYS_PER_MULTISIG:
        raise ScriptFailure(ScriptError.PUBKEY_COUNT)
    machine.op_count += key_count
    if machine.op_count > MAX_OPERATIONS:
        raise ScriptFailure(ScriptError.OP_COUNT)
    if len(stack) < key_count + 2:
        raise ScriptFailure(ScriptError.INVALID_STACK_OPERATION)
    signature_count = machine.number(-2 - key_count)
    if not 0 <= signature_count <= key_count:
        raise ScriptFailure(ScriptError.SIG_COUNT)
    if len(stack) < key_count + signature_count + 3:  # one more than is used, see _are_signed
        raise ScriptFailure(ScriptError.INVALID_STACK_OPERATION)
    above = stack[-1::-1]
    keys = above[1 : 1 + key_count]
    return keys, above[2 + key_count : 2 + key_count + signature_count]


def _are_signed(machine: Machine) -> bool:
    """CHECKMULTISIG; pops all its arguments.

    Keys and signatures are tried from the top of the stack on; a key that a signature does not
    hold under is passed over, and once more signatures than keys are left the answer is no.
    """
    keys, signatures = _multisig_layout(machine)
    script_code = _script_code(machine, signatures)
    segwit = machine.version is SigVersion.WITNESS_V0
    next_key = held = 0
    while held < len(signatures) and len(signatures) - held <= len(keys) - next_key:
        signature, key = signatures[held], keys[next_key]
        _check_encodings(machine, signature, key)
        # With as many keys as signatures left, a signature that fails ends it: nothing to guess.
        spare = len(keys) - next_key > len(signatures) - held
        if machine.checker.is_ecdsa_valid(
            signature, key, script_code, segwit=segwit, decide_now=spare
        ):
            held += 1
        next_key += 1
    valid = held == len(signatures)
    if not valid and machine.flags & NULLFAIL and any(signatures):
        raise ScriptFailure(ScriptError.NULLFAIL)
    stack = machine.stack
    del stack[len(stack) - len(keys) - len(signatures) - 2 :]
    # One element more is popped than was ever needed; it has been so from the start.
    if stack.pop() and machine.flags & NULLDUMMY:
        raise ScriptFailure(ScriptError.SIG_NULLDUMMY)
    return valid


def _checkmultisig(machine: Machine) -> None:
    machine.stack.append(TRUE if _are_signed(machine) else FALSE)


def _checkmultisigverify(machine: Machine) -> None:
    if not _are_signed(machine):
        raise ScriptFailure(ScriptError.CHECKMULTISIGVERIFY)


def _is_leaf_signed(machine: Machine, signature: bytes, public_key: bytes) -> bool:
    """A tapscript's signature check: an empty signature is a no, a wrong one ends the script."""
    if signature:
        machine.budget -= VALIDATION_WEIGHT_PER_SIGNATURE
        if machine.budget < 0:
            raise ScriptFailure(ScriptError.TAPSCRIPT_VALIDATION_WEIGHT)
    if not public_key:
        raise ScriptFailure(ScriptError.PUBKEYTYPE)
    if len(public_key) == 32:
        if signature:
            leaf = (machine.leaf_hash, machine.codeseparator_position)
            error = machine.checker.schnorr_error(signature, public_key, machine.annex_hash, leaf)
            if error:
                raise ScriptFailure(error)
    elif machine.flags & DISCOURAGE_UPGRADABLE_PUBKEYTYPE:
        raise ScriptFailure(ScriptError.DISCOURAGE_UPGRADABLE_PUBKEYTYPE)
    return bool(signature)


def _tap_checksig(machine: Machine) -> None:
    valid = _is_leaf_signed(machine, *machine.stack[-2:])
    machine.stack[-2:] = [TRUE if valid else FALSE]


def _tap_checksigverify(machine: Machine) -> None:
    if not _is_leaf_signed(machine, *machine.stack[-2:]):
        raise ScriptFailure(ScriptError.CHECKSIGVERIFY)
    del machine.stack[-2:]


def _tap_checksigadd(machine: Machine) -> None:
    signature, _, public_key = machine.stack[-3:]
    number = machine.number(_CHECKSIGADD_NUMBER)
    valid = _is_leaf_signed(machine, signature, public_key)
    machine.stack[-3:] = [bytes_from_number(number + valid)]


def _tap_checkmultisig(machine: Machine) -> None:
    raise ScriptFailure(ScriptError.TAPSCRIPT_CHECKMULTISIG)


_CODESEPARATOR: tuple[int, Handler] = (0, _codeseparator)

LEGACY_SIGNATURE_OPERATIONS: OperationTable = MappingProxyType(
    {
        op.OP_CODESEPARATOR: _CODESEPARATOR,
        op.OP_CHECKSIG: (2, _checksig),
        op.OP_CHECKSIGVERIFY: (2, _checksigverify),
        op.OP_CHECKMULTISIG: (0, _checkmultisig),
        op.OP_CHECKMULTISIGVERIFY: (0, _checkmultisigverify),
    }
)
"""Legacy and segwit v0."""

TAPSCRIPT_SIGNATURE_OPERATIONS: OperationTable = MappingProxyType(
    {
        op.OP_CODESEPARATOR: _CODESEPARATOR,
        op.OP_CHECKSIG: (2, _tap_checksig),
        op.OP_CHECKSIGVERIFY: (2, _tap_checksigverify),
        op.OP_CHECKSIGADD: (3, _tap_checksigadd),
        op.OP_CHECKMULTISIG: (0, _tap_checkmultisig),
        op.OP_CHECKMULTISIGVERIFY: (0, _tap_checkmultisig),
    }
)
"""Tapscript (BIP342)."""
