"""Readers of the notation in which Bitcoin Core's script vectors are written."""

import re
from decimal import Decimal

from misocoin.primitives.transaction import (
    NULL_OUTPOINT,
    Transaction,
    TxIn,
    TxOut,
)
from misocoin.script import flags as verify_flags
from misocoin.script.opcodes import OP_NOP, OP_RESERVED, OPCODE_NAMES
from misocoin.script.script import push_data, push_int

_OPCODES = {
    name: opcode
    for opcode, name in OPCODE_NAMES.items()
    if opcode >= OP_NOP or opcode == OP_RESERVED
} | {"OP_NOP2": 0xB1, "OP_NOP3": 0xB2}


def script_from_text(text: str) -> bytes:
    """Numbers, `0x` raw bytes, 'quoted' pushes, opcodes with or without OP_."""
    script = b""
    for word in text.split():
        if re.fullmatch(r"-?\d+", word):
            script += push_int(int(word))
        elif word.startswith("0x"):
            script += bytes.fromhex(word[2:])
        elif word[0] == word[-1] == "'":
            script += push_data(word[1:-1].encode())
        else:
            script += bytes((_OPCODES[word if word.startswith("OP_") else "OP_" + word],))
    return script


def flags_from_text(text: str) -> int:
    return verify_flags.flags_from_names(
        name for name in text.split(",") if name not in {"", "NONE"}
    )


def sats_from_number(number: float | int) -> int:
    return int(Decimal(str(number)) * 100_000_000)


def spend_of(
    script_sig: bytes, script_pubkey: bytes, witness: tuple[bytes, ...] = (), amount: int = 0
) -> tuple[Transaction, tuple[TxOut, ...]]:
    """Core's pair of transactions: a coin with that script, and its spend; with what it spends."""
    output = TxOut(amount, script_pubkey)
    credit = Transaction.build(1, [TxIn(NULL_OUTPOINT, b"\x00\x00")], [output])
    spend = Transaction.build(
        1, [TxIn(credit.outpoint(0), script_sig, witness=witness)], [TxOut(amount, b"")]
    )
    return spend, (output,)
