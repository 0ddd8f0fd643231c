"""REST's block filters (BIP157, BIP158) and spent outputs: what light wallets live on.

Core's paths, formats, statuses and messages, and one path more: `blockfilters/basic/<count>/<hash>`
answers many filters at once, each as `blockfilter` has it.
"""

from collections.abc import Callable
from http import HTTPStatus

from flask import Response

from misocoin.chain.filter_index import BlockFilter, FilterIndex
from misocoin.chain.state import ChainState
from misocoin.codec import compact_size, var_bytes
from misocoin.consensus.tree import HeaderNode
from misocoin.errors import NotFoundError
from misocoin.filters.basic import BASIC_FILTER_TYPE
from misocoin.primitives.transaction import TxOut
from misocoin.rpc.forms import hash_hex, script_json
from misocoin.rpc.json import Json, amount
from misocoin.rpc.rest_forms import (
    BadRequest,
    active_nodes,
    bytes_response,
    count_and_hash,
    hash_from_text,
    json_response,
    split_path,
)
from misocoin.store.records import BlockStatus

MAX_FILTER_BYTES = 4_000_000
"""Bytes of filters after which an answer of many ends."""

_BASIC = "basic"


class FilterRoutes:
    """The paths over one chain."""

    def __init__(self, chain: ChainState) -> None:
        self._chain = chain

    def views(self) -> tuple[tuple[str, Callable[[str], Response]], ...]:
        """How each path begins, and what answers the rest of it."""
        return (
            ("blockfilter/", self._filter),
            ("blockfilterheaders/", self._headers),
            ("blockfilters/", self._filters),
            ("spenttxouts/", self._spent),
        )

    def _index(self, name: str) -> FilterIndex:
        if name != _BASIC:
            raise BadRequest(f"Unknown filtertype {name}")
        if self._chain.filters is None:
            raise BadRequest(f"Index is not enabled for filtertype {name}")
        return self._chain.filters

    def _filter(self, rest: str) -> Response:
        parts, form = split_path(rest)
        if len(parts) != 2:
            raise BadRequest(
                "Invalid URI format. Expected /rest/blockfilter/<filtertype>/<blockhash>"
            )
        block_hash = hash_from_text(parts[1])
        index = self._index(parts[0])
        node = self._chain.tree.get(block_hash)
        if node is None:
            raise BadRequest(f"{parts[1]} not found", HTTPStatus.NOT_FOUND)
        found = index.get(node)
        if found is None:
            raise self._missing(node)
        if form == "json":
            return json_response({"filter": found.data.hex()})
        return bytes_response(_serialize(node, found), form)

    def _headers(self, rest: str) -> Response:
        parts, form = split_path(rest)
        count, block_hash = count_and_hash(
            parts[1:],
            "Invalid URI format. Expected /rest/blockfilterheaders/<filtertype>/<blockhash>"
            ".<ext>?count=<count>",
        )
        index = self._index(parts[0])
        nodes = active_nodes(self._chain, block_hash, count)
        filters = index.get_many(nodes)
        if len(filters) < len(nodes):
            raise self._missing(nodes[len(filters)])
        if form == "json":
            return json_response([hash_hex(each.header) for each in filters])
        return bytes_response(b"".join(each.header for each in filters), form)

    def _filters(self, rest: str) -> Response:
        parts, form = split_path(rest)
        count, block_hash = count_and_hash(
            parts[1:],
            "Invalid URI format. Expected /rest/blockfilters/<filtertype>/<blockhash>"
            ".<ext>?count=<count>",
        )
        index = self._index(parts[0])
        nodes = active_nodes(self._chain, block_hash, count)
        filters = index.get_many(nodes)
        if nodes and not filters:
            raise self._missing(nodes[0])
        size, shown = 0, []
        for node, each in zip(nodes, filters, strict=False):
            shown.append((node, each))
            size += len(each.data)
            if size > MAX_FILTER_BYTES:
                break
        if form == "json":
            return json_response([{"filter": each.data.hex()} for _, each in shown])
        return bytes_response(b"".join(_serialize(node, each) for node, each in shown), form)

    def _missing(self, node: HeaderNode) -> BadRequest:
        connected = self._chain.status(node) & BlockStatus.CONNECTED
        why = (
            "Block filters are still in the process of being indexed."
            if connected
            else "Block was not connected to active chain."
        )
        return BadRequest(f"Filter not found. {why}", HTTPStatus.NOT_FOUND)

    def _spent(self, rest: str) -> Response:
        """The outputs that a block's transactions spend; an empty list for the coinbase."""
        parts, form = split_path(rest)
        text = "/".join(parts)
        node = self._chain.tree.get(hash_from_text(text))
        if node is None:
            raise BadRequest(f"{text} not found", HTTPStatus.NOT_FOUND)
        try:
            undo = self._chain.get_undo(node)
        except NotFoundError:
            raise BadRequest(f"{text} undo not available", HTTPStatus.NOT_FOUND) from None
        spent = [[TxOut(coin.value, coin.script_pubkey) for coin in coins] for coins in undo]
        if form == "json":
            return json_response([[], *[list(map(self._output, outputs)) for outputs in spent]])
        answer = [compact_size(len(spent) + 1), compact_size(0)]
        for outputs in spent:
            answer += [compact_size(len(outputs)), *[output.serialize() for output in outputs]]
        return bytes_response(b"".join(answer), form)

    def _output(self, output: TxOut) -> Json:
        script = script_json(output.script_pubkey, self._chain.params)
        return {"value": amount(output.value), "scriptPubKey": script}


def _serialize(node: HeaderNode, found: BlockFilter) -> bytes:
    return bytes((BASIC_FILTER_TYPE,)) + node.hash + var_bytes(found.data)
