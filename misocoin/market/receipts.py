"""What passes between buyer and seller besides the work: secrets, receipts, the encrypted result.

Version 1 (BitWrk): the result is encrypted by AES-256 in OFB mode with a zero IV under a key of
its own, without authentication, and the buyer's receipt signs the SHA-256 of that alone.

Version 2: what travels is sealed by AES-256-GCM under a key that only the two bids' X25519 keys
give; the result is sealed once more under a key of its own, so that a wrong key shows; and the
receipt names trade and key.
"""

from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from misocoin.market.documents import escape
from misocoin.market.errors import Malformed, NotAllowed

RESULT_KEY_SIZE = 32
"""Bytes of the key that a result is encrypted with, in either version."""

_NONCE_SIZE = 12
_TAG_SIZE = 16
_BLOCK = 16
_INFO = b"misocoin market transit "

SEAL_OVERHEAD = _NONCE_SIZE + _TAG_SIZE
"""Bytes by which sealing makes data longer."""


def sha256_hex(data: bytes) -> str:
    """SHA-256 in hex, by which works and results are called."""
    return sha256(data).hexdigest()


def work_secret_hash(work_hash: str, buyer_secret: str) -> str:
    """What the buyer tells of its secret beforehand: SHA-256 of work hash and secret, all in hex.

    Raises ValueError for what is not hex.
    """
    return sha256_hex(bytes.fromhex(work_hash) + bytes.fromhex(buyer_secret))


def receipt_document(encrypted_hash: str, key: str, transaction: str) -> str:
    """What the buyer signs in version 2: which encrypted result, which key's hash, which trade.

    `key` is the result's key in hex; the buyer, who must not know it yet, is told its SHA-256.
    """
    return receipt_document_from_key_hash(
        encrypted_hash, sha256_hex(bytes.fromhex(key)), transaction
    )


def receipt_document_from_key_hash(encrypted_hash: str, key_hash: str, transaction: str) -> str:
    """The same, as the buyer makes it."""
    return f"encresulthash={encrypted_hash}&keyhash={key_hash}&txid={escape(transaction)}"


# -- version 1 ---------------------------------------------------------------------------------


def crypt_result(data: bytes, key: bytes) -> bytes:
    """Encrypt or decrypt a result of version 1: AES-256-OFB with a zero IV."""
    # OFB's key stream is CBC of zeros; libraries are about to drop OFB itself.
    zeros = bytes(-(-len(data) // _BLOCK) * _BLOCK)
    encryptor = Cipher(AES(key), CBC(bytes(_BLOCK))).encryptor()
    stream = encryptor.update(zeros) + encryptor.finalize()
    size = len(data)
    mixed = int.from_bytes(data, "big") ^ int.from_bytes(stream[:size], "big")
    return mixed.to_bytes(size, "big")


# -- version 2 ---------------------------------------------------------------------------------


def seal(data: bytes, key: bytes, nonce: bytes) -> bytes:
    """Encrypt and authenticate: `nonce` (12 bytes, never again with that key), text, tag."""
    return nonce + AESGCM(key).encrypt(nonce, data, None)


def unseal(sealed: bytes, key: bytes) -> bytes:
    """Undo `seal`. Raises NotAllowed where the key is another or a bit has changed."""
    if len(sealed) < SEAL_OVERHEAD:
        raise NotAllowed("what was sealed is cut short")
    try:
        return AESGCM(key).decrypt(sealed[:_NONCE_SIZE], sealed[_NONCE_SIZE:], None)
    except InvalidTag:
        raise NotAllowed("what was sealed does not open with that key") from None


def transit_public_key(secret: bytes) -> str:
    """The public key that a bid carries, in hex; the secret is 32 random bytes."""
    return X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw().hex()


def transit_key(secret: bytes, other_public_key: str, transaction: str) -> bytes:
    """The key that both sides of a trade come to, each from its secret and the other's public key.

    Raises Malformed for a public key that gives none.
    """
    try:
        other = X25519PublicKey.from_public_bytes(bytes.fromhex(other_public_key))
        shared = X25519PrivateKey.from_private_bytes(secret).exchange(other)
    except ValueError:
        raise Malformed("the other side's transitkey is unusable") from None
    info = _INFO + transaction.encode()
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(shared)
