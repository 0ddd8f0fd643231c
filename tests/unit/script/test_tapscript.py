"""Every rule of BIP341's script path and of BIP342, with real signatures."""

import pytest

from misocoin.crypto.hashes import sha256
from misocoin.script import flags as verify_flags
from misocoin.script.script import push_data
from misocoin.script.templates import p2wsh_script
from tests.unit.script.core_format import script_from_text
from tests.unit.script.spends import (
    CONSENSUS,
    KEYS,
    Leaf,
    LeafSignature,
    error_of,
    input_digests,
    leaf_spend,
)

X = [key.xonly_public_key for key in KEYS]
CHECKSIG = Leaf(push_data(X[1]) + b"\xac")
SIGNATURE = LeafSignature(KEYS[1])

OP_SUCCESSES = [
    *(80, 98, 126, 127, 128, 129, 131, 132, 133, 134, 137, 138, 141, 142),
    *(149, 150, 151, 152, 153),
    *range(187, 255),
]


def leaf(text: str, *keys: bytes) -> Leaf:
    """A leaf in Core's notation, in which {0} stands for the first of `keys`, and so on."""
    return Leaf(script_from_text(text.format(*("0x" + push_data(key).hex() for key in keys))))


def run(text: str, *items: bytes | LeafSignature, keys: tuple[bytes, ...] = (), flags=CONSENSUS):
    return error_of(leaf_spend(leaf(text, *keys), *items), flags)


def test_a_signed_leaf_holds():
    assert error_of(leaf_spend(CHECKSIG, SIGNATURE), verify_flags.STANDARD) == "OK"


def test_a_signature_of_another_leaf_does_not_hold():
    other = Leaf(CHECKSIG.script + b"\x61")
    assert error_of(leaf_spend(CHECKSIG, SIGNATURE._replace(leaf=other))) == "SCHNORR_SIG"


@pytest.mark.parametrize("hash_type", [0, 1, 2, 3, 0x81, 0x82, 0x83])
@pytest.mark.parametrize("index", [0, 1])
def test_every_hash_type(hash_type, index):
    spend = leaf_spend(CHECKSIG, SIGNATURE._replace(hash_type=hash_type), index=index)
    assert error_of(spend, index=index) == "OK"


@pytest.mark.parametrize("hash_type", [4, 0x7F, 0x80, 0x84, 0xFF])
def test_unknown_hash_types(hash_type):
    spend = leaf_spend(CHECKSIG, bytes(64) + bytes((hash_type,)))
    assert error_of(spend) == "SCHNORR_SIG_HASHTYPE"


def test_the_default_hash_type_is_never_written():
    assert error_of(leaf_spend(CHECKSIG, bytes(65))) == "SCHNORR_SIG_HASHTYPE"


@pytest.mark.parametrize("hash_type", [3, 0x83])
def test_single_needs_its_output(hash_type):
    spend = leaf_spend(CHECKSIG, bytes(64) + bytes((hash_type,)), outputs=1, index=1)
    assert error_of(spend, index=1) == "SCHNORR_SIG_HASHTYPE"


@pytest.mark.parametrize("size", [1, 63, 66])
def test_signature_sizes(size):
    assert error_of(leaf_spend(CHECKSIG, b"\x01" * size)) == "SCHNORR_SIG_SIZE"


class TestControlBlock:
    @pytest.mark.parametrize("nodes", [0, 1, 2, 128])
    def test_paths_of_up_to_128_nodes(self, nodes):
        deep = Leaf(b"\x51", path=tuple(bytes((n,)) * 32 for n in range(nodes)))
        assert error_of(leaf_spend(deep)) == "OK"

    @pytest.mark.parametrize("size", [0, 1, 32, 34, 64, 66, 33 + 32 * 129])
    def test_other_sizes(self, size):
        spend = leaf_spend(CHECKSIG, SIGNATURE, change=lambda _: b"\xc0" * size)
        assert error_of(spend) == "TAPROOT_WRONG_CONTROL_SIZE"

    def test_parity_is_committed(self):
        spend = leaf_spend(
            CHECKSIG, SIGNATURE, change=lambda control: bytes((control[0] ^ 1,)) + control[1:]
        )
        assert error_of(spend) == "WITNESS_PROGRAM_MISMATCH"

    def test_internal_key_is_committed(self):
        spend = leaf_spend(CHECKSIG, SIGNATURE, change=lambda control: control[:1] + X[2])
        assert error_of(spend) == "WITNESS_PROGRAM_MISMATCH"

    def test_internal_key_is_a_point(self):
        spend = leaf_spend(CHECKSIG, SIGNATURE, change=lambda control: control[:1] + b"\xff" * 32)
        assert error_of(spend) == "WITNESS_PROGRAM_MISMATCH"

    def test_path_is_committed(self):
        spend = leaf_spend(CHECKSIG, SIGNATURE, change=lambda control: control + bytes(32))
        assert error_of(spend) == "WITNESS_PROGRAM_MISMATCH"

    def test_size_is_judged_before_the_script(self):
        spend = leaf_spend(Leaf(b"\x6a"), change=lambda control: control[:-1])
        assert error_of(spend) == "TAPROOT_WRONG_CONTROL_SIZE"


class TestLeafVersion:
    @pytest.mark.parametrize("version", [0x00, 0x66, 0x7E, 0xBE, 0xC2, 0xFE])
    def test_unknown_versions_hold_whatever_the_script(self, version):
        spend = leaf_spend(Leaf(b"\x6a\x4c", version=version))
        assert error_of(spend) == "OK"
        discouraged = CONSENSUS | verify_flags.DISCOURAGE_UPGRADABLE_TAPROOT_VERSION
        assert error_of(spend, discouraged) == "DISCOURAGE_UPGRADABLE_TAPROOT_VERSION"

    def test_the_version_is_committed(self):
        spend = leaf_spend(
            CHECKSIG, SIGNATURE, change=lambda control: bytes((control[0] ^ 2,)) + control[1:]
        )
        assert error_of(spend) == "WITNESS_PROGRAM_MISMATCH"


class TestOpSuccess:
    @pytest.mark.parametrize("opcode", OP_SUCCESSES)
    def test_holds_wherever_it_stands(self, opcode):
        # Behind a RETURN, in a branch never taken, before a push that is cut off.
        script = b"\x6a\x00\x63" + bytes((opcode,)) + b"\x4c"
        spend = leaf_spend(Leaf(script), bytes(521))
        assert error_of(spend) == "OK"
        discouraged = CONSENSUS | verify_flags.DISCOURAGE_OP_SUCCESS
        assert error_of(spend, discouraged) == "DISCOURAGE_OP_SUCCESS"

    @pytest.mark.parametrize("opcode", sorted({*range(79, 256)} - {*OP_SUCCESSES}))
    def test_other_opcodes_are_none(self, opcode):
        assert error_of(leaf_spend(Leaf(b"\x6a" + bytes((opcode,))))) == "OP_RETURN"

    def test_not_inside_a_push(self):
        assert error_of(leaf_spend(Leaf(b"\x01\x50\x6a"))) == "OP_RETURN"

    def test_not_behind_a_push_that_is_cut_off(self):
        assert error_of(leaf_spend(Leaf(b"\x51\x02\x50"))) == "BAD_OPCODE"

    def test_a_push_that_is_cut_off_fails_before_anything_runs(self):
        assert error_of(leaf_spend(Leaf(b"\x6a\x4c"))) == "BAD_OPCODE"
        assert error_of(leaf_spend(Leaf(b"\x4c"), *[b""] * 1001)) == "BAD_OPCODE"

    @pytest.mark.parametrize("opcode", [0x65, 0x66, 0xFF])
    def test_opcodes_without_meaning_still_fail(self, opcode):
        assert error_of(leaf_spend(Leaf(bytes((opcode,))))) == "BAD_OPCODE"


class TestCheckSigAdd:
    TWO_OF_THREE = "{0} CHECKSIG {1} CHECKSIGADD {2} CHECKSIGADD 2 NUMEQUAL"

    @pytest.mark.parametrize("absent", [0, 1, 2])
    def test_two_of_three(self, absent):
        items = [LeafSignature(key) for key in (KEYS[3], KEYS[2], KEYS[1])]
        items[absent] = b""
        assert run(self.TWO_OF_THREE, *items, keys=(X[1], X[2], X[3])) == "OK"

    def test_one_of_three_is_not_enough(self):
        items = (b"", b"", LeafSignature(KEYS[1]))
        assert run(self.TWO_OF_THREE, *items, keys=(X[1], X[2], X[3])) == "EVAL_FALSE"

    def test_adds_one_to_the_number(self):
        text = "41 {0} CHECKSIGADD 42 NUMEQUAL"
        assert run(text, SIGNATURE, keys=(X[1],)) == "OK"
        assert run(text, b"", keys=(X[1],)) == "EVAL_FALSE"
        assert run("-1 {0} CHECKSIGADD 0 EQUAL", SIGNATURE, keys=(X[1],)) == "OK"

    def test_the_number_has_at_most_four_bytes(self):
        text = "0x05 0x0100000000 {0} CHECKSIGADD"
        assert run(text, SIGNATURE, keys=(X[1],)) == "UNKNOWN_ERROR"

    def test_the_number_is_read_before_the_signature(self):
        assert run("0x05 0x0100000000 0 CHECKSIGADD", b"\x01") == "UNKNOWN_ERROR"

    def test_the_number_must_be_minimal_by_policy(self):
        text = "0x02 0x0100 {0} CHECKSIGADD 2 NUMEQUAL"
        assert run(text, SIGNATURE, keys=(X[1],)) == "OK"
        policy = CONSENSUS | verify_flags.MINIMALDATA
        assert run(text, SIGNATURE, keys=(X[1],), flags=policy) == "UNKNOWN_ERROR"

    def test_needs_three_elements(self):
        assert run("{0} CHECKSIGADD", b"", keys=(X[1],)) == "INVALID_STACK_OPERATION"

    def test_is_no_opcode_before_tapscript(self):
        script = script_from_text("0 0 0 CHECKSIGADD")
        spend = input_digests(p2wsh_script(sha256(script)), witness=(script,))
        assert error_of(spend) == "BAD_OPCODE"
        assert error_of(input_digests(script)) == "BAD_OPCODE"


class TestSignatureChecks:
    def test_an_empty_signature_is_a_no(self):
        assert run("{0} CHECKSIG NOT", b"", keys=(X[1],)) == "OK"
        assert run("{0} CHECKSIGVERIFY 1", b"", keys=(X[1],)) == "CHECKSIGVERIFY"

    def test_a_signature_that_fails_ends_the_script(self):
        wrong = LeafSignature(KEYS[2])
        assert run("{0} CHECKSIG NOT", wrong, keys=(X[1],)) == "SCHNORR_SIG"
        assert run("{0} CHECKSIGVERIFY 1", wrong, keys=(X[1],)) == "SCHNORR_SIG"
        assert run("0 {0} CHECKSIGADD", wrong, keys=(X[1],)) == "SCHNORR_SIG"

    def test_a_valid_one_verifies(self):
        assert run("{0} CHECKSIGVERIFY 1", SIGNATURE, keys=(X[1],)) == "OK"

    def test_a_key_that_is_no_point(self):
        assert run("{0} CHECKSIG", SIGNATURE, keys=(b"\xff" * 32,)) == "SCHNORR_SIG"

    @pytest.mark.parametrize("operation", ["CHECKSIG", "CHECKSIGVERIFY 1", "0 SWAP CHECKSIGADD"])
    def test_an_empty_key(self, operation):
        assert run("0 " + operation, b"") == "PUBKEYTYPE"
        assert run("0 " + operation, b"\x01") == "PUBKEYTYPE"

    @pytest.mark.parametrize("size", [1, 31, 33, 65])
    def test_unknown_key_types_take_any_signature(self, size):
        key = b"\x02" * size
        assert run("{0} CHECKSIG", b"any", keys=(key,)) == "OK"
        assert run("{0} CHECKSIG NOT", b"", keys=(key,)) == "OK"
        assert run("{0} CHECKSIGVERIFY 1", b"", keys=(key,)) == "CHECKSIGVERIFY"
        assert run("7 {0} CHECKSIGADD 8 EQUAL", b"any", keys=(key,)) == "OK"
        policy = CONSENSUS | verify_flags.DISCOURAGE_UPGRADABLE_PUBKEYTYPE
        for signature in (b"", b"any"):
            result = run("{0} CHECKSIG DROP 1", signature, keys=(key,), flags=policy)
            assert result == "DISCOURAGE_UPGRADABLE_PUBKEYTYPE"

    @pytest.mark.parametrize("operation", ["CHECKMULTISIG", "CHECKMULTISIGVERIFY 1"])
    def test_no_multisig(self, operation):
        assert run("0 0 0 " + operation) == "TAPSCRIPT_CHECKMULTISIG"
        assert run(operation) == "TAPSCRIPT_CHECKMULTISIG"
        assert run("0 IF " + operation + " ENDIF 1") == "OK"


class TestCodeSeparator:
    def test_its_position_is_signed(self):
        script = "NOP 0x4c 0x01 0x07 DROP CODESEPARATOR {0} CHECKSIG"
        at_3 = SIGNATURE._replace(codeseparator=3)
        assert run(script, at_3, keys=(X[1],)) == "OK"
        for wrong in (0, 2, 4, 5, 0xFFFFFFFF):
            signature = SIGNATURE._replace(codeseparator=wrong)
            assert run(script, signature, keys=(X[1],)) == "SCHNORR_SIG"

    def test_the_last_one_that_ran_counts(self):
        script = "CODESEPARATOR 0 IF CODESEPARATOR ENDIF {0} CHECKSIG CODESEPARATOR"
        assert run(script, SIGNATURE._replace(codeseparator=0), keys=(X[1],)) == "OK"

    def test_each_check_signs_its_own(self):
        script = "{0} CHECKSIGVERIFY CODESEPARATOR {1} CHECKSIG"
        second = LeafSignature(KEYS[2], codeseparator=2)
        assert run(script, second, SIGNATURE, keys=(X[1], X[2])) == "OK"

    def test_is_not_forbidden_by_const_scriptcode(self):
        script = "CODESEPARATOR {0} CHECKSIG"
        signature = SIGNATURE._replace(codeseparator=0)
        assert run(script, signature, keys=(X[1],), flags=verify_flags.STANDARD) == "OK"


class TestBudget:
    """Each check of a signature that is not empty costs 50 of the witness's size plus 50."""

    @staticmethod
    def spend(checks: int, signature: bytes, padding: int):
        # A key of one byte is of an unknown type: the check costs weight and no time.
        script = b"\x75" + b"\x76\x51\xad" * checks + b"\x75\x51"
        return leaf_spend(Leaf(script), signature, bytes(padding))

    @pytest.mark.parametrize(("checks", "padding"), [(3, 49), (5, 143), (7, 237)])
    def test_to_the_byte(self, checks, padding):
        # The witness: count 1, signature 2, padding 1 more, script 4 + 3 a check, control 34.
        assert 1 + 2 + 1 + padding + 4 + 3 * checks + 34 + 50 == 50 * checks
        assert error_of(self.spend(checks, b"s", padding)) == "OK"
        assert error_of(self.spend(checks, b"s", padding - 1)) == "TAPSCRIPT_VALIDATION_WEIGHT"

    def test_empty_signatures_are_free(self):
        script = b"\x75" + b"\x76\x51\xac\x75" * 40 + b"\x75\x51"
        assert error_of(leaf_spend(Leaf(script), b"", b"")) == "OK"

    def test_the_annex_adds_to_it(self):
        script = b"\x75" + b"\x76\x51\xad" * 10 + b"\x75\x51"
        without = leaf_spend(Leaf(script), b"s", bytes(300))
        assert error_of(without) == "TAPSCRIPT_VALIDATION_WEIGHT"
        with_annex = leaf_spend(Leaf(script), b"s", bytes(300), annex=b"\x50" + bytes(99))
        assert error_of(with_annex) == "OK"

    def test_add_and_plain_checks_cost_the_same(self):
        script = b"\x75" + b"\x76\x00\x51\xba\x75" * 20 + b"\x75\x51"
        assert error_of(leaf_spend(Leaf(script), b"s", b"")) == "TAPSCRIPT_VALIDATION_WEIGHT"


class TestAnnex:
    ANNEX = b"\x50 an annex"

    def test_is_signed(self):
        signed = SIGNATURE._replace(annex=self.ANNEX)
        assert error_of(leaf_spend(CHECKSIG, signed, annex=self.ANNEX)) == "OK"
        assert error_of(leaf_spend(CHECKSIG, SIGNATURE, annex=self.ANNEX)) == "SCHNORR_SIG"
        assert error_of(leaf_spend(CHECKSIG, signed, annex=self.ANNEX + b"!")) == "SCHNORR_SIG"

    def test_one_byte_is_enough(self):
        signed = SIGNATURE._replace(annex=b"\x50")
        assert error_of(leaf_spend(CHECKSIG, signed, annex=b"\x50")) == "OK"

    def test_is_not_on_the_stack(self):
        assert error_of(leaf_spend(leaf("DEPTH 0 EQUAL"), annex=self.ANNEX)) == "OK"

    def test_other_last_elements_are_control_blocks(self):
        spend = leaf_spend(CHECKSIG, SIGNATURE, annex=b"\x51")
        assert error_of(spend) == "TAPROOT_WRONG_CONTROL_SIZE"


class TestLimits:
    @pytest.mark.parametrize(
        "argument", [b"\x02", b"\x00", b"\x01\x00", b"\x80", b"\x81"], ids=bytes.hex
    )
    @pytest.mark.parametrize("opcode", ["IF", "NOTIF"])
    def test_conditions_must_be_minimal(self, argument, opcode):
        assert run(f"{opcode} 1 ELSE 1 ENDIF", argument) == "TAPSCRIPT_MINIMALIF"

    def test_minimal_conditions(self):
        assert run("IF 1 ELSE 0 ENDIF", b"\x01") == "OK"
        assert run("IF 0 ELSE 1 ENDIF", b"") == "OK"
        assert run("NOTIF 1 ELSE 0 ENDIF", b"") == "OK"
        assert run("0 IF IF ENDIF ENDIF 1") == "OK"
        assert run("IF ENDIF 1") == "UNBALANCED_CONDITIONAL"

    def test_scripts_may_be_long(self):
        assert error_of(leaf_spend(Leaf(b"\x61" * 20_000 + b"\x51"))) == "OK"

    def test_the_stack_starts_with_at_most_1000_elements(self):
        drops = b"\x6d" * 499 + b"\x75"
        assert error_of(leaf_spend(Leaf(drops), *[b"\x01"] * 1000)) == "OK"
        assert error_of(leaf_spend(Leaf(drops + b"\x75"), *[b"\x01"] * 1001)) == "STACK_SIZE"

    def test_the_stack_never_holds_more(self):
        assert error_of(leaf_spend(Leaf(b"\x51" + b"\x6d" * 500), *[b""] * 1000)) == "STACK_SIZE"

    def test_elements_of_the_witness(self):
        drop = Leaf(b"\x75\x51")
        assert error_of(leaf_spend(drop, bytes(520))) == "OK"
        assert error_of(leaf_spend(drop, bytes(521))) == "PUSH_SIZE"

    def test_pushes(self):
        assert error_of(leaf_spend(Leaf(push_data(bytes(520)) + b"\x75\x51"))) == "OK"
        assert error_of(leaf_spend(Leaf(push_data(bytes(521)) + b"\x75\x51"))) == "PUSH_SIZE"

    def test_one_true_element_is_left(self):
        assert error_of(leaf_spend(Leaf(b""))) == "CLEANSTACK"
        assert error_of(leaf_spend(Leaf(b"\x51\x51"))) == "CLEANSTACK"
        assert error_of(leaf_spend(Leaf(b"\x00"))) == "EVAL_FALSE"
        assert error_of(leaf_spend(Leaf(b"\x51\x63"))) == "UNBALANCED_CONDITIONAL"

    def test_minimal_pushes_by_policy(self):
        spend = leaf_spend(Leaf(b"\x01\x01"))
        assert error_of(spend) == "OK"
        assert error_of(spend, CONSENSUS | verify_flags.MINIMALDATA) == "MINIMALDATA"

    def test_lock_times_hold_here_too(self):
        spend = leaf_spend(leaf("100 CHECKLOCKTIMEVERIFY"), locktime=100)
        assert error_of(spend) == "OK"
        spend = leaf_spend(leaf("101 CHECKLOCKTIMEVERIFY"), locktime=100)
        assert error_of(spend) == "UNSATISFIED_LOCKTIME"
