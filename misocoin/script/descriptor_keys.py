"""Keys in output descriptors (BIP380): hex, WIF, or extended keys with a path.

    [d34db33f/84h/0h/0h]xpub.../1/*     origin, key, path, and a child for each number of a range

Nothing here is secret but what a private key was read of: texts never show one.
"""

import re
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Protocol

from misocoin.crypto import base58
from misocoin.crypto.bip32 import (
    HARDENED,
    ExtendedPrivateKey,
    ExtendedPublicKey,
    Path,
    extended_key_from_bytes,
)
from misocoin.crypto.hashes import hash160
from misocoin.crypto.keys import is_public_key
from misocoin.crypto.wif import key_from_wif
from misocoin.errors import AddressError, KeyFormatError, ParseError
from misocoin.params import Params

FINGERPRINT_SIZE = 8
"""Hex digits of a fingerprint, the first four bytes of a key's HASH160."""

_HEX = re.compile(r"(?:[0-9a-fA-F]{2})*", re.ASCII)
_STEP = re.compile(r"(\d{1,10})(['h]?)", re.ASCII)


class DerivedKey(NamedTuple):
    """One key of an expression."""

    public_key: bytes
    """33 or 65 bytes."""
    origin: str
    """Where it comes from, in brackets: the fingerprint of a key, and the path from that."""

    @property
    def text(self) -> str:
        """As an expression of its own."""
        return self.origin + self.public_key.hex()

    @property
    def xonly(self) -> bytes:
        """The x coordinate, 32 bytes."""
        return self.public_key[1:]

    @property
    def xonly_text(self) -> str:
        """As `text`, for taproot."""
        return self.origin + self.xonly.hex()


class KeyExpression(Protocol):
    """What a descriptor says of a key."""

    @property
    def text(self) -> str:
        """As it was written, without secrets."""

    @property
    def is_range(self) -> bool:
        """Whether it stands for a key for each number from 0 on."""

    @property
    def is_private(self) -> bool:
        """Whether it was written with a private key."""

    @property
    def is_compressed(self) -> bool:
        """Whether the public key has 33 bytes."""

    def at(self, index: int) -> DerivedKey:
        """The key of that number. Raises KeyFormatError where only a private key would do."""


@dataclass(frozen=True)
class _Steps:
    """A path as it was written."""

    path: Path = ()
    mark: str = "h"
    """What hardened steps are written with: the last that was seen."""

    @property
    def text(self) -> str:
        return text_from_steps(self.path, self.mark)


def text_from_steps(path: Path, mark: str = "h") -> str:
    """Write a path as descriptors do: `/84h/0h/0`."""
    return "".join([f"/{step % HARDENED}{mark if step >= HARDENED else ''}" for step in path])


@dataclass(frozen=True)
class _Origin:
    fingerprint: str
    steps: _Steps

    @property
    def text(self) -> str:
        return f"[{self.fingerprint}{self.steps.text}]"

    def on(self, path: Path) -> str:
        """The origin of a key at the end of a path from here."""
        return f"[{self.fingerprint}{text_from_steps(self.steps.path + path)}]"


@dataclass(frozen=True)
class _Constant:
    """A key in hex or WIF."""

    public_key: bytes
    origin: _Origin | None
    is_private: bool
    is_xonly: bool
    """Whether it is written by its x coordinate."""
    is_range = False

    @property
    def text(self) -> str:
        shown = self.public_key[1:] if self.is_xonly else self.public_key
        return (self.origin.text if self.origin else "") + shown.hex()

    @property
    def is_compressed(self) -> bool:
        return len(self.public_key) == 33

    def at(self, index: int) -> DerivedKey:
        del index
        own = _Origin(hash160(self.public_key)[:4].hex(), _Steps())
        return DerivedKey(self.public_key, (self.origin or own).on(()))


@dataclass(frozen=True)
class _Extended:
    """An extended key, its path, and what stands for a range."""

    root: ExtendedPublicKey | ExtendedPrivateKey
    steps: _Steps
    wildcard: str
    """``, `/*`, or `/*h` for hardened children."""
    origin: _Origin | None
    version: bytes
    """Of extended public keys."""
    is_compressed = True

    @property
    def text(self) -> str:
        root = self.root.public if isinstance(self.root, ExtendedPrivateKey) else self.root
        before = self.origin.text if self.origin else ""
        return before + root.to_text(self.version) + self.steps.text + self.wildcard

    @property
    def is_range(self) -> bool:
        return bool(self.wildcard)

    @property
    def is_private(self) -> bool:
        return isinstance(self.root, ExtendedPrivateKey)

    @cached_property
    def _parent(self) -> ExtendedPublicKey | ExtendedPrivateKey:
        """The key at the end of the path, before the range."""
        if isinstance(self.root, ExtendedPublicKey) and max(self.steps.path, default=0) >= HARDENED:
            raise KeyFormatError("Cannot derive script without private keys")
        found = self.root.derive(self.steps.path)
        if isinstance(found, ExtendedPrivateKey) and not self._is_hardened:
            return found.public
        return found

    @property
    def _is_hardened(self) -> bool:
        return len(self.wildcard) > 2

    def at(self, index: int) -> DerivedKey:
        path, key = self.steps.path, self._parent
        if self.wildcard:
            step = index + HARDENED if self._is_hardened else index
            path = (*path, step)
            if self._is_hardened and isinstance(key, ExtendedPublicKey):
                raise KeyFormatError("Cannot derive script without private keys")
            key = key.child(step)
        public = key.public if isinstance(key, ExtendedPrivateKey) else key
        own = _Origin(self.root.fingerprint.hex(), _Steps())
        return DerivedKey(public.public_key, (self.origin or own).on(path))


def key_from_text(
    text: str, params: Params, *, allow_uncompressed: bool = False, allow_xonly: bool = False
) -> KeyExpression:
    """Read a key expression; raises ParseError, in Core's words.

    With `allow_xonly`, in taproot, a key may be 64 hex digits, and a private key stands for such.
    """
    before, bracket, name = text.rpartition("]")
    if "]" in before:
        raise ParseError("Multiple ']' characters found for a single pubkey")
    origin = _origin_from_text(before) if bracket else None
    body, *steps = name.split("/")
    if not steps:
        if body and _HEX.fullmatch(body):
            return _from_hex(body, origin, allow_uncompressed, allow_xonly)
        try:
            private = key_from_wif(body, params.address.wif)
        except KeyFormatError:
            pass
        else:
            if not (private.compressed or allow_uncompressed):
                raise ParseError("Uncompressed keys are not allowed")
            return _Constant(private.public_key, origin, True, allow_xonly)
    return _from_extended(body, steps, origin, params)


def _from_hex(
    body: str, origin: _Origin | None, allow_uncompressed: bool, allow_xonly: bool
) -> KeyExpression:
    data = bytes.fromhex(body)
    is_xonly = allow_xonly and len(data) == 32
    key = b"\x02" + data if is_xonly else data
    if len(key) == 65 and key[0] != 4:
        raise ParseError("Hybrid public keys are not allowed")
    if not is_public_key(key):
        raise ParseError(f"Pubkey '{body}' is invalid")
    if len(key) != 33 and not allow_uncompressed:
        raise ParseError("Uncompressed keys are not allowed")
    return _Constant(key, origin, False, is_xonly)


def _from_extended(
    body: str, steps: list[str], origin: _Origin | None, params: Params
) -> KeyExpression:
    public, private = params.address.bip32_public, params.address.bip32_private
    try:
        data = base58.bytes_from_checked_text(body)
        root = extended_key_from_bytes(data)
    except (AddressError, KeyFormatError):
        raise ParseError(f"key '{body}' is not valid") from None
    if data[:4] != (private if isinstance(root, ExtendedPrivateKey) else public):
        raise ParseError(f"key '{body}' is not valid")
    wildcard = ""
    if steps and steps[-1] in ("*", "*h", "*'"):
        wildcard = f"/{steps.pop()}"
    return _Extended(root, _steps_from_texts(steps), wildcard, origin, public)


def _origin_from_text(text: str) -> _Origin:
    if not text.startswith("["):
        raise ParseError(
            f"Key origin start '[ character expected but not found, got '{text[:1]}' instead"
        )
    fingerprint, *steps = text[1:].split("/")
    if len(fingerprint) != FINGERPRINT_SIZE:
        raise ParseError(
            f"Fingerprint is not 4 bytes ({len(fingerprint)} characters instead of "
            f"{FINGERPRINT_SIZE} characters)"
        )
    if not _HEX.fullmatch(fingerprint):
        raise ParseError(f"Fingerprint '{fingerprint}' is not hex")
    return _Origin(fingerprint.lower(), _steps_from_texts(steps))


def _steps_from_texts(texts: list[str]) -> _Steps:
    path, mark = [], "h"
    for text in texts:
        match = _STEP.fullmatch(text)
        if match is None:
            raise ParseError(f"Key path value '{text}' is not a valid uint32")
        if int(match[1]) >= HARDENED:
            raise ParseError(f"Key path value {match[1]} is out of range")
        path.append(int(match[1]) + (HARDENED if match[2] else 0))
        mark = match[2] or mark
    return _Steps(tuple(path), mark)
