"""The original's request stamps, by the facts that were observed of it."""

import hashlib
import json
import re
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from misocoin.errors import ParseError
from misocoin.hashcash.canonical import (
    canonical_json,
    members_of,
    value_from_json,
    without_wide_escapes,
)
from misocoin.hashcash.errors import StampError, StampFault
from misocoin.hashcash.original import check, mint, stamp_puzzle, with_stamp
from misocoin.pow.engine import StopFlag
from misocoin.pow.engines import select_engine

KNOWN_TEXT = (
    b'{"id":0,"jsonrpc":"2.0","method":"server.version","nonce":"CE1J5DUIid",'
    b'"params":["electrum/4.3.4","1.4"]}'
)
KNOWN_POW = "00006f28a18bd729b820109e4f40a6307983d521d2535e53c4dbb80b0f41e947"
KNOWN_LINE = KNOWN_TEXT[:-1] + b',"pow":"' + KNOWN_POW.encode() + b'"}'


def canonical(line):
    return canonical_json(value_from_json(line))


def test_the_known_stamp_is_good():
    stamped = check(KNOWN_LINE)
    assert stamped.digest.hex() == KNOWN_POW
    assert stamped.bits == 17
    assert stamped.request == (
        b'{"id":0,"jsonrpc":"2.0","method":"server.version","params":["electrum/4.3.4","1.4"]}'
    )


# As Perl's JSON::XS 4.03 answers, canonical and without utf8.
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (b'{"b":1,"B":2,"aa":1,"a":{"z":1,"y":[]}}', b'{"B":2,"a":{"y":[],"z":1},"aa":1,"b":1}'),
        (b' { "a" : [ 1 , true , null ] } ', b'{"a":[1,true,null]}'),
        (b'{"a":1,"a":2}', b'{"a":2}'),
        (rb'["\/\u007f\u0001\b\n\r\u001f\"\\"]', b'["/\x7f\\u0001\\b\\n\\r\\u001f\\"\\\\"]'),
        (rb'["\u00e9"]', b'["\xe9"]'),
        ("[\"é€\"]".encode(), "[\"é€\"]".encode()),
        (b"[1.0,1e3,0.1,1.10,1e-5,1.5e300]", b"[1,1000,0.1,1.1,1e-05,1.5e+300]"),
        (b"[1e20,1e15,3.14159265358979323846]", b"[1e+20,1e+15,3.14159265358979]"),
        (b"[-0,-0.0,0.30000000000000004]", b"[0,-0,0.3]"),
        (b"[18446744073709551615,18446744073709551616]",
         b'[18446744073709551615,"18446744073709551616"]'),
        (b"[-9223372036854775807,-9223372036854775808]",
         b'[-9223372036854775807,"-9223372036854775808"]'),
    ],
)  # fmt: skip
def test_canonical_text(given, expected):
    assert canonical(given) == expected


def test_what_the_original_dies_of_has_a_form_all_the_same():
    assert canonical(rb'["\u20ac\ud83d\ude00"]') == '["€😀"]'.encode()
    assert without_wide_escapes(r'["\u20ac\ud83d\ude00\u00e9\\u20ac\\\u20ac\ud800"]') == (
        '["€😀'.encode().decode("latin-1")
        + r"\u00e9\\u20ac\\"
        + "€".encode().decode("latin-1")
        + r'\ud800"]'
    )


@pytest.mark.parametrize(
    "line",
    [b"", b"{", b'{"a":1,}', b"[01]", b"[1.]", b"[NaN]", b"[Infinity]", b'["a\tb"]', b"[1]x",
     b"\xef\xbb\xbf[]", b"[" * 200 + b"]" * 200, b"[" * 100_000],
)  # fmt: skip
def test_what_is_not_json_is_refused(line):
    with pytest.raises(ParseError):
        value_from_json(line)


def test_half_a_surrogate_pair_is_refused():
    with pytest.raises(ParseError):
        canonical(rb'["\ud800"]')


@given(st.binary(max_size=200))
def test_any_bytes_are_json_or_refused(line):
    try:
        canonical(line)
    except ParseError:
        return
    json.loads(line.decode("latin-1"))


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def objects(draw):
    """The text of an object with blanks anywhere, escapes or raw characters, names twice."""
    blank = st.text(" \t\r\n", max_size=2)
    names = st.sampled_from(["id", "method", "params", "nonce", "pow", "é"]) | st.text(max_size=3)
    ascii_too = draw(st.booleans())
    members = [
        f"{draw(blank)}{json.dumps(name, ensure_ascii=ascii_too)}{draw(blank)}:{draw(blank)}"
        f"{json.dumps(draw(VALUES), ensure_ascii=ascii_too)}{draw(blank)}"
        for name in draw(st.lists(names, max_size=6))
    ]
    text = "{" + (",".join(members) or draw(blank)) + "}" + draw(st.sampled_from(["", " ", "\r"]))
    return text.encode("utf-8", "surrogatepass")


@given(objects())
def test_a_stamped_request_comes_out_as_it_went_in(line):
    stamped = with_stamp(line, stamp_puzzle(line, 0), 62**9 + 17)
    text = line.decode("latin-1")
    assert check(stamped, 0).request == without_wide_escapes(text).encode("latin-1")
    if "\\u" not in text:
        assert check(stamped, 0).request == line


def test_members_with_wide_names_are_in_the_order_of_their_bytes():
    line = rb'{"id":{"\u00c5":1,"\u0100":2}}'
    stamped = with_stamp(line, stamp_puzzle(line, 0), 0)
    assert check(stamped, 0).request == rb'{"id":{"\u00c5":1,"' + "Ā".encode() + b'":2}}'


@given(objects())
def test_members_are_where_they_are_said_to_be(line):
    text = line.decode("latin-1")
    members = members_of(text)
    assert dict(m[:2] for m in members) == value_from_json(line)
    for member in members:
        alone = "{" + text[member.start : member.end] + "}"
        assert value_from_json(alone.encode("latin-1")) == {member.name: member.value}


@given(st.text(max_size=40))
def test_members_of_any_text(text):
    try:
        members = members_of(text)
    except ParseError:
        return
    assert all(text[m.start] == '"' for m in members)


@pytest.mark.parametrize("bits", [8, 16])
def test_minting(bits):
    line = b'{"id": 7, "method": "a", "params": ["\xc3\xa9"]}\r'
    stamped = mint(line, select_engine(), 62**9 - 1, bits)
    request = json.loads(stamped.decode("latin-1"))
    claimed = request.pop("pow")
    text = json.dumps(request, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert hashlib.sha256(text.encode("latin-1")).hexdigest() == claimed
    assert claimed.startswith("0" * (bits // 4))
    assert len(request["nonce"]) == 10
    assert request["nonce"].isalnum()
    assert check(stamped, bits).request == line


def test_minting_can_be_stopped():
    stop = StopFlag()
    stop.set()
    assert mint(b'{"id":7}', select_engine(), 0, 60, stop) is None


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        (KNOWN_TEXT, StampFault.MISSING),
        (KNOWN_LINE.replace(KNOWN_POW.encode(), KNOWN_POW.upper().encode()), StampFault.WRONG),
        (KNOWN_LINE.replace(b'"id":0', b'"id":1'), StampFault.WRONG),
        (KNOWN_LINE.replace(f'"{KNOWN_POW}"'.encode(), b"0"), StampFault.WRONG),
        (KNOWN_LINE.replace(KNOWN_POW.encode(), rb"\ud800"), StampFault.WRONG),
        (KNOWN_LINE[:-1] + b',"pow":"x"}', StampFault.WRONG),
    ],
)
def test_what_does_not_pay(line, fault):
    with pytest.raises(StampError) as caught:
        check(line)
    assert caught.value.fault is fault


def test_a_stamp_of_too_few_bits_is_too_cheap():
    with pytest.raises(StampError, match="it has 17 zero bits, not 18") as caught:
        check(KNOWN_LINE, 18)
    assert caught.value.fault is StampFault.CHEAP


def test_the_form_of_a_nonce_does_not_matter_and_order_neither():
    pairs = sorted(json.loads(KNOWN_LINE).items(), reverse=True)
    stamped = check(json.dumps(dict(pairs), indent=3).encode())
    assert stamped.digest.hex() == KNOWN_POW
    ground = next(
        text
        for number in range(1 << 20)
        if hashlib.sha256(text := b'{"id":%d,"method":"a"}' % number).digest()[0] == 0
    )
    claimed = hashlib.sha256(ground).hexdigest().encode()
    stamped = check(ground[:-1] + b',"pow":"' + claimed + b'"}', 8)
    assert stamped.request == ground


# -- with the library that the original uses ---------------------------------------------------

PERL = """
use JSON::XS; my $json = JSON::XS->new->canonical->allow_nonref;
while (<STDIN>) { chomp; print unpack("H*", $json->encode($json->decode(pack("H*", $_)))), "\\n"; }
"""

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 70), 1 << 70)
    | st.floats(1e-9, 1e18).map(lambda number: float(f"{number:.12g}"))
    | st.text(st.characters(max_codepoint=0xFF)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=12,
)


@pytest.mark.tools
def test_perls_library_writes_the_same():
    """JSON::XS, which the original's canonical form is (Debian: libjson-xs-perl)."""
    perl = shutil.which("perl")
    if perl is None or subprocess.run([perl, "-MJSON::XS", "-e1"], check=False).returncode:
        pytest.skip("Perl with JSON::XS is not installed")
    texts = []

    @given(PLAIN, st.booleans())
    def gather(value, is_escaped):
        text = json.dumps(value, ensure_ascii=is_escaped, indent=1 if is_escaped else None)
        if re.search(r"\\u(?!00)", text) is None:  # of these it dies
            texts.append(text.encode())

    gather()
    assert len(texts) > 50
    lines = b"\n".join(text.hex().encode() for text in texts) + b"\n"
    ended = subprocess.run([perl, "-e", PERL], input=lines, capture_output=True, check=True)
    for text, written in zip(texts, ended.stdout.split(), strict=True):
        assert canonical(text) == bytes.fromhex(written.decode())
