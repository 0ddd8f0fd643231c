"""Hierarchical deterministic keys (BIP32): a tree of keys from one seed.

Our own few lines rather than a library, since they stand on either backend of
`misocoin.crypto.keys`, the one without libsecp256k1 included.
"""

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import NamedTuple

from misocoin.crypto import base58
from misocoin.crypto.hashes import hash160
from misocoin.crypto.keys import PrivateKey, is_public_key, public_key_tweak_add
from misocoin.errors import AddressError, KeyFormatError

HARDENED = 1 << 31
"""Added to a child's number: such children follow from the private key alone."""

MAX_DEPTH = 255

_SIZE = 78
_STEP = re.compile(r"(\d{1,10})(['hH]?)", re.ASCII)

Path = tuple[int, ...]
"""The numbers of the children from a key down, with HARDENED added where it is."""


def path_from_text(text: str) -> Path:
    """Read `m/84'/0'/0'`, with or without `m/`; `h` and `H` mean the same as `'`.

    Raises KeyFormatError.
    """
    steps = text.removeprefix("m").removeprefix("/")
    path = []
    for step in steps.split("/") if steps else ():
        match = _STEP.fullmatch(step)
        if match is None or int(match[1]) >= HARDENED:
            raise KeyFormatError(f"{text[:80]!r} is not a path such as m/84'/0'/0'")
        path.append(int(match[1]) + (HARDENED if match[2] else 0))
    if len(path) > MAX_DEPTH:
        raise KeyFormatError("a path has at most 255 steps")
    return tuple(path)


def text_from_path(path: Path) -> str:
    """Write a path with `'` for hardened children, from `m` on."""
    steps = (f"{step % HARDENED}{chr(39) if step >= HARDENED else ''}" for step in path)
    return "/".join(("m", *steps))


@dataclass(frozen=True)
class ExtendedPublicKey:
    """A public key with what is needed to derive its children."""

    public_key: bytes
    """33 bytes."""
    chain_code: bytes
    """32 bytes."""
    depth: int = 0
    """Steps from the master key."""
    parent_fingerprint: bytes = bytes(4)
    child_number: int = 0

    @cached_property
    def fingerprint(self) -> bytes:
        """The first four bytes of the key's HASH160, by which it is known."""
        return hash160(self.public_key)[:4]

    def child(self, number: int) -> "ExtendedPublicKey":
        """The child of that number, not hardened. Raises KeyFormatError where there is none."""
        if number >= HARDENED:
            raise KeyFormatError("hardened children need the private key")
        tweak, chain_code = _tweak(self.chain_code, self.public_key, number)
        public_key = public_key_tweak_add(self.public_key, tweak)
        if public_key is None:
            raise KeyFormatError(f"child {number} does not exist")
        return ExtendedPublicKey(
            public_key, chain_code, _deeper(self.depth), self.fingerprint, number
        )

    def derive(self, path: Path) -> "ExtendedPublicKey":
        """The descendant at the end of `path`."""
        key = self
        for number in path:
            key = key.child(number)
        return key

    def to_bytes(self, version: bytes) -> bytes:
        """The 78 bytes behind the text, with the network's version bytes."""
        return _serialized(self, version, self.public_key)

    def to_text(self, version: bytes) -> str:
        """`xpub…`, by the network's version bytes."""
        return base58.checked_text_from_bytes(self.to_bytes(version))


@dataclass(frozen=True)
class ExtendedPrivateKey:
    """A private key with what is needed to derive its children."""

    key: PrivateKey
    chain_code: bytes = field(repr=False)
    """32 bytes."""
    depth: int = 0
    parent_fingerprint: bytes = bytes(4)
    child_number: int = 0

    @classmethod
    def from_seed(cls, seed: bytes) -> "ExtendedPrivateKey":
        """The master key of a seed of 16 to 64 bytes. Raises KeyFormatError."""
        if not 16 <= len(seed) <= 64:
            raise KeyFormatError(f"a seed has 16 to 64 bytes, not {len(seed)}")
        digest = hmac.digest(b"Bitcoin seed", seed, "sha512")
        return cls(PrivateKey(digest[:32]), digest[32:])

    @cached_property
    def public(self) -> ExtendedPublicKey:
        """The same without the secret."""
        return ExtendedPublicKey(
            self.key.public_key,
            self.chain_code,
            self.depth,
            self.parent_fingerprint,
            self.child_number,
        )

    @property
    def fingerprint(self) -> bytes:
        """As `ExtendedPublicKey.fingerprint`."""
        return self.public.fingerprint

    def child(self, number: int) -> "ExtendedPrivateKey":
        """The child of that number. Raises KeyFormatError where there is none (never, in 2^127)."""
        secret = b"\x00" + self.key.secret if number >= HARDENED else self.key.public_key
        tweak, chain_code = _tweak(self.chain_code, secret, number)
        return ExtendedPrivateKey(
            self.key.tweak_add(tweak), chain_code, _deeper(self.depth), self.fingerprint, number
        )

    def derive(self, path: Path) -> "ExtendedPrivateKey":
        """The descendant at the end of `path`."""
        key = self
        for number in path:
            key = key.child(number)
        return key

    def to_text(self, version: bytes) -> str:
        """`xprv…`, by the network's version bytes."""
        return base58.checked_text_from_bytes(
            _serialized(self.public, version, b"\x00" + self.key.secret)
        )


def _deeper(depth: int) -> int:
    if depth == MAX_DEPTH:
        raise KeyFormatError("a key at depth 255 has no children")
    return depth + 1


def _tweak(chain_code: bytes, data: bytes, number: int) -> tuple[bytes, bytes]:
    digest = hmac.digest(chain_code, data + number.to_bytes(4, "big"), "sha512")
    return digest[:32], digest[32:]


def _serialized(key: ExtendedPublicKey, version: bytes, data: bytes) -> bytes:
    number = key.child_number.to_bytes(4, "big")
    return version + bytes((key.depth,)) + key.parent_fingerprint + number + key.chain_code + data


class Version(NamedTuple):
    """What the first four bytes of an extended key say."""

    form: str
    """The addresses it is for: `x` any or P2PKH, `y` P2SH-P2WPKH, `z` P2WPKH, `Z` P2WSH multisig;
    letters of SLIP-132.
    """
    is_test: bool
    """Whether it is for test networks, where the text begins with t, u, v or V instead."""
    is_private: bool


VERSIONS: Mapping[bytes, Version] = MappingProxyType(
    {
        bytes.fromhex(public if not private else secret): Version(form, test, private)
        for form, test, public, secret in (
            ("x", False, "0488b21e", "0488ade4"),
            ("x", True, "043587cf", "04358394"),
            ("y", False, "049d7cb2", "049d7878"),
            ("y", True, "044a5262", "044a4e28"),
            ("z", False, "04b24746", "04b2430c"),
            ("z", True, "045f1cf6", "045f18bc"),
            ("Z", False, "02aa7ed3", "02aa7a99"),
            ("Z", True, "02575483", "02575048"),
        )
        for private in (False, True)
    }
)
"""The version bytes that are in use (BIP32, SLIP-132)."""


def extended_key_from_text(text: str) -> tuple[Version, ExtendedPublicKey | ExtendedPrivateKey]:
    """Read an extended key and what it is for.

    Raises KeyFormatError, which does not repeat the text.
    """
    try:
        payload = base58.bytes_from_checked_text(text.strip())
    except AddressError:
        raise KeyFormatError("not an extended key: is there a typing error?") from None
    version = VERSIONS.get(payload[:4])
    if version is None:
        raise KeyFormatError("not an extended key: it begins like none")
    key = extended_key_from_bytes(payload)
    if version.is_private != isinstance(key, ExtendedPrivateKey):
        raise KeyFormatError("an extended key that says it is private and is not, or the reverse")
    return version, key


def extended_key_from_bytes(data: bytes) -> ExtendedPublicKey | ExtendedPrivateKey:
    """Read the 78 bytes of an extended key, whatever its version. Raises KeyFormatError."""
    if len(data) != _SIZE:
        raise KeyFormatError(f"an extended key has {_SIZE} bytes, not {len(data)}")
    depth, parent, number = data[4], data[5:9], int.from_bytes(data[9:13], "big")
    chain_code, body = data[13:45], data[45:]
    if depth == 0 and (number or parent != bytes(4)):
        raise KeyFormatError("a master key has neither parent nor number")
    if body[0] == 0:
        return ExtendedPrivateKey(PrivateKey(body[1:]), chain_code, depth, parent, number)
    if body[0] not in (2, 3) or not is_public_key(body):
        raise KeyFormatError("an extended key whose key is none")
    return ExtendedPublicKey(body, chain_code, depth, parent, number)
