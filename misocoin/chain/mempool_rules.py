"""Whether a transaction may enter the mempool: Core's checks, in its order, with its words.

Nothing here changes the mempool; what a successful check found out is handed on as a value.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

from misocoin.chain.mempool_graph import MempoolGraph, Node
from misocoin.chain.mempool_limits import check_chain_limits
from misocoin.chain.mempool_ports import ChainView
from misocoin.chain.replacement import Eviction, check_replacement
from misocoin.chain.script_cache import ScriptCache
from misocoin.chain.truc import TRUC_VERSION, TRUC_VIOLATION, find_violation
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
from misocoin.errors import MissingInputsError, RejectCode, UnderpaidError, ValidationError
from misocoin.params import Params
from misocoin.policy.dust import dust_outputs
from misocoin.policy.feerate import FeeRate, calculate_fee, feerate_from_fee
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

TOO_HIGH_FEE = "max-fee-exceeded"
"""Why a transaction is refused that pays more than its sender means to."""

POOL_COIN_HEIGHT = 0x7FFFFFFF
"""Height of coins that no block has made yet."""


_NO_LIMIT = 1 << 62


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


class Terms(NamedTuple):
    """On what terms a transaction is looked at."""

    min_feerate: FeeRate | None
    """The rolling minimum; None waives all limits of fees and kinship, for what comes back from a
    block or from disk.
    """
    max_feerate: FeeRate | None = None
    """What the sender means to pay at most, modified."""
    has_carve_outs: bool = True
    """Whether chains may be a little longer in the cases that Core allows."""
    in_package: bool = False
    """Whether it is checked with others: no carve-outs, and no sibling goes for it."""
    by_common_feerate: bool = False
    """Whether the package's rate counts instead of its own."""
    may_replace: bool = True
    limits_descendants: bool = True
    """Whether its ancestors may have too many descendants for it; what waits already may stay."""


class Candidate(NamedTuple):
    """A transaction that may enter."""

    node: Node
    coins: Sequence[Coin]
    """What it spends, in order of its inputs."""
    ancestors: set[Node]
    """Of those in the mempool."""
    eviction: Eviction
    """What it would replace."""


Made = Mapping[OutPoint, Coin]
"""Outputs of the transactions that come before in a package."""


def check_candidate(
    tx: Transaction,
    graph: MempoolGraph,
    chain: ChainView,
    rules: MempoolRules,
    terms: Terms,
    *,
    time: int,
    fee_delta: int,
) -> Candidate:
    """Check everything that a transaction must hold to enter the mempool now.

    Raises ValidationError, or MissingInputsError where inputs are unknown.
    """
    policy = rules.policy
    candidate = check_alone(tx, graph, chain, rules, terms, time=time, fee_delta=fee_delta)
    node, eviction = candidate.node, candidate.eviction
    if eviction.conflicts:
        check_replacement(
            tx, node.modified_fee, node.vsize, eviction, graph, policy.incremental_feerate
        )
    if policy.require_standard and terms.min_feerate is not None:
        check_dust_is_spent([tx], graph, policy)
    check_scripts(candidate, chain, rules)
    return candidate


def check_alone(
    tx: Transaction,
    graph: MempoolGraph,
    chain: ChainView,
    rules: MempoolRules,
    terms: Terms,
    *,
    time: int,
    fee_delta: int,
    made: Made | None = None,
) -> Candidate:
    """Check all but the scripts, and whether it pays enough for what it replaces.

    Raises as `check_candidate` does.
    """
    params, policy = rules.params, rules.policy
    tip = chain.tip
    height = tip.height + 1
    _check_form(tx, height, tip.median_time_past, rules)
    _check_unknown(tx, graph)
    conflicts = {graph.spenders[txin.prevout] for txin in tx.vin if txin.prevout in graph.spenders}
    if conflicts and not terms.may_replace:
        raise ValidationError("bip125-replacement-disallowed")
    coins = _fetch_inputs(tx, graph, chain, made or {})
    locks = _sequence_locks(tx, coins, height, chain)
    if not are_locks_met(locks, height, tip.median_time_past):
        raise ValidationError("non-BIP68-final", "", RejectCode.NONSTANDARD)
    fee = check_inputs(tx, coins, height, params)
    if policy.require_standard:
        check_standard_inputs(tx, coins)
        check_standard_witness(tx, coins)
    sigop_cost = calculate_sigop_cost(tx, coins, verify.STANDARD)
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
    if (
        policy.require_standard
        and (node.fee or node.modified_fee)
        and dust_outputs(tx, policy.dust_feerate)
    ):
        raise ValidationError("dust", "tx with dust output must be 0-fee", RejectCode.NONSTANDARD)
    if sigop_cost > MAX_STANDARD_SIGOPS_COST:
        raise ValidationError("bad-txns-too-many-sigops", str(sigop_cost), RejectCode.NONSTANDARD)
    _check_fee(node, policy, terms)
    limits = rules.limits
    if not terms.limits_descendants:
        limits = replace(limits, descendant_count=_NO_LIMIT, descendant_vsize=_NO_LIMIT)
    ancestors = check_chain_limits(
        tx,
        node.vsize,
        graph,
        conflicts,
        limits,
        has_carve_outs=terms.has_carve_outs and not terms.in_package,
    )
    sibling = _check_version_3(node, ancestors, conflicts, terms)
    eviction = Eviction(conflicts, sibling)
    doomed = ancestors & eviction.conflicts
    if doomed:
        other = min(doomed, key=lambda node: node.txid)
        raise ValidationError(
            "bad-txns-spends-conflicting-tx",
            f"{tx.txid_hex} spends conflicting transaction {other.tx.txid_hex}",
        )
    limit = terms.max_feerate
    if limit is not None and feerate_from_fee(node.modified_fee, node.vsize) > limit:
        raise ValidationError("max feerate exceeded", "", RejectCode.NONSTANDARD)
    return Candidate(node, coins, ancestors, eviction)


def _check_fee(node: Node, policy: RelayPolicy, terms: Terms) -> None:
    if terms.min_feerate is None:
        return
    paid, vsize = node.modified_fee, node.vsize
    if node.tx.version != TRUC_VERSION:  # no child can make good for others
        due = calculate_fee(policy.min_relay_feerate, vsize)
        if paid < due:
            raise ValidationError(
                "min relay fee not met", f"{paid} < {due}", RejectCode.INSUFFICIENT_FEE
            )
    if not terms.by_common_feerate:
        check_feerates(paid, vsize, terms.min_feerate, policy)


def _check_version_3(
    node: Node, ancestors: set[Node], conflicts: set[Node], terms: Terms
) -> Node | None:
    """Check BIP431's limits; returns the sibling whose place it wants."""
    if terms.min_feerate is None:
        return None
    violation = find_violation(node.tx, node.vsize, ancestors, conflicts)
    if violation is None:
        return None
    if violation.sibling is None or terms.in_package:
        raise ValidationError(TRUC_VIOLATION, violation.detail, RejectCode.NONSTANDARD)
    return violation.sibling


def check_dust_is_spent(
    txs: Sequence[Transaction], graph: MempoolGraph, policy: RelayPolicy
) -> None:
    """Check that who spends of a parent that waits, here or before it, spends its dust as well.

    Raises UnspentDustError.
    """
    parents = {tx.txid: tx for tx in txs}
    for tx in txs:
        points = {txin.prevout for txin in tx.vin}
        for txid in {point[:32] for point in points}:
            parent = parents.get(txid)
            if parent is None and txid in graph.nodes:
                parent = graph.nodes[txid].tx
            if parent is None:
                continue
            dust = dust_outputs(parent, policy.dust_feerate)
            if any(parent.outpoint(index) not in points for index in dust):
                raise UnspentDustError(tx)


class UnspentDustError(ValidationError):
    """A transaction leaves dust of a parent behind that waits with it."""

    def __init__(self, tx: Transaction) -> None:
        super().__init__(
            "missing-ephemeral-spends",
            f"tx {tx.txid_hex} (wtxid={tx.wtxid[::-1].hex()}) did not spend parent's ephemeral "
            "dust",
            RejectCode.NONSTANDARD,
        )
        self.tx = tx


def check_scripts(candidate: Candidate, chain: ChainView, rules: MempoolRules) -> None:
    """Run all inputs' scripts, by the rules for relay and by those of the next block.

    Raises ValidationError.
    """
    tx = candidate.node.tx
    flags = script_flags_at(chain.tip.height + 1, NULL_HASH, rules.params)
    _check_scripts(tx, candidate.coins, flags, rules.signatures)
    if rules.scripts is not None:
        rules.scripts.add(tx.wtxid, flags)


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


def _check_form(tx: Transaction, height: int, median_time_past: int, rules: MempoolRules) -> None:
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


def _fetch_inputs(tx: Transaction, graph: MempoolGraph, chain: ChainView, made: Made) -> list[Coin]:
    found = {
        **find_coins(tx, graph, chain),
        **{txin.prevout: made[txin.prevout] for txin in tx.vin if txin.prevout in made},
    }
    if len(found) != len(tx.vin):
        if chain.get_coins([tx.outpoint(index) for index in range(len(tx.vout))]):
            raise ValidationError("txn-already-known", "", RejectCode.DUPLICATE)
        raise MissingInputsError("bad-txns-inputs-missingorspent")
    return [found[txin.prevout] for txin in tx.vin]


def _sequence_locks(
    tx: Transaction, coins: Sequence[Coin], height: int, chain: ChainView
) -> SequenceLocks:
    heights = [min(coin.height, height) for coin in coins]
    return calculate_sequence_locks(tx, heights, chain.median_time_past_at)


def check_feerates(paid: int, vsize: int, rolling: FeeRate, policy: RelayPolicy) -> None:
    """Check what is paid for so many virtual bytes against both minimums.

    Raises UnderpaidError.
    """
    for minimum, reason in (
        (rolling, "mempool min fee not met"),
        (policy.min_relay_feerate, "min relay fee not met"),
    ):
        due = calculate_fee(minimum, vsize)
        if paid < due:
            raise UnderpaidError(reason, f"{paid} < {due}", RejectCode.INSUFFICIENT_FEE)


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
        raise ValidationError(TOO_HIGH_FEE)


def _check_scripts(
    tx: Transaction, coins: Sequence[Coin], consensus: int, signatures: ValidSignatures | None
) -> None:
    digests = TxDigests(tx, coins)
    for index, txin in enumerate(tx.vin):
        error = verify_input(digests, index, verify.STANDARD, signatures)
        # Standard flags only add to those of consensus, so the second check should pass whenever
        # the first does; a flaw in one flag would let invalid transactions into our own blocks.
        broken = verify_input(digests, index, consensus, signatures)
        shown = error or broken
        if shown is not None:
            point = txin.prevout
            raise ValidationError(
                f"mempool-script-verify-flag-failed ({shown.message})",
                f"input {index} of {tx.txid_hex} (wtxid {tx.wtxid[::-1].hex()}), spending "
                f"{point[31::-1].hex()}:{int.from_bytes(point[32:], 'little')}",
                RejectCode.NONSTANDARD if broken is None else RejectCode.INVALID,
            )
