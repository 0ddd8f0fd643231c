"""The puzzles by themselves: known answers, forms and refusals."""

import base64

import pytest

from misocoin.errors import ParseError
from misocoin.pow.puzzles import (
    BASE64_DIGITS,
    BitmessagePuzzle,
    HashcashPuzzle,
    HeaderPuzzle,
    StampDigest,
)

GENESIS = bytes.fromhex(
    "0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd7a7b12b27ac7"
    "2c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a29ab5f49ffff001d1dac2b7c"
)
"""Bitcoin's first block, nonce 2083236893."""

BLOCK_125552 = bytes.fromhex(
    "0100000081cd02ab7e569e8bcd9317e2fe99f2de44d49ab2b8851ba4a308000000000000e320b6c2fffc8d750423"
    "db8b1eb942ae710e951ed797f7affc8892b0f1fc122bc7f5d74df2b9441a42a14695"
)
"""A real block of 2011, the example of the Bitcoin wiki, nonce 2504433986."""

INITIAL_HASH = base64.b64decode(
    "vSJ95SFzpQ7NVIk/cd5SUR9isX+s8s5mcKJIn4G3Owqk7/yBuTX2KPxTg8RpkO1yJJ0bz7/8/5KMU5BEcjxehw=="
)


def test_real_headers_win():
    genesis = HeaderPuzzle(GENESIS, 0xFFFF << 208)
    assert genesis.is_solution(2083236893)
    assert not genesis.is_solution(2083236892)
    assert genesis.message(2083236893) == GENESIS
    later = HeaderPuzzle(BLOCK_125552, 0x44B9F2 << (8 * (0x1A - 3)))
    assert later.is_solution(2504433986)
    assert not later.is_solution(2504433987)


def test_the_target_itself_wins():
    hash_of_genesis = 0x000000000019D6689C085AE165831E934FF763AE46A2A6C172B3F1B60A8CE26F
    assert HeaderPuzzle(GENESIS, hash_of_genesis).is_solution(2083236893)
    assert not HeaderPuzzle(GENESIS, hash_of_genesis - 1).is_solution(2083236893)


def test_versions_are_rolled_in_the_bits_of_bip320():
    puzzle = HeaderPuzzle(GENESIS, 0, versions=4)
    assert puzzle.space == 4 << 32
    assert puzzle.message(0)[:4] == (1).to_bytes(4, "little")
    message = puzzle.message(4 * 77 + 3)
    assert message[:4] == (1 | 3 << 13).to_bytes(4, "little")
    assert message[4:76] == GENESIS[4:76]
    assert message[76:] == (77).to_bytes(4, "little")


def test_bitmessage_known_answer():
    puzzle = BitmessagePuzzle(INITIAL_HASH, 3979158916983)
    assert puzzle.trial_value(1302572) == 799892720325
    assert puzzle.is_solution(1302572)
    assert not puzzle.is_solution(1302571)


def test_hashcash_counter_is_text_in_the_alphabet():
    puzzle = HashcashPuzzle(b"1:20:", b"!", 4, 0, StampDigest.SHA1, BASE64_DIGITS)
    assert puzzle.space == 64**4
    assert puzzle.message(0) == b"1:20:AAAA!"
    assert puzzle.message(64 + 63) == b"1:20:AAB/!"
    assert puzzle.nonce_from_counter(b"AAB/") == 127


def test_hashcash_known_stamps():
    """Published SHA-1 stamps: of 20 bits, and one of 52 (it has 53)."""
    prefix = b"1:20:1303030600:adam@cypherspace.org::McMybZIhxKXu57jd:"
    puzzle = HashcashPuzzle(prefix, b"", 4, 20, StampDigest.SHA1, BASE64_DIGITS)
    nonce = puzzle.nonce_from_counter(b"ckvi")
    assert puzzle.message(nonce) == prefix + b"ckvi"
    assert puzzle.zero_bits(nonce) == 20
    assert puzzle.is_solution(nonce)
    digits = b"0123456789ABCDEF"
    tiger = HashcashPuzzle(
        b"1:52:380119:calvin@comics.net:::", b"", 16, 52, StampDigest.SHA1, digits
    )
    assert tiger.zero_bits(0x9B760005E92F0DAE) == 53
    assert tiger.is_solution(0x9B760005E92F0DAE)


@pytest.mark.parametrize(
    "make",
    [
        lambda: HeaderPuzzle(GENESIS[:79], 1),
        lambda: HeaderPuzzle(GENESIS, 1 << 256),
        lambda: HeaderPuzzle(GENESIS, -1),
        lambda: HeaderPuzzle(GENESIS, 1, versions=0),
        lambda: HeaderPuzzle(GENESIS, 1, versions=65537),
        lambda: BitmessagePuzzle(bytes(63), 1),
        lambda: BitmessagePuzzle(bytes(64), 1 << 64),
        lambda: HashcashPuzzle(b"", b"", 0, 1),
        lambda: HashcashPuzzle(b"", b"", 17, 1),
        lambda: HashcashPuzzle(b"", b"", 4, 257),
        lambda: HashcashPuzzle(b"", b"", 4, 161, StampDigest.SHA1),
        lambda: HashcashPuzzle(b"", b"", 4, 1, alphabet=b"00"),
        lambda: HashcashPuzzle(b"", b"", 4, 1, alphabet=b"0"),
    ],
)
def test_impossible_puzzles_are_refused(make):
    with pytest.raises(ParseError):
        make()


def test_a_foreign_counter_is_refused():
    puzzle = HashcashPuzzle(b"", b"", 4, 1)
    for counter in (b"00g0", b"000", b"00000", b"000A"):
        with pytest.raises(ParseError):
            puzzle.nonce_from_counter(counter)
