"""What always holds for block filters."""

from hypothesis import given
from hypothesis import strategies as st

from misocoin.crypto.siphash import siphash24
from misocoin.errors import ParseError
from misocoin.filters.gcs import (
    M,
    are_all_in_gcs,
    gcs_from_elements,
    is_any_in_gcs,
    values_from_gcs,
)

KEYS = st.binary(min_size=16, max_size=16)
SETS = st.sets(st.binary(max_size=40), max_size=300)


@given(SETS, KEYS)
def test_what_was_put_in_is_found(elements: set[bytes], key: bytes):
    data = gcs_from_elements(elements, key)
    assert all(is_any_in_gcs([element], data, key) for element in elements)
    assert are_all_in_gcs(elements, data, key)


@given(SETS, KEYS)
def test_the_numbers_survive_the_code(elements: set[bytes], key: bytes):
    count, values = values_from_gcs(gcs_from_elements(elements, key))
    assert count == len(elements)
    expected = sorted(siphash24(key, each) * (count * M) >> 64 for each in elements)
    assert list(values) == expected


@given(st.lists(st.binary(max_size=4), max_size=50), KEYS)
def test_neither_order_nor_repeats_matter(elements: list[bytes], key: bytes):
    assert gcs_from_elements(elements, key) == gcs_from_elements(set(elements), key)


@given(SETS, SETS, KEYS)
def test_any_is_the_same_as_one_after_the_other(inside: set[bytes], asked: set[bytes], key: bytes):
    data = gcs_from_elements(inside, key)
    assert is_any_in_gcs(asked, data, key) == any(is_any_in_gcs([e], data, key) for e in asked)


@given(st.binary(max_size=200), KEYS)
def test_any_bytes_are_read_or_refused(data: bytes, key: bytes):
    try:
        count, values = values_from_gcs(data)
        numbers = list(values)
    except ParseError:
        return
    assert numbers == sorted(numbers)
    assert len(numbers) == count


@given(SETS, KEYS, st.data())
def test_a_filter_that_was_cut_is_refused(elements: set[bytes], key: bytes, data: st.DataObject):
    whole = gcs_from_elements(elements, key)
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    try:
        list(values_from_gcs(cut)[1])
    except ParseError:
        return
    raise AssertionError("a cut filter was read")
