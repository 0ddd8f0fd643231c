"""Private and public keys of secp256k1; ECDSA and Schnorr signatures.

A public key is `bytes`: 33 compressed (02, 03), 65 uncompressed (04), or, read but never written,
65 hybrid (06, 07). An x-only key is the 32 bytes of x, standing for the point with even y (BIP340).
"""

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

from misocoin.crypto.backend import BACKEND
from misocoin.crypto.der import ORDER, der_from_compact
from misocoin.errors import KeyFormatError

verify_ecdsa: Callable[[bytes, bytes, bytes], bool] = BACKEND.verify_ecdsa
"""`verify_ecdsa(public_key, signature, digest)`: is the signature over that digest by that key?

By the rules of consensus: the signature (without its hash type) is read as `compact_from_lax_der`
does, a high s is fine, hybrid keys are fine. Any other bytes give False, never an error.
"""

verify_schnorr: Callable[[bytes, bytes, bytes], bool] = BACKEND.verify_schnorr
"""`verify_schnorr(xonly, signature, message)`: BIP340 verification.

The key has 32 bytes and the signature 64, the message any number; other bytes give False.
"""

is_public_key: Callable[[bytes], bool] = BACKEND.is_public_key
"""Whether the bytes are a point of the curve in one of the forms above."""

_MESSAGE_HEADER = 27
"""First byte of a recoverable signature: this plus recovery id, plus 4 for a compressed key."""


_HEX_SECRET = re.compile("[0-9a-fA-F]{64}")


def _check_32(data: bytes, name: str) -> None:
    if len(data) != 32:
        raise ValueError(f"{name} has {len(data)} bytes, not 32")


@dataclass(frozen=True)
class PrivateKey:
    """A secret from 1 to n-1. Raises KeyFormatError for other numbers and other lengths."""

    secret: bytes = field(repr=False)
    """The number, 32 bytes, big-endian. Never printed by `repr`."""

    compressed: bool = True
    """Whether `public_key` is the form of 33 bytes; it decides about the address and the WIF."""

    def __post_init__(self) -> None:
        if len(self.secret) != 32:
            raise KeyFormatError(f"a private key has 32 bytes, not {len(self.secret)}")
        if not 0 < int.from_bytes(self.secret, "big") < ORDER:
            raise KeyFormatError("a private key lies between 1 and the order of the curve")

    @classmethod
    def generate(cls, *, compressed: bool = True) -> "PrivateKey":
        """A new key from the system's randomness."""
        while True:
            secret = secrets.token_bytes(32)
            if 0 < int.from_bytes(secret, "big") < ORDER:
                return cls(secret, compressed)

    @classmethod
    def from_hex(cls, text: str, *, compressed: bool = True) -> "PrivateKey":
        """Read 64 hex digits. Raises KeyFormatError, which does not repeat the text."""
        if not _HEX_SECRET.fullmatch(text):
            raise KeyFormatError("a private key in hex has 64 hex digits")
        return cls(bytes.fromhex(text), compressed)

    @cached_property
    def public_key(self) -> bytes:
        """The public key, 33 bytes if `compressed`, otherwise 65."""
        return BACKEND.public_key_from_secret(self.secret, self.compressed)

    @property
    def xonly_public_key(self) -> bytes:
        """The x of the public key, 32 bytes (BIP340)."""
        return self.public_key[1:33]

    def sign_ecdsa(self, digest: bytes, *, low_r: bool = True) -> bytes:
        """Sign 32 bytes: DER without a hash type, low-S, nonce by RFC 6979.

        As by Bitcoin Core, with `low_r` other nonces are tried in turn until r needs no more than
        32 bytes in DER: the signature then has 70 bytes, seldom less.
        """
        _check_32(digest, "a digest")
        compact = BACKEND.sign_ecdsa(self.secret, digest)
        tries = 0
        while low_r and compact[0] >= 0x80:
            tries += 1
            compact = BACKEND.sign_ecdsa(self.secret, digest, tries.to_bytes(32, "little"))
        return der_from_compact(compact)

    def sign_recoverable(self, digest: bytes) -> bytes:
        """Sign 32 bytes so that the public key can be recovered: header, r, s; 65 bytes.

        The header is that of Bitcoin's signed messages: 27 + recovery id, + 4 if `compressed`.
        """
        _check_32(digest, "a digest")
        compact, recovery_id = BACKEND.sign_recoverable(self.secret, digest)
        return bytes((_MESSAGE_HEADER + recovery_id + 4 * self.compressed,)) + compact

    def sign_schnorr(self, message: bytes, aux_random: bytes | None = None) -> bytes:
        """Sign 32 bytes as BIP340 says: 64 bytes. `aux_random` (32 bytes) is fresh if not given."""
        _check_32(message, "a message")
        if aux_random is None:
            aux_random = secrets.token_bytes(32)
        _check_32(aux_random, "the auxiliary randomness")
        return BACKEND.sign_schnorr(self.secret, message, aux_random)

    def tweak_add(self, tweak: bytes) -> "PrivateKey":
        """The key plus `tweak` (32 bytes) modulo n: a child key of BIP32.

        Raises KeyFormatError where the tweak is n or more or the sum is zero.
        """
        return self._tweaked(BACKEND.secret_tweak_add, tweak)

    def xonly_tweak_add(self, tweak: bytes) -> "PrivateKey":
        """As `tweak_add`, from the key whose point has even y: taproot's output key (BIP341)."""
        return self._tweaked(BACKEND.secret_xonly_tweak_add, tweak)

    def _tweaked(
        self, function: Callable[[bytes, bytes], bytes | None], tweak: bytes
    ) -> "PrivateKey":
        _check_32(tweak, "a tweak")
        secret = function(self.secret, tweak)
        if secret is None:
            raise KeyFormatError("that tweak leads to no key")
        return PrivateKey(secret, self.compressed)


def recover_public_key(signature: bytes, digest: bytes) -> bytes | None:
    """The key that made a `sign_recoverable` signature over `digest`, in the form its header says.

    None for anything that is no such signature, a header outside 27 to 34 included.
    """
    if len(signature) != 65 or len(digest) != 32:
        return None
    header = signature[0] - _MESSAGE_HEADER
    if not 0 <= header < 8:
        return None
    return BACKEND.recover(signature[1:], header & 3, digest, compressed=header >= 4)


def public_key_in_form(public_key: bytes, *, compressed: bool) -> bytes:
    """The same key in 33 or 65 bytes. Raises KeyFormatError for bytes that are no public key."""
    result = BACKEND.public_key_in_form(public_key, compressed)
    if result is None:
        raise KeyFormatError("not a public key")
    return result


def public_key_tweak_add(public_key: bytes, tweak: bytes) -> bytes | None:
    """The key plus `tweak` (32 bytes) times the generator, as `PrivateKey.tweak_add`.

    None for bytes that are no public key, and where the tweak leads to no key.
    """
    return BACKEND.public_key_tweak_add(public_key, tweak) if len(tweak) == 32 else None


def xonly_tweak_add(xonly: bytes, tweak: bytes) -> tuple[bytes, int] | None:
    """An x-only key plus `tweak` (32 bytes) times the generator: x-only, and the parity of its y.

    How a taproot output commits to its scripts (BIP341). None where there is no such key.
    """
    if len(xonly) != 32 or len(tweak) != 32:
        return None
    return BACKEND.xonly_tweak_add(xonly, tweak)


def is_taproot_tweak(output_xonly: bytes, parity: int, xonly: bytes, tweak: bytes) -> bool:
    """Whether `xonly_tweak_add(xonly, tweak)` is `(output_xonly, parity)`; parity is 0 or 1."""
    if len(output_xonly) != 32 or len(xonly) != 32 or len(tweak) != 32:
        return False
    return BACKEND.is_taproot_tweak(output_xonly, parity, xonly, tweak)
