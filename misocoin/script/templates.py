"""The standard forms of output scripts: telling them apart and building them."""

from enum import Enum
from typing import NamedTuple

from misocoin.script.encoding import has_public_key_form
from misocoin.script.machine import MAX_ELEMENT_SIZE
from misocoin.script.numbers import number_from_bytes
from misocoin.script.opcodes import (
    OP_1,
    OP_16,
    OP_CHECKMULTISIG,
    OP_NOP10,
    OP_PUSHDATA4,
    OP_RETURN,
)
from misocoin.script.result import ScriptFailure
from misocoin.script.script import (
    is_minimal_push,
    is_p2sh,
    is_push_only,
    operations,
    push_data,
    push_int,
    witness_program,
)
from misocoin.script.sigops import MAX_KEYS_PER_MULTISIG

P2A_PROGRAM = b"\x4e\x73"
"""The witness program (version 1) of pay-to-anchor: anyone may spend it, to raise a fee."""

P2A_SCRIPT = b"\x51\x02" + P2A_PROGRAM
"""Pay-to-anchor."""


class ScriptKind(Enum):
    """The form of an output's script; the value is Core's name for it."""

    NONSTANDARD = "nonstandard"
    ANCHOR = "anchor"
    P2PK = "pubkey"
    P2PKH = "pubkeyhash"
    P2SH = "scripthash"
    MULTISIG = "multisig"
    NULLDATA = "nulldata"
    P2WPKH = "witness_v0_keyhash"
    P2WSH = "witness_v0_scripthash"
    P2TR = "witness_v1_taproot"
    WITNESS_UNKNOWN = "witness_unknown"


class ScriptTemplate(NamedTuple):
    """An output's script, recognised."""

    kind: ScriptKind
    solutions: tuple[bytes, ...] = ()
    """What fills the form: the public keys, the hash, the witness program."""
    required: int = 0
    """Multisig: how many signatures."""
    version: int = 0
    """Segwit: the witness version."""


# Two counts of two bytes, twenty pushes of uncompressed keys, the opcode.
_MAX_MULTISIG_SIZE = 2 + 66 * MAX_KEYS_PER_MULTISIG + 2 + 1
_NONSTANDARD = ScriptTemplate(ScriptKind.NONSTANDARD)
_FIXED_PROGRAMS = {
    (0, 20): ScriptKind.P2WPKH,
    (0, 32): ScriptKind.P2WSH,
    (1, 32): ScriptKind.P2TR,
}


def has_valid_operations(script: bytes) -> bool:
    """Whether the script is whole, of known opcodes, and of pushes that fit an element."""
    return all(
        data is not None and opcode <= OP_NOP10 and len(data) <= MAX_ELEMENT_SIZE
        for opcode, data in operations(script)
    )


def is_p2pkh(script: bytes) -> bool:
    """Whether this is exactly DUP HASH160 <20 bytes> EQUALVERIFY CHECKSIG."""
    return len(script) == 25 and script[:3] == b"\x76\xa9\x14" and script[23:] == b"\x88\xac"


def template_from_script(script: bytes) -> ScriptTemplate:
    """Which standard form `script` has, and what fills it (Core's `Solver`)."""
    if is_p2pkh(script):
        return ScriptTemplate(ScriptKind.P2PKH, (script[3:23],))
    if is_p2sh(script):
        return ScriptTemplate(ScriptKind.P2SH, (script[2:22],))
    program = witness_program(script)
    if program is not None:
        return _from_program(*program)
    if script[:1] == bytes((OP_RETURN,)) and is_push_only(script[1:]):
        return ScriptTemplate(ScriptKind.NULLDATA)
    key = script[1:-1]
    if script[-1:] == b"\xac" and script[0] == len(key) and has_public_key_form(key):
        return ScriptTemplate(ScriptKind.P2PK, (key,))
    return _multisig(script) or _NONSTANDARD


def _from_program(version: int, program: bytes) -> ScriptTemplate:
    kind = _FIXED_PROGRAMS.get((version, len(program)))
    if kind is None:
        if version == 0:
            return _NONSTANDARD
        anchor = (version, program) == (1, P2A_PROGRAM)
        kind = ScriptKind.ANCHOR if anchor else ScriptKind.WITNESS_UNKNOWN
    return ScriptTemplate(kind, (program,), version=version)


def count_from_operation(opcode: int, data: bytes) -> int | None:
    """A number that an operation pushes in its shortest form, None for anything else."""
    if OP_1 <= opcode <= OP_16:
        return opcode - OP_1 + 1
    if opcode > OP_PUSHDATA4 or not is_minimal_push(opcode, data):
        return None
    try:
        return number_from_bytes(data, require_minimal=True)
    except ScriptFailure:
        return None


def _multisig(script: bytes) -> ScriptTemplate | None:
    """Recognise m <key> ... <key> n CHECKMULTISIG with 1 <= m <= n <= 20."""
    if script[-1:] != bytes((OP_CHECKMULTISIG,)) or len(script) > _MAX_MULTISIG_SIZE:
        return None
    parts = [(opcode, data) for opcode, data in operations(script) if data is not None]
    if len(parts) < 4 or parts[-1][0] != OP_CHECKMULTISIG:
        return None
    required, count = count_from_operation(*parts[0]), count_from_operation(*parts[-2])
    keys = tuple(data for _, data in parts[1:-2])
    if required is None or count != len(keys) or not 1 <= required <= count:
        return None
    if count > MAX_KEYS_PER_MULTISIG or not all(map(has_public_key_form, keys)):
        return None
    return ScriptTemplate(ScriptKind.MULTISIG, keys, required=required)


def p2pk_script(public_key: bytes) -> bytes:
    """Pay to a public key (33 or 65 bytes)."""
    return push_data(public_key) + b"\xac"


def p2pkh_script(key_hash: bytes) -> bytes:
    """Pay to the HASH160 of a public key, 20 bytes."""
    return b"\x76\xa9\x14" + key_hash + b"\x88\xac"


def p2sh_script(script_hash: bytes) -> bytes:
    """Pay to the HASH160 of a script, 20 bytes (BIP16)."""
    return b"\xa9\x14" + script_hash + b"\x87"


def multisig_script(required: int, public_keys: tuple[bytes, ...]) -> bytes:
    """Pay to `required` of the keys; raises ValueError for counts that no script can hold."""
    if not 1 <= required <= len(public_keys) <= MAX_KEYS_PER_MULTISIG:
        raise ValueError(f"{required} of {len(public_keys)} keys is no multisig")
    keys = b"".join(map(push_data, public_keys))
    return push_int(required) + keys + push_int(len(public_keys)) + bytes((OP_CHECKMULTISIG,))


def witness_script(version: int, program: bytes) -> bytes:
    """Pay to a witness program (BIP141); raises ValueError if there can be no such."""
    if not 0 <= version <= 16 or not 2 <= len(program) <= 40:
        raise ValueError(f"no witness program of version {version} has {len(program)} bytes")
    return push_int(version) + push_data(program)


def p2wpkh_script(key_hash: bytes) -> bytes:
    """Pay to the HASH160 of a compressed public key, 20 bytes, by witness (BIP141)."""
    return b"\x00\x14" + key_hash


def p2wsh_script(script_hash: bytes) -> bytes:
    """Pay to the SHA-256 of a script, 32 bytes, by witness (BIP141)."""
    return b"\x00\x20" + script_hash


def p2tr_script(output_key: bytes) -> bytes:
    """Pay to a taproot output key, 32 bytes (BIP341)."""
    return b"\x51\x20" + output_key


def nulldata_script(*data: bytes) -> bytes:
    """An output that carries data and that nobody can spend."""
    return bytes((OP_RETURN,)) + b"".join(map(push_data, data))
