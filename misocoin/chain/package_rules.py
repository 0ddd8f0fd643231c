"""Whether several transactions may enter the mempool together: Core's checks of packages.

Nothing here changes the mempool.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from misocoin.chain.mempool_graph import MempoolGraph
from misocoin.chain.mempool_limits import check_package_limits
from misocoin.chain.mempool_ports import ChainView
from misocoin.chain.mempool_rules import (
    POOL_COIN_HEIGHT,
    Candidate,
    MempoolRules,
    Terms,
    UnspentDustError,
    check_alone,
    check_dust_is_spent,
    check_feerates,
    check_scripts,
)
from misocoin.chain.replacement import Eviction, check_package_replacement
from misocoin.chain.truc import TRUC_VIOLATION, find_package_violation
from misocoin.consensus.coins import Coin
from misocoin.errors import RejectCode, ValidationError
from misocoin.policy.feerate import FeeRate
from misocoin.primitives.transaction import OutPoint, Transaction


class PackageError(ValidationError):
    """A package is refused: as a whole, or for one of its transactions."""

    def __init__(
        self, reason: str, detail: str = "", culprits: Mapping[bytes, ValidationError] | None = None
    ) -> None:
        """`culprits` are those that are to blame, by witness id; none: all of them together."""
        super().__init__(reason, detail, RejectCode.NONSTANDARD)
        self.culprits = dict(culprits or {})

    @classmethod
    def of_transaction(cls, tx: Transaction, error: ValidationError) -> "PackageError":
        """That one of its transactions fails."""
        return cls("transaction failed", "", {tx.wtxid: error})


class Newcomers(NamedTuple):
    """Transactions that may enter together, parents first."""

    candidates: list[Candidate]
    eviction: Eviction
    """What they would replace."""


def check_newcomers(
    txs: Sequence[Transaction],
    graph: MempoolGraph,
    chain: ChainView,
    rules: MempoolRules,
    terms: Terms,
    *,
    time: int,
    fee_deltas: Mapping[bytes, int],
) -> Newcomers:
    """Check a package of several, parents first; raises PackageError."""
    policy = rules.policy
    made: dict[OutPoint, Coin] = {}
    candidates: list[Candidate] = []
    for tx in txs:
        delta = fee_deltas.get(tx.txid, 0)
        try:
            candidates.append(
                check_alone(tx, graph, chain, rules, terms, time=time, fee_delta=delta, made=made)
            )
        except ValidationError as error:
            raise PackageError.of_transaction(tx, error) from None
        for index, (value, script) in enumerate(tx.vout):
            made[tx.outpoint(index)] = Coin(value, script, POOL_COIN_HEIGHT, False)
    for place, each in enumerate(candidates):
        problem = find_package_violation(txs, place, each.node.vsize, each.ancestors, graph)
        if problem:
            raise PackageError(TRUC_VIOLATION, problem)
    vsize = sum([each.node.vsize for each in candidates])
    if terms.by_common_feerate:
        paid = sum([each.node.modified_fee for each in candidates])
        try:
            check_feerates(paid, vsize, terms.min_feerate or FeeRate(0), policy)
        except ValidationError as error:
            raise PackageError.of_transaction(txs[-1], error) from None
    try:
        check_package_limits(txs, vsize, graph, rules.limits)
        eviction = Eviction(())
        if any(each.eviction.conflicts for each in candidates):
            eviction = check_package_replacement(candidates, policy.incremental_feerate)
    except ValidationError as error:
        raise PackageError(error.reason, error.detail) from None
    if policy.require_standard:
        try:
            check_dust_is_spent(txs, graph, policy)
        except UnspentDustError as error:
            raise PackageError("unspent-dust", "", {error.tx.wtxid: error}) from None
    for each in candidates:
        try:
            check_scripts(each, chain, rules)
        except ValidationError as error:
            raise PackageError.of_transaction(each.node.tx, error) from None
    return Newcomers(candidates, eviction)
