"""Block templates: everything of a block but the nonce.

Pure: a template follows from the parent, a snapshot of the mempool, the time and a script to pay.
Sources: BIP22, BIP34, BIP141; Core's `BlockAssembler`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from misocoin.chain.template_selection import (
    SelectionLimits,
    TemplateEntry,
    select_transactions,
)
from misocoin.codec import compact_size
from misocoin.consensus.block_rules import (
    WITNESS_COMMITMENT_HEADER,
    calculate_min_time,
    calculate_witness_commitment,
)
from misocoin.consensus.merkle import calculate_merkle_branch, merkle_root_from_branch
from misocoin.consensus.subsidy import calculate_subsidy
from misocoin.consensus.tree import HeaderNode, next_bits
from misocoin.consensus.tx_rules import (
    MAX_BLOCK_SIGOPS_COST,
    MAX_BLOCK_WEIGHT,
    WITNESS_SCALE_FACTOR,
)
from misocoin.consensus.version_bits import calculate_block_version
from misocoin.params import Params
from misocoin.policy.feerate import FeeRate
from misocoin.primitives.block import HEADER_SIZE, Block, BlockHeader
from misocoin.primitives.transaction import NULL_OUTPOINT, Transaction, TxIn, TxOut
from misocoin.script.script import push_data, push_int
from misocoin.script.sigops import count_sigops

RESERVED_WEIGHT = 8_000
"""Weight units kept for header, count and coinbase (Core's `-blockreservedweight`)."""

RESERVED_SIGOP_COST = 400
"""Signature operations kept for the coinbase."""

EXTRA_NONCE_SIZE = 8
"""Bytes of the extra nonce in the coinbase."""

MAX_COINBASE_SCRIPT_SIZE = 100
"""Bytes of a coinbase's script."""

_WITNESS_RESERVED = bytes(32)


@dataclass(frozen=True, slots=True)
class TemplateOptions:
    """What a miner may choose about its blocks."""

    max_weight: int = MAX_BLOCK_WEIGHT
    """Weight units of a block, at most (Core's `-blockmaxweight`)."""
    min_feerate: FeeRate = FeeRate(1_000)
    """Packages that pay less are left out (Core's `-blockmintxfee`)."""
    tag: bytes = b""
    """Bytes to put into the coinbase; what does not fit is cut off."""


@dataclass(frozen=True, slots=True)
class TemplateTransaction:
    """A transaction in a template and what BIP22 tells about it."""

    tx: Transaction
    fee: int
    """Base units."""
    sigop_cost: int
    depends: tuple[int, ...]
    """Places in the block, counted from 1 (the coinbase is 0), of those it spends, by input."""


@dataclass(frozen=True, slots=True)
class BlockTemplate:
    """A block that only lacks its nonce."""

    params: Params
    height: int
    version: int
    prev_hash: bytes
    bits: int
    time: int
    """The time it was made with; any from `min_time` on will do."""
    min_time: int
    """The earliest time that the rules let it carry."""
    transactions: tuple[TemplateTransaction, ...]
    """Without the coinbase."""
    fees: int
    """Base units of all transactions."""
    subsidy: int
    """Base units that the block creates."""
    weight: int
    """Weight units of the whole block."""
    sigop_cost: int
    """Of the whole block."""
    script_pubkey: bytes
    """Where the coinbase pays."""
    coinbase_prefix: bytes
    """The coinbase's script before the extra nonce."""
    coinbase_suffix: bytes
    """The coinbase's script behind the extra nonce."""
    witness_commitment: bytes
    """The output script that commits to the witnesses; empty before segwit."""
    merkle_branch: tuple[bytes, ...]
    """Leads from the coinbase's id to the merkle root."""

    @property
    def coinbase_value(self) -> int:
        """Subsidy and fees, base units."""
        return self.subsidy + self.fees

    def coinbase(self, extra_nonce: int = 0) -> Transaction:
        """The coinbase; `extra_nonce` is an unsigned number of 64 bits."""
        return _build_coinbase(
            self.coinbase_prefix
            + extra_nonce.to_bytes(EXTRA_NONCE_SIZE, "little")
            + self.coinbase_suffix,
            self.coinbase_value,
            self.script_pubkey,
            self.witness_commitment,
        )

    def header(self, extra_nonce: int = 0, time: int | None = None, nonce: int = 0) -> BlockHeader:
        """The header for these nonces; its cost grows with the logarithm of the block."""
        return self._header(self.coinbase(extra_nonce), self.version, time, nonce)

    def block(
        self,
        extra_nonce: int = 0,
        time: int | None = None,
        nonce: int = 0,
        version: int | None = None,
    ) -> Block:
        """The block for these nonces; it is valid if its hash meets `bits`.

        `version` is the one a miner has rolled to (BIP320), the template's own if left out.
        """
        coinbase = self.coinbase(extra_nonce)
        others = tuple([item.tx for item in self.transactions])
        version = self.version if version is None else version
        return Block(self._header(coinbase, version, time, nonce), (coinbase, *others))

    def _header(
        self, coinbase: Transaction, version: int, time: int | None, nonce: int
    ) -> BlockHeader:
        root = merkle_root_from_branch(coinbase.txid, self.merkle_branch, 0)
        return BlockHeader.build(
            version,
            self.prev_hash,
            root,
            self.time if time is None else time,
            self.bits,
            nonce,
        )


def build_template(
    parent: HeaderNode,
    entries: Sequence[TemplateEntry],
    params: Params,
    now: int,
    script_pubkey: bytes,
    options: TemplateOptions = TemplateOptions(),  # noqa: B008 - an immutable value
) -> BlockTemplate:
    """A template for the child of `parent`, paying subsidy and fees to `script_pubkey`.

    `entries` is a snapshot of the mempool as of `parent`, parents before children; `now` is
    network time. Raises ValueError for a script that leaves no room in the block.
    """
    height = parent.height + 1
    segwit = height >= params.activation.segwit
    prefix = push_int(height) + bytes((EXTRA_NONCE_SIZE,))
    room = MAX_COINBASE_SCRIPT_SIZE - len(prefix) - EXTRA_NONCE_SIZE - 2
    suffix = push_data(options.tag[:room]) if options.tag else b""
    subsidy = calculate_subsidy(height, params)
    min_time = calculate_min_time(parent.median_time_past, parent.header.time, params)

    # The coinbase's size does not depend on what is chosen: value and commitment have fixed sizes.
    placeholder = WITNESS_COMMITMENT_HEADER + bytes(32) if segwit else b""
    draft = _build_coinbase(
        prefix + bytes(EXTRA_NONCE_SIZE) + suffix, subsidy, script_pubkey, placeholder
    )
    own_sigop_cost = WITNESS_SCALE_FACTOR * count_sigops(script_pubkey)
    max_weight = min(options.max_weight, MAX_BLOCK_WEIGHT)
    chosen = select_transactions(
        entries,
        SelectionLimits(
            weight=max_weight - max(RESERVED_WEIGHT, _block_weight(draft.weight, 1 << 16)),
            sigop_cost=MAX_BLOCK_SIGOPS_COST - max(RESERVED_SIGOP_COST, own_sigop_cost),
            min_feerate=options.min_feerate,
            height=height,
            lock_time_cutoff=parent.median_time_past,
            allow_witness=segwit,
        ),
    )
    others = tuple([entry.tx for entry in chosen])
    weight = _block_weight(draft.weight + sum([tx.weight for tx in others]), len(others) + 1)
    sigop_cost = own_sigop_cost + sum([entry.sigop_cost for entry in chosen])
    if weight > MAX_BLOCK_WEIGHT or sigop_cost > MAX_BLOCK_SIGOPS_COST:
        raise ValueError("the script to pay does not fit into a block")
    commitment = b""
    if segwit:
        root = calculate_witness_commitment((draft, *others), _WITNESS_RESERVED)
        commitment = WITNESS_COMMITMENT_HEADER + root
    return BlockTemplate(
        params=params,
        height=height,
        version=calculate_block_version(parent, params),
        prev_hash=parent.hash,
        bits=next_bits(parent, params),
        time=max(min_time, now),
        min_time=min_time,
        transactions=_describe(chosen),
        fees=sum([entry.fee for entry in chosen]),
        subsidy=subsidy,
        weight=weight,
        sigop_cost=sigop_cost,
        script_pubkey=script_pubkey,
        coinbase_prefix=prefix,
        coinbase_suffix=suffix,
        witness_commitment=commitment,
        merkle_branch=calculate_merkle_branch([draft.txid, *[tx.txid for tx in others]], 0),
    )


def template_with(template: BlockTemplate, transactions: Sequence[Transaction]) -> BlockTemplate:
    """The template with these transactions instead of its own; their fees are not collected."""
    coinbase = replace(template, fees=0, witness_commitment=b"").coinbase()
    commitment = b""
    if template.witness_commitment:
        root = calculate_witness_commitment((coinbase, *transactions), _WITNESS_RESERVED)
        commitment = WITNESS_COMMITMENT_HEADER + root
    ids = [coinbase.txid, *[tx.txid for tx in transactions]]
    return replace(
        template,
        transactions=tuple([TemplateTransaction(tx, 0, 0, ()) for tx in transactions]),
        fees=0,
        witness_commitment=commitment,
        merkle_branch=calculate_merkle_branch(ids, 0),
    )


def _build_coinbase(
    script_sig: bytes, value: int, script_pubkey: bytes, commitment: bytes
) -> Transaction:
    outputs = [TxOut(value, script_pubkey)]
    witness: tuple[bytes, ...] = ()
    if commitment:
        outputs.append(TxOut(0, commitment))
        witness = (_WITNESS_RESERVED,)
    txin = TxIn(NULL_OUTPOINT, script_sig, witness=witness)
    return Transaction.build(2, [txin], outputs)


def _block_weight(weight: int, count: int) -> int:
    """Weight units of a block whose `count` transactions have `weight` together."""
    return weight + WITNESS_SCALE_FACTOR * (HEADER_SIZE + len(compact_size(count)))


def _describe(chosen: Sequence[TemplateEntry]) -> tuple[TemplateTransaction, ...]:
    places = {entry.tx.txid: place for place, entry in enumerate(chosen, start=1)}
    return tuple(
        [
            TemplateTransaction(
                entry.tx,
                entry.fee,
                entry.sigop_cost,
                tuple(
                    [
                        places[each.prevout[:32]]
                        for each in entry.tx.vin
                        if each.prevout[:32] in places
                    ]
                )
                if entry.parents
                else (),
            )
            for entry in chosen
        ]
    )
