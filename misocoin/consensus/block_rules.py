"""What a header and a block must hold before any coin is looked at.

*Sanity* looks at the thing alone; *context* at its ancestors, which come in as plain values.
Order and reject strings are Core's (`CheckBlock`, `ContextualCheckBlockHeader`,
`ContextualCheckBlock`).
"""

from typing import NamedTuple

from misocoin.codec import compact_size
from misocoin.consensus.difficulty import is_proof_of_work
from misocoin.consensus.merkle import calculate_merkle_root
from misocoin.consensus.tx_rules import (
    MAX_BLOCK_SIGOPS_COST,
    MAX_BLOCK_WEIGHT,
    WITNESS_SCALE_FACTOR,
    check_transaction,
    count_legacy_sigops,
    is_final,
)
from misocoin.crypto.hashes import sha256d
from misocoin.errors import RejectCode, ValidationError
from misocoin.params import Params
from misocoin.primitives.block import HEADER_SIZE, Block, BlockHeader
from misocoin.primitives.transaction import Transaction
from misocoin.script.script import push_int

MEDIAN_TIME_SPAN = 11
"""A block's time must be above the median of this many ancestors."""

WITNESS_COMMITMENT_HEADER = bytes.fromhex("6a24aa21a9ed")
"""How an output script begins that commits to the witnesses (BIP141)."""

WITNESS_COMMITMENT_SIZE = 38
"""Least bytes of such a script: the header and 32 bytes of hash."""


class HeaderContext(NamedTuple):
    """What a header's context check asks of the parent's branch."""

    height: int
    """Of the block in question."""
    bits: int
    """What the difficulty rule demands of it."""
    median_time_past: int
    """Median time of the parent and the ten blocks before it."""
    parent_time: int
    """The parent's own time."""


def check_header(header: BlockHeader, params: Params) -> None:
    """Check the proof of work; raises ValidationError."""
    if not is_proof_of_work(header.hash, header.bits, params):
        raise ValidationError("high-hash", "proof of work failed")


def calculate_min_time(median_time_past: int, parent_time: int, params: Params) -> int:
    """The earliest time that a block may carry, seconds."""
    least = median_time_past + 1
    if params.max_step_back is None:
        return least
    return max(least, parent_time - params.max_step_back)


def check_header_context(
    header: BlockHeader, context: HeaderContext, now: int, params: Params
) -> None:
    """Check difficulty, time and version against the branch; raises ValidationError.

    `now` is network time in seconds; a header too far ahead of it is refused for the time being
    (`time-too-new`), which is no lasting verdict.
    """
    if header.bits != context.bits:
        raise ValidationError(
            "bad-diffbits", f"0x{header.bits:08x} where 0x{context.bits:08x} is due"
        )
    if header.time <= context.median_time_past:
        raise ValidationError("time-too-old", "block's timestamp is too early")
    if header.time < calculate_min_time(context.median_time_past, context.parent_time, params):
        raise ValidationError("time-timewarp-attack", "block's timestamp is too early")
    if header.time > now + params.max_future:
        raise ValidationError("time-too-new", "block timestamp too far in the future")
    active = params.activation
    height, version = context.height, header.version
    if (
        (version < 2 and height >= active.bip34)
        or (version < 3 and height >= active.bip66)
        or (version < 4 and height >= active.bip65)
    ):
        raise ValidationError(
            f"bad-version(0x{version & 0xFFFFFFFF:08x})",
            f"rejected nVersion=0x{version & 0xFFFFFFFF:08x} block",
            RejectCode.OBSOLETE,
        )


def check_block(block: Block, params: Params, *, proof_of_work: bool = True) -> None:
    """Check proof of work (if wanted), merkle root, sizes and each transaction alone.

    Raises ValidationError; `mutated` is set where another body could belong to the same header.
    """
    if proof_of_work:
        check_header(block.header, params)
    transactions = block.transactions
    root, malleable = calculate_merkle_root([tx.txid for tx in transactions])
    if root != block.header.merkle_root:
        raise ValidationError("bad-txnmrklroot", "hashMerkleRoot mismatch", mutated=True)
    if malleable:
        raise ValidationError("bad-txns-duplicate", "duplicate transaction", mutated=True)
    stripped = HEADER_SIZE + len(compact_size(len(transactions)))
    stripped += sum([tx.stripped_size for tx in transactions])
    if (
        not transactions
        or len(transactions) * WITNESS_SCALE_FACTOR > MAX_BLOCK_WEIGHT
        or stripped * WITNESS_SCALE_FACTOR > MAX_BLOCK_WEIGHT
    ):
        raise ValidationError("bad-blk-length", "size limits failed")
    if not transactions[0].is_coinbase:
        raise ValidationError("bad-cb-missing", "first tx is not coinbase")
    if any(tx.is_coinbase for tx in transactions[1:]):
        raise ValidationError("bad-cb-multiple", "more than one coinbase")
    for tx in transactions:
        try:
            check_transaction(tx, params)
        except ValidationError as error:
            raise ValidationError(
                error.reason, f"Transaction check failed (tx hash {tx.txid_hex}) {error.detail}"
            ) from error
    sigops = sum([count_legacy_sigops(tx) for tx in transactions])
    if sigops * WITNESS_SCALE_FACTOR > MAX_BLOCK_SIGOPS_COST:
        raise ValidationError("bad-blk-sigops", "out-of-bounds SigOpCount")


def witness_commitment_index(coinbase: Transaction) -> int | None:
    """Which output of the coinbase commits to the witnesses: the last of that form, or None."""
    for index in range(len(coinbase.vout) - 1, -1, -1):
        script = coinbase.vout[index].script_pubkey
        if len(script) >= WITNESS_COMMITMENT_SIZE and script.startswith(WITNESS_COMMITMENT_HEADER):
            return index
    return None


def calculate_witness_commitment(transactions: tuple[Transaction, ...], reserved: bytes) -> bytes:
    """The 32 bytes to commit to: witness merkle root with the 32 reserved bytes (BIP141)."""
    root, _ = calculate_merkle_root([bytes(32), *[tx.wtxid for tx in transactions[1:]]])
    return sha256d(root + reserved)


def _check_witness(block: Block, *, segwit: bool) -> None:
    coinbase = block.transactions[0]
    index = witness_commitment_index(coinbase) if segwit else None
    if index is not None:
        stack = coinbase.vin[0].witness
        if len(stack) != 1 or len(stack[0]) != 32:
            raise ValidationError(
                "bad-witness-nonce-size", "invalid witness reserved value size", mutated=True
            )
        commitment = coinbase.vout[index].script_pubkey[6:38]
        if commitment != calculate_witness_commitment(block.transactions, stack[0]):
            raise ValidationError(
                "bad-witness-merkle-match", "witness merkle commitment mismatch", mutated=True
            )
    elif any(tx.has_witness for tx in block.transactions):
        raise ValidationError("unexpected-witness", "unexpected witness data found", mutated=True)


def check_block_context(
    block: Block, height: int, parent_median_time_past: int, params: Params
) -> None:
    """Check lock times, the height in the coinbase, the witness commitment and the weight.

    Raises ValidationError; `mutated` is set where another body could belong to the same header.
    """
    active = params.activation
    cutoff = parent_median_time_past if height >= active.csv else block.header.time
    for tx in block.transactions:
        if not is_final(tx, height, cutoff):
            raise ValidationError("bad-txns-nonfinal", "non-final transaction")
    if height >= active.bip34:
        script = block.transactions[0].vin[0].script_sig
        if not script.startswith(push_int(height)):
            raise ValidationError("bad-cb-height", "block height mismatch in coinbase")
    _check_witness(block, segwit=height >= active.segwit)
    if block.weight > MAX_BLOCK_WEIGHT:
        raise ValidationError("bad-blk-weight", "weight limit failed")
