"""Basic filters and their headers, held to BIP158's published cases."""

import pytest

from misocoin.errors import ParseError
from misocoin.filters.basic import (
    are_all_in_filter,
    basic_filter_from_block,
    calculate_filter_header,
    is_any_in_filter,
    output_scripts,
)
from misocoin.filters.gcs import KEY_SIZE, M, P
from misocoin.params import bitcoin, miso, regtest
from misocoin.primitives.block import block_from_bytes
from tests.unit.filters.bip158 import CASES, Case


def _hash(display_hex: str) -> bytes:
    return bytes.fromhex(display_hex)[::-1]


def test_the_constants_are_those_of_the_bip():
    assert (P, M, KEY_SIZE) == (19, 784931, 16)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_published_cases(case: Case):
    block = block_from_bytes(bytes.fromhex(case.block))
    assert block.hash == _hash(case.block_hash)
    spent = [bytes.fromhex(script) for script in case.spent]
    made = basic_filter_from_block(block, spent)
    assert made.hex() == case.filter
    assert calculate_filter_header(made, _hash(case.previous)) == _hash(case.header)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_published_filters_match_what_is_in_them(case: Case):
    block = block_from_bytes(bytes.fromhex(case.block))
    data = bytes.fromhex(case.filter)
    scripts = {*output_scripts(block), *(bytes.fromhex(script) for script in case.spent)}
    assert all(is_any_in_filter([script], data, block.hash) for script in scripts)
    assert are_all_in_filter(scripts, data, block.hash)
    stranger = bytes.fromhex("0014") + bytes(20)
    assert not is_any_in_filter([stranger], data, block.hash)
    assert not are_all_in_filter({*scripts, stranger}, data, block.hash)


def test_headers_follow_one_another():
    by_header = {case.header: case for case in CASES}
    pairs = [(by_header[case.previous], case) for case in CASES if case.previous in by_header]
    assert [(a.name[:8], b.name[:8]) for a, b in pairs] == [("block 2:", "block 3:")]


def test_genesis_blocks():
    # miso's coinbase only carries data; the other two pay Satoshi's key.
    assert basic_filter_from_block(miso().genesis, ()) == b"\x00"
    main, test = (basic_filter_from_block(params().genesis, ()) for params in (bitcoin, regtest))
    # What bitcoind answers for these blocks.
    assert main.hex() == "017fa880"
    header = calculate_filter_header(main, bytes(32))
    assert header[::-1].hex() == "02c2392180d0ce2b5b6f8b08d39a11ffe831c673311a3ecf77b97fc3f0303c9f"
    assert len(test) == 4
    assert test != main


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x01",
        b"\x01\x9d\xfc",  # cut off
        b"\x02\x9d\xfc\xa8",  # one element too many
        b"\x01\xff\xff\xff",  # ones without an end
        b"\x01\x9d\xfc\xa8\x00",  # a byte too many
        b"\x00\x00",
        b"\xfd\x01\x00\x9d\xfc\xa8",  # a count that is not in its shortest form
        b"\xfe\x00\x00\x00\x01" + bytes(100),  # a count that no memory would hold
    ],
)
def test_bytes_that_are_no_filter(data: bytes):
    block_hash = _hash(CASES[0].block_hash)
    with pytest.raises(ParseError):
        are_all_in_filter([b"\x51"], data, block_hash)
