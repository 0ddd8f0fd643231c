"""Cutting bytes into messages, however they come."""

import pytest

from misocoin.errors import ParseError
from misocoin.work.framing import Splitter, object_from_bytes


def messages(splitter):
    found = []
    while (message := splitter.next_message()) is not None:
        found.append(message)
    return found


def test_objects_need_no_delimiter():
    splitter = Splitter()
    splitter.feed(b'{"a":1}{"b":{"c":[2]}} \r\n{"d":"}{\\"\\\\"}{"e"')
    assert messages(splitter) == [b'{"a":1}', b'{"b":{"c":[2]}}', b'{"d":"}{\\"\\\\"}']
    assert splitter.has_part
    splitter.feed(b":1}")
    assert messages(splitter) == [b'{"e":1}']
    assert not splitter.has_part


def test_bytes_one_by_one():
    splitter = Splitter()
    found = []
    for byte in b' {"text":"a\\"}{\\\\","n":{"m":[]}}{}':
        splitter.feed(bytes([byte]))
        found += messages(splitter)
    assert found == [b'{"text":"a\\"}{\\\\","n":{"m":[]}}', b"{}"]


def test_lines():
    splitter = Splitter(20)
    splitter.is_lined = True
    splitter.feed(b'{"a":1}\r\n\n  \nnonsense\n{"b"')
    assert messages(splitter) == [b'{"a":1}', b"nonsense"]
    splitter.feed(b":2}\n")
    assert messages(splitter) == [b'{"b":2}']


@pytest.mark.parametrize("data", [b"x", b"[{}]", b'"a"', b"\x00", b"  }", b'{}{}1{"a":1}'])
def test_what_is_no_object_ends_the_stream(data):
    splitter = Splitter()
    splitter.feed(data)
    with pytest.raises(ParseError):
        messages(splitter)


@pytest.mark.parametrize("is_lined", [False, True])
def test_a_message_has_a_limit(is_lined):
    for size in (20, 21):
        splitter = Splitter(20)
        splitter.is_lined = is_lined
        data = b'{"a":"%s"}' % (b"x" * (size - 8))
        splitter.feed(data + b"\n")
        if size == 20:
            assert messages(splitter) == [data]
        else:
            with pytest.raises(ParseError, match="at most 20 bytes"):
                messages(splitter)
    endless = Splitter(20)
    endless.is_lined = is_lined
    endless.feed(b'{"a":"' + b"x" * 15)
    with pytest.raises(ParseError):
        messages(endless)


def test_depth_has_a_limit():
    splitter = Splitter()
    splitter.feed(b'{"a":' * 8 + b"1" + b"}" * 8)
    assert len(messages(splitter)) == 1
    splitter.feed(b'{"a":' * 9)
    with pytest.raises(ParseError, match="nested"):
        messages(splitter)


@pytest.mark.parametrize(
    "message", [b"{", b"[]", b"1", b'{"a":NaN}', b"{\xff}", b'{"a":' + b"9" * 5000 + b"}", b"{]}"]
)
def test_what_is_no_object_is_refused(message):
    with pytest.raises(ParseError):
        object_from_bytes(message)
