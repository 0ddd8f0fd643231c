"""Messages signed by the key of an address, in Bitcoin's format.

A signature is base64 of 65 bytes: a header, r and s. The header names the public key's recovery
id and its form: 27 to 30 uncompressed, 31 to 34 compressed, and by BIP137 35 to 38 P2SH-P2WPKH and
39 to 42 P2WPKH. Written are 27 to 34, which all verifiers know; read are all, and whether the
signature is the address's is decided by the key alone.
"""

import binascii
from base64 import b64decode, b64encode
from collections.abc import Callable
from hmac import compare_digest

from misocoin.codec import compact_size
from misocoin.crypto import base58, bech32
from misocoin.crypto.hashes import hash160, sha256d
from misocoin.crypto.keys import PrivateKey, recover_public_key
from misocoin.errors import AddressError, ParseError
from misocoin.script.templates import p2wpkh_script

MAGIC = b"\x18Bitcoin Signed Message:\n"
"""What every signed message begins with, behind its own length: no transaction begins so."""

_SIZE = 65
_LAST_PLAIN_HEADER = 34
_LAST_HEADER = 42

Length = Callable[[int], bytes]
"""How the number of the message's bytes is written before it."""


def skewed_size(value: int) -> bytes:
    """A compact size as BitWrk's clients write it before a message.

    From 253 to 65,535 the second byte is the number's bits 1 to 8, where Bitcoin has 8 to 15.
    """
    if 0xFD <= value <= 0xFFFF:
        return bytes((0xFD, value & 0xFF, value >> 1 & 0xFF))
    return compact_size(value)


def message_digest(message: bytes | str, length: Length = compact_size) -> bytes:
    """The 32 bytes that are signed for a message; text is taken as UTF-8."""
    data = message.encode() if isinstance(message, str) else message
    return sha256d(MAGIC + length(len(data)) + data)


def sign_message(key: PrivateKey, message: bytes | str, length: Length = compact_size) -> str:
    """Sign as the owner of `key`: base64 of 65 bytes, the header after the key's form."""
    return b64encode(key.sign_recoverable(message_digest(message, length))).decode("ascii")


def recover_signer(
    signature: str, message: bytes | str, length: Length = compact_size
) -> bytes | None:
    """The public key that signed `message`, in the form its header names; None if none can have.

    Raises ParseError for text that is no such signature.
    """
    try:
        data = b64decode(signature.strip(), validate=True)
    except (binascii.Error, ValueError):
        raise ParseError("a message's signature is base64") from None
    if len(data) != _SIZE:
        raise ParseError(f"a message's signature has {_SIZE} bytes, not {len(data)}")
    header = data[0]
    if _LAST_PLAIN_HEADER < header <= _LAST_HEADER:
        header = 31 + (header - 31) % 4
    return recover_public_key(bytes((header,)) + data[1:], message_digest(message, length))


def is_signed_by(
    address: str, signature: str, message: bytes | str, length: Length = compact_size
) -> bool:
    """Whether the key of `address` signed `message`.

    The address may be of any network: base58 (P2PKH or P2SH-P2WPKH), bech32 (P2WPKH) or 40 hex
    digits of HASH160. Raises AddressError for one that names no key's hash, ParseError for text
    that is no signature.
    """
    hashed, is_segwit = _hash_of_address(address.strip())
    public_key = recover_signer(signature, message, length)
    if public_key is None:
        return False
    key_hash = hash160(public_key)
    if compare_digest(key_hash, hashed):
        return not is_segwit or len(public_key) == 33
    return not is_segwit and compare_digest(hash160(p2wpkh_script(key_hash)), hashed)


def _hash_of_address(text: str) -> tuple[bytes, bool]:
    """The 20 bytes an address holds, and whether it is a witness program."""
    if len(text) == 40:
        try:
            return bytes.fromhex(text), False
        except ValueError:
            pass  # an address can have 40 characters, too
    try:
        payload = base58.bytes_from_checked_text(text)
    except AddressError:
        prefix, *_ = bech32.digits_from_text(text)
        version, program = bech32.program_from_segwit_address(prefix, text)
        if version or len(program) != 20:
            raise AddressError("only an address of one key's hash can sign messages") from None
        return program, True
    if len(payload) != 21:
        raise AddressError(f"it holds {len(payload)} bytes, an address 21")
    return payload[1:], False
