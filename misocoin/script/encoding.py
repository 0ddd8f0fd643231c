"""How signatures and public keys must be encoded, by flag."""

from misocoin.crypto.der import ORDER
from misocoin.script.flags import DERSIG, LOW_S, STRICTENC, WITNESS_PUBKEYTYPE
from misocoin.script.result import ScriptError

_STRICT_SIGNATURE = DERSIG | LOW_S | STRICTENC
_HALF_ORDER = ORDER // 2


def is_strict_der(signature: bytes) -> bool:
    """Whether a signature with its hash type byte behind it is strict DER (BIP66).

    0x30, length, 0x02, length of R, R, 0x02, length of S, S, hash type: both integers positive,
    without padding, nothing left over.
    """
    size = len(signature)
    if not 9 <= size <= 73 or signature[0] != 0x30 or signature[1] != size - 3:
        return False
    r_size = signature[3]
    if r_size + 5 >= size:
        return False
    s_at = r_size + 6  # S begins here, behind its tag and length
    s_size = signature[s_at - 1]
    if s_at + s_size + 1 != size:
        return False
    if signature[2] != 0x02 or r_size == 0 or signature[4] & 0x80:
        return False
    if r_size > 1 and signature[4] == 0 and not signature[5] & 0x80:
        return False
    if signature[s_at - 2] != 0x02 or s_size == 0 or signature[s_at] & 0x80:
        return False
    return not (s_size > 1 and signature[s_at] == 0 and not signature[s_at + 1] & 0x80)


def is_low_s(signature: bytes) -> bool:
    """Whether S of a strict DER signature (with hash type) is at most half the group order.

    A signature with R or S beyond the order passes, as in Core: it holds under no key anyway.
    """
    s_at = signature[3] + 6
    s = int.from_bytes(signature[s_at:-1], "big")
    return s <= _HALF_ORDER or s >= ORDER or int.from_bytes(signature[4 : s_at - 2], "big") >= ORDER


def is_defined_hash_type(signature: bytes) -> bool:
    """Whether the last byte is ALL, NONE or SINGLE, with or without ANYONECANPAY."""
    return bool(signature) and 1 <= signature[-1] & 0x7F <= 3


def signature_encoding_error(signature: bytes, flags: int) -> ScriptError | None:
    """What is wrong with an ECDSA signature's form; an empty one is always well formed."""
    if not signature or not flags & _STRICT_SIGNATURE:
        return None
    if not is_strict_der(signature):
        return ScriptError.SIG_DER
    if flags & LOW_S and not is_low_s(signature):
        return ScriptError.SIG_HIGH_S
    if flags & STRICTENC and not is_defined_hash_type(signature):
        return ScriptError.SIG_HASHTYPE
    return None


def is_compressed_key(public_key: bytes) -> bool:
    """Whether these are 33 bytes that start as a compressed public key does."""
    return len(public_key) == 33 and public_key[0] in (2, 3)


def is_uncompressed_key(public_key: bytes) -> bool:
    """Whether these are 65 bytes that start as an uncompressed public key does."""
    return len(public_key) == 65 and public_key[0] == 4


def public_key_encoding_error(public_key: bytes, flags: int, *, segwit: bool) -> ScriptError | None:
    """What is wrong with an ECDSA public key's form; `segwit`: in a segwit v0 script."""
    if is_compressed_key(public_key):
        return None
    if flags & STRICTENC and not is_uncompressed_key(public_key):
        return ScriptError.PUBKEYTYPE
    if segwit and flags & WITNESS_PUBKEYTYPE:
        return ScriptError.WITNESS_PUBKEYTYPE
    return None


def has_public_key_form(public_key: bytes) -> bool:
    """Whether the length is what the first byte asks for; the only form before STRICTENC."""
    if not public_key:
        return False
    first = public_key[0]
    if first in (2, 3):
        return len(public_key) == 33
    return first in (4, 6, 7) and len(public_key) == 65
