"""Every engine finds exactly the nonces that hashlib finds, over the same ranges."""

import hashlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from misocoin.pow.engine import SearchResult
from misocoin.pow.puzzles import (
    BASE64_DIGITS,
    HEX_DIGITS,
    BitmessagePuzzle,
    HashcashPuzzle,
    HeaderPuzzle,
    Puzzle,
    StampDigest,
)
from tests.engines import EVERY_NAME, engine_named

by_engine = pytest.mark.parametrize("name", EVERY_NAME)


def naive_search(puzzle: Puzzle, start: int, count: int) -> SearchResult:
    """The definition: each candidate in turn, by hashlib alone."""
    end = min(start + count, puzzle.space)
    for nonce in range(start, end):
        message = puzzle.message(nonce)
        match puzzle:
            case HeaderPuzzle(_, target):
                digest = hashlib.sha256(hashlib.sha256(message).digest()).digest()
                wins = int.from_bytes(digest, "little") <= target
            case BitmessagePuzzle(_, target):
                digest = hashlib.sha512(hashlib.sha512(message).digest()).digest()
                wins = int.from_bytes(digest[:8], "big") <= target
            case HashcashPuzzle():
                digest = hashlib.new(puzzle.digest.value, message).digest()
                bits = "".join(f"{byte:08b}" for byte in digest)
                wins = bits.startswith("0" * puzzle.bits)
        if wins:
            return SearchResult(nonce, nonce - start + 1)
    return SearchResult(None, end - start)


targets_256 = st.builds(
    lambda bits, low: low >> bits, st.integers(0, 40), st.integers(0, (1 << 256) - 1)
)
targets_64 = st.builds(
    lambda bits, low: low >> bits, st.integers(0, 20), st.integers(0, (1 << 64) - 1)
)

headers = st.builds(
    HeaderPuzzle, st.binary(min_size=80, max_size=80), targets_256, st.sampled_from([1, 1, 2, 3, 7])
)
messages = st.builds(BitmessagePuzzle, st.binary(min_size=64, max_size=64), targets_64)
alphabets = st.sampled_from([HEX_DIGITS, BASE64_DIGITS, b"0123456789", b"ab", b"\x00\xff\x80"])
stamps = st.builds(
    HashcashPuzzle,
    st.binary(max_size=150),
    st.one_of(st.just(b""), st.binary(max_size=150)),
    st.integers(1, 10),
    st.integers(0, 12),
    st.sampled_from(StampDigest),
    alphabets,
)

counts = st.integers(0, 300)


@st.composite
def ranges(draw: st.DrawFn, puzzles: st.SearchStrategy[Puzzle]) -> tuple[Puzzle, int, int]:
    """A puzzle and a range in it, often near an end of the space or of 32 bits."""
    puzzle = draw(puzzles)
    edge = draw(st.sampled_from([0, 1 << 12, 1 << 31, 1 << 32, puzzle.space]))
    near = st.integers(-350, 50).map(lambda offset: edge + offset)
    start = draw(st.one_of(near, st.integers(0, puzzle.space)))
    return puzzle, min(max(start, 0), puzzle.space), draw(counts)


@by_engine
@given(ranges(headers))
@example((HeaderPuzzle(bytes(80), (1 << 256) - 1), (1 << 32) - 1, 300))
@example((HeaderPuzzle(bytes(80), 0), (1 << 32) - 100, 300))
@example((HeaderPuzzle(bytes(80), 0, 65536), (65536 << 32) - 100, 300))
@example((HeaderPuzzle(b"\xff" * 80, 1 << 250, 33), 17, 300))
def test_headers(name, case):
    assert engine_named(name).search(*case) == naive_search(*case)


@by_engine
@given(ranges(messages))
@example((BitmessagePuzzle(bytes(64), 0), (1 << 64) - 100, 300))
@example((BitmessagePuzzle(b"\xff" * 64, (1 << 64) - 1), (1 << 64) - 1, 300))
def test_bitmessage(name, case):
    assert engine_named(name).search(*case) == naive_search(*case)


@by_engine
@given(ranges(stamps))
@example((HashcashPuzzle(b"", b"", 16, 9), (1 << 64) - 100, 300))
@example((HashcashPuzzle(b"p" * 63, b"s" * 200, 2, 9, alphabet=b"01"), 0, 4))
@example((HashcashPuzzle(b"p" * 58, b"", 8, 8), (1 << 16) - 50, 300))
def test_hashcash(name, case):
    assert engine_named(name).search(*case) == naive_search(*case)


@pytest.mark.parametrize("digest", StampDigest)
@pytest.mark.parametrize("size", range(130))
def test_the_counter_at_every_place_of_two_blocks(size, digest):
    puzzle = HashcashPuzzle(b"p" * size, b"tail" * (size % 3), 6, 10, digest)
    start = 0xFFF00 + 3 * size  # crosses 0x100000: digits before the last five change
    wanted = naive_search(puzzle, start, 600)
    for name in EVERY_NAME[:-1]:
        assert engine_named(name).search(puzzle, start, 600) == wanted, name
