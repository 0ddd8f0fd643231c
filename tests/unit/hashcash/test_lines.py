"""Lines: cut from streams, put between others, picked out again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from misocoin.errors import ParseError
from misocoin.hashcash.announcement import (
    Announcement,
    announcement_from_line,
    line_from_announcement,
)
from misocoin.hashcash.challenge import Challenge
from misocoin.hashcash.lines import AnnouncementFilter, Interleaver, LineBuffer

TOLD = Announcement(Challenge(16, 1_795_243_200, "my.server", "6f1d2c3b4a596877"), {"dear": 4})
LINE = b'{"hashcash":"2:16:1795243200:my.server:6f1d2c3b4a596877","costs":{"dear":4}}\n'


def test_the_text_of_an_announcement():
    assert line_from_announcement(TOLD) == LINE
    assert announcement_from_line(LINE) == TOLD


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{}",
        b"[]",
        LINE.replace(b"4}", b"0}"),
        LINE.replace(b"4}", b"[]}"),
        LINE.replace(b"4}", b"4294967297}"),
        LINE.replace(b'{"dear":4}', b"7"),
        LINE.replace(b"2:16", b"2:99"),
        LINE.replace(b"}}", b'},"id":1}'),
    ],
)
def test_other_lines_are_no_announcements(line):
    with pytest.raises(ParseError):
        announcement_from_line(line)


@given(st.binary() | st.binary().map(lambda end: LINE[:14] + end))
def test_any_line_is_an_announcement_or_refused(line):
    try:
        announcement_from_line(line)
    except ParseError:
        return
    assert line.startswith(b"{")


PIECES = st.lists(st.binary(min_size=1, max_size=9) | st.sampled_from([b"\n", LINE, LINE[:20]]))


@given(PIECES)
def test_lines_are_cut(pieces):
    buffer, lines = LineBuffer(1 << 20), []
    for piece in pieces:
        buffer.feed(piece)
        while (line := buffer.next()) is not None:
            lines.append(line)
    data = b"".join(pieces)
    assert [*lines, buffer.rest()] == data.split(b"\n")


@pytest.mark.parametrize("data", [b"x" * 11, b"x" * 11 + b"\n", b"a\n" + b"x" * 11])
def test_lines_have_a_bound(data):
    buffer = LineBuffer(10)
    buffer.feed(data)
    with pytest.raises(ParseError):
        while buffer.next() is not None:
            pass
    buffer = LineBuffer(11)
    buffer.feed(data)
    while buffer.next() is not None:
        pass


@given(PIECES, st.lists(st.booleans()), st.lists(st.integers(1, 40), min_size=1))
def test_what_is_put_between_lines_is_picked_out_again(pieces, adds, sizes):
    """Unless the stream itself has announcements in it, which nobody else writes."""
    data = b"".join(pieces).replace(LINE, b"")
    if LINE in data:
        return
    mixer, mixed, added = Interleaver(), b"", 0
    for piece, is_added in zip(pieces, [*adds, *[False] * len(pieces)], strict=False):
        mixed += mixer.pass_on(piece.replace(LINE, b""))
        if is_added:
            mixed += mixer.add(LINE)
            added += 1
    mixed += mixer.pass_on(b"\n")
    if mixed.count(LINE) != added:
        return
    strainer, passed, found, place = AnnouncementFilter(), b"", [], 0
    for size in sizes * (len(mixed) + 1):
        more, announcements = strainer.feed(mixed[place : place + size])
        passed, found, place = passed + more, found + announcements, place + size
    assert passed + strainer.rest() == data + b"\n"
    assert found == [TOLD] * added
