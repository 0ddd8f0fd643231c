"""A node by its REST paths and `send_raw_tx`: ours, or a bitcoind with `-rest` and filters.

Every answer is bounded in time and size, and parsed before anybody sees it.
"""

import json
import re
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from typing import TypeVar

from misocoin.codec import Reader
from misocoin.errors import ParseError
from misocoin.filters.basic import BASIC_FILTER_TYPE
from misocoin.http.client import Bounds, HttpClient
from misocoin.http.errors import HttpError, HttpRefused, RpcError
from misocoin.http.jsonrpc import JsonRpcClient
from misocoin.policy.feerate import FeeRate
from misocoin.primitives.block import (
    HEADER_SIZE,
    Block,
    BlockHeader,
    block_from_bytes,
    headers_from_bytes,
)
from misocoin.primitives.transaction import Transaction, TxOut, transaction_from_bytes
from misocoin.units import sats_from_text
from misocoin.wallet.light.errors import NodeFailed, NotServed, Refused
from misocoin.wallet.light.ports import BlockFilter

SHORT = Bounds(connect_seconds=3, read_seconds=10, total_seconds=15, body=2000 * HEADER_SIZE)
"""For headers, and what is smaller."""

LONG = Bounds(connect_seconds=3, read_seconds=20, total_seconds=60, body=16_000_000)
"""For blocks, many filters, and what a block spends."""

NO_STRANGERS = "it takes payments only by name and password, as a bitcoind does"

MAX_REMARK = 200
"""Characters of what a node says that are shown."""

_KNOWN_ALREADY = ("txn-already-in-mempool", "txn-already-known", "txn-same-nonwitness")

_TXID = re.compile("[0-9a-f]{64}")

T = TypeVar("T")


class RestNode:
    """The node at `address` (host:port)."""

    def __init__(self, address: str, http: HttpClient) -> None:
        self.name = address
        self._url = f"http://{address}"
        self._http = http
        self._serves_many = True

    def _get(self, path: str, bounds: Bounds, parse: Callable[[bytes], T]) -> T:
        try:
            answer = self._http.get(f"{self._url}/rest/{path}", bounds=bounds)
        except HttpError as error:
            raise NodeFailed(str(error)) from error
        if answer.status != 200:
            text = _printable(answer.body[:MAX_REMARK].decode("utf-8", "replace"))
            kind = NotServed if answer.status in (400, 404) else NodeFailed
            raise kind(f"{self.name} answered {answer.status}: {text}")
        try:
            return parse(answer.body)
        except ParseError as error:
            raise NodeFailed(f"{self.name} answered what cannot be read: {error}") from error

    def headers(self, block_hash: bytes, count: int) -> tuple[BlockHeader, ...]:
        """See NodePort."""
        return self._get(f"headers/{count}/{_hex(block_hash)}.bin", SHORT, headers_from_bytes)

    def filter_headers(self, block_hash: bytes, count: int) -> tuple[bytes, ...]:
        """See NodePort."""
        path = f"blockfilterheaders/basic/{count}/{_hex(block_hash)}.bin"
        return self._get(path, SHORT, _hashes_from_bytes)

    def filters(self, block_hash: bytes, count: int) -> tuple[BlockFilter, ...]:
        """See NodePort. Only our nodes answer many at once; others are asked for one."""
        if self._serves_many:
            try:
                path = f"blockfilters/basic/{count}/{_hex(block_hash)}.bin"
                return self._get(path, LONG, filters_from_bytes)
            except NotServed:
                self._serves_many = False
        path = f"blockfilter/basic/{_hex(block_hash)}.bin"
        return self._get(path, LONG, filters_from_bytes)

    def block(self, block_hash: bytes) -> Block:
        """See NodePort."""
        return self._get(f"block/{_hex(block_hash)}.bin", LONG, block_from_bytes)

    def spent_outputs(self, block_hash: bytes) -> tuple[tuple[TxOut, ...], ...]:
        """See NodePort."""
        return self._get(f"spenttxouts/{_hex(block_hash)}.bin", LONG, spent_outputs_from_bytes)

    def mempool(self, count: int) -> tuple[Transaction, ...]:
        """See NodePort. One that was mined or dropped meanwhile is left out."""
        found = []
        for txid_hex in self._get("mempool/contents.json?verbose=false", LONG, txids_hex_from_json)[
            :count
        ]:
            with suppress(NotServed):
                tx = self._get(f"tx/{txid_hex}.bin", LONG, transaction_from_bytes)
                if tx.txid_hex == txid_hex:
                    found.append(tx)
        return tuple(found)

    def _call(self, method: str, *given: object) -> object:
        try:
            return JsonRpcClient(self._url, http=self._http, bounds=SHORT).call(method, *given)
        except HttpRefused as error:
            if error.status in (401, 403):
                raise NotServed(NO_STRANGERS) from error
            raise NodeFailed(str(error)) from error
        except HttpError as error:
            raise NodeFailed(str(error)) from error

    def fee_rate(self, target: int) -> FeeRate | None:
        """See NodePort."""
        try:
            answer = self._call("estimatesmartfee", target)
            rate = answer.get("feerate") if isinstance(answer, dict) else None
            return None if rate is None else FeeRate(sats_from_text(f"{Decimal(rate):f}"))
        except (RpcError, NotServed, ParseError, ArithmeticError, TypeError, ValueError):
            return None

    def submit(self, tx: Transaction) -> None:
        """See NodePort."""
        try:
            self._call("send_raw_tx", tx.serialize().hex())
        except RpcError as error:
            if any(known in error.message for known in _KNOWN_ALREADY):
                return
            raise Refused(_printable(error.message)) from error
        except NotServed as error:
            raise Refused(str(error)) from error


def _printable(text: str) -> str:
    """What a node says, as it may be shown on a terminal: one short line without control codes."""
    shown = "".join(each if each.isprintable() else " " for each in text[:MAX_REMARK])
    return " ".join(shown.split())


def _hex(block_hash: bytes) -> str:
    return block_hash[::-1].hex()


def _hashes_from_bytes(data: bytes) -> tuple[bytes, ...]:
    if len(data) % 32:
        raise ParseError(f"{len(data)} bytes are no list of hashes")
    return tuple(data[at : at + 32] for at in range(0, len(data), 32))


def txids_hex_from_json(data: bytes) -> list[str]:
    """Parse REST's list of the mempool; raises ParseError."""
    try:
        ids = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ParseError("not JSON") from error
    if not isinstance(ids, list) or not all(
        isinstance(each, str) and _TXID.fullmatch(each) for each in ids
    ):
        raise ParseError("not a list of transaction ids")
    return ids


def filters_from_bytes(data: bytes) -> tuple[BlockFilter, ...]:
    """Parse filters in REST's form, one behind the other; raises ParseError."""
    reader = Reader(data)
    filters = []
    while reader.remaining:
        kind = reader.uint(1)
        if kind != BASIC_FILTER_TYPE:
            raise ParseError(f"a filter of type {kind}")
        filters.append(BlockFilter(reader.take(32), reader.var_bytes()))
    return tuple(filters)


def spent_outputs_from_bytes(data: bytes) -> tuple[tuple[TxOut, ...], ...]:
    """Parse the outputs that a block spends, by transaction; raises ParseError."""
    reader = Reader(data)
    spent = []
    for _ in range(reader.compact_size()):
        outputs = []
        for _ in range(reader.compact_size()):
            value = int.from_bytes(reader.take(8), "little", signed=True)
            outputs.append(TxOut(value, reader.var_bytes()))
        spent.append(tuple(outputs))
    reader.expect_end()
    return tuple(spent)
