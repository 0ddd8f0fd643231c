"""Operations, pushes, numbers and shapes."""

import pytest

from misocoin.script.asm import asm_from_script
from misocoin.script.numbers import bytes_from_number, is_true, number_from_bytes
from misocoin.script.opcodes import DISABLED, OP_SUCCESS, opcode_name
from misocoin.script.result import ScriptError, ScriptFailure
from misocoin.script.script import (
    find_and_delete,
    is_minimal_push,
    is_p2sh,
    is_push_only,
    is_unspendable,
    operations,
    push_data,
    push_int,
    push_minimal,
    witness_program,
)
from misocoin.script.sighash import without_code_separators
from tests.unit.script.core_format import script_from_text

NUMBERS = {
    0: "",
    1: "01",
    -1: "81",
    127: "7f",
    -127: "ff",
    128: "8000",
    -128: "8080",
    255: "ff00",
    256: "0001",
    -256: "0081",
    32767: "ff7f",
    32768: "008000",
    -32768: "008080",
    2147483647: "ffffff7f",
    -2147483647: "ffffffff",
    2147483648: "0000008000",
}


class TestNumbers:
    @pytest.mark.parametrize("number", NUMBERS)
    def test_both_ways(self, number):
        data = bytes.fromhex(NUMBERS[number])
        assert bytes_from_number(number) == data
        assert number_from_bytes(data, 5, require_minimal=True) == number

    @pytest.mark.parametrize("data", ["00", "80", "0100", "0180", "ff7f00", "0000", "ffff0080"])
    def test_padded_forms_are_not_minimal(self, data):
        number_from_bytes(bytes.fromhex(data))
        with pytest.raises(ScriptFailure) as caught:
            number_from_bytes(bytes.fromhex(data), require_minimal=True)
        assert caught.value.error is ScriptError.UNKNOWN_ERROR

    @pytest.mark.parametrize(("data", "number"), [("00", 0), ("80", 0), ("0080", 0), ("0180", -1)])
    def test_padded_forms_are_read(self, data, number):
        assert number_from_bytes(bytes.fromhex(data)) == number

    def test_size(self):
        assert number_from_bytes(b"\x01" * 4) == 0x01010101
        with pytest.raises(ScriptFailure):
            number_from_bytes(bytes(5))
        assert number_from_bytes(bytes(5), 5) == 0

    @pytest.mark.parametrize("data", ["", "00", "80", "0000", "000080", "00" * 500])
    def test_false(self, data):
        assert not is_true(bytes.fromhex(data))

    @pytest.mark.parametrize(
        "data", ["01", "81", "8000", "0081", "8080", "000001", "00" * 500 + "01"]
    )
    def test_true(self, data):
        assert is_true(bytes.fromhex(data))


class TestPushes:
    @pytest.mark.parametrize(
        ("size", "prefix"),
        [
            (0, "00"),
            (1, "01"),
            (75, "4b"),
            (76, "4c4c"),
            (255, "4cff"),
            (256, "4d0001"),
            (65535, "4dffff"),
            (65536, "4e00000100"),
        ],
    )
    def test_push_data(self, size, prefix):
        data = b"\x07" * size
        assert push_data(data) == bytes.fromhex(prefix) + data
        assert list(operations(push_data(data))) == [(bytes.fromhex(prefix)[0], data)]

    @pytest.mark.parametrize(
        ("number", "script"),
        [(0, "00"), (-1, "4f"), (1, "51"), (16, "60"), (17, "0111"), (-2, "0182"), (520, "020802")],
    )
    def test_push_int(self, number, script):
        assert push_int(number).hex() == script

    @pytest.mark.parametrize(
        ("data", "script"),
        [("", "00"), ("01", "51"), ("10", "60"), ("81", "4f"), ("00", "0100"), ("11", "0111")],
    )
    def test_push_minimal(self, data, script):
        assert push_minimal(bytes.fromhex(data)).hex() == script

    @pytest.mark.parametrize("size", [0, 1, 75, 76, 255, 256, 65535, 65536])
    def test_only_one_form_is_minimal(self, size):
        data = b"\x20" * size
        minimal = [opcode for opcode in range(79) if is_minimal_push(opcode, data)]
        assert minimal == [push_data(data)[0]]

    @pytest.mark.parametrize("data", [b"\x01", b"\x10", b"\x81"])
    def test_small_numbers_have_opcodes(self, data):
        assert not any(is_minimal_push(opcode, data) for opcode in range(79))

    @pytest.mark.parametrize("script", ["", "00", "0107", "4c0107", "50", "60", "4f51"])
    def test_push_only(self, script):
        assert is_push_only(bytes.fromhex(script))

    @pytest.mark.parametrize("script", ["61", "01", "4c", "4c02aa", "4d0100", "4e", "51ac"])
    def test_not_push_only(self, script):
        assert not is_push_only(bytes.fromhex(script))


class TestOperations:
    @pytest.mark.parametrize(
        "tail",
        ["01", "4b" + "00" * 74, "4c", "4c01", "4d", "4d01", "4d0100", "4e000000", "4e01000000"],
    )
    def test_a_cut_push_is_the_last_operation(self, tail):
        tail_bytes = bytes.fromhex(tail)
        found = list(operations(b"\x51\x76" + tail_bytes))
        assert found == [(0x51, b""), (0x76, b""), (tail_bytes[0], None)]

    def test_names(self):
        assert [opcode_name(code) for code in (0x00, 0x4F, 0x51, 0x60)] == ["0", "-1", "1", "16"]
        assert opcode_name(0xAC) == "OP_CHECKSIG"
        assert opcode_name(0xB1) == "OP_CHECKLOCKTIMEVERIFY"
        assert opcode_name(0xBB) == "OP_UNKNOWN"
        assert opcode_name(0xFF) == "OP_INVALIDOPCODE"

    def test_sets(self):
        assert len(OP_SUCCESS) == 87
        assert len(DISABLED) == 15
        assert DISABLED <= OP_SUCCESS


class TestFindAndDelete:
    """The cases of Core's unit test, restated."""

    @pytest.mark.parametrize(
        ("script", "part", "found", "rest"),
        [
            ("5152", "", 0, "5152"),
            ("515253", "52", 1, "5153"),
            ("535153535453", "53", 4, "5154"),
            ("0302ff03", "0302ff03", 1, ""),
            ("0302ff030302ff03", "0302ff03", 2, ""),
            ("0302ff030302ff03", "02", 0, "0302ff030302ff03"),
            ("0302ff030302ff03", "ff", 0, "0302ff030302ff03"),
            ("0302ff030302ff03", "03", 2, "02ff0302ff03"),
            ("02feed5169", "feed51", 0, "02feed5169"),
            ("02feed5169", "02feed51", 1, "69"),
            ("516902feed5169", "feed51", 0, "516902feed5169"),
            ("516902feed5169", "02feed51", 1, "516969"),
            ("005151", "0051", 1, "51"),
            ("0000510051", "0051", 2, "00"),
            ("0003feed", "03feed", 1, "00"),
            ("0003feed", "00", 1, "03feed"),
        ],
    )
    def test_at_operations_only(self, script, part, found, rest):
        result = find_and_delete(bytes.fromhex(script), bytes.fromhex(part))
        assert (result[0].hex(), result[1]) == (rest, found)


def test_code_separators_are_cut_out_of_what_is_signed():
    script = script_from_text("1 CODESEPARATOR 0x02 0xabab CODESEPARATOR CODESEPARATOR 2")
    assert without_code_separators(script) == script_from_text("1 0x02 0xabab 2")
    assert without_code_separators(b"\xab") == b""
    assert without_code_separators(b"\xab\x05\xab") == b"\x05\xab"


class TestShapes:
    def test_p2sh(self):
        assert is_p2sh(b"\xa9\x14" + bytes(20) + b"\x87")
        assert not is_p2sh(b"\xa9\x4c\x14" + bytes(20) + b"\x87")
        assert not is_p2sh(b"\xa9\x14" + bytes(20) + b"\x88")

    @pytest.mark.parametrize(
        ("script", "program"),
        [
            ("0002abcd", (0, "abcd")),
            ("5102abcd", (1, "abcd")),
            ("6028" + "07" * 40, (16, "07" * 40)),
            ("0001ab", None),
            ("5129" + "07" * 41, None),
            ("4f02abcd", None),
            ("5002abcd", None),
            ("6102abcd", None),
            ("0003abcd", None),
            ("0002abcdef", None),
            ("004c02abcd", None),
            ("", None),
        ],
    )
    def test_witness_program(self, script, program):
        expected = program and (program[0], bytes.fromhex(program[1]))
        assert witness_program(bytes.fromhex(script)) == expected

    def test_unspendable(self):
        assert is_unspendable(b"\x6a")
        assert is_unspendable(b"\x6a\xff\x4c")
        assert not is_unspendable(b"")
        assert not is_unspendable(b"\x51\x6a")
        assert not is_unspendable(bytes(10_000))
        assert is_unspendable(bytes(10_001))


SIGNATURE = (
    "304402203609e17b84f6a7d30c80bfa610b5b4542f32a8a0d5447a12fb1366d7f01cc44a"
    "0220573a954c4518331561406f90300e8f3358f51928d43c212a8caed02de67eebee"
)


class TestAsm:
    @pytest.mark.parametrize(
        ("script", "asm"),
        [
            ("", ""),
            ("00", "0"),
            ("4f5160", "-1 1 16"),
            (
                "76a914" + "11" * 20 + "88ac",
                f"OP_DUP OP_HASH160 {'11' * 20} OP_EQUALVERIFY OP_CHECKSIG",
            ),
            ("01ff", "-127"),
            ("04ffffffff", "-2147483647"),
            ("050102030405", "0102030405"),
            ("6a0161", "OP_RETURN 97"),
            ("51" + "02", "1 [error]"),
            ("b1b2ba", "OP_CHECKLOCKTIMEVERIFY OP_CHECKSEQUENCEVERIFY OP_CHECKSIGADD"),
            ("bb50ff", "OP_UNKNOWN OP_RESERVED OP_INVALIDOPCODE"),
        ],
    )
    def test_as_core_prints_it(self, script, asm):
        assert asm_from_script(bytes.fromhex(script)) == asm

    @pytest.mark.parametrize(
        ("hash_type", "name"), [("01", "ALL"), ("83", "SINGLE|ANYONECANPAY"), ("02", "NONE")]
    )
    def test_hash_types_are_named_in_a_script_sig(self, hash_type, name):
        script = push_data(bytes.fromhex(SIGNATURE + hash_type))
        assert asm_from_script(script) == SIGNATURE + hash_type
        assert asm_from_script(script, name_hash_types=True) == f"{SIGNATURE}[{name}]"

    def test_what_is_no_signature_keeps_its_bytes(self):
        script = push_data(bytes.fromhex(SIGNATURE + "04"))
        assert asm_from_script(script, name_hash_types=True) == SIGNATURE + "04"
        unspendable = b"\x6a" + push_data(bytes.fromhex(SIGNATURE + "01"))
        assert asm_from_script(unspendable, name_hash_types=True).endswith(SIGNATURE + "01")
