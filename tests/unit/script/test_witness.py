"""Witness programs: taproot's key path, unknown versions, the rules around segwit v0."""

import pytest

from misocoin.crypto.hashes import hash160, sha256
from misocoin.primitives.transaction import TxOut, transaction_from_bytes
from misocoin.script import flags as verify_flags
from misocoin.script.script import push_data
from misocoin.script.sighash import TxDigests, annex_hash, segwit_sighash, taproot_sighash
from misocoin.script.templates import (
    P2A_SCRIPT,
    p2pkh_script,
    p2sh_script,
    p2tr_script,
    p2wpkh_script,
    p2wsh_script,
    witness_script,
)
from tests.unit.script.spends import CONSENSUS, KEYS, error_of, input_digests, with_input

KEY = KEYS[1]
P2TR = p2tr_script(KEY.xonly_public_key)


def key_spend(hash_type: int = 0, annex: bytes | None = None, signed_annex=None, **options):
    digests = input_digests(P2TR, **options)
    index = options.get("index", 0)
    committed = None if signed_annex is None else annex_hash(signed_annex)
    digest = taproot_sighash(digests, index, hash_type, committed)
    signature = KEY.sign_schnorr(digest, bytes(32)) + (bytes((hash_type,)) if hash_type else b"")
    witness = (signature,) if annex is None else (signature, annex)
    return with_input(digests, index, digests.tx.vin[index]._replace(witness=witness))


class TestKeyPath:
    @pytest.mark.parametrize("hash_type", [0, 1, 2, 3, 0x81, 0x82, 0x83])
    @pytest.mark.parametrize("index", [0, 1])
    def test_every_hash_type(self, hash_type, index):
        spend = key_spend(hash_type, index=index)
        assert error_of(spend, verify_flags.STANDARD, index) == "OK"

    @pytest.mark.parametrize("hash_type", [0, 4, 0x80, 0x84, 0xFF])
    def test_other_hash_types(self, hash_type):
        spend = input_digests(P2TR, witness=(bytes(64) + bytes((hash_type,)),))
        assert error_of(spend) == "SCHNORR_SIG_HASHTYPE"

    def test_single_without_its_output(self):
        spend = input_digests(P2TR, witness=(bytes(64) + b"\x03",), index=1, outputs=1)
        assert error_of(spend, index=1) == "SCHNORR_SIG_HASHTYPE"

    @pytest.mark.parametrize("size", [0, 1, 63, 66])
    def test_sizes(self, size):
        assert error_of(input_digests(P2TR, witness=(bytes(size),))) == "SCHNORR_SIG_SIZE"

    def test_a_wrong_signature(self):
        assert error_of(input_digests(P2TR, witness=(bytes(64),))) == "SCHNORR_SIG"

    def test_the_amounts_of_all_inputs_are_signed(self):
        spend = key_spend()
        spend.spent = (spend.spent[0], spend.spent[1]._replace(value=1))
        assert error_of(spend) == "SCHNORR_SIG"

    def test_with_anyonecanpay_the_other_inputs_are_not(self):
        spend = key_spend(0x81)
        spend.spent = (spend.spent[0], spend.spent[1]._replace(value=1))
        assert error_of(spend) == "OK"

    def test_annex(self):
        annex = b"\x50annex"
        assert error_of(key_spend(annex=annex, signed_annex=annex)) == "OK"
        assert error_of(key_spend(annex=annex)) == "SCHNORR_SIG"
        assert error_of(key_spend(signed_annex=annex)) == "SCHNORR_SIG"

    def test_a_lone_element_is_no_annex(self):
        assert error_of(input_digests(P2TR, witness=(b"\x50",))) == "SCHNORR_SIG_SIZE"

    def test_an_annex_alone_with_a_script_is_no_control_block(self):
        spend = input_digests(P2TR, witness=(b"\x51", b"\xc0" + bytes(32), b"\x50"))
        assert error_of(spend) == "WITNESS_PROGRAM_MISMATCH"

    def test_empty_witness(self):
        assert error_of(input_digests(P2TR)) == "WITNESS_PROGRAM_WITNESS_EMPTY"

    def test_anything_goes_before_taproot(self):
        flags = CONSENSUS & ~verify_flags.TAPROOT
        assert error_of(input_digests(P2TR, witness=(b"x",)), flags) == "OK"
        discouraged = flags | verify_flags.DISCOURAGE_UPGRADABLE_WITNESS_PROGRAM
        assert error_of(input_digests(P2TR, witness=(b"x",)), discouraged) == "OK"

    def test_inside_p2sh_it_is_not_taproot(self):
        spend = input_digests(p2sh_script(hash160(P2TR)), push_data(P2TR), (b"x",))
        assert error_of(spend) == "OK"
        discouraged = CONSENSUS | verify_flags.DISCOURAGE_UPGRADABLE_WITNESS_PROGRAM
        assert error_of(spend, discouraged) == "DISCOURAGE_UPGRADABLE_WITNESS_PROGRAM"


class TestUnknownPrograms:
    @pytest.mark.parametrize(
        ("version", "size"), [(1, 31), (1, 33), (1, 2), (2, 32), (16, 40), (2, 2)]
    )
    def test_are_anyones(self, version, size):
        spend = input_digests(witness_script(version, b"\x07" * size), witness=(b"x", b"y"))
        assert error_of(spend) == "OK"
        discouraged = CONSENSUS | verify_flags.DISCOURAGE_UPGRADABLE_WITNESS_PROGRAM
        assert error_of(spend, discouraged) == "DISCOURAGE_UPGRADABLE_WITNESS_PROGRAM"

    def test_anchors_are_standard(self):
        spend = input_digests(P2A_SCRIPT)
        assert error_of(spend, verify_flags.STANDARD) == "OK"
        nested = input_digests(p2sh_script(hash160(P2A_SCRIPT)), push_data(P2A_SCRIPT))
        result = error_of(nested, verify_flags.STANDARD)
        assert result == "DISCOURAGE_UPGRADABLE_WITNESS_PROGRAM"

    @pytest.mark.parametrize("size", [2, 19, 21, 31, 33, 40])
    def test_version_0_has_two_lengths(self, size):
        spend = input_digests(witness_script(0, b"\x07" * size), witness=(b"x",))
        assert error_of(spend) == "WITNESS_PROGRAM_WRONG_LENGTH"

    @pytest.mark.parametrize("version", [0, 1, 2, 16])
    @pytest.mark.parametrize("program", [bytes(20), bytes(32), bytes(19) + b"\x80"])
    def test_a_program_of_zeros_is_false(self, version, program):
        spend = input_digests(witness_script(version, program), witness=(b"x",))
        assert error_of(spend) == "EVAL_FALSE"

    def test_a_program_that_is_not_zero_is_true(self):
        spend = input_digests(witness_script(2, b"\x80" + bytes(19)), witness=(b"x",))
        assert error_of(spend) == "OK"

    def test_a_script_sig_is_malleation(self):
        spend = input_digests(witness_script(2, b"\x07" * 20), b"\x51", (b"x",))
        assert error_of(spend) == "WITNESS_MALLEATED"

    def test_but_the_script_sig_fails_first_if_it_fails(self):
        spend = input_digests(witness_script(2, b"\x07" * 20), b"\x6a", (b"x",))
        assert error_of(spend) == "OP_RETURN"

    def test_nothing_is_checked_before_segwit(self):
        spend = input_digests(p2wpkh_script(b"\x07" * 20), b"\x51", (b"x",))
        assert error_of(spend, verify_flags.P2SH) == "OK"


class TestVersion0:
    def test_bip143_native_p2wpkh(self):
        """The second input of BIP143's first example, with its signature."""
        unsigned = transaction_from_bytes(
            bytes.fromhex(
                "0100000002fff7f7881a8099afa6940d42d1e7f6362bec38171ea3edf433541db4e4ad969f00000000"
                "00eeffffffef51e1b804cc89d182d279655c3aa89e815b1b309fe287d9b2b55d57b90ec68a01000000"
                "00ffffffff02202cb206000000001976a9148280b37df378db99f66f85c95a783a76ac7a6d5988ac90"
                "93510d000000001976a9143bde42dbee7e4dbe6a21b2d50ce2f0167faa815988ac11000000"
            )
        )
        key_hash = bytes.fromhex("1d0f172a0ecb48aee1be1f2687d2963ae33f71a1")
        spent = (TxOut(625_000_000, b"\x51"), TxOut(600_000_000, p2wpkh_script(key_hash)))
        digests = TxDigests(unsigned, spent)
        digest = segwit_sighash(digests, 1, p2pkh_script(key_hash), 1)
        assert digest.hex() == "c37af31116d1b27caf68aae9e3ac82f1477929014d5b917657d0eb49478cb670"
        witness = (
            bytes.fromhex(
                "304402203609e17b84f6a7d30c80bfa610b5b4542f32a8a0d5447a12fb1366d7f01cc44a"
                "0220573a954c4518331561406f90300e8f3358f51928d43c212a8caed02de67eebee01"
            ),
            bytes.fromhex("025476c2e83188368da1ff3e292e7acafcdb3566bb0ad253f62fc70f07aeee6357"),
        )
        signed = with_input(digests, 1, unsigned.vin[1]._replace(witness=witness))
        assert error_of(signed, verify_flags.STANDARD, 1) == "OK"

    @pytest.mark.parametrize("witness", [(), (b"a",), (b"a", b"b", b"c")])
    def test_p2wpkh_takes_two_elements(self, witness):
        spend = input_digests(p2wpkh_script(b"\x07" * 20), witness=witness)
        assert error_of(spend) == "WITNESS_PROGRAM_MISMATCH"

    def test_p2wsh(self):
        script = b"\x51"
        output = p2wsh_script(sha256(script))
        assert error_of(input_digests(output, witness=(script,))) == "OK"
        assert error_of(input_digests(output)) == "WITNESS_PROGRAM_WITNESS_EMPTY"
        assert error_of(input_digests(output, witness=(b"\x52",))) == "WITNESS_PROGRAM_MISMATCH"
        assert error_of(input_digests(output, witness=(b"x", script))) == "CLEANSTACK"

    def test_p2wsh_limits(self):
        long_script = b"\x61" * 10_001
        spend = input_digests(p2wsh_script(sha256(long_script)), witness=(long_script,))
        assert error_of(spend) == "SCRIPT_SIZE"
        drop = b"\x75\x51"
        spend = input_digests(p2wsh_script(sha256(drop)), witness=(bytes(521), drop))
        assert error_of(spend) == "PUSH_SIZE"

    def test_conditions_are_minimal_by_policy(self):
        script = b"\x63\x51\x67\x51\x68"
        spend = input_digests(p2wsh_script(sha256(script)), witness=(b"\x02", script))
        assert error_of(spend) == "OK"
        assert error_of(spend, CONSENSUS | verify_flags.MINIMALIF) == "MINIMALIF"

    def test_a_witness_for_nothing(self):
        assert error_of(input_digests(b"\x51", witness=(b"x",))) == "WITNESS_UNEXPECTED"
        nested = input_digests(p2sh_script(hash160(b"\x51")), b"\x01\x51", (b"x",))
        assert error_of(nested) == "WITNESS_UNEXPECTED"

    def test_in_p2sh_the_script_sig_pushes_the_program_alone(self):
        program = p2wsh_script(sha256(b"\x51"))
        output = p2sh_script(hash160(program))
        assert error_of(input_digests(output, push_data(program), (b"\x51",))) == "OK"
        padded = input_digests(output, b"\x51" + push_data(program), (b"\x51",))
        assert error_of(padded) == "WITNESS_MALLEATED_P2SH"
        long_form = input_digests(output, b"\x4c\x22" + program, (b"\x51",))
        assert error_of(long_form) == "WITNESS_MALLEATED_P2SH"
