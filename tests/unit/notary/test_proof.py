"""The format, on proofs that the OpenTimestamps library (0.4.5) wrote."""

import pytest

from misocoin.crypto.hashes import ripemd160, sha1, sha256
from misocoin.errors import ParseError
from misocoin.notary.proof import (
    BITCOIN_TAG,
    MISO_TAG,
    PAYMENT_TAG,
    BlockAttestation,
    Op,
    OtherAttestation,
    PaymentAttestation,
    Step,
    bytes_from_proof,
    extend_proof,
    proof_from_bytes,
)

DIGEST = sha256(b"misocoin\n")

HEAD = bytes.fromhex(
    "004f70656e54696d657374616d7073000050726f6f6600bf89e2e884e892940108"
    "e554d19193ee0e25b22526501b0cd362c8ae13e2f985fc1b3e0ff1091954bb41"
)
"""Magic, version 1, SHA-256, and the digest of `misocoin\\n`."""

LINEAR = HEAD + bytes.fromhex(
    f"f010000102030405060708090a0b0c0d0e0f08f18201{'aa' * 130}0808000588960d73d7190103f7ef15"
)
LINEAR_STEPS = (
    Step(Op.APPEND, bytes(range(16))),
    Step(Op.SHA256),
    Step(Op.PREPEND, b"\xaa" * 130),
    Step(Op.SHA256),
    Step(Op.SHA256),
)

FORKED = HEAD + bytes.fromhex(
    "ff0083dfe30d2ef90c8e191868747470733a2f2f63616c656e6461722e6578616d706c65"
    "fff0036f6e6502000588960d73d719010105"
    "f2f303ff000588960d73d7190102ac020031323334353637380477686174"
)


def test_the_tags():
    assert BITCOIN_TAG.hex() == "0588960d73d71901"
    assert sha256(b"misocoin/block")[:8] == MISO_TAG
    assert sha256(b"misocoin/payment")[:8] == PAYMENT_TAG


def test_one_path():
    proof = proof_from_bytes(LINEAR)
    assert (proof.op, proof.digest) == (Op.SHA256, DIGEST)
    (attested,) = proof.attested
    assert attested.message.hex() == (
        "02ba4e1b0228be7d5c12d4972f308e79b9ed2c4a617e134fb0fc523912eefbe5"
    )
    assert attested.attestation == BlockAttestation(BITCOIN_TAG, 358391)
    assert bytes_from_proof(DIGEST, LINEAR_STEPS, attested.attestation) == LINEAR


def test_paths_that_fork():
    calendar, one, two, other = proof_from_bytes(FORKED).attested
    assert calendar.message == DIGEST
    assert isinstance(calendar.attestation, OtherAttestation)
    assert one.message == sha1(DIGEST + b"one")
    assert one.attestation == BlockAttestation(BITCOIN_TAG, 5)
    assert two.message == ripemd160(DIGEST[::-1].hex().encode())
    assert two.attestation == BlockAttestation(BITCOIN_TAG, 300)
    assert other == (two.message, OtherAttestation(b"12345678", b"what"), other.place)


def test_a_path_replaces_any_attestation():
    steps = (Step(Op.APPEND, b"more"), Step(Op.SHA256))
    proof = proof_from_bytes(FORKED)
    for at, each in enumerate(proof.attested):
        longer = extend_proof(proof, each, steps, BlockAttestation(MISO_TAG, 70_000))
        assert len(longer.attested) == len(proof.attested)
        assert longer.attested[at].message == sha256(each.message + b"more")
        assert longer.attested[at].attestation == BlockAttestation(MISO_TAG, 70_000)
        others = [(m, a) for m, a, _ in longer.attested if a != (MISO_TAG, 70_000)]
        assert others == [(m, a) for m, a, _ in proof.attested if a != each.attestation]


def test_a_payment_names_its_chain():
    data = bytes_from_proof(DIGEST, (), PaymentAttestation(b"g" * 32))
    assert data == HEAD + b"\0" + PAYMENT_TAG + b"\x20" + b"g" * 32
    assert proof_from_bytes(data).attested[0].attestation == PaymentAttestation(b"g" * 32)


END = bytes.fromhex("000588960d73d719010105")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not a proof"),
        (LINEAR[1:], "not a proof"),
        (LINEAR[:31] + b"\2" + LINEAR[32:], "version 2"),
        (HEAD[:32] + b"\x67" + HEAD[33:] + END, "step 67"),
        (HEAD[:32] + b"\xf0" + HEAD[33:] + END, "of no kind that files have"),
        (HEAD[:50], "unexpected end"),
        (HEAD, "unexpected end"),
        (LINEAR[:-1], "unexpected end"),
        (LINEAR + b"\0", "left over"),
        (HEAD + b"\xff" + END, "unexpected end"),
        (HEAD + b"\xff\xff" + END, "step ff"),
        (HEAD + b"\x09" + END, "step 09"),
        (HEAD + b"\xf0\0" + END, "adds nothing"),
        (HEAD + b"\xf0\x81\0a" + END, "shortest form"),
        (HEAD + b"\xf0\x81\x20" + bytes(4097) + END, "over its limit of 4096"),
        (HEAD + b"\xf0\x80\x20" + bytes(4096) + END, "more than 4096 bytes"),
        (HEAD + b"\xf3" * 8 + END, "more than 4096 bytes"),
        (HEAD + b"\x08" * 256 + END, "more than 256 steps"),
        (HEAD + b"\0" + BITCOIN_TAG + b"\2\5\5", "left over"),
        (HEAD + b"\0" + BITCOIN_TAG + b"\6\xff\xff\xff\xff\xff\1", "over its limit"),
        (HEAD + b"\0" + BITCOIN_TAG + b"\x0b" + b"\x80" * 10 + b"\1", "no end"),
        (HEAD + b"\0" + PAYMENT_TAG + b"\1g", "names no chain"),
        (HEAD + b"\0" + b"other..." + b"\x81\x40" + bytes(8193), "over its limit of 8192"),
        (HEAD + END + bytes(1 << 16), "more than 65536 bytes"),
    ],
)
def test_what_is_no_proof(data: bytes, reason: str):
    with pytest.raises(ParseError, match=reason):
        proof_from_bytes(data)
