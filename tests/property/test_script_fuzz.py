"""Any bytes are a script: nothing here raises, and what is written reads back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from misocoin.crypto.hashes import hash160, sha256
from misocoin.errors import AddressError
from misocoin.params import bitcoin, miso, regtest
from misocoin.script import flags as verify_flags
from misocoin.script.address import address_from_script, script_from_address
from misocoin.script.asm import asm_from_script
from misocoin.script.numbers import bytes_from_number, is_true, number_from_bytes
from misocoin.script.result import ScriptError, ScriptFailure
from misocoin.script.script import (
    find_and_delete,
    is_push_only,
    operations,
    push_data,
    push_int,
    push_minimal,
)
from misocoin.script.sighash import without_code_separators
from misocoin.script.sigops import count_p2sh_sigops, count_sigops, count_witness_sigops
from misocoin.script.taproot import control_block_from_bytes
from misocoin.script.templates import (
    p2sh_script,
    p2tr_script,
    p2wsh_script,
    template_from_script,
    witness_script,
)
from tests.unit.script.spends import KEYS, Leaf, error_of, input_digests, leaf_spend

opcodes = st.integers(0, 255).map(lambda opcode: bytes((opcode,)))
pushes = st.binary(max_size=80).map(push_data) | st.integers(-1, 20).map(push_int)
scripts = st.binary(max_size=60) | st.lists(opcodes | pushes, max_size=25).map(b"".join)
witnesses = st.lists(st.binary(max_size=70) | scripts, max_size=5).map(tuple)
networks = st.sampled_from([miso(), regtest(), bitcoin()])


def consistent(flags: int) -> int:
    if flags & (verify_flags.CLEANSTACK | verify_flags.TAPROOT):
        flags |= verify_flags.WITNESS
    if flags & verify_flags.WITNESS:
        flags |= verify_flags.P2SH
    return flags


all_flags = st.integers(0, (1 << 21) - 1).map(consistent)


@given(scripts, scripts, witnesses, all_flags)
def test_any_scripts_are_judged(script_sig, script_pubkey, witness, flags):
    error_of(input_digests(script_pubkey, script_sig, witness), flags)


@given(scripts, scripts, all_flags)
def test_any_redeem_script_is_judged(script, prefix, flags):
    output = p2sh_script(hash160(script))
    error_of(input_digests(output, prefix + push_data(script)), flags)


@given(scripts, witnesses, all_flags)
def test_any_witness_script_is_judged(script, witness, flags):
    output = p2wsh_script(sha256(script))
    error_of(input_digests(output, b"", (*witness, script)), flags)


@given(scripts, witnesses, all_flags, st.sampled_from([0xC0, 0xC2]), st.booleans())
def test_any_leaf_is_judged(script, witness, flags, version, with_annex):
    annex = b"\x50" if with_annex else None
    error_of(leaf_spend(Leaf(script, version), *witness, annex=annex), flags)


@given(witnesses, all_flags)
def test_any_taproot_witness_is_judged(witness, flags):
    error_of(input_digests(p2tr_script(KEYS[0].xonly_public_key), b"", witness), flags)


@given(st.integers(0, 16), st.binary(min_size=2, max_size=40), witnesses, all_flags)
def test_any_witness_program_is_judged(version, program, witness, flags):
    error_of(input_digests(witness_script(version, program), b"", witness), flags)


@given(scripts, scripts, witnesses, all_flags, all_flags)
def test_more_flags_never_make_it_valid(script_sig, script_pubkey, witness, flags, more):
    spend = input_digests(script_pubkey, script_sig, witness)
    if error_of(spend, flags) != "OK":
        assert error_of(spend, consistent(flags | more)) != "OK"


@given(scripts)
def test_operations_cover_the_script(script):
    found = list(operations(script))
    assert all(data is not None for _, data in found[:-1])
    if not found or found[-1][1] is not None:
        sizes = [
            1 + len(data) + {0x4C: 1, 0x4D: 2, 0x4E: 4}.get(opcode, 0) for opcode, data in found
        ]
        assert sum(sizes) == len(script)


@given(scripts)
def test_whatever_reads_scripts_reads_any(script):
    asm_from_script(script)
    asm_from_script(script, name_hash_types=True)
    assert count_sigops(script, accurate=True) <= count_sigops(script) <= 20 * len(script)
    count_p2sh_sigops(script, p2sh_script(bytes(20)))
    count_witness_sigops(script, p2sh_script(bytes(20)), (script,))
    is_push_only(script)
    control_block_from_bytes(script)


@given(scripts, networks)
def test_an_address_leads_back_to_its_script(script, params):
    template = template_from_script(script)
    assert len(template.solutions) >= template.required
    address = address_from_script(script, params)
    if address is not None:
        assert script_from_address(address, params) == script


@given(st.integers(0, 16), st.binary(min_size=2, max_size=40), networks)
def test_every_program_but_odd_ones_of_version_0_has_an_address(version, program, params):
    script = witness_script(version, program)
    address = address_from_script(script, params)
    assert (address is None) == (version == 0 and len(program) not in (20, 32))


@given(st.text() | st.from_regex(r"(miso|bcrt|bc)1[a-z0-9]{0,70}", fullmatch=True), networks)
def test_any_text_is_an_address_or_an_error(text, params):
    try:
        script = script_from_address(text, params)
    except AddressError as error:
        message = str(error)
    else:
        assert address_from_script(script, params) is not None
        return
    assert message
    assert "\n" not in message


@given(st.integers(-(2**63), 2**63))
def test_numbers_both_ways(number):
    data = bytes_from_number(number)
    assert number_from_bytes(data, 9, require_minimal=True) == number
    assert is_true(data) == (number != 0)


@given(st.binary(max_size=6))
def test_numbers_from_any_bytes(data):
    number = number_from_bytes(data, 6)
    if bytes_from_number(number) == data:
        assert number_from_bytes(data, 6, require_minimal=True) == number
    else:
        with pytest.raises(ScriptFailure) as caught:
            number_from_bytes(data, 6, require_minimal=True)
        assert caught.value.error is ScriptError.UNKNOWN_ERROR


@given(st.binary(max_size=600))
def test_pushes_both_ways(data):
    assert [found for _, found in operations(push_data(data))] == [data]
    assert is_push_only(push_data(data))
    spend = input_digests(push_minimal(data) + push_data(data) + b"\x87")
    expected = "OK" if len(data) <= 520 else "PUSH_SIZE"
    assert error_of(spend) == expected


@given(st.lists(st.binary(min_size=1, max_size=5).map(push_data), max_size=12), st.data())
def test_what_is_deleted_is_gone(pieces, data):
    part = data.draw(st.sampled_from(pieces) if pieces else st.just(b"\x01\x01"))
    rest, found = find_and_delete(b"".join(pieces), part)
    assert found == pieces.count(part)
    assert rest == b"".join(piece for piece in pieces if piece != part)


@given(st.lists(pushes | st.just(b"\xab"), max_size=12))
def test_without_code_separators(pieces):
    kept = b"".join(piece for piece in pieces if piece != b"\xab")
    assert without_code_separators(b"".join(pieces)) == kept
