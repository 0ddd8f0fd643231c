"""What buyer and seller of version 2 hand each other, before it is sealed for the way.

The three go in this order, each sealed (`receipts.seal`) with the trade's transit key: the work to
the seller, the encrypted result back, the receipt to the seller. They travel straight, to the
seller's workerurl, or through the market's relay, one slot each.
"""

from enum import Enum
from typing import NamedTuple

from misocoin.market.errors import Malformed
from misocoin.market.receipts import sha256_hex
from misocoin.market.trade import Role

ALIVE_SLOT, PROOF_SLOT = "alive", "proof"
"""Names of uploads that are no parcels: a seller's sign of life, a buyer's proof."""

_SECRET_SIZE = 32
_HASH_SIZE = 32


class Slot(Enum):
    """The parcels of a trade; the value is the name on the wire."""

    WORK = "work"
    RESULT = "result"
    RECEIPT = "receipt"

    @property
    def sender(self) -> Role:
        """Who sends it."""
        return Role.SELLER if self is Slot.RESULT else Role.BUYER


class WorkParcel(NamedTuple):
    """Buyer to seller."""

    buyer_secret: str
    """64 hex digits; the seller shows it to the market, which proves that it has the work."""
    work: bytes


class ResultParcel(NamedTuple):
    """Seller to buyer."""

    key_hash: str
    """SHA-256 of the key that the result is encrypted with, hex; it goes into the receipt."""
    encrypted: bytes
    """The result, sealed with that key."""

    @property
    def hash(self) -> str:
        """SHA-256 of the encrypted result, hex; it goes into the receipt as well."""
        return sha256_hex(self.encrypted)


def bytes_from_work_parcel(parcel: WorkParcel) -> bytes:
    """The parcel's bytes."""
    return bytes.fromhex(parcel.buyer_secret) + parcel.work


def work_parcel_from_bytes(data: bytes) -> WorkParcel:
    """Read the parcel. Raises Malformed."""
    if len(data) < _SECRET_SIZE:
        raise Malformed("the work is cut short")
    return WorkParcel(data[:_SECRET_SIZE].hex(), data[_SECRET_SIZE:])


def bytes_from_result_parcel(parcel: ResultParcel) -> bytes:
    """The parcel's bytes."""
    return bytes.fromhex(parcel.key_hash) + parcel.encrypted


def result_parcel_from_bytes(data: bytes) -> ResultParcel:
    """Read the parcel. Raises Malformed."""
    if len(data) < _HASH_SIZE:
        raise Malformed("the result is cut short")
    return ResultParcel(data[:_HASH_SIZE].hex(), data[_HASH_SIZE:])


def bytes_from_receipt(signature: str) -> bytes:
    """The third parcel: the buyer's signature of `receipts.receipt_document`."""
    return signature.encode("ascii")


def receipt_from_bytes(data: bytes) -> str:
    """Read the third parcel. Raises Malformed."""
    try:
        return data.decode("ascii")
    except UnicodeDecodeError:
        raise Malformed("the receipt is no text") from None
