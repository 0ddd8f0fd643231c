"""What nodes claim to have in their mempools for the wallet: a hint, proven by nothing.

Whole mempools are read, so that no node learns what is looked for.
"""

from collections.abc import Collection

from misocoin.wallet.light.pool import NodePool
from misocoin.wallet.light.ports import NodePort

MOST = 5_000
"""Transactions of one node that are read at most."""


def unproven_by_script(
    pool: NodePool, scripts: Collection[bytes], known: Collection[bytes]
) -> dict[bytes, int]:
    """Base units that waiting transactions would pay to each of `scripts`, by any node's word.

    `known` are the ids of transactions that the wallet has by itself.
    """

    def question(node: NodePort) -> dict[bytes, tuple[tuple[int, bytes], ...]]:
        return {tx.txid: tx.vout for tx in node.mempool(MOST) if tx.txid not in known}

    waiting: dict[bytes, tuple[tuple[int, bytes], ...]] = {}
    for peer in pool.usable:
        waiting.update(pool.try_one(peer, question) or {})
    found: dict[bytes, int] = {}
    for outputs in waiting.values():
        for value, script in outputs:
            if script in scripts:
                found[script] = found.get(script, 0) + value
    return found
