"""Proofs that bytes were there at a time, in the format of OpenTimestamps, which is public.

A proof begins with a file's digest. Steps lead from it (append, prepend, hash) to a message that
an attestation is about: the merkle root of a block, or the id of a payment that is not mined yet.
Steps may branch, so a proof has any number of attestations. docs/notary.md has it byte by byte.
"""

from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import NamedTuple

from misocoin.codec import Reader
from misocoin.crypto.hashes import ripemd160, sha1, sha256
from misocoin.errors import MisocoinError, ParseError

MAGIC = b"\x00OpenTimestamps\x00\x00Proof\x00\xbf\x89\xe2\xe8\x84\xe8\x92\x94"
"""What every proof file begins with."""

VERSION = 1
"""Of the format, as a varuint behind the magic."""

MAX_PROOF = 1 << 16
"""Bytes of a proof that is read; ours have some hundreds."""

MAX_MESSAGE = 4096
"""Bytes of a message and of what a step adds to it; the format's own limit."""

MAX_DEPTH = 256
"""Steps from the digest to an attestation; the format's own limit."""

MAX_PAYLOAD = 8192
"""Bytes of what an attestation says; the format's own limit."""

MAX_HEIGHT = 0xFFFFFFFF
"""A block's height in a proof."""

BITCOIN_TAG = bytes.fromhex("0588960d73d71901")
"""Attestation by a block of Bitcoin or of one of its test networks."""

MISO_TAG = bytes.fromhex("a87b0f070b8e9e5b")
"""Attestation by a block of chain miso: the first 8 bytes of SHA-256 of `misocoin/block`."""

PAYMENT_TAG = bytes.fromhex("09b70647014186cd")
"""A payment that is to be mined: the first 8 bytes of SHA-256 of `misocoin/payment`."""

_TAG_SIZE = 8
_ATTESTATION = 0x00
_FORK = 0xFF


class ProofError(MisocoinError):
    """A proof that does not hold, or not yet."""


class Op(IntEnum):
    """What a step does, by the byte that stands for it."""

    SHA1 = 0x02
    RIPEMD160 = 0x03
    SHA256 = 0x08
    APPEND = 0xF0
    PREPEND = 0xF1
    REVERSE = 0xF2
    HEXLIFY = 0xF3


DIGEST_SIZES = {Op.SHA1: 20, Op.RIPEMD160: 20, Op.SHA256: 32}
"""The steps that a file's digest may be made by, and its bytes."""


class Step(NamedTuple):
    """One step from a message to the next."""

    op: Op
    operand: bytes = b""
    """What APPEND and PREPEND add: 1 to MAX_MESSAGE bytes."""


class BlockAttestation(NamedTuple):
    """The message is the merkle root of a block, in wire order."""

    tag: bytes
    """BITCOIN_TAG or MISO_TAG."""
    height: int


class PaymentAttestation(NamedTuple):
    """The message is the id of a payment, in wire order, that was made and may not be mined yet."""

    genesis: bytes
    """Hash of the first block of the payment's chain, wire order."""


class OtherAttestation(NamedTuple):
    """One that is not known here: it says nothing, for or against."""

    tag: bytes
    payload: bytes


Attestation = BlockAttestation | PaymentAttestation | OtherAttestation


class Attested(NamedTuple):
    """An attestation and what it is about."""

    message: bytes
    attestation: Attestation
    place: slice
    """Where the attestation stands in the proof's bytes."""


class Proof(NamedTuple):
    """A proof as it was read."""

    op: Op
    """How the file's digest is made: a key of DIGEST_SIZES."""
    digest: bytes
    attested: tuple[Attested, ...]
    """In the order of the proof; at least one."""
    data: bytes
    """The proof's bytes."""


def apply_step(step: Step, message: bytes) -> bytes:
    """The message that a step leads to; raises ParseError for one that is too long."""
    match step.op:
        case Op.APPEND:
            result = message + step.operand
        case Op.PREPEND:
            result = step.operand + message
        case Op.REVERSE:
            result = message[::-1]
        case Op.HEXLIFY:
            result = message.hex().encode("ascii")
        case Op.SHA1:
            result = sha1(message)
        case Op.RIPEMD160:
            result = ripemd160(message)
        case Op.SHA256:
            result = sha256(message)
    if len(result) > MAX_MESSAGE:
        raise ParseError(f"a step of the proof leads to more than {MAX_MESSAGE} bytes")
    return result


def message_after(steps: Sequence[Step], message: bytes) -> bytes:
    """Where all `steps` lead from `message`; raises ParseError where one is too long."""
    for step in steps:
        message = apply_step(step, message)
    return message


def bytes_from_proof(
    digest: bytes, steps: Sequence[Step], attestation: BlockAttestation | PaymentAttestation
) -> bytes:
    """Write a proof for a file's SHA-256 that has one path."""
    start = MAGIC + _varuint(VERSION) + bytes((Op.SHA256,)) + digest
    return start + bytes_from_path(steps, attestation)


def bytes_from_path(
    steps: Sequence[Step], attestation: BlockAttestation | PaymentAttestation
) -> bytes:
    """Write steps and the attestation at their end."""
    parts = []
    for op, operand in steps:
        parts.append(bytes((op,)))
        if operand:
            parts += (_varuint(len(operand)), operand)
    if isinstance(attestation, BlockAttestation):
        tag, payload = attestation.tag, _varuint(attestation.height)
    else:
        tag, payload = PAYMENT_TAG, attestation.genesis
    parts += (bytes((_ATTESTATION,)), tag, _varuint(len(payload)), payload)
    return b"".join(parts)


def extend_proof(
    proof: Proof, attested: Attested, steps: Sequence[Step], attestation: BlockAttestation
) -> Proof:
    """Put a path in place of one attestation; raises ParseError where it becomes too long."""
    data, place = proof.data, attested.place
    path = bytes_from_path(steps, attestation)
    return proof_from_bytes(data[: place.start] + path + data[place.stop :])


def proof_from_bytes(data: bytes) -> Proof:
    """Parse a proof and take its steps; raises ParseError."""
    if len(data) > MAX_PROOF:
        raise ParseError(f"more than {MAX_PROOF} bytes are no proof")
    if not data.startswith(MAGIC):
        raise ParseError("not a proof: it does not begin as files of OpenTimestamps do")
    reader = Reader(data, len(MAGIC))
    version = _read_varuint(reader, 0xFF)
    if version != VERSION:
        raise ParseError(f"a proof of version {version}, which is not known here")
    op = _op_from_byte(reader.uint(1))
    if op not in DIGEST_SIZES:
        raise ParseError("the proof's digest is of no kind that files have")
    digest = reader.take(DIGEST_SIZES[op])
    attested = tuple(_read_paths(reader, digest))
    reader.expect_end()
    return Proof(op, digest, attested, data)


def _read_paths(reader: Reader, message: bytes) -> Iterator[Attested]:
    """Take every step, depth first. What waits is the messages at which paths fork."""
    waiting = [(message, 0)]
    while waiting:
        message, depth = waiting.pop()
        while True:
            byte = reader.uint(1)
            if byte == _FORK:
                waiting.append((message, depth))
                byte = reader.uint(1)
            if byte == _ATTESTATION:
                start = reader.position - 1  # a fork's mark before it is no part of it
                attestation = _read_attestation(reader)
                yield Attested(message, attestation, slice(start, reader.position))
                break
            op = _op_from_byte(byte)
            operand = _read_operand(reader) if op in (Op.APPEND, Op.PREPEND) else b""
            message = apply_step(Step(op, operand), message)
            depth += 1
            if depth >= MAX_DEPTH:
                raise ParseError(f"the proof has more than {MAX_DEPTH} steps in a row")


def _op_from_byte(byte: int) -> Op:
    try:
        return Op(byte)
    except ValueError:
        raise ParseError(f"step {byte:02x} of the proof is not known here") from None


def _read_operand(reader: Reader) -> bytes:
    size = _read_varuint(reader, MAX_MESSAGE)
    if not size:
        raise ParseError("a step of the proof adds nothing")
    return reader.take(size)


def _read_attestation(reader: Reader) -> Attestation:
    tag = reader.take(_TAG_SIZE)
    payload = reader.take(_read_varuint(reader, MAX_PAYLOAD))
    if tag in (BITCOIN_TAG, MISO_TAG):
        inner = Reader(payload)
        height = _read_varuint(inner, MAX_HEIGHT)
        inner.expect_end()
        return BlockAttestation(tag, height)
    if tag == PAYMENT_TAG:
        if len(payload) != 32:
            raise ParseError("the proof names no chain for its payment")
        return PaymentAttestation(payload)
    return OtherAttestation(tag, payload)


def _varuint(value: int) -> bytes:
    """An unsigned number in groups of seven bits, lowest first (LEB128)."""
    groups = []
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*groups, value))


def _read_varuint(reader: Reader, limit: int) -> int:
    """Read such a number in its shortest form, at most `limit`; raises ParseError."""
    value = shift = 0
    while True:
        group = reader.uint(1)
        value |= (group & 0x7F) << shift
        if value > limit:
            raise ParseError(f"a number in the proof is over its limit of {limit}")
        if not group & 0x80:
            break
        shift += 7
        if shift > 63:
            raise ParseError("a number in the proof has no end")
    if shift and not group:
        raise ParseError("a number in the proof is not in its shortest form")
    return value
