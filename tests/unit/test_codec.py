import pytest

from misocoin.codec import MAX_COMPACT_SIZE, Reader, compact_size, var_bytes
from misocoin.errors import ParseError


def test_no_length_is_over_32_mib():
    assert MAX_COMPACT_SIZE == 33_554_432


SIZES = [
    (0, "00"),
    (1, "01"),
    (252, "fc"),
    (253, "fdfd00"),
    (0xFFFF, "fdffff"),
    (0x10000, "fe00000100"),
    (33_554_432, "fe00000002"),
]


@pytest.mark.parametrize(("value", "encoded"), SIZES)
def test_compact_sizes_both_ways(value, encoded):
    data = bytes.fromhex(encoded)
    assert compact_size(value) == data
    reader = Reader(data)
    assert reader.compact_size() == value
    reader.expect_end()


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        (33_554_433, "fe01000002"),
        (0xFFFFFFFF, "feffffffff"),
        (0x100000000, "ff0000000001000000"),
        (2**64 - 1, "ffffffffffffffffff"),
    ],
)
def test_compact_sizes_over_the_limit_are_written_but_not_read(value, encoded):
    data = bytes.fromhex(encoded)
    assert compact_size(value) == data
    with pytest.raises(ParseError, match="over the limit of 33554432"):
        Reader(data).compact_size()


@pytest.mark.parametrize(
    "encoded",
    ["fd0000", "fdfc00", "fe00000000", "feffff0000", "ff0000000000000000", "ffffffffff00000000"],
)
def test_longer_forms_than_needed_are_refused(encoded):
    with pytest.raises(ParseError, match="non-canonical"):
        Reader(bytes.fromhex(encoded)).compact_size()


@pytest.mark.parametrize("encoded", ["", "fd", "fd00", "fe000000", "ff00000000000000"])
def test_truncated_sizes_are_refused(encoded):
    with pytest.raises(ParseError, match="unexpected end"):
        Reader(bytes.fromhex(encoded)).compact_size()


def test_integers_are_little_endian():
    reader = Reader(bytes.fromhex("0102030405060708fffffffffeffffff"))
    assert reader.uint(2) == 0x0201
    assert reader.uint(6) == 0x080706050403
    assert reader.uint(4) == 4_294_967_295
    assert reader.int32() == -2
    assert reader.remaining == 0


def test_a_read_past_the_end_names_what_is_missing_and_moves_nothing():
    reader = Reader(b"abc", 1)
    with pytest.raises(ParseError, match="3 bytes wanted, 2 left"):
        reader.take(3)
    with pytest.raises(ParseError, match="-1 bytes wanted"):
        reader.take(-1)
    assert (reader.position, reader.take(2)) == (1, b"bc")


def test_byte_strings_stand_behind_their_length():
    assert var_bytes(b"miso") == b"\x04miso"
    long = bytes(300)
    assert var_bytes(long) == b"\xfd\x2c\x01" + long
    reader = Reader(b"\x04miso\x02")
    assert reader.var_bytes() == b"miso"
    with pytest.raises(ParseError, match="unexpected end"):
        reader.var_bytes()


def test_leftovers_are_an_error():
    reader = Reader(b"ab")
    reader.take(1)
    with pytest.raises(ParseError, match="1 bytes left over"):
        reader.expect_end()
    reader.take(1)
    reader.expect_end()
