"""Parsers: any bytes parse or raise ParseError, and what parses is written back as it was.

Ids and sizes are held against a serialiser that is as plain as the format's description.
"""

from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st

from misocoin.consensus.coins import Coin
from misocoin.consensus.connect import serialize_undo, undo_from_bytes
from misocoin.errors import ParseError
from misocoin.primitives.block import (
    Block,
    BlockHeader,
    block_from_bytes,
    header_from_bytes,
    headers_from_bytes,
    serialize_headers,
)
from misocoin.primitives.transaction import (
    NULL_OUTPOINT,
    OutPoint,
    Transaction,
    TxIn,
    TxOut,
    read_transaction,
    transaction_from_bytes,
)
from tests.examples import examples

# -- the format, said plainly -----------------------------------------------------------------


def _number(value, size):
    return (value % (1 << 8 * size)).to_bytes(size, "little")


def _count(value):
    if value < 253:
        return _number(value, 1)
    if value < 2**16:
        return b"\xfd" + _number(value, 2)
    return b"\xfe" + _number(value, 4)


def _string(data):
    return _count(len(data)) + data


def _plain_transaction(version, vin, vout, locktime, *, witness):
    data = _number(version, 4)
    if witness:
        data += b"\x00\x01"
    data += _count(len(vin))
    for txin in vin:
        data += txin.prevout + _string(txin.script_sig) + _number(txin.sequence, 4)
    data += _count(len(vout))
    for value, script in vout:
        data += _number(value, 8) + _string(script)
    if witness:
        for txin in vin:
            data += _count(len(txin.witness))
            for item in txin.witness:
                data += _string(item)
    return data + _number(locktime, 4)


def _double_hash(data):
    return sha256(sha256(data).digest()).digest()


# -- strategies -------------------------------------------------------------------------------

uint32 = st.integers(0, 2**32 - 1) | st.sampled_from([0, 1, 2**31, 2**32 - 1])
int32 = st.integers(-(2**31), 2**31 - 1)
int64 = st.integers(-(2**63), 2**63 - 1)
strings = st.binary(max_size=40) | st.sampled_from([252, 253, 254, 300, 0x10001]).map(bytes)
hashes = st.binary(min_size=32, max_size=32)
outpoints = st.binary(min_size=36, max_size=36).map(OutPoint) | st.just(NULL_OUTPOINT)
inputs = st.builds(
    TxIn, outpoints, strings, uint32, st.lists(strings, max_size=3).map(tuple) | st.just(())
)
outputs = st.builds(TxOut, int64, strings)
parts = st.tuples(
    int32, st.lists(inputs, min_size=1, max_size=4), st.lists(outputs, max_size=4), uint32
)
transactions = parts.map(lambda values: Transaction.build(*values))
headers = st.builds(BlockHeader.build, int32, hashes, hashes, uint32, uint32, uint32)
blocks = st.builds(Block, headers, st.lists(transactions, max_size=4).map(tuple))
coins = st.builds(
    Coin, st.integers(0, 2**63 - 1), strings, st.integers(0, 2**31 - 1), st.booleans()
)
undo_data = st.lists(st.lists(coins, max_size=3).map(tuple), max_size=4).map(tuple)


@st.composite
def damaged(draw, whole):
    """Bytes of the right form with a few bytes changed, left out, put in, or cut off."""
    data = bytearray(draw(whole))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        match draw(st.sampled_from(["set", "cut", "drop", "add"])):
            case "set" if data:
                data[at] = draw(st.sampled_from([0, 1, 2, 0xFC, 0xFD, 0xFE, 0xFF]))
            case "cut":
                del data[at:]
            case "drop":
                del data[at : at + 1]
            case _:
                data[at:at] = draw(st.binary(min_size=1, max_size=9))
    return bytes(data)


def _parse(parser, data):
    try:
        return parser(data)
    except ParseError:
        return None


# -- transactions -----------------------------------------------------------------------------


@given(parts)
def test_a_transaction_against_the_plain_serialiser(values):
    version, vin, vout, locktime = values
    tx = Transaction.build(*values)
    stripped = _plain_transaction(version, vin, vout, locktime, witness=False)
    has_witness = any(txin.witness for txin in vin)
    full = _plain_transaction(version, vin, vout, locktime, witness=has_witness)
    assert tx.serialize() == full
    assert tx.serialize(witness=False) == stripped
    assert tx.txid == _double_hash(stripped)
    assert tx.wtxid == _double_hash(full)
    assert (tx.size, tx.stripped_size) == (len(full), len(stripped))
    assert tx.has_witness is has_witness
    assert tx.weight == 3 * len(stripped) + len(full)
    assert tx.vsize == -(-tx.weight // 4)
    assert transaction_from_bytes(full) == tx
    assert transaction_from_bytes(stripped).txid == tx.txid
    assert transaction_from_bytes(stripped, allow_witness=False).txid == tx.txid
    assert read_transaction(b"before" + full + b"after", 6) == (tx, 6 + len(full))


@examples(300)
@given(st.binary(max_size=200) | damaged(transactions.map(Transaction.serialize)), st.booleans())
def test_bytes_are_a_transaction_in_its_only_form_or_a_parse_error(data, allow_witness):
    tx = _parse(lambda raw: transaction_from_bytes(raw, allow_witness=allow_witness), data)
    if tx is not None:
        assert tx.serialize() == data
        assert tx.size == len(data)
        assert tx.wtxid == _double_hash(data)


@given(parts.map(lambda values: (values[0], [], values[2], values[3])))
def test_without_inputs_the_format_before_bip144_serves(values):
    tx = Transaction.build(*values)
    assert transaction_from_bytes(tx.serialize(), allow_witness=False) == tx


# -- blocks and headers -----------------------------------------------------------------------


@given(headers)
def test_a_header_and_its_80_bytes(header):
    data = header.serialize()
    plain = (
        _number(header.version, 4) + header.prev_hash + header.merkle_root
        + _number(header.time, 4) + _number(header.bits, 4) + _number(header.nonce, 4)
    )  # fmt: skip
    assert data == plain
    assert header.hash == _double_hash(plain)
    assert header_from_bytes(b"before" + data + b"after", 6) == header


@given(blocks)
def test_a_block_and_its_bytes(block):
    data = block.serialize()
    assert block_from_bytes(data) == block
    assert data[80:] == _count(len(block.transactions)) + b"".join(
        tx.serialize() for tx in block.transactions
    )
    assert block.size == len(data)
    assert block.stripped_size == len(block.serialize(witness=False))
    assert block.weight == 3 * block.stripped_size + block.size


@examples(200)
@given(st.binary(max_size=300) | damaged(blocks.map(Block.serialize)))
def test_bytes_are_a_block_in_its_only_form_or_a_parse_error(data):
    block = _parse(block_from_bytes, data)
    if block is not None:
        assert block.serialize() == data


@given(st.lists(headers, max_size=5).map(tuple))
def test_headers_one_behind_the_other(many):
    assert headers_from_bytes(serialize_headers(many)) == many


@given(st.binary(max_size=330) | damaged(st.lists(headers, max_size=4).map(serialize_headers)))
def test_bytes_are_headers_or_a_parse_error(data):
    many = _parse(headers_from_bytes, data)
    assert (many is None) == bool(len(data) % 80)
    if many is not None:
        assert serialize_headers(many) == data


# -- undo data --------------------------------------------------------------------------------


@given(undo_data)
def test_undo_data_both_ways(spent):
    assert undo_from_bytes(serialize_undo(spent)) == spent


@examples(200)
@given(st.binary(max_size=120) | damaged(undo_data.map(serialize_undo)))
def test_bytes_are_undo_data_in_its_only_form_or_a_parse_error(data):
    spent = _parse(undo_from_bytes, data)
    if spent is not None:
        assert serialize_undo(spent) == data
