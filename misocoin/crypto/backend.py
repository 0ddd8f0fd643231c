"""The choice between the two libraries that do the arithmetic on secp256k1.

libsecp256k1 (through coincurve) where it is installed, the pure-Python package `ecdsa` where it
is not: the same answers, about fifty times slower.
"""

from typing import Protocol


class Backend(Protocol):
    """What `keys` needs of a library; both backends are modules of this form.

    A secret is 32 bytes, big-endian, from 1 to n-1; digests and tweaks are 32 bytes; `compact` is
    r and s, 32 bytes each. The caller has checked the lengths, except for the `verify_*` functions
    and `is_public_key`, which take any bytes. None and False mean that no result exists.
    """

    @property
    def NAME(self) -> str:  # noqa: N802 - a constant of the module
        """What does the arithmetic."""

    def verify_ecdsa(self, public_key: bytes, signature: bytes, digest: bytes) -> bool:
        """As `keys.verify_ecdsa`."""

    def verify_schnorr(self, xonly: bytes, signature: bytes, message: bytes) -> bool:
        """As `keys.verify_schnorr`."""

    def is_public_key(self, public_key: bytes) -> bool:
        """As `keys.is_public_key`."""

    def public_key_in_form(self, public_key: bytes, compressed: bool) -> bytes | None:
        """The same point in 33 or 65 bytes."""

    def public_key_from_secret(self, secret: bytes, compressed: bool) -> bytes:
        """The secret times the generator, in 33 or 65 bytes."""

    def public_key_tweak_add(self, public_key: bytes, tweak: bytes) -> bytes | None:
        """The point plus the tweak times the generator, in the form it came in."""

    def secret_tweak_add(self, secret: bytes, tweak: bytes) -> bytes | None:
        """The sum modulo n."""

    def secret_xonly_tweak_add(self, secret: bytes, tweak: bytes) -> bytes | None:
        """The sum modulo n, the secret negated first where its point has an odd y."""

    def xonly_tweak_add(self, xonly: bytes, tweak: bytes) -> tuple[bytes, int] | None:
        """The point with even y plus the tweak times the generator: x and the parity of y."""

    def is_taproot_tweak(
        self, output_xonly: bytes, parity: int, xonly: bytes, tweak: bytes
    ) -> bool:
        """Whether `xonly_tweak_add` gives that output and parity."""

    def sign_ecdsa(self, secret: bytes, digest: bytes, extra: bytes = b"") -> bytes:
        """A compact signature, low-S, with the nonce of RFC 6979.

        `extra`, 32 bytes of its section 3.6, leads to another nonce.
        """

    def sign_recoverable(self, secret: bytes, digest: bytes) -> tuple[bytes, int]:
        """As `sign_ecdsa`, with the recovery id (0 to 3)."""

    def recover(
        self, compact: bytes, recovery_id: int, digest: bytes, compressed: bool
    ) -> bytes | None:
        """The public key under which the signature is valid."""

    def sign_schnorr(self, secret: bytes, message: bytes, aux_random: bytes) -> bytes:
        """A BIP340 signature over 32 bytes."""


def _choose_backend() -> Backend:
    try:
        from misocoin.crypto import coincurve_backend  # noqa: PLC0415 - may be missing
    except ImportError:
        from misocoin.crypto import ecdsa_backend  # noqa: PLC0415 - slow import, rarely needed

        return ecdsa_backend
    return coincurve_backend


BACKEND: Backend = _choose_backend()
"""The library in use, chosen once at import."""


def backend_name() -> str:
    """`libsecp256k1` or `ecdsa`."""
    return BACKEND.NAME
