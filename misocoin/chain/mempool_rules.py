"""Whether a transaction may enter the mempool: Core's checks, in its order, with its words.

Nothing here changes the mempool; what a successful check found out is handed on as a value.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from misocoin.chain.mempool_graph import MempoolGraph, Node, ancestors_of
from misocoin.chain.mempool_limits import check_chain_limits
from misocoin.chain.mempool_ports import ChainView
from misocoin.chain.replacement import Eviction, check_replacement
from misocoin.chain.script_cache import ScriptCache
from misocoin.consensus.coins import Coin
from misocoin.consensus.deployments import script_flags_at
from misocoin.consensus.tx_rules import (
    NO_LOCKS,
    SequenceLocks,
    are_locks_met,
    calculate_sequence_locks,
    calculate_sigop_cost,
    check_inputs,
    check_transaction,
    is_final,
)
from misocoin.errors import MissingInputsError, RejectCode, ValidationError
from misocoin.params import Params
from misocoin.policy.feerate import FeeRate, calculate_fee
from misocoin.policy.settings import MempoolLimits, RelayPolicy
from misocoin.policy.standard import (
    MAX_STANDARD_SIGOPS_COST,
    MIN_STANDARD_STRIPPED_SIZE,
    check_standard,
    check_standard_inputs,
    check_standard_witness,
)
from misocoin.primitives.block import NULL_HASH
from misocoin.primitives.transaction import OutPoint, Transaction
from misocoin.script import flags as verify
from misocoin.script.checker import ValidSignatures
from misocoin.script.inputs import verify_input
from misocoin.script.sighash import TxDigests

POOL_COIN_HEIGHT = 0x7FFFFFFF
"""Height of coins that no block has made yet."""


@dataclass(frozen=True, slots=True)
class MempoolRules:
    """What stays the same from one check to the next."""

    params: Params
    policy: RelayPolicy
    limits: MempoolLimits
    signatures: ValidSignatures | None = None
    """Remembers the signatures found valid, so that the block need not check them again."""
    scripts: ScriptCache | None = None
    """Remembers whose scripts hold by the rules of the next block, for when it comes."""


class Candidate(NamedTuple):
    """A transaction that may enter."""

    node: Node
    ancestors: set[Node]
    eviction: Eviction
    """What it would replace."""


def check_candidate(
    tx: Transaction,
    graph: MempoolGraph,
    chain: ChainView,
    rules: MempoolRules,
    *,
    time: int,
    fee_delta: int,
    min_feerate: FeeRate | None,
) -> Candidate:
    """Check everything that a transaction must hold to enter the mempool now.

    `min_feerate` is the rolling minimum; None waives both minimums, for what comes back from a
    block or from disk. Raises ValidationError, or MissingInputsError where inputs are unknown.
    """
    params, policy = rules.params, rules.policy
    tip = chain.tip
    height = tip.height + 1
    _check_alone(tx, height, tip.median_time_past, rules)
    _check_unknown(tx, graph)
    conflicts = {graph.spenders[txin.prevout] for txin in tx.vin if txin.prevout in graph.spenders}
    coins = _fetch_inputs(tx, graph, chain)
    locks = _sequence_locks(tx, coins, height, chain)
    if not are_locks_met(locks, height, tip.median_time_past):
        raise ValidationError("non-BIP68-final", "", RejectCode.NONSTANDARD)
    fee = check_inputs(tx, coins, height, params)
    if policy.require_standard:
        check_standard_inputs(tx, coins)
        check_standard_witness(tx, coins)
    sigop_cost = calculate_sigop_cost(tx, coins, verify.STANDARD)
    if sigop_cost > MAX_STANDARD_SIGOPS_COST:
        raise ValidationError("bad-txns-too-many-sigops", str(sigop_cost), RejectCode.NONSTANDARD)
    node = Node(
        tx,
        fee=fee,
        fee_delta=fee_delta,
        vsize=(max(tx.weight, sigop_cost * policy.vbytes_per_sigop) + 3) // 4,
        sigop_cost=sigop_cost,
        time=time,
        height=tip.height,
        spends_coinbase=any([coin.is_coinbase for coin in coins]),
        has_relative_locks=locks != NO_LOCKS,
    )
    if min_feerate is not None:
        paid, vsize = node.modified_fee, node.vsize
        check_feerate(paid, vsize, min_feerate)
        check_feerate(paid, vsize, policy.min_relay_feerate, "min relay fee not met")
    ancestors = ancestors_of(graph.parents_of(tx))
    eviction = Eviction(conflicts)
    check_chain_limits(node.vsize, ancestors, eviction, rules.limits)
    if conflicts:
        if doomed := ancestors & conflicts:
            other = min(doomed, key=lambda node: node.sequence)
            raise ValidationError(
                "bad-txns-spends-conflicting-tx",
                f"{tx.txid_hex} spends conflicting transaction {other.tx.txid_hex}",
            )
        check_replacement(
            tx, node.modified_fee, node.vsize, eviction, graph, policy.incremental_feerate
        )
    flags = script_flags_at(height, NULL_HASH, params)
    _check_scripts(tx, coins, flags, rules.signatures)
    if rules.scripts is not None:
        rules.scripts.add(tx.wtxid, flags)
    return Candidate(node, ancestors, eviction)


def is_still_final(node: Node, graph: MempoolGraph, chain: ChainView, params: Params) -> bool:
    """Whether lock times and maturity still let a node into the next block.

    They may cease to when the chain gets shorter or its times change.
    """
    tip = chain.tip
    height = tip.height + 1
    if not is_final(node.tx, height, tip.median_time_past):
        return False
    if not (node.spends_coinbase or node.has_relative_locks):
        return True
    coins = find_coins(node.tx, graph, chain)
    try:
        found = [coins[txin.prevout] for txin in node.tx.vin]
        check_inputs(node.tx, found, height, params)
    except (KeyError, ValidationError):
        return False
    locks = _sequence_locks(node.tx, found, height, chain)
    return are_locks_met(locks, height, tip.median_time_past)


def pool_coin(point: OutPoint, graph: MempoolGraph) -> Coin | None:
    """The output of a transaction in the mempool as a coin, spent there or not."""
    node = graph.nodes.get(point[:32])
    if node is None:
        return None
    index = int.from_bytes(point[32:], "little")
    if index >= len(node.tx.vout):
        return None
    value, script = node.tx.vout[index]
    return Coin(value, script, POOL_COIN_HEIGHT, False)


def find_coins(tx: Transaction, graph: MempoolGraph, chain: ChainView) -> Mapping[OutPoint, Coin]:
    """The coins that `tx` spends, of the mempool or confirmed, as far as they are known."""
    found: dict[OutPoint, Coin] = {}
    confirmed = []
    for txin in tx.vin:
        coin = pool_coin(txin.prevout, graph)
        if coin is None:
            confirmed.append(txin.prevout)
        else:
            found[txin.prevout] = coin
    if confirmed:
        found.update(chain.get_coins(confirmed))
    return found


def _check_alone(tx: Transaction, height: int, median_time_past: int, rules: MempoolRules) -> None:
    check_transaction(tx, rules.params)
    if tx.is_coinbase:
        raise ValidationError("coinbase")
    if rules.policy.require_standard:
        check_standard(tx, rules.policy)
    if tx.stripped_size < MIN_STANDARD_STRIPPED_SIZE:
        raise ValidationError("tx-size-small", "", RejectCode.NONSTANDARD)
    if tx.has_witness and height < rules.params.activation.segwit:
        raise ValidationError("no-witness-yet", "", RejectCode.NONSTANDARD)
    if not is_final(tx, height, median_time_past):
        raise ValidationError("non-final", "", RejectCode.NONSTANDARD)


def _check_unknown(tx: Transaction, graph: MempoolGraph) -> None:
    if tx.wtxid in graph.by_wtxid:
        raise ValidationError("txn-already-in-mempool", "", RejectCode.DUPLICATE)
    if tx.txid in graph.nodes:
        raise ValidationError("txn-same-nonwitness-data-in-mempool", "", RejectCode.DUPLICATE)


def _fetch_inputs(tx: Transaction, graph: MempoolGraph, chain: ChainView) -> list[Coin]:
    found = find_coins(tx, graph, chain)
    if len(found) != len(tx.vin):
        if chain.get_coins([tx.outpoint(index) for index in range(len(tx.vout))]):
            raise ValidationError("txn-already-known", "", RejectCode.DUPLICATE)
        missing = next(txin.prevout for txin in tx.vin if txin.prevout not in found)
        raise MissingInputsError(
            "bad-txns-inputs-missingorspent",
            f"{missing[31::-1].hex()}:{int.from_bytes(missing[32:], 'little')}",
        )
    return [found[txin.prevout] for txin in tx.vin]


def _sequence_locks(
    tx: Transaction, coins: Sequence[Coin], height: int, chain: ChainView
) -> SequenceLocks:
    heights = [min(coin.height, height) for coin in coins]
    return calculate_sequence_locks(tx, heights, chain.median_time_past_at)


def check_feerate(
    paid: int, vsize: int, minimum: FeeRate, reason: str = "mempool min fee not met"
) -> None:
    """Check that what is paid for so many virtual bytes is enough; raises ValidationError."""
    due = calculate_fee(minimum, vsize)
    if paid < due:
        raise ValidationError(reason, f"{paid} < {due}", RejectCode.INSUFFICIENT_FEE)


class Payer(Protocol):
    """A node or an entry of the mempool."""

    @property
    def fee(self) -> int:
        """Base units."""

    @property
    def vsize(self) -> int:
        """Virtual bytes."""


def check_max_feerate(payer: Payer, limit: FeeRate | None) -> None:
    """Check that not more is paid than somebody means to; raises ValidationError."""
    if limit is not None and payer.fee > calculate_fee(limit, payer.vsize):
        raise ValidationError("max-fee-exceeded", f"it pays {payer.fee} base units")


def _check_scripts(
    tx: Transaction, coins: Sequence[Coin], consensus: int, signatures: ValidSignatures | None
) -> None:
    digests = TxDigests(tx, coins)
    for index in range(len(tx.vin)):
        error = verify_input(digests, index, verify.STANDARD, signatures)
        # Standard flags only add to those of consensus, so the second check should pass whenever
        # the first does; a flaw in one flag would let invalid transactions into our own blocks.
        broken = verify_input(digests, index, consensus, signatures)
        if broken is not None:
            raise ValidationError(
                f"mempool-script-verify-flag-failed ({broken.message})",
                f"input {index} of {tx.txid_hex}",
            )
        if error is not None:
            raise ValidationError(
                f"mempool-script-verify-flag-failed ({error.message})",
                f"input {index} of {tx.txid_hex}",
                RejectCode.NONSTANDARD,
            )
