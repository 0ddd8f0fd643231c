"""What two nodes say to each other, and its bytes.

A body is a row of frames: one byte of kind, four of length (little-endian), the payload. Inside,
Bitcoin's own forms: headers of 80 bytes, compact sizes, BIP152's compact blocks (version 2, with
witness ids). A message stands for the same thing whether it is pushed, polled or pulled.
"""

from collections.abc import Callable, Iterable, Iterator
from struct import Struct
from typing import NamedTuple

from misocoin.codec import Reader, compact_size, var_bytes
from misocoin.errors import ParseError
from misocoin.peers.limits import (
    MAX_ADDRESSES,
    MAX_BLOCK_SIZE,
    MAX_BLOCKS,
    MAX_HEADERS,
    MAX_IDS,
    MAX_LOCATOR,
)
from misocoin.primitives.block import (
    HEADER_SIZE,
    BlockHeader,
    header_from_bytes,
    headers_from_bytes,
    serialize_headers,
)
from misocoin.primitives.transaction import Transaction, read_transaction

SHORT_ID_SIZE = 6
"""Bytes of a short transaction id (BIP152)."""

MAX_BLOCK_TRANSACTIONS = MAX_BLOCK_SIZE // 60
"""No transaction is smaller than 60 bytes."""

_FRAME = Struct("<BI")


class Headers(NamedTuple):
    """Headers, parents before children: the answer to GetHeaders."""

    headers: tuple[BlockHeader, ...]


class Announce(NamedTuple):
    """Headers of new blocks, told unasked; parents before children."""

    headers: tuple[BlockHeader, ...]


class GetHeaders(NamedTuple):
    """Asks for the headers that follow the first known hash of a locator, on the active chain."""

    locator: tuple[bytes, ...]
    """Block hashes, the newest first, with growing gaps down to genesis."""


class GetBlocks(NamedTuple):
    """Asks for whole blocks."""

    hashes: tuple[bytes, ...]


class BlockBody(NamedTuple):
    """A whole block as on the wire. Its first 80 bytes are all that was parsed."""

    header: BlockHeader
    data: bytes


class NotFound(NamedTuple):
    """Blocks or transactions that were asked for and are not to be had."""

    hashes: tuple[bytes, ...]


class SendCompact(NamedTuple):
    """Asks for compact blocks to be pushed before they are validated, or no longer."""

    high_bandwidth: bool


class GetCompact(NamedTuple):
    """Asks for a block in compact form."""

    block_hash: bytes


class CompactBlock(NamedTuple):
    """A block whose transactions stand as short ids (BIP152)."""

    header: BlockHeader
    nonce: int
    """Salt of the short ids, 64 bits."""
    short_ids: tuple[bytes, ...]
    """Six bytes each, of the transactions that are not prefilled, in the block's order."""
    prefilled: tuple[tuple[int, Transaction], ...]
    """(index in the block, transaction), rising."""


class GetBlockTransactions(NamedTuple):
    """Asks for some transactions of a block (BIP152)."""

    block_hash: bytes
    indexes: tuple[int, ...]
    """Rising."""


class BlockTransactions(NamedTuple):
    """Transactions of a block in the order they were asked for."""

    block_hash: bytes
    transactions: tuple[Transaction, ...]


class TransactionIds(NamedTuple):
    """Announces transactions by witness id (BIP339)."""

    wtxids: tuple[bytes, ...]


class GetTransactions(NamedTuple):
    """Asks for transactions by witness id, or by plain id where only that is known."""

    wtxids: tuple[bytes, ...]


class Transactions(NamedTuple):
    """Whole transactions."""

    transactions: tuple[Transaction, ...]


class GetAddresses(NamedTuple):
    """Asks for a sample of known addresses."""


class Address(NamedTuple):
    """Where a node can be reached."""

    host: str
    """An address in digits or a host name, without brackets."""
    port: int
    seen: int = 0
    """Unix time when somebody last had a link with it."""

    @property
    def text(self) -> str:
        """`host:port`, with brackets around an IPv6 address."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Addresses(NamedTuple):
    """Where nodes can be reached."""

    addresses: tuple[Address, ...]


class Ping(NamedTuple):
    """Asks for the same number at once (BIP31)."""

    nonce: int
    """64 bits."""


class Pong(NamedTuple):
    """Answers a ping."""

    nonce: int


Request = (
    GetHeaders | GetBlocks | GetCompact | GetBlockTransactions | GetTransactions | GetAddresses
)
"""Messages that want an answer."""

Message = (
    Request
    | Headers
    | Announce
    | BlockBody
    | NotFound
    | SendCompact
    | CompactBlock
    | BlockTransactions
    | TransactionIds
    | Transactions
    | Addresses
    | Ping
    | Pong
)


def _hashes(hashes: Iterable[bytes]) -> bytes:
    return b"".join(hashes)


def _read_hashes(data: bytes, most: int) -> tuple[bytes, ...]:
    if len(data) % 32 or not 32 <= len(data) <= most * 32:
        raise ParseError(f"{len(data)} bytes are no list of 1 to {most} hashes")
    return tuple([data[at : at + 32] for at in range(0, len(data), 32)])


def _read_headers(data: bytes) -> Headers:
    if len(data) > MAX_HEADERS * HEADER_SIZE:
        raise ParseError("too many headers")
    return Headers(headers_from_bytes(data))


def _read_body(data: bytes) -> BlockBody:
    if len(data) > MAX_BLOCK_SIZE:
        raise ParseError("a block over the size limit")
    return BlockBody(header_from_bytes(data), data)


def _write_transactions(transactions: tuple[Transaction, ...]) -> bytes:
    parts = [compact_size(len(transactions))]
    parts += [tx.serialize() for tx in transactions]
    return b"".join(parts)


def _read_transactions(data: bytes, at: int) -> tuple[Transaction, ...]:
    reader = Reader(data, at)
    count = reader.compact_size()
    at = reader.position
    transactions = []
    for _ in range(count):
        tx, at = read_transaction(data, at)
        transactions.append(tx)
    if at != len(data):
        raise ParseError("bytes after the last transaction")
    return tuple(transactions)


def _write_compact(block: CompactBlock) -> bytes:
    parts = [
        block.header.serialize(),
        block.nonce.to_bytes(8, "little"),
        compact_size(len(block.short_ids)),
        *block.short_ids,
        compact_size(len(block.prefilled)),
    ]
    last = -1
    for index, tx in block.prefilled:
        parts += (compact_size(index - last - 1), tx.serialize())
        last = index
    return b"".join(parts)


def _read_compact(data: bytes) -> CompactBlock:
    header = header_from_bytes(data)
    reader = Reader(data, HEADER_SIZE)
    nonce = reader.uint(8)
    count = reader.compact_size()
    raw = reader.take(count * SHORT_ID_SIZE)
    short_ids = tuple([raw[at : at + SHORT_ID_SIZE] for at in range(0, len(raw), SHORT_ID_SIZE)])
    prefilled = []
    index = -1
    for _ in range(reader.compact_size()):
        index += reader.compact_size() + 1
        tx, reader.position = read_transaction(data, reader.position)
        prefilled.append((index, tx))
    reader.expect_end()
    total = count + len(prefilled)
    if not 0 < total <= MAX_BLOCK_TRANSACTIONS:
        raise ParseError(f"a compact block of {total} transactions")
    if index >= total:
        raise ParseError("a prefilled transaction beyond the block's end")
    return CompactBlock(header, nonce, short_ids, tuple(prefilled))


def _write_indexes(request: GetBlockTransactions) -> bytes:
    parts = [request.block_hash, compact_size(len(request.indexes))]
    last = -1
    for index in request.indexes:
        parts.append(compact_size(index - last - 1))
        last = index
    return b"".join(parts)


def _read_indexes(data: bytes) -> GetBlockTransactions:
    reader = Reader(data)
    block_hash = reader.take(32)
    indexes = []
    index = -1
    for _ in range(reader.compact_size()):
        index += reader.compact_size() + 1
        if index >= MAX_BLOCK_TRANSACTIONS:
            raise ParseError("an index beyond any block's end")
        indexes.append(index)
    reader.expect_end()
    return GetBlockTransactions(block_hash, tuple(indexes))


def _read_block_transactions(data: bytes) -> BlockTransactions:
    if len(data) < 32:
        raise ParseError("no block hash")
    return BlockTransactions(data[:32], _read_transactions(data, 32))


def _write_addresses(message: Addresses) -> bytes:
    parts = [compact_size(len(message.addresses))]
    for host, port, seen in message.addresses:
        parts += (
            seen.to_bytes(4, "little"),
            port.to_bytes(2, "little"),
            var_bytes(host.encode()),
        )
    return b"".join(parts)


def _read_addresses(data: bytes) -> Addresses:
    reader = Reader(data)
    count = reader.compact_size()
    if count > MAX_ADDRESSES:
        raise ParseError("too many addresses")
    addresses = []
    for _ in range(count):
        seen, port = reader.uint(4), reader.uint(2)
        addresses.append(address_from_parts(reader.var_bytes(), port, seen))
    reader.expect_end()
    return Addresses(tuple(addresses))


_HOST_CHARACTERS = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:_")


def address_from_parts(host: bytes, port: int, seen: int = 0) -> Address:
    """Make an address of what came from outside; raises ParseError where it cannot be one."""
    if not 0 < len(host) <= 64 or not set(host) <= _HOST_CHARACTERS or not 0 < port < 65536:
        raise ParseError("no address of a node")
    return Address(host.decode(), port, seen)


def address_from_text(text: str, default_port: int = 0) -> Address:
    """Read `host:port`, `host` (with a default port) or `[ipv6]:port`; raises ParseError."""
    host, port = text.strip(), str(default_port)
    if host.startswith("["):
        host, _, rest = host[1:].partition("]")
        port = rest[1:] if rest.startswith(":") else port
    elif host.count(":") == 1:
        host, port = host.split(":")
    if not (port.isascii() and port.isdigit() and len(port) < 6 and host.isascii()):
        raise ParseError(f"{text[:80]!r} is no host:port")
    # The daemon's own rule: the name stands for IPv4 everywhere, so that one node has one name.
    host = "127.0.0.1" if host == "localhost" else host
    return address_from_parts(host.encode(), int(port))


def _read_flag(data: bytes) -> SendCompact:
    if data not in (b"\x00", b"\x01"):
        raise ParseError("no flag")
    return SendCompact(data == b"\x01")


def _read_nothing(data: bytes) -> GetAddresses:
    if data:
        raise ParseError("bytes where none belong")
    return GetAddresses()


def _read_hash(data: bytes) -> GetCompact:
    if len(data) != 32:
        raise ParseError("no hash")
    return GetCompact(data)


def _read_number(data: bytes) -> int:
    if len(data) != 8:
        raise ParseError("no number of 64 bits")
    return int.from_bytes(data, "little")


_READERS: tuple[tuple[type, str, Callable[[bytes], Message]], ...] = (
    (Headers, "headers", _read_headers),
    (GetHeaders, "getheaders", lambda data: GetHeaders(_read_hashes(data, MAX_LOCATOR))),
    (GetBlocks, "getdata", lambda data: GetBlocks(_read_hashes(data, MAX_BLOCKS))),
    (BlockBody, "block", _read_body),
    (NotFound, "notfound", lambda data: NotFound(_read_hashes(data, MAX_IDS))),
    (SendCompact, "sendcmpct", _read_flag),
    (GetCompact, "getdata", _read_hash),
    (CompactBlock, "cmpctblock", _read_compact),
    (GetBlockTransactions, "getblocktxn", _read_indexes),
    (BlockTransactions, "blocktxn", _read_block_transactions),
    (TransactionIds, "inv", lambda data: TransactionIds(_read_hashes(data, MAX_IDS))),
    (GetTransactions, "getdata", lambda data: GetTransactions(_read_hashes(data, MAX_IDS))),
    (Transactions, "tx", lambda data: Transactions(_read_transactions(data, 0))),
    (GetAddresses, "getaddr", _read_nothing),
    (Addresses, "addr", _read_addresses),
    (Announce, "headers", lambda data: Announce(_read_headers(data).headers)),
    (Ping, "ping", lambda data: Ping(_read_number(data))),
    (Pong, "pong", lambda data: Pong(_read_number(data))),
)
"""Kinds of messages, what Bitcoin's peers call them, and how they are read.

A kind's number on the wire is its place here, from 1 on.
"""

_KINDS = {kind: number for number, (kind, _, _) in enumerate(_READERS, 1)}


def _payload(message: Message) -> bytes:
    match message:
        case Headers(headers) | Announce(headers):
            return serialize_headers(headers)
        case (
            GetHeaders(hashes)
            | GetBlocks(hashes)
            | NotFound(hashes)
            | TransactionIds(hashes)
            | GetTransactions(hashes)
        ):
            return _hashes(hashes)
        case BlockBody(_, data):
            return data
        case SendCompact(flag):
            return b"\x01" if flag else b"\x00"
        case GetCompact(block_hash):
            return block_hash
        case Ping(nonce) | Pong(nonce):
            return nonce.to_bytes(8, "little")
        case CompactBlock():
            return _write_compact(message)
        case GetBlockTransactions():
            return _write_indexes(message)
        case BlockTransactions(block_hash, transactions):
            return block_hash + _write_transactions(transactions)
        case Transactions(transactions):
            return _write_transactions(transactions)
        case Addresses():
            return _write_addresses(message)
        case GetAddresses():
            return b""


def serialize_message(message: Message) -> bytes:
    """The frame of one message."""
    payload = _payload(message)
    return _FRAME.pack(_KINDS[type(message)], len(payload)) + payload


def messages_from_bytes(data: bytes) -> tuple[Message, ...]:
    """Parse a body of frames; raises ParseError for anything else.

    A kind that is not known is passed over, so that a later version may say more.
    """
    messages = []
    at = 0
    while at < len(data):
        if at + _FRAME.size > len(data):
            raise ParseError("a frame's head is cut off")
        kind, length = _FRAME.unpack_from(data, at)
        at += _FRAME.size
        if at + length > len(data):
            raise ParseError("a frame is cut off")
        if 1 <= kind <= len(_READERS):
            messages.append(_READERS[kind - 1][2](data[at : at + length]))
        at += length
    return tuple(messages)


def frame_sizes(data: bytes) -> Iterator[tuple[str, int]]:
    """What Bitcoin's peers call each message of a body, and its bytes; nothing is parsed.

    Bytes that are no frame, and frames of unknown kinds, count as `*other*`.
    """
    at = 0
    while at < len(data):
        kind, end = 0, len(data)
        if at + _FRAME.size <= len(data):
            kind, length = _FRAME.unpack_from(data, at)
            end = min(end, at + _FRAME.size + length)
        yield _READERS[kind - 1][1] if 1 <= kind <= len(_READERS) else "*other*", end - at
        at = end
