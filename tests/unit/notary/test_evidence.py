from dataclasses import replace

import pytest

from misocoin.crypto.hashes import sha256
from misocoin.errors import ParseError
from misocoin.notary.evidence import check_digest, check_proof, tag_of
from misocoin.notary.proof import (
    BITCOIN_TAG,
    MISO_TAG,
    BlockAttestation,
    Op,
    ProofError,
    Step,
    bytes_from_proof,
    proof_from_bytes,
)
from misocoin.notary.tree import calculate_tree, stamp_digests, steps_to_block, steps_to_txid
from misocoin.params import bitcoin, miso, regtest
from misocoin.primitives.transaction import TxOut
from misocoin.script.templates import nulldata_script
from tests.builders import LATE, make_outpoint, spend
from tests.fakes.notary import BLOCK, header_store, notarise

REGTEST = regtest()
DIGESTS = [sha256(b"one"), sha256(b"two"), sha256(b"three")]


def test_the_tree_by_hand():
    one, two, three = leaves = [sha256(name) for name in (b"a", b"b", b"c")]
    pair = sha256(one + two)
    assert calculate_tree(leaves[:1]) == (one, [()])
    root, paths = calculate_tree(leaves)
    assert root == sha256(pair + three)
    assert paths[0] == (
        Step(Op.APPEND, two), Step(Op.SHA256), Step(Op.APPEND, three), Step(Op.SHA256),
    )  # fmt: skip
    assert paths[2] == (Step(Op.PREPEND, pair), Step(Op.SHA256))


def test_a_digest_stands_behind_its_nonce():
    stamped = stamp_digests(DIGESTS[:1], [b"n" * 16])
    assert stamped.root == sha256(DIGESTS[0] + b"n" * 16)
    assert stamped.paths == ((Step(Op.APPEND, b"n" * 16), Step(Op.SHA256)),)


def test_from_a_root_to_the_txid():
    root = sha256(b"root")
    tx = spend([make_outpoint(1)], [5, TxOut(0, nulldata_script(root)), 6])
    before, after, *hashes = steps_to_txid(root, tx)
    assert sha256(sha256(before.operand + root + after.operand)) == tx.txid
    assert hashes == [Step(Op.SHA256)] * 2
    with pytest.raises(ParseError, match="does not have the root"):
        steps_to_txid(sha256(b"other"), tx)
    many = spend([make_outpoint(n) for n in range(1, 101)], [TxOut(0, nulldata_script(root))])
    with pytest.raises(ParseError, match="too many small coins"):
        steps_to_txid(root, many)


def test_from_the_txid_to_the_block():
    hashes = [Step(Op.SHA256)] * 2
    assert steps_to_block([b"a" * 32, b"b" * 32], 2) == (
        Step(Op.APPEND, b"a" * 32), *hashes, Step(Op.PREPEND, b"b" * 32), *hashes,
    )  # fmt: skip
    assert steps_to_block([], 0) == ()


def test_what_a_block_says():
    made = notarise(DIGESTS, REGTEST)
    times = [header.time for header in made.headers]
    with header_store(REGTEST, made.headers) as headers:
        for data, digest in zip(made.proofs, DIGESTS, strict=True):
            proof = proof_from_bytes(data)
            check_digest(proof, digest)
            evidence = check_proof(proof, headers, REGTEST, LATE)
            assert evidence.height == BLOCK
            assert evidence.block_hash == made.headers[BLOCK].hash
            assert evidence.header_time == times[BLOCK]
            assert evidence.bound == sorted(times[BLOCK + 1 : BLOCK + 12])[5]
            assert evidence.confirmations == 13
            assert evidence.missing == 0
            assert evidence.work == 13 * 2  # two hashes for each block on regtest
            with pytest.raises(ProofError, match="another file, or the file has changed"):
                check_digest(proof, sha256(b"four"))


@pytest.mark.parametrize(("after", "missing"), [(0, 11), (10, 1), (11, 0)])
def test_a_bound_needs_eleven_blocks_after_it(after: int, missing: int):
    made = notarise(DIGESTS, REGTEST, after=after)
    with header_store(REGTEST, made.headers) as headers:
        evidence = check_proof(proof_from_bytes(made.proofs[0]), headers, REGTEST, LATE)
    assert evidence.missing == missing
    assert (evidence.bound is None) == (missing > 0)


def test_headers_that_end_too_early():
    made = notarise(DIGESTS, REGTEST)
    proof = proof_from_bytes(made.proofs[0])
    with (
        header_store(REGTEST, made.headers[:BLOCK]) as headers,
        pytest.raises(ProofError, match="of block 3, and the headers here end at 2"),
    ):
        check_proof(proof, headers, REGTEST, LATE)


def test_a_block_of_another_chain():
    made = notarise(DIGESTS, REGTEST)
    other = notarise([sha256(b"four")], REGTEST)
    proof = proof_from_bytes(made.proofs[0])
    with (
        header_store(REGTEST, other.headers) as headers,
        pytest.raises(ProofError, match="block 3 does not have it"),
    ):
        check_proof(proof, headers, REGTEST, LATE)


def test_headers_are_judged_from_the_block_on():
    made = notarise(DIGESTS, REGTEST)
    proof = proof_from_bytes(made.proofs[0])
    with (
        header_store(REGTEST, made.headers) as headers,
        pytest.raises(ProofError, match="breaks a rule: time-too-new"),
    ):
        check_proof(proof, headers, REGTEST, 0)
        stricter = replace(REGTEST, pow_limit=1)
        with pytest.raises(ProofError, match="breaks a rule: high-hash"):
            check_proof(proof, _with_window_of(headers, stricter), REGTEST, LATE)


def _with_window_of(store, params):
    store._params = params
    return store


def test_blocks_of_miso_attest_by_their_own_tag():
    params = replace(REGTEST, name="miso")  # whose blocks take long to mine
    made = notarise(DIGESTS, params)
    proof = proof_from_bytes(made.proofs[0])
    assert proof.attested[0].attestation == BlockAttestation(MISO_TAG, BLOCK)
    with header_store(params, made.headers) as headers:
        assert check_proof(proof, headers, params, LATE).height == BLOCK
        with pytest.raises(ProofError, match="no block of chain regtest is named"):
            check_proof(proof, headers, REGTEST, LATE)


def test_no_network_takes_the_other_ones_tag():
    assert tag_of(miso()) == MISO_TAG
    assert tag_of(regtest()) == tag_of(bitcoin()) == BITCOIN_TAG
    made = notarise(DIGESTS, REGTEST)
    with (
        header_store(REGTEST, made.headers) as headers,
        pytest.raises(ProofError, match="no block of chain miso is named"),
    ):
        check_proof(proof_from_bytes(made.proofs[0]), headers, miso(), LATE)


def test_the_first_block_proves_nothing():
    root = REGTEST.genesis.header.merkle_root
    proof = proof_from_bytes(bytes_from_proof(root, (), BlockAttestation(BITCOIN_TAG, 0)))
    with (
        header_store(REGTEST, notarise(DIGESTS, REGTEST).headers) as headers,
        pytest.raises(ProofError, match="first block"),
    ):
        check_proof(proof, headers, REGTEST, LATE)
