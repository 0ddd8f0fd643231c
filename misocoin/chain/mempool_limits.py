"""How long the chains of unconfirmed transactions may become."""

from collections.abc import Collection

from misocoin.chain.mempool_graph import Node
from misocoin.chain.replacement import Eviction
from misocoin.errors import RejectCode, ValidationError
from misocoin.policy.settings import MempoolLimits

CARVE_OUT_VSIZE = 10_000
"""Virtual bytes up to which one more child is taken than the descendant limits permit, if its
only ancestor is the parent: so that each of two parties can bump a fee (CPFP carve-out).
"""


def check_chain_limits(
    vsize: int, ancestors: Collection[Node], eviction: Eviction, limits: MempoolLimits
) -> None:
    """Check a newcomer of `vsize` with these ancestors; raises ValidationError.

    What its conflicts would take with them does not count.
    """
    problem = _exceeded(vsize, ancestors, eviction, limits, extra_count=0, extra_vsize=0)
    if problem and len(ancestors) <= 1 and vsize <= CARVE_OUT_VSIZE:
        problem = _exceeded(
            vsize, ancestors, eviction, limits, extra_count=1, extra_vsize=CARVE_OUT_VSIZE
        )
    if problem:
        raise ValidationError("too-long-mempool-chain", problem, RejectCode.NONSTANDARD)


def _exceeded(
    vsize: int,
    ancestors: Collection[Node],
    eviction: Eviction,
    limits: MempoolLimits,
    *,
    extra_count: int,
    extra_vsize: int,
) -> str:
    count = len(ancestors) + 1
    if count > limits.ancestor_count:
        return f"too many unconfirmed ancestors [limit: {limits.ancestor_count}]"
    if vsize + sum([node.vsize for node in ancestors]) > limits.ancestor_vsize:
        return f"exceeds ancestor size limit [limit: {limits.ancestor_vsize}]"
    for node in ancestors:
        gone_count, gone_vsize = eviction.relief(node)
        if node.descendant_count - gone_count + 1 > limits.descendant_count + extra_count:
            return (
                f"too many descendants for tx {node.tx.txid_hex} "
                f"[limit: {limits.descendant_count + extra_count}]"
            )
        if node.descendant_vsize - gone_vsize + vsize > limits.descendant_vsize + extra_vsize:
            return (
                f"exceeds descendant size limit for tx {node.tx.txid_hex} "
                f"[limit: {limits.descendant_vsize + extra_vsize}]"
            )
    return ""
