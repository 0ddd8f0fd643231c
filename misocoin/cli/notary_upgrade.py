"""Completing a proof: from its payment to the block that the payment was mined in."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

from misocoin.cli.notary_node import find_block
from misocoin.consensus.merkle import calculate_merkle_branch, calculate_merkle_root
from misocoin.errors import MisocoinError, NotFoundError
from misocoin.http.client import HttpClient
from misocoin.http.jsonrpc import JsonRpcClient
from misocoin.notary.evidence import tag_of
from misocoin.notary.proof import (
    Attested,
    BlockAttestation,
    PaymentAttestation,
    Proof,
    ProofError,
    Step,
    extend_proof,
)
from misocoin.notary.tree import steps_to_block
from misocoin.options import Option, integer_between
from misocoin.params import Params
from misocoin.wallet.light.payments import PaymentState, judge
from misocoin.wallet.light.rest_node import RestNode
from misocoin.wallet.light.search import is_proven
from misocoin.wallet.light.store import LightStore

DEPTH = Option(
    "depth",
    "Proof",
    "Write the block into a pending proof once it has so many confirmations; until then a reorg "
    "may well put the payment into another block.",
    integer_between(1, 10_000),
    placeholder="blocks",
    default_text="6; on regtest 1",
)

AGAIN = "take the proof away and notarize the file again"


def depth_from(values: Mapping[str, Any]) -> int:
    """Confirmations from which on a proof is completed for good."""
    asked: int | None = values["depth"]
    return asked or (1 if values["chain"] == "regtest" else 6)


def is_pending(proof: Proof) -> bool:
    """Whether a payment that the proof names may have been mined by now."""
    return any(isinstance(each.attestation, PaymentAttestation) for each in proof.attested)


def complete_proof(
    proof: Proof, headers: LightStore, params: Params, nodes: Sequence[str], now: int
) -> Proof:
    """Put the block of its payment into a proof, which is to be checked before it is kept.

    The block is asked of `nodes`; without them the wallet that `headers` belong to has to know.
    Raises ProofError where there is none yet.
    """
    reason = "the proof names no payment"
    for attested in proof.attested:
        if not isinstance(attested.attestation, PaymentAttestation):
            continue
        try:
            steps, height = _find(attested, headers, params, nodes, now)
        except ProofError as error:
            txid_hex = attested.message[::-1].hex()
            reason = f"payment {txid_hex} is not proven to be mined: {error}"
            continue
        return extend_proof(proof, attested, steps, BlockAttestation(tag_of(params), height))
    raise ProofError(reason)


def _find(
    attested: Attested, headers: LightStore, params: Params, nodes: Sequence[str], now: int
) -> tuple[tuple[Step, ...], int]:
    """The path from a payment to a block, and that block's height."""
    if attested.attestation != PaymentAttestation(params.genesis.hash):
        raise ProofError(f"it is not on chain {params.name}: -chain names another")
    if nodes:
        return _ask_nodes(nodes, attested.message, headers)
    return _ask_wallet(headers, attested.message, now)


def _ask_wallet(store: LightStore, txid: bytes, now: int) -> tuple[tuple[Step, ...], int]:
    transactions = store.transactions()
    for each in transactions:
        if each.txid == txid and each.height is not None and is_proven(each, store):
            return steps_to_block(each.branch, each.position), each.height
    for payment in judge(store.payments(), transactions, now):
        if payment.entry.txid != txid:
            continue
        if payment.state is PaymentState.CONFLICTED:
            raise ProofError(f"{payment.detail}; {AGAIN}")
        if payment.state is PaymentState.EXPIRED:
            raise ProofError(f"it has expired; {AGAIN}")
        raise ProofError(f"as of block {store.height} it waits (wallet sync looks for it)")
    raise ProofError(
        "this wallet knows nothing of it: ask a node with -nodes=<host:port>, and if that does "
        f"not know it either, {AGAIN}"
    )


def _ask_nodes(
    nodes: Sequence[str], txid: bytes, headers: LightStore
) -> tuple[tuple[Step, ...], int]:
    reasons = []
    with closing(HttpClient()) as http:
        for address in nodes:
            try:
                return _ask_node(address, http, txid, headers)
            except MisocoinError as error:
                reasons.append(f"{address}: {error}")
    raise ProofError("; ".join(reasons))


def _ask_node(
    address: str, http: HttpClient, txid: bytes, headers: LightStore
) -> tuple[tuple[Step, ...], int]:
    """The path from a transaction to a block among `headers`; raises NotFoundError."""
    block_hash = find_block(JsonRpcClient(f"http://{address}", http=http), txid)
    height = headers.height_of(block_hash)
    if height is None:
        raise NotFoundError("it names a block that is not in the chain with the most work")
    block = RestNode(address, http).block(block_hash)
    txids = [tx.txid for tx in block.transactions]
    root = headers.header_at(height).merkle_root
    if txid not in txids or calculate_merkle_root(txids)[0] != root:
        raise NotFoundError(f"what it sent is not block {height} with the payment")
    position = txids.index(txid)
    return steps_to_block(calculate_merkle_branch(txids, position), position), height
