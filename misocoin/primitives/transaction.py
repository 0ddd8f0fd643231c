"""Transactions in Bitcoin's serialisation, with and without witness (BIP141, BIP144).

Hashes are 32 bytes in wire order. A coin is named by its outpoint as it stands on the wire:
36 bytes, the transaction's id and the output's index (little-endian), which is the natural key
of every map from outpoints to coins.
"""

from collections.abc import Iterable
from struct import Struct
from struct import error as struct_error
from typing import Any, NamedTuple, NewType

from misocoin.codec import MAX_COMPACT_SIZE, compact_size, var_bytes
from misocoin.crypto.hashes import sha256d
from misocoin.errors import ParseError

OutPoint = NewType("OutPoint", bytes)
"""txid (32 bytes, wire order) and output index (4 bytes, little-endian)."""

NULL_OUTPOINT = OutPoint(bytes(32) + b"\xff\xff\xff\xff")
"""What the input of a coinbase refers to."""

SEQUENCE_FINAL = 0xFFFFFFFF
"""An input's sequence that switches off lock times for it."""

SEQUENCE_REPLACEABLE = 0xFFFFFFFD
"""The highest that asks to be replaceable (BIP125); it keeps the lock time in force."""

# Struct's methods answer Any: what they make needs no call of a NewType, which costs on hot paths.
_OUTPOINT: Any = Struct("<32sI")
_TXIN_START = Struct("<36sB")
_TXOUT = Struct("<q")
_TXOUT_START = Struct("<qB")
_UINT32 = Struct("<I")
_INT32 = Struct("<i")


def outpoint(txid: bytes, index: int) -> OutPoint:
    """The outpoint of output `index` of transaction `txid` (wire order)."""
    point: OutPoint = _OUTPOINT.pack(txid, index)
    return point


def outpoint_txid(point: bytes) -> bytes:
    """The transaction id in an outpoint, wire order."""
    return point[:32]


def outpoint_index(point: bytes) -> int:
    """The output's index in an outpoint: its last four bytes, little-endian."""
    index: int = _UINT32.unpack_from(point, 32)[0]
    return index


class TxIn(NamedTuple):
    """A transaction's input."""

    prevout: OutPoint
    script_sig: bytes = b""
    sequence: int = SEQUENCE_FINAL
    witness: tuple[bytes, ...] = ()


class TxOut(NamedTuple):
    """A transaction's output; `value` in base units (signed 64 bits on the wire)."""

    value: int
    script_pubkey: bytes

    def serialize(self) -> bytes:
        """Value and script as on the wire."""
        return _TXOUT.pack(self.value) + var_bytes(self.script_pubkey)


class Transaction(NamedTuple):
    """A transaction and what follows from its bytes.

    Made by `Transaction.build` or by parsing, never by naming the derived fields oneself.
    """

    version: int
    """Signed 32 bits."""
    vin: tuple[TxIn, ...]
    vout: tuple[TxOut, ...]
    locktime: int
    txid: bytes
    """Double SHA-256 without witness, wire order."""
    wtxid: bytes
    """Double SHA-256 with witness, wire order; equals txid where there is no witness."""
    stripped_size: int
    """Bytes without witness."""
    size: int
    """Bytes with witness."""

    @classmethod
    def build(
        cls, version: int, vin: Iterable[TxIn], vout: Iterable[TxOut], locktime: int = 0
    ) -> "Transaction":
        """Make a transaction from its parts and derive ids and sizes."""
        inputs, outputs = tuple(vin), tuple(vout)
        stripped = _serialize(version, inputs, outputs, locktime, witness=False)
        txid = sha256d(stripped)
        if not any(txin.witness for txin in inputs):
            size = len(stripped)
            return cls(version, inputs, outputs, locktime, txid, txid, size, size)
        full = _serialize(version, inputs, outputs, locktime, witness=True)
        return cls(
            version, inputs, outputs, locktime, txid, sha256d(full), len(stripped), len(full)
        )

    @property
    def has_witness(self) -> bool:
        """Whether any input carries a witness."""
        return self.size != self.stripped_size

    @property
    def weight(self) -> int:
        """Weight units (BIP141): three times the stripped size plus the whole size."""
        return 3 * self.stripped_size + self.size

    @property
    def vsize(self) -> int:
        """Virtual bytes (BIP141): weight / 4, rounded up."""
        return (self.weight + 3) // 4

    @property
    def is_coinbase(self) -> bool:
        """Whether this is a block's first transaction by form: one input, the null outpoint."""
        return len(self.vin) == 1 and self.vin[0].prevout == NULL_OUTPOINT

    @property
    def txid_hex(self) -> str:
        """The id as people see it: display order, hex."""
        return self.txid[::-1].hex()

    def outpoint(self, index: int) -> OutPoint:
        """The outpoint of this transaction's output `index`."""
        return outpoint(self.txid, index)

    def serialize(self, *, witness: bool = True) -> bytes:
        """The bytes on the wire; `witness=False` leaves witnesses out, as for the txid."""
        return _serialize(
            self.version, self.vin, self.vout, self.locktime, witness=witness and self.has_witness
        )


def _serialize(
    version: int,
    vin: tuple[TxIn, ...],
    vout: tuple[TxOut, ...],
    locktime: int,
    *,
    witness: bool,
) -> bytes:
    parts = [_INT32.pack(version)]
    if witness:
        parts.append(b"\x00\x01")
    parts.append(compact_size(len(vin)))
    for txin in vin:
        parts += (txin.prevout, var_bytes(txin.script_sig), _UINT32.pack(txin.sequence))
    parts.append(compact_size(len(vout)))
    for value, script in vout:
        parts += (_TXOUT.pack(value), var_bytes(script))
    if witness:
        for txin in vin:
            parts.append(compact_size(len(txin.witness)))
            parts += map(var_bytes, txin.witness)
    parts.append(_UINT32.pack(locktime))
    return b"".join(parts)


def transaction_from_bytes(data: bytes, *, allow_witness: bool = True) -> Transaction:
    """Parse one whole transaction; raises ParseError for anything else, leftovers included.

    `allow_witness=False` reads the format before BIP144, in which a transaction without inputs
    does not look like a witness marker.
    """
    tx, end = read_transaction(data, 0, allow_witness=allow_witness)
    if end != len(data):
        raise ParseError(f"{len(data) - end} bytes after the transaction")
    return tx


def read_transaction(
    data: bytes, start: int, *, allow_witness: bool = True
) -> tuple[Transaction, int]:
    """Parse the transaction at `start`; returns it and the offset behind it.

    Raises ParseError on truncated or non-canonical bytes.
    """
    try:
        return _read_transaction(data, start, allow_witness)
    except (struct_error, IndexError) as error:
        raise ParseError("transaction: unexpected end") from error


def read_count(data: bytes, at: int) -> tuple[int, int]:
    """The compact size at `at`; returns it and the offset behind it.

    Raises ParseError, and IndexError where the bytes have ended before it.
    """
    first = data[at]
    if first < 0xFD:
        return first, at + 1
    size = 1 << (first - 0xFC)
    value = int.from_bytes(data[at + 1 : at + 1 + size], "little")
    if value < (0xFD, 0x10000, 0x100000000)[first - 0xFD]:
        raise ParseError("non-canonical compact size, or unexpected end")
    if value > MAX_COMPACT_SIZE:
        raise ParseError(f"size {value} is over the limit of {MAX_COMPACT_SIZE}")
    return value, at + 1 + size


def _read_inputs(data: bytes, at: int, count: int) -> tuple[list[tuple[OutPoint, bytes, int]], int]:
    # Slices past the end are short, not errors; but then the next unpack raises, here or of the
    # lock time at the latest, so that neither a cut nor a huge count goes unnoticed.
    inputs = []
    start, sequence = _TXIN_START.unpack_from, _UINT32.unpack_from
    for _ in range(count):
        prevout, length = start(data, at)
        if length < 0xFD:
            at += 37
        else:
            length, at = read_count(data, at + 36)
        script = data[at : at + length]
        at += length
        inputs.append((prevout, script, sequence(data, at)[0]))
        at += 4
    return inputs, at


def _read_outputs(data: bytes, at: int, count: int) -> tuple[list[TxOut], int]:
    outputs = []
    start = _TXOUT_START.unpack_from
    for _ in range(count):
        value, length = start(data, at)
        if length < 0xFD:
            at += 9
        else:
            length, at = read_count(data, at + 8)
        outputs.append(TxOut(value, data[at : at + length]))
        at += length
    return outputs, at


def _read_witness(data: bytes, at: int) -> tuple[tuple[bytes, ...], int]:
    count, at = read_count(data, at)
    items = []
    for _ in range(count):
        length = data[at]
        if length < 0xFD:
            at += 1
        else:
            length, at = read_count(data, at)
        items.append(data[at : at + length])
        at += length
    return tuple(items), at


def _read_transaction(data: bytes, start: int, allow_witness: bool) -> tuple[Transaction, int]:
    version = _INT32.unpack_from(data, start)[0]
    count, at = read_count(data, start + 4)
    body = start + 4
    flag = 0
    if count == 0 and allow_witness:
        flag = data[at]
        at += 1
        if flag:
            body = at
            count, at = read_count(data, at)
    raw_inputs, at = _read_inputs(data, at, count)
    if count or flag or not allow_witness:
        out_count, at = read_count(data, at)
        outputs, at = _read_outputs(data, at, out_count)
    else:
        outputs = []  # the byte read as a flag was the count of outputs: none
    body_end = at
    if flag == 0:
        locktime = _UINT32.unpack_from(data, at)[0]
        at += 4
        raw = data[start:at]
        txid = sha256d(raw)
        vin = tuple([TxIn(p, s, n) for p, s, n in raw_inputs])
        size = len(raw)
        return Transaction(version, vin, tuple(outputs), locktime, txid, txid, size, size), at
    if flag != 1:
        raise ParseError("unknown optional data in transaction")
    inputs = []
    seen = False
    for prevout, script, sequence in raw_inputs:
        witness, at = _read_witness(data, at)
        seen = seen or bool(witness)
        inputs.append(TxIn(prevout, script, sequence, witness))
    if not seen:
        raise ParseError("superfluous witness record")
    locktime = _UINT32.unpack_from(data, at)[0]
    at += 4
    stripped = data[start : start + 4] + data[body:body_end] + data[at - 4 : at]
    tx = Transaction(
        version,
        tuple(inputs),
        tuple(outputs),
        locktime,
        sha256d(stripped),
        sha256d(data[start:at]),
        len(stripped),
        at - start,
    )
    return tx, at
