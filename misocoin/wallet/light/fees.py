"""Choosing a fee rate by what nodes estimate, without believing them beyond reason."""

from statistics import median_low

from misocoin.policy.feerate import FeeRate
from misocoin.wallet.light.pool import NodePool
from misocoin.wallet.light.ports import NodePort

LEAST = FeeRate(1_000)
"""Base units per 1,000 virtual bytes: below it nodes do not relay by default."""

MOST = FeeRate(100_000)
"""What an estimate may come to at most: a node that asks for more is not followed. Who means to
pay more says so."""


def choose_fee_rate(asked: int | None, target: int, pool: NodePool) -> FeeRate:
    """The rate that was asked for, else the median of the nodes' estimates for `target` blocks.

    Where no node can estimate, the least.
    """
    if asked is not None:
        return FeeRate(asked)

    def question(node: NodePort) -> FeeRate | None:
        return node.fee_rate(target)

    estimates = [pool.try_one(peer, question) for peer in pool.usable]
    known = [estimate for estimate in estimates if estimate is not None]
    if not known:
        return LEAST
    return FeeRate(max(LEAST, min(median_low(known), MOST)))
