"""Proofs stand before their payment does, and pending ones are completed by nothing but truth."""

from contextlib import closing
from pathlib import Path

import pytest

from misocoin.cli.command import UsageError
from misocoin.cli.notarize import Batch
from misocoin.cli.notary_upgrade import complete_proof, is_pending
from misocoin.errors import WalletError
from misocoin.http.errors import HttpError
from misocoin.notary.files import ProofFileError, read_proof
from misocoin.notary.proof import (
    PaymentAttestation,
    Proof,
    ProofError,
    bytes_from_proof,
    proof_from_bytes,
)
from misocoin.params import bitcoin, regtest
from misocoin.primitives.transaction import Transaction, TxOut
from misocoin.script.templates import nulldata_script
from misocoin.wallet.light.store import JournalEntry, LightStore, ProvenTx
from tests.builders import LATE, make_outpoint, spend
from tests.fakes.notary import BLOCK, header_store, notarise

PARAMS = regtest()
DIGEST = b"d" * 32


def payment_of(root: bytes) -> Transaction:
    return spend([make_outpoint(1)], [5_000, TxOut(0, nulldata_script(root))])


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def batch(tmp_path: Path) -> Batch:
    for name in ("one", "two"):
        (tmp_path / name).write_text(name)
    return Batch([str(tmp_path / "one"), str(tmp_path / "two")], PARAMS)


def test_proofs_are_there_when_the_payment_is_made(batch: Batch, tmp_path: Path) -> None:
    tx = payment_of(batch.root)
    seen: list[Proof] = []
    batch.write(tx, lambda: seen.extend(read_proof(tmp_path / f"{n}.ots") for n in ("one", "two")))
    assert len(seen) == 2
    for proof in seen:
        (attested,) = proof.attested
        assert attested.message == tx.txid
        assert attested.attestation == PaymentAttestation(PARAMS.genesis.hash)
    with pytest.raises(ProofFileError, match=r"one\.ots is there already"):
        Batch([str(tmp_path / "one")], PARAMS)


def test_a_payment_that_is_refused_takes_its_proofs_away(batch: Batch, tmp_path: Path) -> None:
    def refuse() -> None:
        raise WalletError("another payment has taken the coins")

    with pytest.raises(WalletError):
        batch.write(payment_of(batch.root), refuse)
    assert names(tmp_path) == ["one", "two"]


def test_one_that_may_have_been_made_does_not(batch: Batch, tmp_path: Path) -> None:
    def break_off() -> None:
        raise HttpError("it took too long to answer")

    with pytest.raises(HttpError, match="too long to answer; .* so the proofs stay"):
        batch.write(payment_of(batch.root), break_off)
    assert names(tmp_path) == ["one", "one.ots", "two", "two.ots"]


def test_a_proof_that_cannot_be_written_stops_the_payment(batch: Batch, tmp_path: Path) -> None:
    (tmp_path / "two.ots").write_text("somebody was quicker")
    paid: list[bool] = []
    with pytest.raises(ProofFileError, match="is there already"):
        batch.write(payment_of(batch.root), lambda: paid.append(True))
    assert not paid
    assert names(tmp_path) == ["one", "two", "two.ots"]
    assert (tmp_path / "two.ots").read_text() == "somebody was quicker"


def test_a_file_twice(batch: Batch, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        Batch([str(tmp_path / "one"), str(tmp_path / "one")], PARAMS)


# -- completing -------------------------------------------------------------------------------


def pending(genesis: bytes = PARAMS.genesis.hash) -> Proof:
    return proof_from_bytes(bytes_from_proof(DIGEST, MADE.to_txid[0], PaymentAttestation(genesis)))


MADE = notarise([DIGEST], PARAMS)


def journal(store: LightStore, expires: int = LATE) -> None:
    tx = MADE.payment
    store.add_payment(JournalEntry(tx.txid, tx.serialize(), 1, expires, "", "waiting", ""))


def prove(store: LightStore, tx: Transaction = MADE.payment, position: int = 2) -> None:
    store.put_transactions([ProvenTx(tx.txid, tx.serialize(), BLOCK, position, MADE.branch, 1)])


def complete(store: LightStore) -> Proof:
    return complete_proof(pending(), store, PARAMS, (), LATE - 1)


def test_the_wallet_completes_what_it_has_proven() -> None:
    with header_store(PARAMS, MADE.headers) as store:
        prove(store)
        proof = complete(store)
    assert proof.data == MADE.proofs[0]
    assert not is_pending(proof)


@pytest.mark.parametrize(
    ("expires", "reason"), [(LATE, "as of block 15 it waits"), (5, "has expired; take the proof")]
)
def test_a_payment_on_its_way(expires: int, reason: str) -> None:
    with header_store(PARAMS, MADE.headers) as store:
        journal(store, expires)
        with pytest.raises(ProofError, match=f"{MADE.payment.txid_hex} .* {reason}"):
            complete(store)


def test_a_payment_that_lost_its_coins() -> None:
    rival = spend([make_outpoint(7)], [1])
    with header_store(PARAMS, MADE.headers) as store:
        journal(store)
        prove(store, rival)
        with pytest.raises(ProofError, match=f"spent by {rival.txid_hex}; take the proof away"):
            complete(store)


def test_a_payment_nobody_made() -> None:
    with (
        header_store(PARAMS, MADE.headers) as store,
        pytest.raises(ProofError, match="knows nothing of it"),
    ):
        complete(store)


def test_a_wrong_branch_completes_nothing() -> None:
    with header_store(PARAMS, MADE.headers) as store:
        prove(store, position=1)
        with pytest.raises(ProofError, match="knows nothing of it"):
            complete(store)


def test_a_payment_on_another_chain() -> None:
    other = pending(bitcoin().genesis.hash)
    with (
        closing(LightStore(None, PARAMS)) as store,
        pytest.raises(ProofError, match="not on chain regtest"),
    ):
        complete_proof(other, store, PARAMS, (), LATE)
