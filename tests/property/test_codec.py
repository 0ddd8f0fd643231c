import pytest
from hypothesis import given
from hypothesis import strategies as st

from misocoin.codec import MAX_COMPACT_SIZE, Reader, compact_size, var_bytes
from misocoin.errors import ParseError

edges = st.sampled_from([0, 252, 253, 254, 2**16 - 1, 2**16, 2**25, 2**25 + 1, 2**32, 2**64 - 1])


@given(st.integers(0, 2**64 - 1) | st.integers(0, 2**26) | edges)
def test_a_compact_size_is_read_back_or_over_the_limit(value):
    reader = Reader(compact_size(value) + b"rest")
    if value <= MAX_COMPACT_SIZE:
        assert reader.compact_size() == value
        assert reader.remaining == 4
    else:
        with pytest.raises(ParseError):
            reader.compact_size()


@given(st.binary(max_size=12))
def test_what_is_read_as_a_compact_size_is_its_only_form(data):
    reader = Reader(data)
    try:
        value = reader.compact_size()
    except ParseError:
        return
    assert compact_size(value) == data[: reader.position]


@given(st.lists(st.binary(max_size=600), max_size=5))
def test_byte_strings_one_behind_the_other(items):
    reader = Reader(b"".join(map(var_bytes, items)))
    assert [reader.var_bytes() for _ in items] == items
    reader.expect_end()


@given(
    st.binary(max_size=60),
    st.lists(
        st.sampled_from(["take", "uint", "int32", "size", "bytes", "end"]).flatmap(
            lambda kind: st.tuples(st.just(kind), st.integers(0, 9))
        ),
        max_size=12,
    ),
)
def test_a_reader_stays_within_its_bytes(data, steps):
    reader = Reader(data)
    for kind, size in steps:
        before = reader.position
        try:
            match kind:
                case "take":
                    assert reader.take(size) == data[before : before + size]
                case "uint":
                    assert 0 <= reader.uint(size) < 1 << 8 * size
                case "int32":
                    assert -(2**31) <= reader.int32() < 2**31
                case "size":
                    assert 0 <= reader.compact_size() <= MAX_COMPACT_SIZE
                case "bytes":
                    assert reader.var_bytes() in data
                case "end":
                    reader.expect_end()
                    assert before == len(data)
        except ParseError:
            pass
        assert before <= reader.position <= len(data)
