"""The captured purchase: TCP streams of a pcap file, and the HTTP messages in them."""

import gzip
import struct
from collections.abc import Iterator
from email.parser import BytesParser
from functools import cache
from typing import NamedTuple
from urllib.parse import parse_qsl

from tests.shared import shared_file


class HttpMessage(NamedTuple):
    """A request or an answer."""

    start: str
    fields: dict[str, str]
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        """The fields of a url-encoded form."""
        return dict(parse_qsl(self.body.decode(), strict_parsing=True, keep_blank_values=True))

    @property
    def parts(self) -> dict[str, bytes]:
        """The parts of a multipart form."""
        head = f"Content-Type: {self.fields['content-type']}\r\n\r\n".encode()
        parsed = BytesParser().parsebytes(head + self.body)
        return {
            str(part.get_param("name", header="content-disposition")): part.get_payload(decode=True)
            for part in parsed.get_payload()
        }


Stream = tuple[int, int]
"""Ports of sender and receiver; with them all streams of the capture are told apart."""


@cache
def streams() -> dict[Stream, bytes]:
    """What was sent over each TCP connection, in order of the connections' beginnings."""
    data = shared_file("vectors/bitwrk/direct.pcap").read_bytes()
    segments: dict[Stream, dict[int, bytes]] = {}
    place = 24
    while place < len(data):
        (size,) = struct.unpack_from("<I", data, place + 8)
        packet = data[place + 16 + 14 : place + 16 + size]  # behind the Ethernet header
        place += 16 + size
        segment = packet[(packet[0] & 15) * 4 : struct.unpack_from(">H", packet, 2)[0]]
        source, target, sequence = struct.unpack_from(">HHI", segment)
        body = segment[(segment[12] >> 4) * 4 :]
        seen = segments.setdefault((source, target), {})
        if body:
            seen[sequence] = max(seen.get(sequence, b""), body, key=len)
    return {stream: _joined(seen) for stream, seen in segments.items() if seen}


def _joined(segments: dict[int, bytes]) -> bytes:
    whole = bytearray()
    following = min(segments)
    for sequence in sorted(segments):
        body = segments[sequence][max(0, following - sequence) :]
        whole += body
        following += len(body)
    return bytes(whole)


def messages(data: bytes) -> Iterator[HttpMessage]:
    """The HTTP messages of one direction of a connection."""
    while data:
        head, _, data = data.partition(b"\r\n\r\n")
        start, *lines = head.decode().split("\r\n")
        pairs = [line.partition(": ")[::2] for line in lines]
        fields = {name.lower(): value for name, value in pairs}
        if fields.get("transfer-encoding") == "chunked":
            body, data = _unchunked(data)
        else:
            size = int(fields.get("content-length", 0))
            body, data = data[:size], data[size:]
        if fields.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        yield HttpMessage(start, fields, body)


def _unchunked(data: bytes) -> tuple[bytes, bytes]:
    whole = b""
    while True:
        size, _, data = data.partition(b"\r\n")
        length = int(size, 16)
        whole += data[:length]
        data = data[length + 2 :]
        if not length:
            return whole, data


def requests(port: int) -> list[HttpMessage]:
    """All that was sent to a port."""
    return [m for (_, to), data in streams().items() if to == port for m in messages(data)]


def answers(port: int) -> list[HttpMessage]:
    """All that came from a port."""
    return [m for (by, _), data in streams().items() if by == port for m in messages(data)]


SERVER, SELLER = 18080, 18092
"""Ports of the market's server and of the seller."""
