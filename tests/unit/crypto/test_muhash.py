"""MuHash against Core's own case, and what must hold of a set's hash."""

from hypothesis import given
from hypothesis import strategies as st

from misocoin.crypto.muhash import MuHash, chacha20_keystream


def member(number: int) -> bytes:
    return bytes((number,)) + bytes(31)


def test_the_case_of_cores_unit_test() -> None:
    value = MuHash()
    value.insert(member(0))
    value.insert(member(1))
    value.remove(member(2))
    assert value.digest()[::-1].hex() == (
        "10d312b100cbd32ada024a6646e40d3482fcff103668d2625f10002a607d5863"
    )


def test_the_stream_of_rfc_8439() -> None:
    """Appendix A.1, vectors 1 and 2: the zero key, counters 0 and 1."""
    stream = chacha20_keystream(bytes(32), 70)
    assert stream[:16].hex() == "76b8e0ada0f13d90405d6ae55386bd28"
    assert stream[64:].hex() == "9f07e7be5551"


@given(st.lists(st.binary(max_size=8), max_size=5), st.randoms())
def test_order_does_not_matter_and_out_undoes_in(members: list[bytes], random: object) -> None:
    first, second = MuHash(), MuHash()
    for each in members:
        first.insert(each)
    second.insert(b"other")
    shuffled = list(members)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    for each in shuffled:
        second.insert(each)
    second.remove(b"other")
    assert first.digest() == second.digest()
