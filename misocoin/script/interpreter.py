"""Whether an input may spend an output: all of Bitcoin's script rules.

Sources: Bitcoin Core's `VerifyScript`; BIP16, BIP65, BIP66, BIP112, BIP141, BIP143, BIP147,
BIP341, BIP342.
"""

from collections.abc import Sequence

from misocoin.codec import compact_size
from misocoin.crypto.hashes import sha256
from misocoin.script import flags as verify_flags
from misocoin.script.checker import SignatureChecker
from misocoin.script.evaluate import evaluate
from misocoin.script.machine import MAX_ELEMENT_SIZE, MAX_STACK_SIZE, Machine, SigVersion
from misocoin.script.numbers import is_true
from misocoin.script.opcodes import OP_SUCCESS
from misocoin.script.result import ScriptError, ScriptFailure
from misocoin.script.script import (
    is_p2sh,
    is_push_only,
    operations,
    push_data,
    witness_program,
)
from misocoin.script.sighash import annex_hash
from misocoin.script.signature_ops import VALIDATION_WEIGHT_PER_SIGNATURE
from misocoin.script.taproot import (
    ANNEX_TAG,
    LEAF_TAPSCRIPT,
    control_block_from_bytes,
    is_committed,
    leaf_hash,
)
from misocoin.script.templates import P2A_PROGRAM


def verify_script(
    script_sig: bytes,
    script_pubkey: bytes,
    witness: Sequence[bytes],
    flags: int,
    checker: SignatureChecker,
) -> ScriptError | None:
    """Whether `script_sig` and `witness` satisfy `script_pubkey`: None if so, else why not.

    `flags` are those of `misocoin.script.flags`; CLEANSTACK and TAPROOT go together with WITNESS,
    and WITNESS with P2SH. Never raises, whatever the bytes are.
    """
    try:
        _verify(script_sig, script_pubkey, witness, flags, checker)
    except ScriptFailure as failure:
        return failure.error
    return None


def _verify(
    script_sig: bytes,
    script_pubkey: bytes,
    witness: Sequence[bytes],
    flags: int,
    checker: SignatureChecker,
) -> None:
    if flags & verify_flags.SIGPUSHONLY and not is_push_only(script_sig):
        raise ScriptFailure(ScriptError.SIG_PUSHONLY)
    segwit = flags & verify_flags.WITNESS
    program = witness_program(script_pubkey) if segwit else None
    if program is not None and not script_sig:
        # Nothing to run: the output's script pushes version and program, nothing else.
        _check_true([program[1]])
        _verify_program(*program, witness, flags, checker)
        return
    stack: list[bytes] = []
    evaluate(Machine(stack, script_sig, flags, checker))
    pushed = stack.copy()
    evaluate(Machine(stack, script_pubkey, flags, checker))
    _check_true(stack)
    if program is not None:
        raise ScriptFailure(ScriptError.WITNESS_MALLEATED)
    if flags & verify_flags.P2SH and is_p2sh(script_pubkey):
        if not is_push_only(script_sig):
            raise ScriptFailure(ScriptError.SIG_PUSHONLY)
        stack = pushed
        redeem_script = stack.pop()
        evaluate(Machine(stack, redeem_script, flags, checker))
        _check_true(stack)
        program = witness_program(redeem_script) if segwit else None
        if program is not None:
            if script_sig != push_data(redeem_script):
                raise ScriptFailure(ScriptError.WITNESS_MALLEATED_P2SH)
            _verify_program(*program, witness, flags, checker, in_p2sh=True)
            return
    if flags & verify_flags.CLEANSTACK and len(stack) != 1:
        raise ScriptFailure(ScriptError.CLEANSTACK)
    if segwit and witness:
        raise ScriptFailure(ScriptError.WITNESS_UNEXPECTED)


def _check_true(stack: list[bytes]) -> None:
    if not stack or not is_true(stack[-1]):
        raise ScriptFailure(ScriptError.EVAL_FALSE)


def _verify_program(
    version: int,
    program: bytes,
    witness: Sequence[bytes],
    flags: int,
    checker: SignatureChecker,
    *,
    in_p2sh: bool = False,
) -> None:
    """Check a witness against the program that an output pays to (BIP141)."""
    if version == 0:
        _verify_version_0(program, witness, flags, checker)
    elif version == 1 and len(program) == 32 and not in_p2sh:
        if flags & verify_flags.TAPROOT:
            _verify_taproot(program, witness, flags, checker)
    elif version == 1 and program == P2A_PROGRAM and not in_p2sh:
        pass
    elif flags & verify_flags.DISCOURAGE_UPGRADABLE_WITNESS_PROGRAM:
        raise ScriptFailure(ScriptError.DISCOURAGE_UPGRADABLE_WITNESS_PROGRAM)


def _verify_version_0(
    program: bytes, witness: Sequence[bytes], flags: int, checker: SignatureChecker
) -> None:
    stack = list(witness)
    if len(program) == 32:
        if not stack:
            raise ScriptFailure(ScriptError.WITNESS_PROGRAM_WITNESS_EMPTY)
        script = stack.pop()
        if sha256(script) != program:
            raise ScriptFailure(ScriptError.WITNESS_PROGRAM_MISMATCH)
    elif len(program) == 20:
        if len(stack) != 2:
            raise ScriptFailure(ScriptError.WITNESS_PROGRAM_MISMATCH)
        script = b"\x76\xa9\x14" + program + b"\x88\xac"
    else:
        raise ScriptFailure(ScriptError.WITNESS_PROGRAM_WRONG_LENGTH)
    _run_witness_script(Machine(stack, script, flags, checker, SigVersion.WITNESS_V0))


def _run_witness_script(machine: Machine) -> None:
    if any(len(element) > MAX_ELEMENT_SIZE for element in machine.stack):
        raise ScriptFailure(ScriptError.PUSH_SIZE)
    evaluate(machine)
    if len(machine.stack) != 1:
        raise ScriptFailure(ScriptError.CLEANSTACK)
    _check_true(machine.stack)


def _verify_taproot(
    output_key: bytes, witness: Sequence[bytes], flags: int, checker: SignatureChecker
) -> None:
    """Check a spend by key path or script path (BIP341)."""
    stack = list(witness)
    if not stack:
        raise ScriptFailure(ScriptError.WITNESS_PROGRAM_WITNESS_EMPTY)
    annex = None
    if len(stack) >= 2 and stack[-1][:1] == bytes((ANNEX_TAG,)):
        annex = annex_hash(stack.pop())
    if len(stack) == 1:
        error = checker.schnorr_error(stack[0], output_key, annex)
        if error:
            raise ScriptFailure(error)
        return
    control = control_block_from_bytes(stack.pop())
    script = stack.pop()
    if control is None:
        raise ScriptFailure(ScriptError.TAPROOT_WRONG_CONTROL_SIZE)
    leaf = leaf_hash(control.leaf_version, script)
    if not is_committed(control, leaf, output_key):
        raise ScriptFailure(ScriptError.WITNESS_PROGRAM_MISMATCH)
    if control.leaf_version == LEAF_TAPSCRIPT:
        machine = Machine(stack, script, flags, checker, SigVersion.TAPSCRIPT)
        machine.leaf_hash = leaf
        machine.annex_hash = annex
        machine.budget = _witness_size(witness) + VALIDATION_WEIGHT_PER_SIGNATURE
        _run_tapscript(machine)
    elif flags & verify_flags.DISCOURAGE_UPGRADABLE_TAPROOT_VERSION:
        raise ScriptFailure(ScriptError.DISCOURAGE_UPGRADABLE_TAPROOT_VERSION)


def _witness_size(witness: Sequence[bytes]) -> int:
    """Bytes of a witness on the wire, its count included."""
    return len(compact_size(len(witness))) + sum(
        len(compact_size(len(element))) + len(element) for element in witness
    )


def _run_tapscript(machine: Machine) -> None:
    """BIP342: an OP_SUCCESS anywhere up to a malformed push makes the script hold at once."""
    for opcode, data in operations(machine.script):
        if data is None:
            raise ScriptFailure(ScriptError.BAD_OPCODE)
        if opcode in OP_SUCCESS:
            if machine.flags & verify_flags.DISCOURAGE_OP_SUCCESS:
                raise ScriptFailure(ScriptError.DISCOURAGE_OP_SUCCESS)
            return
    if len(machine.stack) > MAX_STACK_SIZE:
        raise ScriptFailure(ScriptError.STACK_SIZE)
    _run_witness_script(machine)
