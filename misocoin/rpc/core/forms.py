"""What RPC and REST show alike: chain and mempool at a glance, and one entry of the mempool."""

from typing import Any

from misocoin.chain.mempool import Mempool
from misocoin.chain.mempool_entry import MempoolEntry
from misocoin.chain.state import ChainState
from misocoin.consensus.difficulty import calculate_network_difficulty, target_from_bits
from misocoin.primitives.transaction import SEQUENCE_REPLACEABLE, Transaction
from misocoin.rpc.forms import hash_hex
from misocoin.rpc.json import Json, amount, real
from misocoin.rpc.schema import (
    array,
    boolean,
    coins,
    fraction,
    hexadecimal,
    number,
    obj,
    text,
    timestamp,
)

CHAIN_NAMES = {"miso": "miso", "regtest": "regtest", "bitcoin": "main"}
"""What Core calls a network; `miso` it does not know."""

SYNC_GAP = 10
"""Blocks between tip and best header from which on a node says that it is catching up."""

CHAIN_INFO = obj(
    "the chain at a glance",
    chain=text("the network: main, regtest or miso"),
    blocks=number("height of the tip"),
    headers=number("height of the best known header"),
    bestblockhash=hexadecimal("hash of the tip"),
    bits=hexadecimal("target of the tip in compact form"),
    target=hexadecimal("target of the tip"),
    difficulty=fraction("of the tip"),
    time=timestamp("time of the tip"),
    mediantime=timestamp("median time of the tip and the ten blocks before"),
    verificationprogress=fraction("how much of the known chain is verified, up to 1"),
    initialblockdownload=boolean("whether the node is catching up"),
    chainwork=hexadecimal("expected hashes from genesis up to the tip"),
    size_on_disk=number("bytes of the chain's database"),
    pruned=boolean("whether old blocks are forgotten: never"),
    warnings=array("what the user should know", text("a sentence")),
)

MEMPOOL_INFO = obj(
    "the mempool at a glance",
    loaded=boolean("whether what was kept from before is loaded"),
    size=number("transactions"),
    bytes=number("virtual bytes of all"),
    usage=number("bytes of memory, estimated"),
    total_fee=coins("what all pay"),
    maxmempool=number("bytes of memory that it may take"),
    mempoolminfee=coins("what a newcomer must pay per 1,000 virtual bytes"),
    minrelaytxfee=coins("the least that this can be"),
    incrementalrelayfee=coins("what a replacement pays on top, per 1,000 virtual bytes"),
    unbroadcastcount=number("own transactions that nobody has asked for yet"),
    fullrbf=boolean("whether a transaction is replaced without having asked for it: always"),
    permitbaremultisig=boolean("whether multisig outputs outside of script hashes are taken"),
    maxdatacarriersize=number("bytes of the OP_RETURN script a transaction may have"),
)

ENTRY = obj(
    "a waiting transaction",
    vsize=number("virtual bytes"),
    weight=number("weight units"),
    time=timestamp("when it came"),
    height=number("of the tip when it came"),
    descendantcount=number("transactions that build on it, itself included"),
    descendantsize=number("virtual bytes of those"),
    ancestorcount=number("transactions it builds on, itself included"),
    ancestorsize=number("virtual bytes of those"),
    wtxid=hexadecimal("the id with witness"),
    fees=obj(
        "",
        base=coins("what it pays"),
        modified=coins("what it counts as paying"),
        ancestor=coins("what it and its ancestors count as paying"),
        descendant=coins("what it and its descendants count as paying"),
    ),
    depends=array("unconfirmed transactions it spends", hexadecimal("an id")),
    spentby=array("unconfirmed transactions that spend it", hexadecimal("an id")),
    **{"bip125-replaceable": boolean("whether it, or one it builds on, asked to be replaceable")},
    unbroadcast=boolean("whether nobody has asked for it yet"),
)


def chain_info_json(chain: ChainState) -> dict[str, Json]:
    """`getblockchaininfo`."""
    tip, best = chain.tip, chain.best_header
    return {
        "chain": CHAIN_NAMES[chain.params.name],
        "blocks": tip.height,
        "headers": best.height,
        "bestblockhash": tip.header.hash_hex,
        "bits": f"{tip.header.bits:08x}",
        "target": f"{target_from_bits(tip.header.bits):064x}",
        "difficulty": real(calculate_network_difficulty(tip.header.bits, chain.params)),
        "time": tip.header.time,
        "mediantime": tip.median_time_past,
        "verificationprogress": real(min(1.0, tip.height / best.height) if best.height else 1.0),
        "initialblockdownload": best.height - tip.height > SYNC_GAP,
        "chainwork": f"{tip.chain_work:064x}",
        "size_on_disk": chain.size_on_disk(),
        "pruned": False,
        "warnings": [],
    }


def mempool_info_json(mempool: Mempool, now: int) -> dict[str, Json]:
    """`getmempoolinfo`; to be called under the chain's lock."""
    info, policy = mempool.info(now), mempool.rules.policy
    return {
        "loaded": True,
        "size": info.transactions,
        "bytes": info.vsize,
        "usage": info.usage,
        "total_fee": amount(info.total_fee),
        "maxmempool": info.max_usage,
        "mempoolminfee": amount(info.min_feerate),
        "minrelaytxfee": amount(info.min_relay_feerate),
        "incrementalrelayfee": amount(info.incremental_feerate),
        "unbroadcastcount": 0,
        "fullrbf": True,
        "permitbaremultisig": policy.permit_bare_multisig,
        "maxdatacarriersize": policy.max_data_carrier,
    }


def asks_to_be_replaceable(tx: Transaction) -> bool:
    """Whether an input's sequence number says so (BIP125)."""
    return any(txin.sequence <= SEQUENCE_REPLACEABLE for txin in tx.vin)


def entry_json(entry: MempoolEntry, *, is_replaceable: bool) -> dict[str, Any]:
    """One entry of the mempool; `is_replaceable` covers its ancestors, too."""
    return {
        "vsize": entry.vsize,
        "weight": entry.tx.weight,
        "time": entry.time,
        "height": entry.height,
        "descendantcount": entry.descendant_count,
        "descendantsize": entry.descendant_vsize,
        "ancestorcount": entry.ancestor_count,
        "ancestorsize": entry.ancestor_vsize,
        "wtxid": hash_hex(entry.tx.wtxid),
        "fees": {
            "base": amount(entry.fee),
            "modified": amount(entry.modified_fee),
            "ancestor": amount(entry.ancestor_fee),
            "descendant": amount(entry.descendant_fee),
        },
        # Core's orders: of the ids as they are shown, and as they are on the wire.
        "depends": sorted([hash_hex(txid) for txid in entry.parents]),
        "spentby": [hash_hex(txid) for txid in sorted(entry.children)],
        "bip125-replaceable": is_replaceable,
        "unbroadcast": False,
    }


def entries_json(entries: tuple[MempoolEntry, ...]) -> dict[str, Json]:
    """All entries of the mempool by id; they come parents before children."""
    replaceable: set[bytes] = set()
    forms: dict[str, Json] = {}
    for entry in entries:
        is_replaceable = asks_to_be_replaceable(entry.tx) or any(
            txid in replaceable for txid in entry.parents
        )
        if is_replaceable:
            replaceable.add(entry.txid)
        forms[hash_hex(entry.txid)] = entry_json(entry, is_replaceable=is_replaceable)
    return forms
