"""No bit of file, proof or header can change; any bytes parse or raise our error."""

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from misocoin.consensus.merkle import calculate_merkle_branch, calculate_merkle_root
from misocoin.crypto.hashes import sha256
from misocoin.errors import ParseError
from misocoin.notary.evidence import check_digest, check_proof
from misocoin.notary.proof import (
    BITCOIN_TAG,
    MAGIC,
    BlockAttestation,
    Op,
    ProofError,
    Step,
    bytes_from_proof,
    message_after,
    proof_from_bytes,
)
from misocoin.notary.tree import NONCE_SIZE, stamp_digests, steps_to_block
from misocoin.params import regtest
from tests.builders import LATE
from tests.fakes.notary import BLOCK, Notarised, damage_header, header_store, notarise

PARAMS = regtest()
FILES = [b"one", b"two", b"three"]


@cache
def made() -> Notarised:
    return notarise([sha256(data) for data in FILES], PARAMS, after=2)


def flipped(data: bytes, bit: int) -> bytes:
    return bytes((*data[: bit // 8], data[bit // 8] ^ 1 << bit % 8, *data[bit // 8 + 1 :]))


def verify(data: bytes, proof_data: bytes, headers) -> None:
    proof = proof_from_bytes(proof_data)
    check_digest(proof, sha256(data))
    check_proof(proof, headers, PARAMS, LATE)


@pytest.mark.parametrize("number", range(len(FILES)))
def test_no_bit_of_a_proof_can_be_flipped(number):
    proof = made().proofs[number]
    with header_store(PARAMS, made().headers) as headers:
        verify(FILES[number], proof, headers)
        for bit in range(len(proof) * 8):
            with pytest.raises((ParseError, ProofError)):
                verify(FILES[number], flipped(proof, bit), headers)


@given(st.integers(0, len(FILES) - 1), st.data())
def test_no_bit_of_a_file_can_be_flipped(number, data):
    bit = data.draw(st.integers(0, len(FILES[number]) * 8 - 1))
    with header_store(PARAMS, made().headers) as headers, pytest.raises(ProofError):
        verify(flipped(FILES[number], bit), made().proofs[number], headers)


def test_no_bit_of_a_kept_header_can_be_flipped():
    """Of the block's and of all after it, as they lie in the wallet."""
    with header_store(PARAMS, made().headers) as headers:
        for height in range(BLOCK, len(made().headers)):
            raw = made().headers[height].serialize()
            for bit in range(len(raw) * 8):
                damage_header(headers, height, flipped(raw, bit))
                with pytest.raises(ProofError):
                    verify(FILES[0], made().proofs[0], headers)
            damage_header(headers, height, raw)
        verify(FILES[0], made().proofs[0], headers)


@given(st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=70))
def test_any_number_of_files_has_one_root(digests):
    nonces = [number.to_bytes(NONCE_SIZE) for number in range(len(digests))]
    stamped = stamp_digests(digests, nonces)
    for digest, path in zip(digests, stamped.paths, strict=True):
        assert message_after(path, digest) == stamped.root
        assert len(path) <= 2 + 2 * len(digests).bit_length()


@given(st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=40), st.data())
def test_steps_to_a_block_are_its_branch(txids, data):
    at = data.draw(st.integers(0, len(txids) - 1))
    steps = steps_to_block(calculate_merkle_branch(txids, at), at)
    assert message_after(steps, txids[at]) == calculate_merkle_root(txids)[0]


def parses_or_raises(data: bytes) -> None:
    try:
        proof = proof_from_bytes(data)
    except ParseError:
        return
    assert proof.data == data
    assert proof.attested


@given(st.binary(max_size=300))
def test_any_bytes_parse_or_raise(data):
    parses_or_raises(data)
    parses_or_raises(MAGIC + b"\1\x08" + data)
    parses_or_raises(MAGIC + b"\1\x08" + bytes(32) + data)


@given(st.integers(0, 2), st.data())
def test_any_damage_parses_or_raises(number, data):
    proof = bytearray(made().proofs[number])
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(len(MAGIC), len(proof) - 1))
        proof[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
        if len(proof) <= len(MAGIC):
            break
    parses_or_raises(bytes(proof))


plain = st.sampled_from([Op.SHA1, Op.RIPEMD160, Op.SHA256, Op.REVERSE]).map(Step)
adding = st.builds(Step, st.sampled_from([Op.APPEND, Op.PREPEND]), st.binary(min_size=1))


@given(
    st.binary(min_size=32, max_size=32), st.lists(plain | adding, max_size=30),
    st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_what_is_written_is_read_back(digest, steps, height):
    attestation = BlockAttestation(BITCOIN_TAG, height)
    proof = proof_from_bytes(bytes_from_proof(digest, steps, attestation))
    assert proof.digest == digest
    assert proof.attested[0][:2] == (message_after(steps, digest), attestation)
