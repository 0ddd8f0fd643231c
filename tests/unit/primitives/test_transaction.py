import pytest

from misocoin.errors import ParseError
from misocoin.primitives.transaction import (
    NULL_OUTPOINT,
    SEQUENCE_FINAL,
    Transaction,
    TxIn,
    TxOut,
    outpoint,
    outpoint_index,
    outpoint_txid,
    read_transaction,
    transaction_from_bytes,
)

# Bitcoin's first payment, in block 170 of the main chain.
FIRST_PAYMENT = bytes.fromhex(
    "0100000001c997a5e56e104102fa209c6a852dd90660a20b2d9c352423edce25857fcd37040000000048473044"
    "02204e45e16932b8af514961a1d3a1a25fdf3f4f7732e9d624c6c61548ab5fb8cd410220181522ec8eca07de48"
    "60a4acdd12909d831cc56cbbac4622082221a8768d1d0901ffffffff0200ca9a3b00000000434104ae1a62fe09"
    "c5f51b13905f07f06b99a2f7159b2225f374cd378d71302fa28414e7aab37397f554a7df5f142c21c1b7303b8a"
    "0626f1baded5c72a704f7e6cd84cac00286bee0000000043410411db93e1dcdb8a016b49840f8c53bc1eb68a38"
    "2e97b1482ecad7b148a6909a5cb2e0eaddfb84ccf9744464f82e160bfa9b8b64f9d4c03f999b8643f656b412a3"
    "ac00000000"
)

# The signed P2WPKH example of BIP143: its first input is P2PK, its second segwit.
BIP143_EXAMPLE = bytes.fromhex(
    "01000000000102fff7f7881a8099afa6940d42d1e7f6362bec38171ea3edf433541db4e4ad969f000000004948"
    "30450221008b9d1dc26ba6a9cb62127b02742fa9d754cd3bebf337f7a55d114c8e5cdd30be022040529b194ba3"
    "f9281a99f2b1c0a19c0489bc22ede944ccf4ecbab4cc618ef3ed01eeffffffef51e1b804cc89d182d279655c3a"
    "a89e815b1b309fe287d9b2b55d57b90ec68a0100000000ffffffff02202cb206000000001976a9148280b37df3"
    "78db99f66f85c95a783a76ac7a6d5988ac9093510d000000001976a9143bde42dbee7e4dbe6a21b2d50ce2f016"
    "7faa815988ac000247304402203609e17b84f6a7d30c80bfa610b5b4542f32a8a0d5447a12fb1366d7f01cc44a"
    "0220573a954c4518331561406f90300e8f3358f51928d43c212a8caed02de67eebee0121025476c2e83188368d"
    "a1ff3e292e7acafcdb3566bb0ad253f62fc70f07aeee635711000000"
)


def test_the_first_payment():
    tx = transaction_from_bytes(FIRST_PAYMENT)
    assert tx.txid_hex == "f4184fc596403b9d638783cf57adfe4c75c605f6356fbc91338530e9831e9e16"
    assert tx.txid == bytes.fromhex(tx.txid_hex)[::-1] == tx.wtxid
    assert (tx.version, tx.locktime) == (1, 0)
    assert (tx.size, tx.stripped_size, tx.weight, tx.vsize) == (275, 275, 1100, 275)
    assert not tx.has_witness
    assert not tx.is_coinbase
    (txin,) = tx.vin
    assert outpoint_txid(txin.prevout)[::-1].hex() == (
        "0437cd7f8525ceed2324359c2d0ba26006d92d856a9c20fa0241106ee5a597c9"
    )
    assert outpoint_index(txin.prevout) == 0
    assert (len(txin.script_sig), txin.sequence, txin.witness) == (72, 0xFFFFFFFF, ())
    assert [txout.value for txout in tx.vout] == [1_000_000_000, 4_000_000_000]
    assert tx.serialize() == tx.serialize(witness=False) == FIRST_PAYMENT


def test_a_transaction_with_a_witness():
    tx = transaction_from_bytes(BIP143_EXAMPLE)
    assert tx.has_witness
    assert tx.locktime == 17
    assert [txin.sequence for txin in tx.vin] == [0xFFFFFFEE, 0xFFFFFFFF]
    assert [len(txin.witness) for txin in tx.vin] == [0, 2]
    assert tx.vin[1].witness[1].hex().startswith("025476c2e8")
    # 343 bytes, of which the marker (2), an empty stack (1) and a stack of two (107) are witness.
    assert (tx.size, tx.stripped_size, tx.weight, tx.vsize) == (343, 233, 1042, 261)
    assert tx.txid != tx.wtxid
    assert tx.serialize() == BIP143_EXAMPLE
    stripped = tx.serialize(witness=False)
    assert stripped == BIP143_EXAMPLE[:4] + BIP143_EXAMPLE[6:-112] + BIP143_EXAMPLE[-4:]
    assert transaction_from_bytes(stripped).txid == tx.txid
    assert Transaction.build(tx.version, tx.vin, tx.vout, tx.locktime) == tx


def test_constants():
    assert bytes(32) + b"\xff\xff\xff\xff" == NULL_OUTPOINT
    assert SEQUENCE_FINAL == 4_294_967_295


def test_an_outpoint_is_the_36_bytes_of_the_wire():
    point = outpoint(bytes(range(32)), 0x01020304)
    assert point == bytes(range(32)) + b"\x04\x03\x02\x01"
    assert (outpoint_txid(point), outpoint_index(point)) == (bytes(range(32)), 0x01020304)
    tx = transaction_from_bytes(FIRST_PAYMENT)
    assert tx.outpoint(1) == tx.txid + b"\x01\x00\x00\x00"


@pytest.mark.parametrize(
    ("points", "is_coinbase"),
    [
        ([NULL_OUTPOINT], True),
        ([NULL_OUTPOINT, NULL_OUTPOINT], False),
        ([outpoint(bytes(32), 0)], False),
        ([outpoint(b"\x01" + bytes(31), 0xFFFFFFFF)], False),
    ],
)
def test_a_coinbase_has_one_input_of_the_null_outpoint(points, is_coinbase):
    assert Transaction.build(1, map(TxIn, points), []).is_coinbase is is_coinbase


def test_output_serialisation_is_signed():
    assert TxOut(-1, b"\x51").serialize() == b"\xff" * 8 + b"\x01\x51"
    assert TxOut(1, b"").serialize() == b"\x01" + bytes(8)


def test_a_witness_of_empty_stacks_is_none():
    tx = Transaction.build(1, [TxIn(NULL_OUTPOINT)], [TxOut(0, b"")])
    assert not tx.has_witness
    assert tx.wtxid == tx.txid
    with_empty_item = Transaction.build(1, [TxIn(NULL_OUTPOINT, witness=(b"",))], [TxOut(0, b"")])
    assert with_empty_item.has_witness
    assert with_empty_item.txid == tx.txid
    assert with_empty_item.size == tx.size + 2 + 2
    assert transaction_from_bytes(with_empty_item.serialize()) == with_empty_item


@pytest.mark.parametrize("size", [0, 252, 253, 254, 0xFFFF, 0x10000])
@pytest.mark.parametrize("where", ["scriptSig", "output", "witness"])
def test_lengths_of_one_three_and_five_bytes(where, size):
    data = b"\xfe" * size
    txin = TxIn(
        outpoint(b"t" * 32, 1),
        data if where == "scriptSig" else b"\x51",
        witness=(data, b"w") if where == "witness" else (),
    )
    tx = Transaction.build(1, [txin], [TxOut(5, data if where == "output" else b""), TxOut(6, b"")])
    assert transaction_from_bytes(tx.serialize()) == tx


@pytest.mark.parametrize("count", [252, 253, 254])
def test_many_inputs_outputs_and_witness_items(count):
    inputs = [TxIn(outpoint(bytes(32), n), b"", n, (b"",) * count) for n in range(count)]
    tx = Transaction.build(1, inputs, [TxOut(n, b"") for n in range(count)])
    assert transaction_from_bytes(tx.serialize()) == tx
    assert transaction_from_bytes(tx.serialize(witness=False)).txid == tx.txid


def test_a_transaction_is_read_from_the_middle_of_bytes():
    tx, end = read_transaction(b"??" + BIP143_EXAMPLE + b"!", 2)
    assert end == 2 + len(BIP143_EXAMPLE)
    assert tx == transaction_from_bytes(BIP143_EXAMPLE)


EMPTY = "01000000" + "00" + "00" + "00000000"


def test_without_inputs_and_outputs():
    tx = transaction_from_bytes(bytes.fromhex(EMPTY))
    assert (tx.vin, tx.vout, tx.size) == ((), (), 10)
    assert tx.serialize().hex() == EMPTY


def test_without_inputs_an_output_needs_the_format_before_bip144():
    data = bytes.fromhex("01000000" + "00" + "01" + "0100000000000000" + "0151" + "00000000")
    with pytest.raises(ParseError):
        transaction_from_bytes(data)
    tx = transaction_from_bytes(data, allow_witness=False)
    assert (tx.vin, tx.vout) == ((), (TxOut(1, b"\x51"),))
    assert tx.serialize() == data


NULL_INPUT = "00" * 32 + "ffffffff" + "00" + "ffffffff"
NO_OUTPUT = "00"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(
            "01000000000101" + NULL_INPUT + NO_OUTPUT + "00" + "00000000",
            "superfluous witness record",
            id="marker, but no witness",
        ),
        pytest.param(
            "01000000000100" + NO_OUTPUT + "00000000",
            "superfluous witness record",
            id="marker, but no input",
        ),
        pytest.param(
            "01000000000201" + NULL_INPUT + NO_OUTPUT + "00000000",
            "unknown optional data",
            id="flag 2",
        ),
        pytest.param(
            "01000000000301" + NULL_INPUT + NO_OUTPUT + "0101aa" + "00000000",
            "unknown optional data",
            id="flag 3",
        ),
        pytest.param(
            "0100000001" + NULL_INPUT + NO_OUTPUT + "0000000000",
            "1 bytes after the transaction",
            id="leftover",
        ),
        pytest.param(
            "01000000fd0100" + NULL_INPUT + NO_OUTPUT + "00000000",
            "non-canonical compact size",
            id="count in three bytes",
        ),
        pytest.param(
            "0100000001" + "00" * 36 + "fe03000002" + "00" * 8,
            "over the limit",
            id="script over 32 MiB",
        ),
        pytest.param(
            "01000000fe00000002" + "00" * 41 * 3, "unexpected end", id="2**25 inputs claimed"
        ),
        pytest.param(
            "0100000001" + NULL_INPUT + "fe00000002", "unexpected end", id="outputs claimed"
        ),
        pytest.param(
            "01000000000101" + NULL_INPUT + NO_OUTPUT + "fe00000002",
            "unexpected end",
            id="witness items claimed",
        ),
        pytest.param("", "unexpected end", id="nothing"),
    ],
)
def test_malformed_bytes(data, message):
    with pytest.raises(ParseError, match=message):
        transaction_from_bytes(bytes.fromhex(data))


@pytest.mark.parametrize("data", [FIRST_PAYMENT, BIP143_EXAMPLE], ids=["plain", "witness"])
def test_every_truncation_is_refused(data):
    for end in range(len(data)):
        with pytest.raises(ParseError):
            transaction_from_bytes(data[:end])
