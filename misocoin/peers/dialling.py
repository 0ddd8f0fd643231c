"""HTTP calls to another node: the handshake, our `/peer/` paths, and Bitcoin Core's REST paths.

Every call is bounded in time and size by the client, so that neither a trickle nor an endless
answer holds anything up.
"""

from collections.abc import Iterator
from typing import Any

import orjson

from misocoin.errors import MisocoinError, ParseError
from misocoin.http.client import Bounds, HttpClient, HttpResponse
from misocoin.http.errors import HttpError, HttpTooLarge
from misocoin.peers.hello import MAX_HELLO, Hello, bytes_from_hello, hello_from_bytes
from misocoin.peers.limits import MAX_BLOCK_SIZE, MAX_BODY, MAX_HEADERS, PeerLimits
from misocoin.peers.messages import (
    Address,
    BlockBody,
    GetBlocks,
    GetHeaders,
    GetTransactions,
    Headers,
    Message,
    NotFound,
    Request,
    Transactions,
    messages_from_bytes,
    serialize_message,
)
from misocoin.peers.traffic import HELLO, OTHER, Traffic
from misocoin.primitives.block import (
    HEADER_SIZE,
    BlockHeader,
    header_from_bytes,
    headers_from_bytes,
)
from misocoin.primitives.transaction import transaction_from_bytes

MAX_INFO = 1 << 16
"""Bytes of small JSON answers."""

MAX_CHAIN_NAME = 20
"""Characters of a chain's name as another node says it."""

MAX_POOL = 1 << 24
"""Bytes of a listing of another node's mempool."""

SLOWEST = 50_000
"""Bytes a second that a long answer must bring in the mean."""


class RefusedError(MisocoinError):
    """The other node does not want the link, and says why."""


class WrongChainError(MisocoinError):
    """The other node follows another chain."""


def is_hostile(error: MisocoinError) -> bool:
    """Whether a failed call shows bad will, not just a bad line."""
    return isinstance(error, ParseError | HttpTooLarge | WrongChainError)


class Remote:
    """Another node, reached by dialling it."""

    def __init__(self, client: HttpClient, address: Address, limits: PeerLimits) -> None:
        self.address = address
        self.session = ""
        self.traffic = Traffic()
        self._counts_by_query = False
        self._client = client
        self._base = f"http://{address.text}"
        self._quick = Bounds(5, 10, limits.headers_seconds, MAX_HEADERS * HEADER_SIZE)
        self._small = Bounds(5, 10, 10, MAX_INFO)
        self._bulk = Bounds(5, 10, limits.block_seconds + MAX_BODY / SLOWEST, MAX_BODY)
        self._poll = Bounds(
            5, limits.poll_seconds + 10, limits.poll_seconds + MAX_BODY / SLOWEST, MAX_BODY
        )
        self._listing = Bounds(5, 20, 60, MAX_POOL)

    # -- ours ---------------------------------------------------------------------------------

    def greet(self, hello: Hello) -> Hello | None:
        """Shake hands; None where nobody knows our paths. Raises RefusedError or HttpError."""
        bounds = Bounds(5, 10, 15, MAX_HELLO)
        said = bytes_from_hello(hello)
        response = self._client.post(f"{self._base}/peer/hello", said, _BINARY, bounds)
        if response.status == 409:
            raise RefusedError(response.body[:100].decode("ascii", "replace").strip())
        if response.status == 503:
            raise HttpError("it is busy or still starting")
        if response.status != 200:
            return None
        answer = hello_from_bytes(response.body)
        if answer.genesis != hello.genesis:
            raise WrongChainError("another chain")
        self.session = answer.session
        self.traffic.sent_as(HELLO, len(said))
        self.traffic.received_as(HELLO, len(response.body))
        return answer

    def push(self, body: bytes) -> None:
        """Hand messages over; raises HttpError."""
        self._expect(self._client.post(self._own("messages"), body, _BINARY, self._bulk))
        self.traffic.sent(body)

    def poll(self) -> tuple[Message, ...]:
        """Wait for messages; none after a while. Raises HttpError or ParseError."""
        response = self._client.get(self._own("poll"), None, self._poll)
        body = self._expect(response)
        self.traffic.received(body)
        return messages_from_bytes(body)

    def leave(self) -> None:
        """Say that the link is over, if the line still holds."""
        try:
            self._client.post(self._own("bye"), b"", _BINARY, Bounds(1, 1, 1, MAX_INFO))
        except HttpError:
            return

    def _own(self, what: str) -> str:
        return f"{self._base}/peer/{self.session}/{what}"

    @staticmethod
    def _expect(response: HttpResponse) -> bytes:
        if response.status != 200:
            raise HttpError(f"answered with status {response.status}")
        return response.body

    def pull(self, request: Request) -> Iterator[Message]:
        """Ask one of our own nodes; raises HttpError or ParseError."""
        if isinstance(request, GetHeaders):
            yield self._headers(request.locator)
            return
        asked = serialize_message(request)
        response = self._client.post(self._own("pull"), asked, _BINARY, self._bulk)
        body = self._expect(response)
        self.traffic.sent(asked)
        self.traffic.received(body)
        yield from messages_from_bytes(body)

    # -- Core's REST --------------------------------------------------------------------------

    def pull_rest(self, request: Request, txids: dict[bytes, bytes]) -> Iterator[Message]:
        """Ask a node by REST alone. `txids` maps witness ids to the ids it knows them by."""
        match request:
            case GetHeaders(locator):
                yield self._headers(locator)
            case GetBlocks(hashes):
                for block_hash in hashes:
                    bounds = self._bulk_of(MAX_BLOCK_SIZE)
                    data = self._get(f"block/{block_hash[::-1].hex()}.bin", bounds)
                    if data is None and self.chain_info().get("pruned") is True:
                        raise HttpError("it has pruned a block that is missing here")
                    if data is None:
                        yield NotFound((block_hash,))
                    else:
                        yield BlockBody(header_from_bytes(data), data)
            case GetTransactions(ids):
                for wanted in ids:
                    txid = txids.get(wanted, wanted)
                    data = self._get(f"tx/{txid[::-1].hex()}.bin", self._bulk_of(MAX_BLOCK_SIZE))
                    if data is None:
                        yield NotFound((wanted,))
                    else:
                        yield Transactions((transaction_from_bytes(data),))
            case _:
                return

    def _bulk_of(self, size: int) -> Bounds:
        return Bounds(5, 10, self._quick.total_seconds + size / SLOWEST, size)

    def _get(self, path: str, bounds: Bounds) -> bytes | None:
        """A document of the REST interface; None where it is not to be had."""
        return self._content(self._fetch(path, bounds))

    def _fetch(self, path: str, bounds: Bounds) -> HttpResponse:
        response = self._client.get(f"{self._base}/rest/{path}", None, bounds)
        asked, answered = _REST_KINDS.get(path.split("/", 1)[0], (OTHER, OTHER))
        self.traffic.sent_as(asked, len(path))
        self.traffic.received_as(answered, len(response.body))
        return response

    def _content(self, response: HttpResponse) -> bytes | None:
        if response.status == 404:
            return None
        if response.status == 503:
            raise HttpError("it is busy or still starting")
        return self._expect(response)

    def _get_headers(self, block_hash: bytes, count: int, bounds: Bounds) -> bytes | None:
        """Headers on the node's active chain from a block on, empty where it is not there.

        By the path that every Core knows; by the newer one (24.0) where that is refused.
        """
        name = block_hash[::-1].hex()
        if not self._counts_by_query:
            response = self._fetch(f"headers/{count}/{name}.bin", bounds)
            if response.status != 400:
                return self._content(response)
        data = self._get(f"headers/{name}.bin?count={count}", bounds)
        self._counts_by_query = True
        return data

    def _headers(self, locator: tuple[bytes, ...]) -> Headers:
        """The headers after the first hash of a locator that is on the node's active chain."""
        for block_hash in locator:
            data = self._get_headers(block_hash, MAX_HEADERS, self._quick)
            if data:
                headers = headers_from_bytes(data)
                if headers[0].hash != block_hash:
                    raise ParseError("headers that begin elsewhere than asked")
                return Headers(headers[1:])
        return Headers(())

    def tip(self) -> BlockHeader | None:
        """The header of the node's best block."""
        best = _id_from_hex(self.chain_info().get("bestblockhash"))
        data = self._get_headers(best, 1, self._small)
        return header_from_bytes(data) if data else None

    def chain_info(self) -> dict[str, Any]:
        """The node's `chaininfo`."""
        return self._json("chaininfo.json", self._small)

    def chain_name(self) -> str:
        """Which chain it follows, as ` (signet)`; empty where it does not say."""
        try:
            name = self.chain_info().get("chain")
        except MisocoinError:
            return ""
        is_name = isinstance(name, str) and len(name) <= MAX_CHAIN_NAME and name.isprintable()
        return f" ({name})" if is_name and name else ""

    def has_block(self, block_hash: bytes) -> bool:
        """Whether a block is on the node's active chain. Raises HttpError where REST is off."""
        data = self._get_headers(block_hash, 1, self._small)
        if data is None:
            raise HttpError("it has neither /peer/ nor /rest/ (a bitcoind needs -rest)")
        return bool(data) and header_from_bytes(data).hash == block_hash

    def pool(self) -> dict[bytes, bytes]:
        """The node's mempool: the id that a transaction is announced by -> its plain id.

        Plain ids alone where the node lists those (Core from 25.0 on): a full pool takes 7 MB so,
        with all that is known of its transactions more than ten times as much. One that is too
        long for us is not followed.
        """
        try:
            data = self._get("mempool/contents.json?verbose=false", self._listing)
            if data is None:
                data = self._get("mempool/contents.json", self._listing)
        except HttpTooLarge:
            return {}
        listing = _json_from_bytes(data)
        if isinstance(listing, list):
            return {txid: txid for txid in map(_id_from_hex, listing)}
        if not isinstance(listing, dict):
            raise ParseError("the mempool's listing is no JSON array or object")
        ids = {}
        for txid_hex, entry in listing.items():
            txid = _id_from_hex(txid_hex)
            ids[_id_from_hex(entry["wtxid"]) if _has_wtxid(entry) else txid] = txid
        return ids

    def _json(self, path: str, bounds: Bounds) -> dict[str, Any]:
        value = _json_from_bytes(self._get(path, bounds))
        if not isinstance(value, dict):
            raise ParseError(f"{path} is no JSON object")
        return value


def _json_from_bytes(data: bytes | None) -> Any:
    try:
        return orjson.loads(data or b"")
    except orjson.JSONDecodeError as error:
        raise ParseError("what should be JSON is none") from error


def _has_wtxid(entry: object) -> bool:
    return isinstance(entry, dict) and "wtxid" in entry


def _id_from_hex(text: object) -> bytes:
    """An id or hash in wire order from hex in display order; raises ParseError."""
    try:
        found = bytes.fromhex(text) if isinstance(text, str) else b""
    except ValueError:
        found = b""
    if len(found) != 32:
        raise ParseError("no id of 64 hex digits")
    return found[::-1]


_BINARY = {"Content-Type": "application/octet-stream"}

_REST_KINDS = {
    "headers": ("getheaders", "headers"),
    "block": ("getdata", "block"),
    "tx": ("getdata", "tx"),
    "mempool": ("mempool", "inv"),
}
"""What a path of REST asks and brings, in the words of Bitcoin's peer protocol."""
