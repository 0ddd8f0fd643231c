"""Each stack operation on a stack that is deeper than it needs."""

from collections import Counter

import pytest

from misocoin.script import flags as verify_flags
from misocoin.script.checker import TransactionChecker
from misocoin.script.evaluate import evaluate
from misocoin.script.machine import Machine
from misocoin.script.result import ScriptError, ScriptFailure
from misocoin.script.stack_ops import STACK_OPERATIONS
from tests.unit.script.core_format import script_from_text
from tests.unit.script.spends import input_digests


def run(text: str, stack: list[bytes]) -> list[bytes]:
    checker = TransactionChecker(input_digests(b""), 0)
    machine = Machine(stack, script_from_text(text), verify_flags.MANDATORY, checker)
    evaluate(machine)
    return machine.stack


def elements(text: str) -> list[bytes]:
    return [letter.encode() for letter in text]


@pytest.mark.parametrize(
    ("operation", "after"),
    [
        ("2DROP", "abcdef"),
        ("2DUP", "abcdefghgh"),
        ("3DUP", "abcdefghfgh"),
        ("2OVER", "abcdefghef"),
        ("2ROT", "abefghcd"),
        ("2SWAP", "abcdghef"),
        ("IFDUP", "abcdefghh"),
        ("DROP", "abcdefg"),
        ("DUP", "abcdefghh"),
        ("NIP", "abcdefh"),
        ("OVER", "abcdefghg"),
        ("0 PICK", "abcdefghh"),
        ("3 PICK", "abcdefghe"),
        ("7 PICK", "abcdefgha"),
        ("0 ROLL", "abcdefgh"),
        ("3 ROLL", "abcdfghe"),
        ("7 ROLL", "bcdefgha"),
        ("ROT", "abcdeghf"),
        ("SWAP", "abcdefhg"),
        ("TUCK", "abcdefhgh"),
        ("TOALTSTACK DROP FROMALTSTACK", "abcdefh"),
        ("TOALTSTACK TOALTSTACK FROMALTSTACK FROMALTSTACK", "abcdefgh"),
        ("DUP EQUALVERIFY", "abcdefg"),
    ],
)
def test_moving(operation, after):
    assert run(operation, elements("abcdefgh")) == elements(after)


@pytest.mark.parametrize(
    ("operation", "top"),
    [
        ("DEPTH", b"\x02"),
        ("SIZE", b"\x01"),
        ("DUP EQUAL", b"\x01"),
        ("0 EQUAL", b""),
        ("0 IFDUP", b""),
        ("5 1ADD", b"\x06"),
        ("5 1SUB", b"\x04"),
        ("5 NEGATE", b"\x85"),
        ("-5 ABS", b"\x05"),
        ("5 NOT", b""),
        ("0 NOT", b"\x01"),
        ("5 0NOTEQUAL", b"\x01"),
        ("0 0NOTEQUAL", b""),
        ("5 3 ADD", b"\x08"),
        ("5 3 SUB", b"\x02"),
        ("5 3 BOOLAND", b"\x01"),
        ("5 0 BOOLAND", b""),
        ("0 5 BOOLAND", b""),
        ("0 0 BOOLOR", b""),
        ("5 0 BOOLOR", b"\x01"),
        ("0 5 BOOLOR", b"\x01"),
        ("5 3 NUMEQUAL", b""),
        ("0x02 0x0500 5 NUMEQUAL", b"\x01"),
        ("5 3 NUMNOTEQUAL", b"\x01"),
        ("3 5 LESSTHAN", b"\x01"),
        ("5 5 LESSTHAN", b""),
        ("5 3 GREATERTHAN", b"\x01"),
        ("5 5 GREATERTHAN", b""),
        ("5 5 LESSTHANOREQUAL", b"\x01"),
        ("6 5 LESSTHANOREQUAL", b""),
        ("5 5 GREATERTHANOREQUAL", b"\x01"),
        ("4 5 GREATERTHANOREQUAL", b""),
        ("5 3 MIN", b"\x03"),
        ("5 3 MAX", b"\x05"),
        ("3 3 5 WITHIN", b"\x01"),
        ("5 3 5 WITHIN", b""),
        ("2 3 5 WITHIN", b""),
        ("5 4 1SUB 1ADD SUB", b"\x01"),
    ],
)
def test_numbers(operation, top):
    result = run(operation, [b"y", b"z"])
    assert result[0] == b"y"
    assert result[-1] == top


def test_depth_counts_all():
    assert run("DEPTH", [b""] * 300)[-1] == b"\x2c\x01"
    assert run("SIZE", [bytes(300)])[-1] == b"\x2c\x01"


@pytest.mark.parametrize("operation", ["3 4 NUMEQUALVERIFY", "3 4 EQUALVERIFY"])
def test_verifying(operation):
    with pytest.raises(ScriptFailure):
        run(operation, [b"z"])
    assert run(operation.replace("4", "3"), [b"z"]) == [b"z"]


@pytest.mark.parametrize(
    ("operation", "digest"),
    [
        ("RIPEMD160", "9c1185a5c5e9fc54612808977ee8f548b2258d31"),
        ("SHA1", "da39a3ee5e6b4b0d3255bfef95601890afd80709"),
        ("SHA256", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("HASH160", "b472a266d0bd89c13706a4132ccfb16f7c3b9fcb"),
        ("HASH256", "5df6e0e2761359d30a8275058e299fcc0381534545f55cf43e41983f5d4c9456"),
    ],
)
def test_hashing_nothing(operation, digest):
    assert run(operation, [b"z", b""]) == [b"z", bytes.fromhex(digest)]


@pytest.mark.parametrize("opcode", STACK_OPERATIONS)
def test_too_few_elements(opcode):
    needed = STACK_OPERATIONS[opcode][0]
    for count in range(needed):
        checker = TransactionChecker(input_digests(b""), 0)
        machine = Machine([b""] * count, bytes((opcode,)), verify_flags.MANDATORY, checker)
        with pytest.raises(ScriptFailure) as caught:
            evaluate(machine)
        assert caught.value.error is ScriptError.INVALID_STACK_OPERATION
        assert len(machine.stack) == count


def test_how_many_elements_each_needs():
    needs = Counter(arity for arity, _ in STACK_OPERATIONS.values())
    assert needs == {0: 2, 1: 16, 2: 23, 3: 3, 4: 2, 6: 1}
