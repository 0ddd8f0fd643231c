"""Scripts told step by step."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from misocoin.script.opcodes import OP_PUSHDATA4, OP_SUCCESS, OPCODE_NAMES
from misocoin.script.templates import ScriptKind, nulldata_script, p2pkh_script
from misocoin.web.script_words import KIND_WORDS, MOST_STEPS, steps_from_script


def test_a_payment_to_a_key_hash() -> None:
    steps = steps_from_script(p2pkh_script(bytes(range(20))))
    assert [step.name for step in steps] == [
        "OP_DUP",
        "OP_HASH160",
        "push 20 bytes",
        "OP_EQUALVERIFY",
        "OP_CHECKSIG",
    ]
    assert steps[2].data_hex == bytes(range(20)).hex()
    assert steps[4].words == "take key and signature off; push whether the key has signed"


def test_text_is_read_as_text() -> None:
    steps = steps_from_script(nulldata_script(b"Miso is a good boy"))
    assert steps[1].words == "push data: as text, “Miso is a good boy”"


def test_a_long_script_is_cut_and_a_broken_one_told() -> None:
    assert len(steps_from_script(b"\x61" * 5000)) == MOST_STEPS + 1
    assert [step.name for step in steps_from_script(b"\x51\x05ab")] == ["1", "[error]"]


@pytest.mark.parametrize("opcode", sorted(set(OPCODE_NAMES) - set(range(1, OP_PUSHDATA4 + 1))))
def test_every_operation_that_does_something_is_explained(opcode: int) -> None:
    (step,) = steps_from_script(bytes((opcode,)))
    means_nothing = opcode in OP_SUCCESS - {0x50, 0x62, 0x89, 0x8A} or opcode == 0xFF
    assert (step.words == "fail: no such operation, or one switched off") == means_nothing


def test_every_form_has_words() -> None:
    assert set(KIND_WORDS) == set(ScriptKind)


@given(st.binary(max_size=600))
def test_any_bytes_are_told(script: bytes) -> None:
    assert len(steps_from_script(script)) <= MOST_STEPS + 1
