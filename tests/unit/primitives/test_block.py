import pytest

from misocoin.consensus.tree import HeaderNode
from misocoin.errors import ParseError
from misocoin.params import bitcoin
from misocoin.primitives.block import (
    HEADER_SIZE,
    NULL_HASH,
    Block,
    BlockHeader,
    block_from_bytes,
    header_from_bytes,
    headers_from_bytes,
    serialize_headers,
)
from tests.builders import grow, make_block, small_params, spend, with_witness

# Block 125552 of Bitcoin's main chain.
HEADER_125552 = bytes.fromhex(
    "0100000081cd02ab7e569e8bcd9317e2fe99f2de44d49ab2b8851ba4a308000000000000e320b6c2fffc8d7504"
    "23db8b1eb942ae710e951ed797f7affc8892b0f1fc122bc7f5d74df2b9441a42a14695"
)


def test_a_header():
    header = header_from_bytes(HEADER_125552)
    assert header.hash_hex == "00000000000000001e8d6829a8a21adc5d38d0a473b144b6765798e61f98bd1d"
    assert header.hash[::-1].hex() == header.hash_hex
    assert header.prev_hash[::-1].hex() == (
        "00000000000008a3a41b85b8b29ad444def299fee21793cd8b9e567eab02cd81"
    )
    assert header.merkle_root[::-1].hex() == (
        "2b12fcf1b09288fcaff797d71e950e71ae42b91e8bdb2304758dfcffc2b620e3"
    )
    assert header[3:6] == (1305998791, 0x1A44B9F2, 2504433986)
    assert header.serialize() == HEADER_125552
    assert BlockHeader.build(*header[:6]) == header


def test_a_version_is_signed():
    header = BlockHeader.build(-1, NULL_HASH, NULL_HASH, 0, 0, 0)
    assert header.serialize()[:4] == b"\xff\xff\xff\xff"
    assert header_from_bytes(header.serialize()) == header


def test_genesis_as_a_block():
    genesis = bitcoin().genesis
    data = genesis.serialize()
    assert len(data) == genesis.size == genesis.stripped_size == 285
    assert genesis.weight == 1140
    assert data[:HEADER_SIZE] == genesis.header.serialize()
    assert data[HEADER_SIZE] == 1
    assert block_from_bytes(data) == genesis


def test_a_block_with_witnesses():
    params = small_params()
    root = HeaderNode(params.genesis.header, None)
    (first,) = grow(root, params, 1)
    tx = with_witness(spend([first.transactions[0].outpoint(0)], [1]), (b"w" * 60, b""))
    block = make_block(HeaderNode(first.header, root), params, [tx])
    data = block.serialize()
    stripped = block.serialize(witness=False)
    assert block_from_bytes(data) == block
    assert (block.size, block.stripped_size) == (len(data), len(stripped))
    # 2 + 1 + 61 + 1 bytes of the payment and 2 + 1 + 33 of the coinbase
    assert block.size - block.stripped_size == 65 + 36
    assert block.weight == 4 * len(stripped) + 101
    without = block_from_bytes(stripped)
    assert [t.txid for t in without.transactions] == [t.txid for t in block.transactions]
    assert without.hash == block.hash


def test_the_count_of_transactions_counts_in_the_size():
    (tx,) = bitcoin().genesis.transactions
    block = Block(bitcoin().genesis.header, (tx,) * 253)
    assert block.size == len(block.serialize()) == 80 + 3 + 253 * 204


@pytest.mark.parametrize(
    ("cut", "message"),
    [(slice(0), "80 bytes, not 0"), (slice(79), "80 bytes, not 79"), (slice(80), "unexpected end"),
     (slice(81), "unexpected end"), (slice(-1), "unexpected end")],
)  # fmt: skip
def test_truncated_blocks(cut, message):
    with pytest.raises(ParseError, match=message):
        block_from_bytes(bitcoin().genesis.serialize()[cut])


def test_bytes_after_a_block():
    with pytest.raises(ParseError, match="2 bytes after the block"):
        block_from_bytes(bitcoin().genesis.serialize() + b"ab")


def test_a_count_nobody_can_fulfil():
    with pytest.raises(ParseError, match="unexpected end"):
        block_from_bytes(HEADER_125552 + b"\xfe\x00\x00\x00\x02")
    with pytest.raises(ParseError, match="over the limit"):
        block_from_bytes(HEADER_125552 + b"\xfe\x01\x00\x00\x02")


def test_a_block_without_transactions_has_its_form():
    assert block_from_bytes(HEADER_125552 + b"\x00").transactions == ()


def test_headers_one_behind_the_other():
    headers = (bitcoin().genesis.header, header_from_bytes(HEADER_125552))
    data = serialize_headers(headers)
    assert len(data) == 160
    assert headers_from_bytes(data) == headers
    assert headers_from_bytes(b"") == ()
    with pytest.raises(ParseError, match="80 bytes, not 79"):
        headers_from_bytes(data[:-1])
    assert header_from_bytes(data, 80) == headers[1]
