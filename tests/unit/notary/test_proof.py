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
from misocoin.primitives.block import header_from_bytes

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


HELLO_WORLD = bytes.fromhex(
    "004f70656e54696d657374616d7073000050726f6f6600bf89e2e884e89294010803ba204e50d126e4674c005e"
    "04d82e84c21366780af1f43bd54a37816b6ab34003f1c8010100000001e482f9d32ecc3ba657b69d898010857b"
    "54457a90497982ff56f97c4ec58e6f98010000006b483045022100b253add1d1cf90844338a475a04ff13fc9e7"
    "bd242b07762dea07f5608b2de367022000b268ca9c3342b3769cdd062891317cdcef87aac310b6855e9d93898e"
    "bbe8ec0121020d8e4d107d2b339b0050efdd4b4a09245aa056048f125396374ea6a2ab0709c6ffffffff026533"
    "e605000000001976a9140bf057d40fbba6744862515f5b55a2310de5772f88aca0860100000000001976a914f0"
    "0688ac000000000808f120a987f716c533913c314c78e35d35884cac943fa42cac49d2b2c69f4003f85f880808"
    "f120dec55b3487e1e3f722a49b55a7783215862785f4a3acb392846019f71dc64a9d0808f120b2ca18f485e080"
    "478e025dab3d464b416c0e1ecb6629c9aefce8c8214d0424320808f02011b0e90661196ff4b0813c3eda141bab"
    "5e91604837bdf7a0c9df37db0e3a11980808f020c34bc1a4a1093ffd148c016b1e664742914e939efabe4d3d35"
    "6515914b26d9e20808f020c3e6e7c38c69f6af24c2be34ebac48257ede61ec0a21b9535e4443277be306460808"
    "f1200798bf8606e00024e5d5d54bf0c960f629dfb9dad69157455b6f2652c0e8de810808f0203f9ada6d60baa2"
    "44006bb0aad51448ad2fafb9d4b6487a0999cff26b91f0f5360808f120c703019e959a8dd3faef7489bb328ba4"
    "85574758e7091f01464eb65872c975c80808f020cbfefff513ff84b915e3fed6f9d799676630f8364ea2a6c755"
    "7fad94a5b5d7880808f1200be23709859913babd4460bbddf8ed213e7c8773a4b1face30f8acfdf093b7050808"
    "000588960d73d7190103f7ef15"
)
"""Of OpenTimestamps' examples: `Hello World!\\n`, in Bitcoin since 2015."""

BLOCK_358391 = bytes.fromhex(
    "02000000b96394585a281b7e5f438fd1c9ed492645a1fd61cb3802040000000000000000007ee445d23ad061af"
    "4a36b809501fab1ac4f2d7e7a739817dd0cbb7ec661b8a1e376755f58616186272def6"
)
"""The header of Bitcoin's block of that height."""


def test_a_proof_of_the_first_days_of_opentimestamps():
    proof = proof_from_bytes(HELLO_WORLD)
    assert proof.digest == sha256(b"Hello World!\n")
    (attested,) = proof.attested
    header = header_from_bytes(BLOCK_358391)
    assert header.hash_hex == "000000000000000003e892881a8cdcdc117c06d444057c98b6f04a9ee75a2319"
    assert attested.message == header.merkle_root
    assert attested.attestation == BlockAttestation(BITCOIN_TAG, 358391)


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
