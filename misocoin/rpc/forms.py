"""How blocks, transactions and scripts look in JSON, with Core's field names, and what help says.

Hashes are shown in display order, amounts as coins.
"""

from typing import Any

from misocoin.consensus.difficulty import calculate_network_difficulty, target_from_bits
from misocoin.consensus.tree import HeaderNode
from misocoin.params import Params
from misocoin.primitives.block import Block
from misocoin.primitives.transaction import Transaction, TxIn, TxOut
from misocoin.rpc.json import Json, amount
from misocoin.rpc.schema import (
    array,
    coins,
    hexadecimal,
    number,
    obj,
    optional,
    text,
    timestamp,
)
from misocoin.script.address import address_from_script
from misocoin.script.asm import asm_from_script
from misocoin.script.templates import template_from_script

SCRIPT_PUBKEY = obj(
    "the output's script",
    asm=text("its operations"),
    hex=hexadecimal("its bytes"),
    address=optional(text("its address, if it has one")),
    type=text("its form, such as witness_v0_keyhash"),
)

TX_FIELDS = {
    "txid": hexadecimal("the transaction's id"),
    "hash": hexadecimal("the id with witness"),
    "version": number("its version"),
    "size": number("bytes, witness included"),
    "vsize": number("virtual bytes"),
    "weight": number("weight units"),
    "locktime": number("first height or unix time at which it is final"),
    "vin": array(
        "its inputs",
        obj(
            "",
            coinbase=optional(hexadecimal("the script, in a coinbase alone")),
            txid=optional(hexadecimal("whose output it spends")),
            vout=optional(number("which of its outputs")),
            scriptSig=optional(
                obj("", asm=text("the operations"), hex=hexadecimal("the script's bytes"))
            ),
            txinwitness=optional(array("the witness", hexadecimal("an element"))),
            sequence=number("the sequence number"),
        ),
    ),
    "vout": array(
        "its outputs",
        obj("", value=coins("what it holds"), n=number("its place"), scriptPubKey=SCRIPT_PUBKEY),
    ),
    "hex": hexadecimal("the transaction's bytes"),
}
"""The fields that `tx_json` gives."""

HEADER_FIELDS = {
    "hash": hexadecimal("the block's hash"),
    "confirmations": number("blocks from it to the tip, or -1 off the active chain"),
    "height": number("its height"),
    "version": number("its version"),
    "versionHex": hexadecimal("the same in hex"),
    "merkleroot": hexadecimal("root over its transactions' ids"),
    "time": timestamp("its time"),
    "mediantime": timestamp("median time of it and the ten blocks before"),
    "nonce": number("what was searched for"),
    "bits": hexadecimal("the target in compact form"),
    "target": hexadecimal("the target"),
    "difficulty": number("how much harder than the easiest target it is"),
    "chainwork": hexadecimal("expected hashes from genesis up to it"),
    "nTx": number("how many transactions it holds"),
    "previousblockhash": optional(hexadecimal("its parent")),
    "nextblockhash": optional(hexadecimal("the next one on the active chain")),
}
"""The fields that `header_json` gives."""


def hash_hex(value: bytes) -> str:
    """A hash as people see it: display order, hex."""
    return value[::-1].hex()


def script_json(script: bytes, params: Params) -> dict[str, Json]:
    """An output's script."""
    form: dict[str, Json] = {"asm": asm_from_script(script), "hex": script.hex()}
    address = address_from_script(script, params)
    if address is not None:
        form["address"] = address
    form["type"] = template_from_script(script).kind.value
    return form


def _input_json(txin: TxIn, *, coinbase: bool) -> dict[str, Json]:
    form: dict[str, Json] = {}
    if coinbase:
        form["coinbase"] = txin.script_sig.hex()
    else:
        form["txid"] = hash_hex(txin.prevout[:32])
        form["vout"] = int.from_bytes(txin.prevout[32:], "little")
        form["scriptSig"] = {
            "asm": asm_from_script(txin.script_sig, name_hash_types=True),
            "hex": txin.script_sig.hex(),
        }
    if txin.witness:
        form["txinwitness"] = [element.hex() for element in txin.witness]
    form["sequence"] = txin.sequence
    return form


def _output_json(index: int, txout: TxOut, params: Params) -> dict[str, Json]:
    return {
        "value": amount(txout.value),
        "n": index,
        "scriptPubKey": script_json(txout.script_pubkey, params),
    }


def tx_json(tx: Transaction, params: Params) -> dict[str, Json]:
    """A transaction with all its parts."""
    coinbase = tx.is_coinbase
    return {
        "txid": hash_hex(tx.txid),
        "hash": hash_hex(tx.wtxid),
        "version": tx.version,
        "size": tx.size,
        "vsize": tx.vsize,
        "weight": tx.weight,
        "locktime": tx.locktime,
        "vin": [_input_json(txin, coinbase=coinbase) for txin in tx.vin],
        "vout": [_output_json(n, txout, params) for n, txout in enumerate(tx.vout)],
        "hex": tx.serialize().hex(),
    }


def header_json(
    node: HeaderNode, tip: HeaderNode, tx_count: int, params: Params
) -> dict[str, Json]:
    """A header where it stands, seen from the active chain's `tip`."""
    header = node.header
    active = node.is_ancestor_of(tip)
    form: dict[str, Any] = {
        "hash": header.hash_hex,
        "confirmations": tip.height - node.height + 1 if active else -1,
        "height": node.height,
        "version": header.version,
        "versionHex": f"{header.version & 0xFFFFFFFF:08x}",
        "merkleroot": hash_hex(header.merkle_root),
        "time": header.time,
        "mediantime": node.median_time_past,
        "nonce": header.nonce,
        "bits": f"{header.bits:08x}",
        "target": f"{target_from_bits(header.bits):064x}",
        "difficulty": calculate_network_difficulty(header.bits, params),
        "chainwork": f"{node.chain_work:064x}",
        "nTx": tx_count,
    }
    if node.parent is not None:
        form["previousblockhash"] = node.parent.header.hash_hex
    if active and node is not tip:
        form["nextblockhash"] = tip.ancestor(node.height + 1).header.hash_hex
    return form


def block_json(
    block: Block, node: HeaderNode, tip: HeaderNode, params: Params, *, details: bool
) -> dict[str, Json]:
    """A block with its transactions: whole ones with `details`, else their ids."""
    form = header_json(node, tip, len(block.transactions), params)
    form["strippedsize"] = block.stripped_size
    form["size"] = block.size
    form["weight"] = block.weight
    form["tx"] = [
        tx_json(tx, params) if details else hash_hex(tx.txid) for tx in block.transactions
    ]
    return form
