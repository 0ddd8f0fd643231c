"""Forms with files, as buyers of version 1 send their work; and the gzip around them."""

import secrets
import zlib
from collections.abc import Iterable
from io import BytesIO

from werkzeug.exceptions import HTTPException
from werkzeug.formparser import MultiPartParser
from werkzeug.http import parse_options_header

from misocoin.market.errors import Malformed, TooLarge

MAX_PARTS = 8
"""Parts of one form."""


def form_with_files(parts: Iterable[tuple[str, bytes]], files: Iterable[str]) -> tuple[bytes, str]:
    """A body and its content type; `files` names the parts that are sent as files."""
    boundary = secrets.token_hex(16)
    named = frozenset(files)
    body = bytearray()
    for name, data in parts:
        file_name = f'; filename="{name}"' if name in named else ""
        kind = "Content-Type: application/octet-stream\r\n" if name in named else ""
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{file_name}\r\n{kind}'
        body += head.encode() + b"\r\n" + data + b"\r\n"
    body += f"--{boundary}--\r\n".encode()
    return bytes(body), f"multipart/form-data; boundary={boundary}"


def parts_from_form(content_type: str, body: bytes) -> dict[str, bytes]:
    """The parts of a multipart form by name, files or not. Raises Malformed."""
    kind, options = parse_options_header(content_type)
    boundary = options.get("boundary", "")
    if kind != "multipart/form-data" or not boundary:
        raise Malformed("the body is no multipart form")
    parser = MultiPartParser(
        stream_factory=lambda *_args, **_more: BytesIO(),
        max_form_memory_size=len(body) + 1,
        max_form_parts=MAX_PARTS,
    )
    try:
        fields, files = parser.parse(BytesIO(body), boundary.encode("ascii"), len(body))
    except (ValueError, HTTPException):
        raise Malformed("the multipart form cannot be read") from None
    parts = {name: text.encode() for name, text in fields.items()}
    return parts | {name: file.stream.read() for name, file in files.items()}


def plain_body(body: bytes, encoding: str, limit: int) -> bytes:
    """A body without its gzip, if it has one. Raises Malformed or TooLarge."""
    if encoding in ("", "identity"):
        return body
    if encoding != "gzip":
        raise Malformed("the body may be compressed by gzip alone")
    unpacker = zlib.decompressobj(wbits=31)
    try:
        data = unpacker.decompress(body, limit + 1)
    except zlib.error:
        raise Malformed("the body is no gzip") from None
    if len(data) > limit:
        raise TooLarge(f"the body has more than {limit} bytes")
    if not unpacker.eof:
        raise Malformed("the body's gzip is cut short")
    return data
