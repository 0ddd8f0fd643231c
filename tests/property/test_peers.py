"""Bytes of peers parse or raise ParseError, whatever they are."""

from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from misocoin.errors import ParseError
from misocoin.peers.bans import BanList
from misocoin.peers.hello import bytes_from_hello, hello_from_bytes
from misocoin.peers.messages import (
    address_from_text,
    messages_from_bytes,
    serialize_message,
)
from tests.unit.peers.test_messages import ALL, HELLO


@given(st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    with suppress(ParseError):
        messages_from_bytes(data)
    with suppress(ParseError):
        hello_from_bytes(data)


@given(st.integers(1, 15), st.binary(max_size=300))
def test_any_payload(kind: int, payload: bytes) -> None:
    with suppress(ParseError):
        messages_from_bytes(bytes([kind]) + len(payload).to_bytes(4, "little") + payload)


@given(st.sampled_from(ALL), st.data())
def test_damaged_messages(message, data: st.DataObject) -> None:
    body = bytearray(serialize_message(message))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(body) - 1))
        body[at] = data.draw(st.integers(0, 255))
    with suppress(ParseError):
        for parsed in messages_from_bytes(bytes(body)):
            assert messages_from_bytes(serialize_message(parsed)) == (parsed,)


@given(st.data())
def test_damaged_hellos(data: st.DataObject) -> None:
    body = bytearray(bytes_from_hello(HELLO))
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    with suppress(ParseError):
        hello_from_bytes(bytes(body))


@given(st.text(max_size=60))
def test_any_text_as_address(text: str) -> None:
    with suppress(ParseError):
        address = address_from_text(text, 4000)
        assert address_from_text(address.text) == address


@given(st.lists(st.tuples(st.text(max_size=5), st.integers(0, 2**40)), max_size=50))
def test_bans_stay_bounded(rows: list[tuple[str, int]]) -> None:
    bans = BanList(5)
    bans.load(rows, 100)
    assert len(bans) <= 5
