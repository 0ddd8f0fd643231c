"""Bitcoin Core's REST interface: the same paths, formats, statuses and messages.

Read-only and open to all, as Core's with `-rest`. Formats are `.bin`, `.hex` (with a line feed)
and `.json`. What Core says about a bad request is said in its words.
"""

import re
from collections.abc import Callable
from http import HTTPStatus

from flask import Flask, Response, request

from misocoin.chain.mempool import Mempool
from misocoin.chain.state import ChainState
from misocoin.codec import Reader, compact_size
from misocoin.consensus.coins import Coin
from misocoin.errors import NotFoundError, ParseError
from misocoin.primitives.block import serialize_headers
from misocoin.primitives.transaction import OutPoint, TxOut, outpoint
from misocoin.rpc.block_forms import BlockForms
from misocoin.rpc.core.deployments import deployments_json
from misocoin.rpc.core.forms import chain_info_json, entries_json, mempool_info_json
from misocoin.rpc.finder import TransactionFinder
from misocoin.rpc.forms import (
    hash_hex,
    header_json,
    script_json,
    tx_json,
)
from misocoin.rpc.json import Json, amount
from misocoin.rpc.rest_filters import FilterRoutes
from misocoin.rpc.rest_forms import (
    BadRequest,
    active_nodes,
    bytes_response,
    check_form,
    check_only_json,
    count_and_hash,
    error_response,
    hash_from_text,
    json_response,
    split_path,
)

MAX_OUTPOINTS = 15
"""Outputs that one `getutxos` may ask for."""

_POOL_HEIGHT = 0x7FFFFFFF
"""The height Core gives coins of the mempool."""


class RestRoutes:
    """Adds the REST paths to Flask's application."""

    def __init__(
        self,
        chain: ChainState,
        mempool: Mempool,
        blocks: BlockForms,
        finder: TransactionFinder,
    ) -> None:
        self._chain = chain
        self._blocks = blocks
        self._finder = finder
        self._mempool = mempool

    def add_to(self, app: Flask) -> None:
        """Add them."""
        views: tuple[tuple[str, Callable[[str], Response]], ...] = (
            ("chaininfo", self._chain_info),
            ("deploymentinfo", self._deployment_info),
            ("headers/", self._headers),
            ("block/notxdetails/", lambda rest: self._block(rest, details=False)),
            ("block/", lambda rest: self._block(rest, details=True)),
            ("blockhashbyheight/", self._block_hash),
            ("tx/", self._tx),
            ("mempool/", self._mempool_part),
            ("getutxos", self._utxos),
            *FilterRoutes(self._chain).views(),
        )

        def serve(path: str) -> Response:
            for prefix, view in views:
                if path.startswith(prefix):
                    try:
                        return view(path.removeprefix(prefix))
                    except BadRequest as error:
                        return error_response(error.status, str(error))
            return error_response(HTTPStatus.NOT_FOUND, "")

        app.add_url_rule("/rest/<path:path>", "rest", serve, methods=["GET", "POST"])

    # -- the chain ----------------------------------------------------------------------------

    def _chain_info(self, rest: str) -> Response:
        check_only_json(split_path(rest)[1])
        return json_response(chain_info_json(self._chain))

    def _deployment_info(self, rest: str) -> Response:
        parts, form = split_path(rest)
        check_only_json(form)
        text = "/".join(parts).removeprefix("/")
        node = self._chain.tree.get(hash_from_text(text)) if text else self._chain.tip
        if node is None:
            raise BadRequest("Block not found")
        return json_response(deployments_json(node, self._chain.params))

    def _headers(self, rest: str) -> Response:
        parts, form = split_path(rest)
        count, block_hash = count_and_hash(
            parts, "Invalid URI format. Expected /rest/headers/<hash>.<ext>?count=<count>"
        )
        tip = self._chain.tip
        nodes = active_nodes(self._chain, block_hash, count)
        if form == "json":
            chain = self._chain
            return json_response(
                [header_json(each, tip, chain.tx_count(each), chain.params) for each in nodes]
            )
        return bytes_response(serialize_headers([each.header for each in nodes]), form)

    def _block(self, rest: str, *, details: bool) -> Response:
        parts, form = split_path(rest)
        text = "/".join(parts)
        node = self._chain.tree.get(hash_from_text(text))
        if node is None:
            raise BadRequest(f"{text} not found", HTTPStatus.NOT_FOUND)
        try:
            if form == "json":
                return json_response(self._blocks.form(node, 3 if details else 1))
            return bytes_response(self._chain.get_block_bytes(node), form)
        except NotFoundError:
            raise BadRequest(
                f"{text} not available (not fully downloaded)", HTTPStatus.NOT_FOUND
            ) from None

    def _block_hash(self, rest: str) -> Response:
        parts, form = split_path(rest)
        text = "/".join(parts)
        if not re.fullmatch(r"\+?0*\d{1,9}", text, re.ASCII):
            shown = re.sub(r"[^a-zA-Z0-9 .,;\-_/:?@()]", "", text)
            raise BadRequest(f"Invalid height: {shown}")
        tip = self._chain.tip
        if int(text) > tip.height:
            raise BadRequest("Block height out of range", HTTPStatus.NOT_FOUND)
        block_hash = tip.ancestor(int(text)).hash
        if form == "json":
            return json_response({"blockhash": hash_hex(block_hash)})
        # Core writes hex in display order here, and the bytes in wire order.
        return bytes_response(block_hash if form == "bin" else block_hash[::-1], form)

    def _tx(self, rest: str) -> Response:
        parts, form = split_path(rest)
        text = "/".join(parts)
        found = self._finder.find(hash_from_text(text))
        if found is None:
            raise BadRequest(f"{text} not found", HTTPStatus.NOT_FOUND)
        tx, node = found.tx, found.node
        if form != "json":
            return bytes_response(tx.serialize(), form)
        shown = tx_json(tx, self._chain.params)
        if node is not None:
            whole = shown.pop("hex")
            shown |= {"blockhash": node.header.hash_hex, "hex": whole}
        return json_response(shown)

    # -- the mempool --------------------------------------------------------------------------

    def _mempool_part(self, rest: str) -> Response:
        parts, form = split_path(rest)
        views = {"info": self._mempool_info, "contents": self._mempool_contents}
        view = views.get("/".join(parts))
        if view is None:
            raise BadRequest("Invalid URI format. Expected /rest/mempool/<info|contents>.json")
        check_only_json(form)
        return view()

    def _mempool_info(self) -> Response:
        with self._chain.lock:
            return json_response(mempool_info_json(self._mempool, self._chain.now()))

    def _mempool_contents(self) -> Response:
        verbose = request.args.get("verbose", "true")
        sequence = request.args.get("mempool_sequence", "false")
        for name, value in (("verbose", verbose), ("mempool_sequence", sequence)):
            if value not in ("true", "false"):
                raise BadRequest(f'The "{name}" query parameter must be either "true" or "false".')
        if verbose == "true" and sequence == "true":
            raise BadRequest(
                "Verbose results cannot contain mempool sequence values. "
                '(hint: set "verbose=false")'
            )
        with self._chain.lock:
            entries = self._mempool.entries()
            number = self._mempool.next_sequence
        if verbose == "true":
            return json_response(entries_json(entries))
        ids = [hash_hex(entry.txid) for entry in entries]
        return json_response(
            {"txids": ids, "mempool_sequence": number} if sequence == "true" else ids
        )

    # -- unspent outputs ----------------------------------------------------------------------

    def _utxos(self, rest: str) -> Response:
        parts, form = split_path(rest)
        asked = "/".join(parts)[1:]
        parts = asked.split("/") if asked else []
        body = request.get_data(cache=False)
        with_pool = bool(parts) and parts[0] == "checkmempool"
        points = [_outpoint(part) for part in parts[with_pool:]]
        if not points and (parts or not body or form == "json"):
            raise BadRequest("Error: empty request")
        check_form(form)
        if body and form != "json":
            if points:
                raise BadRequest(
                    "Combination of URI scheme inputs and raw post data is not allowed"
                )
            with_pool, points = _asked(body, form)
        if len(points) > MAX_OUTPOINTS:
            raise BadRequest(
                f"Error: max outpoints exceeded (max: {MAX_OUTPOINTS}, tried: {len(points)})"
            )
        with self._chain.lock:
            tip = self._chain.tip
            view = self._mempool if with_pool else self._chain
            coins = view.get_coins(points)
        bits = [point in coins for point in points]
        found = [coins[point] for point in points if point in coins]
        if form == "json":
            return json_response(
                {
                    "chainHeight": tip.height,
                    "chaintipHash": tip.header.hash_hex,
                    "bitmap": "".join("01"[bit] for bit in bits),
                    "utxos": [self._coin_json(coin) for coin in found],
                }
            )
        bitmap = bytearray((len(bits) + 7) // 8)
        for i, bit in enumerate(bits):
            bitmap[i // 8] |= bit << i % 8
        answer = tip.height.to_bytes(4, "little") + tip.hash
        answer += compact_size(len(bitmap)) + bytes(bitmap) + compact_size(len(found))
        for coin in found:
            answer += bytes(4) + _height(coin).to_bytes(4, "little")
            answer += TxOut(coin.value, coin.script_pubkey).serialize()
        return bytes_response(answer, form)

    def _coin_json(self, coin: Coin) -> dict[str, Json]:
        script = script_json(coin.script_pubkey, self._chain.params)
        return {"height": _height(coin), "value": amount(coin.value), "scriptPubKey": script}


def _height(coin: Coin) -> int:
    return min(coin.height, _POOL_HEIGHT)


def _outpoint(text: str) -> OutPoint:
    match = re.fullmatch(r"([0-9a-fA-F]{64})-(\d{1,10})", text)
    if match is None or int(match[2]) > 0xFFFFFFFF:
        raise BadRequest("Parse error")
    return outpoint(bytes.fromhex(match[1])[::-1], int(match[2]))


def _asked(body: bytes, form: str) -> tuple[bool, list[OutPoint]]:
    """The request of BIP64: a flag for the mempool, then outpoints."""
    try:
        reader = Reader(bytes.fromhex(body.decode("ascii")) if form == "hex" else body)
        with_pool = reader.uint(1) != 0
        points = [OutPoint(reader.take(36)) for _ in range(reader.compact_size())]
    except (ParseError, ValueError):
        raise BadRequest("Parse error") from None
    return with_pool, points
