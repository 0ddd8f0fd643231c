"""Standard forms: recognised as they are built, and what just misses them."""

import pytest

from misocoin.script.opcodes import OP_CHECKMULTISIG
from misocoin.script.script import push_data, push_int
from misocoin.script.templates import (
    P2A_SCRIPT,
    ScriptKind,
    ScriptTemplate,
    multisig_script,
    nulldata_script,
    p2pk_script,
    p2pkh_script,
    p2sh_script,
    p2tr_script,
    p2wpkh_script,
    p2wsh_script,
    template_from_script,
    witness_script,
)

SHORT, LONG = b"\x02" + bytes(32), b"\x04" + bytes(64)
HASH, LONG_HASH = bytes(range(20)), bytes(range(32))


@pytest.mark.parametrize(
    ("script", "template"),
    [
        (p2pk_script(SHORT), ScriptTemplate(ScriptKind.P2PK, (SHORT,))),
        (p2pk_script(LONG), ScriptTemplate(ScriptKind.P2PK, (LONG,))),
        (p2pkh_script(HASH), ScriptTemplate(ScriptKind.P2PKH, (HASH,))),
        (p2sh_script(HASH), ScriptTemplate(ScriptKind.P2SH, (HASH,))),
        (p2wpkh_script(HASH), ScriptTemplate(ScriptKind.P2WPKH, (HASH,))),
        (p2wsh_script(LONG_HASH), ScriptTemplate(ScriptKind.P2WSH, (LONG_HASH,))),
        (p2tr_script(LONG_HASH), ScriptTemplate(ScriptKind.P2TR, (LONG_HASH,), version=1)),
        (P2A_SCRIPT, ScriptTemplate(ScriptKind.ANCHOR, (b"\x4e\x73",), version=1)),
        (
            witness_script(2, HASH),
            ScriptTemplate(ScriptKind.WITNESS_UNKNOWN, (HASH,), version=2),
        ),
        (
            witness_script(1, HASH),
            ScriptTemplate(ScriptKind.WITNESS_UNKNOWN, (HASH,), version=1),
        ),
        (
            multisig_script(2, (SHORT, LONG, SHORT)),
            ScriptTemplate(ScriptKind.MULTISIG, (SHORT, LONG, SHORT), required=2),
        ),
        (
            multisig_script(17, (SHORT,) * 20),
            ScriptTemplate(ScriptKind.MULTISIG, (SHORT,) * 20, required=17),
        ),
        (
            multisig_script(1, (LONG,)),
            ScriptTemplate(ScriptKind.MULTISIG, (LONG,), required=1),
        ),
        (
            multisig_script(16, (SHORT,) * 16),
            ScriptTemplate(ScriptKind.MULTISIG, (SHORT,) * 16, required=16),
        ),
        (
            multisig_script(20, (LONG,) * 20),
            ScriptTemplate(ScriptKind.MULTISIG, (LONG,) * 20, required=20),
        ),
        (nulldata_script(b"hello", b""), ScriptTemplate(ScriptKind.NULLDATA)),
        (nulldata_script(), ScriptTemplate(ScriptKind.NULLDATA)),
    ],
)
def test_recognised(script, template):
    assert template_from_script(script) == template


KEY = push_data(SHORT)


@pytest.mark.parametrize(
    "script",
    [
        b"",
        b"\xac",
        b"\x51",
        b"\x00\x03abc",  # version 0 of another length
        b"\x6a\x61",  # RETURN and more than pushes
        b"\x6a\x05",  # cut off
        push_data(b"\x05" + bytes(32)) + b"\xac",  # no key by its first byte
        push_data(b"\x02" + bytes(31)) + b"\xac",
        b"\x4c\x21" + SHORT + b"\xac",  # not the shortest push
        p2pkh_script(HASH) + b"\x61",
        p2sh_script(HASH)[:-1],
        b"\x00" + KEY + b"\x51\xae",  # 0 of 1
        b"\x52" + KEY + b"\x51\xae",  # 2 of 1
        b"\x51" + KEY + b"\x52\xae",  # one key, said to be two
        b"\x51" + KEY + b"\x51\xaf",
        b"\x51" + KEY + b"\x51\xae\x61",
        b"\x51\x51\xae",
        b"\x51\x61" + KEY + b"\x52\xae",
        b"\x02\x11\x00" + KEY * 17 + b"\x01\x11\xae",
        b"\x61" + KEY + b"\x51\xae",
        b"\x01\x01" + KEY + b"\x51\xae",  # a count that is not in its shortest form
        b"\x51" + push_data(HASH) + b"\x51\xae",
        b"\x51" + KEY * 21 + push_int(21) + bytes((OP_CHECKMULTISIG,)),
        b"\x05\x00\x00\x00\x00\x01" + KEY + b"\x51\xae",
        b"\xae",
        b"\x51" + KEY + b"\x02\xae",  # cut off: the last byte is data
    ],
)
def test_not_standard(script):
    assert template_from_script(script) == ScriptTemplate(ScriptKind.NONSTANDARD)


def test_builders_refuse_what_cannot_be():
    for required, count in [(0, 1), (2, 1), (1, 0), (1, 21)]:
        with pytest.raises(ValueError, match="is no multisig"):
            multisig_script(required, (SHORT,) * count)
    for version, size in [(-1, 20), (17, 20), (1, 1), (1, 41)]:
        with pytest.raises(ValueError, match="no witness program"):
            witness_script(version, bytes(size))


def test_kinds_have_cores_names():
    assert [kind.value for kind in ScriptKind] == [
        "nonstandard",
        "anchor",
        "pubkey",
        "pubkeyhash",
        "scripthash",
        "multisig",
        "nulldata",
        "witness_v0_keyhash",
        "witness_v0_scripthash",
        "witness_v1_taproot",
        "witness_unknown",
    ]
