"""Real answers, found again by every engine from some way before them."""

import hashlib

import pytest

from misocoin.pow.engine import SearchResult
from misocoin.pow.puzzles import BitmessagePuzzle, HashcashPuzzle, HeaderPuzzle, StampDigest
from tests.engines import EVERY_NAME, engine_named
from tests.unit.pow.test_puzzles import BLOCK_125552, GENESIS, INITIAL_HASH

pytestmark = pytest.mark.parametrize("name", EVERY_NAME)

BLOCK_100000 = bytes.fromhex(
    "0100000050120119172a610421a6c3011dd330d9df07b63616c2cc1f1cd00200000000006657a9252aacd5c0b2940996"
    "ecff952228c3067cc38d4885efb5a4ac4247e9f337221b4d4c86041b0f2b5710"
)
"""Bitcoin's block 100,000: 000000000003ba27aa200b1cecaad478d2b00432346c3f1f3986da1afd33e506."""


@pytest.mark.parametrize(
    ("header", "target", "nonce"),
    [
        (GENESIS, 0xFFFF << 8 * (0x1D - 3), 2083236893),
        (BLOCK_125552, 0x44B9F2 << 8 * (0x1A - 3), 2504433986),
        (BLOCK_100000, 0x04864C << 8 * (0x1B - 3), 274148111),
    ],
    ids=["genesis", "125552", "100000"],
)
def test_bitcoin_headers(name, header, target, nonce):
    engine = engine_named(name)
    blank = HeaderPuzzle(header[:76] + bytes(4), target)
    assert engine.search(blank, nonce - 1000, 5000) == SearchResult(nonce, 1001)
    assert engine.search(blank, nonce, 1) == SearchResult(nonce, 1)
    assert engine.search(blank, nonce - 1000, 1000) == SearchResult(None, 1000)
    assert engine.search(blank, nonce + 1, 1000) == SearchResult(None, 1000)


def test_the_target_is_compared_with_all_256_bits(name):
    engine = engine_named(name)
    digest = hashlib.sha256(hashlib.sha256(GENESIS).digest()).digest()
    for part in range(32):
        target = int.from_bytes(digest, "little") - (1 << (8 * part))
        if target < 0:
            break
        nonce = 2083236893
        assert engine.search(HeaderPuzzle(GENESIS, target), nonce, 1).nonce is None
        above = HeaderPuzzle(GENESIS, target + (1 << (8 * part)))
        assert engine.search(above, nonce, 1).nonce == nonce


def test_bitmessage(name):
    puzzle = BitmessagePuzzle(INITIAL_HASH, 3979158916983)
    engine = engine_named(name)
    assert engine.search(puzzle, 1302572 - 700, 2000) == SearchResult(1302572, 701)
    exact = BitmessagePuzzle(INITIAL_HASH, 799892720325)
    assert engine.search(exact, 1302570, 100).nonce == 1302572
    below = BitmessagePuzzle(INITIAL_HASH, 799892720324)
    assert engine.search(below, 1302570, 100).nonce is None


def test_the_published_hashcash_stamp_of_52_bits(name):
    digits = b"0123456789ABCDEF"
    puzzle = HashcashPuzzle(
        b"1:52:380119:calvin@comics.net:::", b"", 16, 53, StampDigest.SHA1, digits
    )
    nonce = 0x9B760005E92F0DAE
    result = engine_named(name).search(puzzle, nonce - 900, 4000)
    assert result == SearchResult(nonce, 901)
    harder = HashcashPuzzle(
        b"1:52:380119:calvin@comics.net:::", b"", 16, 54, StampDigest.SHA1, digits
    )
    assert engine_named(name).search(harder, nonce - 10, 20).nonce is None
