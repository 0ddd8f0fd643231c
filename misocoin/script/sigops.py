"""Counting the signature operations of scripts, as the limit per block counts them.

The counts are of what stands in a script, not of what is run. Sources: Core's `GetSigOpCount`,
BIP16, BIP141.
"""

from collections.abc import Sequence

from misocoin.script.opcodes import (
    OP_1,
    OP_16,
    OP_CHECKMULTISIGVERIFY,
    OP_CHECKSIG,
    OP_CHECKSIGVERIFY,
    OP_INVALIDOPCODE,
    OP_PUSHDATA1,
)
from misocoin.script.script import (
    is_p2sh,
    is_push_only,
    operations,
    read_operation,
    witness_program,
)

MAX_KEYS_PER_MULTISIG = 20
"""What a CHECKMULTISIG may hold at most, and counts as where its keys are not counted."""


def count_sigops(script: bytes, *, accurate: bool = False) -> int:
    """Signature operations up to the script's end or first malformed push.

    A multisig counts as 20, or with `accurate` as the small number right before it.
    """
    count = 0
    last = OP_INVALIDOPCODE
    at, end = 0, len(script)
    # The commonest outputs: what follows would find one CHECKSIG, or none.
    if end == 25 and script[:3] == b"\x76\xa9\x14" and script[23:] == b"\x88\xac":
        return 1
    if end == 22 and script[:2] == b"\x00\x14":
        return 0
    while at < end:
        opcode = script[at]
        if opcode < OP_PUSHDATA1:
            at += 1 + opcode
            if at > end:
                break
        else:
            opcode, data, at = read_operation(script, at)
            if data is None:
                break
            if OP_CHECKSIG <= opcode <= OP_CHECKMULTISIGVERIFY:
                if opcode in (OP_CHECKSIG, OP_CHECKSIGVERIFY):
                    count += 1
                elif accurate and OP_1 <= last <= OP_16:
                    count += last - OP_1 + 1
                else:
                    count += MAX_KEYS_PER_MULTISIG
        last = opcode
    return count


def _last_push(script_sig: bytes) -> bytes | None:
    """What a push-only script leaves on top, None for others; OP_1 and its like count as empty."""
    last = b""
    for opcode, data in operations(script_sig):
        if data is None or opcode > OP_16:
            return None
        last = data
    return last


def count_p2sh_sigops(script_sig: bytes, script_pubkey: bytes) -> int:
    """Signature operations in the script behind a script hash; 0 for outputs that are no P2SH."""
    if not is_p2sh(script_pubkey):
        return 0
    redeem_script = _last_push(script_sig)
    return 0 if redeem_script is None else count_sigops(redeem_script, accurate=True)


def _count_program_sigops(version: int, program: bytes, witness: Sequence[bytes]) -> int:
    if version != 0:
        return 0
    if len(program) == 20:
        return 1
    if len(program) == 32 and witness:
        return count_sigops(witness[-1], accurate=True)
    return 0


def count_witness_sigops(script_sig: bytes, script_pubkey: bytes, witness: Sequence[bytes]) -> int:
    """Signature operations of a segwit v0 spend, plain or inside P2SH; 0 for every other."""
    program = witness_program(script_pubkey)
    if program is None and is_p2sh(script_pubkey) and is_push_only(script_sig):
        program = witness_program(_last_push(script_sig) or b"")
    return 0 if program is None else _count_program_sigops(*program, witness)
