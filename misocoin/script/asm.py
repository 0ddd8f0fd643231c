"""Scripts as text, in the form Core's RPCs print them."""

from types import MappingProxyType

from misocoin.script.encoding import signature_encoding_error
from misocoin.script.flags import STRICTENC
from misocoin.script.numbers import MAX_NUMBER_SIZE, number_from_bytes
from misocoin.script.opcodes import OP_PUSHDATA4, opcode_name
from misocoin.script.script import is_unspendable, operations

HASH_TYPE_NAMES = MappingProxyType(
    {
        0x01: "ALL",
        0x02: "NONE",
        0x03: "SINGLE",
        0x81: "ALL|ANYONECANPAY",
        0x82: "NONE|ANYONECANPAY",
        0x83: "SINGLE|ANYONECANPAY",
    }
)
"""Hash type of a signature -> its name."""


def _data_text(data: bytes, name_hash_types: bool) -> str:
    if len(data) <= MAX_NUMBER_SIZE:
        return str(number_from_bytes(data))
    if name_hash_types and signature_encoding_error(data, STRICTENC) is None:
        return f"{data[:-1].hex()}[{HASH_TYPE_NAMES[data[-1]]}]"
    return data.hex()


def asm_from_script(script: bytes, *, name_hash_types: bool = False) -> str:
    """The script's operations, parted by spaces; `[error]` where it is cut off.

    Pushes of up to four bytes are shown as numbers, longer ones as hex. `name_hash_types` writes
    the last byte of what looks like a signature as `[ALL]` and the like, as for a scriptSig.
    """
    name_hash_types = name_hash_types and not is_unspendable(script)
    words = []
    for opcode, data in operations(script):
        if data is None:
            words.append("[error]")
        elif opcode <= OP_PUSHDATA4:
            words.append(_data_text(data, name_hash_types))
        else:
            words.append(opcode_name(opcode))
    return " ".join(words)
