"""Files that a chain in memory holds the root of."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import NamedTuple

from misocoin.consensus.merkle import calculate_merkle_branch
from misocoin.consensus.tree import HeaderNode
from misocoin.notary.evidence import tag_of
from misocoin.notary.proof import BlockAttestation, Step, bytes_from_proof
from misocoin.notary.tree import stamp_digests, steps_to_block, steps_to_txid
from misocoin.params import Params
from misocoin.primitives.block import BlockHeader
from misocoin.primitives.transaction import Transaction, TxOut
from misocoin.script.templates import nulldata_script
from misocoin.wallet.light.store import LightStore
from tests.builders import make_block, make_outpoint, spend

BLOCK = 3
"""Height of the block with the payment."""


class Notarised(NamedTuple):
    """Digests, the proof of each, and the headers they hold against."""

    proofs: list[bytes]
    headers: list[BlockHeader]
    payment: Transaction
    branch: tuple[bytes, ...]
    to_txid: list[tuple[Step, ...]]


def notarise(digests: Sequence[bytes], params: Params, *, after: int = 12) -> Notarised:
    """Put digests into a payment in block BLOCK, and mine `after` blocks on it."""
    nonces = [bytes((number % 256,)) * 16 for number in range(len(digests))]
    stamped = stamp_digests(digests, nonces)
    root_output = TxOut(0, nulldata_script(stamped.root))
    payment = spend([make_outpoint(7)], [1_000, root_output, 2_000])
    others = [spend([make_outpoint(number)], [number]) for number in (8, 9)]
    parent = HeaderNode(params.genesis.header, None)
    headers = [params.genesis.header]
    branch: tuple[bytes, ...] = ()
    for height in range(1, BLOCK + after + 1):
        held = [others[0], payment, others[1]] if height == BLOCK else []
        block = make_block(parent, params, held)
        if held:
            branch = calculate_merkle_branch([tx.txid for tx in block.transactions], 2)
        parent = HeaderNode(block.header, parent)
        headers.append(block.header)
    to_txid = [path + steps_to_txid(stamped.root, payment) for path in stamped.paths]
    attestation = BlockAttestation(tag_of(params), BLOCK)
    last = steps_to_block(branch, 2)
    proofs = [
        bytes_from_proof(digest, steps + last, attestation)
        for digest, steps in zip(digests, to_txid, strict=True)
    ]
    return Notarised(proofs, headers, payment, branch, to_txid)


@contextmanager
def header_store(params: Params, headers: Sequence[BlockHeader]) -> Iterator[LightStore]:
    """A store in memory with headers behind the first, which nobody checks."""
    with closing(LightStore(None, params)) as store:
        store.append_headers(headers[1:], 1, store.work_at(0))
        yield store


def damage_header(store: LightStore, height: int, data: bytes) -> None:
    """Change a header behind the store's back."""
    store._db.execute("UPDATE headers SET header = ? WHERE height = ?", (data, height))
