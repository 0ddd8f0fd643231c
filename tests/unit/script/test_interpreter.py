"""Legacy rules restated in literals: limits, error names, the order in which rules are met."""

import pytest

from misocoin.crypto.hashes import hash160
from misocoin.script import flags as verify_flags
from misocoin.script.result import ScriptError
from misocoin.script.script import push_data
from misocoin.script.sighash import TxDigests, legacy_sighash
from misocoin.script.templates import p2pk_script, p2pkh_script, p2sh_script
from tests.unit.script.core_format import script_from_text
from tests.unit.script.spends import CONSENSUS, KEYS, error_of, input_digests, with_input


def run(script_sig: str, script_pubkey: str, flags: int = CONSENSUS) -> str:
    digests = input_digests(script_from_text(script_pubkey), script_from_text(script_sig))
    return error_of(digests, flags)


HUNDRED = "NOP " * 100


@pytest.mark.parametrize(
    ("script_sig", "script_pubkey", "result"),
    [
        # 201 operations, pushes not counted, a multisig's keys counted.
        ("1", HUNDRED + HUNDRED + "NOP", "OK"),
        ("1", HUNDRED + HUNDRED + "NOP NOP", "OP_COUNT"),
        ("0", "IF " + HUNDRED + HUNDRED + "ENDIF 1", "OP_COUNT"),
        ("1", "0 DROP " * 50 + HUNDRED, "OK"),
        ("1", "16 DROP " * 101 + HUNDRED, "OK"),
        ("1", "16 DROP " * 102 + HUNDRED, "OP_COUNT"),
        ("1 " * 1000, "DEPTH 1000 NUMEQUAL", "STACK_SIZE"),
        ("1 " * 998, "DEPTH 998 NUMEQUAL", "OK"),
        ("1 " * 999, "TOALTSTACK DUP DUP", "STACK_SIZE"),
        ("1", "0x4d 0x0802 0x" + "00" * 520, "EVAL_FALSE"),
        ("1", "0x4d 0x0902 0x" + "00" * 521, "PUSH_SIZE"),
        ("1", "0 IF 0x4d 0x0902 0x" + "00" * 521 + " ENDIF", "PUSH_SIZE"),
        ("1", "0x" + "61" * 10_001, "SCRIPT_SIZE"),
        # What fails by standing there.
        ("1", "0 IF CAT ENDIF", "DISABLED_OPCODE"),
        ("1", "0 IF VERIF ENDIF", "BAD_OPCODE"),
        ("1", "0 IF VER RESERVED RESERVED1 RESERVED2 0xba 0xbb 0xff ENDIF", "OK"),
        ("1", "VER", "BAD_OPCODE"),
        ("", "VER", "BAD_OPCODE"),
        ("1", "RESERVED", "BAD_OPCODE"),
        ("1", "0xba", "BAD_OPCODE"),
        ("1", "0x02 0x01", "BAD_OPCODE"),
        ("1", "0x4c", "BAD_OPCODE"),
        ("0x05 0x01", "1", "BAD_OPCODE"),
        # Conditionals.
        ("1", "IF", "UNBALANCED_CONDITIONAL"),
        ("1", "IF 1 ELSE RETURN ELSE 1 ENDIF", "OK"),
        ("0", "IF RETURN ELSE 1 ELSE RETURN ENDIF", "OK"),
        ("1", "ENDIF", "UNBALANCED_CONDITIONAL"),
        ("1", "ELSE", "UNBALANCED_CONDITIONAL"),
        ("", "IF ENDIF", "UNBALANCED_CONDITIONAL"),
        ("1 IF", "ENDIF 1", "UNBALANCED_CONDITIONAL"),
        ("1", "0 IF 0 IF RETURN ELSE RETURN ENDIF ELSE 1 ENDIF", "OK"),
        ("1", "1 IF 0 IF RETURN ELSE 5 ENDIF ELSE RETURN ENDIF", "OK"),
        ("2", "IF 1 ENDIF", "OK"),
        # Stack, arithmetic.
        ("", "DUP", "INVALID_STACK_OPERATION"),
        ("1", "FROMALTSTACK", "INVALID_ALTSTACK_OPERATION"),
        ("1 2 3", "ROT 1 EQUALVERIFY 3 EQUALVERIFY 2 EQUAL", "OK"),
        ("1 2 3 4 5 6", "2ROT 2 EQUALVERIFY 1 EQUALVERIFY 6 EQUALVERIFY 2DROP 3 EQUAL", "OK"),
        ("1 2 3 4", "2OVER 2 EQUALVERIFY 1 EQUALVERIFY 2SWAP 2 EQUAL", "OK"),
        ("1 2", "TUCK 2 EQUALVERIFY 1 EQUALVERIFY 2 EQUAL", "OK"),
        ("7 8 9", "1 PICK 8 EQUALVERIFY 2 ROLL 7 EQUALVERIFY 2DROP 1", "OK"),
        ("7", "1 PICK", "INVALID_STACK_OPERATION"),
        ("7 8", "-1 ROLL", "INVALID_STACK_OPERATION"),
        ("5", "DUP 0 5 WITHIN NOT VERIFY 5 6 WITHIN", "OK"),
        ("2147483647", "DUP ADD 4294967294 EQUAL", "OK"),
        ("2147483647", "DUP ADD 1ADD", "UNKNOWN_ERROR"),
        ("0x01 0x80", "NOT", "OK"),
        ("-5", "ABS 5 NUMEQUALVERIFY 1", "OK"),
        ("1 2", "NUMEQUALVERIFY", "NUMEQUALVERIFY"),
        ("1 2", "EQUALVERIFY", "EQUALVERIFY"),
        ("0", "VERIFY", "VERIFY"),
        ("1", "RETURN", "OP_RETURN"),
        ("", "", "EVAL_FALSE"),
        ("0x01 0x80", "", "EVAL_FALSE"),
        # Multisig's arguments.
        ("", "0 0 0 CHECKMULTISIG", "OK"),
        ("", "0 0 CHECKMULTISIG", "INVALID_STACK_OPERATION"),
        ("", "0 CHECKMULTISIG", "INVALID_STACK_OPERATION"),
        ("", "CHECKMULTISIG", "INVALID_STACK_OPERATION"),
        ("", "0 0 21 CHECKMULTISIG", "PUBKEY_COUNT"),
        ("", "0 0 -1 CHECKMULTISIG", "PUBKEY_COUNT"),
        ("", "0 -1 0 CHECKMULTISIG", "SIG_COUNT"),
        ("", "0 1 0 CHECKMULTISIG", "SIG_COUNT"),
        ("", "0 0 0 CHECKMULTISIGVERIFY 1", "OK"),
        ("", "0 0 1 0 1 CHECKMULTISIGVERIFY 1", "CHECKMULTISIGVERIFY"),
        ("", "1 0 0 CHECKMULTISIG", "SIG_NULLDUMMY"),
        ("", "0 0 1 0 1 CHECKMULTISIG NOT", "OK"),
        ("0 0", "CHECKSIG NOT", "OK"),
        ("0 0", "CHECKSIGVERIFY", "CHECKSIGVERIFY"),
    ],
)
def test_legacy(script_sig, script_pubkey, result):
    assert run(script_sig, script_pubkey) == result


def test_keys_of_a_multisig_count_as_operations():
    ten = "0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 20 CHECKMULTISIG DROP "
    # 22 operations each: nine of them are 198.
    assert run("1", ten * 9 + "NOP NOP NOP") == "OK"
    assert run("1", ten * 9 + "NOP NOP NOP NOP") == "OP_COUNT"
    assert run("1", ten * 10) == "OP_COUNT"


class TestPolicyFlags:
    def test_nops(self):
        for nop in ("NOP1", "NOP4", "NOP10"):
            assert run("1", nop) == "OK"
            assert run("1", nop, verify_flags.STANDARD) == "DISCOURAGE_UPGRADABLE_NOPS"
            assert run("1", f"0 IF {nop} ENDIF", verify_flags.STANDARD) == "OK"

    def test_push_only(self):
        assert run("1 NOP", "") == "OK"
        assert run("1 NOP", "", CONSENSUS | verify_flags.SIGPUSHONLY) == "SIG_PUSHONLY"

    def test_clean_stack(self):
        assert run("1 1", "") == "OK"
        assert run("1 1", "", CONSENSUS | verify_flags.CLEANSTACK) == "CLEANSTACK"

    def test_minimal_data(self):
        minimal = CONSENSUS | verify_flags.MINIMALDATA
        assert run("0x01 0x01", "") == "OK"
        assert run("0x01 0x01", "", minimal) == "MINIMALDATA"
        assert run("0x4c 0x01 0x55", "", minimal) == "MINIMALDATA"
        assert run("0 IF 0x4c 0x01 0x55 ENDIF 1", "", minimal) == "OK"
        assert run("0x02 0x0100", "1ADD", minimal) == "UNKNOWN_ERROR"

    def test_conditions_may_be_anything_before_segwit(self):
        assert run("2", "IF 1 ENDIF", verify_flags.STANDARD) == "OK"

    def test_codeseparator(self):
        const = CONSENSUS | verify_flags.CONST_SCRIPTCODE
        assert run("1", "CODESEPARATOR") == "OK"
        assert run("1", "0 IF CODESEPARATOR ENDIF", const) == "OP_CODESEPARATOR"

    def test_signature_in_its_own_script(self):
        # The pushed bytes are cut out of what they sign; the check itself fails.
        spend = "0x04 0x01020304 0x01 0x02"
        script = "DROP DROP 0x04 0x01020304 DUP 0 CHECKSIG NOT"
        lax = verify_flags.P2SH
        assert run(spend, script, lax) == "OK"
        assert run(spend, script, lax | verify_flags.CONST_SCRIPTCODE) == "SIG_FINDANDDELETE"


class TestP2sh:
    def test_runs_the_script_behind_the_hash(self):
        output = p2sh_script(hash160(b"\x51"))
        assert error_of(input_digests(output, b"\x01\x51")) == "OK"
        assert error_of(input_digests(output, b"\x01\x52")) == "EVAL_FALSE"
        assert error_of(input_digests(output, b"\x61\x01\x51")) == "SIG_PUSHONLY"
        assert error_of(input_digests(output)) == "INVALID_STACK_OPERATION"
        false = p2sh_script(hash160(b"\x00"))
        assert error_of(input_digests(false, b"\x01\x00")) == "EVAL_FALSE"
        empty = p2sh_script(hash160(b""))
        assert error_of(input_digests(empty, b"\x00")) == "EVAL_FALSE"
        assert error_of(input_digests(empty, b"\x51\x00")) == "OK"

    def test_only_since_bip16(self):
        output = p2sh_script(hash160(b"\x00"))
        assert error_of(input_digests(output, b"\x61\x01\x00"), verify_flags.NONE) == "OK"

    def test_is_not_nested(self):
        inner = p2sh_script(hash160(b"\x00"))
        spend = input_digests(p2sh_script(hash160(inner)), b"\x01\x00" + push_data(inner))
        assert error_of(spend) == "OK"


KEY = KEYS[0]
P2PK = p2pk_script(KEY.public_key)


def p2pk_spend(hash_type: int = 1, **options) -> TxDigests:
    digests = input_digests(P2PK, **options)
    index = options.get("index", 0)
    signature = KEY.sign_ecdsa(legacy_sighash(digests, index, P2PK, hash_type))
    script_sig = push_data(signature + bytes((hash_type,)))
    return with_input(digests, index, digests.tx.vin[index]._replace(script_sig=script_sig))


class TestHashTypes:
    @pytest.mark.parametrize("hash_type", [0, 1, 2, 3, 4, 0x1F, 0x50, 0x81, 0x82, 0x83, 0xFF])
    def test_any_byte_is_one_for_consensus(self, hash_type):
        spend = p2pk_spend(hash_type)
        assert error_of(spend) == "OK"
        strict = error_of(spend, verify_flags.STANDARD)
        defined = hash_type in {1, 2, 3, 0x81, 0x82, 0x83}
        assert strict == ("OK" if defined else "SIG_HASHTYPE")

    def test_single_without_its_output_signs_the_number_one(self):
        digests = input_digests(P2PK, index=1, outputs=1)
        one = "0100000000000000000000000000000000000000000000000000000000000000"
        assert legacy_sighash(digests, 1, P2PK, 3).hex() == one
        assert legacy_sighash(digests, 1, P2PK, 0x83).hex() == one
        assert error_of(p2pk_spend(3, index=1, outputs=1), index=1) == "OK"

    @pytest.mark.parametrize(
        ("hash_type", "held"),
        [
            # Which changes a signature survives: another input's sequence, another input,
            # the output of its own index, another output.
            (1, (False, False, False, False)),
            (2, (True, False, True, True)),
            (3, (True, False, False, True)),
            (0x81, (True, True, False, False)),
            (0x82, (True, True, True, True)),
            (0x83, (True, True, False, True)),
        ],
    )
    def test_what_is_signed(self, hash_type, held):
        tx, spent = (spend := p2pk_spend(hash_type)).tx, spend.spent
        other_in = [tx.vin[0], tx.vin[1]._replace(sequence=7)]
        another_in = [tx.vin[0], tx.vin[1]._replace(prevout=bytes(36))]
        own_out = [tx.vout[0]._replace(value=7), tx.vout[1]]
        other_out = [tx.vout[0], tx.vout[1]._replace(value=7)]
        changed = (
            tx.build(tx.version, other_in, tx.vout),
            tx.build(tx.version, another_in, tx.vout),
            tx.build(tx.version, tx.vin, own_out),
            tx.build(tx.version, tx.vin, other_out),
        )
        results = tuple(error_of(TxDigests(other, spent)) == "OK" for other in changed)
        assert results == held


def test_high_s_holds_for_consensus():
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    digests = input_digests(P2PK)
    signature = KEY.sign_ecdsa(legacy_sighash(digests, 0, P2PK, 1))
    s_at = signature[3] + 6
    high = (order - int.from_bytes(signature[s_at:], "big")).to_bytes(33, "big")
    body = signature[2 : s_at - 1] + b"\x21" + high
    flipped = b"\x30" + bytes((len(body),)) + body + b"\x01"
    txin = digests.tx.vin[0]._replace(script_sig=push_data(flipped))
    spend = with_input(digests, 0, txin)
    assert error_of(spend) == "OK"
    assert error_of(spend, CONSENSUS | verify_flags.LOW_S) == "SIG_HIGH_S"


def test_nullfail():
    wrong = push_data(KEYS[1].sign_ecdsa(bytes(32)) + b"\x01")
    spend = input_digests(P2PK + b"\x91", wrong)
    assert error_of(spend) == "OK"
    assert error_of(spend, verify_flags.STANDARD) == "NULLFAIL"
    spend = input_digests(p2pkh_script(hash160(b"\x02\x02")), wrong + b"\x02\x02\x02")
    assert error_of(spend) == "EVAL_FALSE"
    assert error_of(spend, verify_flags.STANDARD) == "PUBKEYTYPE"


def test_names_and_texts():
    """Texts that stand in reject details; a change would be noticed by users' scripts."""
    assert len(ScriptError) == 52
    assert ScriptError.EVAL_FALSE.message == (
        "Script evaluated without error but finished with a false/empty top stack element"
    )
    assert ScriptError.NULLFAIL.message == (
        "Signature must be zero for failed CHECK(MULTI)SIG operation"
    )
    assert ScriptError.UNKNOWN_ERROR.message == "unknown error"
    assert ScriptError.SIG_PUSHONLY.message == "Only push operators allowed in signatures"
    assert ScriptError.WITNESS_PROGRAM_MISMATCH.message == "Witness program hash mismatch"
    assert ScriptError.SCHNORR_SIG.message == "Invalid Schnorr signature"


def test_flags():
    assert len(verify_flags.FLAGS_BY_NAME) == 21
    assert sum(verify_flags.FLAGS_BY_NAME.values()) == (1 << 21) - 1
    assert verify_flags.flags_from_names(["P2SH", "WITNESS"]) == (
        verify_flags.P2SH | verify_flags.WITNESS
    )
    mandatory = [
        name for name, bit in verify_flags.FLAGS_BY_NAME.items() if bit & verify_flags.MANDATORY
    ]
    assert mandatory == [
        "P2SH",
        "DERSIG",
        "NULLDUMMY",
        "CHECKLOCKTIMEVERIFY",
        "CHECKSEQUENCEVERIFY",
        "WITNESS",
        "TAPROOT",
    ]
    # All but SIGPUSHONLY, which relay checks before any script is run.
    assert verify_flags.STANDARD == (1 << 21) - 1 - verify_flags.SIGPUSHONLY
