"""What a node's owner may choose about the transactions it takes: no rule of consensus.

The defaults are those of Bitcoin Core 29.0.
"""

from dataclasses import dataclass

from misocoin.policy.feerate import FeeRate


@dataclass(frozen=True, slots=True)
class RelayPolicy:
    """What a transaction needs to be taken into the mempool and passed on."""

    require_standard: bool = True
    """Refuse unusual transactions (Core's `-acceptnonstdtxn=0`, on every network)."""
    min_relay_feerate: FeeRate = FeeRate(1_000)
    """The least a transaction pays (`-minrelaytxfee`)."""
    incremental_feerate: FeeRate = FeeRate(1_000)
    """What a replacement pays on top, and the step of the rolling minimum
    (`-incrementalrelayfee`).
    """
    dust_feerate: FeeRate = FeeRate(3_000)
    """An output is dust if spending it at this rate costs more than it holds (`-dustrelayfee`).

    One such output is let in where its transaction pays no fee at all and a child spends it.
    """
    max_data_carrier: int = 83
    """Bytes of the one OP_RETURN script a transaction may have, opcodes included
    (`-datacarriersize`); 0 permits none.
    """
    permit_bare_multisig: bool = True
    """Take outputs that are multisig outside of P2SH and segwit (`-permitbaremultisig`)."""
    vbytes_per_sigop: int = 20
    """Virtual bytes that a signature operation counts as at least (`-bytespersigop`)."""


@dataclass(frozen=True, slots=True)
class MempoolLimits:
    """How much the mempool holds, and how deep its transactions may build on each other."""

    max_usage: int = 300_000_000
    """Bytes of memory, estimated (`-maxmempool`)."""
    expiry: int = 336 * 3_600
    """Seconds that a transaction waits for its block (`-mempoolexpiry`)."""
    ancestor_count: int = 25
    """Transactions in a chain of ancestors, the last one included (`-limitancestorcount`)."""
    ancestor_vsize: int = 101_000
    """Virtual bytes of those (`-limitancestorsize`)."""
    descendant_count: int = 25
    """Transactions that build on one, itself included (`-limitdescendantcount`)."""
    descendant_vsize: int = 101_000
    """Virtual bytes of those (`-limitdescendantsize`)."""
