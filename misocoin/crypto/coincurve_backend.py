# ruff: noqa: D103 - `backend.Backend` documents each function
"""secp256k1 by libsecp256k1, reached through the cffi library inside coincurve.

coincurve's own classes cost up to 4 microseconds a call and refuse high-S signatures, so the C
functions are called here directly. Scratch structures are one set per thread, since the library
is called without the interpreter's lock. See `backend.Backend` for what each function does.
"""

import secrets
import threading
from collections.abc import Callable
from typing import Any

from coincurve._libsecp256k1 import ffi, lib

from misocoin.crypto.der import compact_from_lax_der

NAME = "libsecp256k1"

_STATIC = lib.secp256k1_context_static
_COMPRESSED: int = lib.SECP256K1_EC_COMPRESSED
_UNCOMPRESSED: int = lib.SECP256K1_EC_UNCOMPRESSED

_parse_public_key: Callable[..., int] = lib.secp256k1_ec_pubkey_parse
_parse_xonly: Callable[..., int] = lib.secp256k1_xonly_pubkey_parse
_parse_compact: Callable[..., int] = lib.secp256k1_ecdsa_signature_parse_compact
_normalize: Callable[..., int] = lib.secp256k1_ecdsa_signature_normalize
_verify_ecdsa: Callable[..., int] = lib.secp256k1_ecdsa_verify
_verify_schnorr: Callable[..., int] = lib.secp256k1_schnorrsig_verify
_check_taproot_tweak: Callable[..., int] = lib.secp256k1_xonly_pubkey_tweak_add_check


class _Scratch(threading.local):
    """One thread's structures for the library to write to."""

    def __init__(self) -> None:
        self.public_key = ffi.new("secp256k1_pubkey *")
        self.xonly = ffi.new("secp256k1_xonly_pubkey *")
        self.signature = ffi.new("secp256k1_ecdsa_signature *")


_scratch = _Scratch()


def _signing_context() -> Any:
    """A context blinded with fresh randomness, against side channels; read-only from here on."""
    context = ffi.gc(
        lib.secp256k1_context_create(lib.SECP256K1_CONTEXT_NONE), lib.secp256k1_context_destroy
    )
    if not lib.secp256k1_context_randomize(context, secrets.token_bytes(32)):
        raise RuntimeError("libsecp256k1 could not be initialised")
    return context


_SIGNING = _signing_context()


def verify_ecdsa(public_key: bytes, signature: bytes, digest: bytes) -> bool:
    compact = compact_from_lax_der(signature)
    if compact is None or len(digest) != 32:
        return False
    scratch = _scratch
    parsed_key = scratch.public_key
    parsed = scratch.signature
    if not _parse_public_key(_STATIC, parsed_key, public_key, len(public_key)):
        return False
    if not _parse_compact(_STATIC, parsed, compact):
        return False
    _normalize(_STATIC, parsed, parsed)
    return _verify_ecdsa(_STATIC, parsed, digest, parsed_key) == 1


def verify_schnorr(xonly: bytes, signature: bytes, message: bytes) -> bool:
    if len(xonly) != 32 or len(signature) != 64:
        return False
    parsed_key = _scratch.xonly
    if not _parse_xonly(_STATIC, parsed_key, xonly):
        return False
    return _verify_schnorr(_STATIC, signature, message, len(message), parsed_key) == 1


def is_public_key(public_key: bytes) -> bool:
    return _parse_public_key(_STATIC, _scratch.public_key, public_key, len(public_key)) == 1


def _serialize(parsed_key: Any, compressed: bool) -> bytes:
    output = ffi.new("unsigned char[65]")
    size = ffi.new("size_t *", 65)
    form = _COMPRESSED if compressed else _UNCOMPRESSED
    lib.secp256k1_ec_pubkey_serialize(_STATIC, output, size, parsed_key, form)
    return bytes(ffi.buffer(output, size[0]))


def _serialize_xonly(parsed_key: Any) -> bytes:
    output = ffi.new("unsigned char[32]")
    lib.secp256k1_xonly_pubkey_serialize(_STATIC, output, parsed_key)
    return bytes(ffi.buffer(output))


def public_key_in_form(public_key: bytes, compressed: bool) -> bytes | None:
    parsed_key = ffi.new("secp256k1_pubkey *")
    if not _parse_public_key(_STATIC, parsed_key, public_key, len(public_key)):
        return None
    return _serialize(parsed_key, compressed)


def public_key_from_secret(secret: bytes, compressed: bool) -> bytes:
    parsed_key = ffi.new("secp256k1_pubkey *")
    if not lib.secp256k1_ec_pubkey_create(_SIGNING, parsed_key, secret):
        raise ValueError("secret out of range")
    return _serialize(parsed_key, compressed)


def public_key_tweak_add(public_key: bytes, tweak: bytes) -> bytes | None:
    parsed_key = ffi.new("secp256k1_pubkey *")
    if not _parse_public_key(_STATIC, parsed_key, public_key, len(public_key)):
        return None
    if not lib.secp256k1_ec_pubkey_tweak_add(_STATIC, parsed_key, tweak):
        return None
    return _serialize(parsed_key, compressed=len(public_key) == 33)


def secret_tweak_add(secret: bytes, tweak: bytes) -> bytes | None:
    buffer = ffi.new("unsigned char[32]", secret)
    if not lib.secp256k1_ec_seckey_tweak_add(_STATIC, buffer, tweak):
        return None
    return bytes(ffi.buffer(buffer))


def _keypair(secret: bytes) -> Any:
    keypair = ffi.new("secp256k1_keypair *")
    if not lib.secp256k1_keypair_create(_SIGNING, keypair, secret):
        raise ValueError("secret out of range")
    return keypair


def secret_xonly_tweak_add(secret: bytes, tweak: bytes) -> bytes | None:
    keypair = _keypair(secret)
    if not lib.secp256k1_keypair_xonly_tweak_add(_STATIC, keypair, tweak):
        return None
    output = ffi.new("unsigned char[32]")
    lib.secp256k1_keypair_sec(_STATIC, output, keypair)
    return bytes(ffi.buffer(output))


def xonly_tweak_add(xonly: bytes, tweak: bytes) -> tuple[bytes, int] | None:
    internal = ffi.new("secp256k1_xonly_pubkey *")
    if not _parse_xonly(_STATIC, internal, xonly):
        return None
    tweaked = ffi.new("secp256k1_pubkey *")
    if not lib.secp256k1_xonly_pubkey_tweak_add(_STATIC, tweaked, internal, tweak):
        return None
    parity = ffi.new("int *")
    lib.secp256k1_xonly_pubkey_from_pubkey(_STATIC, internal, parity, tweaked)
    return _serialize_xonly(internal), parity[0]


def is_taproot_tweak(output_xonly: bytes, parity: int, xonly: bytes, tweak: bytes) -> bool:
    internal = _scratch.xonly
    if not _parse_xonly(_STATIC, internal, xonly):
        return False
    return _check_taproot_tweak(_STATIC, output_xonly, parity, internal, tweak) == 1


def sign_ecdsa(secret: bytes, digest: bytes, extra: bytes = b"") -> bytes:
    signature = ffi.new("secp256k1_ecdsa_signature *")
    entropy = ffi.from_buffer(extra) if extra else ffi.NULL
    if not lib.secp256k1_ecdsa_sign(_SIGNING, signature, digest, secret, ffi.NULL, entropy):
        raise ValueError("secret out of range")
    output = ffi.new("unsigned char[64]")
    lib.secp256k1_ecdsa_signature_serialize_compact(_STATIC, output, signature)
    return bytes(ffi.buffer(output))


def sign_recoverable(secret: bytes, digest: bytes) -> tuple[bytes, int]:
    signature = ffi.new("secp256k1_ecdsa_recoverable_signature *")
    if not lib.secp256k1_ecdsa_sign_recoverable(
        _SIGNING, signature, digest, secret, ffi.NULL, ffi.NULL
    ):
        raise ValueError("secret out of range")
    output = ffi.new("unsigned char[64]")
    recovery_id = ffi.new("int *")
    lib.secp256k1_ecdsa_recoverable_signature_serialize_compact(
        _STATIC, output, recovery_id, signature
    )
    return bytes(ffi.buffer(output)), recovery_id[0]


def recover(compact: bytes, recovery_id: int, digest: bytes, compressed: bool) -> bytes | None:
    signature = ffi.new("secp256k1_ecdsa_recoverable_signature *")
    if not lib.secp256k1_ecdsa_recoverable_signature_parse_compact(
        _STATIC, signature, compact, recovery_id
    ):
        return None
    parsed_key = ffi.new("secp256k1_pubkey *")
    if not lib.secp256k1_ecdsa_recover(_STATIC, parsed_key, signature, digest):
        return None
    return _serialize(parsed_key, compressed)


def sign_schnorr(secret: bytes, message: bytes, aux_random: bytes) -> bytes:
    keypair = _keypair(secret)
    output = ffi.new("unsigned char[64]")
    if not lib.secp256k1_schnorrsig_sign32(_SIGNING, output, message, keypair, aux_random):
        raise ValueError("signing failed")
    return bytes(ffi.buffer(output))


def native_addresses() -> tuple[int, ...]:
    """Where a context and functions of the library lie in memory, as native/verify.c wants them."""
    functions = (
        "secp256k1_ec_pubkey_parse",
        "secp256k1_ecdsa_signature_parse_compact",
        "secp256k1_ecdsa_signature_normalize",
        "secp256k1_ecdsa_verify",
        "secp256k1_xonly_pubkey_parse",
        "secp256k1_schnorrsig_verify",
    )
    pointers = [_STATIC, *(ffi.addressof(lib, name) for name in functions)]
    return tuple(int(ffi.cast("uintptr_t", pointer)) for pointer in pointers)
