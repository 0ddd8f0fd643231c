"""Counting signature operations."""

import pytest

from misocoin.script.script import push_data
from misocoin.script.sigops import count_p2sh_sigops, count_sigops, count_witness_sigops
from misocoin.script.templates import (
    p2pkh_script,
    p2sh_script,
    p2tr_script,
    p2wpkh_script,
    p2wsh_script,
)
from tests.unit.script.core_format import script_from_text

HASH = bytes(range(20))


@pytest.mark.parametrize(
    ("text", "rough", "accurate"),
    [
        ("", 0, 0),
        ("CHECKSIG", 1, 1),
        ("CHECKSIG CHECKSIGVERIFY", 2, 2),
        ("1 0x14 0x0000000000000000000000000000000000000000 2 CHECKMULTISIG", 20, 2),
        ("16 CHECKMULTISIGVERIFY", 20, 16),
        ("0 CHECKMULTISIG", 20, 20),
        ("0x01 0x03 CHECKMULTISIG", 20, 20),
        ("3 NOP CHECKMULTISIG", 20, 20),
        ("CHECKMULTISIG", 20, 20),
        ("IF CHECKSIG 1 CHECKMULTISIG ENDIF", 21, 2),
        ("0x02 0xacac", 0, 0),
        ("0x4c 0x02 0xacac CHECKSIG", 1, 1),
        ("RETURN CHECKSIG", 1, 1),
        ("CHECKSIGADD", 0, 0),
    ],
)
def test_count(text, rough, accurate):
    script = script_from_text(text)
    assert count_sigops(script) == rough
    assert count_sigops(script, accurate=True) == accurate


def test_the_commonest_outputs():
    assert count_sigops(p2pkh_script(b"\xac" * 20)) == 1
    assert count_sigops(p2wpkh_script(b"\xac" * 20)) == 0
    assert count_sigops(b"\x76\xa9\x14" + HASH + b"\x88\xad") == 1
    assert count_sigops(b"\x76\xa9\x14" + HASH + b"\xac\xac") == 2
    assert count_sigops(b"\x76\xa9\x13" + bytes(19) + b"\xac\x88\xac") == 2
    assert count_sigops(b"\x00\x13" + bytes(19) + b"\xac") == 1


@pytest.mark.parametrize("tail", [b"\x02\xac", b"\x4c\x02\xac", b"\x4d\xff\xffac"])
def test_counting_ends_where_the_script_is_cut_off(tail):
    assert count_sigops(b"\xac" + tail) == 1


class TestP2sh:
    REDEEM = script_from_text("CHECKSIG 2 CHECKMULTISIG")
    OUTPUT = p2sh_script(HASH)

    def test_counts_what_stands_behind_the_hash(self):
        assert count_p2sh_sigops(b"\x00" + push_data(self.REDEEM), self.OUTPUT) == 3
        assert count_p2sh_sigops(b"\x60" + push_data(self.REDEEM), self.OUTPUT) == 3

    def test_other_outputs(self):
        assert count_p2sh_sigops(push_data(self.REDEEM), p2pkh_script(HASH)) == 0

    @pytest.mark.parametrize("script_sig", [b"", b"\x61", b"\x51", b"\xac" * 2])
    def test_no_pushed_script(self, script_sig):
        assert count_p2sh_sigops(script_sig, self.OUTPUT) == 0

    def test_a_script_sig_that_does_more_than_push(self):
        assert count_p2sh_sigops(b"\x61" + push_data(self.REDEEM), self.OUTPUT) == 0

    def test_a_script_sig_that_is_cut_off(self):
        assert count_p2sh_sigops(push_data(self.REDEEM) + b"\x05", self.OUTPUT) == 0


class TestWitness:
    SCRIPT = script_from_text("CHECKSIG 2 CHECKMULTISIG")

    def test_p2wpkh(self):
        assert count_witness_sigops(b"", p2wpkh_script(HASH), ()) == 1

    def test_p2wsh(self):
        output = p2wsh_script(bytes(32))
        assert count_witness_sigops(b"", output, (b"", self.SCRIPT)) == 3
        assert count_witness_sigops(b"", output, ()) == 0

    def test_inside_p2sh(self):
        output = p2sh_script(HASH)
        assert count_witness_sigops(push_data(p2wpkh_script(HASH)), output, ()) == 1
        nested = push_data(p2wsh_script(bytes(32)))
        assert count_witness_sigops(nested, output, (self.SCRIPT,)) == 3
        assert count_witness_sigops(b"\x61" + nested, output, (self.SCRIPT,)) == 0

    def test_others_have_none(self):
        assert count_witness_sigops(b"", p2tr_script(bytes(32)), (self.SCRIPT,)) == 0
        assert count_witness_sigops(b"", p2pkh_script(HASH), (self.SCRIPT,)) == 0
        assert count_witness_sigops(b"\x51", p2sh_script(HASH), (self.SCRIPT,)) == 0
        assert count_witness_sigops(b"", b"\x00\x03abc", (self.SCRIPT,)) == 0
