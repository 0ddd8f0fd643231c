"""The bytes between peers: there and back, BIP152's forms, and what is refused."""

import pytest

from misocoin.errors import ParseError
from misocoin.params import regtest
from misocoin.peers.hello import Hello, bytes_from_hello, hello_from_bytes, own_address
from misocoin.peers.messages import (
    Address,
    Addresses,
    Announce,
    BlockBody,
    BlockTransactions,
    CompactBlock,
    GetAddresses,
    GetBlocks,
    GetBlockTransactions,
    GetCompact,
    GetHeaders,
    GetTransactions,
    Headers,
    Message,
    NotFound,
    Ping,
    Pong,
    SendCompact,
    TransactionIds,
    Transactions,
    address_from_text,
    frame_sizes,
    messages_from_bytes,
    serialize_message,
)

GENESIS = regtest().genesis
HEADER = GENESIS.header
TX = GENESIS.transactions[0]
HASH = bytes(range(32))

ALL: tuple[Message, ...] = (
    Headers((HEADER, HEADER)),
    Headers(()),
    Announce((HEADER,)),
    GetHeaders((HASH, HASH)),
    GetBlocks((HASH,)),
    BlockBody(HEADER, GENESIS.serialize()),
    NotFound((HASH,)),
    SendCompact(True),
    SendCompact(False),
    GetCompact(HASH),
    CompactBlock(HEADER, 2**64 - 1, (b"abcdef", b"ghijkl"), ((0, TX), (2, TX))),
    GetBlockTransactions(HASH, (0, 1, 5, 300)),
    BlockTransactions(HASH, (TX,)),
    TransactionIds((HASH,)),
    GetTransactions((HASH, HASH)),
    Transactions((TX, TX)),
    GetAddresses(),
    Addresses((Address("192.0.2.1", 4000, 5), Address("2001:db8::1", 1, 0))),
    Ping(2**64 - 1),
    Pong(0),
)


@pytest.mark.parametrize("message", ALL, ids=lambda m: type(m).__name__)
def test_there_and_back(message: Message) -> None:
    assert messages_from_bytes(serialize_message(message)) == (message,)


def test_a_body_holds_any_number() -> None:
    body = b"".join(map(serialize_message, ALL))
    assert messages_from_bytes(body) == ALL
    assert messages_from_bytes(b"") == ()


def test_the_sizes_of_a_body() -> None:
    """By Bitcoin's words for the kinds, without a look into the payloads."""
    body = serialize_message(Announce((HEADER,))) + serialize_message(Ping(7))
    assert list(frame_sizes(body)) == [("headers", 85), ("ping", 13)]
    assert list(frame_sizes(b"\xee\x03\x00\x00\x00abc" + body)) == [
        ("*other*", 8), ("headers", 85), ("ping", 13),
    ]  # fmt: skip
    whole = b"".join(map(serialize_message, ALL))
    for cut in range(0, len(whole), 7):
        assert sum(size for _, size in frame_sizes(whole[:cut])) == cut


def test_an_unknown_kind_is_passed_over() -> None:
    body = b"\xee\x03\x00\x00\x00abc" + serialize_message(GetAddresses())
    assert messages_from_bytes(body) == (GetAddresses(),)


def test_the_wire_is_what_the_docs_say() -> None:
    assert serialize_message(GetCompact(HASH)) == b"\x07\x20\0\0\0" + HASH
    assert serialize_message(GetBlockTransactions(HASH, (1, 2, 5))) == (
        b"\x09\x24\0\0\0" + HASH + b"\x03\x01\x00\x02"  # BIP152: differences less one
    )


@pytest.mark.parametrize(
    "body",
    [
        b"\x01",
        b"\x01\x01\0\0\0",
        b"\x01\x01\0\0\0x",
        b"\x02\0\0\0\0",
        b"\x03" + (17 * 32).to_bytes(4, "little") + bytes(17 * 32),
        b"\x06\x01\0\0\0\x02",
        b"\x07\x1f\0\0\0" + bytes(31),
        b"\x0e\x01\0\0\0x",
        b"\x0d\x01\0\0\0\x01",
        b"\x0f\x03\0\0\0\xfd\xff\xff",
    ],
)
def test_garbage_is_refused(body: bytes) -> None:
    with pytest.raises(ParseError):
        messages_from_bytes(body)


def test_a_compact_block_may_not_point_beyond_its_end() -> None:
    with pytest.raises(ParseError):
        messages_from_bytes(serialize_message(CompactBlock(HEADER, 0, (), ((1, TX),))))
    with pytest.raises(ParseError):
        messages_from_bytes(serialize_message(CompactBlock(HEADER, 0, (), ())))


HELLO = Hello(
    genesis=HASH, tip=HASH, height=7, work=1 << 200, time=1_700_000_000, nonce=99, port=4000
)


def test_hello_there_and_back() -> None:
    assert hello_from_bytes(bytes_from_hello(HELLO)) == HELLO
    assert own_address(HELLO, "192.0.2.1") == Address("192.0.2.1", 4000)
    assert own_address(HELLO._replace(host="node.example"), "x") == Address("node.example", 4000)
    assert own_address(HELLO._replace(port=0), "192.0.2.1") is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b"x" * 5000,
        bytes_from_hello(HELLO).replace(b'"port":4000', b'"port":70000'),
        bytes_from_hello(HELLO).replace(b'"height":7', b'"height":true'),
        bytes_from_hello(HELLO).replace(b'"host":""', b'"host":"a b"'),
        bytes_from_hello(HELLO).replace(b'"nonce":"00', b'"nonce":"zz'),
    ],
)
def test_a_bad_hello_is_refused(data: bytes) -> None:
    with pytest.raises(ParseError):
        hello_from_bytes(data)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.1:4001", Address("192.0.2.1", 4001)),
        ("node.example", Address("node.example", 4000)),
        ("[2001:db8::1]:4001", Address("2001:db8::1", 4001)),
        ("[2001:db8::1]", Address("2001:db8::1", 4000)),
        ("2001:db8::1", Address("2001:db8::1", 4000)),
        ("localhost:4001", Address("127.0.0.1", 4001)),
    ],
)
def test_addresses_from_text(text: str, address: Address) -> None:
    assert address_from_text(text, 4000) == address
    assert address_from_text(address.text) == address


@pytest.mark.parametrize("text", ["", ":4000", "a:b", "a:99999", "a b:1", "a:0", "é:1", "a/b:1"])
def test_bad_addresses_from_text(text: str) -> None:
    with pytest.raises(ParseError):
        address_from_text(text, 4000)
