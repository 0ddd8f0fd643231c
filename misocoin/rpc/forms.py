"""How blocks, transactions and scripts look in JSON, with Core's field names, and what help says.

Hashes are shown in display order, amounts as coins.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from misocoin.consensus.coins import Coin
from misocoin.consensus.difficulty import calculate_network_difficulty, target_from_bits
from misocoin.consensus.tree import HeaderNode
from misocoin.params import AddressParams, Params
from misocoin.primitives.transaction import Transaction, TxIn
from misocoin.rpc.json import Json, amount, real
from misocoin.rpc.schema import (
    array,
    boolean,
    coins,
    either,
    fraction,
    hexadecimal,
    number,
    obj,
    optional,
    text,
    timestamp,
)
from misocoin.script.address import encode_template
from misocoin.script.asm import asm_from_script
from misocoin.script.descriptor_text import descriptor_from_template
from misocoin.script.templates import template_from_script

SCRIPTS_REMEMBERED = 10_000
"""Scripts whose form is kept: writing an address and two checksums costs more than all the rest."""

LONGEST_REMEMBERED = 110
"""Bytes of a script that is kept at most, a multisig of three keys: anybody may send long ones."""

SCRIPT_PUBKEY = obj(
    "the output's script",
    asm=text("its operations"),
    desc=text("its descriptor (BIP380), as far as the script itself tells it"),
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
            prevout=optional(
                obj(
                    "the coin it spends, at the highest level of detail",
                    generated=boolean("whether a coinbase made it"),
                    height=number("of the block that made it"),
                    value=coins("what it held"),
                    scriptPubKey=SCRIPT_PUBKEY,
                )
            ),
            sequence=number("the sequence number"),
        ),
    ),
    "vout": array(
        "its outputs",
        obj("", value=coins("what it holds"), n=number("its place"), scriptPubKey=SCRIPT_PUBKEY),
    ),
    "fee": optional(coins("what it pays, where the coins it spends are known")),
    "hex": optional(hexadecimal("the transaction's bytes")),
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
    "difficulty": fraction("how much harder than the easiest target it is"),
    "chainwork": hexadecimal("expected hashes from genesis up to it"),
    "nTx": number("how many transactions it holds"),
    "previousblockhash": optional(hexadecimal("its parent")),
    "nextblockhash": optional(hexadecimal("the next one on the active chain")),
}
"""The fields that `header_json` gives."""

BLOCK_FIELDS = {
    **HEADER_FIELDS,
    "strippedsize": number("bytes without witnesses"),
    "size": number("bytes"),
    "weight": number("weight units"),
    "tx": array(
        "its transactions",
        either("by level of detail", hexadecimal("the id"), obj("the whole of it", **TX_FIELDS)),
    ),
}
"""The fields that `block_json` gives."""


def hash_hex(value: bytes) -> str:
    """A hash as people see it: display order, hex."""
    return value[::-1].hex()


def script_json(script: bytes, params: Params) -> dict[str, Json]:
    """An output's script. The value is shared: nobody may change it."""
    if len(script) > LONGEST_REMEMBERED:
        return _script_form.__wrapped__(script, params.address)
    return _script_form(script, params.address)


@lru_cache(maxsize=SCRIPTS_REMEMBERED)
def _script_form(script: bytes, address_params: AddressParams) -> dict[str, Json]:
    template = template_from_script(script)
    address = encode_template(template, address_params)
    form = {
        "asm": asm_from_script(script),
        "desc": descriptor_from_template(template, script, address),
        "hex": script.hex(),
    }
    if address is not None:
        form["address"] = address
    form["type"] = template.kind.value
    return form


def _input_json(
    txin: TxIn, coin: Coin | None, params: Params, *, coinbase: bool
) -> dict[str, Json]:
    form: dict[str, Json] = {}
    script = txin.script_sig
    if coinbase:
        form["coinbase"] = script.hex()
    else:
        form["txid"] = hash_hex(txin.prevout[:32])
        form["vout"] = int.from_bytes(txin.prevout[32:], "little")
        asm = asm_from_script(script, name_hash_types=True) if script else ""
        form["scriptSig"] = {"asm": asm, "hex": script.hex()}
    if txin.witness:
        form["txinwitness"] = [element.hex() for element in txin.witness]
    if coin is not None:
        form["prevout"] = {
            "generated": coin.is_coinbase,
            "height": coin.height,
            "value": amount(coin.value),
            "scriptPubKey": script_json(coin.script_pubkey, params),
        }
    form["sequence"] = txin.sequence
    return form


def tx_json(
    tx: Transaction,
    params: Params,
    spent: Sequence[Coin] | None = None,
    *,
    with_prevouts: bool = False,
    with_hex: bool = True,
) -> dict[str, Json]:
    """A transaction with all its parts.

    With the coins it has `spent`, the fee is there, too, and `with_prevouts` the coins themselves.
    """
    coinbase = tx.is_coinbase
    coins: Sequence[Coin | None] = spent if spent and with_prevouts else [None] * len(tx.vin)
    form: dict[str, Json] = {
        "txid": hash_hex(tx.txid),
        "hash": hash_hex(tx.wtxid),
        "version": tx.version & 0xFFFFFFFF,
        "size": tx.size,
        "vsize": tx.vsize,
        "weight": tx.weight,
        "locktime": tx.locktime,
        "vin": [
            _input_json(txin, coin, params, coinbase=coinbase)
            for txin, coin in zip(tx.vin, coins, strict=True)
        ],
        "vout": [
            {"value": amount(value), "n": n, "scriptPubKey": script_json(script, params)}
            for n, (value, script) in enumerate(tx.vout)
        ],
    }
    if spent and not coinbase:
        paid = sum([coin.value for coin in spent]) - sum([txout.value for txout in tx.vout])
        form["fee"] = amount(paid)
    if with_hex:
        form["hex"] = tx.serialize().hex()
    return form


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
        "difficulty": real(calculate_network_difficulty(header.bits, params)),
        "chainwork": f"{node.chain_work:064x}",
        "nTx": tx_count,
    }
    if node.parent is not None:
        form["previousblockhash"] = node.parent.header.hash_hex
    if active and node is not tip:
        form["nextblockhash"] = tip.ancestor(node.height + 1).header.hash_hex
    return form


class BlockBody(NamedTuple):
    """What JSON tells of a block beside its header and its transactions."""

    tx_count: int
    stripped_size: int
    """Bytes without witnesses."""
    size: int
    """Bytes."""


def block_json(
    body: BlockBody, node: HeaderNode, tip: HeaderNode, params: Params, transactions: Json
) -> dict[str, Json]:
    """A block around its `transactions`, which are JSON already (see `block_forms`)."""
    form = header_json(node, tip, body.tx_count, params)
    form["strippedsize"] = body.stripped_size
    form["size"] = body.size
    form["weight"] = 3 * body.stripped_size + body.size
    form["tx"] = transactions
    return form
