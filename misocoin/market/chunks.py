"""BitWrk's chunked transfer, without sockets: chunks, their list, and the list of wishes.

Work is cut where its own content says, so that equal parts of two works are equal chunks, and a
seller asks only for those it lacks. The buyer sends the list of chunks; the seller answers with
one bit for each place of a shuffled order, and the buyer sends the wanted ones in that order.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from typing import NamedTuple, TypeVar

from misocoin.market.errors import Malformed

MIN_CHUNK = 128
"""Bytes that a chunk has at least, if it is not the last."""

MAX_CHUNK = 131_072
"""Bytes that a chunk has at most."""

MAX_CHUNKS = 98_304
"""Chunks of one work."""

MAX_WORK = 1 << 34
"""Bytes that a list of chunks may promise."""

PERMUTATION = 256
"""Places that the shuffle holds chunks in."""

_WINDOW = 48
_BASE = 65_521
_CUT_MODULUS, _CUT_VALUE = 8_191, 4_159
_HASH_SIZE = 32

T = TypeVar("T")


class ChunkInfo(NamedTuple):
    """A chunk as the list names it."""

    key: bytes
    """SHA-256 of its bytes."""
    size: int
    """Bytes."""


class SyncInfo(NamedTuple):
    """What a buyer says of its work before it sends any of it."""

    chunks: tuple[ChunkInfo, ...]
    permutation: tuple[int, ...]
    """The numbers below its length, each once; decides the order of sending."""


# -- cutting -----------------------------------------------------------------------------------


def chunk_sizes(data: bytes) -> Iterator[int]:
    """The sizes of the chunks into which data is cut.

    A rolling Adler-32 over the last 48 bytes begins anew with each chunk. A chunk ends before the
    byte with which it would have more than 128 bytes and a sum that is 4159 modulo 8191, or more
    than 131,072 bytes.
    """
    start, size = 0, len(data)
    while start < size:
        end = _end_of_chunk(data, start, size)
        yield end - start
        start = end


def _end_of_chunk(data: bytes, start: int, size: int) -> int:
    # No cut comes in the first bytes, so the sums begin with the window before the first that may.
    first = start + MIN_CHUNK
    if first >= size:
        return size
    low = 1
    high = _WINDOW
    window = data[first - _WINDOW : first]
    for place, byte in enumerate(window):
        low += byte
        high += (_WINDOW - place) * byte
    last = min(size, start + MAX_CHUNK)
    entering, leaving = data[first:last], data[first - _WINDOW : last - _WINDOW]
    for index, (new, old) in enumerate(zip(entering, leaving, strict=True), first):
        low = (low + new - old) % _BASE
        high = (high + low - _WINDOW * old - 1) % _BASE
        if (high << 16 | low) % _CUT_MODULUS == _CUT_VALUE:
            return index
    return last


def chunks_of(data: bytes) -> list[bytes]:
    """Data, cut."""
    chunks, start = [], 0
    for size in chunk_sizes(data):
        chunks.append(data[start : start + size])
        start += size
    return chunks


def info_of(chunks: Iterable[bytes]) -> tuple[ChunkInfo, ...]:
    """What the list says of chunks."""
    return tuple(ChunkInfo(sha256(chunk).digest(), len(chunk)) for chunk in chunks)


# -- the list ----------------------------------------------------------------------------------


def json_from_sync_info(info: SyncInfo) -> bytes:
    """The list as the buyer sends it in the part `syncinfojson`."""
    chunks = [{"Key": chunk.key.hex(), "Size": chunk.size} for chunk in info.chunks]
    return json.dumps({"Chunks": chunks, "Perm": list(info.permutation)}).encode()


def sync_info_from_json(data: bytes) -> SyncInfo:
    """Read the list. Raises Malformed."""
    try:
        fields = json.loads(data)
        chunks = tuple(
            ChunkInfo(bytes.fromhex(_typed(item["Key"], str)), _typed(item["Size"], int))
            for item in fields["Chunks"]
        )
        permutation = tuple(_typed(item, int) for item in fields["Perm"])
    except (ValueError, TypeError, KeyError, RecursionError):
        raise Malformed("syncinfojson is not a list of chunks") from None
    _check_chunks(chunks)
    if not 1 <= len(permutation) <= PERMUTATION or sorted(permutation) != list(
        range(len(permutation))
    ):
        raise Malformed("Perm is not a permutation")
    return SyncInfo(chunks, permutation)


def _typed(value: object, kind: type[T]) -> T:
    if type(value) is not kind:
        raise TypeError
    return value


def bytes_from_chunk_list(chunks: Iterable[ChunkInfo]) -> bytes:
    """The list in the older part `a32chunks`: of each chunk its key and its size."""
    return b"".join(chunk.key + zigzag(chunk.size) for chunk in chunks)


def chunk_list_from_bytes(data: bytes) -> tuple[ChunkInfo, ...]:
    """Read the older list. Raises Malformed."""
    chunks, place = [], 0
    while place < len(data):
        key = data[place : place + _HASH_SIZE]
        size, place = number_from_zigzag(data, place + _HASH_SIZE)
        chunks.append(ChunkInfo(key, size))
        if len(chunks) > MAX_CHUNKS:
            raise Malformed(f"a work has at most {MAX_CHUNKS} chunks")
    _check_chunks(chunks)
    return tuple(chunks)


def _check_chunks(chunks: Sequence[ChunkInfo]) -> None:
    if not 1 <= len(chunks) <= MAX_CHUNKS:
        raise Malformed(f"a work has 1 to {MAX_CHUNKS} chunks")
    if any(len(key) != _HASH_SIZE or not 0 < size <= MAX_CHUNK for key, size in chunks):
        raise Malformed("a chunk has a key of 32 bytes and a size that chunks can have")
    if sum(chunk.size for chunk in chunks) > MAX_WORK:
        raise Malformed("the work is too large")


# -- numbers -----------------------------------------------------------------------------------


def zigzag(value: int) -> bytes:
    """A number as Go's `binary.PutVarint` writes it: sign in the lowest bit, seven bits a byte."""
    rest = value << 1 if value >= 0 else ~(value << 1)
    data = bytearray()
    while rest >= 0x80:
        data.append(rest & 0x7F | 0x80)
        rest >>= 7
    data.append(rest)
    return bytes(data)


def number_from_zigzag(data: bytes, place: int = 0) -> tuple[int, int]:
    """Read a number of at most 64 bits; returns it and the place behind it. Raises Malformed."""
    rest = 0
    for index in range(10):
        if place + index >= len(data):
            break
        byte = data[place + index]
        rest |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            if rest >= 1 << 64:
                break
            return (rest >> 1) ^ -(rest & 1), place + index + 1
    raise Malformed("a number is cut short or too long")


# -- wishes ------------------------------------------------------------------------------------


def shuffled(items: Iterable[T], permutation: Sequence[int]) -> Iterator[T | None]:
    """The items in the order of sending; None is an empty place, of which there are len - 1.

    Each item takes the next of the permutation's places, and what lay there comes out: with the
    i-th item, place `permutation[i mod k]` of the k places. At the end k - 1 empty ones push the
    rest out. The very first places come out as they are filled.
    """
    size = len(permutation)
    buffer: list[T | None] = [None] * size
    cycle = 0
    for item in (*items, *[None] * (size - 1)):
        buffer[permutation[cycle]] = item
        yield buffer[cycle]
        buffer[cycle] = None
        cycle = (cycle + 1) % size


def bits_from_wishes(wishes: Iterable[bool]) -> bytes:
    """A list of wishes: one bit a place, the most significant first, zeros to the last byte."""
    flags = list(wishes)
    flags += [False] * (-len(flags) % 8)
    return bytes(
        sum(flag << 7 - bit for bit, flag in enumerate(flags[start : start + 8]))
        for start in range(0, len(flags), 8)
    )


def wishes_from_bits(data: bytes, places: int) -> list[bool]:
    """Read a list of wishes for so many places. Raises Malformed for another length."""
    if len(data) != -(-places // 8):
        raise Malformed(f"{places} wishes do not have {len(data)} bytes")
    return [bool(data[place // 8] >> 7 - place % 8 & 1) for place in range(places)]


def join_wanted(chunks: Iterable[bytes]) -> bytes:
    """Chunks as the part `chunkdata` carries them: each behind its length."""
    return b"".join(zigzag(len(chunk)) + chunk for chunk in chunks)


def split_wanted(data: bytes, expected: Iterable[ChunkInfo]) -> list[bytes]:
    """Take `chunkdata` apart and hold it against the list. Raises Malformed."""
    chunks, place = [], 0
    for key, size in expected:
        found, place = number_from_zigzag(data, place)
        chunk = data[place : place + size]
        place += size
        if found != size or sha256(chunk).digest() != key:
            raise Malformed("a chunk is not the one that was asked for")
        chunks.append(chunk)
    if place != len(data):
        raise Malformed("more chunks came than were asked for")
    return chunks
