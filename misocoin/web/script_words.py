"""A script told operation by operation, for people who learn how it works.

Sources: Bitcoin Core's `interpreter.cpp` for what each operation does, BIP65, BIP112, BIP342.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from misocoin.script.opcodes import OP_1, OP_16, OP_PUSHDATA4, opcode_name
from misocoin.script.script import operations
from misocoin.script.templates import ScriptKind

MOST_STEPS = 200
"""Operations that are told of a script; the rest is counted."""

MOST_DATA = 80
"""Bytes of pushed data that are shown."""


class Step(NamedTuple):
    """One operation."""

    name: str
    """The opcode, or `push 20 bytes`."""
    data_hex: str
    """What it pushes, cut off where it is long; empty if it pushes nothing."""
    words: str
    """What it does."""


KIND_WORDS: Final[Mapping[ScriptKind, str]] = MappingProxyType(
    {
        ScriptKind.NONSTANDARD: "a script of no standard form",
        ScriptKind.ANCHOR: "anyone may spend it, to raise a transaction's fee (pay to anchor)",
        ScriptKind.P2PK: "whoever can sign with this public key may spend it",
        ScriptKind.P2PKH: "whoever can sign with the public key of this hash may spend it",
        ScriptKind.P2SH: "whoever shows this hash's script and meets it may spend it (BIP16)",
        ScriptKind.MULTISIG: "so many of these public keys must sign",
        ScriptKind.NULLDATA: "carries data; nobody can ever spend it",
        ScriptKind.P2WPKH: "whoever can sign with this hash's public key may spend it (BIP141)",
        ScriptKind.P2WSH: "whoever shows this hash's script and meets it may spend it (BIP141)",
        ScriptKind.P2TR: "whoever signs with this key or meets a script in it may spend (BIP341)",
        ScriptKind.WITNESS_UNKNOWN: "a witness version without rules yet: anyone may spend it",
    }
)
"""What an output's form means."""

_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "0": "push nothing: the empty string, which is also the number 0 and false",
        "-1": "push the number -1",
        "OP_RESERVED": "fail, if it is reached",
        "OP_NOP": "do nothing",
        "OP_VER": "fail, if it is reached",
        "OP_IF": "take the top off; go on here only if it is true",
        "OP_NOTIF": "take the top off; go on here only if it is false",
        "OP_VERIF": "fail, even where it is not reached",
        "OP_VERNOTIF": "fail, even where it is not reached",
        "OP_ELSE": "go on here only if the branch above was not taken",
        "OP_ENDIF": "end of the branches",
        "OP_VERIFY": "take the top off; fail unless it is true",
        "OP_RETURN": "fail: an output that begins so can never be spent",
        "OP_TOALTSTACK": "move the top to the other stack",
        "OP_FROMALTSTACK": "move the top of the other stack here",
        "OP_2DROP": "drop the two on top",
        "OP_2DUP": "copy the two on top",
        "OP_3DUP": "copy the three on top",
        "OP_2OVER": "copy the third and the fourth to the top",
        "OP_2ROT": "move the fifth and the sixth to the top",
        "OP_2SWAP": "swap the two on top with the two below",
        "OP_IFDUP": "copy the top if it is true",
        "OP_DEPTH": "push how many there are on the stack",
        "OP_DROP": "drop the top",
        "OP_DUP": "copy the top",
        "OP_NIP": "drop the second",
        "OP_OVER": "copy the second to the top",
        "OP_PICK": "take a number off; copy the one so deep to the top",
        "OP_ROLL": "take a number off; move the one so deep to the top",
        "OP_ROT": "move the third to the top",
        "OP_SWAP": "swap the two on top",
        "OP_TUCK": "copy the top below the second",
        "OP_SIZE": "push how many bytes the top has",
        "OP_EQUAL": "take two off; push whether they are the same",
        "OP_EQUALVERIFY": "take two off; fail unless they are the same",
        "OP_RESERVED1": "fail, if it is reached",
        "OP_RESERVED2": "fail, if it is reached",
        "OP_1ADD": "add 1 to the top",
        "OP_1SUB": "take 1 from the top",
        "OP_NEGATE": "turn the top's sign",
        "OP_ABS": "drop the top's sign",
        "OP_NOT": "make 0 of the top, or 1 if it was 0",
        "OP_0NOTEQUAL": "make 1 of the top, or 0 if it was 0",
        "OP_ADD": "take two off; push their sum",
        "OP_SUB": "take two off; push the second less the top",
        "OP_BOOLAND": "take two off; push whether neither is 0",
        "OP_BOOLOR": "take two off; push whether one of them is not 0",
        "OP_NUMEQUAL": "take two off; push whether they are the same number",
        "OP_NUMEQUALVERIFY": "take two off; fail unless they are the same number",
        "OP_NUMNOTEQUAL": "take two off; push whether they are different numbers",
        "OP_LESSTHAN": "take two off; push whether the second is less than the top",
        "OP_GREATERTHAN": "take two off; push whether the second is more than the top",
        "OP_LESSTHANOREQUAL": "take two off; push whether the second is at most the top",
        "OP_GREATERTHANOREQUAL": "take two off; push whether the second is at least the top",
        "OP_MIN": "take two off; push the smaller one",
        "OP_MAX": "take two off; push the larger one",
        "OP_WITHIN": "take three off; push whether the third lies from the second up to the top",
        "OP_RIPEMD160": "make the RIPEMD-160 of the top",
        "OP_SHA1": "make the SHA-1 of the top",
        "OP_SHA256": "make the SHA-256 of the top",
        "OP_HASH160": "make the RIPEMD-160 of the SHA-256 of the top",
        "OP_HASH256": "make the SHA-256 of the SHA-256 of the top",
        "OP_CODESEPARATOR": "have signatures cover the script only from here on",
        "OP_CHECKSIG": "take key and signature off; push whether the key has signed",
        "OP_CHECKSIGVERIFY": "take key and signature off; fail unless the key has signed",
        "OP_CHECKMULTISIG": "take keys and signatures off; push whether all are good",
        "OP_CHECKMULTISIGVERIFY": "take keys and signatures off; fail unless all are good",
        "OP_CHECKLOCKTIMEVERIFY": "fail unless the top's height or time has come (BIP65)",
        "OP_CHECKSEQUENCEVERIFY": "fail unless the coin is old enough, as the top says (BIP112)",
        "OP_CHECKSIGADD": "take key, number and signature off; push the number, one more if signed",
    }
)


def steps_from_script(script: bytes) -> list[Step]:
    """Tell the operations of a script, in order, at most MOST_STEPS and one line for the rest."""
    steps = []
    for number, (opcode, data) in enumerate(operations(script)):
        if number == MOST_STEPS:
            steps.append(Step("…", "", "and so on: the script is longer than is shown here"))
            break
        if data is None:
            steps.append(Step("[error]", "", "the script is cut off in the middle of a push"))
            break
        steps.append(_step(opcode, data))
    return steps


def _step(opcode: int, data: bytes) -> Step:
    if 0 < opcode <= OP_PUSHDATA4:
        shown = data[:MOST_DATA].hex() + ("…" if len(data) > MOST_DATA else "")
        count = f"{len(data)} byte{'' if len(data) == 1 else 's'}"
        return Step(f"push {count}", shown, _data_words(data))
    name = opcode_name(opcode)
    if OP_1 <= opcode <= OP_16:
        return Step(name, "", f"push the number {opcode - OP_1 + 1}")
    if name.startswith("OP_NOP"):
        return Step(name, "", "do nothing")
    return Step(name, "", _WORDS.get(name, "fail: no such operation, or one switched off"))


def _data_words(data: bytes) -> str:
    size = len(data)
    if size == 20:
        return "push data: of this size a HASH160, of a key or a script"
    if size == 33 and data[0] in (2, 3):
        return "push data: a compressed public key, by its looks"
    if size == 65 and data[0] == 4:
        return "push data: a public key in full, by its looks"
    if size == 32:
        return "push data: of this size a SHA-256 or a taproot key"
    if 68 <= size <= 73 and data[0] == 0x30:
        return "push data: a signature, by its looks"
    text = data.decode("ascii", "replace")
    if size >= 4 and text.isprintable() and "\ufffd" not in text:
        return f"push data: as text, “{text[:MOST_DATA]}”"
    return "push data"
