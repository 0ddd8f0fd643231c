"""The handshake: what each node tells of itself before anything else, as JSON."""

from typing import Any, NamedTuple

import orjson

from misocoin.errors import ParseError
from misocoin.peers.messages import Address, address_from_parts

PROTOCOL_VERSION = 1
"""Nodes speak to each other if their versions are the same in this number."""

MAX_HELLO = 4096
"""Bytes of a handshake."""

MAX_WORK = 1 << 256
"""No chain has more work than all hashes there are."""


class Hello(NamedTuple):
    """What a node tells of itself."""

    genesis: bytes
    """Hash of its chain's first block, wire order."""
    tip: bytes
    """Hash of its best block, wire order."""
    height: int
    """Of that block."""
    work: int
    """Expected hashes of its best chain."""
    time: int
    """Its clock, unix seconds."""
    nonce: int
    """64 random bits, new with every start: two links of one node show by it."""
    port: int = 0
    """Where it listens; 0 if nobody can reach it."""
    host: str = ""
    """Its address to the outside where it was told one; else it is what the other side sees."""
    agent: str = ""
    """Program and version."""
    version: int = PROTOCOL_VERSION
    session: str = ""
    """In an answer: the name of the link, under which the dialling side may speak."""


def bytes_from_hello(hello: Hello) -> bytes:
    """Write a handshake."""
    return orjson.dumps(
        {
            "version": hello.version,
            "genesis": hello.genesis[::-1].hex(),
            "tip": hello.tip[::-1].hex(),
            "height": hello.height,
            "work": f"{hello.work:064x}",
            "time": hello.time,
            "nonce": f"{hello.nonce:016x}",
            "port": hello.port,
            "host": hello.host,
            "agent": hello.agent,
            "session": hello.session,
        }
    )


def hello_from_bytes(data: bytes) -> Hello:
    """Read a handshake; raises ParseError for anything else."""
    if len(data) > MAX_HELLO:
        raise ParseError("the handshake is too long")
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise ParseError("the handshake is no JSON") from error
    if not isinstance(value, dict):
        raise ParseError("the handshake is no JSON object")
    host, port = _text(value, "host", 64), _number(value, "port", 65535)
    if host:
        host = address_from_parts(host.encode(), max(port, 1)).host
    return Hello(
        genesis=_hex(value, "genesis", 64)[::-1],
        tip=_hex(value, "tip", 64)[::-1],
        height=_number(value, "height", 1 << 32),
        work=int.from_bytes(_hex(value, "work", 64), "big"),
        time=_number(value, "time", 1 << 33),
        nonce=int.from_bytes(_hex(value, "nonce", 16), "big"),
        port=port,
        host=host,
        agent=_text(value, "agent", 100),
        version=_number(value, "version", 1 << 31),
        session=_text(value, "session", 64),
    )


def own_address(hello: Hello, seen_host: str) -> Address | None:
    """Where the node can be reached: the address it names, or the one it was seen under."""
    if not hello.port:
        return None
    return Address(hello.host or seen_host, hello.port, 0)


def _text(value: dict[str, Any], name: str, most: int) -> str:
    text = value.get(name, "")
    if not isinstance(text, str) or len(text) > most or not text.isascii():
        raise ParseError(f"the handshake's {name} is no text of at most {most} characters")
    return "".join(c if c.isprintable() else "?" for c in text)


def _number(value: dict[str, Any], name: str, most: int) -> int:
    number = value.get(name)
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number <= most:
        raise ParseError(f"the handshake's {name} is no number up to {most}")
    return number


def _hex(value: dict[str, Any], name: str, length: int) -> bytes:
    text = value.get(name)
    try:
        if isinstance(text, str) and len(text) == length:
            return bytes.fromhex(text)
    except ValueError:
        pass
    raise ParseError(f"the handshake's {name} is not {length} hex digits")
