"""The digests that signatures sign: legacy, segwit v0 (BIP143), taproot and tapscript (BIP341/342).

Hash types are one byte here, as they end a signature; the legacy digest takes any 32-bit number.
"""

from collections.abc import Sequence
from hashlib import sha256
from struct import Struct
from typing import Protocol

from misocoin.codec import compact_size, var_bytes
from misocoin.crypto.hashes import sha256d, tagged_hash
from misocoin.primitives.transaction import SEQUENCE_FINAL, Transaction
from misocoin.script.opcodes import OP_CODESEPARATOR
from misocoin.script.script import read_operation

SIGHASH_DEFAULT = 0x00
"""Taproot only: as ALL, one byte shorter."""
SIGHASH_ALL = 0x01
"""All outputs are signed."""
SIGHASH_NONE = 0x02
"""No output is signed."""
SIGHASH_SINGLE = 0x03
"""The output with the input's own index is signed."""
SIGHASH_ANYONECANPAY = 0x80
"""Added to another type: no other input is signed."""

BLANK_INPUT_SIZE = 41
"""Bytes of an input without its script: outpoint, empty script, sequence."""

_OUTPUT_MASK = 0x1F
_ONE = b"\x01" + bytes(31)  # the number one; what SINGLE without its output signs, by accident
_ZERO = bytes(32)
_LENGTHS = tuple(bytes((length,)) for length in range(0xFD))
_UINT32 = Struct("<I")
_INT32 = Struct("<i")
_INT64 = Struct("<q")


class SpentOutput(Protocol):
    """What an input spends: a TxOut or a coin."""

    @property
    def value(self) -> int:
        """Base units."""

    @property
    def script_pubkey(self) -> bytes:
        """The script that locks it."""


class TxDigests:
    """A transaction with what it spends, and the hashes that its signatures share.

    Each shared hash is computed when first asked for, once.
    """

    __slots__ = (
        "_blank_inputs",
        "_hash_amounts",
        "_hash_outputs",
        "_hash_prevouts",
        "_hash_script_pubkeys",
        "_hash_sequences",
        "_outputs",
        "_segwit_hashes",
        "spent",
        "tx",
    )

    def __init__(self, tx: Transaction, spent: Sequence[SpentOutput]) -> None:
        """`spent` are the outputs that the inputs spend, in their order, one for each."""
        if len(spent) != len(tx.vin):
            raise ValueError(f"{len(tx.vin)} inputs, but {len(spent)} spent outputs")
        self.tx = tx
        self.spent = spent
        self._outputs: bytes | None = None
        self._blank_inputs: dict[bool, bytes] = {}
        self._segwit_hashes: tuple[bytes, bytes, bytes] | None = None
        self._hash_prevouts: bytes | None = None
        self._hash_sequences: bytes | None = None
        self._hash_outputs: bytes | None = None
        self._hash_amounts: bytes | None = None
        self._hash_script_pubkeys: bytes | None = None

    @property
    def outputs(self) -> bytes:
        """All outputs as on the wire, without their count."""
        data = self._outputs
        if data is None:
            pack = _INT64.pack
            data = self._outputs = b"".join(
                [
                    # One byte of length is all that nearly every script needs.
                    pack(value) + _LENGTHS[len(script)] + script
                    if len(script) < 0xFD
                    else pack(value) + var_bytes(script)
                    for value, script in self.tx.vout
                ]
            )
        return data

    def blank_inputs(self, *, keep_sequences: bool) -> bytes:
        """All inputs as on the wire but without scripts, BLANK_INPUT_SIZE bytes each.

        The sequence numbers are those of the inputs, or zero.
        """
        data = self._blank_inputs.get(keep_sequences)
        if data is None:
            pack = _UINT32.pack
            mask = SEQUENCE_FINAL if keep_sequences else 0
            data = self._blank_inputs[keep_sequences] = b"".join(
                [txin.prevout + b"\x00" + pack(txin.sequence & mask) for txin in self.tx.vin]
            )
        return data

    @property
    def segwit_hashes(self) -> tuple[bytes, bytes, bytes]:
        """Double SHA-256 of all outpoints, all sequence numbers and all outputs (BIP143)."""
        hashes = self._segwit_hashes
        if hashes is None:
            hashes = self._segwit_hashes = (
                sha256(self.hash_prevouts).digest(),
                sha256(self.hash_sequences).digest(),
                sha256(self.hash_outputs).digest(),
            )
        return hashes

    @property
    def hash_prevouts(self) -> bytes:
        """SHA-256 of all outpoints."""
        digest = self._hash_prevouts
        if digest is None:
            data = b"".join([txin.prevout for txin in self.tx.vin])
            digest = self._hash_prevouts = sha256(data).digest()
        return digest

    @property
    def hash_sequences(self) -> bytes:
        """SHA-256 of all sequence numbers."""
        digest = self._hash_sequences
        if digest is None:
            pack = _UINT32.pack
            data = b"".join([pack(txin.sequence) for txin in self.tx.vin])
            digest = self._hash_sequences = sha256(data).digest()
        return digest

    @property
    def hash_outputs(self) -> bytes:
        """SHA-256 of all outputs."""
        digest = self._hash_outputs
        if digest is None:
            digest = self._hash_outputs = sha256(self.outputs).digest()
        return digest

    @property
    def hash_amounts(self) -> bytes:
        """SHA-256 of the amounts that are spent."""
        digest = self._hash_amounts
        if digest is None:
            data = b"".join([_INT64.pack(output.value) for output in self.spent])
            digest = self._hash_amounts = sha256(data).digest()
        return digest

    @property
    def hash_script_pubkeys(self) -> bytes:
        """SHA-256 of the scripts that are spent, each behind its length."""
        digest = self._hash_script_pubkeys
        if digest is None:
            data = b"".join([var_bytes(output.script_pubkey) for output in self.spent])
            digest = self._hash_script_pubkeys = sha256(data).digest()
        return digest


def without_code_separators(script: bytes) -> bytes:
    """A script without its CODESEPARATOR operations, as the legacy digest hashes it."""
    if OP_CODESEPARATOR not in script:
        return script
    kept = []
    start = at = 0
    while at < len(script):
        opcode, _, after = read_operation(script, at)
        if opcode == OP_CODESEPARATOR:
            kept.append(script[start:at])
            start = after
        at = after
    kept.append(script[start:])
    return b"".join(kept)


def _other_inputs(digests: TxDigests, index: int, *, keep_sequences: bool) -> tuple[bytes, bytes]:
    """The inputs before and behind `index` as the legacy digest has them: without scripts."""
    if len(digests.tx.vin) == 1:
        return b"", b""
    blank = digests.blank_inputs(keep_sequences=keep_sequences)
    start = BLANK_INPUT_SIZE * index
    return blank[:start], blank[start + BLANK_INPUT_SIZE :]


def legacy_sighash(digests: TxDigests, index: int, script_code: bytes, hash_type: int) -> bytes:
    """The digest before segwit, for input `index`; `script_code` still has its CODESEPARATORs.

    SINGLE without an output of that index signs the number one (wire order), as it always did.
    """
    tx = digests.tx
    kind = hash_type & _OUTPUT_MASK
    partial = kind in (SIGHASH_NONE, SIGHASH_SINGLE)
    own = tx.vin[index]
    if kind == SIGHASH_SINGLE and index >= len(tx.vout):
        return _ONE
    if hash_type & SIGHASH_ANYONECANPAY:
        count, before, behind = b"\x01", b"", b""
    else:
        count = compact_size(len(tx.vin))
        before, behind = _other_inputs(digests, index, keep_sequences=not partial)
    if kind == SIGHASH_NONE:
        outputs = b"\x00"
    elif kind == SIGHASH_SINGLE:
        # The outputs before it are blank: amount -1, empty script.
        blank = b"\xff\xff\xff\xff\xff\xff\xff\xff\x00" * index
        outputs = compact_size(index + 1) + blank + tx.vout[index].serialize()
    else:
        outputs = compact_size(len(tx.vout)) + digests.outputs
    pack = _UINT32.pack
    parts = (
        _INT32.pack(tx.version),
        count,
        before,
        own.prevout,
        var_bytes(without_code_separators(script_code)),
        pack(own.sequence),
        behind,
        outputs,
        pack(tx.locktime),
        pack(hash_type & 0xFFFFFFFF),
    )
    return sha256d(b"".join(parts))


def segwit_sighash(digests: TxDigests, index: int, script_code: bytes, hash_type: int) -> bytes:
    """The digest of segwit v0 (BIP143); commits to the amount of the output that is spent."""
    tx = digests.tx
    own = tx.vin[index]
    kind = hash_type & _OUTPUT_MASK
    prevouts, sequences, outputs = digests.segwit_hashes
    if hash_type & SIGHASH_ANYONECANPAY:
        prevouts = sequences = _ZERO
    if kind == SIGHASH_SINGLE and index < len(tx.vout):
        sequences, outputs = _ZERO, sha256d(tx.vout[index].serialize())
    elif kind in (SIGHASH_NONE, SIGHASH_SINGLE):
        sequences = outputs = _ZERO
    parts = (
        _INT32.pack(tx.version),
        prevouts,
        sequences,
        own.prevout,
        var_bytes(script_code),
        _INT64.pack(digests.spent[index].value),
        _UINT32.pack(own.sequence),
        outputs,
        _UINT32.pack(tx.locktime),
        _UINT32.pack(hash_type),
    )
    return sha256d(b"".join(parts))


def taproot_sighash(
    digests: TxDigests,
    index: int,
    hash_type: int,
    annex_hash: bytes | None = None,
    leaf: tuple[bytes, int] | None = None,
) -> bytes | None:
    """The digest of taproot; None if the hash type is unknown or SINGLE lacks its output.

    `annex_hash` is the SHA-256 of the annex behind its length. `leaf` makes it the digest of a
    tapscript: the leaf's hash and the position of the last CODESEPARATOR that was run (0xFFFFFFFF
    for none).
    """
    if hash_type & ~(SIGHASH_ANYONECANPAY | 3) or hash_type == SIGHASH_ANYONECANPAY:
        return None
    tx = digests.tx
    own = tx.vin[index]
    kind = hash_type & 3 or SIGHASH_ALL
    if kind == SIGHASH_SINGLE and index >= len(tx.vout):
        return None
    # The first byte is the epoch: room for other digests under the same tag.
    parts = [b"\x00", bytes((hash_type,)), _INT32.pack(tx.version), _UINT32.pack(tx.locktime)]
    anyone = hash_type & SIGHASH_ANYONECANPAY
    if not anyone:
        parts += (
            digests.hash_prevouts,
            digests.hash_amounts,
            digests.hash_script_pubkeys,
            digests.hash_sequences,
        )
    if kind == SIGHASH_ALL:
        parts.append(digests.hash_outputs)
    parts.append(bytes(((2 if leaf else 0) | (annex_hash is not None),)))
    if anyone:
        spent = digests.spent[index]
        parts += (
            own.prevout,
            _INT64.pack(spent.value),
            var_bytes(spent.script_pubkey),
            _UINT32.pack(own.sequence),
        )
    else:
        parts.append(_UINT32.pack(index))
    if annex_hash is not None:
        parts.append(annex_hash)
    if kind == SIGHASH_SINGLE:
        parts.append(sha256(tx.vout[index].serialize()).digest())
    if leaf:
        # The zero is the version of the leaf's public keys.
        parts += (leaf[0], b"\x00", _UINT32.pack(leaf[1]))
    return tagged_hash("TapSighash", b"".join(parts))


def annex_hash(annex: bytes) -> bytes:
    """What signatures commit an annex by: SHA-256 of it behind its length."""
    return sha256(var_bytes(annex)).digest()
